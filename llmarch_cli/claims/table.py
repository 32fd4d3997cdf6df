"""Checked claims as tables, one per section, with measured values beside each statement."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from llmarch_cli.claims.claims import Finding, Outside, Section
from llmarch_cli.report.table import Column, Table
from llmarch_cli.report.units import TEXT, YES_NO, Value

_COLUMNS = (
    Column("statement", "statement", TEXT, "The statement, paraphrased."),
    Column("verdict", "verdict", TEXT, "Whether measurements confirm the statement."),
    Column("measured", "measured", TEXT, "The measured values."),
    Column("remark", "remark", TEXT, "A qualification of the verdict.", "if any"),
    Column("confirmed", "confirmed", YES_NO, "Whether the verdict still agrees with the measurement.", "data"),
    Column("section", "section", TEXT, "The title of the statement's section.", "data"),
    Column("models", "models", TEXT, "The models that the statement is about.", "data"),
    Column("source", "source", TEXT, "Where the statement was made.", "data"),
)
_OUTSIDE = (
    Column("statement", "statement", TEXT, "The statement, paraphrased."),
    Column("why", "why it cannot be checked", TEXT, "Why an architecture does not determine it."),
)


def findings(sections: Sequence[tuple[Section, Sequence[Finding]]], outside: Sequence[Outside]) -> list[Table]:
    """One table per section, then the statements that cannot be checked, with a summary in its notes."""
    tables = [
        Table(
            "claims",
            _COLUMNS,
            tuple(_row(section, finding) for finding in found),
            title=section.title,
            notes=(f"Source: {' '.join(dict.fromkeys(_source(section, finding) for finding in found))}",),
        )
        for section, found in sections
    ]
    every = [finding for _, found in sections for finding in found]
    rows = tuple({"statement": each.says, "why": each.why} for each in outside)
    title = "Not checkable from an architecture"
    return [*tables, Table("outside", _OUTSIDE, rows, title=title, notes=tuple(_notes(every)), main=False)]


def _row(section: Section, finding: Finding) -> Mapping[str, Value]:
    claim = finding.claim
    figures = (f"{name}: {unit.write(value)}{_named(unit.name)}" for name, value, unit in finding.figures)
    return {
        "statement": claim.says,
        "verdict": claim.verdict if finding.confirmed else f"CHANGED: {'holds' if finding.true else 'does not hold'}",
        "measured": "; ".join(figures),
        "remark": claim.remark,
        "confirmed": finding.confirmed,
        "section": section.title,
        "models": ", ".join(claim.models),
        "source": _source(section, finding),
    }


def _named(unit: str) -> str:
    return f" {unit}" if unit == "tokens" else ""


def _source(section: Section, finding: Finding) -> str:
    return finding.claim.source or section.source


def _notes(found: Sequence[Finding]) -> Iterator[str]:
    verdicts: list[str] = [finding.claim.verdict for finding in found]
    holds, remarked, fails = map(verdicts.count, ("holds", "holds with a remark", "does not hold"))
    yield f"{len(found):,} statements: {holds:,} hold, {remarked:,} hold with a remark, {fails:,} do not hold."
    if changed := sum(not finding.confirmed for finding in found):
        yield f"{changed:,} of these verdicts no longer {'agrees' if changed == 1 else 'agree'} with the measurement."
