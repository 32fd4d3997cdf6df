"""The results of `verify` as a table: one row per model and check, or one per model with all its checks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from llmarch_cli.profilers.profile import Profile
from llmarch_cli.profilers.verification import Verdict
from llmarch_cli.report.comparison import comparison
from llmarch_cli.report.table import Column, Table
from llmarch_cli.report.units import TEXT

_WORDS = {True: "agrees", False: "DISAGREES", None: "not applicable"}

_COLUMNS = (
    Column("model", "model", TEXT, "The spec's id; for a YAML file its name."),
    Column("check", "check", TEXT, "The independent source that was compared."),
    Column("verdict", "verdict", TEXT, "Whether it agrees with the metrics of this tool."),
    Column("detail", "detail", TEXT, "The values compared."),
)
_CHECKS = Column("checks", "checks", TEXT, "The independent sources and the values compared.", "data")
_WRONG = "wrong"  # the disagreements, in words; not a column


def verdicts(found: Sequence[Verdict]) -> Table:
    """One row per verdict, with a summary."""
    rows = tuple(
        {"model": v.model, "check": v.check, "verdict": _WORDS[v.agrees], "detail": v.detail, _WRONG: _wrong([v])}
        for v in found
    )
    agree, disagree, silent = (sum(v.agrees is agrees for v in found) for agrees in (True, False, None))
    note = f"{len(found):,} checks: {agree:,} agree, {disagree:,} disagree, {silent:,} not applicable."
    return Table("verdicts", _COLUMNS, rows, notes=(note,), named_by=("model", "check"), fails=_WRONG)


def held(models: Sequence[tuple[Profile, Sequence[Verdict]]]) -> Table:
    """One row per model: its metrics and the checks of them. A row fails if any check disagrees."""
    table = comparison([profile for profile, _ in models])
    rows = tuple(
        {**row, _CHECKS.key: "; ".join(f"{v.check}: {v.detail}" for v in found), _WRONG: _wrong(found)}
        for row, (_, found) in zip(table.rows, models, strict=True)
    )
    return replace(table, columns=(*table.columns, _CHECKS), rows=rows, fails=_WRONG)


def _wrong(found: Sequence[Verdict]) -> str:
    return "; ".join(f"{verdict.check}: {verdict.detail}" for verdict in found if verdict.agrees is False)
