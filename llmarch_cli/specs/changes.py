"""Change fields of a spec by path.

A path joins the names in the spec's file with dots: `d_model`, `attention.variants.local.window`, and for a list item
its index, `attention.repeat.0`. null removes a field, as if the file did not give it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from llmarch_cli.components.fields import NAME_PATTERN
from llmarch_cli.components.record import Record
from llmarch_cli.errors import InputError, shown, suggestion
from llmarch_cli.specs import documents
from llmarch_cli.specs.loading import validated
from llmarch_cli.specs.spec import ModelSpec

LONGEST_SPEC_NAME = 200
LONGEST_CHANGES, LONGEST_VALUE = 60, 24  # characters in a changed spec's name, which tables show
MOST_SUGGESTED = 4  # paths in an error


def changed(spec: ModelSpec, assignments: Mapping[str, Any]) -> ModelSpec:
    """Return `spec` with the value at each path replaced, in any order, and named after the changes.

    Published numbers and equal models are dropped, because they belong to the unchanged model.
    Raises InputError for a path that this spec does not have, or if the result is not a valid spec.

    >>> from llmarch_cli import load
    >>> changed(load("gpt2"), {"attention.n_kv_heads": 4}).id
    'gpt2 (attention.n_kv_heads=4)'
    """
    if not assignments:
        return spec
    data = _data(spec)
    data.pop("published", None)
    data.pop("same_as", None)
    # A mapping is set before the fields inside it, and a kind before its fields, which depend on it.
    for path in sorted(assignments, key=lambda path: (path.count("."), path.rpartition(".")[2] != "kind")):
        _put(spec.id, data, path, _data(assignments[path]))

    what = in_short(assignments)
    named = f"{spec.id} ({what})"
    if "name" not in assignments:
        data["name"] = f"{spec.name[: LONGEST_SPEC_NAME - len(what) - 3]} ({what})"
    return validated(data, named).with_id(None if "name" in assignments else named)


def assignment(text: str) -> tuple[str, Any]:
    """Split `attention.window=512` into its path and its value, read as in a spec's file. Raises InputError."""
    path, equals, value = (part.strip() for part in text.partition("="))
    if not (path and equals):
        raise InputError(f"a change must be PATH=VALUE, such as n_layers=32, not {shown(text)}")
    if not value:
        raise InputError(f"{shown(text)}: no value after =; null removes a field")
    try:
        return path, documents.value(value)
    except InputError as error:
        raise InputError(f"{shown(text)}: {error}") from None


def paths(spec: ModelSpec) -> list[str]:
    """All paths that can be set, in the order of the fields. Variants with new names can be set too."""
    return list(_paths(ModelSpec, _data(spec)))


def in_short(assignments: Mapping[str, Any]) -> str:
    """The changes in the order given, as many as fit into a name: `n_layers=32, d_model=4096, 2 more`."""
    texts = [f"{path}={_in_short(value)}" for path, value in assignments.items()]
    n_shown = 1
    while n_shown < len(texts) and len(", ".join(texts[: n_shown + 1])) <= LONGEST_CHANGES:
        n_shown += 1
    return ", ".join(texts[:n_shown]) + (f", {len(texts) - n_shown} more" if n_shown < len(texts) else "")


def _in_short(value: Any) -> str:
    match value:
        case str():
            text = value if value.isprintable() else shown(value)
        case list() | tuple():
            text = f"[{', '.join(map(_in_short, value))}]"
        case int() | float() | None:
            text = shown(value)
        case _:
            text = "{...}"
    return text if len(text) <= LONGEST_VALUE else f"{text[: LONGEST_VALUE - 3]}..."


def _data(value: Any) -> Any:
    """A copy as plain, mutable data; a record without the fields at their defaults."""
    return documents.plain(value.model_dump(exclude_defaults=True) if isinstance(value, Record) else value)


