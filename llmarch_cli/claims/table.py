"""Checked claims as tables, those that do not hold first, with measured values beside each statement."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

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
# Away from their section, statements are read behind its title.
_SAID = Column("said", "statement", TEXT, "The statement behind the title of its section.", "reading")
_CHANGED = (_SAID, *(replace(each, shown="data") if each.key == "statement" else each for each in _COLUMNS))
_REFUTED = tuple(replace(each, shown="data") if each.key == "verdict" else each for each in _CHANGED)
_OUTSIDE = (
    Column("statement", "statement", TEXT, "The statement, paraphrased."),
    Column("why", "why it cannot be checked", TEXT, "Why an architecture does not determine it."),
)


def findings(sections: Sequence[tuple[Section, Sequence[Finding]]], outside: Sequence[Outside]) -> list[Table]:
    """Verdicts that have changed, what does not hold, the rest by section, then the statements that cannot be checked.

    A summary is in the notes of the last table.
    """
    pairs = [(section, finding) for section, found in sections for finding in found]
    changed = [pair for pair in pairs if not pair[1].confirmed]
    refuted = [pair for pair in pairs if pair[1].confirmed and not pair[1].true]
    tables = [_table("Verdicts that have changed", changed, _CHANGED), _table("Does not hold", refuted, _REFUTED)]
    for section, found in sections:
        held = [(section, finding) for finding in found if finding.confirmed and finding.true]
        tables.append(_table(section.title, held, _COLUMNS))
    rows = tuple({"statement": each.says, "why": each.why} for each in outside)
    title = "Not checkable from an architecture"
    notes = tuple(_notes([finding for _, finding in pairs]))
    last = Table("outside", _OUTSIDE, rows, title=title, notes=notes, main=False)
    return [*(table for table in tables if table.rows), last]


def _table(title: str, found: Sequence[tuple[Section, Finding]], columns: Sequence[Column]) -> Table:
    sources = dict.fromkeys(_source(section, finding) for section, finding in found)
    rows = tuple(_row(section, finding) for section, finding in found)
    return Table("claims", tuple(columns), rows, title=title, notes=(f"Source: {' '.join(sources)}",))


def _row(section: Section, finding: Finding) -> Mapping[str, Value]:
    claim = finding.claim
    figures = (f"{name}: {unit.write(value)}{_named(unit.name)}" for name, value, unit in finding.figures)
    return {
        "said": f"{section.title}: {claim.says}",
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
