"""A report for the terminal: rich tables that fit its width. Values that are equal in all rows are dim.

If a table is too wide, the columns in `may_drop` are hidden first, then text is wrapped, then the table is split
between columns into several. Numbers are never cut.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import groupby
from typing import Literal

from rich import box
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from llmarch_cli.report.formats.grid import Cell, TextGrid, grid, one_line
from llmarch_cli.report.table import Column, Table

GAP = 2  # between columns
LONGEST_WORD = 24  # longer words are names, which may be broken
COMFORT = 32  # text is not wrapped below this width; the table is split instead
LEAST_BAR = 6  # characters of the longest bar
_BESIDE = GAP + LEAST_BAR
LONG_BAR = 30  # headings stay on one line beside bars of this length
EIGHTHS = " ▏▎▍▌▋▊▉"  # parts of a block

_STYLES = {"": "", "marked": "yellow", "more": "green", "less": "red", "none": "dim"}
_FAILED, _BAR = "red", "cyan"


def render(
    tables: Sequence[Table], width: int, exact: bool = False, color: bool = False, ascii_only: bool = False
) -> str:
    """The report in lines of at most `width` characters, ending in a newline. Escape codes only with `color`."""
    text = io.StringIO()
    # Wide enough for anything: widths are chosen here, and rich would cut lines that it considers too wide.
    system: Literal["standard"] | None = "standard" if color else None
    console = Console(file=text, width=1 << 16, force_terminal=color, color_system=system, legacy_windows=False)
    for number, table in enumerate(tables):
        if number:
            console.print()
        for piece in _pieces(table, width, exact, ascii_only):
            console.print(piece, width=width if isinstance(piece, Text) else None)
    return "".join(f"{line.rstrip()}\n" for line in text.getvalue().splitlines())


def _pieces(table: Table, width: int, exact: bool, ascii_only: bool) -> Iterator[Text | RichTable]:
    """The parts of a table, to print below each other."""
    if table.title:
        yield Text(one_line(table.title), style="bold")
    columns: list[Column] = list(table.for_reading)
    dropped: list[Column] = []
    if not _fits(grid(table, columns, exact), width):
        table = replace(table, side_by_side=False)
    if not table.is_side_by_side:
        columns, dropped = _kept(table, width, exact)
    parts = [columns] if table.is_side_by_side else list(_parts(table, columns, width, exact))
    if table.notes and not table.rows:  # no headings without rows: the notes say why
        parts, dropped = [], []
    for number, part in enumerate(parts):
        if number:
            yield Text()
        bars = _bars(table) if any(column.key == table.bar for column in part) else ()
        yield _drawn(grid(table, part, exact), width, bars, ascii_only)
    if parts and (table.notes or dropped):
        yield Text()
    for note in table.notes:
        yield Text(one_line(note), style="dim")
    if dropped:
        yield Text(f"Hidden (terminal too narrow): {', '.join(column.title for column in dropped)}.", style="dim")


def _kept(table: Table, width: int, exact: bool) -> tuple[list[Column], list[Column]]:
    """The columns to show, and those to hide so that text is not wrapped."""
    kept, dropped = list(table.for_reading), []
    for key in table.may_drop:
        cells = grid(table, kept, exact)
        if _taken(_natural(cells)) <= width if table.bar is None else _taken(_low_headed(cells)) + _BESIDE <= width:
            break
        dropped += [column for column in kept if column.key == key]
        kept = [column for column in kept if column.key != key]
    return kept, dropped


def _parts(table: Table, columns: list[Column], width: int, exact: bool) -> Iterator[list[Column]]:
    """The columns of each table, the first column in all of them. Groups are split only if they do not fit."""
    first, *others = columns
    groups = [list(group) for _, group in groupby(others, key=lambda column: column.group)]

    def fits(part: list[Column]) -> bool:
        cells = grid(table, part, exact)
        bar = _BESIDE if any(column.key == table.bar for column in part) else 0
        return _taken(_least(cells) if table.keeps_whole else _comfortable(cells)) + bar <= width

    part = [first]
    for piece in (piece for group in groups for piece in ([group] if fits([first, *group]) else [[c] for c in group])):
        if len(part) > 1 and not fits([*part, *piece]):
            yield part
            part = [first]
        part.extend(piece)
    yield part


def _drawn(cells: TextGrid, width: int, bars: Sequence[float], ascii_only: bool) -> RichTable:
    natural = _natural(cells)
    if bars and _taken(natural) + GAP + LONG_BAR > width:
        natural = _low_headed(cells)
    least = _least(cells)
    bar = _BESIDE if bars else 0
    widths = _shared(natural, least, width - bar if _taken(least) + bar <= width else width)
    drawn = RichTable(
        box=box.ASCII if ascii_only else box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, GAP - 1, 0, 0)
    )
    for heading, column_width, is_right, recedes in zip(
        cells.heading, widths, cells.right_aligned, cells.receding, strict=True
    ):
        style = "dim" if recedes else ""
        drawn.add_column(
            Text(heading.text),
            width=column_width,
            justify="right" if is_right else "left",
            style=style,
            header_style=style or "bold",
            overflow="fold",
        )
    free = width - _taken(widths) - GAP
    drawn_bars: list[list[Text]] = []
    if bars and free >= LEAST_BAR:
        drawn.add_column(width=free)
        drawn_bars = [[Text(_bar(share, free, ascii_only), style=_BAR)] for share in bars]
    for number, line in enumerate(cells.lines):
        if line.opens_group:
            drawn.add_section()
        beside = drawn_bars[number] if number < len(drawn_bars) else []  # none beside a total
        style = _FAILED if line.failed else "dim" if line.recedes else ""
        drawn.add_row(*(Text(cell.text, style=_STYLES[cell.sort]) for cell in line.cells), *beside, style=style)
    return drawn


def _bar(share: float, width: int, ascii_only: bool) -> str:
    """A bar of that share of `width`, to an eighth of a character if the terminal has such blocks."""
    if ascii_only:
        return "#" * round(width * share)
    whole, eighths = divmod(round(width * share * 8), 8)
    return f"{'█' * whole}{EIGHTHS[eighths].strip()}"


def _bars(table: Table) -> list[float]:
    """Each row's value as a share of the largest."""
    values = [row[table.bar] for row in table.rows] if table.bar in {column.key for column in table.columns} else []
    numbers = [value if isinstance(value, int) else 0 for value in values]
    return [number / max(1, *numbers) for number in numbers]


