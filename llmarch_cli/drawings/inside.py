"""The inside of a sublayer's box: its steps from the bottom up, and the boxes of its experts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from llmarch_cli.components.inside import Inside, Paths, Step
from llmarch_cli.drawings.facts import ROUTER, Pool
from llmarch_cli.drawings.nodes import Label, Node, Panel, Vertical
from llmarch_cli.drawings.shapes import Box, Line, Shape
from llmarch_cli.report.units import setting

SMALLEST = 6.8  # font size that is still legible on a slide
PADDING = 6.0  # inside a component's box
ARROW = 9.0  # height of the lines between two boxes
OUTLET = 8.0  # height of the arrow out of the last one
EDGE = 4.0  # inside the box of an expert
ROLES = {"made": "step", "function": "function", "kept": "kept", "norm": "norm"}


@dataclass(frozen=True)
class Steps:
    """Boxes from the bottom up, with those of paths beside each other.

    `rows` are the boxes of one step, or of the steps of each path. The line into the first one begins `below` them.
    """

    rows: Sequence[Sequence[Sequence[Node]]]
    below: float = PADDING

    GAP = 7.0  # between two paths

    @cached_property
    def _widths(self) -> list[float]:
        return [sum(_widest(path) for path in row) + self.GAP * (len(row) - 1) for row in self.rows]

    @cached_property
    def width(self) -> float:
        return max(self._widths)

    @cached_property
    def height(self) -> float:
        return sum(_high(row) for row in self.rows) + OUTLET

    def place(self, x: float, y: float) -> Iterator[Shape]:
        middle = x + self.width / 2
        tops = [(middle, y - self.below)]  # of the boxes that the next row reads
        for row, width in zip(self.rows, self._widths, strict=True):
            left, ends = middle - width / 2, []
            split = y + ARROW / 4
            if len(row) > 1:
                yield Line((tops[0], (middle, split)))
            for path in row:
                centre, level = left + _widest(path) / 2, y
                for number, node in enumerate(path):
                    bottom = level + ARROW
                    if number:
                        yield Line(((centre, level), (centre, bottom)), arrow=True)
                    elif len(row) > 1:
                        yield Line(((middle, split), (centre, split), (centre, bottom)), arrow=True)
                    else:
                        yield from (Line(((at, top), (at, bottom)), arrow=True) for at, top in tops)
                    yield from node.place(centre - node.width / 2, bottom)
                    level = bottom + node.height
                ends.append((centre, level))
                left += _widest(path) + self.GAP
            tops = ends
            y += _high(row)
        yield Line((tops[0], (middle, y + OUTLET)), arrow=True)


def _widest(path: Sequence[Node]) -> float:
    return max(node.width for node in path)


def _high(row: Sequence[Sequence[Node]]) -> float:
    return max(sum(node.height + ARROW for node in path) for path in row)


def steps(inside: Inside, settings: Mapping[str, str], axis: str, within: str, below: float = PADDING) -> Steps:
    """The boxes of `inside`, with the settings of the fields that they name."""

    def box(step: Step, least: float = 0.0) -> Panel:
        topic = f"{axis} norm" if step.sort == "norm" else f"{axis} step"
        words = [Label(step.name, 92, 7.2, topic=topic, within=within)]
        words += [
            Label(setting(settings[field]), 92, SMALLEST, "muted", topic=f"{axis} setting", within=within)
            for field in step.fields
            if field in settings
        ]
        words += [Label(step.note, 78, SMALLEST, "muted", topic=f"{axis} note", within=within)] * bool(step.note)
        role = ROLES[step.sort]
        return Panel(Vertical(words, gap=1.5), role, step.name, padding=3.5, least=least, rounded=3)

    rows: list[list[list[Panel]]] = []
    for each in inside:
        if isinstance(each, Paths):
            rows.append([[box(step) for step in path] for path in each.paths])
        else:  # as wide as the paths that it reads
            before = rows[-1] if rows else []
            span = sum(map(_widest, before)) + Steps.GAP * (len(before) - 1) if len(before) > 1 else 0.0
            rows.append([[box(each, span)]])
    return Steps(rows, below)


@dataclass(frozen=True)
class Cells:
    """A box for each expert that is drawn, in rows from the top."""

    pool: Pool

    CELL, GAP, COLUMNS, ROOM = 8.5, 2.5, 16, 60.0

    @cached_property
    def _columns(self) -> int:
        return min(self.pool.n_boxes, self.COLUMNS)

    @cached_property
    def _wide(self) -> float:
        """The width of a box: few are wider, so that they are seen."""
        return max(self.CELL, min(2 * self.CELL, (self.COLUMNS * self.CELL) / self._columns))

    @cached_property
    def width(self) -> float:
        return self._columns * (self._wide + self.GAP) - self.GAP

    @cached_property
    def height(self) -> float:
        return -(-self.pool.n_boxes // self._columns) * (self.CELL + self.GAP) - self.GAP

    def place(self, x: float, y: float) -> Iterator[Shape]:
        lit = self.pool.lit
        for number in range(self.pool.n_boxes):
            row, column = divmod(number, self._columns)
            left, top = x + column * (self._wide + self.GAP), y + self.height - row * (self.CELL + self.GAP)
            role = "chosen" if number in lit else "idle"
            yield Box(left, top - self.CELL, self._wide, self.CELL, role, f"expert {role}", rounded=1.5)


@dataclass(frozen=True)
class ExpertPool:
    """A router, the experts with those chosen for one token lit, and what each of them computes."""

    pool: Pool
    expert: Steps | None  # what one expert computes
    axis: str
    within: str
    is_alone: bool  # no branch beside it: it draws its own arrows in and out

    @cached_property
    def _nodes(self) -> list[Panel]:
        """From the bottom up."""
        note = [Label(self.pool.note, 200, SMALLEST, "muted")]  # the router's words tell of differences
        cells = Panel(Vertical([Cells(self.pool), *note * bool(self.pool.note)], gap=3), "inner", "experts", padding=5)
        words = Label(self.pool.words, 400, 8, topic=f"{self.axis} router", within=self.within)
        nodes = [Panel(words, "router", ROUTER, padding=4, least=cells.width), cells]
        if self.expert is not None:
            title = Label("each expert that is chosen", 200, 7.2)
            nodes.append(
                Panel(Vertical([title, self.expert], gap=5), "inner", "expert", padding=EDGE, least=cells.width)
            )
        return nodes

    @cached_property
    def width(self) -> float:
        return max(node.width for node in self._nodes)

    @cached_property
    def height(self) -> float:
        return sum(node.height + ARROW for node in self._nodes) - ARROW + OUTLET

    def place(self, x: float, y: float) -> Iterator[Shape]:
        centre, end = x + self.width / 2, y + self.height
        if self.is_alone:
            yield Line(((centre, y - PADDING), (centre, y)))
        for number, node in enumerate(self._nodes):
            if number:
                yield Line(((centre, y), (centre, y + ARROW)), arrow=True)
                y += ARROW
            yield from node.place(centre - node.width / 2, y)
            y += node.height
        yield Line(((centre, y), (centre, end)), arrow=self.is_alone)
