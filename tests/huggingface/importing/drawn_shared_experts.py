"""Small configs of the families in `families/shared_experts.py`."""

from __future__ import annotations

from typing import Any

from drawn import (
    CHOICE,
    GRANITE_EXPERTS,
    GROUPED,
    QWEN_EXPERTS,
    ROUTED,
    SWITCHED,
    Settings,
    flags,
    mlp_layer_types,
    scales,
    widths,
    windows,
)
from hypothesis import strategies as st

OPTIONS: dict[str, dict[str, st.SearchStrategy[Any]]] = {
    "qwen2_moe": {**QWEN_EXPERTS, **SWITCHED, "shared_expert_intermediate_size": widths, "qkv_bias": flags},
    "granitemoeshared": GRANITE_EXPERTS,
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
    "aria_text": {
        "attention_bias": flags,
        "mlp_bias": flags,
        "head_dim": st.sampled_from((None, 6)),
        "hidden_act": st.sampled_from(("silu", "gelu")),
        "moe_num_experts": st.integers(3, 6),
        "moe_topk": st.integers(1, 3),
        "moe_num_shared_experts": st.integers(1, 2),
    },
    "hy_v3": {
        **CHOICE,
        "head_dim": st.just(6),
        "attention_bias": flags,
        "mlp_bias": flags,
        "num_shared_experts": st.integers(1, 2),
        "moe_intermediate_size": widths,
        "router_scaling_factor": scales,
    },
    "solar_open": {
        **GROUPED,
        "head_dim": st.just(6),
        "attention_bias": flags,
        "n_routed_experts": st.sampled_from((4, 8)),
        "n_shared_experts": st.integers(1, 2),
    },
}

NEEDED: dict[str, Settings] = {
    "dots1": {"n_shared_experts": 2, "n_routed_experts": 128, "num_experts_per_tok": 6},
}

ALWAYS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("qwen2_moe", "hy_v3"), ("num_experts", "num_experts_per_tok")),
    "ernie4_5_moe": ("moe_num_experts", "moe_k"),
    "dots1": ("n_routed_experts", "n_shared_experts", "num_experts_per_tok"),
    **dict.fromkeys(("glm4_moe", "solar_open"), ("n_routed_experts", "num_experts_per_tok")),
    "aria_text": ("moe_topk", "moe_num_experts"),
}


def of_family(draw: st.DrawFn, family: str, config: Settings) -> None:
    """What follows from other settings, and what a family calls otherwise."""
    if config.get("n_group", 1) > 1:
        config["topk_group"] = 1
    if family == "hy_v3" and draw(flags):
        config["mlp_layer_types"] = mlp_layer_types(draw, config["num_hidden_layers"])
    if family == "solar_open":
        del config["intermediate_size"]
