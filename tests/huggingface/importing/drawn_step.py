"""Small configs of the families in `families/step.py`."""

from __future__ import annotations

from typing import Any

from drawn import CHOSEN, FULL, SCALING, SLIDING, Settings, by_type, flags, layer_types, scales, widths
from hypothesis import strategies as st

NEEDED: dict[str, Settings] = {}

OPTIONS: dict[str, dict[str, st.SearchStrategy[Any]]] = {
    "step3p5": {
        **CHOSEN,
        "head_dim": st.sampled_from((8, 20)),
        "n_routed_experts": st.integers(3, 6),
        "share_expert_dim": widths,
        "mlp_bias": flags,
        "moe_router_scaling_factor": scales,
        "query_pre_attn_scalar": st.sampled_from((4, 144.0)),
        "moe_layers_enum": st.sampled_from(([], [1, 2, 9], "0, 3", "")),
    },
}

ALWAYS = {"step3p5": ("n_routed_experts", "num_experts_per_tok", "head_dim")}

OWN_ROPE = ("step3p5",)


def of_family(draw: st.DrawFn, family: str, config: Settings) -> None:
    """Lists with entries for multi-token-prediction blocks, and rotary settings as published or by layer type."""
    n_layers, n_further = config["num_hidden_layers"], draw(st.integers(0, 2))
    config["pad_token_id"] = 1  # its class wants a number
    config["num_nextn_predict_layers"] = n_further
    config["layer_types"], config["sliding_window"] = layer_types(draw, n_layers) + [FULL] * n_further, 9
    if draw(flags):
        config["attention_other_setting"] = {
            "attention_type": SLIDING,
            "num_attention_heads": 2 * config["num_key_value_heads"],
            "num_attention_groups": config["num_key_value_heads"],
        }
    elif draw(flags):
        config["num_sliding_attention_heads"] = 3 * config["num_key_value_heads"]
    limits = st.lists(st.sampled_from((None, 0.0, 0.2, 1.0)), min_size=n_layers, max_size=n_layers)
    for name in ("swiglu_limits", "swiglu_limits_shared"):
        if draw(flags):
            config[name] = draw(limits) + [0.0] * n_further
    if draw(flags):
        config["rope_parameters"] = by_type(draw)
    elif draw(flags):
        config["rope_theta"] = [{FULL: 5e6, SLIDING: 30.0}[kind] for kind in config["layer_types"]]
        config["partial_rotary_factors"] = [{FULL: 0.5, SLIDING: 1.0}[kind] for kind in config["layer_types"]]
        config.update(draw(st.sampled_from(({}, {"rope_scaling": SCALING, "yarn_only_types": [FULL]}))))
    else:
        config["rope_theta"] = 500_000.0
