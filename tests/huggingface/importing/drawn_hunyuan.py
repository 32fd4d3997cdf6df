"""Small configs of the families in `families/hunyuan.py`."""

from __future__ import annotations

from typing import Any

from drawn import Settings, flags
from hypothesis import strategies as st

OPTIONS: dict[str, dict[str, st.SearchStrategy[Any]]] = {
    "hunyuan_v1_dense": {"attention_bias": flags},
    "hunyuan_v1_moe": {"attention_bias": flags, "num_experts": st.integers(3, 5)},
}

NEEDED: dict[str, Settings] = {
    "hunyuan_v1_dense": {"head_dim": 128},
    "hunyuan_v1_moe": {"head_dim": 128},
}

ALWAYS: dict[str, tuple[str, ...]] = {}


def of_family(draw: st.DrawFn, family: str, config: Settings) -> None:
    """What follows from other settings, and what a family calls otherwise."""
    if family == "hunyuan_v1_moe":
        config["moe_topk"] = draw(st.integers(1, 3) if "num_experts" in config else st.just(1))
