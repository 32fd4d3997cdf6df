"""The formats a report can be written in. To add one: its renderer's file, and a line below."""

from __future__ import annotations

from collections.abc import Sequence

from llmarch_cli.errors import InputError, unknown
from llmarch_cli.report.table import Table

FORMATS = ("table", "markdown", "csv", "json")
VERDICT_FORMATS = (*FORMATS, "junit")  # of reports whose rows pass or fail


def check(file_format: str, formats: Sequence[str] = FORMATS) -> None:
    """Raise InputError for a format that is not among `formats`."""
    if file_format not in formats:
        raise InputError(unknown("format", file_format, formats))


def render(
    tables: Sequence[Table],
    file_format: str = "table",
    exact: bool = False,
    width: int = 80,
    color: bool = False,
    ascii_only: bool = False,
) -> str:
    """The report as text, ending in a newline. CSV and JSON are always exact. Raises InputError for unknown formats."""
    check(file_format, VERDICT_FORMATS)
    read = [table for table in tables if table.rows or table.main]  # an empty list is for programs
    match file_format:
        case "table":
            from llmarch_cli.report.formats import terminal

            return terminal.render(read, width, exact, color, ascii_only)
        case "markdown":
            from llmarch_cli.report.formats import markdown

            return markdown.render(read, exact)
        case "csv":
            from llmarch_cli.report.formats import csv

            return csv.render(tables)
        case "json":
            from llmarch_cli.report.formats import json

            return json.render(tables)
        case "junit":
            from llmarch_cli.report.formats import junit

            return junit.render(tables)
        case _:
            raise ValueError(f"{file_format} is among the formats, but has no renderer")
