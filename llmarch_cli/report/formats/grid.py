"""A table as cells of text, rows as lines or side by side: shared by the renderers for readers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Literal

from llmarch_cli.report import units
from llmarch_cli.report.table import Column, Table
from llmarch_cli.report.units import Beside, Delta, Value

MARKED = " !"  # behind a value that is marked

# What a value is beside others: marked; an amount that is added, or removed; no amount.
Sort = Literal["", "marked", "more", "less", "none"]


@dataclass(frozen=True)
class Cell:
    """One value as text. Only cells with `is_text` may be wrapped."""

    text: str
    is_text: bool
    sort: Sort = ""


@dataclass(frozen=True)
class TextLine:
    """One line of cells. `recedes`: all values are equal. `opens_group`: the first line of a group."""

    cells: tuple[Cell, ...]
    recedes: bool = False
    opens_group: bool = False
    failed: bool = False


@dataclass(frozen=True)
class TextGrid:
    """Cells in lines. For each column, `right_aligned`: right-aligned; `receding`: all values are equal."""

    heading: tuple[Cell, ...]
    lines: tuple[TextLine, ...]
    right_aligned: tuple[bool, ...]
    receding: tuple[bool, ...]

    def part(self, columns: Sequence[int]) -> TextGrid:
        """The columns of these numbers."""
        if len(columns) == len(self.heading):
            return self
        return TextGrid(
            heading=tuple(self.heading[i] for i in columns),
            lines=tuple(replace(line, cells=tuple(line.cells[i] for i in columns)) for line in self.lines),
            right_aligned=tuple(self.right_aligned[i] for i in columns),
            receding=tuple(self.receding[i] for i in columns),
        )


def grid(table: Table, columns: Sequence[Column], exact: bool) -> TextGrid:
    """The `columns` of a table, with rows side by side if the table is shown so."""
    return _side_by_side(table, columns, exact) if table.is_side_by_side else _row_by_row(table, columns, exact)


def heading(column: Column, exact: bool) -> str:
    """The title; for exact values also the unit."""
    return f"{column.title}, {column.unit.name}" if exact and column.unit.name else column.title


def _row_by_row(table: Table, columns: Sequence[Column], exact: bool) -> TextGrid:
    lines = []
    if not exact and table.total is None:  # parts are written as their sum is written elsewhere
        columns = [replace(column, unit=column.unit.of_column(table.values(column))) for column in columns]
    with_marks = {column.key for column in columns if any(column.key in keys for keys in table.marked)}

    def written(number: int, row: Mapping[str, Value]) -> tuple[Cell, ...]:
        cells = [_cell(column, row[column.key], exact, table.marks(number, column)) for column in columns]
        return tuple(
            replace(cell, text=f"{cell.text}{' ' * len(MARKED)}")  # so that digits stand below digits
            if column.key in with_marks and cell.sort != "marked" and not cell.is_text
            else cell
            for column, cell in zip(columns, cells, strict=True)
        )

    for number, row in enumerate(table.rows):
        lines.append(TextLine(written(number, row), failed=table.fails is not None and bool(row[table.fails])))
    if table.total is not None:
        lines.append(TextLine(written(len(table.rows), table.total), opens_group=True))
    return TextGrid(
        heading=tuple(Cell(heading(column, exact), is_text=True) for column in columns),
        lines=tuple(lines),
        right_aligned=tuple(not column.unit.is_text for column in columns),
        receding=tuple(_all_equal(table, column) for column in columns),
    )


def _side_by_side(table: Table, columns: Sequence[Column], exact: bool) -> TextGrid:
    first, *others = columns
    lines, group = [], others[0].group if others else ""
    for column in others:
        values = table.values(column)
        written = map(one_line, column.unit.write_together(values, exact))
        cells = [
            _as_cell(column, value, text, table.marks(number, column))
            for number, (value, text) in enumerate(zip(values, written, strict=True))
        ]
        if table.with_ratio:
            cells.append(Cell(_ratio(column, values), is_text=False))
        title = Cell(heading(column, exact), is_text=True)
        lines.append(TextLine((title, *cells), _all_equal(table, column), opens_group=column.group != group))
        group = column.group
    names = [_cell(first, value, exact) for value in table.values(first)]
    names += [Cell("ratio", is_text=True)] * table.with_ratio
    return TextGrid(
        heading=(Cell("", is_text=True), *names),
        lines=tuple(lines),
        right_aligned=(*(False,) * (1 + len(table.rows)), *(True,) * table.with_ratio),
        receding=(False,) * (1 + len(names)),
    )


def _ratio(column: Column, values: Sequence[Value]) -> str:
    """How many times the second value the first one is, of two amounts that differ; else ""."""
    first, second = values
    if column.unit.scale is None or not first or not second or first == second:
        return ""
    if not isinstance(first, int | Fraction) or not isinstance(second, int | Fraction):
        return ""
    return units.ratio(Fraction(first) / second)


def _cell(column: Column, value: Value, exact: bool, marked: bool = False) -> Cell:
    return _as_cell(column, value, one_line(column.unit.write(value, exact)), marked)


def _as_cell(column: Column, value: Value, text: str, marked: bool) -> Cell:
    if marked:
        return Cell(f"{text}{MARKED}", column.unit.is_text, "marked")
    amount = value.amount if isinstance(value, Delta | Beside) else value if column.unit.is_signed else None
    if isinstance(amount, bool) or not isinstance(amount, int | Fraction):
        return Cell(text, column.unit.is_text)
    return Cell(text, column.unit.is_text, "more" if amount > 0 else "less" if amount else "none")


def _all_equal(table: Table, column: Column) -> bool:
    first, *others = table.values(column) or [None]
    return bool(others) and not any(value if isinstance(value, Delta | Beside) else value != first for value in others)


def one_line(text: str) -> str:
    """Text from a spec on one line, without control characters."""
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() else " " if char.isspace() else "\N{REPLACEMENT CHARACTER}" for char in text
    )
