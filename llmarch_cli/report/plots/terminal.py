"""A plot drawn with characters: series differ in colour, or in letters and shades if there is no colour."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from math import log10

from llmarch_cli.errors import InputError
from llmarch_cli.report.formats.grid import one_line
from llmarch_cli.report.plots import library
from llmarch_cli.report.plots.data import MOST_CURVES, Curves, Plot, Scatter, Stack, Stacks
from llmarch_cli.report.plots.ticks import ticks

HEIGHT = 24
NARROWEST, WIDEST = 60, 140

_COLORS = ("blue+", "orange+", "green+", "red+", "magenta+", "cyan+", "yellow+", "gray+")
_LETTERS = "abcdefgh"
_BETWEEN = "   "  # between two entries of a legend
_SHADES, _ASCII_SHADES = "▒█▓░:╳┼", "o#=.:x+"
_FRAME = str.maketrans("┌┐└┘─│┤├┬┴┼", "++++-|++++" + "+")


def require_drawable(n_curves: int) -> None:
    """Raise InputError for more curves than can be distinguished, or if plotext is not installed."""
    if n_curves > MOST_CURVES:
        raise InputError(
            f"a plot on a terminal shows at most {MOST_CURVES} curves, not {n_curves:,}: name fewer models,"
            " or draw to a file: --plot plot.svg"
        )
    library.require("a plot on a terminal", module="plotext")


def render(plot: Plot, width: int, color: bool = False, ascii_only: bool = False) -> str:
    """The plot as lines of text, ending in a newline. Raises InputError as `require_drawable` does."""
    width = min(max(width, NARROWEST), WIDEST)
    note = plot.note
    match plot:
        case Curves():
            note = f"{note} Shown: {plot.choice}." if plot.choice else note
            lines = _curves(plot, width, color, ascii_only)
        case Stacks():
            lines = _bars(plot, width, ascii_only)
        case Scatter():
            stacks = tuple(Stack(model, (active, whole - active)) for model, whole, active in plot.points)
            layers = (plot.y_title, "idle")
            note = f"Shares of all {plot.x_title}; the total is on the right."
            lines = _bars(Stacks(plot.title, note, plot.unit, layers, stacks), width, ascii_only)
    folded = textwrap.wrap(note, width)
    return "".join(f"{line.rstrip()}\n" for line in (plot.title, "", *lines, "", *folded))


def _curves(plot: Curves, width: int, color: bool, ascii_only: bool) -> list[str]:
    """Only those in front: behind them, others would be no more than dots."""
    require_drawable(len(plot.front))
    import plotext

    shown = [plot.curves[number] for number in plot.front]
    points = [[point for point in curve.points if point[1]] for curve in shown]
    floors = [curve.floor for curve in shown]
    values = [value for curve in points for _, value in curve] + [floor for floor in floors if floor] or [1, 10]
    contexts = [at for curve in shown for at, _ in curve.points]

    plotext.terminal.limit(False, False)
    figure = plotext.figure
    figure.clear()
    figure.theme("simple" if color else "colorless")
    figure.plot_size(width, HEIGHT)
    for number, floor in enumerate(floors):  # below the curves
        if floor:
            marker = plotext.marker("." if ascii_only or not color else "·", *([_COLORS[number]] if color else []))
            signal = figure.signal([log10(min(contexts)), log10(max(contexts))], [log10(floor)] * 2, marker=marker)
            signal.lines(True)
            figure.draw(signal)
    for number, drawn in enumerate(points):
        if color:
            marker = plotext.marker("x" if ascii_only else "braille", _COLORS[number])
        else:
            marker = plotext.marker(_LETTERS[number])
        signal = figure.signal([log10(at) for at, _ in drawn], [log10(value) for _, value in drawn], marker=marker)
        signal.lines(True)
        figure.draw(signal)
    for axis, side, unit, low, high in (
        ("x", "lower", plot.x_unit, min(contexts), max(contexts)),
        ("y", "left", plot.unit, min(values), max(values)),
    ):
        marks = ticks(unit, low, high)
        ruler = figure.ruler(axis, side)
        ruler.ticks([log10(value) for value, _ in marks], [label for _, label in marks])
        ruler.lim(log10(low), log10(high))
    drawn_text = str(figure.build().string(colorless=not color))
    figure.clear()
    names = [one_line(plot.name(number)) for number in plot.front]
    stroke = "--" if ascii_only else "──"
    strokes = [plotext.colorize(stroke, each) for each in _COLORS] if color else list(_LETTERS)
    legend = _legend(list(zip(strokes, names, strict=False)), len(stroke) if color else 1, width)
    return [*(drawn_text.translate(_FRAME) if ascii_only else drawn_text).splitlines(), "", *legend]


def _legend(entries: Sequence[tuple[str, str]], mark_width: int, width: int) -> list[str]:
    """Each mark with its name, in as many lines as needed, for below the plot."""
    lines: list[list[str]] = []
    room = 0
    for mark, name in entries:
        needed = mark_width + 1 + len(name) + len(_BETWEEN)
        if needed > room:
            lines.append([])
            room = width + len(_BETWEEN)
        lines[-1].append(f"{mark} {name}")
        room -= needed
    return [_BETWEEN.join(line) for line in lines]


def _bars(plot: Stacks, width: int, ascii_only: bool) -> list[str]:
    shades = _ASCII_SHADES if ascii_only else _SHADES
    names = [one_line(stack.model) for stack in plot.stacks]
    totals = [plot.unit.write(stack.total) for stack in plot.stacks]
    name_width, total_width = max(map(len, names)), max(map(len, totals))
    room = max(20, width - name_width - total_width - 4)
    lines = [
        f"{name:<{name_width}}  {_bar(stack, shades, room)}  {total:>{total_width}}"
        for name, stack, total in zip(names, plot.stacks, totals, strict=True)
    ]
    used = [any(stack.shares[i] for stack in plot.stacks) for i in range(len(plot.layers))]
    entries = [(shades[i], layer) for i, layer in enumerate(plot.layers) if used[i]]
    return [*lines, "", *_legend(entries, 1, width)]


def _bar(stack: Stack, shades: str, room: int) -> str:
    """A bar of `room` characters, split in proportion to the shares."""
    bar, reached = "", 0
    for share, shade in zip(stack.shares, shades, strict=False):
        reached += share
        bar += shade * (round(room * reached / max(1, stack.total)) - len(bar))
    return bar
