"""A spec as a YAML file that loads again and gives an equal spec, written as a person would write it.

`extends` is resolved and defaults are left out; what variants share is written once, under an anchor.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from textwrap import wrap
from typing import Any

import yaml

from llmarch_cli.components.component import Record
from llmarch_cli.errors import InputError, shown_path
from llmarch_cli.specs.loading import exists
from llmarch_cli.specs.spec import Layout, ModelSpec
from llmarch_cli.writing import put

WIDTH = 116
INDENT = "  "
ABOUT = ("name", "organization", "source", "released", "license", "context_length", "published")
SCHEMA = "schema.json"
FOR_EDITORS = f"yaml-language-server: $schema={SCHEMA}"  # in a comment: fields are completed, and mistakes underlined
FEWEST_SHARED = 3  # fields that are worth an anchor
GROUPED_FROM = 10_000
LEADING = ("kind", "n_heads", "n_kv_heads", "head_dim", "n_experts", "top_k", "d_ff", "activation", "gated")

Data = Mapping[str, Any]


class Merged(dict[str, Any]):
    """Fields laid over those that an anchor names."""

    def __init__(self, anchor: str, changes: Data) -> None:
        super().__init__(changes)
        self.anchor = anchor


class Anchored(dict[str, Any]):
    """Fields that others are laid over."""

    def __init__(self, anchor: str, fields: Data) -> None:
        super().__init__(fields)
        self.anchor = anchor


def render(spec: ModelSpec, comments: Sequence[str] = ()) -> str:
    """The YAML text, ending in a newline; `comments` stand above it, a line each."""
    data = _plain(spec)
    for axis in ("attention", "ffn"):
        if isinstance(layout := getattr(spec, axis), Layout):
            data[axis]["variants"] = _shared(data[axis]["variants"], layout.variants)
    about = {name: data[name] for name in ABOUT if name in data}
    shape = {name: value for name, value in data.items() if name not in ABOUT}
    lines = [line for comment in comments for line in wrap(comment, WIDTH, initial_indent="# ", subsequent_indent="# ")]
    return "\n".join([*lines, *_block(about, ""), "", *_block(shape, ""), ""])


def write(spec: ModelSpec, path: Path, comments: Sequence[str] = (), replace: bool = False) -> None:
    """Write the spec to a file, a new one unless `replace`; where the schema lies beside it, editors are told so.

    Raises InputError where there is one already, or it cannot be written whole.
    """
    has_schema = exists(path.parent / SCHEMA)
    text = render(spec, (FOR_EDITORS, *comments) if has_schema else comments)
    if exists(path) and not replace:
        raise InputError(f"{shown_path(path)}: is there already, and is not overwritten: give another name")
    try:
        put(path, text.encode())
    except (OSError, ValueError) as error:
        reason = (getattr(error, "strerror", None) or str(error)).lower()
        raise InputError(f"{shown_path(path)}: cannot be written: {reason}") from None


def _plain(value: Any) -> Any:
    """Records as mappings without their defaults, tuples as lists."""
    match value:
        case Record():
            fields = {name: field.get_default() for name, field in type(value).model_fields.items()}
            written = [name for name in fields if getattr(value, name) != fields[name]]
            return {name: _plain(getattr(value, name)) for name in sorted(written, key=partial(_rank, type(value)))}
        case dict():
            return {name: _plain(inner) for name, inner in value.items()}
        case tuple():
            return [_plain(inner) for inner in value]
        case _:
            return value


def _rank(record: type[Record], name: str) -> int:
    """What a component is and how large comes first, then what its own kind adds, then what it shares with others."""
    if name in LEADING:
        return LEADING.index(name)
    return len(LEADING) + (name not in record.__annotations__)


# --- what variants share ---------------------------------------------------------------------------------------------


def _shared(variants: Data, records: Mapping[str, Record]) -> dict[str, Any]:
    """Variants of one kind laid over the one that leaves the least to say, which then stands first."""
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
    """What each other variant has otherwise than `base`; a field that it leaves at its default is given that."""
    below = variants[base]
    defaults = {name: _plain(field.get_default()) for name, field in type(record).model_fields.items()}
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
    """A mapping, a field a line; what fits its line stands there whole."""
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
    """In quotes where YAML could take it for something else, which is more often inside brackets."""
    listed = yaml.safe_dump([value], default_flow_style=flow, allow_unicode=True, width=2**30)
    return listed[1:-2] if flow else listed[2:-1]


def _decimal(value: float) -> str:
    """With a point, which YAML asks of 1.0e-5; but a whole number that is long is grouped as one."""
    if value.is_integer() and GROUPED_FROM <= abs(value) < 1e15:
        return _scalar(int(value))
    mantissa, e, exponent = repr(value).partition("e")
    return f"{mantissa if '.' in mantissa else mantissa + '.0'}{e}{exponent}".replace("e-0", "e-")
