"""A spec with a few fields changed: what stands under which path, and the new spec that follows.

A path is what one would write in the spec's file, dotted: `d_model`, `attention.variants.local.window`, and an item of
a list by its place, `attention.repeat.0`. null takes a field out, as if the file did not give it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel

from llmarch_cli.components.component import NAME_PATTERN
from llmarch_cli.errors import InputError, shown, suggestion
from llmarch_cli.specs import documents
from llmarch_cli.specs.loading import validated
from llmarch_cli.specs.spec import ModelSpec

LONGEST_SPEC_NAME = 200
LONGEST_CHANGES, LONGEST_VALUE = 60, 24  # in a changed spec's name, which stands in tables
MOST_NAMED = 4  # paths in an error


def changed(spec: ModelSpec, assignments: Mapping[str, Any]) -> ModelSpec:
    """`spec` with the value at each path replaced, whatever their order, and named after what changed.

    What the authors publish is left out: it is about the model as it was.
    Raises InputError for a path that this spec does not have, and where the result is no valid spec.
    """
    if not assignments:
        return spec
    data = _data(spec)
    data.pop("published", None)
    # What decides which fields there are comes first: a whole before what lies in it, a kind before what it has.
    for path in sorted(assignments, key=lambda path: (path.count("."), path.rpartition(".")[2] != "kind")):
        _put(spec.id, data, path, _data(assignments[path]))

    what = in_short(assignments)
    named = f"{spec.id} ({what})"
    if "name" not in assignments:
        data["name"] = f"{spec.name[: LONGEST_SPEC_NAME - len(what) - 3]} ({what})"
    return validated(data, named).with_id(None if "name" in assignments else named)


def assignment(text: str) -> tuple[str, Any]:
    """`attention.window=512` as its path and its value, which is read as in a spec's file. Raises InputError."""
    path, equals, value = (part.strip() for part in text.partition("="))
    if not (path and equals):
        raise InputError(f"a change is PATH=VALUE, such as n_layers=32, not {shown(text)}")
    if not value:
        raise InputError(f"{shown(text)}: there is no value after =; null takes a field out")
    try:
        return path, documents.value(value)
    except InputError as error:
        raise InputError(f"{shown(text)}: {error}") from None


def paths(spec: ModelSpec) -> list[str]:
    """Every path that can be set, in the order of the fields. Beside the variants listed, new ones can be."""
    return list(_paths(ModelSpec, _data(spec)))


def in_short(assignments: Mapping[str, Any]) -> str:
    """The changes as they were asked for, as many as fit into a name: `n_layers=32, d_model=4096, 2 more`."""
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
    """As plain data that may be changed; of a record what is not at its default."""
    return documents.plain(value.model_dump(exclude_defaults=True) if isinstance(value, BaseModel) else value)


def _put(origin: str, data: dict[str, Any], path: str, value: Any) -> None:
    """Set the value at `path`, with the mappings that lead there; None takes out what stands there."""
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


# --- what may stand where, read from the types of the fields --------------------------------------------------------


def _paths(expected: Any, value: Any, above: str = "") -> Iterator[str]:
    for step, inside in _inside(expected, value).items():
        yield f"{above}{step}"
        inner = value.get(step) if isinstance(value, dict) else None  # what stands in a list holds nothing
        yield from _paths(inside, inner, f"{above}{step}.")


def _inside(expected: Any, value: Any) -> dict[str, Any]:
    """The steps that lead on from a `value` of the type `expected`, each with the type that it leads to."""
    members = list(_members(expected))
    records = [member for member in members if isinstance(member, type) and issubclass(member, BaseModel)]
    if records and (value is None or isinstance(value, dict)):
        fitting = [record for record in records if value and value.get("kind") in _kinds(record)]
        chosen = fitting or records  # where the kind is not said, or has yet to be: any field of any of them
        return {name: field.annotation for record in reversed(chosen) for name, field in record.model_fields.items()}
    for member in members:
        if get_origin(member) is dict and isinstance(value, dict):
            return dict.fromkeys(value, get_args(member)[1])
        if get_origin(member) is tuple and isinstance(value, list):
            return {str(place): get_args(member)[0] for place in range(len(value))}
    return {}


def _takes_new(expected: Any, value: Any) -> bool:
    """Whether entries of any name may be added, as to variants."""
    return isinstance(value, dict) and any(get_origin(member) is dict for member in _members(expected))


def _members(annotation: Any) -> Iterator[Any]:
    """The types that a field may be of, without None and without what only describes them."""
    origin = get_origin(annotation)
    if origin is Annotated:
        yield from _members(get_args(annotation)[0])
    elif origin in (Union, UnionType):
        for member in get_args(annotation):
            yield from _members(member)
    elif annotation is not NoneType:
        yield annotation


def _kinds(record: type[BaseModel]) -> tuple[str | None, ...]:
    """What a record says to be of; a layout says nothing."""
    field = record.model_fields.get("kind")
    return (None,) if field is None else get_args(field.annotation)


# --- what to write instead ------------------------------------------------------------------------------------------


def _why(data: dict[str, Any], steps: Sequence[str], depth: int, expected: Any, holder: Any) -> str:
    """Why `steps` lead nowhere from the `holder` at `depth` on, and the nearest paths that lead somewhere."""
    from difflib import get_close_matches  # only errors need it

    above, step, inside = ".".join(steps[:depth]), steps[depth], list(_inside(expected, holder))
    if any(get_origin(member) is tuple for member in _members(expected)):
        places = f"its places are 0 to {len(inside) - 1}" if inside else "it is empty"
        return f"{above} has no place {shown(step)}: {places}; or set it whole, as [a, b]"
    if not inside and not _takes_new(expected, holder):
        return f"{above} is one value, and nothing stands inside it"
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
        return f"unknown field; did you mean {' or '.join(named[:MOST_NAMED])}?"
    return f"unknown field{suggestion('.'.join(steps), known) or '; known: ' + ', '.join(inside)}"


def _ending_in(names: Sequence[str], known: Sequence[str]) -> list[str]:
    return [path for name in names for path in known if path.endswith(f".{name}")]
