"""What is kept of a stream of variants: the first few in an order, and the Pareto front. Neither grows with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from llmarch_cli.sweeping.grid import Indices

BATCH = 64  # points compared with all others at once


@dataclass(frozen=True)
class Rows:
    """Variants by their positions in the grid, and some figures of each, in columns."""

    positions: Indices
    figures: dict[str, NDArray[Any]]

    def __len__(self) -> int:
        return len(self.positions)

    def take(self, chosen: Any) -> Rows:
        """These of them, by number, slice or mask."""
        return Rows(self.positions[chosen], {key: values[chosen] for key, values in self.figures.items()})


def joined(parts: Sequence[Rows]) -> Rows:
    """All rows of one or more `parts`, one after another."""
    if len(parts) == 1:
        return parts[0]
    figures = {key: np.concatenate([part.figures[key] for part in parts]) for key in parts[0].figures}
    return Rows(np.concatenate([part.positions for part in parts]), figures)


@dataclass(frozen=True)
class Goal:
    """A figure that should be small, or large where it was given with a `-` before it."""

    key: str
    largest: bool = False

    @classmethod
    def parsed(cls, text: str) -> Goal:
        """`params`, or `-params` for the largest."""
        return cls(text.removeprefix("-"), text.startswith("-"))

    def loss(self, values: NDArray[Any]) -> NDArray[Any]:
        """`values` turned so that less is better."""
        return -values if self.largest else values


def first(losses: NDArray[Any] | None, count: int | None) -> slice | Indices:
    """The numbers of the `count` smallest, or of all, in order; of equal ones the first. As they come where None."""
    if losses is None:
        return slice(count)
    if (
        count is not None and count < len(losses) // 4
    ):  # sorting all takes longer than finding which could be among them
        largest = np.partition(losses, count)[count]
        near = np.flatnonzero(losses <= largest)
        return near[np.argsort(losses[near], kind="stable")[:count]]
    return np.argsort(losses, kind="stable")[:count]


def front(losses: Sequence[NDArray[Any]]) -> Indices:
    """The numbers of the points that none is as good as in all losses and better in one; of equal points the first.

    In ascending order of the numbers.
    """
    alive = np.arange(len(losses[0]))
    # One good compromise rules out most of the others, before anything is sorted.
    scale = [max(float(abs(loss).max()), 1.0) for loss in losses]
    pivot = int(np.argmin(sum(loss.astype(float) / unit for loss, unit in zip(losses, scale, strict=True))))
    alive = alive[_undominated(losses, pivot)]
    order = np.lexsort([loss[alive] for loss in reversed(losses)])
    alive = alive[order]
    if len(losses) <= 2:  # in this order a point is on the front where its last loss is less than all before it
        last = losses[-1][alive]
        return np.sort(alive[np.append(True, last[1:] < np.minimum.accumulate(last)[:-1])])
    found = []
    while len(alive):  # and no point is better than one before it, so a batch is done with once it is compared
        batch, alive = alive[:BATCH], alive[BATCH:]
        batch = batch[~np.triu(_no_worse(losses, batch, batch), k=1).any(axis=0)]
        alive = alive[~_no_worse(losses, batch, alive).any(axis=0)]
        found.append(batch)
    return np.sort(np.concatenate(found))


def _no_worse(losses: Sequence[NDArray[Any]], some: Indices, others: Indices) -> NDArray[np.bool_]:
    """Whether each of `some` is as good as each of the `others` in all losses: (len(some), len(others))."""
    no_worse = np.ones((len(some), len(others)), bool)
    for loss in losses:
        no_worse &= loss[some][:, None] <= loss[others]
    return no_worse


def _undominated(losses: Sequence[NDArray[Any]], place: int) -> NDArray[np.bool_]:
    """Which points are better than that one somewhere, or are the first of its equals."""
    better = np.zeros(len(losses[0]), bool)
    equal = np.ones(len(losses[0]), bool)
    for loss in losses:
        better |= loss < loss[place]
        equal &= loss == loss[place]
    better[np.flatnonzero(equal)[0]] = True
    return better
