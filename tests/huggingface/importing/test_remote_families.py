"""Families without a class in transformers: published totals, and families of transformers that are built alike."""

from __future__ import annotations

from typing import Any

import pytest
from published_earlier import sized

import llmarch_cli as llmarch
from llmarch_cli.components.attention.gqa import GroupedQueryAttention as Attention
from llmarch_cli.components.ffn.moe import MixtureOfExperts as Experts
from llmarch_cli.errors import InputError
from llmarch_cli.huggingface.importing import import_config, imported
from llmarch_cli.huggingface.importing.check import compare_with_transformers
from llmarch_cli.huggingface.importing.families import FAMILIES

Settings = dict[str, Any]

# Integers that are no sizes, or repeat them.
REPEATED = {"mup_denominator", "max_window_layers", "sliding_window", "rope_theta", "scale_emb", "rotary_emb_base"}
REPEATED |= {"num_key_value_heads", "attention_head_dim", "head_dim", "moe_shared_expert_intermediate_size"}
REPEATED |= {"model_max_length", "rope_max_length", "rotary_dim"}

REMOTE = sorted(name for name, family in FAMILIES.items() if family.remote)

USUAL: Settings = {"hidden_act": "silu", "rms_norm_eps": 1e-6, "tie_word_embeddings": False}


def usual(*sizes: int, **more: Any) -> Settings:
    return sized(*sizes) | USUAL | more


def baichuan(*sizes: int, context: str = "max_position_embeddings") -> Settings:
    """Without groups of heads."""
    config = usual(*sizes)
    del config["num_key_value_heads"]
    return config | {"model_type": "baichuan", context: config.pop("max_position_embeddings")}


def internlm2(*sizes: int) -> Settings:
    rotary = {"rope_theta": 1_000_000, "rope_scaling": {"type": "dynamic", "factor": 2.0}}
    return {"model_type": "internlm2", **usual(*sizes, bias=False, pretraining_tp=1), **rotary}


def minicpm(*sizes: int, **more: Any) -> Settings:
    config = {"model_type": "minicpm", **usual(*sizes), "rope_theta": 10_000.0, "rope_scaling": None}
    del config["tie_word_embeddings"]
    return config | {"scale_emb": 12, "dim_model_base": 256, "scale_depth": 1.4, **more}


def chatglm(vocab_size: int, n_layers: int, context: int, eps: float, **more: Any) -> Settings:
    return {
        "model_type": "chatglm",
        "architectures": ["ChatGLMModel"],
        "auto_map": {"AutoModelForCausalLM": "modeling_chatglm.ChatGLMForConditionalGeneration"},
        "padded_vocab_size": vocab_size,
        "num_layers": n_layers,
        "seq_length": context,
        "layernorm_epsilon": eps,
        "hidden_size": 4096,
        "ffn_hidden_size": 13_696,
        "kv_channels": 128,
        "num_attention_heads": 32,
        "multi_query_attention": True,
        "multi_query_group_num": 2,
        "add_bias_linear": False,
        "add_qkv_bias": True,
        "apply_query_key_layer_scaling": True,
        "apply_residual_connection_post_layernorm": False,
        "attention_softmax_in_fp32": True,
        "bias_dropout_fusion": True,
        "fp32_residual_connection": False,
        "original_rope": True,
        "post_layer_norm": True,
        "rmsnorm": True,
        "tie_word_embeddings": False,
        **more,
    }


def qwen(d_model: int, d_ff: int, n_layers: int, n_heads: int, vocab_size: int = 151_936, **more: Any) -> Settings:
    return {
        "model_type": "qwen",
        "architectures": ["QWenLMHeadModel"],
        "hidden_size": d_model,
        "intermediate_size": d_ff,
        "num_hidden_layers": n_layers,
        "num_attention_heads": n_heads,
        "kv_channels": 128,
        "vocab_size": vocab_size,
        "max_position_embeddings": 32_768,
        "seq_length": 8192,
        "layer_norm_epsilon": 1e-6,
        "no_bias": True,
        "rotary_emb_base": 10_000,
        "rotary_pct": 1.0,
        "scale_attn_weights": True,
        "tie_word_embeddings": False,
        "use_dynamic_ntk": True,
        "use_logn_attn": True,
        "fp32": False,
        **more,
    }


