"""What fits of each variant of a model: what a search may vary besides the model's fields, and the answers it gets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from copy import copy
from dataclasses import asdict, replace
from typing import Any

from llmarch_cli.deployment.chips import Machines, machines
from llmarch_cli.deployment.figures import BY_KEY, Figures
from llmarch_cli.deployment.fit import Question, Sizes, fit, require_question
from llmarch_cli.deployment.layouts import Layout
from llmarch_cli.deployment.table import BEST_LAYOUT, BOUNDS, reserve_note, setting
from llmarch_cli.errors import InputError
from llmarch_cli.report.table import Column
from llmarch_cli.specs.spec import ModelSpec

MACHINES, BATCH = "machines", "batch"

# What can vary besides the fields of a model, and the type of its values.
SETTINGS: Mapping[str, type[int] | type[bool]] = {
    **{name: type(size) for name, size in asdict(Layout()).items()},
    BATCH: int,
}

COLUMNS = ("layout", "most_sequences", "user_tokens_per_second", "tokens_per_second", "first_token_seconds")


class Variants:
    """Answers what fits of variants, one by one.

    Args:
        on: the machines, as in `chips.machines`.
        question: what is asked of each variant, besides its settings.
        every_layout: whether each layout that divides a variant is an answer, or the best one alone.

    Raises InputError for unknown machines and for a question that is out of range.
    """

    def __init__(self, on: Sequence[str], question: Question, every_layout: bool) -> None:
        require_question(question)
        self.question, self.every_layout = question, every_layout
        self._machines: dict[str, Machines] = {text: machines(text) for text in on}
        self._latest: Sizes | None = None

    figures: tuple[Column, ...] = tuple(figure.column for figure in BY_KEY.values())

    def ask(self, spec: ModelSpec, settings: Mapping[str, Any]) -> Iterator[Figures]:
        """What fits of a variant, each layout that is an answer.

        `settings` are of the names of `SETTINGS`, and under `machines` the text of those. Raises InputError with the
        reason if no layout divides the variant, and if it does not fit.
        """
        sizes = {name: value for name, value in settings.items() if name not in (MACHINES, BATCH)}
        question = replace(
            self.question,
            batch=settings.get(BATCH, self.question.batch),
            sizes={**self.question.sizes, **sizes},
        )
        require_question(question)
        on = self._machines[settings[MACHINES]]
        at = self._sizes(spec, question)
        asked = [at]
        if self.every_layout:
            asked = [self._sizes(spec, replace(question, sizes=asdict(each))) for each in at.candidates(on)]
        found = [each for each in (fit(sizes, on) for sizes in asked) if not each.missing]
        if not found:
            raise InputError(f"does not fit on {on}")
        yield from map(Figures, found)

    def _sizes(self, spec: ModelSpec, question: Question) -> Sizes:
        """What devices hold of a variant. What depends on neither layout nor batch is computed once."""
        if self._latest is None or self._latest.spec is not spec:
            self._latest = Sizes(spec, question)
        sizes = copy(self._latest)
        sizes.question = question
        return sizes

    def words(self) -> Iterator[str]:
        """What is assumed, a sentence each."""
        machines = ", ".join(map(str, self._machines.values()))
        yield f"Setting: on {machines}, {setting(self.question.workload)}."
        yield "Layout: each that divides the variant and fits." if self.every_layout else BEST_LAYOUT
        yield reserve_note(self.question)
        yield BOUNDS
