"""What stands on a canvas, in points from its lower left corner: boxes, texts, lines and the adders of residuals."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeVar

ASCENT, DESCENT = 0.78, 0.24  # of a text's size: what its letters take above and below the baseline
EDGE, STROKE = 1.0, 1.1  # how thick the outlines of boxes are, and lines
DASH, DASH_GAP = 4, 3


@dataclass(frozen=True, slots=True)
class Bounds:
    """A rectangle."""

    left: float
    bottom: float
    right: float
    top: float

    def inside(self, other: Bounds, slack: float = 0.01) -> bool:
        """Whether all of it lies in `other`."""
        return (
            self.left >= other.left - slack
            and self.bottom >= other.bottom - slack
            and self.right <= other.right + slack
            and self.top <= other.top + slack
        )

    def meets(self, other: Bounds, slack: float = 0.01) -> bool:
        """Whether the two have more than an edge in common."""
        return (
            self.left < other.right - slack
            and other.left < self.right - slack
            and self.bottom < other.top - slack
            and other.bottom < self.top - slack
        )


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle of a `role`, which the theme gives its colours.

    Attributes:
        name: what it stands for, in structure and in tests.
        colour: which of the theme's colours for layer variants it takes instead of its role's.
    """

    x: float
    y: float
    width: float
    height: float
    role: str
    name: str
    dashed: bool = False
    rounded: float = 4.0
    colour: int | None = None

    @property
    def bounds(self) -> Bounds:
        """What it covers."""
        return Bounds(self.x, self.y, self.x + self.width, self.y + self.height)


@dataclass(frozen=True, slots=True)
class Text:
    """One line of text, `width` wide as measured, with its left end at `x` and its baseline at `y`.

    Attributes:
        topic: what it says something about; texts of one topic are compared between models.
        whole: the whole label where this is one of its lines.
        centred: whether it stays in place by its middle where another font replaces ours.
        metric: the key of the metric whose figure it is, if any.
        marked: whether it says what not all models beside it say.
    """

    x: float
    y: float
    width: float
    text: str
    size: float
    role: str
    bold: bool = False
    topic: str = ""
    whole: str = ""
    centred: bool = False
    metric: str = ""
    marked: bool = False

    @property
    def bounds(self) -> Bounds:
        """What it covers."""
        return Bounds(self.x, self.y - DESCENT * self.size, self.x + self.width, self.y + ASCENT * self.size)


@dataclass(frozen=True, slots=True)
class Line:
    """Straight from point to point; with an arrow at its end."""

    points: tuple[tuple[float, float], ...]
    role: str = "line"
    arrow: bool = False
    dashed: bool = False

    @property
    def bounds(self) -> Bounds:
        """What it covers."""
        xs, ys = zip(*self.points, strict=True)
        return Bounds(min(xs), min(ys), max(xs), max(ys))

    @property
    def head(self) -> tuple[tuple[float, float], ...]:
        """The corners of its arrow's head, which points level or upright."""
        (x0, y0), (x1, y1) = self.points[-2:]
        length = abs(x1 - x0) + abs(y1 - y0)
        dx, dy = (x1 - x0) / length, (y1 - y0) / length
        back, half = 5.0, 2.6
        one, other = ((x1 - back * dx + side * half * dy, y1 - back * dy - side * half * dx) for side in (1, -1))
        return one, (x1, y1), other


@dataclass(frozen=True, slots=True)
class Adder:
    """Where a sublayer's output is added to the residual stream: a plus in a circle around (x, y)."""

    x: float
    y: float
    radius: float = 6.5

    @property
    def arms(self) -> tuple[tuple[tuple[float, float], tuple[float, float]], ...]:
        """The two lines of the plus."""
        arm = self.radius * 0.6
        return (
            ((self.x - arm, self.y), (self.x + arm, self.y)),
            ((self.x, self.y - arm), (self.x, self.y + arm)),
        )

    @property
    def bounds(self) -> Bounds:
        """What it covers."""
        return Bounds(self.x - self.radius, self.y - self.radius, self.x + self.radius, self.y + self.radius)


Shape = Box | Text | Line | Adder
AnyShape = TypeVar("AnyShape", Box, Text, Line, Adder)


@dataclass(frozen=True, slots=True)
class Drawing:
    """All shapes of a picture, those that cover others last."""

    width: float
    height: float
    title: str
    shapes: tuple[Shape, ...]

    def of(self, kind: type[AnyShape]) -> Iterator[AnyShape]:
        """The shapes of one kind."""
        return (shape for shape in self.shapes if isinstance(shape, kind))
