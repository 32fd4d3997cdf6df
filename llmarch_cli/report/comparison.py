"""Tables of models side by side and of their KV caches: the columns and the notes below them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from llmarch_cli.profilers.cost import Workload
from llmarch_cli.profilers.profile import Engine, Profile
from llmarch_cli.report.columns import (
    METRICS,
    MODEL,
    Metric,
    beyond_context_window,
    metric,
    picked,
    rows,
    sorted_by,
    titled,
)
from llmarch_cli.report.table import Shown, Table
from llmarch_cli.report.units import Delta, Value, tokens

CHANGE = "change"  # the name of a row that shows a change

_CACHE_COLUMNS: dict[str, Shown] = {
    "model": "always",
    "context_window": "data",
    "context_tokens": "data",
    "batch": "data",
    "kv_dtype": "data",
    "state_dtype": "data",
    "kv_cache_bytes": "always",
    "kv_fixed_bytes": "always",
    "kv_bytes_per_token": "always",
    "kv_cache_bytes_without_windows": "always",
    "index_bytes": "if any",
    "state_bytes": "if any",
    "partial_bytes": "if any",
    "cache_bytes": "data",
    "kv_cache_bytes_multi_head": "data",
    "kv_times_smaller": "reading",
    "beyond_context_window": "if any",
    "engine": "data",
}

# The metrics that readers are shown by default. `--all` shows the others too.
_BRIEF = frozenset(
    (
        *("model", "params", "active_params", "weight_bytes", "weight_format", "bits_per_weight"),
        *("kv_cache_bytes", "kv_bytes_per_token", "state_bytes", "kv_times_smaller"),
        *("flops_per_token", "weight_flops_per_token", "context_flops_per_token", "prefill_flops"),
        *("context_window", "n_layers", "d_model", "attention", "heads", "positions", "ffn"),
    )
)

# The note below a table, by engine.
ENGINE_NOTES: dict[Engine, str] = {
    "measured": "Measured; the closed form agrees on every value.",
    "closed-form": "Closed form only; not measured.",
}

_LEGEND = {
    "kv_times_smaller": "less than MHA: how many times smaller than the cache of multi-head attention over all tokens.",
    "beyond_context_window": "!: beyond the model's context window.",
}


def comparison(
    profiles: Sequence[Profile],
    keys: Sequence[str] = (),
    sort: str | None = None,
    *,
    paired: bool = False,
    brief: bool = False,
) -> Table:
    """One row per model, with all metrics or those of `keys`. Raises InputError for unknown keys.

    If `paired`, each model is followed by its changed copy, and a third row shows the change of every metric. If
    `brief`, readers are shown the figures that models are compared by, and data still has all metrics.
    """
    metrics = titled(picked(keys) if keys else _brief() if brief else METRICS, *_workloads(profiles))
    if paired:
        return _changes(profiles[::2], profiles[1::2], metrics, sort)
    ordered = sorted_by(profiles, sort) if sort else profiles
    return Table(
        "models", metrics, rows(ordered, metrics), notes=tuple(notes(ordered)), side_by_side=True, compares=True
    )


def _brief() -> tuple[Metric, ...]:
    """All metrics of data; readers are shown those of `_BRIEF` alone."""
    kept = (one for one in METRICS if one.key in _BRIEF or one.shown != "reading")
    return tuple(one if one.key in _BRIEF else replace(one, shown="data") for one in kept)


def _changes(before: Sequence[Profile], after: Sequence[Profile], metrics: Sequence[Metric], sort: str | None) -> Table:
    changed = {id(one): other for one, other in zip(before, after, strict=True)}
    pairs = [(one, changed[id(one)]) for one in (sorted_by(before, sort) if sort else before)]
    lines: list[dict[str, Value]] = []
    for pair in pairs:
        deltas: dict[str, Value] = {metric.key: Delta(*map(metric.value, pair)) for metric in metrics}
        lines += [*rows(pair, metrics), {**deltas, MODEL.key: CHANGE}]
    stated = notes([profile for pair in pairs for profile in pair])
    return Table("models", tuple(metrics), tuple(lines), notes=tuple(stated), side_by_side=True)


def kv_caches(profiles: Sequence[Profile], keys: Sequence[str] = (), sort: str | None = None) -> Table:
    """One row per model and context. Models are sorted by their KV cache at the longest context, the smallest first.

    Raises InputError for unknown columns.
    """
    several = len({profile.workload.context for profile in profiles}) > 1
    metrics = titled(picked(keys) if keys else _cache_columns(several), *_workloads(profiles))
    ordered = _model_by_model(profiles, sort or "kv_cache_bytes")
    legend = [_LEGEND[m.key] for m in metrics if m.key in _LEGEND and any(map(m.value, ordered))]
    return Table("kv_caches", metrics, rows(ordered, metrics), notes=(*stated(ordered), *legend), bar="kv_cache_bytes")


def _workloads(profiles: Sequence[Profile]) -> set[Workload]:
    return {profile.workload for profile in profiles}


def _cache_columns(several_contexts: bool) -> Iterator[Metric]:
    for key, shown in _CACHE_COLUMNS.items():
        yield replace(metric(key), shown="always" if several_contexts and key == "context_tokens" else shown)


def _model_by_model(profiles: Sequence[Profile], sort: str) -> list[Profile]:
    longest = max((profile.workload.context for profile in profiles), default=0)
    models = sorted_by((profile for profile in profiles if profile.workload.context == longest), sort)
    places = {profile.spec.id: place for place, profile in enumerate(models)}
    return sorted(profiles, key=lambda profile: (places[profile.spec.id], profile.workload.context))


def notes(profiles: Sequence[Profile]) -> Iterator[str]:
    """The workload, the engine, and the models whose context window is shorter than the context."""
    yield from stated(profiles)
    beyond = [profile.spec for profile in profiles if beyond_context_window(profile)]
    if beyond:
        named = (f"{spec.id} ({tokens(spec.context_length or 0)})" for spec in beyond)
        yield f"Beyond the context window of {', '.join(named)}."


def stated(profiles: Sequence[Profile]) -> Iterator[str]:
    """The workload and the engine."""
    workloads = _workloads(profiles)
    contexts = {workload.context for workload in workloads}
    context = f"{min(contexts):,} tokens of context, " if len(contexts) == 1 else ""
    for settings in dict.fromkeys(workload.settings for workload in workloads):
        yield f"{context}{settings}."
    engines = {profile.engine for profile in profiles}
    if engines:
        yield ENGINE_NOTES["measured" if engines == {"measured"} else "closed-form"]
