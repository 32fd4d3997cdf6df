"""A plot as a file: SVG, PNG or PDF, the same bytes every time, and text that is text."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import cycle
from math import log
from typing import TYPE_CHECKING, Any

from llmarch_cli.errors import InputError, shown
from llmarch_cli.report.formats.grid import one_line
from llmarch_cli.report.plots import labels
from llmarch_cli.report.plots.data import Curve, Curves, Plot, Spread, Stacks
from llmarch_cli.report.plots.ticks import ticks
from llmarch_cli.report.units import TOKENS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ENDINGS = ("svg", "png", "pdf")
INK, PAPER = "#24292f", "#ffffff"

WIDTH = 9.0  # inches
LINE = 0.17  # inches that a line of text takes
FONT = 8  # points
APART = 1.5  # points at both sides of a name among others

# Ten that are told apart on white and on black, in four dashes.
_COLORS = "#4477cc #dd7711 #229966 #cc3344 #8866cc #996633 #cc66aa #778899 #aa9911 #11aabb".split()
_DASHES = ("-", (0, (6, 2)), (0, (3, 1, 1, 1)), (0, (1, 1)), (0, (8, 2, 1, 2)))
_STACK_COLORS = ("#4477cc", "#dd7711", "#229966", "#99bbaa", "#8866cc", "#cc3344")

_DATELESS: dict[str, dict[str, None]] = {
    "svg": {"Date": None, "Creator": None},
    "png": {"Software": None},
    "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
}


def checked_ending(name: str) -> str:
    """The ending of a file's name. Raises InputError where there is no way to draw it."""
    ending = name.rpartition(".")[2].lower()
    if "." not in name or ending not in ENDINGS:
        known = ", ".join(f".{known}" for known in ENDINGS)
        raise InputError(f"--plot writes files that end in {known}, not {shown(name)}")
    return ending


def check_installed(wanted: str = "plots in files", otherwise: str = "") -> None:
    """Raise InputError where there is no matplotlib, saying what is `wanted` and what to do `otherwise`."""
    try:
        import matplotlib.figure  # noqa: F401
    except ImportError:
        hint = f", or {otherwise}" if otherwise else ""
        raise InputError(
            f"{wanted} need matplotlib, which is not installed: pip install 'llmarch[plot]'{hint}"
        ) from None


def render(plot: Plot, ending: str, ink: str = INK, paper: str | None = PAPER) -> bytes:
    """The plot as the bytes of a file. `paper` None leaves the background open. Raises InputError."""
    check_installed()
    with _style(plot.title, ink), labels.quiet():
        figure = _drawn(plot, ink)
        out = io.BytesIO()
        figure.savefig(
            out,
            format=ending,
            metadata=_DATELESS[ending],
            dpi=160,
            bbox_inches="tight",
            transparent=paper is None,
            facecolor=paper or "none",
        )
    return out.getvalue()


@contextmanager
def _style(salt: str, ink: str) -> Iterator[None]:
    from matplotlib import rc_context, rcParamsDefault

    settings: Any = {
        **{name: value for name, value in rcParamsDefault.items() if not name.startswith("backend")},
        "svg.fonttype": "none",
        "svg.hashsalt": salt,
        "pdf.fonttype": 42,
        "font.family": "sans-serif",
        "font.sans-serif": ["DejaVu Sans"],
        "font.size": FONT,
        "text.parse_math": False,  # names are names, also with dollars in them
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.axisbelow": True,
        "xtick.minor.bottom": False,
        "ytick.minor.left": False,
        **dict.fromkeys(("text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color"), ink),
    }
    with rc_context(settings):
        yield


def _drawn(plot: Plot, ink: str) -> Figure:
    match plot:
        case Curves():
            return _curves(plot, ink)
        case Stacks():
            return _stacks(plot)
        case Spread():
            return _spread(plot, ink)


def _axes(plot: Plot, height: float, note: str = "") -> tuple[Figure, Axes]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH, height))
    axes = figure.add_axes((0.1, 0.5 / height, 0.68, 1 - 1.05 / height))
    figure.text(0.1, 1 - 0.2 / height, plot.title, fontsize=FONT + 4, fontweight="bold", va="center")
    figure.text(0.1, 1 - 0.42 / height, f"{plot.note} {note}", va="center", alpha=0.75)
    return figure, axes


def _logarithmic(axes: Axes, axis: str, marks: Sequence[tuple[int, str]], low: float, high: float) -> None:
    getattr(axes, f"set_{axis}scale")("log", base=10)
    getattr(axes, f"set_{axis}lim")(low, high)
    getattr(axes, f"set_{axis}ticks")([value for value, _ in marks], [label for _, label in marks])
    getattr(axes, f"{axis}axis").set_tick_params(which="minor", length=0, labelsize=0)
    getattr(axes, f"{axis}axis").set_minor_formatter("")
    axes.grid(axis=axis, which="major", alpha=0.2, linewidth=0.6)  # type: ignore[arg-type]


