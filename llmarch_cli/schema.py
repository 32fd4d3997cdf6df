"""The JSON schemas of spec, budget, baseline and chip files, for editors and other programs.

They describe single fields. Rules between fields are checked only when a file is read.
"""

from __future__ import annotations

import inspect
import json
import re
from pathlib import Path
from typing import Any

from llmarch_cli.components.record import Record
from llmarch_cli.errors import InputError, unknown
from llmarch_cli.specs.checked import kinds
from llmarch_cli.specs.spec import ModelSpec

Schema = dict[str, Any]

# The top of the spec schema. Editors complete the fields below `then` and `else`.
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
    "description": "an id, or the path of a spec or config from this file; fields not given here come from it",
}

# A field with its type and default, and the comment after it.
_COMMENTED = re.compile(r"^    (\w+): .*  # (.+)$", re.MULTILINE)


def spec_schema() -> Schema:
    """The schema of a spec: a complete one, or the changes to the spec that it `extends`."""
    model = ModelSpec.model_json_schema()
    whole = {**model.pop("$defs"), "ModelSpec": model}
    records = kinds()
    for name, schema in whole.items():
        _describe(schema, records[name])
    whole = {name: _tidied(schema) for name, schema in whole.items()}
    changes = {f"{name}Changes": _loosened(schema) for name, schema in whole.items()}
    changes["ModelSpecChanges"]["properties"]["extends"] = EXTENDS
    return {**HEAD, "$defs": dict(sorted((whole | changes).items()))}


def budgets_schema() -> Schema:
    """The schema of a budget file."""
    from llmarch_cli.guards.budgets import BudgetFile

    return _file_schema(BudgetFile, "Budgets of llmarch")


def baseline_schema() -> Schema:
    """The schema of a baseline file."""
    from llmarch_cli.guards.baselines import Baseline

    return _file_schema(Baseline, "A baseline of llmarch")


def chip_schema() -> Schema:
    """The schema of a chip's file."""
    from llmarch_cli.deployment.chips import Chip

    return _file_schema(Chip, "A chip of llmarch")


SCHEMAS = {"spec": spec_schema, "budgets": budgets_schema, "baseline": baseline_schema, "chip": chip_schema}


def render(of: str) -> str:
    """The JSON text of a schema in `SCHEMAS`. Raises InputError for an unknown name."""
    if of not in SCHEMAS:
        raise InputError(unknown("schema", of, SCHEMAS))
    return json.dumps(SCHEMAS[of](), indent=2) + "\n"


def write_schema(path: Path, of: str = "spec") -> None:
    """Write a schema to `path`."""
    path.write_text(render(of), encoding="utf-8")


def _file_schema(record: type[Record], title: str) -> Schema:
    model = record.model_json_schema()
    records = kinds()
    inner = model.pop("$defs", {})
    for name, schema in inner.items():
        _describe(schema, records[name])
    _describe(model, record)
    definitions = {"$defs": {name: _tidied(schema) for name, schema in sorted(inner.items())}} if inner else {}
    return {"$schema": HEAD["$schema"], "title": title, **_tidied(model), **definitions}


def _describe(schema: Schema, record: type[Record]) -> None:
    """Use the comment after each field in the source code as its description."""
    for each in reversed([each for each in record.__mro__ if issubclass(each, Record)]):
        for name, comment in _COMMENTED.findall(inspect.getsource(each)):
            if name in schema["properties"]:
                schema["properties"][name]["description"] = comment


def _tidied(schema: Any) -> Any:
    """Remove OpenAPI's `discriminator`, and titles that only repeat a field's name."""
    if isinstance(schema, list):
        return [_tidied(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    tidy = {name: _tidied(value) for name, value in schema.items() if name not in ("discriminator", "title")}
    if "properties" in schema:  # a field may be named `title`
        tidy["properties"] = {name: _tidied(value) for name, value in schema["properties"].items()}
    if "patternProperties" in tidy:
        tidy["additionalProperties"] = False
    return tidy


def _loosened(schema: Any) -> Any:
    """A copy without required fields and defaults, for a spec that extends another."""
    if isinstance(schema, list):
        return [_loosened(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    loose = {}
    for name, value in schema.items():
        if name == "$ref":
            loose[name] = f"{value}Changes"
        elif name == "oneOf":  # without `kind`, several components may match
            loose["anyOf"] = _loosened(value)
        elif name not in ("required", "minProperties", "default"):
            loose[name] = _loosened(value)
    return loose