def openelm(d_model: int, head_dim: int, n_layers: int) -> Settings:
    return {
        "model_type": "openelm",
        "activation_fn_name": "swish",
        "ffn_dim_divisor": 256,
        "ffn_multipliers": [0.5, 4.0],
        "ffn_with_glu": True,
        "head_dim": head_dim,
        "max_context_length": 2048,
        "model_dim": d_model,
        "normalization_layer_name": "rms_norm",
        "normalize_qk_projections": True,
        "num_gqa_groups": 4,
        "num_transformer_layers": n_layers,
        "qkv_multipliers": [0.5, 1.0],
        "rope_freq_constant": 10_000,
        "rope_max_length": 4096,
        "share_input_output_layers": True,
        "vocab_size": 32_000,
    }


def exaone(*sizes: int, tied: bool) -> Settings:
    config = usual(*sizes)
    return {
        "model_type": "exaone",
        "activation_function": config.pop("hidden_act"),
        "layer_norm_epsilon": config.pop("rms_norm_eps"),
        "num_layers": config.pop("num_hidden_layers"),
        "rope_theta": 1_000_000,
        **config,
        "tie_word_embeddings": tied,
    }


def bailing_moe(*sizes: int, **more: Any) -> Settings:
    rotary = {"rope_theta": 600_000, "rope_scaling": None}
    off = {"use_bias": False, "use_qkv_bias": False, "norm_head": False, "norm_softmax": False}
    return {"model_type": "bailing_moe", **usual(*sizes, norm_topk_prob=True), **rotary, **off, **more}


LING_1 = {
    "moe_intermediate_size": 1408,
    "num_experts": 64,
    "num_experts_per_tok": 6,
    "num_shared_experts": 2,
    "first_k_dense_replace": 0,
}
LING_2 = {
    "head_dim": 128,
    "moe_intermediate_size": 512,
    "moe_shared_expert_intermediate_size": 512,
    "num_experts": 256,
    "num_experts_per_tok": 8,
    "num_shared_experts": 1,
    "first_k_dense_replace": 1,
    "n_group": 8,
    "topk_group": 4,
    "moe_router_enable_expert_bias": True,
    "routed_scaling_factor": 2.5,
    "score_function": "sigmoid",
    "router_dtype": "fp32",
    "use_qk_norm": True,
    "use_rmsnorm": True,
    "partial_rotary_factor": 0.5,
    "num_nextn_predict_layers": 0,
}

DEEPSEEK_MOE = {
    "model_type": "deepseek",
    **usual(2048, 10_944, 28, 16, 16, 102_400, 4096),
    "moe_intermediate_size": 1408,
    "n_routed_experts": 64,
    "n_shared_experts": 2,
    "num_experts_per_tok": 6,
    "first_k_dense_replace": 1,
    "moe_layer_freq": 1,
    "norm_topk_prob": False,
    "scoring_func": "softmax",
    "rope_theta": 10_000,
    "rope_scaling": None,
    "aux_loss_alpha": 0.001,
    "seq_aux": True,
}

MIMO = {
    "model_type": "mimo",
    **usual(4096, 11_008, 36, 32, 8, 151_680, 32_768, rope_theta=640_000),
    "head_dim": 128,
    "attention_bias": True,
    "use_sliding_window": False,
    "sliding_window": 32_768,
    "max_window_layers": 32,
    "use_mrope": False,
    "num_nextn_predict_layers": 1,
}

MISTRAL_LARGE_3 = {
    "dim": 7168,
    "hidden_dim": 16_384,
    "n_layers": 61,
    "n_heads": 128,
    "n_kv_heads": 128,
    "head_dim": 192,
    "q_lora_rank": 1536,
    "kv_lora_rank": 512,
    "qk_nope_head_dim": 128,
    "qk_rope_head_dim": 64,
    "v_head_dim": 128,
    "vocab_size": 131_072,
    "norm_eps": 1e-6,
    "rope_theta": 10_000.0,
    "max_position_embeddings": 294_912,
    "moe": {
        "num_experts": 128,
        "num_experts_per_tok": 4,
        "num_shared_experts": 1,
        "expert_hidden_dim": 4096,
        "first_k_dense_replace": 3,
    },
}

GROK_SCALE = 0.08838834764831845

GROK_1 = {
    "model_type": "grok-1",
    "hidden_size": 6144,
    "intermediate_size": 32_768,
    "num_hidden_layers": 64,
    "num_attention_heads": 48,
    "num_key_value_heads": 8,
    "vocab_size": 131_072,
    "max_position_embeddings": 8192,
    "rms_norm_eps": 1e-5,
    "attn_output_multiplier": GROK_SCALE,
    "embedding_multiplier_scale": 78.38367176906169,
    "output_multiplier_scale": 0.5773502691896257,
    "max_attn_value": 30.0,
    "num_experts": 8,
    "num_experts_per_tok": 2,
}


