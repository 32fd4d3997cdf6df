"""A spec with values placed in it, unchecked: of scalars one variant, of arrays a block of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, cast

import numpy as np

from llmarch_cli.components.component import Record
from llmarch_cli.profilers import closed_form
from llmarch_cli.profilers.cost import COST_FIELDS, Cost, Workload
from llmarch_cli.profilers.profile import Profile
from llmarch_cli.specs.spec import ModelSpec

Holder = TypeVar("Holder")


def placed(holder: Holder, values: Mapping[str, Any]) -> Holder:
    """A record, or a mapping of records, with what stands at each dotted path replaced."""
    below: dict[str, dict[str, Any]] = {}
    for path, value in values.items():
        step, _, rest = path.partition(".")
        below.setdefault(step, {})[rest] = value
    old: Any = holder
    held = old if isinstance(old, dict) else old.__dict__
    new = {step: inner[""] if "" in inner else placed(held[step], inner) for step, inner in below.items()}
    return cast("Holder", {**old, **new} if isinstance(old, dict) else old.model_copy(update=new))


def data(value: Any) -> Any:
    """A record as a mapping of its fields, all the way down, of which another one can be made.

    Pydantic's own way asks Python which kind a component is, and where that is interrupted, it goes on.
    """
    match value:
        case Record():
            return {name: data(getattr(value, name)) for name in type(value).model_fields}
        case dict():
            return {name: data(inner) for name, inner in value.items()}
        case tuple():
            return tuple(map(data, value))
        case _:
            return value


def priced(spec: ModelSpec, workload: Workload) -> Profile:
    """The closed form's profile of `spec`, whose figures are arrays where its fields are.

    Raises TypeError or ValueError where a formula asks of an array what only a number can answer.
    """
    items = list(spec.inventory())
    costs = closed_form.measure(spec, items, workload)
    # The smallest first: what is added up stays small for as long as it can.
    rows = sorted(zip(items, costs, strict=True), key=lambda row: _extent(row[1]))
    return Profile(spec, workload, "closed-form", tuple(rows))


def _extent(cost: Cost) -> int:
    return sum(int(np.size(getattr(cost, field))) for field in COST_FIELDS)
