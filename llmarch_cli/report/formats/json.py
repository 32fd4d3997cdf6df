"""A report as JSON: the same keys for every command. Integers are exact.

`tables` has each table under its name as a list of rows, `architectures` the models as data, `notes` what readers are
told below tables. For one version, the tables are beside these keys too, as they were before.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from llmarch_cli.report.architecture import architecture
from llmarch_cli.report.table import Table, plain

# Incremented if a key is renamed, removed or changes its meaning, but not for new keys.
SCHEMA_VERSION = 1

ENVELOPE = ("schema_version", "tables", "architectures", "notes")


def render(tables: Sequence[Table]) -> str:
    """Indented JSON, ending in a newline."""
    rows: dict[str, list[dict[str, Any]]] = {}
    for table in tables:
        found = rows.setdefault(table.name, [])  # tables of the same name are joined
        found += [{column.key: plain(row[column.key]) for column in table.for_data} for row in table.rows]
    specs = {spec.id: spec for table in tables for spec in table.specs}
    values = (
        SCHEMA_VERSION,
        rows,
        [architecture(spec) for spec in specs.values()],
        list(dict.fromkeys(note for table in tables for note in table.notes)),
    )
    return _indented({**dict(zip(ENVELOPE, values, strict=True)), **rows}) + "\n"


def _indented(value: Any, margin: str = "\n") -> str:
    """As `json.dumps(value, indent=2)`, which calls Python for every value: here, what holds plain values is one call.

    `margin` is a new line with the indentation of the value itself.
    """
    if not value or not isinstance(value, dict | list):
        return json.dumps(value)
    opens, closes = "{}" if isinstance(value, dict) else "[]"
    inner = f"{margin}  "
    if {dict, list, tuple}.isdisjoint(map(type, value.values() if isinstance(value, dict) else value)):
        text = json.dumps(value, separators=(f",{inner}", ": "))[1:-1]
    elif isinstance(value, dict):
        text = f",{inner}".join(f"{json.dumps(name)}: {_indented(each, inner)}" for name, each in value.items())
    else:
        text = f",{inner}".join(_indented(each, inner) for each in value)
    return f"{opens}{inner}{text}{margin}{closes}"
