"""Two models of a family side by side: what differs comes first, in a line or two."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from llmarch_cli.profilers.attribution import difference
from llmarch_cli.profilers.profile import Profile
from llmarch_cli.report.differences import in_short
from llmarch_cli.report.table import Column, Table

WIDTH = 140  # of the lead, in characters: two lines of a narrow terminal
_DESCRIBED = ("shape", "layout")  # groups of columns that describe what the lead is about


def led(table: Table, profiles: Sequence[Profile], brief: bool = False) -> Table:
    """A comparison of `profiles`, with what differs as its lead if they are two models of a family.

    If `brief`, readers are shown no description that is equal in both, and none of positions, to make room for it.
    """
    if len(profiles) != 2 or (relation := _relation(*profiles)) is None:
        return table
    words, before, after = relation
    found = difference(before.spec, after.spec, before.workload, "closed-form")
    lead = f"{words}: {in_short(found, WIDTH - len(words))}."
    columns = tuple(_made_room(table, column) if brief else column for column in table.columns)
    return replace(table, lead=lead, columns=columns)


def _relation(first: Profile, second: Profile) -> tuple[str, Profile, Profile] | None:
    """How two models are related in words, and the two with the one that is extended first; None if they are not."""
    files, others = first.spec.lineage, second.spec.lineage
    if not files or not others or files[0] == others[0]:
        return None
    if files[0] in others:
        return f"{second.spec.id} extends {first.spec.id}", first, second
    if others[0] in files:
        return f"{first.spec.id} extends {second.spec.id}", second, first
    if common := [path for path in files if path in others]:
        return f"{first.spec.id} and {second.spec.id} extend {common[0].stem}", first, second
    return None


def _made_room(table: Table, column: Column) -> Column:
    first, second = table.values(column)
    needless = column.group in _DESCRIBED and (first == second or column.key == "positions")
    return replace(column, shown="data") if needless and column.shown != "reading" else column
