"""Budgets: limits on metrics of models, such as `kv_cache_bytes@128k <= 2GiB`.

budgets:
  - models: [qwen3-8b, specs/*.yaml]
    limits: [params <= 30B, active_share <= 10%]
"""

from __future__ import annotations

import operator
import re
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, WithJsonSchema

from llmarch_cli.components.fields import Limits
from llmarch_cli.components.record import Record
from llmarch_cli.errors import InputError, shown, shown_path
from llmarch_cli.expressions import UNITS, Expression
from llmarch_cli.guards import selection
from llmarch_cli.guards.gauge import (
    CONTEXT_PATTERN,
    GUARDED,
    Gauge,
    MetricAt,
    MostSequences,
    SequencesOn,
    difference,
    metric_at,
)
from llmarch_cli.guards.selection import Batch, ModelNames, Settings, Version
from llmarch_cli.profilers.cost import Engine, KvDtype, StateDtype, Workload
from llmarch_cli.profilers.profile import MAX_CONTEXT
from llmarch_cli.report import units
from llmarch_cli.report.units import Unit
from llmarch_cli.specs import documents
from llmarch_cli.specs.loading import checked
from llmarch_cli.specs.storage import AskedFormat

COMPARISONS = {"<=": operator.le, "<": operator.lt, ">=": operator.ge, ">": operator.gt, "==": operator.eq}

_LIMIT = re.compile(r"(?P<figure>\S.*?)\s*(?P<comparison><=|>=|==|<|>)\s*(?P<amount>[0-9][0-9_.]*)\s*(?P<unit>\S*)")
_MACHINES = r"[^\s,()]{1,100}"
_FITS = re.compile(
    rf"fits\(\s*(?P<machines>{_MACHINES})\s*,\s*(?P<context>{CONTEXT_PATTERN})\s*(?:,\s*(?P<sequences>[0-9]{{1,7}})\s*)?\)"
)
LONGEST_LIMIT = 200
_COUNTS = ("", "K", "M", "B", "T")
_UNITS: dict[Unit, tuple[str, ...]] = {  # "": no unit
    units.INTEGER: _COUNTS,
    units.PARAMS: _COUNTS,
    units.FLOPS: _COUNTS,
    units.TOKENS: ("",),
    units.BYTES: ("", "KiB", "MiB", "GiB", "TiB"),
    units.SHARE: ("%",),
    units.TIMES: ("",),
}


@dataclass(frozen=True, slots=True)
class Limit:
    """A limit: a metric, a comparison and an exact amount. `fits` is a limit on the most sequences that do."""

    figure: MetricAt | SequencesOn
    comparison: str
    amount: int | Fraction
    text: str  # as written in the file

    def keeps(self, value: int | Fraction) -> bool:
        """Whether `value` meets the limit."""
        return bool(COMPARISONS[self.comparison](value, self.amount))

    def headroom(self, value: int | Fraction) -> int | Fraction:
        """The distance from `value` to the limit; negative beyond it."""
        match self.comparison[0]:
            case "<":
                return difference(self.amount, value)
            case ">":
                return difference(value, self.amount)
            case _:
                return min(difference(value, self.amount), difference(self.amount, value))


def limit(text: str) -> Limit:
    """Parse `METRIC[@CONTEXT] OP AMOUNT`, or `fits(MACHINES, CONTEXT[, SEQUENCES])`.

    Raises InputError for any other text, and for a wrong unit.
    """
    if text.strip().startswith("fits"):
        return _fits(text.strip())
    match = _LIMIT.fullmatch(text.strip())
    if match is None:
        raise InputError(
            f"{shown(text)} is not a limit: write METRIC[@CONTEXT] {'|'.join(COMPARISONS)} AMOUNT,"
            " such as kv_cache_bytes@128k <= 2GiB"
        )
    limited = metric_at(match["figure"])
    takes = _UNITS[limited.metric.unit]
    if match["unit"] not in takes:
        named = " or ".join(", ".join(filter(None, takes)).rsplit(", ", 1)) or "no unit"
        raise InputError(f"{shown(text)}: {limited.key} takes {named}, not {shown(match['unit'] or match['amount'])}")
    number = Expression(match["amount"]).value(lambda _: None)
    amount = number * UNITS.get(match["unit"], 1)
    if not limited.metric.unit.is_ratio:
        if Fraction(amount).denominator != 1:
            raise InputError(f"{shown(text)}: {limited.key} is a whole number, so its limit must be one")
        amount = int(amount)
    return Limit(limited, match["comparison"], amount, text.strip())


