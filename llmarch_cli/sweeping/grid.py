"""The ordered points of a grid, cut into blocks that are computed at once.

The order is that of nested loops over the axes. The outer axes are iterated one value at a time: text, null, and
numbers that a formula branches on. The inner axes become arrays.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice, pairwise, product
from math import prod
from random import Random
from typing import Any

import numpy as np
from numpy.typing import NDArray

from llmarch_cli.profilers.cost import Workload
from llmarch_cli.specs.spec import ModelSpec
from llmarch_cli.sweeping.axes import Axis, Scalar
from llmarch_cli.sweeping.designs import placed, priced

BLOCK = 1 << 16  # points computed at once: small enough for a processor's cache
MAX_TRIED = 100  # combinations of outer values for which an inner axis is tried as an array

Indices = NDArray[np.int64]


@dataclass(frozen=True)
class Block:
    """Points computed together: a product of ranges of the axes, or sampled points.

    Attributes:
        indices: indices into each axis's values, which broadcast to `shape`.
        shape: the shape of the block's arrays.
        positions: each point's position in the grid's order, flat and ascending; a range if they are consecutive.
    """

    indices: tuple[Indices | int, ...]
    shape: tuple[int, ...]
    positions: Indices | range

    def at(self, places: Indices) -> Indices:
        """The positions in the grid of the points at these places in the block."""
        return places + self.positions.start if isinstance(self.positions, range) else self.positions[places]

    def places(self, positions: Indices) -> Indices:
        """The places in the block of points at these positions in the grid."""
        if isinstance(self.positions, range):
            return positions - self.positions.start
        return np.searchsorted(self.positions, positions)


@dataclass(frozen=True)
class Grid:
    """All combinations of `axes`, or a sample of them. The first `n_outer` axes are iterated one value at a time."""

    axes: tuple[Axis, ...]
    n_outer: int
    sample: int | None = None
    seed: int = 0
    block: int = BLOCK

    @cached_property
    def lengths(self) -> tuple[int, ...]:
        """The number of values of each axis."""
        return tuple(len(axis.values) for axis in self.axes)

    @cached_property
    def size(self) -> int:
        """The number of points to search."""
        return prod(self.lengths) if self.sample is None else len(self._drawn)

    def values(self, positions: Indices) -> list[list[Scalar]]:
        """The values of each axis at `positions`."""
        indices = np.unravel_index(positions, self.lengths)
        return [
            list(map(axis.values.__getitem__, numbers.tolist()))
            for axis, numbers in zip(self.axes, indices, strict=True)
        ]

    def drawn(self, count: int) -> Indices:
        """The positions of `count` random points, or of all if there are fewer, sorted. The seed determines them."""
        if count >= self.size:
            return np.arange(self.size) if self.sample is None else self._drawn
        # Python's own generator: for so few points, importing NumPy's would take longer than to draw them.
        chosen = np.array(sorted(Random(self.seed).sample(range(self.size), count)), np.int64)
        return chosen if self.sample is None else self._drawn[chosen]

    @cached_property
    def _drawn(self) -> Indices:
        return _draw(prod(self.lengths), self.sample or 0, self.seed)

    # --- blocks -----------------------------------------------------------------------------------------------------

    @property
    def n_blocks(self) -> int:
        """The number of blocks."""
        if self.sample is not None:
            return -(-self.size // self.block)
        return prod(self.lengths[: self._cut]) * self._n_slices

    def blocks(self, numbers: range) -> Iterator[Block]:
        """The blocks with these numbers, in order."""
        for number in numbers:
            if self.sample is None:
                yield self._product(number)
            else:
                yield from self._scattered(self._drawn[number * self.block : (number + 1) * self.block])

    def _product(self, number: int) -> Block:
        """One value of each axis before the cut, a slice of the axis at the cut, all values of the axes after it."""
        number, slice_ = divmod(number, self._n_slices)
        leading = np.unravel_index(number, self.lengths[: self._cut]) if self._cut else ()
        inner = self.lengths[self._cut :]
        runs = [range(length) for length in inner]
        if runs:
            runs[0] = runs[0][slice_ * self._thickness : (slice_ + 1) * self._thickness]
        shape = tuple(map(len, runs))
        start = number * prod(inner) + (runs[0].start * prod(inner[1:]) if runs else 0)
        trailing = np.ix_(*(np.asarray(run) for run in runs))
        return Block((*map(int, leading), *trailing), shape, range(start, start + prod(shape)))

    def _scattered(self, positions: Indices) -> Iterator[Block]:
        """Sampled points, one block for each combination of outer values."""
        outer = positions // prod(self.lengths[self.n_outer :])
        edges = [0, *(np.flatnonzero(np.diff(outer)) + 1).tolist(), len(positions)]
        for start, stop in pairwise(edges):
            some = positions[start:stop]
            indices = np.unravel_index(some, self.lengths)
            leading = (int(numbers[0]) for numbers in indices[: self.n_outer])
            yield Block((*leading, *indices[self.n_outer :]), (len(some),), some)

    @cached_property
    def _cut(self) -> int:
        """The first axis of which a block holds several values."""
        cut = len(self.axes)
        while cut > self.n_outer and prod(self.lengths[cut:]) < self.block:
            cut -= 1
        return cut

    @cached_property
    def _thickness(self) -> int:
        """The number of values that a block holds of the axis at the cut."""
        return max(1, self.block // prod(self.lengths[self._cut + 1 :]))

    @cached_property
    def _n_slices(self) -> int:
        return -(-self.lengths[self._cut] // self._thickness) if self._cut < len(self.axes) else 1


def _draw(size: int, count: int, seed: int) -> Indices:
    """`count` distinct random integers below `size`, sorted."""
    random = np.random.Generator(np.random.PCG64(seed))
    if size <= 4 * count:
        return np.sort(random.permutation(size)[:count])
    drawn = np.zeros(0, np.int64)
    while len(drawn) < count:
        drawn = np.unique(np.concatenate((drawn, random.integers(0, size, 2 * count))))
    return np.sort(random.permutation(drawn)[:count])


def ordered(base: ModelSpec, axes: Sequence[Axis], workload: Workload) -> tuple[tuple[Axis, ...], int]:
    """The axes in the grid's order, outer ones first, and the number of outer axes.

    Each axis is tried as an array: NumPy raises an error for the truth value of an array, so a formula that branches
    on the field fails, and the axis becomes an outer one.
    """
    outer = [axis for axis in axes if not axis.is_whole or len(axis.values) == 1]
    inner = [axis for axis in axes if axis not in outer]
    for values in islice(product(*(axis.values for axis in outer)), MAX_TRIED):
        spec = placed(base, dict(zip((axis.path for axis in outer), values, strict=True)))
        inner = [axis for axis in inner if _takes_arrays(spec, axis, workload)]
    return (*(axis for axis in axes if axis not in inner), *inner), len(axes) - len(inner)


def _takes_arrays(spec: ModelSpec, axis: Axis, workload: Workload) -> bool:
    values: Any = np.array(axis.values[:2])
    try:
        priced(placed(spec, {axis.path: values}), workload)
    except (TypeError, ValueError):
        return False
    return True
