"""Write a spec as a YAML file that loads as an equal spec and reads as if written by hand.

`extends` is resolved and defaults are left out; fields that variants share are written once, under an anchor.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from textwrap import wrap
from typing import Any

import yaml

from llmarch_cli.components.record import Record
from llmarch_cli.errors import InputError, shown_path
from llmarch_cli.specs.loading import exists
from llmarch_cli.specs.spec import Layout, ModelSpec
from llmarch_cli.writing import put

WIDTH = 116
INDENT = "  "
ABOUT = ("name", "organization", "source", "same_as", "released", "license", "context_length", "published", "stored")
SCHEMA = "schema.json"
FOR_EDITORS = f"yaml-language-server: $schema={SCHEMA}"  # a comment that gives editors completion and checks
FEWEST_SHARED = 3  # fewer shared fields get no anchor
GROUPED_FROM = 10_000  # digits are grouped from this number on
LEADING = ("kind", "n_heads", "n_kv_heads", "head_dim", "n_experts", "top_k", "d_ff", "activation", "gated")

Data = Mapping[str, Any]


class Merged(dict[str, Any]):
    """Fields merged over those of an anchor."""

    def __init__(self, anchor: str, changes: Data) -> None:
        super().__init__(changes)
        self.anchor = anchor


class Anchored(dict[str, Any]):
    """Fields written under a YAML anchor, so that others can merge them."""

    def __init__(self, anchor: str, fields: Data) -> None:
        super().__init__(fields)
        self.anchor = anchor


def render(spec: ModelSpec, comments: Sequence[str] = ()) -> str:
    """The YAML text, ending in a newline, below one comment line for each of `comments`."""
    data = plain(spec)
    for axis in ("attention", "ffn"):
        if isinstance(layout := getattr(spec, axis), Layout):
            data[axis]["variants"] = _shared(data[axis].get("variants", {}), layout.variants)
    about = {name: data[name] for name in ABOUT if name in data}
    shape = {name: value for name, value in data.items() if name not in ABOUT}
    lines = [line for comment in comments for line in wrap(comment, WIDTH, initial_indent="# ", subsequent_indent="# ")]
    return "\n".join([*lines, *_block(about, ""), "", *_block(shape, ""), ""])


def as_json(spec: ModelSpec) -> str:
    """The fields of the YAML text as indented JSON, ending in a newline; dates are text."""
    return json.dumps(plain(spec), indent=2, default=str) + "\n"


def write(spec: ModelSpec, path: Path, comments: Sequence[str] = (), replace: bool = False) -> None:
    """Write the spec to a file; if `schema.json` is in the same directory, add the comment that points editors to it.

    Raises InputError if the file exists and `replace` is false, or if it cannot be written completely.
    """
    has_schema = exists(path.parent / SCHEMA)
    text = render(spec, (FOR_EDITORS, *comments) if has_schema else comments)
    if exists(path) and not replace:
        raise InputError(f"{shown_path(path)}: already exists; not overwritten: give another name")
    try:
        put(path, text.encode())
    except (OSError, ValueError) as error:
        reason = (getattr(error, "strerror", None) or str(error)).lower()
        raise InputError(f"{shown_path(path)}: cannot be written: {reason}") from None


def plain(value: Any) -> Any:
    """A spec as data: records as mappings without their defaults, tuples as lists."""
    match value:
        case Record():
            fields = type(value).field_defaults
            written = [name for name in fields if getattr(value, name) != fields[name]]
            return {name: plain(getattr(value, name)) for name in sorted(written, key=partial(_rank, type(value)))}
        case dict():
            return {name: plain(inner) for name, inner in value.items()}
        case tuple():
            return [plain(inner) for inner in value]
        case _:
            return value


def _rank(record: type[Record], name: str) -> int:
    """Sort key of a field: kind and sizes first, then fields of the kind itself, then fields of its base classes."""
    if name in LEADING:
        return LEADING.index(name)
    return len(LEADING) + (name not in record.__annotations__)


# --- what variants share ---------------------------------------------------------------------------------------------


def _shared(variants: Data, records: Mapping[str, Record]) -> dict[str, Any]:
    """Merge variants of one kind over one of them, written first: the one that gives the shortest file."""
    if len(variants) < 2 or len({fields["kind"] for fields in variants.values()}) > 1:
        return dict(variants)
    changes = {base: _changes(base, variants, records[base]) for base in variants}
    base = min(changes, key=lambda name: sum(len(_flow(each)) for each in changes[name].values()))
    fields = variants[base]
    if any(len(fields) - len(_replaced(each, fields)) < FEWEST_SHARED for each in changes[base].values()):
        return dict(variants)
    anchor = str(fields["kind"])
    return {
        base: Anchored(anchor, fields),
        **{name: Merged(anchor, change) for name, change in changes[base].items()},
    }


def _changes(base: str, variants: Data, record: Record) -> dict[str, dict[str, Any]]:
    """The fields of each other variant that differ from `base`; a default is written out if `base` differs from it."""
    below = variants[base]
    defaults = {name: plain(default) for name, default in type(record).field_defaults.items()}
    return {
        name: {
            **{field: defaults[field] for field in below if field not in fields},
            **{field: value for field, value in fields.items() if field not in below or below[field] != value},
        }
        for name, fields in variants.items()
        if name != base
    }


def _replaced(change: Data, fields: Data) -> list[str]:
    return [name for name in change if name in fields]


# --- lines -----------------------------------------------------------------------------------------------------------


def _block(data: Data, indent: str) -> Iterator[str]:
    """The lines of a mapping, one field per line; a value that fits its line is written on it."""
    for name, value in data.items():
        key = f"{indent}{_scalar(name)}:"
        whole = f"{key} {_text(value, flow=False) if isinstance(value, str) else _flow(value)}"
        if len(whole) <= WIDTH or not isinstance(value, dict | list) or not value:
            yield whole
        elif isinstance(value, list):
            yield key
            yield from _wrapped(value, indent + INDENT)
        elif isinstance(value, Merged):
            yield key
            yield f"{indent}{INDENT}<<: *{value.anchor}"
            yield from _block(value, indent + INDENT)
        else:
            yield f"{key} &{value.anchor}" if isinstance(value, Anchored) else key
            yield from _block(value, indent + INDENT)


def _wrapped(values: list[Any], indent: str) -> Iterator[str]:
    """A long list on several lines."""
    line = f"{indent}["
    for i, value in enumerate(values):
        text = _flow(value) + ("," if i < len(values) - 1 else "]")
        if len(line) + len(text) + 1 > WIDTH and line.strip() != "[":
            yield line.rstrip()
            line = f"{indent} "
        line += f"{text} "
    yield line.rstrip()


def _flow(value: Any) -> str:
    """A value on one line."""
    match value:
        case dict():
            merge = [f"<<: *{value.anchor}"] if isinstance(value, Merged) else []
            anchor = f"&{value.anchor} " if isinstance(value, Anchored) else ""
            fields = [f"{_scalar(name)}: {_flow(inner)}" for name, inner in value.items()]
            return f"{anchor}{{{', '.join([*merge, *fields])}}}"
        case list():
            return f"[{', '.join(map(_flow, value))}]"
        case _:
            return _scalar(value)


def _scalar(value: Any) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return str(value).lower()
        case int():
            return f"{value:_}" if abs(value) >= GROUPED_FROM else str(value)
        case float():
            return _decimal(value)
        case dt.date():
            return value.isoformat()
        case _:
            return _text(value)


def _text(value: str, flow: bool = True) -> str:
    """Text, quoted if YAML could read it as another type. Inside brackets (`flow`), more text needs quotes."""
    listed = yaml.safe_dump([value], default_flow_style=flow, allow_unicode=True, width=2**30)
    return listed[1:-2] if flow else listed[2:-1]


def _decimal(value: float) -> str:
    """A number with a decimal point, which YAML needs in 1.0e-5; a long whole number has its digits grouped instead."""
    if value.is_integer() and GROUPED_FROM <= abs(value) < 1e15:
        return _scalar(int(value))
    mantissa, e, exponent = repr(value).partition("e")
    return f"{mantissa if '.' in mantissa else mantissa + '.0'}{e}{exponent}".replace("e-0", "e-")
