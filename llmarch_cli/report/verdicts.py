"""What the witnesses say, as a table: one line for each model and witness."""

from __future__ import annotations

from collections.abc import Sequence

from llmarch_cli.profilers.verification import Verdict
from llmarch_cli.report.table import Column, Table
from llmarch_cli.report.units import TEXT

_WORDS = {True: "agrees", False: "DISAGREES", None: "cannot say"}

_COLUMNS = (
    Column("model", "model", TEXT, "The spec's id; for a YAML file its name."),
    Column("witness", "witness", TEXT, "Who was asked."),
    Column("verdict", "verdict", TEXT, "Whether it agrees with this tool's figures."),
    Column("detail", "detail", TEXT, "What was compared."),
)


def verdicts(said: Sequence[Verdict]) -> Table:
    """One row a verdict, and how they add up."""
    rows = tuple(
        {"model": v.model, "witness": v.witness, "verdict": _WORDS[v.agrees], "detail": v.detail} for v in said
    )
    agree, disagree, silent = (sum(v.agrees is agrees for v in said) for agrees in (True, False, None))
    note = f"Of {len(said):,} witnesses, {agree:,} agree, {disagree:,} disagree, and {silent:,} cannot say."
    return Table("verdicts", _COLUMNS, rows, notes=(note,))
