"""The condition of `--where`: an expression that is evaluated on one variant, or on whole blocks of them."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

from llmarch_cli.errors import InputError, shown
from llmarch_cli.expressions import Expression
from llmarch_cli.report.columns import TITLES
from llmarch_cli.report.names import with_keys
from llmarch_cli.sweeping.exact import ONE, Quantity, Whole
from llmarch_cli.sweeping.pricing import RATIOS, Figures

# From the quantity of each name to a truth value, or to truth values that broadcast to the points of a block.
Condition = Callable[[Callable[[str], Quantity]], Any]


def condition(text: str, named: Callable[[str], str]) -> Condition:
    """Parse a condition such as `params <= 30B and (kv_cache_bytes < 2GiB or attention.window == 512)`.

    `named` gives the key that a name means, and raises InputError for an unknown one. Raises InputError for an invalid
    expression, and for one that is not a condition.
    """
    try:
        asked = Expression(with_keys(text, TITLES))
        keys: dict[str, str] = {}
        for figure in asked.references():
            if figure.context is not None:
                raise InputError(f"{shown(str(figure))}: all variants use the context of --ctx; leave out '@'")
            keys[figure.name] = named(figure.name)
        if not isinstance(asked.value(lambda _: Quantity(ONE)), bool):
            raise InputError(f"{shown(str(asked))} is not a condition; compare metrics, such as params <= 30B")
    except InputError as error:
        raise InputError(f"--where: {error}") from None
    return lambda quantity: asked.value(lambda figure: quantity(keys[figure.name]))


def quantity(figures: Figures, name: str) -> Quantity:
    """A metric or varying field of a block's variants."""
    if name in RATIOS:
        return Quantity(*(Whole(figures.count(part), figures.bound) for part in RATIOS[name]))
    found = figures.count(name)
    return Quantity.of(found) if isinstance(found, Fraction) else Quantity(Whole(found, figures.bound))
