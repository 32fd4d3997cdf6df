"""The axes of a grid: a field of the spec, and the values that it takes in turn."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from llmarch_cli.changes import assignment, changed
from llmarch_cli.component import Record
from llmarch_cli.errors import InputError, shown
from llmarch_cli.spec import ModelSpec

Scalar = int | float | str | bool | None

MAX_VALUES = 100_000  # of one axis

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
        return [assignment(f"{path}={value}")[1] for value in text.split(",")]
    start, stop, step = (int(number.replace("_", "")) for number in match.groups("1"))
    if step == 0 or stop < start:
        raise InputError(f"--vary {path}: {text} is empty: a range is start:stop:step, upwards")
    if (stop - start) // step >= MAX_VALUES:
        raise InputError(f"--vary {path}: {text} has more than {MAX_VALUES:,} values")
    return list(range(start, stop + 1, step))


def axes(base: ModelSpec, vary: Mapping[str, Iterable[Scalar]]) -> tuple[Axis, ...]:
    """The axes of `vary`, each value fit for its field. Raises InputError for paths and values that are not."""
    if not vary:
        raise InputError("nothing varies: name a field and its values, such as --vary n_layers=24,32,48")
    for path in vary:
        for other in vary:
            if other.startswith(f"{path}."):
                raise InputError(f"{path} and {other} cannot both vary: the one holds the other")
    return tuple(_axis(base, path, values) for path, values in vary.items())


def _axis(base: ModelSpec, path: str, given: Iterable[Scalar]) -> Axis:
    values = tuple(given)
    if not values:
        raise InputError(f"{path}: no values to vary it over")
    if len(values) > MAX_VALUES:
        raise InputError(f"{path}: more than {MAX_VALUES:,} values")
    if wrong := [value for value in values if not isinstance(value, Scalar)]:
        raise InputError(f"{path}: varies over numbers, text, true, false and null, not {shown(wrong[0])}")
    if len({(type(value), value) for value in values}) < len(values):
        raise InputError(f"{path}: a value is given twice")
    record, name = _record(base, path)
    if record is None:
        changed(base, {path: values[0]})  # says what is wrong with the path, or with such a value there
        raise InputError(f"{path}: cannot vary: what varies is one value of a record that the spec has")
    return Axis(path, tuple(_fitting(base, record, name, path, value) for value in values))


def _record(base: ModelSpec, path: str) -> tuple[Record | None, str]:
    """The record that holds the field, and the field's name there."""
    holder: Any = base
    *above, name = path.split(".")
    for step in above:
        holder = holder.get(step) if isinstance(holder, dict) else getattr(holder, step, None)
    return (holder, name) if isinstance(holder, Record) and name in type(holder).model_fields else (None, name)


def _fitting(base: ModelSpec, record: Record, name: str, path: str, value: Scalar) -> Scalar:
    """`value` as its field holds it. Only a rule between several fields may still refuse it. Raises InputError."""
    data = {**record.__dict__, name: value}
    if value is None:  # takes the field out, as in a change
        del data[name]
    try:
        return getattr(type(record).model_validate(data), name)  # type: ignore[no-any-return]
    except ValidationError as error:
        if any(details["loc"][:1] == (name,) for details in error.errors(include_url=False)):
            changed(base, {path: value})
            raise InputError(f"{path}: cannot be {shown(value)}") from None
    return type(record).model_fields[name].get_default() if value is None else value
