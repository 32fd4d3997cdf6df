"""A report for the terminal: tables that fit its width. Values that are equal in all rows are dim.

If a table is too wide, the column that `fills` it gets shorter, then the columns in `may_drop` are hidden, then text is
wrapped, then the table is split between columns into several. Numbers are never cut.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from llmarch_cli.report.formats.grid import Cell, Sort, TextGrid, TextLine, grid, one_line
from llmarch_cli.report.table import Column, Table

GAP = 2  # between columns
LONGEST_WORD = 24  # longer words are names, which may be broken
COMFORT = 32  # text is not wrapped below this width; the table is split instead
FILLING = 36  # least width of the column that fills a table, if its text is as long
LEAST_BAR = 6  # characters of the longest bar
LONG_BAR = 30  # headings stay on one line beside bars of this length
EIGHTHS = " ▏▎▍▌▋▊▉"  # parts of a block
_BESIDE = GAP + LEAST_BAR
_SEPARATORS = "/._-=,"  # behind which a long name is broken

# Styles, by their numbers in escape codes (ECMA-48, section 8.3.117).
BOLD, DIM, RED, GREEN, YELLOW, CYAN = "1", "2", "31", "32", "33", "36"
_STYLES: dict[Sort, tuple[str, ...]] = {
    "": (),
    "marked": (YELLOW,),
    "more": (GREEN,),
    "less": (RED,),
    "none": (DIM,),
}


@dataclass(frozen=True, slots=True)
class _Pen:
    """What a terminal can show: styles, and characters beyond ASCII."""

    color: bool
    ascii_only: bool

    def styled(self, text: str, *styles: str) -> str:
        """`text` in these styles, if the terminal knows any."""
        return f"\x1b[{';'.join(styles)}m{text}\x1b[0m" if self.color and styles and text.strip() else text


def render(
    tables: Sequence[Table], width: int, exact: bool = False, color: bool = False, ascii_only: bool = False
) -> str:
    """The report in lines of at most `width` characters, ending in a newline. Escape codes only with `color`."""
    pen = _Pen(color, ascii_only)
    return "\n".join("".join(f"{line.rstrip()}\n" for line in _lines(table, width, exact, pen)) for table in tables)


def _lines(table: Table, width: int, exact: bool, pen: _Pen) -> Iterator[str]:
    """The title, the table in one or several parts below each other, and the notes."""

    def written(text: str, style: str) -> Iterator[str]:
        return (pen.styled(line, style) for line in _wrapped(one_line(text), width))

    if table.title:
        yield from written(table.title, BOLD)
    if table.lead:
        yield from _wrapped(one_line(table.lead), width)
    cells = grid(table, table.for_reading, exact)
    if table.is_side_by_side and _taken(_least(cells)) > width:
        table = replace(table, side_by_side=False)
        cells = grid(table, table.for_reading, exact)
    if table.is_side_by_side:
        cells, dropped = _low_enough(table, width, exact)
        parts = [(cells, False)]
    else:
        parts, dropped = _parts(table, cells, width)
    if table.notes and not table.rows:  # no headings without rows: the notes say why
        parts, dropped = [], []
    for number, (part, has_bar) in enumerate(parts):
        if number:
            yield ""
        yield from _drawn(part, width, _bars(table) if has_bar else (), pen)
    if parts and (table.notes or dropped):
        yield ""
    for note in table.notes:
        yield from written(note, DIM)
    if dropped:
        yield from written(f"Hidden (terminal too narrow): {', '.join(dropped)}.", DIM)


def _low_enough(table: Table, width: int, exact: bool) -> tuple[TextGrid, list[str]]:
    """The rows of a table side by side, and the titles of lines to hide so that it has not more than it may."""
    columns, hidden = table.for_reading, list[Column]()
    may_drop = [column for key in table.may_drop for column in columns if column.key == key]
    around = [one_line(text) for text in (table.title, table.lead, *table.notes) if text]
    n_around = sum(len(_wrapped(text, width)) for text in around) + 1  # an empty line before notes
    while True:
        cells = grid(table, [column for column in columns if column not in hidden], exact)
        drawn = sum(1 for _ in _drawn(cells, width, (), _Pen(color=False, ascii_only=False)))
        if table.most_lines is None or drawn + n_around + bool(hidden) <= table.most_lines or not may_drop:
            return cells, [column.title for column in hidden]
        hidden.append(may_drop.pop(0))


def _parts(table: Table, cells: TextGrid, width: int) -> tuple[list[tuple[TextGrid, bool]], list[str]]:
    """The columns of each table to show, and the titles of those to hide so that text is not wrapped.

    The first column is in all of them. Groups of columns are split only if they do not fit. One of the tables may have
    bars.
    """
    columns, kept = table.for_reading, _kept(table, cells, width)
    for filling in (i for i in kept if columns[i].key == table.fills):
        cells = _filled(cells, kept, filling, width)
    needed = _least(cells) if table.keeps_whole else _comfortable(cells)

    def has_bar(part: list[int]) -> bool:
        return any(columns[i].key == table.bar for i in part)

    def fits(part: list[int]) -> bool:
        return _taken([needed[i] for i in part]) + (_BESIDE if has_bar(part) else 0) <= width

    first, *others = kept
    parts = [[first]]
    for group in (list(group) for _, group in groupby(others, key=lambda i: columns[i].group)):
        for piece in [group] if fits([first, *group]) else [[i] for i in group]:
            if len(parts[-1]) > 1 and not fits([*parts[-1], *piece]):
                parts.append([first])
            parts[-1].extend(piece)
    shown = [(cells.part(part), has_bar(part)) for part in parts]
    if len(shown) > 1:
        shown = [(_without_zeros(part), with_bar) for part, with_bar in shown]
    return shown, [columns[i].title for i in range(len(columns)) if i not in kept]


def _without_zeros(part: TextGrid) -> TextGrid:
    """A part of a table that is split, without the lines that have no amount but 0 there."""
    lines = (line for line in part.lines if line.opens_group or any(cell.sort != "none" for cell in line.cells[1:]))
    return replace(part, lines=tuple(lines))


def _kept(table: Table, cells: TextGrid, width: int) -> list[int]:
    """The columns to show so that text is not wrapped; `FILLING` is enough for the one that fills the table."""
    columns = table.for_reading
    natural = [
        min(each, FILLING) if column.key == table.fills else each
        for column, each in zip(columns, _low_headed(cells), strict=True)
    ]
    room = width if table.bar is None else width - _BESIDE
    hidden: list[str] = []

    def shown() -> list[int]:
        return [i for i, column in enumerate(columns) if column.key not in hidden]

    def fits() -> bool:
        return _taken([natural[i] for i in shown()]) <= room

    for key in table.may_drop:
        if fits():
            break
        hidden.append(key)
    for key in reversed(hidden[:-1]):  # the last one may have made room for an earlier one
        hidden.remove(key)
        if not fits():
            hidden.append(key)
    return shown()


def _filled(cells: TextGrid, kept: Sequence[int], filling: int, width: int) -> TextGrid:
    """The cells with the column that fills the table as wide as the others of the table allow."""
    taken = _low_headed(cells)
    room = width - _taken([taken[i] for i in kept]) + taken[filling]

    def shortened(line: TextLine) -> TextLine:
        cell = replace(line.cells[filling], text=_shortened(line.cells[filling].text, room))
        return replace(line, cells=(*line.cells[:filling], cell, *line.cells[filling + 1 :]))

    return replace(cells, lines=tuple(map(shortened, cells.lines)))


def _shortened(text: str, room: int) -> str:
    """As many parts of a text, with commas between them, as fit; or as much of the first one."""
    parts = text.split(", ")
    while len(parts) > 1 and _cells(", ".join(parts)) > room:
        parts.pop()
    kept = ", ".join(parts)
    return kept if _cells(kept) <= room else f"{kept[: max(0, room - 3)]}..."


def _drawn(cells: TextGrid, width: int, bars: Sequence[float], pen: _Pen) -> Iterator[str]:
    """The lines of a table: its heading, a rule and its rows, with bars behind them if there is room."""
    widths = _widths(cells, width, with_bars=bool(bars))
    free = width - _taken(widths) - GAP
    drawn_bars = [_bar(share, free, pen.ascii_only) for share in bars] if free >= LEAST_BAR else []
    if drawn_bars:
        widths.append(free)
    divider, dash, crossing = ("|", "-", "+") if pen.ascii_only else (" ", "─", "─")
    margin = GAP - len(divider)  # behind each column but the last

    def ruled(dash: str, crossing: str) -> str:
        return crossing.join([*(dash * (each + margin) for each in widths[:-1]), dash * widths[-1]])

    def row(line: TextLine, last: str, styles: Sequence[tuple[str, ...]], is_low: bool = False) -> Iterator[str]:
        texts = [cell.text for cell in line.cells] + [last] * bool(drawn_bars)
        columns = [_wrapped(text, each) for text, each in zip(texts, widths, strict=True)]
        height = max(map(len, columns))
        for at in range(height):
            parts = []
            for i, column in enumerate(columns):
                number = at - (height - len(column) if is_low else 0)
                text = column[number] if 0 <= number < len(column) else ""
                space = " " * (widths[i] - _cells(text))
                text = space + text if i < len(line.cells) and cells.right_aligned[i] else text + space
                text = text + " " * margin if i + 1 < len(columns) else text.rstrip()
                parts.append(pen.styled(text, *styles[i]))
            yield divider.join(parts)

    dim = [(DIM,) if recedes else () for recedes in cells.receding] + [()]
    yield from row(TextLine(cells.heading), "", [(BOLD, *style) for style in dim], is_low=True)
    yield ruled(dash, crossing)
    for number, line in enumerate(cells.lines):
        if number and line.opens_group:
            yield ruled(dash, crossing) if pen.ascii_only else ""
        last = drawn_bars[number] if number < len(drawn_bars) else ""  # no bar beside a total
        yield from row(line, last, _styles(line, dim))


def _styles(line: TextLine, columns: Sequence[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """The styles of the cells of a line, and of its bar, in columns of these styles."""
    if line.failed:
        return [(RED,)] * len(columns)
    rest = [(DIM,)] * len(columns) if line.recedes else columns
    own = [(*style, *_STYLES[cell.sort]) for cell, style in zip(line.cells, rest, strict=False)]
    return [*(tuple(dict.fromkeys(styles)) for styles in own), (CYAN,)]


def _bar(share: float, width: int, ascii_only: bool) -> str:
    """A bar of that share of `width`, to an eighth of a character if the terminal has such blocks."""
    if ascii_only:
        return "#" * round(width * share)
    whole, eighths = divmod(round(width * share * 8), 8)
    return f"{'█' * whole}{EIGHTHS[eighths].strip()}"


def _widths(cells: TextGrid, width: int, with_bars: bool) -> list[int]:
    """The widths of columns that leave room for bars: headings are wrapped first, then text."""
    low, least = _low_headed(cells), _least(cells)
    room = width - GAP - LONG_BAR if with_bars else width
    if _taken(low) <= room:
        shared = _shared(_natural(cells), low, room)
        return [_narrowed(*each) for each in zip(cells.heading, shared, low, strict=True)]
    return _shared(low, least, width - _BESIDE if with_bars and _taken(least) + _BESIDE <= width else width)


def _narrowed(heading: Cell, width: int, least: int) -> int:
    """The least width in which a heading has as few lines as in `width`."""
    n_lines = len(_wrapped(heading.text, width))
    return next(each for each in range(least, width + 1) if len(_wrapped(heading.text, each)) == n_lines)


def _bars(table: Table) -> list[float]:
    """Each row's value as a share of the largest."""
    values = [row[table.bar] for row in table.rows] if table.bar in {column.key for column in table.columns} else []
    numbers = [value if isinstance(value, int) else 0 for value in values]
    return [number / max(1, *numbers) for number in numbers]