def block(n_heads_in_group: int | None, ffn_mult: float | None) -> Settings:
    """A layer of Nemotron-NAS; None for a sublayer that it lacks."""
    attention = {
        "n_heads_in_group": n_heads_in_group,
        "no_op": n_heads_in_group is None,
        "num_sink_tokens": None,
        "replace_with_linear": False,
        "sparsify": None,
        "unshifted_sink": False,
        "use_prefill_window_in_sink_attention": False,
        "window_length": None,
    }
    ffn = {"ffn_mult": ffn_mult, "no_op": ffn_mult is None, "replace_with_linear": False, "sparsify": None}
    return {"attention": attention, "ffn": ffn}


def replaced(layer: Settings) -> Settings:
    return layer | {"attention": layer["attention"] | {"replace_with_linear": True}}


def nemotron_nas(blocks: list[Settings], *sizes: int) -> Settings:
    config = usual(*sizes, rope_theta=500_000.0)
    empty = {"intermediate_size": None, "num_key_value_heads": None}
    return {"model_type": "nemotron-nas", **config, **empty, "block_configs": blocks}


# Llama-3_3-Nemotron-Super-49B: the widths of its layers without attention, from the bottom, as multipliers.
WITHOUT_ATTENTION = {
    **dict.fromkeys((6, 7, 43, 44, 48), 2.625),
    11: 3.28125,
    **dict.fromkeys((42, 45, 47, 49, 50, 51, 53, 56, 60, 61), 1.3125),
    46: 5.25,
    **dict.fromkeys((54, 55, 57, 58, 59, 64, 65, 68), 1.0),
    **dict.fromkeys((62, 63, 66, 67, 69, 70), 0.5),
}
SUPER = [
    block(None, WITHOUT_ATTENTION[layer]) if layer in WITHOUT_ATTENTION else block(8, 5.25 if layer else 2.625)
    for layer in range(80)
]

