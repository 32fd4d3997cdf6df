"""The names of weights of families in `families/latent.py`."""

from __future__ import annotations

from collections.abc import Callable

from configs import Config
from weights import LATENT, Names, of_layer

NAMES: dict[str, Names] = {
    "axk1": {**LATENT, **of_layer({"ffn.output_norm.weight": "mlp.post_mlp_layernorm.weight"})},
    **dict.fromkeys(("glm4_moe_lite", "mistral4", "youtu", "minicpm3"), LATENT),
}

NAMES_BY_CONFIG: dict[str, Callable[[Config], Names]] = {}

UNNAMED: set[str] = set()
