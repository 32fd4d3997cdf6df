"""A plot of curves as SVG in the page's colours: one model's, and thinner those of its relatives."""

from __future__ import annotations

from collections.abc import Sequence
from xml.etree import ElementTree as ET

from llmarch_cli.page.gallery.axes import BOTTOM, LEFT, TOP, Axes, Scale
from llmarch_cli.report.formats.grid import one_line
from llmarch_cli.report.plots.data import Curve, Curves
from llmarch_cli.report.plots.labels import spread
from llmarch_cli.report.plots.ticks import ticks

WIDTH, HEIGHT, NAMES = 720, 380, 150
LONGEST = 22  # letters of a name
LINE = 14.0  # height of a name

Points = Sequence[tuple[int, int]]


def drawn(plot: Curves, others: Sequence[Curve] = ()) -> str:
    """The `<svg>` element. The first curve is the page's model; `others` are drawn dashed, for comparison."""
    every = [*plot.curves, *others]
    contexts = [context for curve in plot.curves for context, _ in curve.points]
    values = [value for curve in every for _, value in curve.points if value]
    values += [curve.floor for curve in plot.curves if curve.floor]
    low, high = (min(values), max(values)) if values else (1, 10)
    axes = Axes(WIDTH, HEIGHT, NAMES, Scale(min(contexts), max(contexts)), Scale(low / 1.4, high * 1.4))
    said = ", ".join(one_line(curve.model) for curve in every)
    root = axes.element(f"{plot.title}: {said}. The slider and the fact sheet give each value.")
    root.set("data-from", str(min(contexts)))
    root.set("data-to", str(max(contexts)))
    marks = ticks(plot.x_unit, min(contexts), max(contexts), 7)
    axes.add_columns(root, [(float(value), label) for value, label in marks])
    rows = ticks(plot.unit, max(1, int(low / 1.4)), int(high * 1.4) + 1, 8)
    axes.add_rows(root, [(float(value), label) for value, label in rows])
    line = {"class": "here", "d": f"M0 {TOP}V{HEIGHT - BOTTOM}", "data-left": str(LEFT), "data-right": str(axes.end)}
    ET.SubElement(root, "path", line)
    for number, curve in reversed(list(enumerate(every))):  # the page's model on top
        sort = "own" if number == 0 else "relative" if number < len(plot.curves) else "reference"
        window = curve.context_window or max(contexts)
        points = [(context, value) for context, value in curve.points if value]
        within = [point for point in points if point[0] <= window]
        beyond = [*within[-1:], *(point for point in points if point[0] > window)]
        for part, style in ((within, ""), (beyond, " beyond-window")):
            if len(part) > 1:
                ET.SubElement(root, "path", {"class": f"curve {sort}{style}", "d": _path(axes, part)})
        if curve.floor and number == 0:
            y = axes.up(float(curve.floor))
            ET.SubElement(root, "path", {"class": "curve floor", "d": f"M{LEFT} {y:.1f}H{axes.end}"})
    _add_names(root, axes, every, len(plot.curves))
    return ET.tostring(root, encoding="unicode")


def _path(axes: Axes, points: Points) -> str:
    """The points that a line needs: those in between that lie on it are left out."""
    placed = [(axes.across(float(context)), axes.up(float(value))) for context, value in points]
    kept = placed[:1]
    for number in range(1, len(placed) - 1):
        (x, y), (middle, here), (after, there) = kept[-1], placed[number], placed[number + 1]
        if abs(y + (there - y) * (middle - x) / (after - x) - here) > 0.3:
            kept.append((middle, here))
    return "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in (*kept, placed[-1]))


def _add_names(root: ET.Element, axes: Axes, curves: Sequence[Curve], n_models: int) -> None:
    """Names at the right ends, apart from each other, each with a line to its curve."""
    named = [(number, curve) for number, curve in enumerate(curves) if curve.points[-1][1]]
    ends = [axes.up(float(curve.points[-1][1])) for _, curve in named]
    places = spread(ends, LINE, TOP + 4, axes.floor)
    for (number, curve), end, place in zip(named, ends, places, strict=True):
        sort = "own" if number == 0 else "relative" if number < n_models else "reference"
        ET.SubElement(root, "path", {"class": "leader", "d": f"M{axes.end} {end:.1f}L{axes.end + 12} {place:.1f}"})
        name = one_line(curve.model)
        text = ET.SubElement(root, "text", {"class": f"name {sort}", "x": f"{axes.end + 16}", "y": f"{place + 4:.1f}"})
        text.text = name if len(name) <= LONGEST else f"{name[: LONGEST - 1]}…"