# Each config with the number of parameters that its authors or the header of its checkpoint state, and where.
TOTALS: dict[str, tuple[Settings, int, str]] = {
    "Baichuan-7B": (baichuan(4096, 11_008, 32, 32, 32, 64_000, 4096), 7_000_559_616, "model card"),
    "Baichuan2-7B": (baichuan(4096, 11_008, 32, 32, 32, 125_696, 4096), 7_505_973_248, "checkpoint"),
    "Baichuan-13B": (
        baichuan(5120, 13_696, 40, 40, 40, 64_000, 4096, context="model_max_length"),
        13_264_901_120,
        "model card",
    ),
    "Baichuan2-13B": (
        baichuan(5120, 13_696, 40, 40, 40, 125_696, 4096, context="model_max_length"),
        13_896_668_160,
        "checkpoint",
    ),
    "InternLM2-1.8B": (internlm2(2048, 8192, 24, 16, 8, 92_544, 32_768), 1_889_110_016, "checkpoint"),
    "InternLM2.5-7B": (internlm2(4096, 14_336, 32, 32, 8, 92_544, 32_768), 7_737_708_544, "checkpoint"),
    "InternLM2-20B": (internlm2(6144, 16_384, 48, 48, 8, 92_544, 32_768), 19_861_149_696, "checkpoint"),
    "Yi-34B": (
        {"model_type": "Yi", **usual(7168, 20_480, 60, 56, 8, 64_000, 4096, rope_theta=5_000_000.0)},
        34_388_917_248,
        "checkpoint",
    ),
    "MiniCPM-2B": (
        minicpm(2304, 5760, 40, 36, 36, 122_753, 2048),
        2_442_057_984 + 122_753 * 2304,
        "arXiv 2404.06395, table 2, without the embedding",
    ),
    "MiniCPM-1B": (
        minicpm(1536, 3840, 52, 24, 8, 73_440, 131_072),
        1_247_442_432 + 73_440 * 1536,
        "arXiv 2404.06395, table 2, without the embedding",
    ),
    "ChatGLM3-6B": (chatglm(65_024, 28, 8192, 1e-5), 6_243_584_000, "checkpoint, without 32 rotary frequencies"),
    "GLM-4-9B": (
        chatglm(151_552, 40, 131_072, 1.5625e-07, rope_ratio=500),
        9_399_951_360,
        "checkpoint, without 32 rotary frequencies",
    ),
    "Qwen-1.8B": (qwen(2048, 11_008, 24, 16), 1_836_828_672, "checkpoint"),
    "Qwen-7B": (qwen(4096, 22_016, 32, 32), 7_721_324_544, "checkpoint"),
    "Qwen-14B": (qwen(5120, 27_392, 40, 40, 152_064), 14_167_290_880, "checkpoint"),
    "Qwen-72B": (
        qwen(8192, 49_152, 80, 64, 152_064, use_dynamic_ntk=False, use_logn_attn=False),
        72_287_920_128,
        "checkpoint",
    ),
    "DeepSeek-MoE-16B": (DEEPSEEK_MOE, 16_375_728_128, "checkpoint"),
    "Ling-lite-1.5": (bailing_moe(2048, 1408, 28, 16, 4, 126_464, 32_768, **LING_1), 16_801_974_272, "checkpoint"),
    "Ling-mini-2.0": (
        bailing_moe(2048, 5120, 20, 16, 4, 157_184, 32_768, **LING_2),
        16_255_643_392,
        "checkpoint, with the router's biases",
    ),
    "EXAONE-3.0-7.8B": (exaone(4096, 14_336, 32, 32, 8, 102_400, 4096, tied=False), 7_818_448_896, "checkpoint"),
    "EXAONE-3.5-2.4B": (exaone(2560, 7168, 30, 32, 8, 102_400, 32_768, tied=True), 2_405_327_360, "checkpoint"),
    "MiMo-7B": (MIMO, 7_833_409_536, "checkpoint, with the multi-token-prediction block"),
    "Nemotron-Super-49B": (nemotron_nas(SUPER, 8192, 0, 80, 64, 8, 128_256, 131_072), 49_867_145_216, "checkpoint"),
    "OpenELM-270M": (openelm(1280, 64, 16), 271_527_168, "arXiv 2404.14619's checkpoints"),
    "OpenELM-450M": (openelm(1536, 64, 20), 457_179_136, "arXiv 2404.14619's checkpoints"),
    "OpenELM-1.1B": (openelm(2048, 64, 28), 1_079_891_456, "arXiv 2404.14619's checkpoints"),
    "OpenELM-3B": (openelm(3072, 128, 36), 3_036_647_424, "arXiv 2404.14619's checkpoints"),
}
STABLELM = {
    "model_type": "stablelm_epoch",
    **sized(2560, 6912, 32, 32, 32, 50_304, 4096),
    "hidden_act": "silu",
    "norm_eps": 1e-5,
    "rope_pct": 0.25,
    "rope_theta": 10_000,
    "rotary_scaling_factor": 1.0,
    "tie_word_embeddings": False,
    "use_qkv_bias": False,
}
TOTALS["MiniMax-M1"] = (
    {
        "model_type": "minimax_m1",
        **usual(6144, 9216, 80, 64, 8, 200_064, 10_240_000, head_dim=128, rotary_dim=64, rope_theta=10_000_000),
        "attn_type_list": [0, 0, 0, 0, 0, 0, 0, 1] * 10,
        "num_local_experts": 32,
        "num_experts_per_tok": 2,
        "postnorm": True,
        **{f"layernorm_{of}_alpha": 3.5565588200778455 for of in ("full_attention", "linear_attention", "mlp")},
    },
    456_089_655_296,
    "transformers on meta",
)
TOTALS["Mistral-Large-3"] = (MISTRAL_LARGE_3, 673_421_089_792, "transformers' mistral4 on meta")
TOTALS["StableLM-3B-4E1T"] = (STABLELM, 2_795_443_200, "model card")


@pytest.mark.parametrize("name", TOTALS)
def test_published_totals(name: str) -> None:
    config, total, _ = TOTALS[name]
    spec = import_config(config)
    biases = sum(
        getattr(spec.variants("ffn")[variant], "n_experts", 0) * n_layers
        for variant, n_layers in spec.variant_counts("ffn").items()
        if getattr(spec.variants("ffn")[variant], "selection_bias", False)
    )
    for engine in ("closed-form", "measured"):
        profile = llmarch.profile(spec, context=100, engine=engine)
        assert profile.params + profile.mtp_params + biases == total


def said(config: Settings) -> dict[str, Any]:
    """All but the name, without a scale of scores that repeats the usual one."""
    spec = import_config(config)
    found = {name: getattr(spec, name) for name in spec.field_defaults if name != "name"}
    attention = spec.attention
    if isinstance(attention, Attention) and attention.score_scale == attention.head_dim**-0.5:
        found["attention"] = attention.model_copy(update={"score_scale": None})
    return found


