"""Charts of all models by their date of release, with a link for each mark."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from xml.etree import ElementTree as ET

from llmarch_cli.drawings.measure import text_width
from llmarch_cli.page.gallery.axes import LEFT, TOP, Axes, Number, Scale
from llmarch_cli.page.gallery.entries import Entry
from llmarch_cli.page.gallery.mechanisms import group
from llmarch_cli.report.columns import Metric, metric
from llmarch_cli.report.layout import is_moe
from llmarch_cli.report.plots.ticks import ticks

WIDTH, HEIGHT, RIGHT = 1200, 430, 20
SIZE = 6.0  # half the width of a mark
LETTERS, LINE = 10.5, 12.0  # size of letters and height of a line of names
BEHIND = 45  # days between the newest model and the right end, for its name
SHARES = [Fraction(percent, 100) for percent in (1, 2, 3, 5, 10, 20, 30, 50, 100)]

# What each chart shows over the date, with its heading.
CHARTS = {
    "params": "Parameters by release date",
    "active_share": "Active share by release date",
    "kv_bytes_per_token": "KV cache per token by release date",
}

# The outline of a mark of each group around (0, 0), so that groups differ without colours too.
OUTLINES = {
    "full": f"M{-SIZE} 0a{SIZE} {SIZE} 0 1 0 {2 * SIZE} 0a{SIZE} {SIZE} 0 1 0 {-2 * SIZE} 0z",
    "windows": "M-5.4-5.4h10.8v10.8h-10.8z",
    "latent": "M0-7.2L7.2 0 0 7.2-7.2 0z",
    "sparse": "M0-7L6.6 5H-6.6z",
    "hybrid": "M-2.2-6.4h4.4v4.2h4.2v4.4h-4.2v4.2h-4.4v-4.2h-4.2v-4.4h4.2z",
    "recurrent": "M0 7L-6.6-5H6.6z",
}

Box = tuple[float, float, float, float]  # left, top, right, bottom
Place = tuple[str, float, float]  # of a name: its anchor, and where that is from the mark's middle

# Right of the mark, left of it, above and below.
_PLACES: tuple[Place, ...] = (
    ("start", SIZE + 3, 4),
    ("end", -SIZE - 3, 4),
    ("middle", 0, -SIZE - 4),
    ("middle", 0, SIZE + 11),
)
_BEFORE = {"start": 0.0, "middle": 0.5, "end": 1.0}  # the share of a name that is left of its anchor


@dataclass(frozen=True)
class Mark:
    """A model in a chart."""

    entry: Entry
    x: float
    y: float
    value: int | Fraction


@dataclass(frozen=True)
class Chart:
    """A chart for a template. `left_out` are models whose value is zero."""

    key: str
    title: str
    svg: str
    left_out: tuple[Entry, ...]


def charts(models: Sequence[Entry]) -> list[Chart]:
    """The charts of all models that have a date; none if no model has one."""
    dated = [entry for entry in models if entry.spec.released is not None]
    return [_chart(key, dated) for key in CHARTS] if dated else []


def key_mark(name: str, moe: bool) -> str:
    """The mark of a group as a small `<svg>` element for a legend."""
    root = ET.Element("svg", {"class": "mark-key", "viewBox": "-9 -9 18 18", "aria-hidden": "true"})
    ET.SubElement(root, "path", {"class": _class(name, moe), "d": OUTLINES[name]})
    return ET.tostring(root, encoding="unicode")


def _class(name: str, moe: bool) -> str:
    return f"group-{name} {'filled' if moe else 'hollow'}"


def _chart(key: str, dated: Sequence[Entry]) -> Chart:
    of = metric(key)
    values = {entry.slug: _value(of, entry) for entry in dated}
    shown = [entry for entry in dated if values[entry.slug]]
    left_out = tuple(entry for entry in dated if not values[entry.slug])
    if not shown:
        return Chart(key, CHARTS[key], "", left_out)
    days = [_day(entry) for entry in shown]
    first = dt.date(dt.date.fromordinal(min(days)).year, 1, 1).toordinal()
    last = max(max(days) + BEHIND, first + 300)
    places = [values[entry.slug] for entry in shown]
    scale, rows = _scale(of, places)
    axes = Axes(WIDTH, HEIGHT, RIGHT, Scale(first, last, logarithmic=False), scale)
    root = axes.element(f"{CHARTS[key]}: one mark a model. The table below has the values.")
    years = range(dt.date.fromordinal(first).year, dt.date.fromordinal(last).year + 1)
    axes.add_columns(root, [(dt.date(year, 1, 1).toordinal(), str(year)) for year in years], centred=False)
    axes.add_rows(root, rows)
    points = [
        Mark(entry, axes.across(day), axes.up(value), value)
        for entry, day, value in zip(shown, days, places, strict=True)
    ]
    names = _named(axes, points)
    for point in sorted(points, key=lambda point: point.entry.slug):
        _add(root, of, point, names.get(point.entry.slug))
    return Chart(key, CHARTS[key], ET.tostring(root, encoding="unicode"), left_out)


def _day(entry: Entry) -> int:
    return (entry.spec.released or dt.date.min).toordinal()


def _value(of: Metric, entry: Entry) -> int | Fraction:
    value = of.value(entry.profile)
    return value if isinstance(value, int | Fraction) else 0


def _scale(of: Metric, values: Sequence[int | Fraction]) -> tuple[Scale, list[tuple[Number, str]]]:
    """The left axis and its labels."""
    if of.unit.is_ratio:  # shares of up to one
        low = Fraction(min(values)) * Fraction(4, 5)
        return Scale(low, Fraction(11, 10)), [
            (each, of.unit.write(each).replace(".0", "")) for each in SHARES if each >= low
        ]
    low, high = Fraction(min(values)) * Fraction(2, 3), Fraction(max(values)) * Fraction(3, 2)
    marks = ticks(of.unit, max(1, int(low)), int(high) + 1)
    return Scale(low, high), [(float(each), label) for each, label in marks]


def _add(root: ET.Element, of: Metric, point: Mark, name: Place | None) -> None:
    spec = point.entry.spec
    link = ET.SubElement(
        root,
        "a",
        {
            "href": f"models/{point.entry.slug}.html",
            "tabindex": "-1",  # the table below has the same links
            "data-model": point.entry.slug,
            "data-group": group(spec),
            "transform": f"translate({point.x:.1f} {point.y:.1f})",
        },
    )
    ET.SubElement(link, "title").text = f"{point.entry.name}, {spec.released}: {of.unit.write(point.value)}"
    ET.SubElement(link, "path", {"class": _class(group(spec), is_moe(spec)), "d": OUTLINES[group(spec)]})
    if name is not None:
        anchor, x, y = name
        place = {"x": f"{x:g}", "y": f"{y:g}", **({} if anchor == "start" else {"text-anchor": anchor})}
        ET.SubElement(link, "text", {"class": "name", **place}).text = point.entry.id


def _named(axes: Axes, points: Sequence[Mark]) -> dict[str, Place]:
    """Where names stand that cover no mark and no other name: those of the newest models first."""
    taken: list[Box] = [(p.x - SIZE, p.y - SIZE, p.x + SIZE, p.y + SIZE) for p in points]
    found: dict[str, Place] = {}
    for point in sorted(points, key=lambda point: (_day(point.entry), point.value), reverse=True):
        width = text_width(point.entry.id, LETTERS)
        for place in _PLACES:
            anchor, across, down = place
            x, y = point.x + across - width * _BEFORE[anchor], point.y + down
            box = (x, y - LINE + 3, x + width, y + 3)
            inside = box[0] > LEFT and box[2] < axes.width and box[1] >= TOP and box[3] < axes.floor
            if inside and not any(_overlap(box, other) for other in taken):
                taken.append(box)
                found[point.entry.slug] = place
                break
    return found


def _overlap(one: Box, other: Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
