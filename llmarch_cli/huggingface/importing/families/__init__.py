"""Families by `model_type`. To add one, add an entry to the table of the most similar module, and its name here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module

from llmarch_cli.huggingface.importing.families.family import Family, Wrapper, sizes

# The families of each module, so that importing a config loads the tables of one module only. A test holds it equal to
# the tables.
MODULES = {
    "dense": "llama mistral arcee seed_oss ernie4_5 phi3 qwen2 qwen3 granite glm4 apertus",
    "windows": "gemma gemma2 gemma3_text olmo2 olmo3 exaone4 smollm3",
    "layer_normed": "gpt2 gpt_neox starcoder2 nemotron olmo stablelm cohere cohere2 falcon",
    "experts": """
        mixtral qwen2_moe qwen3_moe olmoe granitemoe minimax_m2 ernie4_5_moe dots1 glm4_moe gpt_oss llama4_text
    """,
    "hunyuan": "hunyuan_v1_dense hunyuan_v1_moe",
    "latent": "deepseek_v2 deepseek_v3 kimi_k2",
    "grok": "grok-2",
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

MULTIMODAL: dict[str, Wrapper] = {
    "gemma3": Wrapper("gemma3_text", tied=True, null_is_untied=True),
    "llama4": Wrapper("llama4_text"),
    "mistral3": Wrapper(
        "mistral",
        {
            "head_dim": 128,
            "rms_norm_eps": 1e-5,
            "rope_theta": 1_000_000_000.0,
            "sliding_window": None,
            **sizes(131_072, 5120, 32_768, 40, 32, 8, 131_072),
        },
        tied=True,
    ),
}

__all__ = ["BY_ARCHITECTURE", "FAMILIES", "MODULES", "MULTIMODAL", "Families", "Family", "Wrapper"]