LLAMA = {"model_type": "llama", **usual(64, 40, 3, 4, 2, 99, 128, rope_theta=500.0)}
ALL_HEADS = LLAMA | {"num_key_value_heads": 4}
ROTATED_AS_USUAL = ALL_HEADS | {"rope_theta": 10_000.0}
EXPERTS = {"moe_intermediate_size": 12, "num_experts_per_tok": 2, "first_k_dense_replace": 1}
LING_SIZES = {"head_dim": 20, "moe_shared_expert_intermediate_size": 12, "use_qkv_bias": False, "norm_topk_prob": True}
QWEN_2 = {"model_type": "qwen2", **usual(64, 40, 3, 4, 4, 99, 128, rope_theta=500.0)}
MULTIPLIED = {
    "embedding_multiplier": 7,
    "residual_multiplier": 1.5 / 3**0.5,
    "logits_scaling": 64 / 16,
    "attention_multiplier": 0.25,
}
SCALED = {"scale_emb": 7, "scale_depth": 1.5, "dim_model_base": 16, "mup_denominator": 3}


def without(config: Settings, *names: str) -> Settings:
    return {name: value for name, value in config.items() if name not in names}


def like(config: Settings, model_type: str, **more: Any) -> Settings:
    return {**config, "model_type": model_type, **more}


SUBLAYERS = ("full_attention", "linear_attention", "mlp")
MINIMAX = LLAMA | {"head_dim": 16, "rotary_dim": 8, "num_local_experts": 4, "num_experts_per_tok": 3}

