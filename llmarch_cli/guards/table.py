"""What guards found, as tables: each limit with its headroom, and each figure that moved."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from fractions import Fraction

from llmarch_cli.errors import shown_path
from llmarch_cli.guards.baselines import Baseline, Drift
from llmarch_cli.guards.budgets import Check
from llmarch_cli.profilers.profile import Engine
from llmarch_cli.report import units
from llmarch_cli.report.comparison import WITNESSED
from llmarch_cli.report.table import Column, Table
from llmarch_cli.report.units import ABSENT, DIFFERENCE, INTEGER, MARK, SHARE, TEXT, TIMES, TOKENS, WRITTEN, Unit, Value

_PRECISE = {SHARE: units.precise_share, TIMES: units.precise_times}

_MODEL = Column("model", "model", TEXT, "As it was selected: its id, or the path of its file.")
_FIGURE = Column("figure", "figure", TEXT, "The column's key, at a context where it depends on one.")
_METRIC = Column("metric", "metric", TEXT, "The column's key.", "data")
_CONTEXT = Column("context_tokens", "context", TOKENS, "Tokens in view; none where it does not matter.", "data")

_CHECKS = (
    _MODEL,
    Column("check", "limit", TEXT, "As it stands in the file."),
    Column("measured_written", "measured", WRITTEN, "The exact figure.", "reading"),
    Column(
        "headroom_written", "headroom", WRITTEN, "What is left to the limit; below zero: what is beyond.", "reading"
    ),
    Column("headroom_share", "of limit", DIFFERENCE, "The headroom, of the limit.", "reading"),
    Column("verdict", "verdict", TEXT, "Whether the limit is kept."),
    _METRIC,
    _CONTEXT,
    Column("batch", "batch", INTEGER, "Sequences.", "data"),
    Column("kv_dtype", "cache dtype", TEXT, "What the cache stores its values as.", "data"),
    Column("comparison", "comparison", TEXT, "How the figure is compared with the limit.", "data"),
    Column("measured", "measured", INTEGER, "The figure; a ratio as a decimal number.", "data"),
    Column("limit", "limit", INTEGER, "The amount.", "data"),
    Column("headroom", "headroom", INTEGER, "What is left to it.", "data"),
    Column("violated", "violated", MARK, "Whether the limit is not kept.", "data"),
)

_DRIFTS = (
    _MODEL,
    _FIGURE,
    Column("before_written", "before", WRITTEN, "The exact figure as it was.", "reading"),
    Column("after_written", "after", WRITTEN, "The exact figure as it is.", "reading"),
    Column("change_written", "change", WRITTEN, "The difference.", "reading"),
    Column("change_share", "in %", DIFFERENCE, "The difference, of what it was.", "reading"),
    Column("verdict", "verdict", TEXT, "Whether it moved, and further than it may."),
    _METRIC,
    _CONTEXT,
    Column("before", "before", INTEGER, "The figure as it was.", "data"),
    Column("after", "after", INTEGER, "The figure as it is.", "data"),
    Column("change", "change", INTEGER, "The difference.", "data"),
    Column("tolerance", "tolerance", DIFFERENCE, "How far it may move, of what it was.", "data"),
    Column("drifted", "drifted", MARK, "Whether it moved further.", "data"),
)


def budget(checks: Sequence[Check], engine: Engine) -> Table:
    """One row a limit and model."""
    violated = sum(not check.holds for check in checks)
    kept = f"{_limits(len(checks))} kept." if not violated else f"{violated:,} of {_limits(len(checks))} NOT kept."
    return Table(
        "checks",
        _CHECKS,
        tuple(map(_check, checks)),
        notes=(kept, WITNESSED[engine]),
        named_by=("model", "check", "batch", "kv_dtype"),
        fails="violated",
    )


def _limits(number: int) -> str:
    return f"{number:,} limit{'' if number == 1 else 's'}"


def _check(check: Check) -> Mapping[str, Value]:
    limit, unit = check.limit, check.limit.figure.metric.unit
    headroom = check.headroom
    none = "NOT KNOWN" if check.measured is None else "VIOLATED"
    return {
        "model": check.model,
        "check": limit.text,
        "measured_written": _exact(check.measured, unit),
        "headroom_written": _exact(headroom, unit),
        "headroom_share": None if headroom is None or not limit.amount else Fraction(headroom) / limit.amount,
        "verdict": "kept" if check.holds else none,
        "metric": limit.figure.key,
        "context_tokens": limit.figure.context,
        "batch": check.workload.batch,
        "kv_dtype": check.workload.kv_dtype,
        "comparison": limit.comparison,
        "measured": check.measured,
        "limit": limit.amount,
        "headroom": headroom,
        "violated": not check.holds,
    }


def baseline(drifts: Sequence[Drift], engine: Engine, everything: bool = False) -> Table:
    """One row a figure that moved, came or went; with `everything`, one a figure."""
    beyond = sum(drift.is_beyond for drift in drifts)
    models = len({drift.model for drift in drifts})
    compared = f"{len(drifts):,} figures of {models:,} model{'' if models == 1 else 's'}"
    told = f"{compared}: {beyond:,} beyond tolerance." if beyond else f"{compared}: none beyond tolerance."
    rows = tuple(_drift(drift) for drift in drifts if everything or drift.status != "same")
    return Table("drift", _DRIFTS, rows, notes=(told, WITNESSED[engine]), named_by=("model", "figure"), fails="drifted")


def revisions(drifts: Sequence[Drift], unreadable: Sequence[str], revision: str, engine: Engine) -> Table:
    """One row a figure that moved since a revision; a move is no failure."""
    moved = {drift.model for drift in drifts if drift.status != "same"}
    told = f"{len(moved):,} model{'' if len(moved) == 1 else 's'} changed in figures since {revision}."
    asked = [f"Not readable at {revision}: {name}." for name in unreadable]
    rows = tuple(_drift(drift) | {"verdict": _MOVES[drift.status]} for drift in drifts if drift.status != "same")
    table = baseline(drifts, engine)
    return replace(table, name="changes", rows=rows, notes=(told, *asked, WITNESSED[engine]), fails=None)


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
    """A figure to its last digit; a ratio as far as six decimals tell."""
    if value is None:
        return ABSENT
    return _PRECISE[unit](Fraction(value)) if unit.is_ratio else f"{value:,}"


def written(path: str, kept: Baseline) -> str:
    """A line on a baseline that was written."""
    figures = sum(map(len, kept.figures.values()))
    models = len(kept.figures)
    return f"{shown_path(path)}: {figures:,} figures of {models:,} model{'' if models == 1 else 's'}.\n"
