"""What the witnesses say, as a table: one line for each model and witness, or each model's figures with all of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from llmarch_cli.profilers.profile import Profile
from llmarch_cli.profilers.verification import Verdict
from llmarch_cli.report.comparison import comparison
from llmarch_cli.report.table import Column, Table
from llmarch_cli.report.units import TEXT

_WORDS = {True: "agrees", False: "DISAGREES", None: "cannot say"}

_COLUMNS = (
    Column("model", "model", TEXT, "The spec's id; for a YAML file its name."),
    Column("witness", "witness", TEXT, "Who was asked."),
    Column("verdict", "verdict", TEXT, "Whether it agrees with this tool's figures."),
    Column("detail", "detail", TEXT, "What was compared."),
)
_WITNESSES = Column("witnesses", "witnesses", TEXT, "Who was asked, and what was compared.", "data")
_WRONG = "wrong"  # what disagrees, in words


def verdicts(said: Sequence[Verdict]) -> Table:
    """One row a verdict, and how they add up."""
    rows = tuple(
        {"model": v.model, "witness": v.witness, "verdict": _WORDS[v.agrees], "detail": v.detail, _WRONG: _wrong([v])}
        for v in said
    )
    agree, disagree, silent = (sum(v.agrees is agrees for v in said) for agrees in (True, False, None))
    note = f"Of {len(said):,} witnesses, {agree:,} agree, {disagree:,} disagree, and {silent:,} cannot say."
    return Table("verdicts", _COLUMNS, rows, notes=(note,), named_by=("model", "witness"), fails=_WRONG)


def held(models: Sequence[tuple[Profile, Sequence[Verdict]]]) -> Table:
    """One row a model: its figures, and what witnesses say of them. It fails where one disagrees."""
    table = comparison([profile for profile, _ in models])
    rows = tuple(
        {**row, _WITNESSES.key: "; ".join(f"{v.witness}: {v.detail}" for v in said), _WRONG: _wrong(said)}
        for row, (_, said) in zip(table.rows, models, strict=True)
    )
    return replace(table, columns=(*table.columns, _WITNESSES), rows=rows, fails=_WRONG)


def _wrong(said: Sequence[Verdict]) -> str:
    return "; ".join(f"{verdict.witness}: {verdict.detail}" for verdict in said if verdict.agrees is False)
