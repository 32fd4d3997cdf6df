"""Small configs of the families in `families/shared_caches.py`."""

from __future__ import annotations

from typing import Any

from drawn import FULL, SLIDING, Settings, flags, listed, widths
from hypothesis import strategies as st

THETAS = {"rope_theta": 30.0, "rope_local_base_freq": 55.0}
LINEAR = {"rope_type": "linear", "factor": 2.0}

OPTIONS: dict[str, dict[str, st.SearchStrategy[Any]]] = {
    "gemma3n_text": {
        "attention_bias": flags,
        "hidden_size_per_layer_input": st.integers(1, 6),
        "altup_num_inputs": st.integers(2, 4),
        "laurel_rank": st.integers(1, 9),
        "final_logit_softcapping": st.just(3.0),
        "sliding_window": st.integers(1, 9),
    },
    "gemma4_unified_text": {
        "attention_bias": flags,
        "head_dim": st.sampled_from((4, 8)),
        "global_head_dim": st.sampled_from((8, 16)),
        "num_global_key_value_heads": st.just(1),
        "attention_k_eq_v": flags,
        "use_double_wide_mlp": flags,
        "final_logit_softcapping": st.none() | st.just(3.0),
        "sliding_window": st.integers(1, 9),
    },
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
    },
}

NEEDED: dict[str, Settings] = {"gemma3n_text": {"head_dim": 8, "vocab_size_per_layer_input": 70}}

ALWAYS: dict[str, tuple[str, ...]] = {"gemma4_text": ("vocab_size_per_layer_input",)}

OWN_ROPE: tuple[str, ...] = ("gemma3n_text", "gemma4_text", "gemma4_unified_text")


def of_family(draw: st.DrawFn, family: str, config: Settings) -> None:
    """What follows from other settings."""
    n_layers = config["num_hidden_layers"]
    if family == "gemma3n_text":
        _of_gemma3n(draw, config, n_layers)
        return
    config["layer_types"] = [*listed(draw, n_layers - 1, FULL, SLIDING), FULL] if n_layers > 1 else [FULL]
    types = config["layer_types"]
    if n_layers > 2 and set(types[:-1]) == set(types) and draw(flags):
        config["num_kv_shared_layers"] = 1
    if family == "gemma4_text" and draw(flags):
        config["enable_moe_block"] = True
        config.update(num_experts=draw(st.integers(3, 6)), top_k_experts=2, moe_intermediate_size=draw(widths))
    config.setdefault("head_dim", 8)


def _of_gemma3n(draw: st.DrawFn, config: Settings, n_layers: int) -> None:
    config["layer_types"] = types = listed(draw, n_layers, FULL, SLIDING)
    config["num_kv_shared_layers"] = int(n_layers > 1 and set(types[:-1]) == set(types) and draw(flags))
    config["altup_active_idx"] = draw(st.integers(0, config.get("altup_num_inputs", 4) - 1))
    config.update(draw(st.sampled_from(({}, THETAS, {"rope_scaling": LINEAR}))))
    if draw(flags):
        config["intermediate_size"] = listed(draw, n_layers, 8, 24)
    if draw(flags):
        config["activation_sparsity_pattern"] = listed(draw, n_layers, 0.0, 0.5, 0.95)
