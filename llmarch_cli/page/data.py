"""What the page knows of each model: its metrics as written, and the line that its context-bound figures lie on.

Every integer is text: a page's own numbers are exact only to 53 bits.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Any

from llmarch_cli.profilers.lines import context_line
from llmarch_cli.profilers.profile import MAX_CONTEXT, Profile
from llmarch_cli.report.columns import METRICS, metric
from llmarch_cli.report.formats.grid import one_line
from llmarch_cli.report.layout import is_moe
from llmarch_cli.report.units import Value

# What the table of all models shows; two side by side show every metric.
COLUMNS = tuple(
    map(
        metric,
        "model organization released params active_params active_share context_length layout kv_cache_bytes"
        " kv_fixed_bytes kv_bytes_per_token kv_cache_bytes_without_windows kv_times_smaller flops_per_token".split(),
    )
)


_IN_WORDS = tuple(map(metric, "n_layers d_model attention heads positions ffn norms".split()))


def in_words(profile: Profile) -> str:
    """What a model's figure shows, for those who do not see it."""
    facts = ((one.title, one_line(one.unit.write(one.value(profile)))) for one in _IN_WORDS)
    told = "; ".join(f"{title} {value}" for title, value in facts if value)
    return f"Architecture of {one_line(profile.spec.id)}: {told}."


def settings(profiles: Sequence[Profile]) -> dict[str, Any]:
    """What holds for the whole page."""
    return {
        "context": str(max(profile.workload.context for profile in profiles)),
        "longest": str(MAX_CONTEXT),
        "columns": [column.key for column in COLUMNS],
        "figures": [m.key for m in METRICS if not m.unit.is_text],
        "metrics": [{"key": m.key, "title": m.title, "group": m.group} for m in METRICS if m.key != "model"],
    }


def models(profiles: Sequence[Profile]) -> list[dict[str, Any]]:
    """One entry a model, in the order given."""
    return [_model(profile) for profile in profiles]


def _model(profile: Profile) -> dict[str, Any]:
    line = context_line(profile)
    made_for = profile.spec.context_length
    widths = sum(item.count * item.component.multi_head_width for item, _ in profile.rows if not item.mtp)
    return {
        "id": one_line(profile.spec.id),
        "organization": profile.spec.organization,
        "is_moe": is_moe(profile.spec),
        "made_for": None if made_for is None else str(made_for),
        "line": {
            "fixed_flops": str(line.fixed_flops),
            "value_bytes": str(line.value_bytes),
            "multi_head_values": str(widths),
            "slopes": [
                [None if slope.span is None else str(slope.span), str(slope.cache_values), str(slope.flops)]
                for slope in line.slopes
            ],
        },
        "values": dict(_values(profile)),
    }


def _values(profile: Profile) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each metric as it is read, to the last digit, and as rows are sorted by it."""
    for one in METRICS:
        value = one.value(profile)
        yield (
            one.key,
            {
                "rounded": one_line(one.unit.write(value)),
                "exact": one_line(one.unit.write(value, exact=True)),
                "order": _order(value),
            },
        )


def _order(value: Value) -> str | None:
    match value:
        case None:
            return None
        case Fraction():
            return str(round(value * 10**12))
        case bool() | int():
            return str(int(value))
        case _:
            return str(value).lower()