def _put(origin: str, data: dict[str, Any], path: str, value: Any) -> None:
    """Set the value at `path`, and create mappings on the way; None removes the value."""
    steps = path.split(".")
    holder: Any = data
    expected: Any = ModelSpec
    for depth, step in enumerate(steps):
        inside = _inside(expected, holder)
        is_last = depth + 1 == len(steps)
        is_new = is_last and value is not None and _takes_new(expected, holder) and re.fullmatch(NAME_PATTERN, step)
        if step not in inside and not is_new:
            why = _why(data, steps, depth, expected, holder)
            raise InputError(f"{origin}: {path if path.isprintable() else shown(path)}: {why}")
        key = int(step) if isinstance(holder, list) else step
        if not is_last:
            if isinstance(holder, dict) and holder.get(key) is None:
                holder[key] = {}
            holder, expected = holder[key], inside[step]
        elif value is None and isinstance(holder, dict):
            holder.pop(key, None)
        else:
            holder[key] = value


# --- valid paths, from the types of the fields ----------------------------------------------------------------------


def _paths(expected: Any, value: Any, above: str = "") -> Iterator[str]:
    for step, inside in _inside(expected, value).items():
        yield f"{above}{step}"
        inner = value.get(step) if isinstance(value, dict) else None  # list items hold no fields
        yield from _paths(inside, inner, f"{above}{step}.")


def _inside(expected: Any, value: Any) -> dict[str, Any]:
    """The fields or indexes inside a `value` of the type `expected`, each with its type."""
    members = list(_members(expected))
    records = [member for member in members if isinstance(member, type) and issubclass(member, Record)]
    if records and (value is None or isinstance(value, dict)):
        fitting = [record for record in records if value and value.get("kind") in _kinds(record)]
        chosen = fitting or records  # no kind yet: any field of any kind
        return {name: field.annotation for record in reversed(chosen) for name, field in record.model_fields.items()}
    for member in members:
        if get_origin(member) is dict and isinstance(value, dict):
            return dict.fromkeys(value, get_args(member)[1])
        if get_origin(member) is tuple and isinstance(value, list):
            return {str(place): get_args(member)[0] for place in range(len(value))}
    return {}


def _takes_new(expected: Any, value: Any) -> bool:
    """Whether entries with new names may be added, as to variants."""
    return isinstance(value, dict) and any(get_origin(member) is dict for member in _members(expected))


def _members(annotation: Any) -> Iterator[Any]:
    """The types in an annotation, without None and metadata."""
    origin = get_origin(annotation)
    if origin is Annotated:
        yield from _members(get_args(annotation)[0])
    elif origin in (Union, UnionType):
        for member in get_args(annotation):
            yield from _members(member)
    elif annotation is not NoneType:
        yield annotation


def _kinds(record: type[Record]) -> tuple[str | None, ...]:
    """The kinds of a record; None for a layout, which has no kind."""
    field = record.model_fields.get("kind")
    return (None,) if field is None else get_args(field.annotation)


# --- errors ---------------------------------------------------------------------------------------------------------


def _why(data: dict[str, Any], steps: Sequence[str], depth: int, expected: Any, holder: Any) -> str:
    """Why `steps` is not a path: what is wrong in the `holder` at `depth`, and the nearest valid paths."""
    from difflib import get_close_matches  # only errors need it

    above, step, inside = ".".join(steps[:depth]), steps[depth], list(_inside(expected, holder))
    if any(get_origin(member) is tuple for member in _members(expected)):
        hint = f"use 0 to {len(inside) - 1}, or" if inside else "it is empty:"
        return f"{above} has no index {shown(step)}; {hint} set the whole list, as [a, b]"
    if not inside and not _takes_new(expected, holder):
        return f"{above} is a single value without fields"
    known = list(_paths(ModelSpec, data))
    spelt = [
        ".".join((*steps[:depth], name, *steps[depth + 1 :])) for name in get_close_matches(step, inside, cutoff=0.7)
    ]
    ends = list(dict.fromkeys(path.rpartition(".")[2] for path in known))
    named = (
        [path for path in spelt if path in known]
        or _ending_in(steps[-1:], known)
        or _ending_in(get_close_matches(steps[-1], ends, cutoff=0.7), known)
    )
    if named:
        depths = {path: abs(path.count(".") + 1 - len(steps)) for path in named}
        named = [path for path in named if depths[path] == min(depths.values())]  # about as deep as the wrong one
        return f"unknown field; did you mean {' or '.join(named[:MOST_SUGGESTED])}?"
    return f"unknown field{suggestion('.'.join(steps), known) or '; known: ' + ', '.join(inside)}"


def _ending_in(names: Sequence[str], known: Sequence[str]) -> list[str]:
    return [path for name in names for path in known if path.endswith(f".{name}")]
