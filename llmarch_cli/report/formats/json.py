"""A report as JSON: a schema version, and each table under its name as a list of rows. Integers are exact."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from llmarch_cli.report.table import Table, plain

# Incremented if a key is renamed, removed or changes its meaning, but not for new keys.
SCHEMA_VERSION = 1


def render(tables: Sequence[Table]) -> str:
    """Indented JSON, ending in a newline."""
    data: dict[str, Any] = {"schema_version": SCHEMA_VERSION}
    for table in tables:
        rows = data.setdefault(table.name, [])  # tables of the same name are joined
        rows += [{column.key: plain(row[column.key]) for column in table.for_data} for row in table.rows]
    return json.dumps(data, indent=2) + "\n"
