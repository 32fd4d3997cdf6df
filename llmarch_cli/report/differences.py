"""The difference between two models: their metrics side by side, then each change with its effect on them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from llmarch_cli.components.component import Component
from llmarch_cli.components.record import Record, number
from llmarch_cli.errors import shown
from llmarch_cli.profilers.attribution import FIGURES, KEPT_BESIDE, Difference
from llmarch_cli.profilers.cost import Cost
from llmarch_cli.report import comparison, layout, units
from llmarch_cli.report.columns import metric
from llmarch_cli.report.table import Column, Table
from llmarch_cli.report.units import ABSENT, Value, signed
from llmarch_cli.specs.differences import Change
from llmarch_cli.specs.spec import ModelSpec

SAME = "The architectures are equal. Names, dates, licenses, published numbers and storage formats are not compared."
ORDER = (
    "Effects add up exactly, each on top of the changes before it, which follow the order of a spec's fields: a layout"
    " changes after its components, or before them if it drops a variant."
)

_IF_ANY = ("mtp_params", "buffers", "index_bytes", *KEPT_BESIDE)  # beside the four metrics


def differences(difference: Difference) -> tuple[Table, ...]:
    """The metrics of both models with their differences, and the changes, which are the main table.

    Changes without an effect on these metrics stand apart, and in data behind the others.
    """
    both = (difference.before, difference.after)
    also = [key for key in _IF_ANY if any(metric(key).value(profile) for profile in both)]
    metrics = comparison.comparison(both, [*FIGURES, *also], paired=True)
    return replace(metrics, main=False), *_changes(difference)


def _changes(difference: Difference) -> tuple[Table, ...]:
    """One row per step, the largest effect first."""
    before, after = difference.before.spec, difference.after.spec
    named = (
        Column("change", "change", units.TEXT, "The fields, or the layout.", "data"),
        Column("before", before.id, units.TEXT, "The value in the first model.", "data"),
        Column("after", after.id, units.TEXT, "The value in the second model.", "data"),
    )
    step = Column("step", "step", units.INTEGER, "The number of the step between the models.", "data")
    words = Column("change_words", "change", units.TEXT, "The fields with both values in words.", "reading")
    effects = tuple(map(_effect_column, (*FIGURES, *_IF_ANY)))
    with_effect: list[dict[str, Value]] = []
    without: list[dict[str, Value]] = []
    for effect in difference.by_weight:
        line: dict[str, Value] = {
            "change": _named(effect.changes),
            "before": "; ".join(_layout(before, change) or _plain(change.before) for change in effect.changes),
            "after": "; ".join(_layout(after, change) or _plain(change.after) for change in effect.changes),
            "before_words": units.setting(
                "; ".join(_layout(before, change) or _in_words(change.before) for change in effect.changes)
            ),
            "after_words": units.setting(
                "; ".join(_layout(after, change) or _in_words(change.after) for change in effect.changes)
            ),
            "step": effect.place,
            **_effects(effect.cost, effect.mtp),
        }
        line["change_words"] = f"{line['change']}: {line['before_words']} -> {line['after_words']}"
        (with_effect if any(line[column.key] for column in effects) else without).append(line)
    if not difference:
        return (Table("changes", (words, *named, step, *effects), (), notes=(SAME,)),)
    total: dict[str, Value] = {"change_words": "total", **_effects(difference.cost, difference.mtp)}
    apart = (
        replace(named[0], shown="always"),
        *named[1:],
        Column("before_words", before.id, units.TEXT, "The first model's value in words.", "reading"),
        Column("after_words", after.id, units.TEXT, "The second model's value in words.", "reading"),
        step,
        *(replace(column, shown="data") for column in effects),
    )
    notes = (ORDER,)
    return (
        Table(
            "changes",
            (words, *named, step, *effects),
            tuple(with_effect),
            notes=() if without else notes,
            total=total if with_effect else None,
            keeps_whole=True,
        ),
        Table("changes", apart, tuple(without), "Without effect on these numbers", notes=notes, main=False),
    )


def in_short(difference: Difference, width: int) -> str:
    """The changes in about `width` characters, the largest first: `n_heads 128 -> 64, ... and 8 more`."""
    before, after = difference.before.spec, difference.after.spec
    changes = [change for effect in difference.by_weight for change in effect.changes]
    texts = list(dict.fromkeys(_briefly(change, before, after) for change in changes))
    told = texts[:1]
    for text in texts[1:]:
        if len(", ".join((*told, text))) + len(" and 99 more") > width:
            break
        told.append(text)
    more = f" and {len(texts) - len(told)} more" if len(texts) > len(told) else ""
    return f"{', '.join(told)}{more}" if told else "the architectures are equal"


def _briefly(change: Change, before: ModelSpec, after: ModelSpec) -> str:
    """`n_heads 128 -> 64`, without the variant."""
    if change.is_layout:
        return f"{change.part} {layout.order(before, change.part)} -> {layout.order(after, change.part)}"
    what = ".".join(change.field) or change.part
    return f"{what} {_in_words(change.before)} -> {_in_words(change.after)}"


def _effect_column(key: str) -> Column:
    column = metric(key)
    unit = signed(column.unit)
    return Column(key, column.title, unit, f"The change of: {column.convention}", "if any", "effects")


def _effects(cost: Cost, mtp: Cost) -> dict[str, Value]:
    effects: dict[str, Value] = {key: getattr(cost, key) for key in (*FIGURES, *_IF_ANY[1:])}
    return effects | {"mtp_params": mtp.params + mtp.buffers}


def _named(changes: Sequence[Change]) -> str:
    """`attention (local): window`: the changed parts and fields."""
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
    """A single value as in YAML, and any other value in words."""
    return shown(value) if value is None or isinstance(value, bool | int | float) else _in_words(value)


def _in_words(value: Any) -> str:
    """A value in few words, as in other tables."""
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
        case dict() if all(isinstance(each, str) for each in value.values()):
            return ", ".join(f"{name} {each}" for name, each in value.items())
        case dict():
            return " beside ".join(map(_in_words, value.values()))
        case _:
            return str(value)
