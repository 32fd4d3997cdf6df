"""The output formats. To add one: its renderer's file, its name below, and its case in `render`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from llmarch_cli.errors import InputError, unknown

if TYPE_CHECKING:  # the command line reads the names below for its help
    from llmarch_cli.report.table import Table

FORMATS = ("table", "markdown", "csv", "json")
BLOCKS = "█ ▏▎▍▌▋▊▉─"  # what tables are drawn with on a terminal that has these characters
VERDICT_FORMATS = (*FORMATS, "junit")  # for tables whose rows pass or fail


def require(file_format: str, formats: Sequence[str] = FORMATS) -> None:
    """Raise InputError if `file_format` is not in `formats`."""
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
    require(file_format, VERDICT_FORMATS)
    read = [table for table in tables if table.rows or table.main]  # only data formats write empty minor tables
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
            raise ValueError(f"format {file_format} has no renderer")
