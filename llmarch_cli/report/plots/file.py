"""A plot as an SVG, PNG or PDF file, drawn with matplotlib."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from html import escape
from itertools import cycle
from math import log
from typing import TYPE_CHECKING, Any

from llmarch_cli.report.formats.grid import one_line
from llmarch_cli.report.plots import labels, library
from llmarch_cli.report.plots.data import Curve, Curves, Plot, Scatter, Stacks
from llmarch_cli.report.plots.ticks import ticks

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, PAPER, GREY = "#24292f", "#ffffff", "#a3a9b0"
DARK = {INK: "#e8edf3", PAPER: "#0e131a", GREY: "#5f6872"}  # instead of these, where a reader prefers dark pages

WIDTH = 9.0  # inches
LINE = 0.17  # height of a line of text in inches
FONT = 8  # points
PADDING = 4  # points left and right of a name in a scatter plot

# Ten colours that differ on white and on black, each in up to five dash patterns.
_COLORS = "#4477cc #dd7711 #229966 #cc3344 #8866cc #996633 #cc66aa #aa9911 #11aabb #778899".split()
_DASHES = ("-", (0, (6, 2)), (0, (3, 1, 1, 1)), (0, (1, 1)), (0, (8, 2, 1, 2)))
_STACK_COLORS = ("#4477cc", "#dd7711", "#229966", "#99bbaa", "#8866cc", "#cc3344", "#cc66aa")


def require_library() -> None:
    """Raise InputError if matplotlib is not installed."""
    library.require("a plot in a file")


def render(plot: Plot, ending: str, ink: str = INK, paper: str | None = PAPER, all_names: bool = False) -> bytes:
    """The plot as the bytes of a file; with `paper` None its background is transparent.

    In an SVG file, each curve and point has its model's name as a tooltip. With `all_names`, grey curves have their
    names beside them too, for a page that shows only some. Raises InputError if matplotlib is not installed.
    """
    require_library()
    with library.style(**_settings(ink)):
        figure = _drawn(plot, ink, all_names)
        dark = DARK if paper is not None else None
        made = library.saved(
            figure, ending, dark=dark, bbox_inches="tight", transparent=paper is None, facecolor=paper or "none"
        )
    return _with_titles(made, plot) if ending == "svg" else made


_NUMBERED = re.compile(r'<g id="(?:curve|floor|point)-(\d+)(?:-\w+)?">')


def _with_titles(svg: bytes, plot: Plot) -> bytes:
    """The SVG file with a title, which viewers show as a tooltip, in the group of each curve and point."""
    match plot:
        case Curves():
            names = [plot.name(number) for number in range(len(plot.curves))]
        case Scatter():
            names = [name for name, _, _ in plot.points]
        case Stacks():
            return svg
    titles = [f"<title>{escape(one_line(name))}</title>" for name in names]
    return _NUMBERED.sub(lambda group: group[0] + titles[int(group[1])], svg.decode()).encode()


def _settings(ink: str) -> dict[str, Any]:
    return {
        "font.size": FONT,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.axisbelow": True,
        "xtick.minor.bottom": False,
        "ytick.minor.left": False,
        **dict.fromkeys(("text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color"), ink),
    }


def _drawn(plot: Plot, ink: str, all_names: bool) -> Figure:
    match plot:
        case Curves():
            return _curves(plot, ink, all_names)
        case Stacks():
            return _stacks(plot)
        case Scatter():
            return _scatter(plot, ink, all_names)


def _axes(plot: Plot, height: float, note: str = "") -> tuple[Figure, Axes]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH, height))
    notes = f"{plot.note} {note}".split("\n")
    below = LINE * len(notes) + 0.38  # of the upper edge
    axes = figure.add_axes((0.1, 0.5 / height, 0.68, 1 - (below + 0.5) / height))
    figure.text(0.1, 1 - 0.2 / height, plot.title, fontsize=FONT + 4, fontweight="bold", va="center")
    for number, line in enumerate(notes):
        figure.text(0.1, 1 - (0.42 + LINE * number) / height, line, va="center", alpha=0.75)
    return figure, axes


def _logarithmic(axes: Axes, axis: str, marks: Sequence[tuple[int, str]], low: float, high: float) -> None:
    """Make an axis logarithmic, with ticks at `marks`; as floats, since matplotlib's integers end at 64 bits."""
    getattr(axes, f"set_{axis}scale")("log", base=10)
    getattr(axes, f"set_{axis}lim")(float(low), float(high))
    getattr(axes, f"set_{axis}ticks")([float(value) for value, _ in marks], [label for _, label in marks])
    getattr(axes, f"{axis}axis").set_tick_params(which="minor", length=0, labelsize=0)
    getattr(axes, f"{axis}axis").set_minor_formatter("")
    axes.grid(axis=axis, which="major", alpha=0.2, linewidth=0.6)  # type: ignore[arg-type]


