"""The data of the page: each model's metrics as written, and the exact line of each metric that depends on the context.

Every integer is text, since numbers in JavaScript are exact only to 53 bits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from math import lcm
from typing import Any

from llmarch_cli.profilers.lines import Exact, Piece, Piecewise, corners, line
from llmarch_cli.profilers.profile import MAX_CONTEXT, Profile
from llmarch_cli.report import units
from llmarch_cli.report.columns import METRICS, MODEL, Metric, metric, titled
from llmarch_cli.report.formats.grid import one_line
from llmarch_cli.report.layout import is_moe
from llmarch_cli.report.units import Unit, Value

# The columns of the main table. The comparison of two models shows every metric.
COLUMNS = tuple(
    map(
        metric,
        "model organization released params active_params active_share context_window layout kv_cache_bytes"
        " kv_fixed_bytes kv_bytes_per_token kv_cache_bytes_without_windows kv_times_smaller flops_per_token".split(),
    )
)


# The page shows any context, so it has no metrics that only one context is computed of.
SHOWN = tuple(metric for metric in METRICS if metric.is_linear)

# Metrics that the page computes anew at each context, and the name of each unit's writer in `scripts/figures.js`.
BY_CONTEXT = tuple(metric for metric in SHOWN if metric.by_context)
_WRITERS: dict[Unit, str] = {
    units.INTEGER: "grouped",
    units.TOKENS: "tokens",
    units.PARAMS: "count",
    units.BYTES: "bytes",
    units.FLOPS: "flops",
    units.TIMES: "times",
    units.SHARE: "share",
    units.MARK: "mark",
}

# The others have one value, which the page has in its data.
LASTING = tuple(metric for metric in SHOWN if not metric.by_context)

_IN_WORDS = tuple(map(metric, "n_layers d_model attention heads positions ffn norms".split()))


def in_words(profile: Profile) -> str:
    """The text alternative of a model's drawing."""
    facts = ((one.title, one_line(one.unit.write(one.value(profile)))) for one in _IN_WORDS)
    words = "; ".join(f"{title} {value}" for title, value in facts if value)
    return f"Architecture of {one_line(profile.spec.id)}: {words}."


def settings(profiles: Sequence[Profile]) -> dict[str, Any]:
    """Settings of the whole page."""
    return {
        "context": str(max(profile.workload.context for profile in profiles)),
        "longest": str(MAX_CONTEXT),
        "columns": [column.key for column in COLUMNS],
        "lasting": [metric.key for metric in LASTING],
        "numeric": [metric.key for metric in SHOWN if not metric.unit.is_text],
        "metrics": [
            {"key": metric.key, "title": metric.title, "group": metric.group, "unit": _amount(metric.unit)}
            for metric in titled(SHOWN, *(profile.workload for profile in profiles))
            if metric.key != MODEL.key
        ],
        "by_context": [
            {"key": metric.key, "unit": _WRITERS[metric.unit], "ratio_of": metric.ratio_of} for metric in BY_CONTEXT
        ],
    }


def _amount(unit: Unit) -> str | None:
    """The writer of a unit with multiples, in which two models are written alike; None for other units."""
    return None if unit.scale is None else _WRITERS.get(unit)


def models(profiles: Sequence[Profile]) -> list[dict[str, Any]]:
    """The data of each model, in the order given."""
    return [_model(profile) for profile in profiles]


@dataclass
class Once:
    """What many models have in common, each written once and known by its number."""

    numbers: dict[Any, int] = field(default_factory=dict)

    def add(self, one: Any) -> str:
        """The number of `one`, as text."""
        return str(self.numbers.setdefault(one, len(self.numbers)))

    @property
    def all(self) -> list[Any]:
        """Each of them, in the order of their numbers."""
        return [*self.numbers]


def packed(models: Sequence[dict[str, Any]], known: Once) -> list[dict[str, Any]]:
    """The data of models, with the numbers of lasting values instead of these; `known` then has their values.

    Values that depend on the context are left out: the page computes them.
    """
    return [
        {**model, "values": " ".join(known.add(tuple(model["values"][one.key].values())) for one in LASTING)}
        for model in models
    ]


def _model(profile: Profile) -> dict[str, Any]:
    turns = [] if profile.spec.context_length is None else [profile.spec.context_length + 1]
    ends = corners(profile, turns)
    lines = {metric.key: line(_number(metric), ends) for metric in BY_CONTEXT if metric.ratio_of is None}
    parts = {key: lcm(*(number.denominator for piece in of for number in _numbers(piece))) for key, of in lines.items()}
    return {
        "id": one_line(profile.spec.id),
        "organization": profile.spec.organization,
        "is_moe": is_moe(profile.spec),
        "lines": {key: _written(of, parts[key]) for key, of in lines.items()},
        "parts": {key: str(of) for key, of in parts.items() if of != 1},
        "values": dict(_values(profile)),
    }


def _written(line: Piecewise, parts: int) -> list[list[str]]:
    """A line in integers: of each piece its start, value, slope, and the stride and rise of each of its steps.

    Values, slopes and rises are counted in shares of 1 / `parts`.
    """
    return [
        [str(piece.start), *(str(int(number * parts)) for number in (piece.value, piece.slope))]
        + [str(number) for stride, rise in piece.steps for number in (stride, int(rise * parts))]
        for piece in line
    ]


def _numbers(piece: Piece) -> Iterator[Exact]:
    yield from (piece.value, piece.slope, *(rise for _, rise in piece.steps))


def _number(metric: Metric) -> Callable[[Profile], Exact]:
    """The metric's value as an exact number: a truth value as 0 or 1."""

    def value(profile: Profile) -> Exact:
        found = metric.value(profile)
        assert isinstance(found, int | Fraction), metric.key
        return int(found) if isinstance(found, bool) else found

    return value


def _values(profile: Profile) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each metric rounded, exact, and as a sort key."""
    for one in SHOWN:
        value = one.value(profile)
        yield (
            one.key,
            {
                "rounded": one_line(one.unit.write(value)),
                "exact": one_line(one.unit.write(value, exact=True)),
                "order": _order(value, one.unit),
            },
        )


def _order(value: Value, unit: Unit) -> str | None:
    match value:
        case None:
            return None
        case Fraction():
            return str(round(value * 10**12) if unit.is_ratio else int(value))
        case bool() | int():
            return str(int(value))
        case _:
            return str(value).lower()
