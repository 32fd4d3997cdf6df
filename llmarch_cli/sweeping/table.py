"""A sweep's rows as a table: the varying fields, the requested metrics, and notes on the search."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from llmarch_cli.report import units
from llmarch_cli.report.columns import BY_KEY, metric, ratio, titled
from llmarch_cli.report.table import Column, Table
from llmarch_cli.report.units import Unit, Value
from llmarch_cli.sweeping.axes import Axis
from llmarch_cli.sweeping.pricing import RATIOS
from llmarch_cli.sweeping.search import CHECKED, Answer, Search

MOST_REASONS = 5

_UNITS: dict[frozenset[type], Unit] = {  # by the types of an axis's values
    frozenset({int}): units.INTEGER,
    frozenset({float}): units.DECIMAL,
    frozenset({bool}): units.YES_NO,
}


def variants(search: Search, answer: Answer) -> Table:
    """One row per selected variant, best first."""
    question, rows = search.question, search.rows(answer)
    paths = [axis.path for axis in search.axes]
    values: dict[str, Sequence[Any]] = dict(zip(paths, search.grid.values(rows.positions), strict=True))
    columns = [_column(axis) for axis in question.axes]
    cells: dict[str, Sequence[Value]] = {axis.path: values[axis.path] for axis in question.axes}
    for key in question.columns:
        if key not in cells:
            columns.append(replace(titled([metric(key)], question.workload)[0], shown="always"))
            parts = [rows.figures[name].tolist() for name in RATIOS.get(key, (key,))]
            cells[key] = [ratio(*pair) for pair in zip(*parts, strict=True)] if key in RATIOS else parts[0]
    return Table(
        "variants",
        tuple(columns),
        tuple({key: cells[key][i] for key in cells} for i in range(len(rows))),
        notes=tuple(_notes(search, answer, len(rows))),
        specs=(question.base,),
    )


def _notes(search: Search, answer: Answer, n_rows: int) -> Iterator[str]:
    question = search.question
    valid = answer.points - answer.refused.total()
    met = "" if question.where is None else f", of which {answer.met:,} meet the condition"
    front = ""
    if question.pareto:
        n_front = 0 if answer.rows is None else len(answer.rows)
        front = f", and {n_front:,} on the Pareto front" + (f" ({n_rows:,} shown)" if n_rows < n_front else "")
    combinations = "combination" if answer.points == 1 else "combinations"
    yield f"{answer.points:,} {combinations} for {question.base.id}: {valid:,} valid{met}{front}."
    reasons = answer.refused.most_common()
    for reason, count in reasons[:MOST_REASONS]:
        yield f"{count:,} skipped: {reason}."
    if others := sum(count for _, count in reasons[MOST_REASONS:]):
        yield f"{others:,} skipped for {len(reasons) - MOST_REASONS:,} other reasons."
    workload = question.workload
    yield f"{workload.context:,} tokens of context, {workload.settings}."
    checked = min(CHECKED, search.grid.size)
    yield f"Vectorised; {checked:,} random {'variant' if checked == 1 else 'variants'} re-checked one by one."


def _column(axis: Axis) -> Column:
    path = axis.path
    types = frozenset(type(value) for value in axis.values if value is not None)
    unit = _UNITS.get(types, units.FIELD)
    if path in BY_KEY and metric(path).unit is unit:
        return replace(metric(path), shown="always")
    return Column(path, path, unit, "A varying field.")