# Each config with one of a family of transformers, which its own tests hold to transformers.
ALIKE: dict[str, tuple[Settings, Settings]] = {
    **{name: (like(LLAMA, name), LLAMA) for name in ("Yi", "aquila", "skywork", "xverse")},
    "baichuan": (
        like(without(ROTATED_AS_USUAL, "rope_theta", "num_key_value_heads"), "baichuan", model_max_length=128),
        ROTATED_AS_USUAL,
    ),
    "internlm": (
        like(without(ALL_HEADS, "rope_theta"), "internlm", bias=True, rotary={"base": 500, "type": "origin"}),
        ALL_HEADS | {"attention_bias": True},
    ),
    "internlm, dynamic": (
        like(without(ALL_HEADS, "rope_theta"), "internlm", bias=False, rotary={"base": 500, "type": "dynamic"}),
        ALL_HEADS | {"rope_scaling": {"rope_type": "dynamic", "factor": 1.0}},
    ),
    "internlm2": (like(LLAMA, "internlm2", bias=True), LLAMA | {"attention_bias": True}),
    "PanguEmbedded": (like(LLAMA, "PanguEmbedded", bias=True), LLAMA | {"attention_bias": True}),
    "orion": (
        like(LLAMA, "orion"),
        like(without(LLAMA, "rms_norm_eps"), "stablelm", layer_norm_eps=1e-6, partial_rotary_factor=1.0),
    ),
    "stablelm_epoch": (
        like(without(LLAMA, "rms_norm_eps"), "stablelm_epoch", norm_eps=1e-6, rope_pct=0.5, use_qkv_bias=True),
        like(
            without(LLAMA, "rms_norm_eps"),
            "stablelm",
            layer_norm_eps=1e-6,
            partial_rotary_factor=0.5,
            use_qkv_bias=True,
        ),
    ),
    "minicpm": (like(LLAMA, "minicpm", **SCALED), like(LLAMA, "granite", **MULTIPLIED)),
    "minicpm, experts": (
        like(LLAMA, "minicpm", num_experts=5, num_experts_per_tok=2, **SCALED),
        like(LLAMA, "granitemoe", num_local_experts=5, num_experts_per_tok=2, **MULTIPLIED),
    ),
    "qwen": (
        {
            **without(qwen(64, 80, 3, 4, 99), "kv_channels", "max_position_embeddings"),
            "kv_channels": 16,
            "max_position_embeddings": 128,
            "rotary_emb_base": 500,
            "use_dynamic_ntk": False,
            "use_logn_attn": False,
        },
        QWEN_2,
    ),
    "chatglm": (
        chatglm(99, 3, 128, 1e-6, rope_ratio=0.05)
        | {"hidden_size": 64, "ffn_hidden_size": 40, "kv_channels": 16, "num_attention_heads": 4},
        like(LLAMA, "glm", head_dim=16, attention_bias=True, partial_rotary_factor=0.5),
    ),
    "mimo": (like(LLAMA, "mimo", num_nextn_predict_layers=0), like(LLAMA, "qwen2")),
    "hunyuan": (
        like(LLAMA, "hunyuan", head_dim=None, attention_head_dim=16, num_experts=1, moe_topk=1, num_shared_expert=1),
        like(LLAMA, "hunyuan_v1_dense"),
    ),
    "hunyuan, experts": (
        like(LLAMA, "hunyuan", head_dim=None, num_experts=4, moe_topk=[1, 2, 2], num_shared_expert=1),
        like(LLAMA, "hunyuan_v1_moe", num_experts=4, moe_topk=[1, 2, 2]),
    ),
    "bailing_moe": (
        like(LLAMA, "bailing_moe", **(LING_2 | EXPERTS | LING_SIZES)),
        like(LLAMA, "glm4_moe", **EXPERTS, head_dim=20, use_qk_norm=True, partial_rotary_factor=0.5, num_mtp_layers=0)
        | {"n_routed_experts": 256, "n_group": 8, "topk_group": 4, "routed_scaling_factor": 2.5, "n_shared_experts": 1},
    ),
    "deci": (like(without(LLAMA, "num_key_value_heads"), "deci", num_key_value_heads_per_layer=[2, 2, 2]), LLAMA),
    "nemotron-nas": (
        like(nemotron_nas([block(2, 3.0)] * 3, 512, 0, 3, 4, 0, 99, 128), "nemotron-nas", rope_theta=500.0),
        LLAMA | {"hidden_size": 512, "intermediate_size": 1024},
    ),
    "openelm": (
        openelm(64, 16, 3) | {"qkv_multipliers": 1.0, "num_gqa_groups": 2, "ffn_multipliers": 4.0, "vocab_size": 99},
        like(LLAMA, "qwen3", head_dim=16, intermediate_size=256, rope_theta=10_000.0, tie_word_embeddings=True)
        | {"max_position_embeddings": 2048},
    ),
    **{
        name: (
            like(MINIMAX, name, attn_type_list=[0, 1, 0], **{f"layernorm_{of}_alpha": 1.5 for of in SUBLAYERS}),
            like(MINIMAX, "minimax", layer_types=["linear_attention", "full_attention", "linear_attention"])
            | {f"{of}_alpha_factor": 1.5 for of in ("full_attn", "linear_attn", "mlp")},
        )
        for name in ("minimax_text_01", "minimax_m1")
    },
    "exaone": (
        exaone(64, 40, 3, 4, 2, 99, 128, tied=True) | {"rope_theta": 500.0},
        LLAMA | {"tie_word_embeddings": True},
    ),
}


@pytest.mark.parametrize("name", ALIKE)
def test_built_like_a_family_of_transformers(name: str) -> None:
    ours, theirs = ALIKE[name]
    assert said(ours) == said(theirs)


def test_experts_of_the_first_deepseek_and_ling() -> None:
    """Softmax over all experts and ungated shared ones, as in DeepSeek V2; renormalised as in Qwen 2."""
    experts = {**EXPERTS, "n_routed_experts": 5, "n_shared_experts": 2}
    theirs = import_config(like(ALL_HEADS, "deepseek_v2", **experts, topk_method="greedy"))
    assert import_config(like(LLAMA, "deepseek", norm_topk_prob=False, **experts)).ffn == theirs.ffn
    renormalised = import_config(like(LLAMA, "deepseek", norm_topk_prob=True, **experts)).ffn
    ling = {**EXPERTS, "num_experts": 5, "num_shared_experts": 2, "norm_topk_prob": True, "use_qkv_bias": False}
    assert import_config(like(LLAMA, "bailing_moe", **ling)).ffn == renormalised != theirs.ffn


@pytest.mark.parametrize(
    ("name", "alibi", "normalized", "note"),
    [
        ("Baichuan-7B", False, False, "a 7B model, which rotates, of the first Baichuan."),
        ("Baichuan2-7B", False, True, "a 7B model, which rotates, of Baichuan 2, whose head has rows of length 1."),
        ("Baichuan-13B", "unscaled", False, "a 13B model, with ALiBi, of the first Baichuan."),
        ("Baichuan2-13B", "unscaled", True, "a 13B model, with ALiBi, of Baichuan 2, whose head has rows of length 1."),
    ],
)
def test_the_forms_of_baichuan_are_told_by_their_keys(
    name: str, alibi: bool | str, normalized: bool, note: str
) -> None:
    found = imported(TOTALS[name][0])
    assert (getattr(found.spec.attention, "alibi", None), found.spec.head_norm) == (alibi, normalized)
    assert found.notes == (f"Read as {note}",)