def _fits(cells: TextGrid, width: int) -> bool:
    return _taken(_least(cells)) <= width


def _taken(widths: Sequence[int]) -> int:
    return sum(widths) + GAP * (len(widths) - 1)


def _columns(cells: TextGrid) -> list[tuple[Cell, ...]]:
    return list(zip(cells.heading, *(line.cells for line in cells.lines), strict=True))


def _natural(cells: TextGrid) -> list[int]:
    """The width of each column without wrapping."""
    return [max(cell_len(cell.text) for cell in column) for column in _columns(cells)]


def _least(cells: TextGrid) -> list[int]:
    """The width of each column with text wrapped as far as its words allow."""
    return [max(_least_of(cell) for cell in column) for column in _columns(cells)]


def _least_of(cell: Cell) -> int:
    if not cell.is_text:
        return cell_len(cell.text)
    return min(LONGEST_WORD, max((cell_len(word) for word in cell.text.split()), default=0))


def _comfortable(cells: TextGrid) -> list[int]:
    """The width of each column with text wrapped at `COMFORT` or more."""
    return [max(_least_of(heading), min(body, COMFORT)) for heading, body in _headings_and_bodies(cells)]


def _low_headed(cells: TextGrid) -> list[int]:
    """The width of each column with only headings wrapped."""
    return [max(_least_of(heading), body) for heading, body in _headings_and_bodies(cells)]


def _headings_and_bodies(cells: TextGrid) -> Iterator[tuple[Cell, int]]:
    for heading, *body in _columns(cells):
        yield heading, max((cell_len(cell.text) for cell in body), default=0)


def _shared(natural: list[int], least: list[int], width: int) -> list[int]:
    """The natural widths, the widest columns reduced until the line fits, none below its least width."""
    widths = list(natural)
    while (excess := _taken(widths) - width) > 0:
        flexible = [i for i in range(len(widths)) if widths[i] > least[i]]
        if not flexible:
            break
        widest = max(widths[i] for i in flexible)
        equal = [i for i in flexible if widths[i] == widest]
        floor = max(widths[i] if widths[i] < widest else least[i] for i in flexible)
        by = min(widest - floor, excess // len(equal))
        for i in equal[: excess if by == 0 else None]:  # too little is left to reduce them all
            widths[i] -= by or 1
    return widths
