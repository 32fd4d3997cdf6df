"""The main table of a report as CSV: a header and exact values. Ratios are decimal numbers."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

from llmarch_cli.report.formats.grid import one_line
from llmarch_cli.report.table import Table, plain

_FORMULA = ("=", "+", "-", "@")  # what a formula begins with


def render(tables: Sequence[Table]) -> str:
    """CSV with lines ending in a newline; unknown values are empty."""
    main = next(table for table in tables if table.main)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(column.key for column in main.for_data)
    for row in (row for table in tables if table.name == main.name for row in table.rows):
        writer.writerow(cell(plain(row[column.key])) for column in main.for_data)
    return text.getvalue()


def cell(value: str | int | float | bool | None) -> str | int | float | None:
    """A value as CSV has it: truth values in lower case, and text that no spreadsheet runs and no terminal obeys.

    Text that a spreadsheet would take for a formula gets an apostrophe before it, as OWASP advises. Numbers stay.
    """
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        line = one_line(value)
        return f"'{line}" if line.lstrip().startswith(_FORMULA) else line
    return value
