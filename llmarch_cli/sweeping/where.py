"""The condition of `--where`: an expression over the figures of a whole block of variants at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llmarch_cli.errors import InputError, shown
from llmarch_cli.expressions import Expression
from llmarch_cli.sweeping.exact import ONE, Quantity, Whole
from llmarch_cli.sweeping.pricing import RATIOS, Figures

Condition = Callable[[Figures], Any]  # True or False for each point of a block, in an array that broadcasts to it


def condition(text: str, check_name: Callable[[str], None]) -> Condition:
    """What `text` asks, such as `params <= 30B and (kv_cache_bytes < 2GiB or attention.window == 512)`.

    `check_name` raises InputError for a name that is no figure. Raises InputError for all that is no such condition.
    """
    try:
        asked = Expression(text)
        for figure in asked.figures():
            if figure.context is not None:
                raise InputError(f"{shown(str(figure))}: all variants are priced at one context, that of --ctx")
            check_name(figure.name)
        if not isinstance(asked.value(lambda _: Quantity(ONE)), bool):
            raise InputError(f"{shown(str(asked))} is no condition; compare figures, such as params <= 30B")
    except InputError as error:
        raise InputError(f"--where {error}") from None
    return lambda figures: asked.value(lambda figure: _quantity(figures, figure.name))


def _quantity(figures: Figures, name: str) -> Quantity:
    above, below = (_whole(figures, part) for part in RATIOS[name]) if name in RATIOS else (_whole(figures, name), ONE)
    return Quantity(above, below)


def _whole(figures: Figures, name: str) -> Whole:
    return Whole(figures.count(name), figures.bound)
