"""Tables of a report as cells that a template writes: one way for all of them."""

from __future__ import annotations

from dataclasses import dataclass

from llmarch_cli.report.formats.grid import TextGrid, grid
from llmarch_cli.report.table import Table


@dataclass(frozen=True)
class Shown:
    """A table for a template."""

    title: str
    grid: TextGrid
    notes: tuple[str, ...]


def shown(table: Table) -> Shown:
    """The columns that a table has for readers."""
    return Shown(table.title, grid(table, table.for_reading, exact=False), table.notes)
