"""A sweep's rows as a table: the varying fields, the requested metrics, and notes on the search."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from llmarch_cli.profilers.cost import Workload
from llmarch_cli.report import units
from llmarch_cli.report.columns import BY_KEY, beyond, metric, ratio, titled
from llmarch_cli.report.comparison import marked_models
from llmarch_cli.report.table import Column, Table
from llmarch_cli.report.units import Unit, Value
from llmarch_cli.sweeping.axes import Axis
from llmarch_cli.sweeping.pricing import RATIOS
from llmarch_cli.sweeping.search import CHECKED, Answer, Question, Search

MOST_REASONS = 5

_UNITS: dict[frozenset[type], Unit] = {  # by the types of an axis's values
    frozenset({int}): units.INTEGER,
    frozenset({float}): units.DECIMAL,
    frozenset({bool}): units.YES_NO,
}


BEYOND = "beyond_context_window"
WINDOW = "context_length"  # the field that says what the window is
_MAY_DROP = ("kv_bytes_per_token", "active_params")  # in a narrow terminal


def variants(search: Search, answer: Answer, is_usual: bool = False) -> Table:
    """One row per selected variant, best first.

    If the columns are the usual ones, a narrow terminal may hide some, and data also says whether the context is longer
    than the variant's context window.
    """
    question, rows = search.question, search.rows(answer)
    paths = [axis.path for axis in search.axes]
    values: dict[str, Sequence[Any]] = dict(zip(paths, search.grid.values(rows.positions), strict=True))
    columns = [axis_column(axis) for axis in question.axes]
    cells: dict[str, Sequence[Value]] = {axis.path: values[axis.path] for axis in question.axes}
    for key in question.columns:
        if key not in cells:
            columns.append(metric_column(key, question.workload))
            parts = [rows.figures[name].tolist() for name in RATIOS.get(key, (key,))]
            cells[key] = [ratio(*pair) for pair in zip(*parts, strict=True)] if key in RATIOS else parts[0]
    workload, metrics = question.workload, [metric(key) for key in question.columns if key in BY_KEY]
    windows = values[WINDOW] if WINDOW in values else [question.base.context_length] * len(rows)
    marked = tuple(beyond(window, workload, metrics) for window in windows)
    chosen_by = {goal.key for goal in (*question.pareto, *([question.sort] if question.sort else []))}
    if is_usual:
        columns.append(metric(BEYOND))
        cells[BEYOND] = [window is not None and workload.longest > window for window in windows]
    return Table(
        "variants",
        tuple(columns),
        tuple({key: cells[key][i] for key in cells} for i in range(len(rows))),
        may_drop=tuple(key for key in _MAY_DROP if key not in chosen_by) if is_usual else (),
        marked=marked if any(marked) else (),
        notes=(
            *marked_note(question, marked),
            *notes(question, _counts(question, answer, len(rows)), answer.refused, answer.points),
            *_settings(search),
        ),
        specs=(question.base,),
    )


def marked_note(question: Question, marked: Iterable[frozenset[str]]) -> Iterator[str]:
    """What the mark at figures means, if any is marked."""
    if not any(marked):
        return
    if any(axis.path == WINDOW for axis in question.axes):
        yield f"!: beyond the variant's own context window, {WINDOW}."
    else:
        yield from marked_models([question.base])


def _counts(question: Question, answer: Answer, n_rows: int) -> Iterator[str]:
    yield f"{answer.points - answer.refused.total():,} valid"
    if question.where is not None:
        yield f"of which {answer.met:,} meet the condition"
    if question.pareto:
        yield on_the_front(0 if answer.rows is None else len(answer.rows), n_rows)


def on_the_front(n_front: int, n_rows: int) -> str:
    """How many variants the Pareto front has, and how many of them are shown."""
    return f"and {n_front:,} on the Pareto front" + (f" ({n_rows:,} shown)" if n_rows < n_front else "")


def notes(question: Question, counts: Iterable[str], refused: Counter[str], points: int) -> Iterator[str]:
    """How many combinations became what, and why others were skipped."""
    combinations = "combination" if points == 1 else "combinations"
    yield f"{points:,} {combinations} for {question.base.id}: {', '.join(counts)}."
    reasons = refused.most_common()
    for reason, count in reasons[:MOST_REASONS]:
        yield f"{count:,} skipped: {reason}."
    if others := sum(count for _, count in reasons[MOST_REASONS:]):
        yield f"{others:,} skipped for {len(reasons) - MOST_REASONS:,} other reasons."


def _settings(search: Search) -> Iterator[str]:
    workload = search.question.workload
    yield f"{workload.context:,} tokens of context, {workload.settings}."
    number = min(CHECKED, search.grid.size)
    yield f"Vectorised; {number:,} random {'variant' if number == 1 else 'variants'} re-checked one by one."


def metric_column(key: str, workload: Workload) -> Column:
    """The column of a metric."""
    return replace(titled([metric(key)], workload)[0], shown="always")


def axis_column(axis: Axis) -> Column:
    """The column of a varying field."""
    path = axis.path
    types = frozenset(type(value) for value in axis.values if value is not None)
    unit = _UNITS.get(types, units.FIELD)
    if path in BY_KEY and metric(path).unit is unit:
        return replace(metric(path), shown="always")
    return Column(path, path, unit, "A varying field.")