def test_grok_1() -> None:
    """314 billion parameters are those outside the embedding. A port with a head of its own has 316.49 billion."""
    spec = import_config(GROK_1)
    profile = llmarch.profile(spec, context=100)
    embedding = spec.vocab_size * spec.d_model
    assert (profile.params - embedding) // 10**9 == 314
    assert round((profile.params + embedding) / 1e9, 2) == 316.49
    assert (spec.norm_placement, spec.embedding_scale, spec.logit_scale) == (
        "sandwich",
        78.38367176906169,
        0.5773502691896257,
    )
    assert spec.attention == Attention(
        kind="gqa", n_heads=48, n_kv_heads=8, head_dim=128, rope_theta=10_000.0, softcap=30.0, score_scale=GROK_SCALE
    )
    assert spec.ffn == Experts(kind="moe", n_experts=8, top_k=2, d_ff=32_768, activation="gelu", renormalize=False)


def test_layers_without_a_sublayer() -> None:
    blocks = [block(2, 3.0), block(None, 1.0), block(None, None), block(4, None), block(2, 3.0)]
    found = imported(nemotron_nas(blocks, 512, 0, 5, 4, 0, 99, 128))
    assert found.notes == ("1 of 5 layers have no sublayer and are left out: they change nothing.",)
    attention, ffn = found.spec.variants("attention"), found.spec.variants("ffn")
    layers = [
        (getattr(attention.get(layer.attention), "n_kv_heads", None), getattr(ffn.get(layer.ffn), "d_ff", None))
        for layer in found.spec.layers
    ]
    assert layers == [(2, 1024), (None, 512), (1, None), (2, 1024)]


def test_heads_of_each_layer() -> None:
    config = like(without(LLAMA, "num_key_value_heads"), "deci", num_key_value_heads_per_layer=[4, 1, 2])
    spec = import_config(config)
    kv_heads = [getattr(spec.variants("attention")[layer.attention], "n_kv_heads", None) for layer in spec.layers]
    assert kv_heads == [4, 1, 2]


