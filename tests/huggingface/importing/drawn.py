"""Small configs of every family, with the settings that change what a model is made of."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

Settings = dict[str, Any]

# What transformers' classes lack a default for, in the words of its own configs.
NEEDED: dict[str, Settings] = {
    "deepseek_v2": {"num_experts_per_tok": 6},
    "dots1": {"n_shared_experts": 2, "n_routed_experts": 128, "num_experts_per_tok": 6},
    "hunyuan_v1_dense": {"head_dim": 128},
    "hunyuan_v1_moe": {"head_dim": 128},
    "ministral": {"head_dim": 128},
    "nemotron": {"num_key_value_heads": 8},
}

FULL, SLIDING, CHUNKED = "full_attention", "sliding_attention", "chunked_attention"

flags = st.booleans()
widths = st.integers(3, 40)
scales = st.sampled_from((0.5, 1.0, 12.0))
windows = st.sampled_from((None, 1, 7, 4096))
acts = st.sampled_from(("silu", "gelu", "gelu_new", "gelu_pytorch_tanh", "relu"))

BIASES = {"attention_bias": flags, "mlp_bias": flags}
GEMMA = {"attention_bias": flags, "head_dim": st.sampled_from((4, 8)), "rms_norm_eps": st.just(1e-5)}
SWITCHED = {"use_sliding_window": flags, "sliding_window": st.just(16), "max_window_layers": st.integers(0, 4)}
EXPERTS = {"num_experts_per_tok": st.integers(1, 3), "num_local_experts": st.integers(3, 6)}
QWEN_EXPERTS = {
    "num_experts_per_tok": st.integers(1, 3),
    "num_experts": st.integers(3, 6),
    "moe_intermediate_size": widths,
    "decoder_sparse_step": st.integers(1, 3),
    "mlp_only_layers": st.sampled_from(([], [0], [1, 3])),
    "norm_topk_prob": flags,
}
ROUTED = {
    "n_routed_experts": st.sampled_from((4, 8)),
    "n_shared_experts": st.integers(1, 2),
    "num_experts_per_tok": st.integers(1, 2),
    "moe_intermediate_size": widths,
    "first_k_dense_replace": st.integers(0, 4),
    "norm_topk_prob": flags,
    "routed_scaling_factor": scales,
}
LATENT = {
    "q_lora_rank": st.none() | widths,
    "kv_lora_rank": widths,
    "qk_nope_head_dim": widths,
    "qk_rope_head_dim": st.sampled_from((2, 6)),
    "v_head_dim": widths,
    "attention_bias": flags,
}
SCALED = ("embedding_multiplier", "logits_scaling", "residual_multiplier", "attention_multiplier")
MULTIPLIERS = dict.fromkeys(SCALED, scales)

GPT2 = {"n_inner": st.none() | widths, "scale_attn_weights": flags}

# The settings of each family beyond its sizes; each may be absent.
OPTIONS: dict[str, dict[str, st.SearchStrategy[Any]]] = {
    "llama": {**BIASES, "head_dim": st.sampled_from((None, 2, 10))},
    "mistral": {"head_dim": st.sampled_from((None, 2, 10)), "sliding_window": windows},
    "arcee": {**BIASES, "head_dim": st.sampled_from((None, 6))},
    "seed_oss": {**BIASES, "attention_out_bias": flags, "head_dim": st.sampled_from((None, 6))},
    "ernie4_5": {"use_bias": flags, "head_dim": st.sampled_from((None, 6))},
    "phi3": {"sliding_window": windows},
    "qwen2": SWITCHED,
    "qwen3": {**SWITCHED, "attention_bias": flags, "head_dim": st.just(6)},
    "internlm3": {"attention_bias": flags, "head_dim": st.sampled_from((None, 6))},
    "iquestcoder": {**BIASES, "head_dim": st.sampled_from((None, 6))},
    "cwm": {"mlp_bias": flags, "head_dim": st.sampled_from((2, 6)), "sliding_window": st.just(9)},
    "ministral": {"head_dim": st.sampled_from((2, 10)), "sliding_window": st.just(9)},
    "ministral3": {"head_dim": st.sampled_from((2, 10)), "sliding_window": windows},
    "helium": BIASES,
    "glm": {"attention_bias": flags, "head_dim": st.sampled_from((8, 6)), "partial_rotary_factor": st.just(0.5)},
    "granite": {**BIASES, **MULTIPLIERS},
    "glm4": {"attention_bias": flags, "head_dim": st.sampled_from((8, 6)), "partial_rotary_factor": st.just(0.5)},
    "apertus": {"attention_bias": flags},
    "gemma": GEMMA,
    "gemma2": {**GEMMA, "sliding_window": st.just(9), "query_pre_attn_scalar": st.sampled_from((4, 144))},
    "gemma3_text": {**GEMMA, "sliding_window": st.just(9), "sliding_window_pattern": st.integers(1, 4)},
    "olmo2": {"attention_bias": flags},
    "olmo3": {"attention_bias": flags, "sliding_window": st.just(9)},
    "exaone4": {"sliding_window": st.just(9), "sliding_window_pattern": st.integers(1, 4)},
    "smollm3": {**BIASES, "use_sliding_window": flags, "sliding_window": windows},
    "gpt2": GPT2,
    "gpt-sw3": GPT2,
    "gpt_neox": {"attention_bias": flags, "use_parallel_residual": flags, "rotary_pct": st.sampled_from((0.5, 1.0))},
    "starcoder2": {"use_bias": flags, "sliding_window": windows},
    "nemotron": {**BIASES, "head_dim": st.just(8), "partial_rotary_factor": st.sampled_from((0.5, 1.0))},
    "olmo": {"attention_bias": flags, "clip_qkv": st.sampled_from((None, 8.0))},
    "stablelm": {
        "use_qkv_bias": flags,
        "qk_layernorm": flags,
        "use_parallel_residual": flags,
        "partial_rotary_factor": st.sampled_from((0.5, 1.0)),
    },
    "cohere": {"attention_bias": flags, "use_qk_norm": flags, "logit_scale": scales},
    "cohere2": {"attention_bias": flags, "sliding_window": st.just(9), "sliding_window_pattern": st.integers(1, 3)},
    "falcon": {
        "bias": flags,
        "alibi": flags,
        "multi_query": flags,
        "parallel_attn": flags,
        "ffn_hidden_size": st.none() | widths,
    },
    "mixtral": {**EXPERTS, "head_dim": st.sampled_from((4, 6)), "sliding_window": windows},
    "qwen2_moe": {**QWEN_EXPERTS, **SWITCHED, "shared_expert_intermediate_size": widths, "qkv_bias": flags},
    "qwen3_moe": {**QWEN_EXPERTS, "attention_bias": flags, "use_sliding_window": flags, "head_dim": st.just(6)},
    "olmoe": {
        "num_experts_per_tok": st.integers(1, 3),
        "num_experts": st.integers(3, 6),
        "norm_topk_prob": flags,
        "attention_bias": flags,
        "clip_qkv": st.sampled_from((None, 8.0)),
    },
    "granitemoe": {**EXPERTS, **MULTIPLIERS, "attention_bias": flags},
    "minimax_m2": {**EXPERTS, "head_dim": st.just(8), "rotary_dim": st.sampled_from((4, 8))},
    "ernie4_5_moe": {
        "moe_k": st.integers(1, 3),
        "moe_num_experts": st.integers(3, 6),
        "moe_num_shared_experts": st.integers(0, 2),
        "moe_intermediate_size": widths,
        "moe_layer_start_index": st.integers(0, 3),
        "moe_layer_end_index": st.sampled_from((-1, 2)),
        "moe_layer_interval": st.integers(1, 2),
        "use_bias": flags,
    },
    "dots1": {**ROUTED, "attention_bias": flags, "sliding_window": windows, "max_window_layers": st.integers(0, 4)},
    "glm4_moe": {**ROUTED, "attention_bias": flags, "use_qk_norm": flags, "n_group": st.sampled_from((1, 2))},
    "gpt_oss": {**EXPERTS, "head_dim": st.just(6), "sliding_window": st.just(9), "attention_bias": flags},
    "llama4_text": {
        **EXPERTS,
        "head_dim": st.just(6),
        "attention_bias": flags,
        "use_qk_norm": flags,
        "intermediate_size_mlp": widths,
        "interleave_moe_layer_step": st.integers(1, 3),
        "moe_layers": st.sampled_from((None, [0], [1, 2])),
        "no_rope_layer_interval": st.integers(1, 4),
        "attention_chunk_size": st.just(9),
        "attn_temperature_tuning": flags,
    },
    "hunyuan_v1_dense": {"attention_bias": flags},
    "hunyuan_v1_moe": {"attention_bias": flags, "num_experts": st.integers(3, 5)},
    "deepseek_v2": {**LATENT, **ROUTED, "mlp_bias": flags, "norm_topk_prob": st.just(False)},
    "deepseek_v3": {**LATENT, **ROUTED, "rope_interleave": flags, "n_group": st.just(2), "topk_group": st.just(1)},
}

# What must not be absent: the class's own value is large, or fits no small model.
ALWAYS: dict[str, tuple[str, ...]] = {
    "deepseek_v2": ("num_experts_per_tok",),
    "deepseek_v3": ("n_routed_experts", "num_experts_per_tok", "n_group", "topk_group"),
    "dots1": ("n_routed_experts", "n_shared_experts", "num_experts_per_tok"),
    "glm4_moe": ("n_routed_experts", "num_experts_per_tok"),
    "ernie4_5_moe": ("moe_num_experts", "moe_k"),
    "stablelm": ("partial_rotary_factor",),  # the class rotates a quarter: an odd number of values in small heads
    "mixtral": ("head_dim",),  # without one, its class cannot be stretched
    "olmoe": ("num_experts", "num_experts_per_tok"),
    "qwen3_moe": ("num_experts", "num_experts_per_tok"),
    "minimax_m2": ("num_local_experts", "num_experts_per_tok"),
    "qwen2_moe": ("num_experts", "num_experts_per_tok"),
}

# Families that rotate nothing, or have rotary settings of their own.
OWN_ROPE: tuple[str, ...] = ("gpt2", "gpt-sw3", "gemma3_text", "olmo3", "phi3", "falcon", "ministral3")
ROPES: tuple[Settings, ...] = (
    {},
    {"rope_theta": 500_000.0},
    {"rope_theta": 30.0, "rope_scaling": None},
    {"rope_scaling": {"type": "linear", "factor": 2.0}},
    {"rope_parameters": {"rope_type": "linear", "factor": 2.0, "rope_theta": 30.0}},
    {
        "rope_scaling": {
            "rope_type": "llama3",
            "factor": 8.0,
            "low_freq_factor": 1.0,
            "high_freq_factor": 4.0,
            "original_max_position_embeddings": 64,
        }
    },
    {"rope_scaling": {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 64, "truncate": False}},
)


@st.composite
def configs(draw: st.DrawFn, family: str) -> Settings:
    """A config of `family` as its file could have it, without `model_type`."""
    n_kv_heads, group, n_layers = draw(st.integers(1, 3)), draw(st.integers(1, 3)), draw(st.integers(1, 6))
    n_heads = n_kv_heads * group
    config: Settings = {
        "vocab_size": draw(st.integers(5, 90)),
        "hidden_size": n_heads * draw(st.sampled_from((4, 8, 12))),
        "intermediate_size": draw(widths),
        "num_hidden_layers": n_layers,
        "num_attention_heads": n_heads,
        "num_key_value_heads": draw(st.just(n_kv_heads)),
        "tie_word_embeddings": draw(flags),
        "max_position_embeddings": 512,
        "pad_token_id": None,
    }
    options = OPTIONS[family]
    for name in options:
        if name in ALWAYS.get(family, ()) or draw(flags):
            config[name] = draw(options[name])
    for name, value in NEEDED.get(family, {}).items():
        if name not in config and name != "num_key_value_heads":
            config[name] = 2 if "experts" in name else value
    if family not in OWN_ROPE:
        config.update(draw(st.sampled_from(ROPES)))
    _of_family(draw, family, config)
    return config


def _of_family(draw: st.DrawFn, family: str, config: Settings) -> None:
    """What follows from other settings, and what a family calls otherwise."""
    n_layers = config["num_hidden_layers"]
    match family:
        case "gpt2" | "gpt-sw3":
            names = (("n_embd", "hidden_size"), ("n_layer", "num_hidden_layers"), ("n_head", "num_attention_heads"))
            for own, usual in (*names, ("n_positions", "max_position_embeddings")):
                config[own] = config.pop(usual)
            del config["intermediate_size"], config["num_key_value_heads"]
        case "gpt_neox":
            del config["num_key_value_heads"]
            config["hidden_act"] = draw(acts)
            config.pop("rope_theta", None)
        case "falcon":
            config["num_kv_heads"] = config.pop("num_key_value_heads")
            del config["intermediate_size"]
            if draw(flags):
                config.update(new_decoder_architecture=True, parallel_attn=True)
                config["num_ln_in_parallel_attn"] = draw(st.sampled_from((None, 1, 2)))
            elif not config.get("multi_query", True):
                config["num_kv_heads"] = None
        case "helium":
            config["head_dim"] = config["hidden_size"] // config["num_attention_heads"]
        case "internlm3" if "attention_bias" in config:
            config["mlp_bias"] = config["attention_bias"]
        case "ministral3" if draw(flags):
            config["rope_parameters"] = {
                "rope_type": draw(st.sampled_from(("default", "yarn"))),
                "rope_theta": 30.0,
                "original_max_position_embeddings": draw(st.sampled_from((5, 64))),
                "llama_4_scaling_beta": draw(scales),
            }
            if config["rope_parameters"]["rope_type"] == "yarn":
                config["rope_parameters"]["factor"] = 4.0
        case "apertus":
            config.pop("rope_theta", None)  # its class stretches a theta of its own where nothing else is said
        case "deepseek_v2" | "deepseek_v3":
            config["num_key_value_heads"] = config["num_attention_heads"]
            if family == "deepseek_v2" and draw(flags):
                config.update(topk_method="group_limited_greedy", n_group=2, topk_group=1)
                config["n_routed_experts"] = 8
        case "gemma2" | "gemma3_text" | "olmo3" | "gpt_oss" | "cohere2" | "cwm" | "ministral":
            if draw(flags):
                types = st.sampled_from((FULL, SLIDING))
                config["layer_types"] = draw(st.lists(types, min_size=n_layers, max_size=n_layers))
        case "smollm3" | "llama4_text":
            if draw(flags):
                config["no_rope_layers"] = draw(st.lists(st.integers(0, 1), min_size=n_layers, max_size=n_layers))
        case "hunyuan_v1_moe":
            config["moe_topk"] = draw(st.integers(1, 3) if "num_experts" in config else st.just(1))
        case "glm4_moe" if config.get("n_group", 1) > 1:
            config["topk_group"] = 1
        case _ if family in OF_FAMILY:
            OF_FAMILY[family](draw, family, config)
        case _:
            pass


# The same for the families of further modules, in `drawn_<module>.py`.
OF_FAMILY: dict[str, Callable[[st.DrawFn, str, Settings], None]] = {}
for _path in sorted(Path(__file__).parent.glob("drawn_*.py")):
    _module = import_module(_path.stem)
    OPTIONS.update(_module.OPTIONS)
    NEEDED.update(_module.NEEDED)
    ALWAYS.update(_module.ALWAYS)
    OWN_ROPE = (*OWN_ROPE, *getattr(_module, "OWN_ROPE", ()))
    OF_FAMILY.update(dict.fromkeys(_module.OPTIONS, _module.of_family))
