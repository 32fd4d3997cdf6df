"""The names of weights of families in `families/compressed.py`."""

from __future__ import annotations

from collections.abc import Callable

from configs import Config
from weights import MIXTURE, Names, Source, of_layer

_COMPRESSOR: Names = {
    f"attention.{ours}.{part}": f"self_attn.{theirs}.{name}"
    for ours, theirs in (("compressor", "compressor"), ("index_compressor", "compressor.indexer"))
    for part, name in (
        ("value_proj.weight", "kv_proj.weight"),
        ("gate_proj.weight", "gate_proj.weight"),
        ("place_biases", "position_bias"),
        ("norm.weight", "kv_norm.weight"),
    )
}
_ATTENTION: Names = {
    f"attention.{part}.weight": f"self_attn.{part}.weight"
    for part in ("q_a_proj", "q_a_norm", "q_b_proj", "kv_proj", "kv_norm", "o_b_proj")
}
_STREAMS: Names = {
    f"connections.{place}.{ours}": f"{theirs}.{name}"
    for place, theirs in (("attention", "attn_hc"), ("ffn", "ffn_hc"))
    for ours, name in (("proj.weight", "fn"), ("biases", "base"), ("scales", "scale"))
}

NAMES: dict[str, Names] = {}


def deepseek_v4(c: Config) -> Names:
    """The first step of the output projection stands as one matrix of all groups."""
    grouped = Source("self_attn.o_a_proj.weight", lambda values: values.unflatten(0, (c.o_groups, -1)))
    return {
        **MIXTURE,
        "closing.proj.weight": "model.hc_head.hc_fn",
        "closing.biases": "model.hc_head.hc_base",
        "closing.scale": "model.hc_head.hc_scale",
        **of_layer(
            {
                **_ATTENTION,
                **_COMPRESSOR,
                **_STREAMS,
                "attention.index_q_proj.weight": "self_attn.compressor.indexer.q_b_proj.weight",
                "attention.index_weights_proj.weight": "self_attn.compressor.indexer.scorer.weights_proj.weight",
                "attention.o_a_proj.weight": grouped,
                "ffn.token_experts": "mlp.gate.tid2eid",
            }
        ),
    }


NAMES_BY_CONFIG: dict[str, Callable[[Config], Names]] = {"deepseek_v4": deepseek_v4}

# Their checkpoints join the keys of two sorts of rows, and count experts by token as a table.
UNNAMED: set[str] = set()
