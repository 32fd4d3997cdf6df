"""Select the best variants of a stream: the first few in an order, or the Pareto front, in bounded memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
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
    # One good compromise dominates most other points, which leaves little to sort.
    (pivot,) = _by_compromise(losses)[:1].tolist()
    alive = np.flatnonzero(_better(losses, pivot))
    order = np.lexsort([loss[alive] for loss in reversed(losses)])
    alive = alive[order]
    if len(losses) <= 2:  # in this order, the front is where the last loss falls below all before it
        last = losses[-1][alive]
        return np.sort(alive[np.append(True, last[1:] < np.minimum.accumulate(last)[:-1])])
    found = []
    while len(alive):  # no point dominates an earlier one, so each batch is compared once
        batch, alive = alive[:BATCH], alive[BATCH:]
        mine = [loss[batch] for loss in losses]
        batch = batch[~(_no_worse(mine, mine) & _LATER[: len(batch), : len(batch)]).any(axis=0)]
        alive = _less([loss[batch] for loss in losses], losses, alive)
        found.append(batch)
    return np.sort(np.concatenate(found))


def undominated(losses: Sequence[NDArray[Any]], others: Sequence[NDArray[Any]]) -> Indices:
    """The indices of the points that are less in some loss than each of `others`, of which there is one or more."""
    order = _by_compromise(others)
    best = order[0]
    better = losses[0] < others[0][best]
    for loss, other in zip(losses[1:], others[1:], strict=True):
        better |= loss < other[best]
    alive = np.flatnonzero(better)  # few: the best compromise dominates most points
    edges = (1, *range(8, min(len(order), BATCH), 56), *range(BATCH, len(order), BATCH), len(order))
    for start, stop in pairwise(edges):
        if not len(alive):
            break
        alive = _less([loss[order[start:stop]] for loss in others], losses, alive)
    return alive


def _by_compromise(losses: Sequence[NDArray[Any]]) -> Indices:
    """The indices of points in the order of the sum of all losses, each as a share of the largest."""
    scale = [max(float(abs(loss).max()), 1.0) for loss in losses]
    return np.argsort(sum(loss.astype(float) / unit for loss, unit in zip(losses, scale, strict=True)))


def _less(some: Sequence[NDArray[Any]], losses: Sequence[NDArray[Any]], alive: Indices) -> Indices:
    """Those points of `alive` that are less in some loss than each of `some`."""
    return alive[~_no_worse(some, [loss[alive] for loss in losses]).any(axis=0)]


_LATER = np.triu(np.ones((BATCH, BATCH), bool), k=1)


def _no_worse(some: Sequence[NDArray[Any]], others: Sequence[NDArray[Any]]) -> NDArray[np.bool_]:
    """Whether each of `some` is at most equal to each of `others` in all losses: shape (len(some), len(others))."""
    no_worse: Any = True
    for mine, theirs in zip(some, others, strict=True):
        no_worse = no_worse & (mine[:, None] <= theirs)
    return no_worse  # type: ignore[no-any-return]


def _better(losses: Sequence[NDArray[Any]], place: int) -> NDArray[np.bool_]:
    """Mask of the points with some smaller loss than the point at `place`, and of the first point equal to it."""
    better = np.zeros(len(losses[0]), bool)
    equal = np.ones(len(losses[0]), bool)
    for loss in losses:
        better |= loss < loss[place]
        equal &= loss == loss[place]
    better[np.flatnonzero(equal)[0]] = True
    return better
