"""The invalid combinations of field values: each rule runs once per combination of the fields that it reads.

Rules are the model validators of the records. They run on a stand-in that returns the current values and records which
varying fields were read; the other fields cannot change the result.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from inspect import getattr_static
from itertools import product
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from llmarch_cli.components.record import Record
from llmarch_cli.errors import InputError
from llmarch_cli.specs.spec import ModelSpec
from llmarch_cli.sweeping.axes import Axis
from llmarch_cli.sweeping.designs import records_around

MAX_COMBINATIONS = 4_000_000  # of the values of the fields that one rule reads


@dataclass(frozen=True)
class Rule:
    """The axes that a rule reads, and for each combination of their values 0 or the number of the reason against it."""

    axes: tuple[int, ...]
    reasons: NDArray[np.int32]


@dataclass
class Rules:
    """All rules that some combination breaks, and the reasons in words, numbered from 1."""

    rules: list[Rule] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)

    def broken(self, indices: Sequence[Any]) -> NDArray[np.int32]:
        """The number of the first reason against each point, or 0. The `indices` into the axes broadcast."""
        first = np.zeros((), np.int32)
        for rule in self.rules:
            reason = rule.reasons[tuple(indices[axis] for axis in rule.axes)]
            first = np.where(first == 0, reason, first)
        return first


def rules(base: ModelSpec, axes: Sequence[Axis]) -> Rules:
    """Run the validators of `base`'s records on the values of `axes`. Raises InputError for too many combinations."""
    trace = _Trace({axis.path: axis.values[0] for axis in axes})
    found = Rules()
    numbers: dict[str, int] = {}
    for above, ask in _validators(base, axes, trace):
        rule = _asked(above, ask, axes, trace, numbers)
        if rule.reasons.any():
            found.rules.append(rule)
    found.reasons = list(numbers)
    return found


@dataclass
class _Trace:
    """The current values of the varying fields, by path, and the paths that were read."""

    values: dict[str, Any]
    read: set[str] = field(default_factory=set)


class _StandIn:
    """Stands in for a record. Its methods and properties run on the stand-in too, so that every read is recorded."""

    __slots__ = ("_above", "_record", "_trace")

    def __init__(self, record: Record, above: str, trace: _Trace) -> None:
        self._record, self._above, self._trace = record, above, trace

    @property  # type: ignore[misc]
    def __class__(self) -> type:
        return type(self._record)

    @property
    def __dict__(self) -> dict[str, Any]:  # type: ignore[override]
        """The fields that do not vary. Who looks through all fields looks for records, and one that varies is none."""
        fields = ((name, f"{self._above}{name}", value) for name, value in vars(self._record).items())
        values = self._trace.values
        return {name: _standing_in(value, path, self._trace) for name, path, value in fields if path not in values}

    def __getattr__(self, name: str) -> Any:
        record, trace, path = self._record, self._trace, f"{self._above}{name}"
        if name not in type(record).field_defaults:
            found = getattr_static(type(record), name)
            return found.__get__(self) if hasattr(found, "__get__") else found
        if path in trace.values:
            trace.read.add(path)
            return trace.values[path]
        return _standing_in(getattr(record, name), path, trace)


def _standing_in(value: Any, path: str, trace: _Trace) -> Any:
    match value:
        case Record():
            return _StandIn(value, f"{path}.", trace)
        case dict():
            return {name: _standing_in(inner, f"{path}.{name}", trace) for name, inner in value.items()}
        case _:
            return value


def _validators(base: ModelSpec, axes: Sequence[Axis], trace: _Trace) -> Iterator[tuple[str, Callable[[], object]]]:
    """Each rule that can read a varying field, with the path of its record, innermost records first."""
    for above, record in records_around(base, tuple(axis.path for axis in axes)):
        stand_in = _StandIn(record, above, trace)
        for name in record.rules:
            yield above, getattr(stand_in, name)


def _asked(above: str, ask: Callable[[], object], axes: Sequence[Axis], trace: _Trace, numbers: dict[str, int]) -> Rule:
    """Run `ask` for every combination of the fields that it reads, which are found as it runs."""
    read: list[int] = []
    while True:
        shape = tuple(len(axes[axis].values) for axis in read)
        if prod(shape) > MAX_COMBINATIONS:
            paths = ", ".join(axes[axis].path for axis in read)
            raise InputError(
                f"{paths}: these fields depend on each other and have {prod(shape):,} combinations,"
                f" more than {MAX_COMBINATIONS:,}; give fewer values"
            )
        reasons = np.zeros(shape, np.int32)
        for place in product(*map(range, shape)):
            for axis, index in zip(read, place, strict=True):
                trace.values[axes[axis].path] = axes[axis].values[index]
            trace.read.clear()
            try:
                ask()
            except ValueError as error:
                # Messages that differ only in the values in parentheses are one reason.
                reason = f"{above[:-1]}: {error}".removeprefix(": ")
                reasons[place] = numbers.setdefault(re.sub(r" \([^()]*\)", "", reason), len(numbers) + 1)
            more = [n for n, axis in enumerate(axes) if axis.path in trace.read and n not in read]
            if more:
                read += more
                break
        else:
            return Rule(tuple(read), reasons)
