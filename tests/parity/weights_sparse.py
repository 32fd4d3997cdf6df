"""The names of weights of families in `families/sparse.py`."""

from __future__ import annotations

from collections.abc import Callable

from configs import Config
from torch import Tensor
from weights import FRAME, LATENT, MIXTURE, MLA, Names, Source, after, linear, of_layer, share

_INDEXER: Names = {
    "attention.index_q_proj.weight": "self_attn.indexer.wq_b.weight",
    "attention.index_k_proj.weight": "self_attn.indexer.wk.weight",
    **linear("attention.index_k_norm", "self_attn.indexer.k_norm"),
    "attention.index_weights_proj.weight": "self_attn.indexer.weights_proj.weight",
}

_INDEXED: Names = {**LATENT, **of_layer(_INDEXER)}

COMPRESSED = {ours: name for ours, name in MLA.items() if isinstance(name, str)}
COMPRESSED["attention.q_b_proj.weight"] = "self_attn.q_b_proj.weight"

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


def _in_pairs(c: Config) -> Names:
    """Two of our layers for each of theirs. Their experts' first matrices have rows that nothing reads."""

    def computing(values: Tensor) -> Tensor:
        return values[: c.n_routed_experts]

    found: Names = dict(FRAME)
    for number in range(2 * c.num_layers):
        theirs, which = f"model.layers.{number // 2}", number % 2
        plain = {
            **{ours: name.replace("self_attn.", f"self_attn.{which}.") for ours, name in COMPRESSED.items()},
            "norms.attention_pre.weight": f"input_layernorm.{which}.weight",
            "norms.ffn_pre.weight": f"post_attention_layernorm.{which}.weight",
            **{f"ffn.own.{part}_proj.weight": f"mlps.{which}.{part}_proj.weight" for part in ("gate", "up", "down")},
            "ffn.deferred.router.weight": "mlp.router.classifier.weight",
            "ffn.deferred.selection_bias": "mlp.router.e_score_correction_bias",
            "ffn.deferred.down_proj.weight": "mlp.experts.down_proj",
        }
        found |= {f"layers.{number}.{ours}": f"{theirs}.{name}" for ours, name in plain.items()}
        for index, part in enumerate(("gate", "up")):
            source = Source(f"{theirs}.mlp.experts.gate_up_proj", after(share(index, 2, 1), computing))
            found[f"layers.{number}.ffn.deferred.{part}_proj.weight"] = source
    return found


NAMES_BY_CONFIG: dict[str, Callable[[Config], Names]] = {"longcat_flash": _in_pairs}

UNNAMED = {"longcat_flash"}  # two of our layers are one of theirs
