"""The points of a grid in their order, cut into blocks that are priced at once, and blocks bundled into chunks.

The order is that of nested loops over the axes. Outermost are the axes that decide which formula applies, which are
taken one value at a time: text, null, and numbers that a formula compares. Then follow those that arrays can hold.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice, pairwise, product
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from llmarch_cli.profilers.cost import Workload
from llmarch_cli.specs.spec import ModelSpec
from llmarch_cli.sweeping.axes import Axis, Scalar
from llmarch_cli.sweeping.designs import placed, priced

BLOCK = 1 << 16  # points priced at once: their arrays stay in a processor's cache
MAX_TRIED = 100  # combinations of the outer axes under which an inner one is tried

Indices = NDArray[np.int64]


@dataclass(frozen=True)
class Block:
    """Points next to each other in the order, as the product of a run of each axis, or one by one.

    Attributes:
        indices: for each axis its values' numbers, which broadcast to `shape`.
        positions: the points' places in the grid's order, as many as `shape` holds.
    """

    indices: tuple[Indices | int, ...]
    shape: tuple[int, ...]
    positions: Indices


@dataclass(frozen=True)
class Grid:
    """All combinations of `axes`, of which the first `n_outer` are taken one value at a time, or a sample of them."""

    axes: tuple[Axis, ...]
    n_outer: int
    sample: int | None = None
    seed: int = 0
    block: int = BLOCK

    @cached_property
    def lengths(self) -> tuple[int, ...]:
        """How many values each axis has."""
        return tuple(len(axis.values) for axis in self.axes)

    @cached_property
    def size(self) -> int:
        """How many points there are."""
        return prod(self.lengths) if self.sample is None else len(self._drawn)

    def values(self, positions: Indices) -> list[list[Scalar]]:
        """For each axis its value at each of `positions`."""
        indices = np.unravel_index(positions, self.lengths)
        return [[axis.values[i] for i in numbers.tolist()] for axis, numbers in zip(self.axes, indices, strict=True)]

    def drawn(self, count: int) -> Indices:
        """`count` of the points, or all where there are no more, at random but always the same, in order."""
        chosen = _draw(self.size, min(count, self.size), self.seed)
        return chosen if self.sample is None else self._drawn[chosen]

    @cached_property
    def _drawn(self) -> Indices:
        return _draw(prod(self.lengths), self.sample or 0, self.seed)

    # --- blocks -----------------------------------------------------------------------------------------------------

    @property
    def n_blocks(self) -> int:
        """How many blocks the points fall into."""
        if self.sample is not None:
            return -(-self.size // self.block)
        return prod(self.lengths[: self._cut]) * self._n_slices

    def blocks(self, numbers: range) -> Iterator[Block]:
        """The blocks of these numbers, in order."""
        for number in numbers:
            if self.sample is None:
                yield self._product(number)
            else:
                yield from self._scattered(self._drawn[number * self.block : (number + 1) * self.block])

    def _product(self, number: int) -> Block:
        """One value of each axis before the cut, a slice of the one there, and all of those that follow."""
        number, slice_ = divmod(number, self._n_slices)
        leading = np.unravel_index(number, self.lengths[: self._cut]) if self._cut else ()
        inner = self.lengths[self._cut :]
        runs = [range(length) for length in inner]
        if runs:
            runs[0] = runs[0][slice_ * self._thickness : (slice_ + 1) * self._thickness]
        shape = tuple(map(len, runs))
        start = number * prod(inner) + (runs[0].start * prod(inner[1:]) if runs else 0)
        trailing = np.ix_(*(np.asarray(run) for run in runs))
        return Block((*map(int, leading), *trailing), shape, np.arange(start, start + prod(shape)))

    def _scattered(self, positions: Indices) -> Iterator[Block]:
        """Drawn points, those together that share the values of the outer axes."""
        outer = positions // prod(self.lengths[self.n_outer :])
        edges = [0, *(np.flatnonzero(np.diff(outer)) + 1).tolist(), len(positions)]
        for start, stop in pairwise(edges):
            some = positions[start:stop]
            indices = np.unravel_index(some, self.lengths)
            leading = (int(numbers[0]) for numbers in indices[: self.n_outer])
            yield Block((*leading, *indices[self.n_outer :]), (len(some),), some)

    @cached_property
    def _cut(self) -> int:
        """The first axis of which a block holds more than one value."""
        cut = len(self.axes)
        while cut > self.n_outer and prod(self.lengths[cut:]) < self.block:
            cut -= 1
        return cut

    @cached_property
    def _thickness(self) -> int:
        """How many values of that axis a block holds."""
        return max(1, self.block // prod(self.lengths[self._cut + 1 :]))

    @cached_property
    def _n_slices(self) -> int:
        return -(-self.lengths[self._cut] // self._thickness) if self._cut < len(self.axes) else 1


def _draw(size: int, count: int, seed: int) -> Indices:
    """`count` different numbers below `size`, sorted."""
    random = np.random.Generator(np.random.PCG64(seed))
    if size <= 4 * count:
        return np.sort(random.permutation(size)[:count])
    drawn = np.zeros(0, np.int64)
    while len(drawn) < count:
        drawn = np.unique(np.concatenate((drawn, random.integers(0, size, 2 * count))))
    return np.sort(random.permutation(drawn)[:count])


def ordered(base: ModelSpec, axes: Sequence[Axis], workload: Workload) -> tuple[tuple[Axis, ...], int]:
    """The axes in the grid's order, and how many of them are taken one value at a time.

    Which these are is found by trying: NumPy refuses to say whether an array is true, hence where a formula compares
    or branches on what varies, pricing an array of it fails.
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
