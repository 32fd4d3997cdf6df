"""The axes of a grid: a field of the spec, and the values that it takes in turn."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from math import prod
from typing import Annotated, Any

from pydantic import TypeAdapter, ValidationError

from llmarch_cli.components.component import Record
from llmarch_cli.errors import InputError, shown
from llmarch_cli.specs.changes import assignment, changed
from llmarch_cli.specs.spec import ModelSpec

Scalar = int | float | str | bool | None

MAX_VALUES = 100_000  # of one axis
MAX_POINTS = 10**9
MAX_SAMPLE = 10**7
MAX_SAMPLED_FROM = 2**62

_RANGE = re.compile(r"([0-9][0-9_]*):([0-9][0-9_]*)(?::([0-9][0-9_]*))?")


@dataclass(frozen=True, slots=True)
class Axis:
    """The field at `path`, and its values in the order they were given."""

    path: str
    values: tuple[Scalar, ...]

    @property
    def is_whole(self) -> bool:
        """Whether all values are whole numbers, so that an array can hold them."""
        return all(type(value) is int for value in self.values)


def parsed(texts: Sequence[str]) -> dict[str, list[Scalar]]:
    """`PATH=1,2,4` and `PATH=start:stop:step`, which takes stop in where it is hit. Raises InputError."""
    vary: dict[str, list[Scalar]] = {}
    for text in texts:
        path, equals, values = (part.strip() for part in text.partition("="))
        if not (path and equals and values):
            raise InputError(f"--vary takes PATH=1,2,4 or PATH=start:stop:step, not {shown(text)}")
        if path in vary:
            raise InputError(f"--vary {path}: given twice; give all its values in one")
        vary[path] = _values(path, values)
    return vary


def _values(path: str, text: str) -> list[Scalar]:
    match = _RANGE.fullmatch(text)
    if match is None:
        try:
            return [assignment(f"{path}={value}")[1] for value in text.split(",")]
        except InputError as error:
            meant = "; a range is start:stop:step, of whole numbers" if ":" in text else ""
            raise InputError(f"--vary {error}{meant}") from None
    start, stop, step = (int(number.replace("_", "")) for number in match.groups("1"))
    if step == 0 or stop < start:
        raise InputError(f"--vary {path}: {text} is empty: a range is start:stop:step, upwards")
    if (stop - start) // step >= MAX_VALUES:
        raise InputError(f"--vary {path}: {text} has more than {MAX_VALUES:,} values")
    return list(range(start, stop + 1, step))


def axes(base: ModelSpec, vary: Mapping[str, Iterable[Scalar]], sample: int | None = None) -> tuple[Axis, ...]:
    """The axes of `vary`, each value fit for its field, of whose points `sample` are to be looked at, or all.

    Raises InputError for paths and values that are not, and for too many points.
    """
    if not vary:
        raise InputError("nothing varies: name a field and its values, such as --vary n_layers=24,32,48")
    for path in vary:
        for other in vary:
            if other.startswith(f"{path}."):
                raise InputError(f"{path} and {other} cannot both vary: the one holds the other")
    given = {path: tuple(islice(values, MAX_VALUES + 1)) for path, values in vary.items()}
    for path, values in given.items():
        if not values:
            raise InputError(f"{path}: no values to vary it over")
        if len(values) > MAX_VALUES:
            raise InputError(f"{path}: more than {MAX_VALUES:,} values")
    _check_size(prod(map(len, given.values())), sample)
    return tuple(_axis(base, path, values) for path, values in given.items())


def _check_size(points: int, sample: int | None) -> None:
    if points > MAX_SAMPLED_FROM:
        raise InputError(f"a grid of {points:.1e} points: more than can be numbered; give fewer values")
    if sample is None and points > MAX_POINTS:
        raise InputError(f"a grid of {points:,} points: above {MAX_POINTS:,} take a sample, such as --sample 1_000_000")
    if sample is not None and not 1 <= sample <= min(points, MAX_SAMPLE):
        raise InputError(
            f"--sample must be from 1 to {min(points, MAX_SAMPLE):,} of the grid's {points:,} points, not {sample:,}"
        )


def _axis(base: ModelSpec, path: str, values: tuple[Scalar, ...]) -> Axis:
    if wrong := [value for value in values if not isinstance(value, Scalar)]:
        raise InputError(f"{path}: varies over numbers, text, true, false and null, not {shown(wrong[0])}")
    record, name = _record(base, path)
    if record is None:
        changed(base, {path: values[0]})  # says what is wrong with the path, or with such a value there
        raise InputError(f"{path}: cannot vary: what varies is one value of a record that the spec has")
    fitting = _fitting(base, record, name, path, values)
    if records := [value for value, held in zip(values, fitting, strict=True) if not isinstance(held, Scalar)]:
        raise InputError(f"{path}: cannot vary over {shown(records[0])}, which is a whole record: vary its fields")
    seen: dict[Scalar, Scalar] = {}  # of one field, whose true is no 1
    for value, held in zip(values, fitting, strict=True):
        if held in seen:
            alike = f": null stands for {shown(held)}" if None in (value, seen[held]) and held is not None else ""
            raise InputError(f"{path}: a value is given twice{alike}")
        seen[held] = value
    return Axis(path, fitting)


def _record(base: ModelSpec, path: str) -> tuple[Record | None, str]:
    """The record that holds the field, and the field's name there."""
    holder: Any = base
    *above, name = path.split(".")
    for step in above:
        holder = holder.get(step) if isinstance(holder, dict) else getattr(holder, step, None)
    return (holder, name) if isinstance(holder, Record) and name in type(holder).model_fields else (None, name)


def _fitting(base: ModelSpec, record: Record, name: str, path: str, values: tuple[Scalar, ...]) -> tuple[Scalar, ...]:
    """`values` as the field holds them. Only a rule between several fields may still refuse one. Raises InputError.

    They are checked at once and by the field alone: to make a record of each takes long where there are many.
    """
    field = type(record).model_fields[name]
    if None in values:  # takes the field out, as in a change
        if field.is_required():
            changed(base, {path: None})
        values = tuple(field.get_default() if value is None else value for value in values)
    each: Any = Annotated[field.annotation, field]
    try:
        return TypeAdapter(tuple[each, ...], config=type(record).model_config).validate_python(values)
    except ValidationError as error:
        (place, *_) = error.errors(include_url=False)[0]["loc"]
        wrong = values[int(place)]
        changed(base, {path: wrong})
        raise InputError(f"{path}: cannot be {shown(wrong)}") from None
