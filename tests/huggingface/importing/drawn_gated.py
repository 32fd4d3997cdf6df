"""Small configs of the families in `families/gated.py`."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

Settings = dict[str, Any]

NEEDED: dict[str, Settings] = {}

FULL, SLIDING = "full_attention", "sliding_attention"

flags = st.booleans()
widths = st.integers(3, 40)
scales = st.sampled_from((0.5, 1.0, 12.0))

EXPERTS = {"num_experts_per_tok": st.integers(1, 3), "moe_intermediate_size": widths, "attention_bias": flags}
CHOICE = {**EXPERTS, "num_experts": st.integers(3, 6)}

OPTIONS: dict[str, dict[str, st.SearchStrategy[Any]]] = {
    "afmoe": {
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
        **CHOICE,
        "head_dim": st.sampled_from((8, 20)),
        "gating": st.sampled_from((True, "per-head", "per-element")),
        "sliding_window": st.just(9),
        "shared_expert_intermediate_size": widths,
        "moe_routed_scaling_factor": scales,
        "moe_router_logit_softcapping": st.sampled_from((0.0, 2.0)),
    },
    "mimo_v2_flash": {
        **EXPERTS,
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

ALWAYS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("afmoe", "laguna"), ("num_experts", "num_experts_per_tok", "head_dim")),
    "mimo_v2_flash": ("n_routed_experts", "num_experts_per_tok", "head_dim", "v_head_dim"),
}

OWN_ROPE = ("laguna", "mimo_v2_flash")

SCALING: Settings = {
    "rope_type": "llama3",
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 64,
}


def by_type(draw: st.DrawFn) -> Settings:
    """Rotary settings for each layer type; a share of 0.3 rotates an odd number of values."""
    shares = st.sampled_from((0.3, 0.5, 1.0))
    plain = {"rope_type": "default", "rope_theta": draw(st.sampled_from((30.0, 1e6)))}
    return {
        FULL: {**plain, **draw(st.sampled_from(({}, SCALING))), "partial_rotary_factor": 0.5},
        SLIDING: {**plain, **draw(st.sampled_from(({}, {"partial_rotary_factor": draw(shares)})))},
    }


def of_family(draw: st.DrawFn, family: str, config: Settings) -> None:
    """What follows from other settings."""
    n_layers = config["num_hidden_layers"]

    def listed(*words: str) -> list[str]:
        return draw(st.lists(st.sampled_from(words), min_size=n_layers, max_size=n_layers))

    if draw(flags):
        config["layer_types"] = listed(FULL, SLIDING)
    if family == "afmoe":
        return
    if draw(flags):
        config["rope_parameters"] = by_type(draw)
    if draw(flags):
        config["mlp_layer_types"] = listed("dense", "sparse")
    if family == "laguna":
        if draw(flags):
            groups = draw(st.lists(st.integers(1, 4), min_size=n_layers, max_size=n_layers))
            config["num_attention_heads_per_layer"] = [group * config["num_key_value_heads"] for group in groups]
        return
    config["num_attention_heads"] *= 2  # layers with a window have twice as many key heads
    if config.get("n_group", 1) > 1:
        config["topk_group"] = 1
    config["num_experts_per_tok"] = min(config["num_experts_per_tok"], 2)
    if draw(flags):
        config["sliding_window_size"] = 8
