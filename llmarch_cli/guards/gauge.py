"""Metrics for budgets and baselines, with a context if they depend on one: `kv_cache_bytes@128k`."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import ClassVar

from llmarch_cli.errors import InputError, shown, suggestion
from llmarch_cli.expressions import Expression
from llmarch_cli.profilers import profile as profiling
from llmarch_cli.profilers.cost import Workload
from llmarch_cli.profilers.profile import Engine, Profile
from llmarch_cli.report import names, units
from llmarch_cli.report.columns import BY_KEY, METRICS, RENAMED, TITLES, Metric, metric
from llmarch_cli.report.units import Unit
from llmarch_cli.specs.spec import ModelSpec

CONTEXT_PATTERN = "[0-9]{1,15}(_[0-9]{3}){0,5}[kM]?"
_FIGURE = re.compile(rf"[A-Za-z][A-Za-z0-9_ -]*(@{CONTEXT_PATTERN})?", re.ASCII)
ANY_CONTEXT = 1  # for metrics that do not depend on it

_ASKED = ("context_tokens", "batch", "prompt_tokens", "prefix_tokens")  # part of the workload
_QUANTITIES = (units.INTEGER, units.TOKENS, units.PARAMS, units.BYTES, units.FLOPS, units.SHARE, units.TIMES)

# All numeric metrics by key.
GUARDED: dict[str, Metric] = {m.key: m for m in METRICS if m.unit in _QUANTITIES and m.key not in _ASKED}


@dataclass(frozen=True, slots=True)
class MetricAt:
    """A metric's key and its context; None if the metric does not depend on it."""

    key: str
    context: int | None = None

    def __str__(self) -> str:
        return self.key if self.context is None else f"{self.key}@{units.tokens(self.context).replace(',', '')}"

    @property
    def metric(self) -> Metric:
        """The metric."""
        return GUARDED[self.key]

    @property
    def unit(self) -> Unit:
        """The unit of its values."""
        return self.metric.unit

    @property
    def order(self) -> tuple[str, int]:
        """The sort key: as text, `@8k` would come after `@128k`."""
        return self.key, self.context or 0


@dataclass(frozen=True, slots=True)
class SequencesOn:
    """The most sequences of a context that fit on machines, such as `8xh200`."""

    machines: str
    context: int

    key: ClassVar[str] = "most_sequences"
    unit: ClassVar[Unit] = units.INTEGER


MostSequences = Callable[[ModelSpec, str, Workload], int]  # a spec, machines, and the context and formats


def checked_key(key: str) -> str:
    """The key of a numeric metric, by key or heading. Raises InputError for any other."""
    if key in RENAMED:
        key = metric(key).key
    if key in BY_KEY and key not in GUARDED:
        known = suggestion(key, GUARDED) or f"; known: {', '.join(GUARDED)}"
        raise InputError(f"{shown(key)} is not a number{known}")
    titles = {key: TITLES[key] for key in GUARDED}
    return names.key_of(key, titles, "metric", hint=f"; known: {', '.join(GUARDED)}")


def metric_at(text: str) -> MetricAt:
    """Parse `METRIC` or `METRIC@CONTEXT`.

    Raises InputError for an unknown metric, and for a context that is missing, out of range or without effect.
    """
    if not _FIGURE.fullmatch(text):
        raise InputError(f"{shown(text)}: write METRIC or METRIC@CONTEXT, such as kv_cache_bytes@128k")
    name, at, _ = text.partition("@")
    key = checked_key(name.strip())
    (named,) = Expression(f"{key}{at}{text[len(name) + len(at) :]}").references()
    context = named.context
    if context is None and GUARDED[key].by_context:
        raise InputError(f"{key} depends on the context: write it as {key}@128k")
    if context is not None and not GUARDED[key].by_context:
        raise InputError(f"{key} does not depend on the context: leave out '@'")
    if context is not None and not 1 <= context <= profiling.MAX_CONTEXT:
        raise InputError(f"{shown(text)}: a context must be from 1 to {profiling.MAX_CONTEXT:,} tokens")
    return MetricAt(key, context)


def difference(left: int | Fraction, right: int | Fraction) -> int | Fraction:
    """`left - right`, exactly; an integer if both are integers."""
    exact = Fraction(left) - right
    return exact if isinstance(left, Fraction) or isinstance(right, Fraction) else exact.numerator


class Gauge:
    """Measures metrics of specs, each spec once per workload. `most_sequences` says what fits, if that is limited."""

    def __init__(self, engine: Engine, most_sequences: MostSequences | None = None) -> None:
        self.engine, self.most_sequences = engine, most_sequences
        self._profiles: dict[tuple[int, Workload], Profile] = {}

    def read(self, spec: ModelSpec, figure: MetricAt | SequencesOn, workload: Workload) -> int | Fraction | None:
        """The exact value of a metric; None if the spec does not state it. Raises what `profile` raises."""
        if isinstance(figure, SequencesOn):
            assert self.most_sequences is not None
            return self.most_sequences(spec, figure.machines, workload.at(figure.context))
        asked = workload.at(figure.context or ANY_CONTEXT)
        key = id(spec), asked
        if key not in self._profiles:
            self._profiles[key] = profiling.profile(spec, asked, self.engine)
        value = figure.metric.value(self._profiles[key])
        assert value is None or isinstance(value, int | Fraction)  # all of GUARDED are numeric
        return value
