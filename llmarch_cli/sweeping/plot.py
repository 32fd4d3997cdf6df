"""A scatter plot of a sweep: two metrics of its variants, with the Pareto front on top."""

from __future__ import annotations

import html
from collections.abc import Callable, Sequence
from dataclasses import replace
from fractions import Fraction
from math import ceil, log2, prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llmarch_cli.errors import InputError, shown_path
from llmarch_cli.report import units
from llmarch_cli.report.columns import metric
from llmarch_cli.report.plots import library
from llmarch_cli.report.units import Unit
from llmarch_cli.sweeping.pricing import COUNTS, RATIOS
from llmarch_cli.sweeping.run import run
from llmarch_cli.sweeping.search import Question
from llmarch_cli.sweeping.selection import Goal, Rows
from llmarch_cli.writing import put

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ENDINGS = ("svg", "png", "html")
POINTS = 5000  # random variants drawn behind the front
MOST_TICKS = 8  # on an axis of bytes
CONTINUOUS = (units.SECONDS, units.RATE, units.PRICE)  # the others are counted

_PAGE = '<!DOCTYPE html>\n<html lang="en">\n<meta charset="utf-8">\n<title>{title}</title>\n{svg}\n</html>\n'


Points = tuple[Sequence[float], Sequence[float]]  # the values of both metrics


class Picture:
    """The plot at `path`. Raises InputError before the search if it could not be drawn afterwards.

    Args:
        path: the file to write.
        name: of the model whose variants are drawn.
        goals: the metrics of the front; the first two are drawn.
    """

    def __init__(self, path: Path, name: str, goals: Sequence[Goal]) -> None:
        self.path, self.name = path, name
        self.ending = library.checked_ending(path, ENDINGS)
        if path.is_dir():
            raise InputError(f"--plot {shown_path(path)}: is a directory")
        if not path.parent.is_dir():
            raise InputError(f"--plot {shown_path(path)}: its directory does not exist")
        keys = [goal.key for goal in goals]
        if len(keys) < 2:
            raise InputError("--plot needs two metrics, one for each axis: name them with --pareto A,B")
        if ratios := [key for key in keys[:2] if key in RATIOS]:
            raise InputError(f"--plot cannot draw a ratio: {ratios[0]} is {' / '.join(RATIOS[ratios[0]])}")
        library.require("--plot")
        self.x, self.y = keys[:2]

    def draw(self, others: Points, best: Points, unit_of: Callable[[str], Unit]) -> None:
        """Write the plot: the front before other variants. Raises InputError."""
        with library.style():
            figure = self._figure(others, best, unit_of)
            data = library.saved(figure, "png" if self.ending == "png" else "svg")
        if self.ending == "html":
            title, svg = html.escape(self._title), data.decode()
            data = _PAGE.format(title=title, svg=svg[svg.index("<svg") :]).encode()
        self._write(data)

    @property
    def _title(self) -> str:
        return f"Variants of {self.name}"

    def _figure(self, others: Points, best: Points, unit_of: Callable[[str], Unit]) -> Figure:
        from matplotlib.figure import Figure

        figure = Figure(figsize=(8, 5), layout="constrained")
        axes: Any = figure.subplots()
        axes.scatter(*others, s=6, color="0.75", linewidths=0, label="variants")
        x, y = best
        order = sorted(range(len(x)), key=lambda i: (x[i], y[i]))
        axes.plot([x[i] for i in order], [y[i] for i in order], "o-", ms=4, lw=1, color="C0", label="Pareto front")
        axes.set(xlabel=self.x, ylabel=self.y)
        axes.set_title(self._title)
        _in_units(axes.xaxis, unit_of(self.x))
        _in_units(axes.yaxis, unit_of(self.y))
        axes.grid(alpha=0.3)
        axes.legend()
        return figure

    def _write(self, data: bytes) -> None:
        try:
            put(self.path, data)
        except OSError as error:
            raise InputError(f"--plot {shown_path(self.path)}: {error.strerror}") from None


def points(rows: Rows, picture: Picture) -> Points:
    """Where variants are drawn."""
    x, y = ([float(value) for value in rows.figures[key].tolist()] for key in (picture.x, picture.y))
    return x, y


def random_variants(question: Question, picture: Picture) -> Points:
    """Where random variants are drawn that meet the condition of a question."""
    n_points = question.sample or prod(len(axis.values) for axis in question.axes)
    sample = POINTS if n_points > POINTS else question.sample
    some = replace(question, sample=sample, columns=(picture.x, picture.y), pareto=(), sort=None, top=None)
    search, answer = run(some)
    return points(search.rows(answer), picture)


def unit_of(key: str) -> Unit:
    """The unit of a metric, or of a varying field."""
    return units.INTEGER if key not in COUNTS else metric(key).unit


def _in_units(axis: Any, unit: Unit) -> None:
    """Write ticks in a unit. Ticks of bytes are multiples of a power of 2."""
    from matplotlib.ticker import MultipleLocator

    def written(value: float, _: object) -> str:
        if value < 0:
            return ""
        # Times, rates and prices have parts of a unit; what is counted has none.
        return unit.write(Fraction(value).limit_denominator(10**9) if unit in CONTINUOUS else round(value))

    axis.set_major_formatter(written)
    if unit is units.BYTES:
        low, high = axis.get_view_interval()
        axis.set_major_locator(MultipleLocator(2.0 ** ceil(log2(max(1.0, (high - low) / MOST_TICKS)))))
