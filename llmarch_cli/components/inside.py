"""What a drawing shows inside a component: steps one after another, and paths beside each other.

It is for readers only, and nothing is computed from it. To show a kind from inside: its method `inside`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Step:
    """One box.

    Attributes:
        name: what is computed; of a norm, the name of its part.
        fields: the fields of the component that give its sizes; a drawing names them here, and not below.
        note: a few words more.
        sort: `made` by a matrix, a function of other values, `kept` in the cache, or a norm.
    """

    name: str
    fields: tuple[str, ...] = ()
    note: str = ""
    sort: Literal["made", "function", "kept", "norm"] = "made"


@dataclass(frozen=True, slots=True)
class Paths:
    """Paths that read the same input. The step behind them reads what each of them ends in."""

    paths: tuple[tuple[Step, ...], ...]


Inside = tuple[Step | Paths, ...]  # in the order of computing
