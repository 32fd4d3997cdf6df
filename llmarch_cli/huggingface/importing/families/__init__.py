"""Families by `model_type`. To add one, add an entry to the table of the module with its wiring, and its name here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module

from llmarch_cli.huggingface.importing.families.family import Family, Ties, Wrapper
from llmarch_cli.huggingface.importing.families.wrappers import WRAPPERS

# The families of each module, so that importing a config loads few tables. A test holds it equal to the tables.
# Modules are by wiring: norms, positions, experts, attention. Text decoders inside multimodal models, and models
# without a class in transformers, have modules of their own and borrow the wiring of others.
MODULES = {
    "dense": """
        llama mistral arcee seed_oss ernie4_5 phi3 qwen2 qwen3 internlm3 iquestcoder ministral3 helium glm granite glm4
        apertus bitnet nanochat hyperclovax
    """,
    "windows": "gemma gemma2 gemma3_text vaultgemma olmo2 olmo3 exaone4 smollm3 cwm ministral granite_swa",
    "absolute": "gpt2 gpt-sw3 gpt_neo gpt_bigcode openai-gpt ctrl opt biogpt xglm bloom mpt",
    "layer_norms": """
        gpt_neox gpt_neox_japanese gptj codegen starcoder2 nemotron olmo stablelm cohere cohere2 falcon phi persimmon
        jais2 modernbert-decoder
    """,
    "experts": "mixtral qwen3_moe olmoe flex_olmo granitemoe minimax_m2 phimoe dbrx",
    "shared_experts": "qwen2_moe granitemoeshared ernie4_5_moe dots1 glm4_moe aria_text hy_v3 solar_open",
    "windowed_experts": """
        gpt_oss llama4_text flint mellum granitemoe_swa exaone_moe kolibri1 cohere2_moe afmoe laguna mimo_v2_flash
    """,
    "step": "step3p5",
    "latent": "deepseek_v2 deepseek_v3 kimi_k2 axk1 glm4_moe_lite mistral4 longcat_flash youtu minicpm3",
    "fixed_states": "minimax minimax_text_01 minimax_m1 lfm2 lfm2_moe recurrent_gemma rwkv",
    "delta": "qwen3_next qwen3_5_text qwen3_5_moe_text kimi_linear olmo_hybrid",
    "state_spaces": "mamba falcon_mamba mamba2 granitemoehybrid bamba falcon_h1 nemotron_h jamba",
    "shared_blocks": "zamba2",
    "shared_caches": "gemma3n_text gemma4_unified_text gemma4_text",
    "compressed": "deepseek_v4",
    "sparse": "deepseek_v32 glm_moe_dsa minimax_m3_vl_text minimax_m3",
    "hunyuan": "hunyuan_v1_dense hunyuan_v1_moe hunyuan",
    "multimodal": """
        qwen2_vl_text qwen2_5_vl_text qwen2_5_omni_text qwen3_vl_text qwen3_vl_moe_text qwen3_omni_moe_text glm4v_text
        glm4v_moe_text ernie4_5_vl_moe_text mllama_text_model emu3_text_model glm_ocr_text paddleocr_vl_text
        hunyuan_vl_text granite4_vision_text granite_docling_text phi4_multimodal
    """,
    "grok": "grok-2 grok-1",
    "remote": """
        baichuan Yi aquila skywork xverse internlm internlm2 PanguEmbedded orion exaone stablelm_epoch minicpm chatglm
        qwen mimo deepseek bailing_moe
    """,
    "heterogeneous": "deci nemotron-nas openelm",
    "mistral_params": "mistral-params",
}


class Families(Mapping[str, Family]):
    """All families by `model_type`. A family's module is imported when the family is looked up."""

    def __init__(self, modules: Mapping[str, str]) -> None:
        self._modules = {model_type: module for module, named in modules.items() for model_type in named.split()}

    def __getitem__(self, model_type: str) -> Family:
        module = import_module(f"{__name__}.{self._modules[model_type]}")
        families: tuple[Family, ...] = module.FAMILIES
        return next(family for family in families if family.model_type == model_type)

    def __contains__(self, model_type: object) -> bool:
        return model_type in self._modules

    def __iter__(self) -> Iterator[str]:
        return iter(self._modules)

    def __len__(self) -> int:
        return len(self._modules)


FAMILIES = Families(MODULES)

# Families with the `model_type` of another model, by the name of their class.
BY_ARCHITECTURE = {"Grok1ForCausalLM": "grok-2"}

# Keys that tell a family whose files have no `model_type`.
BY_KEYS = {frozenset(("dim", "n_layers", "n_heads", "hidden_dim")): "mistral-params"}

# Model types that transformers builds with the class of another one.
CLASSES = {"internlm3": "llama", "glmga": "glm46v", "pp_chart2table": "got_ocr2"}

# The wrappers around a text decoder that a spec can express.
MULTIMODAL: dict[str, Wrapper] = {
    name: wrapper
    for name, wrapper in WRAPPERS.items()
    if (WRAPPERS[wrapper.text].text if wrapper.inside else wrapper.text) in FAMILIES
}

__all__ = [
    "BY_ARCHITECTURE",
    "BY_KEYS",
    "CLASSES",
    "FAMILIES",
    "MODULES",
    "MULTIMODAL",
    "WRAPPERS",
    "Families",
    "Family",
    "Ties",
    "Wrapper",
]
