"""What claims come to, as tables: a section each, with our numbers beside each statement."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from llmarch_cli.claims.claims import Finding, Outside, Section
from llmarch_cli.report.table import Column, Table
from llmarch_cli.report.units import TEXT, YES_NO, Value

_COLUMNS = (
    Column("statement", "statement", TEXT, "What is said, in this project's words."),
    Column("verdict", "verdict", TEXT, "Whether what is measured bears it out."),
    Column("measured", "measured", TEXT, "This tool's numbers."),
    Column("remark", "remark", TEXT, "What to know besides.", "if any"),
    Column("stands", "stands", YES_NO, "Whether the verdict is still what is measured.", "data"),
    Column("section", "section", TEXT, "What the statement is about.", "data"),
    Column("models", "models", TEXT, "Which models it is about.", "data"),
    Column("source", "source", TEXT, "Where it is said.", "data"),
)
_OUTSIDE = (
    Column("statement", "statement", TEXT, "What is said."),
    Column("why", "why it cannot be seen here", TEXT, "Why no architecture can show it."),
)


def findings(sections: Sequence[tuple[Section, Sequence[Finding]]], outside: Sequence[Outside]) -> list[Table]:
    """A table for each section, what lies outside, and how it all adds up beneath the last."""
    tables = [
        Table(
            "claims",
            _COLUMNS,
            tuple(_row(section, finding) for finding in found),
            title=section.title,
            notes=(f"Said in: {' '.join(dict.fromkeys(_source(section, finding) for finding in found))}",),
        )
        for section, found in sections
    ]
    every = [finding for _, found in sections for finding in found]
    rows = tuple({"statement": each.says, "why": each.why} for each in outside)
    title = "Outside of what an architecture can show"
    return [*tables, Table("outside", _OUTSIDE, rows, title=title, notes=tuple(_notes(every)), main=False)]


def _row(section: Section, finding: Finding) -> Mapping[str, Value]:
    claim = finding.claim
    figures = (f"{name}: {unit.write(value)}{_named(unit.name)}" for name, value, unit in finding.figures)
    return {
        "statement": claim.says,
        "verdict": claim.verdict if finding.stands else f"CHANGED: {'holds' if finding.true else 'does not hold'}",
        "measured": "; ".join(figures),
        "remark": claim.remark,
        "stands": finding.stands,
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
    yield f"Of {len(found):,} statements, {holds:,} hold, {remarked:,} hold with a remark, and {fails:,} do not."
    if changed := sum(not finding.stands for finding in found):
        yield f"{changed:,} of these verdicts are no longer what is measured."
