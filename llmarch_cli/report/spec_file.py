"""A spec as a YAML file that loads again and gives an equal spec: `extends` resolved, defaults left out."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import yaml

from llmarch_cli.errors import InputError, shown_path
from llmarch_cli.spec import ModelSpec


def render(spec: ModelSpec) -> str:
    """The YAML text, ending in a newline."""
    data = _plain(spec.model_dump(exclude_defaults=True))
    return yaml.safe_dump(data, sort_keys=False, allow_unicode=True, default_flow_style=None, width=116)


def write(spec: ModelSpec, path: Path) -> None:
    """Write the spec to a new file. Raises InputError where there is one already, or it cannot be written whole."""
    text = render(spec)
    try:
        file = path.open("x", encoding="utf-8")
    except FileExistsError:
        raise InputError(f"{shown_path(path)}: is there already, and is not overwritten: give another name") from None
    except (OSError, ValueError) as error:
        raise InputError(f"{shown_path(path)}: cannot be written: {_reason(error)}") from None
    try:
        with file:
            file.write(text)
    except OSError as error:
        with contextlib.suppress(OSError):
            path.unlink()  # half a spec is none
        raise InputError(f"{shown_path(path)}: cannot be written: {_reason(error)}") from None


def _reason(error: Exception) -> str:
    return (getattr(error, "strerror", None) or str(error)).lower()


def _plain(value: Any) -> Any:
    """Lists for tuples, which YAML's plain types lack; a component's kind before what depends on it."""
    match value:
        case dict():
            return {name: _plain(value[name]) for name in sorted(value, key=lambda name: name != "kind")}
        case list() | tuple():
            return [_plain(inner) for inner in value]
        case _:
            return value
