"""Specs with values placed in them without validation: scalars give one variant, arrays a block of variants."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any, TypeVar, cast

import numpy as np

from llmarch_cli.components.record import Record
from llmarch_cli.profilers import closed_form
from llmarch_cli.profilers.cost import COST_FIELDS, Cost, Workload
from llmarch_cli.profilers.profile import Profile
from llmarch_cli.specs.spec import Item, ModelSpec
from llmarch_cli.specs.storage import PLAIN_BYTES

Holder = TypeVar("Holder")


def placed(holder: Holder, values: Mapping[str, Any]) -> Holder:
    """A copy of a record, or of a mapping of records, with the value at each dotted path replaced."""
    below: dict[str, dict[str, Any]] = {}
    for path, value in values.items():
        step, _, rest = path.partition(".")
        below.setdefault(step, {})[rest] = value
    old: Any = holder
    held = old if isinstance(old, dict) else old.__dict__
    new = {step: inner[""] if "" in inner else placed(held[step], inner) for step, inner in below.items()}
    return cast("Holder", {**old, **new} if isinstance(old, dict) else old.model_copy(update=new))


def consistent(base: ModelSpec, values: Mapping[str, Any]) -> ModelSpec:
    """The variant with these values, each of which its field accepts. Raises ValueError if together they break a rule.

    The rules are run of all records around a value: the others are as in `base`.
    """
    spec = placed(base, values)
    for _, record in records_around(spec, tuple(values)):
        record.require_rules()
    return spec


def records_around(spec: ModelSpec, paths: tuple[str, ...]) -> Iterator[tuple[str, Record]]:
    """The records around fields, innermost first, as validation goes; each with the prefix of its fields' paths."""
    for prefix in _prefixes(paths):
        record: Any = spec
        for step in prefix.split(".")[:-1]:
            record = record[step] if isinstance(record, dict) else getattr(record, step)
        if isinstance(record, Record):
            yield prefix, record


@lru_cache(1)
def _prefixes(paths: tuple[str, ...]) -> tuple[str, ...]:
    """What the paths begin with, longest first: of `a.b.c`, `a.b.`, `a.` and the empty prefix of the spec."""
    found: dict[str, None] = {}
    for path in paths:
        while path:
            path = path.rpartition(".")[0]
            found[f"{path}." if path else ""] = None
    return tuple(sorted(found, key=lambda prefix: -prefix.count(".")))


def priced(spec: ModelSpec, workload: Workload) -> Profile:
    """The closed-form profile of `spec`. Its values are arrays if the fields they depend on are.

    Raises TypeError or ValueError if a formula cannot compute with an array, such as one that branches on it.
    """
    items = list(spec.inventory())
    costs = closed_form.measure(spec, items, workload)
    # Smallest arrays first, so that sums stay small as long as possible.
    rows = sorted(zip(items, costs, strict=True), key=lambda row: _extent(row[1]))
    found = Profile(spec, workload, "closed-form", tuple(rows))
    found.__dict__["total"] = _Total(rows)  # the cached property
    if workload.weights not in PLAIN_BYTES:
        _ = found.weight_bytes  # computed here, since it too may branch on an array
    return found


class _Total:
    """The cost of the whole decoder. Each field is summed when it is first read: most are not, and each is an array."""

    def __init__(self, rows: list[tuple[Item, Cost]]) -> None:
        self._rows = [(item.count, cost) for item, cost in rows if not item.mtp]

    def __getattr__(self, field: str) -> Any:
        if field not in COST_FIELDS:
            raise AttributeError(field)
        values = ((count, getattr(cost, field)) for count, cost in self._rows)
        total = sum(value * count for count, value in values if isinstance(value, np.ndarray) or value)
        setattr(self, field, total)
        return total


def _extent(cost: Cost) -> int:
    counts = (getattr(cost, field) for field in COST_FIELDS)
    return sum(count.size if isinstance(count, np.ndarray) else 1 for count in counts)