def test_layers_that_share_keys_and_values() -> None:
    """HunYuan-Large: 389 billion parameters, 52 billion active (arXiv 2411.02265)."""
    config = usual(6400, 18_304, 64, 80, 8, 128_512, 131_072) | {"model_type": "hunyuan", "rope_theta": 1e4}
    config |= {"num_experts": 16, "moe_topk": 1, "num_shared_expert": 1, "use_cla": True, "cla_share_factor": 2}
    profile = llmarch.profile(import_config(config), context=1024)
    assert (profile.params // 10**9, profile.active_params // 10**9) == (389, 52)
    assert profile.kv_cache_bytes == 32 * 1024 * 2 * 8 * 80 * 2
    unshared = llmarch.profile(import_config(config | {"use_cla": False}), context=1024)
    assert unshared.params - profile.params == 32 * 2 * 6400 * 640


NAS = nemotron_nas([block(2, 3.0)] * 2, 512, 0, 2, 4, 0, 99, 128)

# Each is a feature that would change the architecture, with the key that turns it on.
REFUSED: dict[str, tuple[Settings, Settings]] = {
    "rope_theta": (ALIKE["baichuan"][0], {"rope_theta": 500.0}),
    "sparse_config": (ALIKE["minicpm"][0], {"sparse_config": {"kernel_size": 32}}),
    "mup_denominator": (ALIKE["minicpm"][0], {"mup_denominator": 32}),
    "post_layer_norm": (TOTALS["ChatGLM3-6B"][0], {"post_layer_norm": False}),
    "pre_seq_len": (TOTALS["ChatGLM3-6B"][0], {"pre_seq_len": 128}),
    "scale_attn_weights": (ALIKE["qwen"][0], {"scale_attn_weights": False}),
    "cla_share_factor": (ALIKE["hunyuan"][0], {"use_cla": True}),
    "use_cla": (like(LLAMA, "hunyuan_v1_dense"), {"use_cla": True}),
    "mlp_beta_factor": (ALIKE["minimax_m1"][0], {"layernorm_mlp_beta": 0.5}),
    "postnorm": (ALIKE["minimax_m1"][0], {"postnorm": False}),
    "shared_intermediate_size": (ALIKE["minimax_m1"][0], {"shared_intermediate_size": 64}),
    "attn_type_list": (ALIKE["minimax_m1"][0], {"attn_type_list": [0, 1, 2]}),
    "norm_head": (TOTALS["Ling-lite-1.5"][0], {"norm_head": True}),
    "norm_topk_prob": (TOTALS["Ling-mini-2.0"][0], {"norm_topk_prob": False}),
    "rotary_dim": (TOTALS["Ling-mini-2.0"][0], {"rotary_dim": 32}),
    "replace_with_linear": (NAS, {"block_configs": [replaced(block(2, 3.0)), block(2, 3.0)]}),
    "n_heads_in_group": (NAS, {"block_configs": [block(3, 3.0), block(2, 3.0)]}),
    "ffn_mult": (NAS, {"block_configs": [block(2, 0.0), block(2, 3.0)]}),
    "block_configs": (NAS, {"block_configs": [block(2, None)] * 2}),
    "num_query_heads": (ALIKE["openelm"][0], {"num_query_heads": [4, 4, 5]}),
    "qkv_multipliers": (ALIKE["openelm"][0], {"qkv_multipliers": [1.0, 1.0, 1.0]}),
}


@pytest.mark.parametrize("key", REFUSED)
def test_what_no_spec_expresses_is_refused_by_its_key(key: str) -> None:
    config, change = REFUSED[key]
    with pytest.raises(InputError, match=key):
        import_config(config | change)


COMPLETE = {config["model_type"]: config for config in (*(each[0] for each in ALIKE.values()), GROK_1, DEEPSEEK_MOE)}


def test_every_family_is_here() -> None:
    """Grok 2, MiniMax M3 and Mistral's own format have tests of their own."""
    assert {*COMPLETE, "grok-2", "minimax_m3", "mistral-params"} == set(REMOTE)


@pytest.mark.parametrize("family", COMPLETE)
def test_every_size_is_required(family: str) -> None:
    config = COMPLETE[family]
    sizes = [name for name, value in config.items() if type(value) is int and value > 2 and name not in REPEATED]
    assert len(sizes) > 4
    for name in sizes:
        with pytest.raises(InputError, match=r"required, but missing|unknown key"):
            import_config(without(config, name, "model_max_length"))


def test_a_missing_key_is_named_as_the_family_calls_it() -> None:
    with pytest.raises(
        InputError, match="num_hidden_layers: required, but missing; the family also calls it num_layers"
    ):
        import_config(without(TOTALS["ChatGLM3-6B"][0], "num_layers"))


def test_a_check_says_that_there_is_no_class() -> None:
    with pytest.raises(InputError, match="no class for the family Yi"):
        compare_with_transformers(imported(ALIKE["Yi"][0]), 0)


def test_a_bare_decoder_is_read_if_its_code_has_a_head() -> None:
    config = TOTALS["ChatGLM3-6B"][0]
    with pytest.raises(InputError, match="has no language-model head"):
        import_config(without(config, "auto_map"))
    with pytest.raises(InputError, match="has no language-model head"):
        import_config(config | {"architectures": ["ChatGLMForSequenceClassification"]})


def test_a_family_goes_before_the_class_of_another() -> None:
    assert imported(GROK_1 | {"architectures": ["Grok1ForCausalLM"]}).family == "grok-1"


@pytest.mark.parametrize("family", ["Yi", "grok-1", "bailing_moe", "deepseek", "PanguEmbedded", "orion"])
def test_key_heads_are_required_where_a_class_has_a_number_of_its_own(family: str) -> None:
    """Their config classes have 4 to 40, whatever the number of heads is."""
    config = {"model_type": family, "hidden_size": 64, "num_attention_heads": 4, "num_hidden_layers": 2}
    config |= {"rms_norm_eps": 1e-5, "vocab_size": 96, "intermediate_size": 48, "max_position_embeddings": 64}
    config |= {"hidden_act": "silu", "rope_theta": 10_000.0, "bias": False, "num_experts_per_tok": 2}
    config |= {"attn_output_multiplier": 0.1, "max_attn_value": 30.0, "moe_intermediate_size": 16}
    config |= {"norm_topk_prob": True, "n_routed_experts": 4, "first_k_dense_replace": 0, "use_qkv_bias": False}
    with pytest.raises(InputError, match="num_key_value_heads: required"):
        import_config(config)
