"""What differs between two models: their figures side by side, then each change with what it does to them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from llmarch_cli.components.component import Component, Record, number
from llmarch_cli.errors import shown
from llmarch_cli.profilers.attribution import FIGURES, Difference
from llmarch_cli.profilers.cost import Cost
from llmarch_cli.report import comparison, layout, units
from llmarch_cli.report.columns import metric
from llmarch_cli.report.table import Column, Shown, Table
from llmarch_cli.report.units import ABSENT, Value, signed
from llmarch_cli.specs.differences import Change
from llmarch_cli.specs.spec import ModelSpec

SAME = "The same architecture: at most names, dates, licenses and what is published differ."
ORDER = (
    "Effects add up exactly. Where changes interact, each does what it does on top of the steps before it, which go in"
    " the order of a spec's fields. A layout changes after its components, or before them where it gives up a variant."
)

_IF_ANY = ("mtp_params", "buffers")  # beside the four figures


def differences(difference: Difference) -> tuple[Table, ...]:
    """The figures of both models with what became of each, and the changes, which are the main table."""
    both = (difference.before, difference.after)
    also = [key for key in _IF_ANY if any(metric(key).value(profile) for profile in both)]
    figures = comparison.comparison(both, [*FIGURES, *also], paired=True)
    return replace(figures, main=False), _changes(difference)


def _changes(difference: Difference) -> Table:
    """One row a step, the weightiest first."""
    before, after = difference.before.spec, difference.after.spec
    columns = (
        Column("change", "what changes", units.TEXT, "The fields, or the layout."),
        Column("before", before.id, units.TEXT, "What the first model has.", "data"),
        Column("after", after.id, units.TEXT, "What the second model has.", "data"),
        Column("before_told", before.id, units.TEXT, "The same in words.", "reading", "values"),
        Column("after_told", after.id, units.TEXT, "The same in words.", "reading", "values"),
        Column("step", "step", units.INTEGER, "Its place on the way from one model to the other.", group="effects"),
        *map(_effect_column, (*FIGURES, *_IF_ANY)),
    )
    lines = tuple(
        {
            "change": _named(effect.changes),
            "before": "; ".join(_layout(before, change) or _plain(change.before) for change in effect.changes),
            "after": "; ".join(_layout(after, change) or _plain(change.after) for change in effect.changes),
            "before_told": "; ".join(_layout(before, change) or _told(change.before) for change in effect.changes),
            "after_told": "; ".join(_layout(after, change) or _told(change.after) for change in effect.changes),
            "step": effect.place,
            **_effects(effect.cost, effect.mtp),
        }
        for effect in difference.by_weight
    )
    if not lines:
        return Table("changes", columns, (), notes=(SAME,))
    total: dict[str, Value] = {"change": "total", "before_told": "", "after_told": "", "step": None}
    total |= _effects(difference.cost, difference.mtp)
    return Table("changes", columns, lines, notes=(ORDER,), total=total)


def _effect_column(key: str) -> Column:
    figure = metric(key)
    shown: Shown = "if any" if key in _IF_ANY else "always"
    return Column(key, figure.title, signed(figure.unit), f"What it adds to: {figure.convention}", shown, "effects")


def _effects(cost: Cost, mtp: Cost) -> dict[str, Value]:
    effects: dict[str, Value] = {key: getattr(cost, key) for key in FIGURES}
    return effects | {"mtp_params": mtp.params + mtp.buffers, "buffers": cost.buffers}


def _named(changes: Sequence[Change]) -> str:
    """`attention (local): window`: where changes are made, and in which fields."""
    parts: dict[str, list[str]] = {}
    for change in changes:
        variant = f" ({' / '.join(dict.fromkeys(change.variant))})" if change.variant else ""
        what = "layout" if change.is_layout else ".".join(change.field)
        parts.setdefault(f"{change.part}{variant}", []).append(what)
    named = (f"{part}: {', '.join(fields)}" if any(fields) else part for part, fields in parts.items())
    return "; ".join(text.removeprefix("model: ") for text in named)


def _layout(spec: ModelSpec, change: Change) -> str:
    return layout.order(spec, change.part) if change.is_layout else ""


def _plain(value: Any) -> str:
    """A value as YAML has it; what is more than one in words."""
    return shown(value) if value is None or isinstance(value, bool | int | float) else _told(value)


def _told(value: Any) -> str:
    """A value in few words: a setting as a person writes it, a component as tables have it."""
    match value:
        case None:
            return ABSENT
        case bool():
            return units.yes_no(value)
        case int() | float():
            return number(value)
        case Component():
            return ", ".join(filter(None, (value.heads, value.label)))
        case Record():
            return str(getattr(value, "label", value.details))
        case dict():
            return " beside ".join(map(_told, value.values()))
        case _:
            return str(value)