def _curves(plot: Curves, ink: str) -> Figure:
    height = max(4.5, 1.2 + LINE * len(plot.curves))
    figure, axes = _axes(plot, height, "Dotted: beyond the context that the model was made for.")
    contexts = [at for curve in plot.curves for at, _ in curve.points]
    values = [value for curve in plot.curves for _, value in curve.points if value]
    low, high = (min(values) / 1.3, max(values) * 1.3) if values else (1, 10)
    _logarithmic(axes, "x", ticks(TOKENS, min(contexts), max(contexts)), min(contexts), max(contexts))
    _logarithmic(axes, "y", ticks(plot.unit, int(low), int(high)), low, high)
    axes.set_xlabel("tokens of context")

    ends = [(log(max(curve.points[-1][1], low)) - log(low)) / (log(high) - log(low)) for curve in plot.curves]
    places = labels.spread(ends, LINE / (height - 1.05), 0, 1)
    leader = {"arrowstyle": "-", "linewidth": 0.8, "shrinkA": 1, "shrinkB": 0, "relpos": (0, 0.5)}
    for number, (curve, end, place) in enumerate(zip(plot.curves, ends, places, strict=True)):
        color, dash = _COLORS[number % len(_COLORS)], _DASHES[number // len(_COLORS) % len(_DASHES)]
        _curve(axes, curve, f"curve-{number}", color, dash)
        axes.annotate(
            one_line(curve.model),
            (1, end),
            (1.035, place),
            xycoords="axes fraction",
            textcoords="axes fraction",
            va="center",
            color=ink,
            annotation_clip=False,
            arrowprops={**leader, "color": color},
        )
    return figure


def _curve(axes: Axes, curve: Curve, name: str, color: str, dash: Any) -> None:
    """Drawn in full as far as the model was made for, and dotted from there."""
    points = [point for point in curve.points if point[1]]
    made_for = curve.made_for or points[-1][0] if points else 0
    within = [point for point in points if point[0] <= made_for]
    beyond = [*within[-1:], *(point for point in points if point[0] > made_for)]
    for piece, style, opacity, part in ((within, dash, 1.0, "within"), (beyond, (0, (1, 2)), 0.7, "beyond")):
        if len(piece) > 1:
            (line,) = axes.plot(*zip(*piece, strict=True), color=color, linestyle=style, alpha=opacity, linewidth=1.3)
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


def _spread(plot: Spread, ink: str) -> Figure:
    figure, axes = _axes(plot, 6.5)
    values = [value for _, x, y in plot.points for value in (x, y)]
    low, high = min(values) / 1.5, max(values) * 4
    for axis in ("x", "y"):
        _logarithmic(axes, axis, ticks(plot.unit, int(low), int(high)), low, high)
    axes.set_xlabel(plot.x_title)
    axes.set_ylabel(plot.y_title)
    for percent in (100, 30, 10, 3):
        axes.plot((low, high), (low * percent / 100, high * percent / 100), color=ink, linewidth=0.7, alpha=0.35)
        end = (high, high * percent / 100)
        axes.annotate(f"{percent}%", end, (3, 0), textcoords="offset points", va="center", alpha=0.75)
    for number, (_, x, y) in enumerate(plot.points):
        axes.plot([x], [y], "o", markersize=4, color=_COLORS[0], gid=f"point-{number}")
    _named(figure, axes, plot)
    return figure


def _named(figure: Figure, axes: Axes, plot: Spread) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    figure.set_dpi(72)  # so that pixels are points
    renderer = FigureCanvasAgg(figure).get_renderer()  # type: ignore[no-untyped-call]
    texts = [axes.annotate(one_line(name), (x, y), fontsize=FONT - 1) for name, x, y in plot.points]
    extents = [text.get_window_extent(renderer) for text in texts]
    places = [tuple(map(float, axes.transData.transform((x, y)))) for _, x, y in plot.points]
    sizes = [(box.width + 2 * APART, box.height) for box in extents]
    for text, (x, y), box in zip(texts, places, labels.beside([(x, y) for x, y in places], sizes), strict=True):
        text.set_position((box[0] + APART - x, box[1] - y))
        text.set_anncoords("offset points")
        near = (min(max(x, box[0]), box[2]), min(max(y, box[1]), box[3]))
        if abs(near[0] - x) + abs(near[1] - y) > 8:  # far enough away to be led back
            to = axes.transData.inverted().transform(near)
            axes.annotate(
                "", text.xy, tuple(to), arrowprops={"arrowstyle": "-", "linewidth": 0.5, "alpha": 0.5, "shrinkB": 2}
            )
