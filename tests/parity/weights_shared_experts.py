"""The names of weights of families in `families/shared_experts.py`."""

from __future__ import annotations

from collections.abc import Callable

from configs import Config
from weights import GRANITE_MOE, MIXTURE, PLAIN, Names, Source, after, of_layer, share, transposed

ARIA: Names = {
    "ffn.router.weight": "mlp.router.weight",
    "ffn.gate_proj.weight": Source("mlp.experts.gate_up_proj", after(share(0, 2, -1), transposed)),
    "ffn.up_proj.weight": Source("mlp.experts.gate_up_proj", after(share(1, 2, -1), transposed)),
    "ffn.down_proj.weight": Source("mlp.experts.down_proj", transposed),
}

SHARED_GRANITE: Names = {
    "ffn.shared_expert.gate_proj.weight": Source("shared_mlp.input_linear.weight", share(0, 2, 0)),
    "ffn.shared_expert.up_proj.weight": Source("shared_mlp.input_linear.weight", share(1, 2, 0)),
    "ffn.shared_expert.down_proj.weight": "shared_mlp.output_linear.weight",
}

GRANITE: Names = {**PLAIN, **of_layer({**GRANITE_MOE, **SHARED_GRANITE})}

NAMES: dict[str, Names] = {
    "granitemoeshared": GRANITE,
    "aria_text": {**MIXTURE, **of_layer(ARIA)},
    "hy_v3": {**MIXTURE, **of_layer({"ffn.selection_bias": "mlp.e_score_correction_bias"})},
    "solar_open": MIXTURE,
}

NAMES_BY_CONFIG: dict[str, Callable[[Config], Names]] = {}

UNNAMED: set[str] = set()
