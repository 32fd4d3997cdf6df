"""Bundled specs and chips as they were once they had been checked: plain data, not parsed as YAML and not validated.

The files come with the package, with a line for each spec or chip. A line counts only if the YAML files that it was
made from are the same, byte by byte, and so is the code; else YAML is read. The data names records by their class, and
nothing in it is run.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import sys
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from llmarch_cli.components.record import Record
from llmarch_cli.specs import sources

AnyRecord = TypeVar("AnyRecord", bound=Record)

FILE = "checked.json"
_PACKAGE = f"{__name__.partition('.')[0]}."
_RECORD, _DATE = "", "date"  # keys that no mapping of a spec has


def plain(value: Any) -> Any:
    """A value of a record as JSON has it: records with their class and the fields that are not at their defaults.

    Raises TypeError for a type that no spec has, and for a record of another package: no digest covers its code.
    """
    match value:
        case Record():
            kind = type(value)
            if not kind.__module__.startswith(_PACKAGE):
                raise TypeError(kind.__name__)
            fields = ((name, getattr(value, name), usual) for name, usual in kind.field_defaults.items())
            given = {name: plain(each) for name, each, usual in fields if each is not usual and each != usual}
            return {_RECORD: kind.__name__, **given}
        case dict():
            return {name: plain(each) for name, each in value.items()}
        case tuple():
            return [plain(each) for each in value]
        case dt.date():
            return {_RECORD: _DATE, _DATE: value.isoformat()}
        case None | bool() | int() | float() | str():
            return value
    raise TypeError(type(value).__name__)


def built(value: Any) -> Any:
    """The value that `plain` was given. Nothing is validated. Raises KeyError for an unknown class or field."""
    match value:
        case {"": "date"}:
            return dt.date.fromisoformat(value[_DATE])
        case {"": kind}:
            record = _kind(kind)
            fields = {name: built(each) for name, each in value.items() if name}
            if not fields.keys() <= record.field_defaults.keys():
                raise KeyError(kind)
            return record.model_construct(**fields)
        case dict():
            return {name: built(each) for name, each in value.items()}
        case list():
            return tuple(map(built, value))
    return value


@cache
def _kind(name: str) -> type[Record]:
    return kinds()[name]  # not cached as a whole: modules with more may be imported later


def kinds() -> dict[str, type[Record]]:
    """All records of this package by the names of their classes, which are all different."""
    found: dict[str, type[Record]] = {}
    waiting: list[type[Record]] = [Record]
    while waiting:
        for kind in waiting.pop().__subclasses__():
            if kind.__module__.startswith(_PACKAGE):
                found[kind.__name__] = kind
            waiting.append(kind)
    return found


def line(name: str, record: Record, files: Iterable[Path]) -> str:
    """What is kept of a record that was made from bundled files, the nearest first."""
    paths = list(files)
    digest = _digest(type(record), paths)
    return f"{json.dumps(name)}: {json.dumps([[path.name for path in paths], digest, plain(record)])}"


def _digest(kind: type[Record], files: Iterable[Path]) -> str:
    found = hashlib.sha256(sources.digest().encode())
    found.update(_code(kind.__module__))
    for path in files:
        found.update(hashlib.sha256(path.read_bytes()).digest())
    return found.hexdigest()


@cache
def _code(module: str) -> bytes:
    """The digest of the code that checks a record: once for all records of a module."""
    return hashlib.sha256(Path(sys.modules[module].__file__ or "").read_bytes()).digest()


def find(path: Path, kind: type[AnyRecord]) -> tuple[AnyRecord, tuple[Path, ...]] | None:
    """The record of a bundled file, and the files that it was made from; None if that must be found out."""
    text = _text(path.parent)
    start = text.find(f'\n"{path.stem}": ')
    if start < 0:
        return None
    start = text.index(" ", start)
    try:
        names, digest, data = json.loads(text[start : text.index("\n", start)].removesuffix(","))
        files = tuple(path.parent / name for name in names)
        found = built(data) if _digest(kind, files) == digest else None
    except (OSError, ValueError, TypeError, KeyError):
        return None
    return (found, files) if isinstance(found, kind) else None


@cache
def _text(directory: Path) -> str:
    try:
        return (directory / FILE).read_text()
    except (OSError, UnicodeDecodeError):
        return ""
