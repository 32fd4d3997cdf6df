"""A picture of what a sweep found: two figures of its variants, with those that it picked."""

from __future__ import annotations

import html
import io
from dataclasses import replace
from math import ceil, log2, prod
from pathlib import Path
from typing import Any

from llmarch_cli.errors import InputError, shown_path
from llmarch_cli.report import units
from llmarch_cli.report.columns import metric
from llmarch_cli.sweeping.pricing import COUNTS, RATIOS
from llmarch_cli.sweeping.run import run
from llmarch_cli.sweeping.search import Question
from llmarch_cli.sweeping.selection import Rows
from llmarch_cli.writing import put

ENDINGS = (".svg", ".png", ".html")
POINTS = 5000  # variants at random, behind the rows
MOST_TICKS = 8  # of an axis of bytes

_PAGE = '<!DOCTYPE html>\n<html lang="en">\n<meta charset="utf-8">\n<title>{title}</title>\n{svg}\n</html>\n'


class Picture:
    """The picture at `path`. Raises InputError where it cannot be drawn, before anything is searched for it."""

    def __init__(self, path: Path, question: Question) -> None:
        self.path, self.question = path, question
        if path.suffix not in ENDINGS:
            raise InputError(f"--plot {shown_path(path)}: a file's ending says its format: {', '.join(ENDINGS)}")
        if path.is_dir() or not path.parent.is_dir():
            raise InputError(f"--plot {shown_path(path)}: {'is' if path.is_dir() else 'would be in no'} directory")
        keys = [goal.key for goal in question.pareto]
        if len(keys) < 2:
            raise InputError("--plot draws two figures against each other: name them with --pareto A,B")
        if ratios := [key for key in keys[:2] if key in RATIOS]:
            raise InputError(f"--plot draws figures, not ratios: {ratios[0]} is {' / '.join(RATIOS[ratios[0]])}")
        try:
            import matplotlib as mpl  # noqa: F401
        except ImportError:
            raise InputError("--plot needs matplotlib: pip install 'llmarch[sweep]'") from None
        self.x, self.y = keys[:2]

    def draw(self, rows: Rows) -> None:
        """Write the picture of `rows` before variants that meet the condition, at random."""
        from matplotlib.figure import Figure

        some = replace(self.question, sample=self._sample(), columns=(self.x, self.y), pareto=(), sort=None, top=None)
        search, answer = run(some)
        others = search.rows(answer)
        figure = Figure(figsize=(8, 5), layout="constrained")
        axes: Any = figure.subplots()
        axes.scatter(*self._points(others), s=6, color="0.75", linewidths=0, label="variants")
        x, y = self._points(rows)
        order = sorted(range(len(x)), key=lambda i: (x[i], y[i]))
        axes.plot([x[i] for i in order], [y[i] for i in order], "o-", ms=4, lw=1, color="C0", label="Pareto front")
        axes.set(xlabel=self.x, ylabel=self.y)
        axes.set_title(f"Variants of {self.question.base.name}", parse_math=False)  # a name may have dollars in it
        _in_units(axes.xaxis, self.x)
        _in_units(axes.yaxis, self.y)
        axes.grid(alpha=0.3)
        axes.legend()
        self._write(self._page(figure) if self.path.suffix == ".html" else _drawn(figure, self.path.suffix[1:]))

    def _page(self, figure: Any) -> bytes:
        svg = _drawn(figure, "svg").decode()
        title = html.escape(f"Variants of {self.question.base.name}")
        return _PAGE.format(title=title, svg=svg[svg.index("<svg") :]).encode()

    def _write(self, picture: bytes) -> None:
        try:
            put(self.path, picture)
        except OSError as error:
            raise InputError(f"--plot {shown_path(self.path)}: {error.strerror}") from None

    def _sample(self) -> int | None:
        points = self.question.sample or prod(len(axis.values) for axis in self.question.axes)
        return POINTS if points > POINTS else self.question.sample

    def _points(self, rows: Rows) -> tuple[list[float], list[float]]:
        x, y = ([float(value) for value in rows.figures[key].tolist()] for key in (self.x, self.y))
        return x, y


def _drawn(figure: Any, ending: str) -> bytes:
    import matplotlib as mpl

    out = io.BytesIO()
    with mpl.rc_context({"svg.hashsalt": "llmarch", "svg.fonttype": "none"}):
        figure.savefig(out, format=ending, metadata={"Date": None} if ending == "svg" else {"Software": None})
    return out.getvalue()


def _in_units(axis: Any, key: str) -> None:
    """Write a figure's ticks in its unit, and a varying field's as they are; bytes have theirs at powers of 2."""
    from matplotlib.ticker import MultipleLocator

    unit = units.INTEGER if key not in COUNTS else metric(key).unit
    axis.set_major_formatter(lambda value, _: unit.write(round(value)) if value >= 0 else "")
    if unit is units.BYTES:
        low, high = axis.get_view_interval()
        axis.set_major_locator(MultipleLocator(2 ** ceil(log2(max(1.0, (high - low) / MOST_TICKS)))))
