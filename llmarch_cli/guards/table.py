"""Tables of checked limits with their headroom, and of metrics that changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from fractions import Fraction

from llmarch_cli.errors import shown_path
from llmarch_cli.guards.baselines import Baseline, Drift
from llmarch_cli.guards.budgets import Check
from llmarch_cli.profilers.profile import Engine
from llmarch_cli.report import units
from llmarch_cli.report.comparison import ENGINE_NOTES
from llmarch_cli.report.table import Column, Table
from llmarch_cli.report.units import ABSENT, DIFFERENCE, INTEGER, MARK, SHARE, TEXT, TIMES, TOKENS, WRITTEN, Unit, Value

_PRECISE = {SHARE: units.precise_share, TIMES: units.precise_times}

_MODEL = Column("model", "model", TEXT, "The model's id, or the path of its file.")
_FIGURE = Column("figure", "metric", TEXT, "The metric's key, with the context if it depends on it.")
_METRIC = Column("metric", "key", TEXT, "The metric's key.", "data")
_CONTEXT = Column(
    "context_tokens", "context", TOKENS, "Tokens of context; empty if the metric does not depend on it.", "data"
)

_CHECKS = (
    _MODEL,
    Column("check", "limit", TEXT, "The limit as written in the file."),
    Column("measured_written", "measured", WRITTEN, "The exact value.", "reading"),
    Column("headroom_written", "headroom", WRITTEN, "The distance to the limit; negative beyond it.", "reading"),
    Column("headroom_share", "of limit", DIFFERENCE, "The headroom relative to the limit.", "reading"),
    Column("verdict", "verdict", TEXT, "Whether the limit is met."),
    _METRIC,
    _CONTEXT,
    Column("batch", "batch", INTEGER, "Sequences.", "data"),
    Column("kv_dtype", "KV dtype", TEXT, "The dtype of cached values.", "data"),
    Column("state_dtype", "state dtype", TEXT, "The dtype of states, if not their own.", "data"),
    Column("weights", "weights", TEXT, "The storage format of weights.", "data"),
    Column("comparison", "comparison", TEXT, "The comparison operator.", "data"),
    Column("measured", "measured", INTEGER, "The value; a ratio as a decimal number.", "data"),
    Column("limit", "limit", INTEGER, "The limit's amount.", "data"),
    Column("headroom", "headroom", INTEGER, "The distance to the limit.", "data"),
    Column("violated", "violated", MARK, "Whether the limit is exceeded.", "data"),
)

_DRIFTS = (
    _MODEL,
    _FIGURE,
    Column("before_written", "before", WRITTEN, "The exact value before.", "reading"),
    Column("after_written", "after", WRITTEN, "The exact value after.", "reading"),
    Column("change_written", "change", WRITTEN, "The difference.", "reading"),
    Column("change_share", "in %", DIFFERENCE, "The difference relative to the value before.", "reading"),
    Column("verdict", "verdict", TEXT, "Whether it changed, and by more than its tolerance."),
    _METRIC,
    _CONTEXT,
    Column("before", "before", INTEGER, "The value before.", "data"),
    Column("after", "after", INTEGER, "The value after.", "data"),
    Column("change", "change", INTEGER, "The difference.", "data"),
    Column("tolerance", "tolerance", DIFFERENCE, "The tolerance relative to the value before.", "data"),
    Column("drifted", "drifted", MARK, "Whether the change exceeds the tolerance.", "data"),
)


def budget(checks: Sequence[Check], engine: Engine) -> Table:
    """One row per limit and model."""
    violated = sum(not check.holds for check in checks)
    kept = f"{_limits(len(checks))} met." if not violated else f"{violated:,} of {_limits(len(checks))} EXCEEDED."
    return Table(
        "checks",
        _CHECKS,
        tuple(map(_check, checks)),
        notes=(kept, ENGINE_NOTES[engine]),
        named_by=("model", "check", "batch", "kv_dtype", "state_dtype", "weights"),
        fails="violated",
    )


def _limits(number: int) -> str:
    return f"{number:,} limit{'' if number == 1 else 's'}"


def _check(check: Check) -> Mapping[str, Value]:
    limit, unit = check.limit, check.limit.figure.unit
    headroom = check.headroom
    none = "UNKNOWN" if check.measured is None else "EXCEEDED"
    return {
        "model": check.model,
        "check": limit.text,
        "measured_written": _exact(check.measured, unit),
        "headroom_written": _exact(headroom, unit),
        "headroom_share": None if headroom is None or not limit.amount else Fraction(headroom) / limit.amount,
        "verdict": "met" if check.holds else none,
        "metric": limit.figure.key,
        "context_tokens": limit.figure.context,
        "batch": check.workload.batch,
        "kv_dtype": check.workload.kv_dtype,
        "state_dtype": check.workload.state_dtype,
        "weights": check.workload.weights,
        "comparison": limit.comparison,
        "measured": check.measured,
        "limit": limit.amount,
        "headroom": headroom,
        "violated": not check.holds,
    }


def baseline(drifts: Sequence[Drift], engine: Engine, everything: bool = False) -> Table:
    """One row per metric that changed, appeared or disappeared; with `everything`, one per metric."""
    beyond = sum(drift.is_beyond for drift in drifts)
    models = len({drift.model for drift in drifts})
    compared = f"{len(drifts):,} values of {models:,} model{'' if models == 1 else 's'}"
    summary = f"{compared}: {beyond:,} beyond tolerance." if beyond else f"{compared}: none beyond tolerance."
    rows = tuple(_drift(drift) for drift in drifts if everything or drift.status != "same")
    return Table(
        "drift", _DRIFTS, rows, notes=(summary, ENGINE_NOTES[engine]), named_by=("model", "figure"), fails="drifted"
    )


def revisions(drifts: Sequence[Drift], unreadable: Sequence[str], revision: str, engine: Engine) -> Table:
    """One row per metric that changed since a revision. A change is not a failure."""
    moved = {drift.model for drift in drifts if drift.status != "same"}
    summary = f"{len(moved):,} model{'' if len(moved) == 1 else 's'} with changed metrics since {revision}."
    failed = [f"Not valid at {revision}: {name}." for name in unreadable]
    rows = tuple(_drift(drift) | {"verdict": _MOVES[drift.status]} for drift in drifts if drift.status != "same")
    table = baseline(drifts, engine)
    return replace(table, name="changes", rows=rows, notes=(summary, *failed, ENGINE_NOTES[engine]), fails=None)


_MOVES = {"DRIFT": "changed", "within": "changed", "NEW": "new", "REMOVED": "removed"}


def _drift(drift: Drift) -> dict[str, Value]:
    unit = drift.figure.metric.unit
    change = _exact(drift.change, unit)
    return {
        "model": drift.model,
        "figure": str(drift.figure),
        "before_written": _exact(drift.before, unit),
        "after_written": _exact(drift.after, unit),
        "change_written": f"+{change}" if drift.change and drift.change > 0 else change,
        "change_share": drift.share,
        "verdict": drift.status,
        "metric": drift.figure.key,
        "context_tokens": drift.figure.context,
        "before": drift.before,
        "after": drift.after,
        "change": drift.change,
        "tolerance": drift.tolerance,
        "drifted": drift.is_beyond,
    }


def _exact(value: int | Fraction | None, unit: Unit) -> str:
    """A value to the last digit; a ratio with up to six decimals."""
    if value is None:
        return ABSENT
    return _PRECISE[unit](Fraction(value)) if unit.is_ratio else f"{value:,}"


def written(path: str, kept: Baseline) -> str:
    """A line that describes a written baseline."""
    figures = sum(map(len, kept.figures.values()))
    models = len(kept.figures)
    return f"{shown_path(path)}: {figures:,} values of {models:,} model{'' if models == 1 else 's'}.\n"
