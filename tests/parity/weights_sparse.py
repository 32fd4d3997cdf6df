"""The names of weights of families in `families/sparse.py`."""

from __future__ import annotations

from collections.abc import Callable

from configs import Config
from weights import LATENT, MIXTURE, Names, Source, linear, of_layer, share

_INDEXER: Names = {
    "attention.index_q_proj.weight": "self_attn.indexer.wq_b.weight",
    "attention.index_k_proj.weight": "self_attn.indexer.wk.weight",
    **linear("attention.index_k_norm", "self_attn.indexer.k_norm"),
    "attention.index_weights_proj.weight": "self_attn.indexer.weights_proj.weight",
}

_INDEXED: Names = {**LATENT, **of_layer(_INDEXER)}

_BLOCKS: Names = {
    f"attention.index_{part}.weight": f"self_attn.indexer.{part}.weight"
    for part in ("q_proj", "k_proj", "q_norm", "k_norm")
}


def _gate_and_up(ours: str, theirs: str) -> Names:
    return {
        f"{ours}.{part}.weight": Source(f"{theirs}.gate_up_proj.weight", share(index, 2, 0))
        for index, part in enumerate(("gate_proj", "up_proj"))
    }


def _dense_or_experts() -> Names:
    """Gate and up stand in one matrix, of dense layers and of experts."""
    fused = _gate_and_up("ffn", "mlp")
    stacked = {
        f"ffn.{part}.weight": Source("mlp.experts.gate_up_proj", share(index, 2, 1))
        for index, part in enumerate(("gate_proj", "up_proj"))
    }
    names: Names = {name: (source, stacked[name]) for name, source in fused.items() if isinstance(source, Source)}
    return {**names, **_gate_and_up("ffn.shared_expert", "mlp.shared_experts")}


NAMES: dict[str, Names] = {
    "deepseek_v32": _INDEXED,
    "glm_moe_dsa": _INDEXED,
    "minimax_m3_vl_text": {**MIXTURE, **of_layer({**_BLOCKS, **_dense_or_experts()})},
}

NAMES_BY_CONFIG: dict[str, Callable[[Config], Names]] = {}

UNNAMED: set[str] = set()
