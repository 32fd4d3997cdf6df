"""A search that asks about each variant alone, for figures that no array holds: what fits on machines, and how fast.

Whoever asks brings the figures, and what varies besides the fields of the model: this room knows neither.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, cached_property, partial
from math import prod
from typing import Any

import numpy as np

from llmarch_cli.errors import InputError
from llmarch_cli.profilers.profile import Profile
from llmarch_cli.report import names
from llmarch_cli.report.columns import BY_KEY, TITLES, marks, metric
from llmarch_cli.report.table import Column, Table
from llmarch_cli.report.units import Value
from llmarch_cli.specs.spec import ModelSpec
from llmarch_cli.sweeping.axes import Axis, Scalar, check_size
from llmarch_cli.sweeping.designs import consistent, priced
from llmarch_cli.sweeping.exact import UNDEFINED, Quantity
from llmarch_cli.sweeping.grid import Grid
from llmarch_cli.sweeping.plot import Picture, Points
from llmarch_cli.sweeping.pricing import COUNTS, RATIOS
from llmarch_cli.sweeping.rules import rules
from llmarch_cli.sweeping.search import Question
from llmarch_cli.sweeping.selection import Goal, first, front
from llmarch_cli.sweeping.table import BEYOND, axis_column, marked_note, metric_column, notes, on_the_front
from llmarch_cli.sweeping.where import condition

MOST_POINTS = 100_000  # each takes about a millisecond


@dataclass(frozen=True, slots=True)
class Row:
    """An answer about a variant: called with a figure's key it gives the value, which is computed only then.

    Attributes:
        marks: which of some columns are marked, by their keys.
    """

    value: Callable[[str], Value]
    marks: Callable[[Sequence[str]], frozenset[str]]

    def __call__(self, key: str) -> Value:
        return self.value(key)


@dataclass(frozen=True)
class Asking:
    """What is asked of each variant.

    Attributes:
        settings: what varies besides the fields of the model; a figure of the same key says what it is.
        figures: the columns that an answer has.
        ask: the answers about a variant in a setting. Raises InputError with the reason if there is none.
        note: what holds for all answers, a sentence each.
        marked: the keys of the figures of an answer that are beyond the model's context window.
    """

    settings: tuple[Axis, ...]
    figures: tuple[Column, ...]
    ask: Callable[[ModelSpec, Mapping[str, Scalar]], Iterable[Mapping[str, Value]]]
    note: tuple[str, ...] = ()
    marked: Callable[[Any], frozenset[str]] = lambda _: frozenset()


@dataclass
class Found:
    """The result of a search.

    Attributes:
        points: the number of combinations asked about.
        refused: the number of those without an answer, by reason.
        answers: the number of answers.
        rows: all answers that meet the condition, in the grid's order.
    """

    points: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    answers: int = 0
    rows: list[Row] = field(default_factory=list)


class Search:
    """Asks about every variant. Raises InputError for an invalid question."""

    def __init__(self, question: Question, asking: Asking) -> None:
        self.asking = asking
        axes = (*question.axes, *asking.settings)
        check_size(prod(len(axis.values) for axis in axes), question.sample)
        self.grid = Grid(axes, len(axes), question.sample, question.seed)
        if self.grid.size > MOST_POINTS:
            raise InputError(
                f"{self.grid.size:,} variants on machines are more than {MOST_POINTS:,}; search a sample: --sample"
                f" {MOST_POINTS:_}"
            )
        shown_keys = {**self._numbers, **dict.fromkeys(self._figures)}
        self.question = replace(
            question,
            columns=tuple(dict.fromkeys(self._named(text, shown_keys) for text in question.columns)),
            pareto=tuple(map(self._goal, question.pareto)),
            sort=None if question.sort is None else self._goal(question.sort),
        )
        self._condition = None
        if question.where is not None:
            self._condition = condition(question.where, lambda name: self._named(name, self._numbers))

    @cached_property
    def _axes(self) -> dict[str, Axis]:
        return {axis.path: axis for axis in self.grid.axes}

    @cached_property
    def _figures(self) -> dict[str, Column]:
        return {column.key: column for column in self.asking.figures}

    @cached_property
    def _numbers(self) -> dict[str, None]:
        """What can be compared and sorted by."""
        numeric = (key for key, column in self._figures.items() if not column.unit.is_text)
        whole = (path for path, axis in self._axes.items() if axis.is_whole)
        return dict.fromkeys((*numeric, *COUNTS, *RATIOS, *whole))

    def _goal(self, goal: Goal) -> Goal:
        return Goal(self._named(goal.key, self._numbers), goal.largest)

    def _named(self, text: str, known: Iterable[str]) -> str:
        """The key of `known` that a text names, by key or heading. Raises InputError if it names none."""
        titles = {key: (self._figures[key].title,) if key in self._figures else TITLES.get(key, ()) for key in known}
        return names.key_of(text, titles, "metric", hint=f"; known: {', '.join(titles)}")

    def run(self, progress: Callable[[int, int], None] = lambda _, __: None) -> Found:
        """All answers that meet the condition."""
        positions = self.grid.drawn(self.grid.size)
        indices = np.unravel_index(positions, self.grid.lengths)
        refusing = rules(self.question.base, self.question.axes)
        broken = np.broadcast_to(refusing.broken(indices), positions.shape)
        found = Found(len(positions))
        variant: tuple[tuple[Scalar, ...], ModelSpec] | None = None
        n_fields = len(self.question.axes)
        points = zip(*self.grid.values(positions), broken.tolist(), strict=True)
        for done, (*values, why) in enumerate(points, start=1):
            progress(done, len(positions))
            if why:
                found.refused[refusing.reasons[why - 1]] += 1
                continue
            # Settings are the innermost loops, so that a model is made once for all of them.
            if variant is None or variant[0] != tuple(values[:n_fields]):
                variant = tuple(values[:n_fields]), self._made(values[:n_fields])
            self._ask(variant[1], values, found)
        return found

    def _made(self, values: Iterable[Scalar]) -> ModelSpec:
        base = self.question.base
        assigned = {axis.path: value for axis, value in zip(self.question.axes, values, strict=True)}
        return consistent(base, assigned) if assigned else base

    def _ask(self, spec: ModelSpec, values: list[Scalar], found: Found) -> None:
        by_path = dict(zip(self._axes, values, strict=True))
        settings = {axis.path: by_path[axis.path] for axis in self.asking.settings}
        try:
            answers = list(self.asking.ask(spec, settings))
        except InputError as error:
            found.refused[str(error).removeprefix(f"{spec.id}: ").removeprefix(f"{spec.id}, ")] += 1
            return
        profile = cache(partial(priced, spec, self.question.workload))
        for answer in answers:
            row = Row(partial(self._value, by_path, answer, profile), partial(self._marks, answer, profile))
            found.answers += 1
            if self._condition is None or self._condition(partial(_quantity, row)):
                found.rows.append(row)

    def _value(
        self, by_path: Mapping[str, Scalar], answer: Mapping[str, Value], profile: Callable[[], Profile], key: str
    ) -> Value:
        if key in self._figures:
            return answer[key]
        if key in by_path:
            return by_path[key]
        return metric(key).value(profile())

    def _marks(
        self, answer: Mapping[str, Value], profile: Callable[[], Profile], columns: Sequence[str]
    ) -> frozenset[str]:
        others = [metric(key) for key in columns if key not in self._figures and key in BY_KEY]
        by_context = [each for each in others if each.is_marked]
        return self.asking.marked(answer).intersection(columns) | (
            marks([profile()], by_context)[0] if by_context else frozenset()
        )

    # --- the best ---------------------------------------------------------------------------------------------------

    def best(self, rows: list[Row]) -> tuple[list[Row], int]:
        """The rows to show, in order, and how many are on the front, or in all if none is asked for."""
        question = self.question
        if question.pareto and rows:
            chosen = front([_ranks(rows, goal) for goal in question.pareto])
            rows = [rows[place] for place in chosen.tolist()]
        order = question.sort or next(iter(question.pareto), None)
        if order is not None and rows:
            rows = [rows[place] for place in np.asarray(first(_ranks(rows, order), None)).tolist()]
        return rows[: question.top], len(rows)

    def table(self, found: Found, rows: list[Row], n_best: int, with_beyond: bool = False) -> Table:
        """One row an answer, best first.

        If `with_beyond`, data says whether the context is longer than the variant's context window.
        """
        question = self.question
        varying = (axis.path for axis in self.asking.settings if len(axis.values) > 1)
        fields = (axis.path for axis in question.axes)
        columns = {key: self.column(key) for key in (*fields, *varying, *question.columns)}
        answers = [key for key in columns if key not in self._axes]
        marked = tuple(row.marks(answers) for row in rows)
        if with_beyond:
            columns.setdefault(BEYOND, replace(self._figures.get(BEYOND, metric(BEYOND)), shown="data"))
        return Table(
            "variants",
            tuple(columns.values()),
            tuple({key: row(key) for key in columns} for row in rows),
            marked=marked if any(marked) else (),
            notes=(
                *marked_note(question, marked),
                *notes(question, self._counts(found, len(rows), n_best), found.refused, found.points),
                *self.asking.note,
            ),
            specs=(question.base,),
        )

    def column(self, key: str) -> Column:
        """The column of a figure, a metric or a varying field."""
        if key in self._figures:
            return replace(self._figures[key], shown="always")
        if key in self._axes:
            return axis_column(self._axes[key])
        return metric_column(key, self.question.workload)

    def points(self, rows: list[Row], picture: Picture) -> Points:
        """Where rows are drawn: those that have both figures."""
        pairs = [(row(picture.x), row(picture.y)) for row in rows]
        known: list[Any] = [pair for pair in pairs if None not in pair]
        return [float(x) for x, _ in known], [float(y) for _, y in known]

    def _counts(self, found: Found, n_rows: int, n_best: int) -> Iterator[str]:
        yield f"{found.points - found.refused.total():,} with an answer"
        if found.answers > found.points - found.refused.total():
            yield f"{found.answers:,} layouts"
        if self.question.where is not None:
            yield f"of which {len(found.rows):,} meet the condition"
        if self.question.pareto:
            yield on_the_front(n_best, n_rows)


def _quantity(row: Row, key: str) -> Quantity:
    """A value to compare. One that does not exist meets no condition."""
    value = row(key)
    return UNDEFINED if value is None else Quantity.of(value)


def _ranks(rows: list[Row], goal: Goal) -> Any:
    """The place of each row's value in the order of the goal: exact for fractions too. Missing values come last."""
    values: list[Any] = [row(goal.key) for row in rows]
    known = sorted({value for value in values if value is not None}, reverse=goal.largest)
    place = {value: number for number, value in enumerate(known)}
    return np.array([place.get(value, len(known)) for value in values])
