"""The JSON schema of a spec file, for editors and other programs: `model_specs/schema.json` is what this gives.

It says what each field may be; rules between fields are the records' own, and only `load` knows them.
"""

from __future__ import annotations

import inspect
import json
import re
from pathlib import Path
from typing import Any

from llmarch_cli.component import Record
from llmarch_cli.spec import ModelSpec

Schema = dict[str, Any]

# Above a spec's fields. Editors complete what stands under `then` and `else`.
HEAD: Schema = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": "A spec of llmarch",
    "type": "object",
    "if": {"required": ["extends"]},
    "then": {"$ref": "#/$defs/ModelSpecChanges"},
    "else": {"$ref": "#/$defs/ModelSpec"},
}
EXTENDS: Schema = {
    "type": "string",
    "minLength": 1,
    "description": "another spec, by its id or its path from this file: what is not said here is as it says",
}

# A field, its default, and the comment beside it.
_COMMENTED = re.compile(r"^    (\w+): .*  # (.+)$", re.MULTILINE)


def spec_schema() -> Schema:
    """The schema of a spec: a whole one, or one that says what it changes of the spec that it `extends`."""
    model = ModelSpec.model_json_schema()
    whole = {**model.pop("$defs"), "ModelSpec": model}
    records = {record.__name__: record for record in _records(Record)}
    for name, schema in whole.items():
        _describe(schema, records[name])
    whole = {name: _tidied(schema) for name, schema in whole.items()}
    changes = {f"{name}Changes": _loosened(schema) for name, schema in whole.items()}
    changes["ModelSpecChanges"]["properties"]["extends"] = EXTENDS
    return {**HEAD, "$defs": dict(sorted((whole | changes).items()))}


def write_schema(path: Path) -> None:
    """Write the schema to `path`, as `model_specs/schema.json` has it."""
    path.write_text(json.dumps(spec_schema(), indent=2) + "\n", encoding="utf-8")


def _records(record: type[Record]) -> list[type[Record]]:
    return [each for inner in record.__subclasses__() for each in (inner, *_records(inner))]


def _describe(schema: Schema, record: type[Record]) -> None:
    """Give each field the comment that stands beside it in the code."""
    written = [each for each in record.__mro__ if issubclass(each, Record) and "[" not in each.__name__]
    for each in reversed(written):
        for name, comment in _COMMENTED.findall(inspect.getsource(each)):
            if name in schema["properties"]:
                schema["properties"][name]["description"] = comment


def _tidied(schema: Any) -> Any:
    """Without what other dialects want, and without titles that only repeat a field's name."""
    if isinstance(schema, list):
        return [_tidied(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    tidy = {name: _tidied(value) for name, value in schema.items() if name not in ("discriminator", "title")}
    if "patternProperties" in tidy:
        tidy["additionalProperties"] = False
    return tidy


def _loosened(schema: Any) -> Any:
    """The same where nothing is required: what is missing stands in the spec that is extended."""
    if isinstance(schema, list):
        return [_loosened(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    loose = {}
    for name, value in schema.items():
        if name == "$ref":
            loose[name] = f"{value}Changes"
        elif name == "oneOf":  # without its kind, a component may be one of several
            loose["anyOf"] = _loosened(value)
        elif name not in ("required", "minProperties", "default"):
            loose[name] = _loosened(value)
    return loose
