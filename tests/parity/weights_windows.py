"""The names of weights of families in `families/windows.py`."""

from __future__ import annotations

from collections.abc import Callable

from configs import Config
from weights import PLAIN, Names, of_layer

NAMES: dict[str, Names] = {
    "vaultgemma": {**PLAIN, **of_layer({"norms.ffn_pre.weight": "pre_feedforward_layernorm.weight"})},
    "granite_swa": PLAIN,
}

NAMES_BY_CONFIG: dict[str, Callable[[Config], Names]] = {}

UNNAMED: set[str] = set()