def _curves(plot: Curves, ink: str, all_names: bool) -> Figure:
    front = {number: place for place, number in enumerate(plot.front)}
    height = max(4.5, 1.2 + LINE * len(front))
    figure, axes = _axes(plot, height, f"{plot.dotted}\nIn colour: {plot.choice}." if plot.choice else plot.dotted)
    contexts = [at for curve in plot.curves for at, _ in curve.points]
    values = [value for curve in plot.curves for _, value in curve.points if value]
    values += [curve.floor for curve in plot.curves if curve.floor]
    low, high = (min(values) / 1.3, max(values) * 1.3) if values else (1, 10)
    _logarithmic(axes, "x", ticks(plot.x_unit, min(contexts), max(contexts)), min(contexts), max(contexts))
    _logarithmic(axes, "y", ticks(plot.unit, int(low), int(high)), low, high)
    axes.set_xlabel(plot.x_title)
    if plot.y_title:
        axes.set_ylabel(plot.y_title)

    ends = [(log(max(curve.points[-1][1], low)) - log(low)) / (log(high) - log(low)) for curve in plot.curves]
    spread = labels.spread([ends[number] for number in front], LINE / (height - 1.05), 0, 1)
    leader = {"arrowstyle": "-", "linewidth": 0.8, "shrinkA": 1, "shrinkB": 0, "relpos": (0, 0.5)}
    behind = [number for number in range(len(plot.curves)) if number not in front]
    for number in (*behind, *front):  # the last ones on top
        curve, end, place = plot.curves[number], ends[number], front.get(number)
        color = GREY if place is None else _COLORS[place % len(_COLORS)]
        dash = "-" if place is None else _DASHES[place // len(_COLORS) % len(_DASHES)]
        _curve(axes, curve, f"curve-{number}", color, dash, 0.8 if place is None else 1.3)
        if curve.floor and place is not None:
            level = axes.axhline(float(curve.floor), color=color, alpha=0.55, linewidth=0.8, linestyle=(0, (4, 3)))
            level.set_gid(f"floor-{number}")
        if place is not None or all_names:
            label = axes.annotate(
                one_line(plot.name(number)),
                (1, end),
                (1.01, end) if place is None else (1.035, spread[place]),
                xycoords="axes fraction",
                textcoords="axes fraction",
                va="center",
                color=ink,
                annotation_clip=False,
                arrowprops=None if place is None else {**leader, "color": color},
            )
            label.set_gid(f"label-{number}")
    return figure


def _curve(axes: Axes, curve: Curve, name: str, color: str, dash: Any, width: float) -> None:
    """Draw a curve as a line up to the model's context window, and dotted beyond it."""
    points = [(float(context), float(value)) for context, value in curve.points if value]
    window = curve.context_window or points[-1][0] if points else 0
    within = [point for point in points if point[0] <= window]
    beyond = [*within[-1:], *(point for point in points if point[0] > window)]
    for piece, style, opacity, part in ((within, dash, 1.0, "within"), (beyond, (0, (1, 2)), 0.7, "beyond")):
        if len(piece) > 1:
            (line,) = axes.plot(*zip(*piece, strict=True), color=color, linestyle=style, alpha=opacity, linewidth=width)
            line.set_gid(f"{name}-{part}")


def _stacks(plot: Stacks) -> Figure:
    height = max(2.2, 1.6 + 1.25 * LINE * len(plot.stacks))
    figure, axes = _axes(plot, height)
    rows = range(len(plot.stacks))
    left = [0.0] * len(plot.stacks)
    for number, (layer, color) in enumerate(zip(plot.layers, cycle(_STACK_COLORS))):
        shares = [100 * stack.shares[number] / max(1, stack.total) for stack in plot.stacks]
        if any(shares):
            axes.barh(rows, shares, left=left, height=0.75, color=color, label=layer)
        left = [a + b for a, b in zip(left, shares, strict=True)]
    for row, stack in zip(rows, plot.stacks, strict=True):
        axes.text(101, row, plot.unit.write(stack.total), va="center")
    axes.set_yticks(list(rows), [one_line(stack.model) for stack in plot.stacks])
    axes.set_ylim(len(plot.stacks) - 0.4, -0.6)
    axes.set_xlim(0, 100)
    axes.set_xticks(range(0, 101, 20), [f"{share}%" for share in range(0, 101, 20)])
    axes.tick_params(axis="y", length=0)
    figure.legend(loc="lower left", bbox_to_anchor=(0.09, -0.2 / height), ncols=len(plot.layers), frameon=False)
    return figure


def _scatter(plot: Scatter, ink: str, all_names: bool) -> Figure:
    figure, axes = _axes(plot, 6.5, f"In colour: {plot.choice}." if plot.choice else "")
    points = [(float(x), float(y)) for _, x, y in plot.points]
    values = [value for point in points for value in point]
    low, high = min(values) / 1.5, max(values) * 4
    for axis in ("x", "y"):
        _logarithmic(axes, axis, ticks(plot.unit, int(low), int(high)), low, high)
    axes.set_xlabel(plot.x_title)
    axes.set_ylabel(plot.y_title)
    for percent in (100, 30, 10, 3):
        axes.plot((low, high), (low * percent / 100, high * percent / 100), color=ink, linewidth=0.7, alpha=0.35)
        end = (high, high * percent / 100)
        axes.annotate(f"{percent}%", end, (3, 0), textcoords="offset points", va="center", alpha=0.75)
    behind = [number for number in range(len(points)) if number not in plot.front]
    for number in (*behind, *plot.front):
        (x, y), color = points[number], _COLORS[0] if number in plot.front else GREY
        axes.plot([x], [y], "o", markersize=4, color=color, gid=f"point-{number}")
    names = [one_line(name) for name, _, _ in plot.points]
    _write_names(figure, axes, {number: names[number] for number in plot.front}, points)
    if all_names:
        for number in behind:
            text = axes.annotate(names[number], points[number], (5, -3), textcoords="offset points", fontsize=FONT - 1)
            text.set_gid(f"label-{number}")
    return figure


def _write_names(figure: Figure, axes: Axes, named: Mapping[int, str], points: Sequence[tuple[float, float]]) -> None:
    """Write names beside the points of these numbers, so that they cover neither points nor other names."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    figure.set_dpi(72)  # so that pixels are points
    renderer = FigureCanvasAgg(figure).get_renderer()  # type: ignore[no-untyped-call]
    texts = [axes.annotate(name, points[number], fontsize=FONT - 1) for number, name in named.items()]
    for number, text in zip(named, texts, strict=True):
        text.set_gid(f"label-{number}")
    extents = [text.get_window_extent(renderer) for text in texts]
    everywhere = [(float(x), float(y)) for x, y in map(axes.transData.transform, points)]
    places = [everywhere[number] for number in named]
    sizes = [(box.width + 2 * PADDING, box.height) for box in extents]
    for text, (x, y), box in zip(texts, places, labels.beside(places, sizes, everywhere), strict=True):
        text.set_position((box[0] + PADDING - x, box[1] - y))
        text.set_anncoords("offset points")
        near = (min(max(x, box[0]), box[2]), min(max(y, box[1]), box[3]))
        if abs(near[0] - x) + abs(near[1] - y) > 8:  # far away: draw a line between the two
            to = axes.transData.inverted().transform(near)
            axes.annotate(
                "", text.xy, tuple(to), arrowprops={"arrowstyle": "-", "linewidth": 0.5, "alpha": 0.5, "shrinkB": 2}
            )