def _fits(text: str) -> Limit:
    match = _FITS.fullmatch(text)
    if match is None or int(match["sequences"] or 1) < 1:
        raise InputError(
            f"{shown(text)}: write fits(MACHINES, CONTEXT, SEQUENCES), such as fits(8xh100, 32k, 64); in a list in"
            " brackets, in quotes"
        )
    (named,) = Expression(f"context@{match['context']}").references()
    if not 1 <= (context := named.context or 0) <= MAX_CONTEXT:
        raise InputError(f"{shown(text)}: a context must be from 1 to {MAX_CONTEXT:,} tokens")
    return Limit(SequencesOn(match["machines"], context), ">=", int(match["sequences"] or 1), text)


def _is_limit(text: str) -> str:
    try:
        limit(text)
    except InputError as error:
        raise ValueError(str(error)) from None
    return text


def _pattern() -> str:
    """The pattern of a limit for editors: each metric with its context and units."""
    number, comparison = r"[0-9]+(_[0-9]+)*(\.[0-9]+)?", f"({'|'.join(COMPARISONS)})"
    sorts: dict[tuple[bool, tuple[str, ...]], list[str]] = {}
    for key, metric in GUARDED.items():
        sorts.setdefault((metric.by_context, _UNITS[metric.unit]), []).append(key)
    each = (
        rf"({'|'.join(keys)}){f'@{CONTEXT_PATTERN}' if at else ''} *{comparison} *{number} *({'|'.join(takes)})"
        for (at, takes), keys in sorts.items()
    )
    fits = rf"fits\( *{_MACHINES} *, *{CONTEXT_PATTERN} *(, *[1-9][0-9]{{0,6}} *)?\)"
    return f"^ *({'|'.join(each)}|{fits}) *$"


LimitText = Annotated[
    str,
    Limits(max_length=LONGEST_LIMIT),
    AfterValidator(_is_limit),
    WithJsonSchema({"type": "string", "maxLength": LONGEST_LIMIT, "pattern": _pattern()}),
]


class Budget(Record):
    """Limits, and the models they apply to."""

    models: ModelNames  # bundled ids, paths relative to this file, or patterns of either
    limits: Annotated[
        tuple[LimitText, ...], Limits(strict=False, min_length=1)
    ]  # METRIC[@CONTEXT] OP AMOUNT, or fits(MACHINES, CONTEXT, SEQUENCES)
    batch: Batch | None = None  # overrides the file's
    kv_dtype: KvDtype | None = None  # overrides the file's
    state_dtype: StateDtype | None = None  # overrides the file's
    weights: AskedFormat | None = None  # overrides the file's


class BudgetFile(Settings):
    """A budget file."""

    schema_version: Version = 1  # increases when the format changes
    budgets: Annotated[tuple[Budget, ...], Limits(strict=False, min_length=1)]


@dataclass(frozen=True, slots=True)
class Check:
    """One limit and the measured value; None if the spec does not state it."""

    model: str
    limit: Limit
    workload: Workload
    measured: int | Fraction | None

    @property
    def holds(self) -> bool:
        """Whether the limit is met. An unknown value does not meet it."""
        return self.measured is not None and self.limit.keeps(self.measured)

    @property
    def headroom(self) -> int | Fraction | None:
        """The distance from the measured value to the limit."""
        return None if self.measured is None else self.limit.headroom(self.measured)


def read(path: Path) -> tuple[BudgetFile, documents.Mapping]:
    """Read a budget file, and its data with line numbers. Raises InputError if it is not valid."""
    data = documents.read(path, "budget file")
    return checked(BudgetFile, data, shown_path(path)), data


def check(path: Path, engine: Engine, most_sequences: MostSequences | None = None) -> Iterator[Check]:
    """Check each limit for each of its models, in the order of the file at `path`.

    `most_sequences` says what fits on machines; a file with `fits` needs it.

    Raises InputError for an invalid file or spec and for names that match no model, before measuring; and what
    `profile` raises.
    """
    file, data = read(path)
    chosen = [
        (budget, _models(budget, data["budgets"][number]["models"], path)) for number, budget in enumerate(file.budgets)
    ]
    names = {name for _, models in chosen for name in models}
    specs = {name: selection.load(name, path.parent) for name in sorted(names)}
    gauge = Gauge(engine, most_sequences)
    for budget, models in chosen:
        workload = file.overridden(budget)
        for name in models:
            for each in map(limit, budget.limits):
                try:
                    measured = gauge.read(specs[name], each.figure, workload)
                except InputError as error:
                    if isinstance(each.figure, SequencesOn):  # of its machines
                        raise InputError(f"{shown_path(path)}: {each.text}: {error}") from None
                    raise
                yield Check(name, each, workload, measured)


def _models(budget: Budget, items: Any, path: Path) -> list[str]:
    """The models of one budget. Raises InputError with the line of a name that matches none."""
    chosen: dict[str, None] = {}
    for name, place in zip(budget.models, items.places, strict=True):
        found = selection.matches(name, path.parent)
        if not found:
            raise InputError(f"{place}: models: {selection.no_match(name, path.parent)}")
        chosen.update(dict.fromkeys(found))
    return list(chosen)
