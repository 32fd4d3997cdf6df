"""The axes of a grid: a field of the spec and its values."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from math import prod
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

from llmarch_cli.components.fields import Limits
from llmarch_cli.components.record import Record
from llmarch_cli.errors import InputError, shown
from llmarch_cli.specs.changes import assignment, changed
from llmarch_cli.specs.spec import ModelSpec

Scalar = int | float | str | bool | None

MAX_VALUES = 100_000  # of one axis
MAX_POINTS = 10**9
MAX_SAMPLE = 10**7
MAX_SAMPLED_FROM = 2**62

NOTHING = "nothing varies; give a field and its values,"

_OTHER_RANGE = re.compile(r"([0-9][0-9_]*) *(?:-|\.\.\.?) *([0-9][0-9_]*)")  # as in other languages
_RANGE = re.compile(r"([0-9][0-9_]*):([0-9][0-9_]*)(?::([0-9][0-9_]*))?")


@dataclass(frozen=True, slots=True)
class Axis:
    """A field's dotted path and its values, in the order given."""

    path: str
    values: tuple[Scalar, ...]

    @property
    def is_whole(self) -> bool:
        """Whether all values are integers, so that an array can hold them."""
        return all(type(value) is int for value in self.values)


def parsed(texts: Sequence[str]) -> dict[str, list[Scalar]]:
    """Parse `PATH=1,2,4` and `PATH=start:stop:step`, which includes stop. Raises InputError."""
    vary: dict[str, list[Scalar]] = {}
    for text in texts:
        path, equals, values = (part.strip() for part in text.partition("="))
        if not (path and equals and values):
            raise InputError(f"--vary takes PATH=1,2,4 or PATH=start:stop:step, not {shown(text)}")
        if path in vary:
            raise InputError(f"--vary {path}: given twice; give all its values in one --vary")
        vary[path] = _values(path, values)
    return vary


def _values(path: str, text: str) -> list[Scalar]:
    match = _RANGE.fullmatch(text)
    if mistaken := _OTHER_RANGE.fullmatch(text):
        raise InputError(f"--vary {path}: not {shown(text)}; a range is {mistaken[1]}:{mistaken[2]}, both included")
    if match is None:
        try:
            return [assignment(f"{path}={value}")[1] for value in text.split(",")]
        except InputError as error:
            meant = "; a range is start:stop:step, in integers" if ":" in text else ""
            raise InputError(f"--vary {error}{meant}") from None
    start, stop, step = (int(number.replace("_", "")) for number in match.groups("1"))
    if step == 0 or stop < start:
        raise InputError(f"--vary {path}: {text} is an empty range; start:stop:step needs start <= stop and step >= 1")
    if (stop - start) // step >= MAX_VALUES:
        raise InputError(f"--vary {path}: {text} has more than {MAX_VALUES:,} values")
    return list(range(start, stop + 1, step))


def axes(base: ModelSpec, vary: Mapping[str, Iterable[Scalar]], sample: int | None = None) -> tuple[Axis, ...]:
    """The axes of `vary`, with each value validated and converted by its field.

    `sample` is the number of random points to search; None searches all. Raises InputError for an invalid path or
    value, and for too many points.
    """
    if not vary:
        raise InputError(f"{NOTHING} such as --vary n_layers=24,32,48")
    for path in vary:
        for other in vary:
            if other.startswith(f"{path}."):
                raise InputError(f"{path} and {other} cannot both vary: {other} is inside {path}")
    given = {path: _taken(path, values) for path, values in vary.items()}
    check_size(prod(map(len, given.values())), sample)
    return tuple(_axis(base, path, values) for path, values in given.items())


def setting(name: str, values: Iterable[Scalar], kind: type[int] | type[bool] | type[str]) -> Axis:
    """The axis of something besides the fields of a model: whole numbers from 1, truth values or words.

    Raises InputError for other values and for one that is given twice.
    """
    axis = Axis(name, _taken(name, values))
    for value in axis.values:
        if type(value) is not kind or (isinstance(value, int) and value < 1 and kind is int):
            expected = {int: "whole numbers from 1", bool: "true or false", str: "words"}[kind]
            raise InputError(f"{name}: values must be {expected}, not {shown(value)}")
    if len(set(axis.values)) < len(axis.values):
        raise InputError(f"{name}: a value is given twice")
    return axis


def _taken(path: str, values: Iterable[Scalar]) -> tuple[Scalar, ...]:
    taken = tuple(islice(values, MAX_VALUES + 1))
    if not taken:
        raise InputError(f"{path}: no values given")
    if len(taken) > MAX_VALUES:
        raise InputError(f"{path}: more than {MAX_VALUES:,} values")
    return taken


