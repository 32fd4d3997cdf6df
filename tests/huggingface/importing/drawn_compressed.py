"""Small configs of the families in `families/compressed.py`."""

from __future__ import annotations

from typing import Any

from drawn import Settings, scales, widths
from hypothesis import strategies as st

OPTIONS: dict[str, dict[str, st.SearchStrategy[Any]]] = {
    "deepseek_v4": {
        "head_dim": st.sampled_from((16, 32)),
        "q_lora_rank": widths,
        "o_lora_rank": widths,
        "o_groups": st.just(2),
        "n_routed_experts": st.sampled_from((4, 8)),
        "num_experts_per_tok": st.integers(1, 3),
        "moe_intermediate_size": widths,
        "routed_scaling_factor": scales,
        "swiglu_limit": st.sampled_from((0.5, 10.0)),
        "hc_mult": st.integers(2, 4),
        "sliding_window": st.integers(1, 9),
        "index_n_heads": st.sampled_from((24, 31)),
        "index_head_dim": st.sampled_from((32, 40)),
        "index_topk": st.sampled_from((1, 4, 512)),
        "num_hash_layers": st.integers(0, 3),
    }
}

NEEDED: dict[str, Settings] = {}

ALWAYS: dict[str, tuple[str, ...]] = {
    "deepseek_v4": (
        "head_dim",
        "o_groups",
        "n_routed_experts",
        "num_experts_per_tok",
        "index_head_dim",
        "index_n_heads",
    )
}

OWN_ROPE: tuple[str, ...] = ("deepseek_v4",)


def of_family(draw: st.DrawFn, family: str, config: Settings) -> None:
    """What follows from other settings."""
    config.pop("intermediate_size", None)
    config["num_attention_heads"] = 2 * config["num_attention_heads"]
    config["num_key_value_heads"] = 1
