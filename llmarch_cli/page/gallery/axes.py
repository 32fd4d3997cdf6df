"""The axes of a chart as SVG: where values stand, lines of the grid, and their labels."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from math import log
from xml.etree import ElementTree as ET

Number = float | Fraction

TICK_BELOW = 20  # from the lower axis to the baseline of its labels
LEFT, TOP, BOTTOM = 76, 14, 34  # margins for labels


@dataclass(frozen=True)
class Scale:
    """From `low` to `high`, evenly or logarithmically."""

    low: Number
    high: Number
    logarithmic: bool = True

    def share(self, value: Number) -> float:
        """Where a value stands, from 0 to 1."""
        place = log if self.logarithmic else float
        low, high = place(self.low), place(self.high)
        return (place(value) - low) / (high - low) if high > low else 0.5


@dataclass(frozen=True)
class Axes:
    """A chart's area in a picture of `width` and `height`, with a margin of `right` for names."""

    width: int
    height: int
    right: int
    x: Scale
    y: Scale

    def element(self, description: str) -> ET.Element:
        """The `<svg>` element that the chart is drawn in."""
        view = {"class": "chart", "viewBox": f"0 0 {self.width} {self.height}"}
        return ET.Element("svg", {**view, "role": "img", "aria-label": description})

    def across(self, value: Number) -> float:
        """The place of a value on the lower axis."""
        return LEFT + (self.width - LEFT - self.right) * self.x.share(value)

    def up(self, value: Number) -> float:
        """The place of a value on the left axis."""
        return TOP + (self.height - TOP - BOTTOM) * (1 - self.y.share(value))

    @property
    def end(self) -> int:
        """The right end of the area."""
        return self.width - self.right

    @property
    def floor(self) -> int:
        """The lower end of the area."""
        return self.height - BOTTOM

    def add_columns(self, root: ET.Element, ticks: Iterable[tuple[Number, str]], centred: bool = True) -> None:
        """Add vertical lines with labels, below the line or right of it."""
        for value, label in ticks:
            x = self.across(value)
            ET.SubElement(root, "path", {"class": "grid", "d": f"M{x:.1f} {TOP}V{self.floor}"})
            place = {"x": f"{x if centred else x + 4:.1f}", "y": f"{self.floor + TICK_BELOW}"}
            anchor = {"text-anchor": "middle"} if centred else {}
            ET.SubElement(root, "text", {"class": "tick", **place, **anchor}).text = label

    def add_rows(self, root: ET.Element, ticks: Iterable[tuple[Number, str]]) -> None:
        """Add horizontal lines with labels."""
        for value, label in ticks:
            y = self.up(value)
            ET.SubElement(root, "path", {"class": "grid", "d": f"M{LEFT} {y:.1f}H{self.end}"})
            place = {"x": f"{LEFT - 8}", "y": f"{y + 4:.1f}", "text-anchor": "end"}
            ET.SubElement(root, "text", {"class": "tick", **place}).text = label
