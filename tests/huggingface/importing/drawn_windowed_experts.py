"""Small configs of the families in `families/windowed_experts.py`."""

from __future__ import annotations

from typing import Any

from drawn import (
    CHOICE,
    CHOSEN,
    EXPERTS,
    FULL,
    GRANITE_EXPERTS,
    GROUPED,
    SLIDING,
    Settings,
    by_type,
    flags,
    layer_thetas,
    layer_types,
    mlp_layer_types,
    no_rope_layers,
    scales,
    widths,
)
from hypothesis import strategies as st

OPTIONS: dict[str, dict[str, st.SearchStrategy[Any]]] = {
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
    "flint": {
        **CHOICE,
        "head_dim": st.sampled_from((4, 6)),
        "attention_bias": flags,
        "moe_intermediate_size": widths,
        "shared_expert_intermediate_size": widths,
        "norm_topk_prob": flags,
        "decoder_sparse_step": st.integers(1, 2),
        "mlp_only_layers": st.sampled_from((None, [], [0, 3])),
        "sliding_window": st.just(9),
    },
    "mellum": {
        **CHOICE,
        "head_dim": st.sampled_from((4, 6)),
        "attention_bias": flags,
        "moe_intermediate_size": widths,
        "norm_topk_prob": flags,
        "sliding_window": st.just(9),
    },
    "granitemoe_swa": {**GRANITE_EXPERTS, "sliding_window": st.just(9)},
    "exaone_moe": {
        **GROUPED,
        "head_dim": st.just(6),
        "sliding_window": st.just(9),
        "sliding_window_pattern": st.integers(1, 4),
        "first_k_dense_replace": st.integers(0, 4),
        "num_experts": st.sampled_from((4, 8)),
        "num_shared_experts": st.integers(1, 2),
    },
    "kolibri1": {
        **CHOICE,
        "head_dim": st.just(6),
        "sliding_window": st.just(9),
        "norm_topk_prob": flags,
        "moe_intermediate_size": widths,
        "shared_expert_intermediate_size": widths,
    },
    "cohere2_moe": {
        **CHOICE,
        "head_dim": st.just(6),
        "attention_bias": flags,
        "rms_norm_eps": st.sampled_from((None, 1e-5)),
        "logit_scale": scales,
        "sliding_window": st.just(9),
        "sliding_window_pattern": st.integers(1, 3),
        "first_k_dense_replace": st.integers(0, 3),
        "prefix_dense_sliding_window_pattern": st.integers(1, 2),
        "prefix_dense_intermediate_size": st.none() | widths,
        "norm_topk_prob": flags,
        "expert_selection_fn": st.sampled_from(("softmax", "sigmoid")),
        "num_shared_experts": st.integers(0, 2),
        "shared_expert_combination_strategy": st.sampled_from(("sum", "average")),
    },
    "afmoe": {
        **CHOSEN,
        **CHOICE,
        "head_dim": st.sampled_from((4, 6)),
        "num_dense_layers": st.integers(0, 3),
        "num_shared_experts": st.integers(1, 2),
        "route_scale": scales,
        "global_attn_every_n_layers": st.integers(1, 4),
        "sliding_window": st.just(9),
        "mup_enabled": flags,
    },
    "laguna": {
        **CHOSEN,
        **CHOICE,
        "head_dim": st.sampled_from((8, 20)),
        "gating": st.sampled_from((True, "per-head", "per-element")),
        "sliding_window": st.just(9),
        "shared_expert_intermediate_size": widths,
        "moe_routed_scaling_factor": scales,
        "moe_router_logit_softcapping": st.sampled_from((0.0, 2.0)),
    },
    "mimo_v2_flash": {
        **CHOSEN,
        "head_dim": st.sampled_from((8, 12)),
        "v_head_dim": st.integers(3, 9),
        "attention_value_scale": st.sampled_from((None, 0.5, 1.0)),
        "n_routed_experts": st.sampled_from((4, 8)),
        "n_group": st.sampled_from((1, 2)),
        "norm_topk_prob": flags,
        "routed_scaling_factor": st.sampled_from((None, 2.0)),
        "sliding_window": st.just(9),
    },
}

NEEDED: dict[str, Settings] = {}

ALWAYS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("flint", "mellum", "exaone_moe", "kolibri1"), ("num_experts", "num_experts_per_tok")),
    **dict.fromkeys(("afmoe", "laguna"), ("num_experts", "num_experts_per_tok", "head_dim")),
    "mimo_v2_flash": ("n_routed_experts", "num_experts_per_tok", "head_dim", "v_head_dim"),
}

# Families with rotary settings of their own.
OWN_ROPE = ("mellum", "laguna", "mimo_v2_flash")

MIXED = ("mellum", "exaone_moe", "cohere2_moe", "laguna", "mimo_v2_flash")  # with dense layers by `mlp_layer_types`


def of_family(draw: st.DrawFn, family: str, config: Settings) -> None:
    """What follows from other settings, and what a family calls otherwise."""
    n_layers = config["num_hidden_layers"]
    if family != "llama4_text" and draw(flags):
        config["layer_types"] = layer_types(draw, n_layers)
    if family in MIXED and draw(flags):
        config["mlp_layer_types"] = mlp_layer_types(draw, n_layers)
    if config.get("n_group", 1) > 1:
        config["topk_group"] = 1
    match family:
        case "llama4_text":
            no_rope_layers(draw, config)
        case "granitemoe_swa":
            layer_thetas(draw, config)
        case "kolibri1":
            del config["intermediate_size"]
        case "cohere2_moe":
            config.pop("rope_scaling", None)  # which its class does not read
            if config.get("first_k_dense_replace", 0) > n_layers:
                config["first_k_dense_replace"] = n_layers
        case "mellum" if draw(flags):
            config["rope_parameters"] = {
                FULL: {"rope_type": "linear", "factor": 2.0, "rope_theta": 30.0},
                SLIDING: {"rope_type": "default", "rope_theta": 100.0},
            }
        case "laguna" | "mimo_v2_flash":
            if draw(flags):
                config["rope_parameters"] = by_type(draw)
            if family == "mimo_v2_flash":
                _mimo(draw, config)
            elif draw(flags):
                groups = draw(st.lists(st.integers(1, 4), min_size=n_layers, max_size=n_layers))
                config["num_attention_heads_per_layer"] = [group * config["num_key_value_heads"] for group in groups]
        case _:
            pass


def _mimo(draw: st.DrawFn, config: Settings) -> None:
    config["num_attention_heads"] *= 2  # layers with a window have twice as many key heads
    config["num_experts_per_tok"] = min(config["num_experts_per_tok"], 2)
    if draw(flags):
        config["sliding_window_size"] = 8
