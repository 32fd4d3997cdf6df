"""Small configs of the families in `families/normed.py`."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

Settings = dict[str, Any]

NEEDED: dict[str, Settings] = {}

flags = st.booleans()
scales = st.sampled_from((0.5, 1.0, 12.0))
SCALED = ("embedding_multiplier", "logits_scaling", "residual_multiplier", "attention_multiplier")

OPTIONS: dict[str, dict[str, st.SearchStrategy[Any]]] = {
    "bitnet": {"attention_bias": flags, "hidden_act": st.sampled_from(("relu2", "silu"))},
    "nanochat": {
        "attention_bias": flags,
        "hidden_act": st.sampled_from(("relu2", "gelu")),
        "final_logit_softcapping": st.sampled_from((None, 1.0)),
        "head_dim": st.sampled_from((4, 6)),
    },
    "vaultgemma": {
        "attention_bias": flags,
        "head_dim": st.sampled_from((4, 8)),
        "query_pre_attn_scalar": st.sampled_from((4, 144)),
        "sliding_window": st.just(9),
        "final_logit_softcapping": st.sampled_from((None, 1.0)),
    },
    "hyperclovax": {
        **dict.fromkeys(SCALED, scales),
        "attention_bias": flags,
        "mlp_bias": flags,
        "head_dim": st.sampled_from((None, 6)),
        "use_post_norm": flags,
    },
}

ALWAYS: dict[str, tuple[str, ...]] = {}


def of_family(draw: st.DrawFn, family: str, config: Settings) -> None:
    """What follows from other settings."""
    if family == "vaultgemma" and draw(flags):
        types = st.sampled_from(("full_attention", "sliding_attention"))
        n_layers = config["num_hidden_layers"]
        config["layer_types"] = draw(st.lists(types, min_size=n_layers, max_size=n_layers))
