"""Nodes: parts of a drawing that know their size and can be placed anywhere.

To add one: a class with `width`, `height` and `place`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, Protocol

from llmarch_cli.drawings.measure import text_width, wrapped
from llmarch_cli.drawings.shapes import ASCENT, DESCENT, Box, Shape, Text

LEADING = 1.28  # from baseline to baseline, as a multiple of the font size


class Node(Protocol):
    """A part of a drawing."""

    @property
    def width(self) -> float:
        """In points."""

    @property
    def height(self) -> float:
        """In points."""

    def place(self, x: float, y: float) -> Iterator[Shape]:
        """Its shapes, with the lower left corner at (x, y)."""


@dataclass(frozen=True)
class Label:
    """A text, wrapped at `limit` points."""

    text: str
    limit: float
    size: float = 8.0
    role: str = "text"
    bold: bool = False
    topic: str = ""
    within: str = ""
    centred: bool = True
    metric: str = ""

    @cached_property
    def _lines(self) -> list[tuple[str, float]]:
        lines = wrapped(self.text, self.limit, self.size, self.bold)
        return [(line, text_width(line, self.size, self.bold)) for line in lines]

    @cached_property
    def width(self) -> float:
        return max(width for _, width in self._lines)

    @cached_property
    def height(self) -> float:
        return self.size * (ASCENT + DESCENT + LEADING * (len(self._lines) - 1))

    def place(self, x: float, y: float) -> Iterator[Shape]:
        baseline = y + self.height - ASCENT * self.size
        for line, width in self._lines:
            left = x + (self.width - width) / 2 if self.centred else x
            yield Text(
                left,
                baseline,
                width,
                line,
                self.size,
                self.role,
                bold=self.bold,
                topic=self.topic,
                within=self.within,
                whole=self.text,
                centred=self.centred,
                metric=self.metric,
            )
            baseline -= LEADING * self.size


@dataclass(frozen=True)
class Panel:
    """A box around a node, at least `least` points wide."""

    inner: Node
    role: str
    name: str
    padding: float = 5.0
    least: float = 0.0
    dashed: bool = False
    rounded: float = 4.0
    colour: int | None = None

    @cached_property
    def width(self) -> float:
        return max(self.inner.width + 2 * self.padding, self.least)

    @cached_property
    def height(self) -> float:
        return self.inner.height + 2 * self.padding

    def place(self, x: float, y: float) -> Iterator[Shape]:
        yield Box(x, y, self.width, self.height, self.role, self.name, self.dashed, self.rounded, self.colour)
        yield from self.inner.place(x + (self.width - self.inner.width) / 2, y + self.padding)


@dataclass(frozen=True)
class Vertical:
    """Nodes below each other, the first on top."""

    nodes: Sequence[Node]
    gap: float = 4.0
    align: Literal["left", "centre"] = "centre"

    @cached_property
    def width(self) -> float:
        return max((node.width for node in self.nodes), default=0.0)

    @cached_property
    def height(self) -> float:
        return sum(node.height for node in self.nodes) + self.gap * max(len(self.nodes) - 1, 0)

    def place(self, x: float, y: float) -> Iterator[Shape]:
        top = y + self.height
        for node in self.nodes:
            left = x if self.align == "left" else x + (self.width - node.width) / 2
            yield from node.place(left, top - node.height)
            top -= node.height + self.gap


@dataclass(frozen=True)
class Horizontal:
    """Nodes beside each other, aligned at the bottom or in the middle."""

    nodes: Sequence[Node]
    gap: float = 4.0
    align: Literal["bottom", "middle"] = "middle"

    @cached_property
    def width(self) -> float:
        return sum(node.width for node in self.nodes) + self.gap * max(len(self.nodes) - 1, 0)

    @cached_property
    def height(self) -> float:
        return max((node.height for node in self.nodes), default=0.0)

    def place(self, x: float, y: float) -> Iterator[Shape]:
        for node in self.nodes:
            yield from node.place(x, y if self.align == "bottom" else y + (self.height - node.height) / 2)
            x += node.width + self.gap


def flow(
    nodes: Sequence[Node],
    limit: float,
    gap: float = 4.0,
    row_gap: float = 4.0,
    align: Literal["left", "centre"] = "centre",
) -> Vertical:
    """Nodes beside each other, in rows of at most `limit` points."""
    rows: list[list[Node]] = []
    for node in nodes:
        if rows and Horizontal([*rows[-1], node], gap).width <= limit:
            rows[-1].append(node)
        else:
            rows.append([node])
    return Vertical([Horizontal(row, gap) for row in rows], row_gap, align)
