"""Small configs of the families in `families/windows.py`."""

from __future__ import annotations

from typing import Any

from drawn import BIASES, MULTIPLIERS, Settings, flags, layer_thetas, layer_types, no_rope_layers, windows
from hypothesis import strategies as st

GEMMA = {"attention_bias": flags, "head_dim": st.sampled_from((4, 8)), "rms_norm_eps": st.just(1e-5)}

OPTIONS: dict[str, dict[str, st.SearchStrategy[Any]]] = {
    "gemma": GEMMA,
    "gemma2": {**GEMMA, "sliding_window": st.just(9), "query_pre_attn_scalar": st.sampled_from((4, 144))},
    "gemma3_text": {**GEMMA, "sliding_window": st.just(9), "sliding_window_pattern": st.integers(1, 4)},
    "vaultgemma": {
        "attention_bias": flags,
        "head_dim": st.sampled_from((4, 8)),
        "query_pre_attn_scalar": st.sampled_from((4, 144)),
        "sliding_window": st.just(9),
        "final_logit_softcapping": st.sampled_from((None, 1.0)),
    },
    "olmo2": {"attention_bias": flags},
    "olmo3": {"attention_bias": flags, "sliding_window": st.just(9)},
    "exaone4": {"sliding_window": st.just(9), "sliding_window_pattern": st.integers(1, 4)},
    "smollm3": {**BIASES, "use_sliding_window": flags, "sliding_window": windows},
    "cwm": {"mlp_bias": flags, "head_dim": st.sampled_from((2, 6)), "sliding_window": st.just(9)},
    "ministral": {"head_dim": st.sampled_from((2, 10)), "sliding_window": st.just(9)},
    "granite_swa": {
        **MULTIPLIERS,
        "attention_bias": flags,
        "mlp_bias": flags,
        "sliding_window": st.just(9),
    },
}

NEEDED: dict[str, Settings] = {
    "ministral": {"head_dim": 128},
}

ALWAYS: dict[str, tuple[str, ...]] = {}

OWN_ROPE = ("gemma3_text", "olmo3")
LISTED = ("gemma2", "gemma3_text", "vaultgemma", "olmo3", "cwm", "ministral", "granite_swa")


def of_family(draw: st.DrawFn, family: str, config: Settings) -> None:
    """What follows from other settings, and what a family calls otherwise."""
    n_layers = config["num_hidden_layers"]
    if family in LISTED and draw(flags):
        config["layer_types"] = layer_types(draw, n_layers)
    if family == "smollm3":
        no_rope_layers(draw, config)
    if family == "granite_swa":
        layer_thetas(draw, config)
