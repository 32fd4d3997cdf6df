"""A picture of what a sweep found: two figures of its variants, with those that it picked."""

from __future__ import annotations

import html
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from llmarch_cli.errors import InputError, shown_path
from llmarch_cli.report import units
from llmarch_cli.report.columns import metric
from llmarch_cli.sweeping.figures import COUNTS, RATIOS
from llmarch_cli.sweeping.run import run
from llmarch_cli.sweeping.search import Question
from llmarch_cli.sweeping.selection import Rows

ENDINGS = (".svg", ".png", ".html")
POINTS = 5000  # variants at random, behind the rows

_PAGE = '<!DOCTYPE html>\n<html lang="en">\n<meta charset="utf-8">\n<title>{title}</title>\n{svg}\n</html>\n'


class Picture:
    """The picture at `path`. Raises InputError where it cannot be drawn, before anything is searched for it."""

    def __init__(self, path: Path, question: Question) -> None:
        self.path, self.question = path, question
        if path.suffix not in ENDINGS:
            raise InputError(f"--plot {shown_path(path)}: a file's ending says its format: {', '.join(ENDINGS)}")
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
        import matplotlib as mpl
        from matplotlib.figure import Figure

        search, answer = run(replace(self.question, sample=self._sample(), pareto=(), sort=None, top=None))
        others = search.rows(answer)
        figure = Figure(figsize=(8, 5), layout="constrained")
        axes: Any = figure.subplots()
        axes.scatter(*self._points(others), s=6, color="0.75", linewidths=0, label="variants")
        x, y = self._points(rows)
        order = sorted(range(len(x)), key=lambda i: (x[i], y[i]))
        axes.plot([x[i] for i in order], [y[i] for i in order], "o-", ms=4, lw=1, color="C0", label="Pareto front")
        axes.set(title=f"Variants of {self.question.base.name}", xlabel=self.x, ylabel=self.y)
        axes.xaxis.set_major_formatter(_unit(self.x))
        axes.yaxis.set_major_formatter(_unit(self.y))
        axes.grid(alpha=0.3)
        axes.legend()
        with mpl.rc_context({"svg.hashsalt": "llmarch", "svg.fonttype": "none"}):
            if self.path.suffix == ".html":
                self._write_page(figure)
            else:
                metadata = {"Date": None} if self.path.suffix == ".svg" else {"Software": None}
                figure.savefig(self.path, metadata=metadata)

    def _write_page(self, figure: Any) -> None:
        import io

        text = io.StringIO()
        figure.savefig(text, format="svg", metadata={"Date": None})
        svg = text.getvalue()
        title = html.escape(f"Variants of {self.question.base.name}")
        self.path.write_text(_PAGE.format(title=title, svg=svg[svg.index("<svg") :]), encoding="utf-8")

    def _sample(self) -> int | None:
        from math import prod

        points = self.question.sample or prod(len(axis.values) for axis in self.question.axes)
        return POINTS if points > POINTS else self.question.sample

    def _points(self, rows: Rows) -> tuple[list[float], list[float]]:
        x, y = ([float(value) for value in rows.figures[key].tolist()] for key in (self.x, self.y))
        return x, y


def _unit(key: str) -> Callable[[float, int], str]:
    """How a tick of that axis is written: a figure in its unit, a field that varies as it is."""
    unit = units.INTEGER if key not in COUNTS else metric(key).unit
    return lambda value, _: unit.write(round(value)) if value >= 0 else ""
