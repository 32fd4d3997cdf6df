"""Small configs of the families in `families/experts.py`."""

from __future__ import annotations

from typing import Any

from drawn import CHOICE, EXPERTS, MULTIPLIERS, QWEN_EXPERTS, Settings, flags, widths, windows
from hypothesis import strategies as st

OPTIONS: dict[str, dict[str, st.SearchStrategy[Any]]] = {
    "mixtral": {**EXPERTS, "head_dim": st.sampled_from((4, 6)), "sliding_window": windows},
    "qwen3_moe": {**QWEN_EXPERTS, "attention_bias": flags, "use_sliding_window": flags, "head_dim": st.just(6)},
    "olmoe": {
        "num_experts_per_tok": st.integers(1, 3),
        "num_experts": st.integers(3, 6),
        "norm_topk_prob": flags,
        "attention_bias": flags,
        "clip_qkv": st.sampled_from((None, 8.0)),
    },
    "flex_olmo": {**CHOICE, "norm_topk_prob": flags, "attention_bias": flags},
    "granitemoe": {**EXPERTS, **MULTIPLIERS, "attention_bias": flags},
    "minimax_m2": {**EXPERTS, "head_dim": st.just(8), "rotary_dim": st.sampled_from((4, 8))},
    "phimoe": {
        "num_local_experts": st.integers(3, 6),
        "router_jitter_noise": st.sampled_from((0.0, 0.01, 0.4)),
        "attention_bias": flags,
        "lm_head_bias": flags,
        "sliding_window": st.sampled_from((None, 1, 7, 4096)),
    },
    "dbrx": {},
}

NEEDED: dict[str, Settings] = {
    "dbrx": {"attn_config": {"rope_theta": 10_000.0}},
}

ALWAYS: dict[str, tuple[str, ...]] = {
    "mixtral": ("head_dim",),  # without one, its class cannot be stretched
    **dict.fromkeys(("qwen3_moe", "olmoe", "flex_olmo"), ("num_experts", "num_experts_per_tok")),
    "minimax_m2": ("num_local_experts", "num_experts_per_tok"),
}

OWN_ROPE = ("phimoe",)


def of_family(draw: st.DrawFn, family: str, config: Settings) -> None:
    """What follows from other settings, and what a family calls otherwise."""
    match family:
        case "phimoe" if draw(flags):
            factors = st.lists(st.floats(1.0, 4.0), min_size=1, max_size=1)
            n_pairs = config["hidden_size"] // config["num_attention_heads"] // 2
            config["rope_scaling"] = {
                "type": "longrope",
                "short_factor": draw(factors) * n_pairs,
                "long_factor": draw(factors) * n_pairs,
                "short_mscale": 1.25,
                "long_mscale": 1.25,
                "original_max_position_embeddings": 64,
            }
        case "dbrx":
            _dbrx(draw, config)
        case _:
            pass


def _dbrx(draw: st.DrawFn, config: Settings) -> None:
    for usual, own in (
        ("hidden_size", "d_model"),
        ("num_hidden_layers", "n_layers"),
        ("num_attention_heads", "n_heads"),
        ("max_position_embeddings", "max_seq_len"),
    ):
        config[own] = config.pop(usual)
    del config["intermediate_size"], config["tie_word_embeddings"]
    settings = config.get("rope_parameters") or config.get("rope_scaling") or {}
    config["attn_config"] = {
        "kv_n_heads": config.pop("num_key_value_heads"),
        "rope_theta": settings.get("rope_theta", config.get("rope_theta", 10_000.0)),
        "clip_qkv": draw(st.sampled_from((0.5, 8))),
    }
    config["ffn_config"] = {
        "ffn_hidden_size": draw(widths),
        "moe_num_experts": draw(st.integers(3, 6)),
        "moe_top_k": draw(st.integers(1, 3)),
        "moe_normalize_expert_weights": draw(st.sampled_from((None, 1.0))),
    }
