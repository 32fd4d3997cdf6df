"""A scatter plot of a sweep: two metrics of its variants, with the Pareto front on top."""

from __future__ import annotations

import html
from dataclasses import replace
from math import ceil, log2, prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llmarch_cli.errors import InputError, shown_path
from llmarch_cli.report import units
from llmarch_cli.report.columns import metric
from llmarch_cli.report.plots import library
from llmarch_cli.sweeping.pricing import COUNTS, RATIOS
from llmarch_cli.sweeping.run import run
from llmarch_cli.sweeping.search import Question
from llmarch_cli.sweeping.selection import Rows
from llmarch_cli.writing import put

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ENDINGS = ("svg", "png", "html")
POINTS = 5000  # random variants drawn behind the front
MOST_TICKS = 8  # on an axis of bytes

_PAGE = '<!DOCTYPE html>\n<html lang="en">\n<meta charset="utf-8">\n<title>{title}</title>\n{svg}\n</html>\n'


class Picture:
    """The plot at `path`. Raises InputError before the search if it could not be drawn afterwards."""

    def __init__(self, path: Path, question: Question) -> None:
        self.path, self.question = path, question
        self.ending = library.checked_ending(path, ENDINGS)
        if path.is_dir():
            raise InputError(f"--plot {shown_path(path)}: is a directory")
        if not path.parent.is_dir():
            raise InputError(f"--plot {shown_path(path)}: its directory does not exist")
        keys = [goal.key for goal in question.pareto]
        if len(keys) < 2:
            raise InputError("--plot needs two metrics, one for each axis: name them with --pareto A,B")
        if ratios := [key for key in keys[:2] if key in RATIOS]:
            raise InputError(f"--plot cannot draw a ratio: {ratios[0]} is {' / '.join(RATIOS[ratios[0]])}")
        library.require("--plot")
        self.x, self.y = keys[:2]

    def draw(self, rows: Rows) -> None:
        """Write the plot: `rows` in front of random variants that meet the condition. Raises InputError."""
        some = replace(self.question, sample=self._sample(), columns=(self.x, self.y), pareto=(), sort=None, top=None)
        search, answer = run(some)
        others = search.rows(answer)
        with library.style():
            figure = self._figure(others, rows)
            data = library.saved(figure, "png" if self.ending == "png" else "svg")
        if self.ending == "html":
            title, svg = html.escape(self._title), data.decode()
            data = _PAGE.format(title=title, svg=svg[svg.index("<svg") :]).encode()
        self._write(data)

    @property
    def _title(self) -> str:
        return f"Variants of {self.question.base.name}"

    def _figure(self, others: Rows, rows: Rows) -> Figure:
        from matplotlib.figure import Figure

        figure = Figure(figsize=(8, 5), layout="constrained")
        axes: Any = figure.subplots()
        axes.scatter(*self._points(others), s=6, color="0.75", linewidths=0, label="variants")
        x, y = self._points(rows)
        order = sorted(range(len(x)), key=lambda i: (x[i], y[i]))
        axes.plot([x[i] for i in order], [y[i] for i in order], "o-", ms=4, lw=1, color="C0", label="Pareto front")
        axes.set(xlabel=self.x, ylabel=self.y)
        axes.set_title(self._title)
        _in_units(axes.xaxis, self.x)
        _in_units(axes.yaxis, self.y)
        axes.grid(alpha=0.3)
        axes.legend()
        return figure

    def _write(self, data: bytes) -> None:
        try:
            put(self.path, data)
        except OSError as error:
            raise InputError(f"--plot {shown_path(self.path)}: {error.strerror}") from None

    def _sample(self) -> int | None:
        points = self.question.sample or prod(len(axis.values) for axis in self.question.axes)
        return POINTS if points > POINTS else self.question.sample

    def _points(self, rows: Rows) -> tuple[list[float], list[float]]:
        x, y = ([float(value) for value in rows.figures[key].tolist()] for key in (self.x, self.y))
        return x, y


def _in_units(axis: Any, key: str) -> None:
    """Write a metric's ticks in its unit and a field's as integers. Ticks of bytes are multiples of a power of 2."""
    from matplotlib.ticker import MultipleLocator

    unit = units.INTEGER if key not in COUNTS else metric(key).unit
    axis.set_major_formatter(lambda value, _: unit.write(round(value)) if value >= 0 else "")
    if unit is units.BYTES:
        low, high = axis.get_view_interval()
        axis.set_major_locator(MultipleLocator(2.0 ** ceil(log2(max(1.0, (high - low) / MOST_TICKS)))))
