"""One sweep: the question, the answer for a chunk of its grid, and the merge of all answers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from math import prod
from typing import Any

import numpy as np

from llmarch_cli.errors import CheckError, InputError, shown
from llmarch_cli.profilers.cost import Workload
from llmarch_cli.profilers.profile import profile
from llmarch_cli.report.columns import metric
from llmarch_cli.specs.spec import ModelSpec
from llmarch_cli.sweeping.axes import Axis
from llmarch_cli.sweeping.designs import consistent
from llmarch_cli.sweeping.grid import BLOCK, Block, Grid, Indices, ordered
from llmarch_cli.sweeping.pricing import RATIOS, Figures, Pricing, named, quotient
from llmarch_cli.sweeping.rules import Rules, rules
from llmarch_cli.sweeping.selection import Goal, Rows, first, front, joined, undominated
from llmarch_cli.sweeping.where import Condition, condition, quantity

CHECKED = 1000  # random variants of each run that are re-checked one by one
CHUNK = 1 << 20  # most points in a chunk, the unit of work for a worker and of storage on disk
MOST_BLOCKS = 1 << 10  # in a chunk: with small blocks, time grows with their number, not with the points


# The default metrics of a row.
COLUMNS = ("params", "active_params", "kv_cache_bytes", "kv_bytes_per_token", "flops_per_token")


@dataclass(frozen=True)
class Question:
    """The question of a sweep.

    Attributes:
        base: the spec that all variants are made from.
        axes: the fields that vary.
        workload: the context, batch and dtypes of all variants.
        columns: the metrics of each row.
        where: the condition that variants must meet; None accepts all.
        sort: the order of the rows; None for the grid's order.
        top: the most rows to keep; None for all.
        pareto: the metrics of the Pareto front, whose variants become the rows; empty for no front.
        sample: the number of random points to search; None for all.
        seed: the seed of the sampled points and of the re-checked ones.
        store: whether answers include all variants that meet the condition, to write them to a file.
        block: the most points computed at once.
        chunk: the most points per answer.
    """

    base: ModelSpec
    axes: tuple[Axis, ...]
    workload: Workload
    columns: tuple[str, ...]
    where: str | None = None
    sort: Goal | None = None
    top: int | None = None
    pareto: tuple[Goal, ...] = ()
    sample: int | None = None
    seed: int = 0
    store: bool = False
    block: int = BLOCK
    chunk: int = CHUNK

    def __post_init__(self) -> None:
        if self.top is not None and self.top < 1:
            raise InputError(f"--top must be 1 or more, not {self.top}")


@dataclass
class Answer:
    """The result of a chunk, or of consecutive chunks.

    Attributes:
        points: the number of points searched.
        refused: the number of invalid variants by reason.
        met: the number of valid variants that meet the condition.
        rows: the best of these.
        stored: all of these, if the question has `store`.
    """

    points: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    met: int = 0
    rows: Rows | None = None
    stored: Rows | None = None


class Search:
    """Answers a question chunk by chunk, in any process. Raises InputError for an invalid question."""

    def __init__(self, question: Question) -> None:
        self.question = question
        base, axes = question.base, question.axes
        by_path = {axis.path: axis for axis in axes}
        for name in (*question.columns, *(goal.key for goal in self._goals)):
            named(name, by_path, base)
        self._condition: Condition | None = None
        if question.where is not None:
            self._condition = condition(question.where, lambda name: named(name, by_path, base))
        self.axes, n_outer = ordered(base, axes, question.workload)
        self.grid = Grid(self.axes, n_outer, question.sample, question.seed, question.block)
        self._pricing = Pricing(base, self.axes, n_outer, question.workload)

    @property
    def _goals(self) -> tuple[Goal, ...]:
        sort = self.question.sort
        return (*self.question.pareto, *((sort,) if sort else ()))

    @cached_property
    def _rules(self) -> Rules:
        return rules(self.question.base, self.axes)

    @cached_property
    def _to_check(self) -> Indices:
        return self.grid.drawn(CHECKED)

    @property
    def _blocks_in_a_chunk(self) -> int:
        return max(1, min(MOST_BLOCKS, self.question.chunk * self.grid.n_blocks // max(1, self.grid.size)))

    @property
    def n_chunks(self) -> int:
        """The number of chunks."""
        return -(-self.grid.n_blocks // self._blocks_in_a_chunk)

    # --- one chunk --------------------------------------------------------------------------------------------------

    def answer(self, chunk: int) -> Answer:
        """Answer one chunk. Raises CheckError if a re-checked variant differs from the closed form."""
        start = chunk * self._blocks_in_a_chunk
        numbers = range(start, min(start + self._blocks_in_a_chunk, self.grid.n_blocks))
        answer = Answer()
        stored: list[Rows] = []
        for block in self.grid.blocks(numbers):
            rows = self._block(block, answer)
            if rows is not None and self.question.store:
                stored.append(rows)
        answer.stored = joined(stored) if stored else None
        return answer

    def _block(self, block: Block, answer: Answer) -> Rows | None:
        """Add a block to the answer. Return all rows that meet the condition if they are stored, else None."""
        broken = self._rules.broken(block.indices)
        counts = np.bincount(broken.reshape(-1), minlength=1)
        points = prod(block.shape)
        for number in np.flatnonzero(counts[1:]):
            answer.refused[self._rules.reasons[number]] += int(counts[number + 1]) * (points // broken.size)
        answer.points += points
        if counts[0] == 0:
            self._check(block, None, broken)
            return None

        figures = self._pricing.figures(block)
        self._check(block, figures, broken)
        meets: Any = broken == 0
        if self._condition is not None:
            meets = np.logical_and(meets, self._condition(partial(quantity, figures)))
        met = np.flatnonzero(np.broadcast_to(meets, block.shape))
        answer.met += len(met)
        if len(met):
            answer.rows = self._with(answer.rows, figures, met)
        return self._rows(figures, met) if self.question.store else None

    def _with(self, before: Rows | None, figures: Figures, met: Indices) -> Rows:
        """The best of the rows `before`, if any, and of the points of a later block that meet the condition."""
        losses = [goal.loss(figures.at(goal.key, met)) for goal in self._goals]
        if before is not None and self.question.pareto:
            # Few points of a block are better than the front so far: compared with it, the others need not be sorted.
            met = met[self._undominated(losses, before)]
            if not len(met):
                return before
            losses = [goal.loss(figures.at(goal.key, met)) for goal in self._goals]
        best = self._rows(figures, met[self._best(losses)])
        return best if before is None else self._joined(before, best)

    def _joined(self, before: Rows, after: Rows) -> Rows:
        """The best of rows that are the best of theirs: of an earlier part of the grid, and of a later one."""
        if not self.question.pareto:
            return self.best(joined((before, after)))
        after = after.take(self._undominated(self._losses(after), before))  # of equals, the first is on the front
        return joined((before.take(self._undominated(self._losses(before), after)), after)) if len(after) else before

    def _undominated(self, losses: list[Any], rows: Rows) -> Indices:
        n_goals = len(self.question.pareto)
        return undominated(losses[:n_goals], self._losses(rows)[:n_goals])

    def _rows(self, figures: Figures, chosen: Indices) -> Rows:
        return Rows(figures.block.at(chosen), {key: figures.at(key, chosen) for key in self.columns})

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """The metrics computed for each row: the columns, the parts of ratios, and the goals."""
        asked = (*self.question.columns, *(goal.key for goal in self._goals))
        parts = (key for name in asked for key in RATIOS.get(name, ()))
        return tuple(dict.fromkeys((*(key for key in asked if key not in RATIOS), *parts)))

    # --- several ----------------------------------------------------------------------------------------------------

    def merge(self, total: Answer, answer: Answer) -> None:
        """Add the answer of a later chunk to the total, except for its `stored` rows."""
        total.points += answer.points
        total.refused += answer.refused
        total.met += answer.met
        if answer.rows is not None:
            total.rows = answer.rows if total.rows is None else self._joined(total.rows, answer.rows)

    def best(self, rows: Rows) -> Rows:
        """The best of `rows`, which are in the grid's order or joined from best rows of consecutive chunks."""
        return rows.take(self._best(self._losses(rows)))

    def _losses(self, rows: Rows) -> list[Any]:
        return [self._loss(rows, goal) for goal in self._goals]

    @staticmethod
    def _loss(rows: Rows, goal: Goal) -> Any:
        key = goal.key
        parts = [rows.figures[name] for name in RATIOS.get(key, (key,))]
        return goal.loss(quotient(*parts) if key in RATIOS else parts[0])

    def _best(self, losses: list[Any]) -> Any:
        """The indices of the rows that can still be among the best. `losses` has one array per goal."""
        pareto, (sort,) = losses[: len(self.question.pareto)], losses[len(self.question.pareto) :] or (None,)
        if pareto:
            return front(pareto)
        return slice(None) if self.question.top is None and sort is None else first(sort, self.question.top)

    def rows(self, total: Answer) -> Rows:
        """The final rows in order, once all chunks are merged. A front is sorted by its first goal by default."""
        if total.rows is None:
            empty = np.zeros(0, np.int64)
            return Rows(empty, dict.fromkeys(self.columns, empty))
        if not self.question.pareto:
            return total.rows
        goal = self.question.sort or self.question.pareto[0]
        return total.rows.take(first(self._loss(total.rows, goal), self.question.top))

    # --- the check --------------------------------------------------------------------------------------------------

    def _check(self, block: Block, figures: Figures | None, broken: Any) -> None:
        """Re-check the random points that fall into `block`: make and profile each as a spec of its own."""
        low, high = np.searchsorted(self._to_check, (block.positions[0], block.positions[-1] + 1))
        places = block.places(self._to_check[low:high])
        if not len(places):
            return
        fits = np.broadcast_to(broken == 0, block.shape).reshape(-1)[places]
        names = [name for name in self.columns if name not in {axis.path for axis in self.axes}]
        ours = [figures.at(name, places).tolist() if figures else [None] * len(places) for name in names]
        variants = zip(*self.grid.values(block.at(places)), strict=True)
        for values, fit, *counts in zip(variants, fits.tolist(), *ours, strict=True):
            assignments = {axis.path: value for axis, value in zip(self.axes, values, strict=True)}
            try:
                spec = consistent(self.question.base, assignments)
            except ValueError:
                if fit:
                    raise CheckError(f"the sweep accepts {_in_words(assignments)}, an invalid spec") from None
                continue
            if not fit:
                raise CheckError(f"the sweep skips {_in_words(assignments)}, a valid spec")
            true = profile(spec, self.question.workload, "closed-form")
            for name, count in zip(names, counts, strict=True):
                if metric(name).value(true) != count:
                    raise CheckError(
                        f"{_in_words(assignments)}: {name} is {count:,} in the sweep,"
                        f" but {metric(name).value(true):,} in the closed form"
                    )


def columns_for(
    columns: Sequence[str], pareto: Sequence[Goal], sort: Goal | None, default: Sequence[str] = COLUMNS
) -> tuple[str, ...]:
    """The requested metrics, or the default ones and those that rows are chosen and sorted by."""
    goals = (*pareto, *((sort,) if sort else ()))
    return tuple(dict.fromkeys(columns or (*default, *(goal.key for goal in goals))))


def _in_words(assignments: Mapping[str, Any]) -> str:
    return ", ".join(f"{path}={shown(value)}" for path, value in assignments.items())
