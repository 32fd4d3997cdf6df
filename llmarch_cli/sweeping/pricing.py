"""The numeric metrics of a block of variants, as arrays that broadcast to its points."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from llmarch_cli.errors import InputError, shown
from llmarch_cli.profilers.cost import COST_FIELDS, Workload
from llmarch_cli.profilers.profile import Profile
from llmarch_cli.report import names, units
from llmarch_cli.report.columns import METRICS, RENAMED, TITLES, metric
from llmarch_cli.specs.spec import ModelSpec
from llmarch_cli.sweeping.axes import Axis, Scalar
from llmarch_cli.sweeping.designs import placed, priced
from llmarch_cli.sweeping.exact import LARGEST
from llmarch_cli.sweeping.grid import Block

Array = NDArray[Any]  # of int64, or of Python integers if a value may not fit

_WHOLE = (units.INTEGER, units.PARAMS, units.BYTES, units.FLOPS, units.TOKENS)

COUNTS = tuple(metric.key for metric in METRICS if metric.unit in _WHOLE and metric.ratio_of is None)
RATIOS = {metric.key: metric.ratio_of for metric in METRICS if metric.ratio_of is not None}


@dataclass(frozen=True)
class Figures:
    """The metrics of a block's variants.

    Attributes:
        block: the points.
        profile: the profile of a spec whose fields hold arrays.
        bound: the largest possible value of any metric.
        values: the value or array of each axis, by path.
    """

    block: Block
    profile: Profile
    bound: int
    values: Mapping[str, Scalar | Array]

    def count(self, name: str) -> int | Fraction | Array:
        """An exact metric or varying field, as a number or an array that broadcasts to the block."""
        if name in self.values:
            return self.values[name]  # type: ignore[return-value]
        return metric(name).value(self.profile)  # type: ignore[return-value]

    def at(self, name: str, chosen: NDArray[np.int64]) -> Array:
        """A metric's values at the `chosen` points of the block, by flat index; ratios as floating-point numbers."""
        if name in RATIOS:
            part, whole = (self.at(key, chosen) for key in RATIOS[name])
            return quotient(part, whole)
        # An explicit dtype: NumPy makes values from 2**63 to 2**64 unsigned, and joins these with int64 as floats.
        # A share of bytes, which a token has in a row of several, is a Fraction: int64 would cut it.
        found = self.count(name)
        dtype = np.dtype(object) if isinstance(found, Fraction) else dtype_for(self.bound)
        values = np.asarray(found, dtype)
        sources = chosen if values.shape == self.block.shape else _sources(values.shape, self.block.shape)[chosen]
        return values.reshape(-1)[sources]


@lru_cache(16)
def _sources(shape: tuple[int, ...], within: tuple[int, ...]) -> NDArray[np.int32]:
    """For each point of an array of the shape `within`, where its value is in a smaller one that broadcasts to it.

    The same for many blocks, and cheaper to look up in than to broadcast each array.
    """
    return np.broadcast_to(np.arange(prod(shape), dtype=np.int32).reshape(shape), within).reshape(-1)


def dtype_for(bound: int) -> np.dtype[Any]:
    """The dtype that holds integers up to `bound` exactly."""
    return np.dtype(np.int64 if bound <= LARGEST else object)


def quotient(part: Array, whole: Array) -> Array:
    """`part / whole` as the nearest floating-point numbers; infinite if `whole` is 0."""
    return np.where(whole == 0, np.inf, (part / np.where(whole == 0, 1, whole)).astype(float))


class Pricing:
    """Computes the metrics of blocks of variants of `base`, exactly."""

    def __init__(self, base: ModelSpec, axes: tuple[Axis, ...], n_outer: int, workload: Workload) -> None:
        self.base, self.axes, self.n_outer, self.workload = base, axes, n_outer, workload
        self._inner = [np.array(axis.values) for axis in axes[n_outer:]]
        self._latest: tuple[tuple[Scalar, ...], tuple[ModelSpec, Profile, int]] | None = None

    def figures(self, block: Block) -> Figures:
        """The metrics of the points of `block`."""
        outer = {
            axis.path: axis.values[int(index)]
            for axis, index in zip(self.axes[: self.n_outer], block.indices, strict=False)
        }
        spec, corner, bound = self._variant(outer)
        inner = {
            axis.path: values.astype(dtype_for(bound), copy=False)[index]
            for axis, values, index in zip(
                self.axes[self.n_outer :], self._inner, block.indices[self.n_outer :], strict=True
            )
        }
        profile = priced(placed(spec, inner), self.workload) if inner else corner
        return Figures(block, profile, bound, {**outer, **inner})

    def _variant(self, outer: Mapping[str, Scalar]) -> tuple[ModelSpec, Profile, int]:
        """The spec with these outer values, its largest variant's profile, and a bound on every metric.

        Every metric is monotonic in every number of its formula, so the largest inner values give the bound.
        Intermediate results may overflow: sums and products modulo 2**64 are right if the final value fits.
        """
        key = tuple(outer.values())
        latest = self._latest  # read once: a worker may compute several chunks in parallel
        if latest is None or latest[0] != key:
            spec = placed(self.base, outer)
            largest: dict[str, int] = {axis.path: max(axis.values) for axis in self.axes[self.n_outer :]}  # type: ignore[type-var, misc]
            corner = priced(placed(spec, largest), self.workload)
            totals = (getattr(total, field) for total in (corner.total, corner.mtp) for field in COST_FIELDS)
            counts: Iterable[Any] = (metric(name).value(corner) or 0 for name in COUNTS)
            self._latest = latest = key, (spec, corner, max(*totals, *counts, *largest.values()))
        return latest[1]


def named(text: str, paths: Mapping[str, Axis], base: ModelSpec) -> str:
    """The path of a varying integer field, or the key of a numeric metric by key or heading.

    Raises InputError for any other text.
    """
    if text in paths:
        if not paths[text].is_whole:
            raise InputError(f"{shown(text)} is not an integer in every variant; vary only over integers")
        return text
    known = dict.fromkeys((*COUNTS, *RATIOS, *paths))
    titles = {key: TITLES.get(key, ()) for key in known}
    key = (
        metric(text).key
        if text in RENAMED
        else names.key_of(text, titles, "metric", hint=f"; known: {', '.join(known)}")
    )
    if key == "context_window" and base.context_length is None:
        raise InputError(f"{shown(key)}: {base.id} has no context_length")
    return key
