"""Shapes of a drawing: boxes, texts, lines and adders. Coordinates are points from the lower left corner."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeVar

ASCENT, DESCENT = 0.78, 0.24  # height of letters above and below the baseline, as a share of the font size
EDGE, STROKE = 1.0, 1.1  # width of box outlines, and of lines
MARK = 1.6  # height of the bar below a highlighted text
DASH, DASH_GAP = 4, 3


@dataclass(frozen=True, slots=True)
class Bounds:
    """A rectangle."""

    left: float
    bottom: float
    right: float
    top: float

    def inside(self, other: Bounds, slack: float = 0.01) -> bool:
        """Whether it lies inside `other`."""
        return (
            self.left >= other.left - slack
            and self.bottom >= other.bottom - slack
            and self.right <= other.right + slack
            and self.top <= other.top + slack
        )

    def meets(self, other: Bounds, slack: float = 0.01) -> bool:
        """Whether the two overlap, not only touch."""
        return (
            self.left < other.right - slack
            and other.left < self.right - slack
            and self.bottom < other.top - slack
            and other.bottom < self.top - slack
        )


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle in the theme's colours of its `role`.

    Attributes:
        name: what it represents, for tests.
        colour: the index of one of the theme's colours for layer variants, instead of the role's colour.
        part: what a page moves it with, as in `Strip`.
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
    part: str = ""

    @property
    def bounds(self) -> Bounds:
        """The rectangle that it covers."""
        return Bounds(self.x, self.y, self.x + self.width, self.y + self.height)


@dataclass(frozen=True, slots=True)
class Text:
    """One line of text, `width` wide as measured, with its left end at `x` and its baseline at `y`.

    Attributes:
        topic: what it describes; texts with the same topic are compared between models.
        within: the title of the box that it details; it is compared with models that have a box of this title.
        whole: the text of the whole label, of which this is one line.
        centred: whether it keeps its middle, not its left end, if a viewer uses another font.
        metric: the key of the metric whose value it shows, if any.
        marked: whether it is highlighted: not all models in the drawing have the same.
    """

    x: float
    y: float
    width: float
    text: str
    size: float
    role: str
    bold: bool = False
    topic: str = ""
    within: str = ""
    whole: str = ""
    centred: bool = False
    metric: str = ""
    marked: bool = False
    part: str = ""

    @property
    def bounds(self) -> Bounds:
        """The rectangle that it covers."""
        return Bounds(self.x, self.y - DESCENT * self.size, self.x + self.width, self.y + ASCENT * self.size)


@dataclass(frozen=True, slots=True)
class Line:
    """Straight lines from point to point, with an arrowhead at the end if `arrow`."""

    points: tuple[tuple[float, float], ...]
    role: str = "line"
    arrow: bool = False
    dashed: bool = False
    part: str = ""

    @property
    def bounds(self) -> Bounds:
        """The rectangle that it covers."""
        xs, ys = zip(*self.points, strict=True)
        return Bounds(min(xs), min(ys), max(xs), max(ys))

    @property
    def head(self) -> tuple[tuple[float, float], ...]:
        """The corners of the arrowhead. The last line must be horizontal or vertical."""
        (x0, y0), (x1, y1) = self.points[-2:]
        length = abs(x1 - x0) + abs(y1 - y0)
        dx, dy = (x1 - x0) / length, (y1 - y0) / length
        back, half = 5.0, 2.6
        one, other = ((x1 - back * dx + side * half * dy, y1 - back * dy - side * half * dx) for side in (1, -1))
        return one, (x1, y1), other


@dataclass(frozen=True, slots=True)
class Adder:
    """The addition of a sublayer's output to the residual stream: a plus in a circle around (x, y)."""

    x: float
    y: float
    radius: float = 6.5
    part: str = ""

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
        """The rectangle that it covers."""
        return Bounds(self.x - self.radius, self.y - self.radius, self.x + self.radius, self.y + self.radius)


Shape = Box | Text | Line | Adder
AnyShape = TypeVar("AnyShape", Box, Text, Line, Adder)


@dataclass(frozen=True, slots=True)
class Strip:
    """Where the strip of all layers stands, for a page that makes layers of two drawings equally high.

    The page then moves the shapes of some parts: boxes of the "strip"; "strip-count", the text beside it; "strip-hint"
    and "strip-out", lines whose first two points or first point are at its top; and all that is "above" it.
    """

    bottom: float
    layer: float  # the height of one
    n_layers: int


@dataclass(frozen=True, slots=True)
class Drawing:
    """All shapes of a drawing, from back to front."""

    width: float
    height: float
    title: str
    shapes: tuple[Shape, ...]
    strip: Strip | None = None

    def of(self, kind: type[AnyShape]) -> Iterator[AnyShape]:
        """The shapes of one type."""
        return (shape for shape in self.shapes if isinstance(shape, kind))
