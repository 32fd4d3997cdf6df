"""A report as GitHub-flavoured Markdown: for each table a heading, the table itself and its notes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from llmarch_cli.report.formats.grid import Cell, grid, one_line
from llmarch_cli.report.table import Table

# Characters that would end a cell or start emphasis, code, a link or HTML. An underscore inside a word does not.
_SPECIAL = str.maketrans({char: f"\\{char}" for char in "\\`*[]<>|"})


def render(tables: Sequence[Table], exact: bool = False) -> str:
    """Markdown, ending in a newline."""
    return "\n".join("".join(f"{line}\n" for line in _lines(table, exact)) for table in tables)


def _lines(table: Table, exact: bool) -> Iterator[str]:
    cells = grid(table, table.for_reading, exact)
    if table.title:
        yield from (f"### {_escaped(table.title)}", "")
    if table.lead:
        yield from (_escaped(table.lead), "")
    if cells.lines:
        yield _row(cells.heading)
        yield f"| {' | '.join('---:' if is_right else '---' for is_right in cells.right_aligned)} |"
    for line in cells.lines:
        yield _row(line.cells)
    for number, note in enumerate(table.notes):
        yield from ([""] if number or cells.lines else [])
        yield _escaped(note)


def _row(cells: Sequence[Cell]) -> str:
    return f"| {' | '.join(_escaped(cell.text) for cell in cells)} |"


def _escaped(text: str) -> str:
    return one_line(text).translate(_SPECIAL)
