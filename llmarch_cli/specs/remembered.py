"""Specs of the user that were found valid before, so that pydantic need not be loaded for them again.

Each is kept as plain data, under a digest of its fields. What other code kept is validated again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from llmarch_cli.components.record import Record
from llmarch_cli.specs import kept
from llmarch_cli.specs.checked import built, plain
from llmarch_cli.specs.spec import ModelSpec

SORT = "specs"  # in the user's directory


def find(data: Mapping[str, Any]) -> ModelSpec | None:
    """The spec of fields that were found valid before; None if that must be found out."""
    found = kept.find(SORT, _key(data))
    if found is None:
        return None
    try:
        spec = built(found["spec"])
        return spec if isinstance(spec, ModelSpec) and _agree(data, spec) else None
    except (TypeError, KeyError, ValueError, AttributeError, RecursionError):
        return None


def _agree(data: Any, value: Any) -> bool:
    """Whether a value is what a file says, and is the class's own default elsewhere. Raises AttributeError."""
    match value:
        case Record():
            usual = value.field_defaults
            return data.keys() <= usual.keys() and all(
                _agree(data[name], getattr(value, name)) if name in data else getattr(value, name) is default
                for name, default in usual.items()
            )
        case dict():
            return data.keys() == value.keys() and all(_agree(data[name], each) for name, each in value.items())
        case tuple() if isinstance(data, list):
            return len(data) == len(value) and all(map(_agree, data, value))
    return bool(data == value) and isinstance(data, bool) == isinstance(value, bool)


def keep(data: Mapping[str, Any], spec: ModelSpec) -> None:
    """Keep that these fields are valid, for the next command."""
    with suppress(TypeError):  # a record of another package
        kept.keep(SORT, _key(data), {"spec": plain(spec)})


def _key(data: Mapping[str, Any]) -> str:
    text = json.dumps(data, default=repr)  # of a date
    return hashlib.sha256(text.encode()).hexdigest()  # what other code kept is not believed: see kept.py
