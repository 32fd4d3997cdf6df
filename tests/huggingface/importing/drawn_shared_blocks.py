"""Small configs of the families in `families/shared_blocks.py`."""

from __future__ import annotations

from typing import Any

from drawn import Settings, flags, listed, widths
from hypothesis import strategies as st

OPTIONS: dict[str, dict[str, st.SearchStrategy[Any]]] = {
    "zamba2": {
        "adapter_rank": st.integers(1, 5),
        "add_bias_linear": flags,
        "intermediate_size": widths,
        "mamba_d_conv": st.integers(2, 4),
        "mamba_d_state": st.integers(1, 9),
        "mamba_expand": st.integers(1, 2),
        "num_mem_blocks": st.integers(1, 3),
        "time_step_min": st.sampled_from((0.001, 0.5)),
        "use_mem_rope": flags,
        "use_shared_attention_adapter": flags,
    }
}

NEEDED: dict[str, Settings] = {}

ALWAYS: dict[str, tuple[str, ...]] = {"zamba2": ("adapter_rank",)}

OWN_ROPE: tuple[str, ...] = ("zamba2",)


def of_family(draw: st.DrawFn, family: str, config: Settings) -> None:
    """What follows from other settings."""
    config.pop("num_key_value_heads", None)
    config["tie_word_embeddings"] = True
    n_groups = draw(st.sampled_from((1, 2)))
    config["hidden_size"] = 4 * draw(st.integers(1, 4))
    config["num_attention_heads"] = draw(st.sampled_from((1, 2, 4)))
    config |= {"mamba_ngroups": n_groups, "n_mamba_heads": n_groups * draw(st.sampled_from((1, 2)))}
    config["layers_block_type"] = listed(draw, config["num_hidden_layers"], "linear_attention", "hybrid")
