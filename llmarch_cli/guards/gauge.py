"""Figures that can be guarded: a metric, with a context where it depends on one, written `kv_cache_bytes@128k`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

from llmarch_cli.errors import InputError, shown, suggestion
from llmarch_cli.expressions import Expression
from llmarch_cli.profilers import profile as profiling
from llmarch_cli.profilers.cost import Workload
from llmarch_cli.profilers.profile import Engine, Profile
from llmarch_cli.report import units
from llmarch_cli.report.columns import BY_KEY, METRICS, RENAMED, Metric, metric
from llmarch_cli.specs.spec import ModelSpec

CONTEXT_PATTERN = "[0-9]{1,15}(_[0-9]{3}){0,5}[kM]?"
_FIGURE = re.compile(rf"[a-z][a-z0-9_]*(@{CONTEXT_PATTERN})?", re.ASCII)
ANY_CONTEXT = 1  # for metrics that are the same at every one

_ASKED = ("context_tokens", "batch")  # what is asked, not what is answered
_QUANTITIES = (units.INTEGER, units.TOKENS, units.PARAMS, units.BYTES, units.FLOPS, units.SHARE, units.TIMES)

# Every metric that is a quantity, by its key.
GUARDED: dict[str, Metric] = {m.key: m for m in METRICS if m.unit in _QUANTITIES and m.key not in _ASKED}


@dataclass(frozen=True, slots=True)
class Figure:
    """A metric's key, and the context that it is asked at; None where it depends on none."""

    key: str
    context: int | None = None

    def __str__(self) -> str:
        return self.key if self.context is None else f"{self.key}@{units.tokens(self.context).replace(',', '')}"

    @property
    def metric(self) -> Metric:
        """What is counted."""
        return GUARDED[self.key]

    @property
    def order(self) -> tuple[str, int]:
        """By which figures are sorted: as text, `@8k` would stand after `@128k`."""
        return self.key, self.context or 0


def checked_key(key: str) -> str:
    """`key`, if it is of a metric that can be guarded. Raises InputError where it is not."""
    if key in RENAMED:
        key = metric(key).key
    if key not in GUARDED:
        known = suggestion(key, GUARDED) or f"; known: {', '.join(GUARDED)}"
        raise InputError(
            f"{shown(key)} is no figure{known}" if key in BY_KEY else f"unknown metric {shown(key)}{known}"
        )
    return key


def figure(text: str) -> Figure:
    """The figure that `METRIC` or `METRIC@CONTEXT` names.

    Raises InputError for an unknown metric, and for a context that is missing, impossible or without effect.
    """
    if not _FIGURE.fullmatch(text):
        raise InputError(f"{shown(text)}: write METRIC or METRIC@CONTEXT, such as kv_cache_bytes@128k")
    (named,) = Expression(text).figures()
    key, context = checked_key(named.name), named.context
    if context is None and GUARDED[key].by_context:
        raise InputError(f"{key} depends on the context: write for instance {key}@128k")
    if context is not None and not GUARDED[key].by_context:
        raise InputError(f"{key} is the same at every context: write it without @")
    if context is not None and not 1 <= context <= profiling.MAX_CONTEXT:
        raise InputError(f"{shown(text)}: a context is from 1 to {profiling.MAX_CONTEXT:,} tokens")
    return Figure(key, context)


def difference(left: int | Fraction, right: int | Fraction) -> int | Fraction:
    """`left - right`, exactly, and whole where both are."""
    exact = Fraction(left) - right
    return exact if isinstance(left, Fraction) or isinstance(right, Fraction) else exact.numerator


class Gauge:
    """Measures figures of specs; each spec once for every workload."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._profiles: dict[tuple[int, Workload], Profile] = {}

    def read(self, spec: ModelSpec, figure: Figure, workload: Workload) -> int | Fraction | None:
        """The exact figure, at its own context; None where the spec has none. Raises what `profile` raises."""
        asked = workload.at(figure.context or ANY_CONTEXT)
        key = id(spec), asked
        if key not in self._profiles:
            self._profiles[key] = profiling.profile(spec, asked, self.engine)
        value = figure.metric.value(self._profiles[key])
        assert value is None or isinstance(value, int | Fraction)  # as all of GUARDED are
        return value