def _taken(widths: Sequence[int]) -> int:
    return sum(widths) + GAP * (len(widths) - 1)


def _columns(cells: TextGrid) -> list[tuple[Cell, ...]]:
    return list(zip(cells.heading, *(line.cells for line in cells.lines), strict=True))


def _natural(cells: TextGrid) -> list[int]:
    """The width of each column without wrapping."""
    return [max(_cells(cell.text) for cell in column) for column in _columns(cells)]


def _least(cells: TextGrid) -> list[int]:
    """The width of each column with text wrapped as far as its words allow."""
    return [max(_least_of(cell) for cell in column) for column in _columns(cells)]


def _least_of(cell: Cell) -> int:
    if not cell.is_text:
        return _cells(cell.text)
    return min(LONGEST_WORD, max((_cells(word) for word in cell.text.split()), default=0))


def _comfortable(cells: TextGrid) -> list[int]:
    """The width of each column with text wrapped at `COMFORT` or more."""
    return [max(_least_of(heading), min(body, COMFORT)) for heading, body in _headings_and_bodies(cells)]


def _low_headed(cells: TextGrid) -> list[int]:
    """The width of each column with only headings wrapped."""
    return [max(_least_of(heading), body) for heading, body in _headings_and_bodies(cells)]


def _headings_and_bodies(cells: TextGrid) -> Iterator[tuple[Cell, int]]:
    for heading, *body in _columns(cells):
        yield heading, max((_cells(cell.text) for cell in body), default=0)


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


def _cells(text: str) -> int:
    """The columns of a terminal that a text takes: some characters take two, and some none."""
    if text.isascii():
        return len(text)
    from rich.cells import cell_len

    return cell_len(text)


def _wrapped(text: str, width: int) -> list[str]:
    """The text in lines of at most `width`, broken between words, and inside words that are longer than a line."""
    if _cells(text) <= width:
        return [text]
    lines, line = [], ""
    for word in re.findall(r"\s*\S+\s*", text):
        own = _cells(word.rstrip())
        if own <= width - _cells(line):
            line += word
            continue
        if line:
            lines.append(line)
        *whole, line = _chopped(word, width) if own > width else [word]
        lines += whole
    return [each.rstrip() for each in (*lines, line)]


def _chopped(word: str, width: int) -> list[str]:
    """A word in pieces of at most `width`, of an address or a path behind one of its separators."""
    if word.isascii():
        pieces = []
        while len(word) > width:
            behind = max(word.rfind(separator, width // 2, width) for separator in _SEPARATORS) + 1
            pieces.append(word[: behind or width])
            word = word[behind or width :]
        return [*pieces, word]
    from rich.cells import chop_cells

    return chop_cells(word, width)
