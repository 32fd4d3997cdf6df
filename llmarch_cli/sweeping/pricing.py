"""The figures of a block: any metric that is a number, as an array that broadcasts to the block's points."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from llmarch_cli.errors import InputError, shown, suggestion
from llmarch_cli.profilers.cost import COST_FIELDS, Workload
from llmarch_cli.profilers.profile import Profile
from llmarch_cli.report import units
from llmarch_cli.report.columns import METRICS, metric
from llmarch_cli.specs.spec import ModelSpec
from llmarch_cli.sweeping.axes import Axis, Scalar
from llmarch_cli.sweeping.designs import placed, priced
from llmarch_cli.sweeping.exact import LARGEST
from llmarch_cli.sweeping.grid import Block

Array = NDArray[Any]  # of int64, or of Python's integers where these could not hold a figure

_WHOLE = (units.INTEGER, units.PARAMS, units.BYTES, units.FLOPS, units.TOKENS)

COUNTS = tuple(metric.key for metric in METRICS if metric.unit in _WHOLE)
RATIOS = {metric.key: metric.ratio_of for metric in METRICS if metric.ratio_of is not None}


@dataclass(frozen=True)
class Figures:
    """What the variants of a block cost.

    Attributes:
        profile: of the spec whose fields hold arrays.
        bound: no figure is larger.
        values: what each axis holds, by path.
    """

    block: Block
    profile: Profile
    bound: int
    values: Mapping[str, Scalar | Array]

    def count(self, name: str) -> int | Array:
        """A metric, or a varying field, that is a whole number."""
        if name in self.values:
            return self.values[name]  # type: ignore[return-value]
        return metric(name).value(self.profile)  # type: ignore[return-value]

    def at(self, name: str, chosen: NDArray[np.int64]) -> Array:
        """The same at the block's points of these numbers; of a ratio the nearest floating-point number."""
        if name in RATIOS:
            part, whole = (self.at(key, chosen) for key in RATIOS[name])
            return quotient(part, whole)
        # Said, not guessed: NumPy takes what lies between 2**63 and 2**64 as unsigned, and joins that as floats.
        everywhere = np.broadcast_to(np.asarray(self.count(name), dtype_for(self.bound)), self.block.shape)
        return everywhere.reshape(-1)[chosen]


def dtype_for(bound: int) -> np.dtype[Any]:
    """What holds whole numbers up to `bound` exactly."""
    return np.dtype(np.int64 if bound <= LARGEST else object)


def quotient(part: Array, whole: Array) -> Array:
    """The nearest floating-point numbers; infinite where there is no whole."""
    return np.where(whole == 0, np.inf, (part / np.where(whole == 0, 1, whole)).astype(float))


class Pricing:
    """Prices blocks of variants of `base`, exactly."""

    def __init__(self, base: ModelSpec, axes: tuple[Axis, ...], n_outer: int, workload: Workload) -> None:
        self.base, self.axes, self.n_outer, self.workload = base, axes, n_outer, workload
        self._inner = [np.array(axis.values) for axis in axes[n_outer:]]
        self._latest: tuple[tuple[Scalar, ...], tuple[ModelSpec, Profile, int]] | None = None

    def figures(self, block: Block) -> Figures:
        """What the points of `block` cost."""
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
        """The spec with its outer values, the largest of all that share them, and a bound on every figure of these.

        No figure shrinks where a number in its formula grows, so the largest of each axis give it. What is between
        the fields and a figure may wrap: products and sums modulo 2**64 end right where the figure itself fits.
        """
        key = tuple(outer.values())
        latest = self._latest  # read once: a worker may answer several chunks at the same time
        if latest is None or latest[0] != key:
            spec = placed(self.base, outer)
            largest: dict[str, int] = {axis.path: max(axis.values) for axis in self.axes[self.n_outer :]}  # type: ignore[type-var, misc]
            corner = priced(placed(spec, largest), self.workload)
            totals = (getattr(total, field) for total in (corner.total, corner.mtp) for field in COST_FIELDS)
            counts: Iterable[Any] = (metric(name).value(corner) or 0 for name in COUNTS)
            self._latest = latest = key, (spec, corner, max(*totals, *counts, *largest.values()))
        return latest[1]


def check_name(name: str, paths: Mapping[str, Axis], base: ModelSpec) -> None:
    """Raise InputError for what is neither a metric that is a number nor a varying field that is one."""
    if name in paths:
        if not paths[name].is_whole:
            raise InputError(f"{shown(name)} is not a whole number in every variant: vary over the wanted values only")
    elif name == "context_length" and base.context_length is None:
        raise InputError(f"{shown(name)}: this model does not say what it was made for")
    elif name not in COUNTS and name not in RATIOS:
        known = list(dict.fromkeys((*COUNTS, *RATIOS, *paths)))
        raise InputError(f"unknown figure {shown(name)}{suggestion(name, known) or '; known: ' + ', '.join(known)}")
