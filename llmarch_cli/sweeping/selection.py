"""Select the best variants of a stream: the first few in an order, or the Pareto front, in bounded memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from llmarch_cli.sweeping.grid import Indices

BATCH = 64  # points compared with all others at a time


@dataclass(frozen=True)
class Rows:
    """Variants as positions in the grid, with columns of metrics."""

    positions: Indices
    figures: dict[str, NDArray[Any]]

    def __len__(self) -> int:
        return len(self.positions)

    def take(self, chosen: Any) -> Rows:
        """The chosen rows, by indices, slice or mask."""
        return Rows(self.positions[chosen], {key: values[chosen] for key, values in self.figures.items()})


def joined(parts: Sequence[Rows]) -> Rows:
    """Concatenate the rows of one or more `parts`."""
    if len(parts) == 1:
        return parts[0]
    figures = {key: np.concatenate([part.figures[key] for part in parts]) for key in parts[0].figures}
    return Rows(np.concatenate([part.positions for part in parts]), figures)


@dataclass(frozen=True)
class Goal:
    """A metric to minimise, or to maximise if `largest`."""

    key: str
    largest: bool = False

    @classmethod
    def parsed(cls, text: str) -> Goal:
        """Parse `params`, or `-params` to maximise."""
        return cls(text.removeprefix("-"), text.startswith("-"))

    def loss(self, values: NDArray[Any]) -> NDArray[Any]:
        """`values`, negated if larger is better."""
        return -values if self.largest else values


def first(losses: NDArray[Any] | None, count: int | None) -> slice | Indices:
    """The indices of the `count` smallest losses, sorted and stable; None keeps the order or the number."""
    if losses is None:
        return slice(count)
    if count is not None and count < len(losses) // 4:  # partitioning first is faster than sorting everything
        largest = np.partition(losses, count)[count]
        near = np.flatnonzero(losses <= largest)
        return near[np.argsort(losses[near], kind="stable")[:count]]
    return np.argsort(losses, kind="stable")[:count]


def front(losses: Sequence[NDArray[Any]]) -> Indices:
    """The indices of the Pareto front, ascending: no other point is at most equal in all losses and less in one.

    Of equal points, only the first is on the front.
    """
    alive = np.arange(len(losses[0]))
    # One good compromise dominates most other points, which leaves little to sort.
    scale = [max(float(abs(loss).max()), 1.0) for loss in losses]
    pivot = int(np.argmin(sum(loss.astype(float) / unit for loss, unit in zip(losses, scale, strict=True))))
    alive = alive[_undominated(losses, pivot)]
    order = np.lexsort([loss[alive] for loss in reversed(losses)])
    alive = alive[order]
    if len(losses) <= 2:  # in this order, the front is where the last loss falls below all before it
        last = losses[-1][alive]
        return np.sort(alive[np.append(True, last[1:] < np.minimum.accumulate(last)[:-1])])
    found = []
    while len(alive):  # no point dominates an earlier one, so each batch is compared once
        batch, alive = alive[:BATCH], alive[BATCH:]
        batch = batch[~np.triu(_no_worse(losses, batch, batch), k=1).any(axis=0)]
        alive = alive[~_no_worse(losses, batch, alive).any(axis=0)]
        found.append(batch)
    return np.sort(np.concatenate(found))


def _no_worse(losses: Sequence[NDArray[Any]], some: Indices, others: Indices) -> NDArray[np.bool_]:
    """Whether each of `some` is at most equal to each of `others` in all losses: shape (len(some), len(others))."""
    no_worse = np.ones((len(some), len(others)), bool)
    for loss in losses:
        no_worse &= loss[some][:, None] <= loss[others]
    return no_worse


def _undominated(losses: Sequence[NDArray[Any]], place: int) -> NDArray[np.bool_]:
    """Mask of the points with some smaller loss than the point at `place`, and of the first point equal to it."""
    better = np.zeros(len(losses[0]), bool)
    equal = np.ones(len(losses[0]), bool)
    for loss in losses:
        better |= loss < loss[place]
        equal &= loss == loss[place]
    better[np.flatnonzero(equal)[0]] = True
    return better