def check_size(points: int, sample: int | None) -> None:
    """Raise InputError if a grid has too many points, or if so many cannot be sampled from it."""
    if points > MAX_SAMPLED_FROM:
        raise InputError(f"a grid of {points:.1e} points is too large to sample; give fewer values")
    if sample is None and points > MAX_POINTS:
        raise InputError(f"{points:,} points are more than {MAX_POINTS:,}; search a sample: --sample 1_000_000")
    if sample is not None and not 1 <= sample <= min(points, MAX_SAMPLE):
        raise InputError(
            f"--sample must be from 1 to {min(points, MAX_SAMPLE):,}, not {sample:,}; the grid has {points:,} points"
        )


def _axis(base: ModelSpec, path: str, values: tuple[Scalar, ...]) -> Axis:
    if wrong := [value for value in values if not isinstance(value, Scalar)]:
        raise InputError(f"{path}: values must be numbers, text, true, false or null, not {shown(wrong[0])}")
    record, name = _record(base, path)
    if record is None:
        changed(base, {path: values[0]})  # raises the error for this path or value
        raise InputError(f"{path}: cannot vary; only a field that holds a single value can")
    fitting = _fitting(base, record, name, path, values)
    if records := [value for value, held in zip(values, fitting, strict=True) if not isinstance(held, Scalar)]:
        raise InputError(f"{path}: cannot vary over {shown(records[0])}, a whole record; vary its fields")
    seen: dict[Scalar, Scalar] = {}  # all of one field's type, so true and 1 do not meet
    for value, held in zip(values, fitting, strict=True):
        if held in seen:
            alike = f": null means {shown(held)}" if None in (value, seen[held]) and held is not None else ""
            raise InputError(f"{path}: a value is given twice{alike}")
        seen[held] = value
    return Axis(path, fitting)


def _record(base: ModelSpec, path: str) -> tuple[Record | None, str]:
    """The record that has the field, or None, and the field's name."""
    holder: Any = base
    *above, name = path.split(".")
    for step in above:
        holder = holder.get(step) if isinstance(holder, dict) else getattr(holder, step, None)
    return (holder, name) if isinstance(holder, Record) and name in type(holder).field_defaults else (None, name)


def _fitting(base: ModelSpec, record: Record, name: str, path: str, values: tuple[Scalar, ...]) -> tuple[Scalar, ...]:
    """Validate and convert `values` by their field alone; rules between fields are checked later. Raises InputError.

    All values are validated at once, because building a record for each is slow.
    """
    if all(type(value) is int for value in values):
        limits = _limits(get_type_hints(type(record), include_extras=True)[name])
        if limits is not None and all(_within(value, limits) for value in values):
            return values  # without pydantic, which takes longer to load than a small search runs

    from pydantic import TypeAdapter, ValidationError

    from llmarch_cli.components.validation import CONFIG

    field = type(record).model_fields[name]
    if None in values:  # null restores the default, as in --set
        if field.is_required():
            changed(base, {path: None})
        values = tuple(field.get_default() if value is None else value for value in values)
    each: Any = Annotated[field.annotation, field]
    try:
        return TypeAdapter(tuple[each, ...], config=CONFIG).validate_python(values)
    except ValidationError as error:
        (place, *_) = error.errors(include_url=False)[0]["loc"]
        wrong = values[int(place)]
        changed(base, {path: wrong})
        raise InputError(f"{path}: cannot be {shown(wrong)}") from None


_CHECKS: dict[str, Callable[[Any, Any], bool]] = {
    "gt": operator.gt,
    "ge": operator.ge,
    "lt": operator.lt,
    "le": operator.le,
    "multiple_of": lambda value, unit: value % unit == 0,
}


def _limits(annotation: Any) -> dict[str, Any] | None:
    """The limits of an integer field, which may be null too; None for any other field."""
    if get_origin(annotation) in (Union, UnionType):
        members = [member for member in get_args(annotation) if member is not NoneType]
        return _limits(members[0]) if len(members) == 1 else None
    if annotation is int:
        return {}
    if get_origin(annotation) is not Annotated:
        return None
    inner, *metadata = get_args(annotation)
    found = _limits(inner)
    for each in metadata:
        if found is None or not isinstance(each, Limits) or not each.limits.keys() <= _CHECKS.keys():
            return None
        found = {**found, **each.limits}
    return found


def _within(value: Any, limits: Mapping[str, Any]) -> bool:
    return all(_CHECKS[name](value, limit) for name, limit in limits.items())
