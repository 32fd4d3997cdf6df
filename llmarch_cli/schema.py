"""The JSON schemas of our files, for editors and other programs: those that are committed are what this gives.

They say what each field may be; rules between fields are the records' own, and only reading a file knows them.
"""

from __future__ import annotations

import inspect
import json
import re
from pathlib import Path
from typing import Any

from llmarch_cli.components.component import Record
from llmarch_cli.errors import InputError, unknown
from llmarch_cli.specs.spec import ModelSpec

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


def budgets_schema() -> Schema:
    """The schema of a file of budgets."""
    from llmarch_cli.guards.budgets import BudgetFile

    return _file_schema(BudgetFile, "Budgets of llmarch")


def baseline_schema() -> Schema:
    """The schema of a baseline."""
    from llmarch_cli.guards.baselines import Baseline

    return _file_schema(Baseline, "A baseline of llmarch")


SCHEMAS = {"spec": spec_schema, "budgets": budgets_schema, "baseline": baseline_schema}


def render(of: str) -> str:
    """The schema of one sort of file, as text. Raises InputError for a sort that there is not."""
    if of not in SCHEMAS:
        raise InputError(unknown("schema", of, SCHEMAS))
    return json.dumps(SCHEMAS[of](), indent=2) + "\n"


def write_schema(path: Path, of: str = "spec") -> None:
    """Write the schema to `path`, as it is committed."""
    path.write_text(render(of), encoding="utf-8")


def _file_schema(record: type[Record], title: str) -> Schema:
    model = record.model_json_schema()
    records = {each.__name__: each for each in (record, *_records(Record))}
    inner = model.pop("$defs", {})
    for name, schema in inner.items():
        _describe(schema, records[name])
    _describe(model, record)
    definitions = {"$defs": {name: _tidied(schema) for name, schema in sorted(inner.items())}} if inner else {}
    return {"$schema": HEAD["$schema"], "title": title, **_tidied(model), **definitions}


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
