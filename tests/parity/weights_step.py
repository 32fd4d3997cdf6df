"""The names of weights of families in `families/step.py`."""

from __future__ import annotations

from collections.abc import Callable

from configs import Config
from weights import MIXTURE, Names, of_layer, renamed
from weights_windowed_experts import GATE

NAMES: dict[str, Names] = {"step3p5": {**MIXTURE, **of_layer(renamed(GATE))}}

NAMES_BY_CONFIG: dict[str, Callable[[Config], Names]] = {}

# Published checkpoints have other names for what holds experts, and transformers has none for the decoder alone.
UNNAMED = {"step3p5"}
