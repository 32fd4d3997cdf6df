"""Bundled specs as they were once they had been checked: plain data that need be neither parsed as YAML nor validated.

The file comes with the package, with a line for each spec. A line counts only if the YAML files that it was made from
are the same, byte by byte, and so is the code; else the spec is read from YAML. The data names records by their class,
and nothing in it is run.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

from llmarch_cli.components.record import Record
from llmarch_cli.specs import sources
from llmarch_cli.specs.spec import ModelSpec

FILE = "checked.json"
_RECORD, _DATE = "", "date"  # keys that no mapping of a spec has


def plain(value: Any) -> Any:
    """A value of a record as JSON has it: records with their class and the fields that are not at their defaults.

    Raises TypeError for a type that no spec has.
    """
    match value:
        case Record():
            kind = type(value)
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
    """The value that `plain` was given. Nothing is validated. Raises KeyError for an unknown class."""
    match value:
        case {"": "date"}:
            return dt.date.fromisoformat(value[_DATE])
        case {"": kind}:
            return _kinds()[kind].model_construct(**{name: built(each) for name, each in value.items() if name})
        case dict():
            return {name: built(each) for name, each in value.items()}
        case list():
            return tuple(map(built, value))
    return value


@cache
def _kinds() -> dict[str, type[Record]]:
    """All records by the names of their classes, which are all different."""
    found: dict[str, type[Record]] = {}
    waiting: list[type[Record]] = [Record]
    while waiting:
        for kind in waiting.pop().__subclasses__():
            found[kind.__name__] = kind
            waiting.append(kind)
    return found


def line(spec: ModelSpec, files: Iterable[Path]) -> str:
    """What is kept of a spec that was made from bundled files, the nearest first."""
    names = [path.name for path in files]
    digest = _digest(path.read_bytes() for path in files)
    return f"{json.dumps(spec.id)}: {json.dumps([names, digest, plain(spec)])}"


def _digest(contents: Iterable[bytes]) -> str:
    found = hashlib.sha256(sources.digest().encode())
    for content in contents:
        found.update(hashlib.sha256(content).digest())
    return found.hexdigest()


def find(path: Path) -> tuple[ModelSpec, tuple[Path, ...]] | None:
    """The spec of a bundled file, and the files that it was made from; None if that must be found out."""
    text = _text(path.parent)
    start = text.find(f'\n"{path.stem}": ')
    if start < 0:
        return None
    start = text.index(" ", start)
    try:
        names, digest, data = json.loads(text[start : text.index("\n", start)].removesuffix(","))
        files = tuple(path.parent / name for name in names)
        same = _digest(each.read_bytes() for each in files) == digest
        return (built(data), files) if same else None
    except (OSError, ValueError, TypeError, KeyError):
        return None


@cache
def _text(directory: Path) -> str:
    try:
        return (directory / FILE).read_text()
    except (OSError, UnicodeDecodeError):
        return ""
