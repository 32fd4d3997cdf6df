"""Small configs of the families in `families/shared_caches.py`."""

from __future__ import annotations

from typing import Any

from drawn import FULL, SLIDING, Settings, flags, listed, widths
from hypothesis import strategies as st

OPTIONS: dict[str, dict[str, st.SearchStrategy[Any]]] = {
    "gemma4_text": {
        "attention_bias": flags,
        "head_dim": st.sampled_from((4, 8)),
        "global_head_dim": st.sampled_from((8, 16)),
        "num_global_key_value_heads": st.just(1),
        "hidden_size_per_layer_input": st.integers(0, 6),
        "vocab_size_per_layer_input": st.just(90),
        "attention_k_eq_v": flags,
        "use_double_wide_mlp": flags,
        "final_logit_softcapping": st.none() | st.just(3.0),
        "sliding_window": st.integers(1, 9),
    }
}

NEEDED: dict[str, Settings] = {}

ALWAYS: dict[str, tuple[str, ...]] = {"gemma4_text": ("vocab_size_per_layer_input",)}

OWN_ROPE: tuple[str, ...] = ("gemma4_text",)


def of_family(draw: st.DrawFn, family: str, config: Settings) -> None:
    """What follows from other settings."""
    n_layers = config["num_hidden_layers"]
    config["layer_types"] = [*listed(draw, n_layers - 1, FULL, SLIDING), FULL] if n_layers > 1 else [FULL]
    types = config["layer_types"]
    if n_layers > 2 and set(types[:-1]) == set(types) and draw(flags):
        config["num_kv_shared_layers"] = 1
    if draw(flags):
        config["enable_moe_block"] = True
        config.update(num_experts=draw(st.integers(3, 6)), top_k_experts=2, moe_intermediate_size=draw(widths))
    config.setdefault("head_dim", 8)
