"""The main table of a report as CSV: a header and exact values. Ratios are decimal numbers."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

from llmarch_cli.report.table import Table, plain


def render(tables: Sequence[Table]) -> str:
    """CSV with lines ending in a newline; unknown values are empty."""
    main = next(table for table in tables if table.main)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(column.key for column in main.for_data)
    for row in (row for table in tables if table.name == main.name for row in table.rows):
        writer.writerow(_cell(plain(row[column.key])) for column in main.for_data)
    return text.getvalue()


def _cell(value: str | int | float | bool | None) -> str | int | float | None:
    return str(value).lower() if isinstance(value, bool) else value
