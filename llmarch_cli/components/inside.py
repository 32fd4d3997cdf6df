"""What a drawing shows inside a component: steps one after another, and paths beside each other.

It is for readers only, and nothing is computed from it. To show a kind from inside: its method `inside`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from llmarch_cli.components.cache import Rows, State

_DTYPES = {"fp32": "float32", "bf16": "bfloat16"}


@dataclass(frozen=True, slots=True)
class Step:
    """One box.

    Attributes:
        name: what is computed; of a norm or a component inside, the name of its part.
        fields: the fields of the component that give its sizes; a drawing names them here, and not below.
        note: a few words more.
        sort: `made` by a matrix, a function of other values, `kept` for later tokens, a norm, a component `inside` this
            one, which is drawn in its place, or what another layer `left`, which reads nothing here.
    """

    name: str
    fields: tuple[str, ...] = ()
    note: str = ""
    sort: Literal["made", "function", "kept", "norm", "inside", "left"] = "made"


@dataclass(frozen=True, slots=True)
class Paths:
    """Two or more paths that read the same input. The step behind them reads what each of them ends in."""

    paths: tuple[tuple[Step | Paths, ...], ...]


Inside = tuple[Step | Paths, ...]  # in the order of computing


def state(entries: Iterable[Rows | State], name: str, note: str) -> Step:
    """The step that updates the state of this name among what a component keeps, with the size of the state."""
    entry = next(entry for entry in entries if isinstance(entry, State) and entry.name == name)
    size = " x ".join(f"{n:,}" for n in entry.shape if n > 1)
    return Step("state", note=f"{size}, {_DTYPES[entry.dtype]}: {note}", sort="kept")


def convolution(kernel: int) -> Step:
    """A short convolution, which keeps its last inputs."""
    return Step("short convolution", note=f"over {kernel:,} tokens")


def gated(mixed: Inside, gate: Inside) -> Inside:
    """The product of what is mixed and of a gate beside it."""
    return Paths((mixed, gate)), Step("product", sort="function")
