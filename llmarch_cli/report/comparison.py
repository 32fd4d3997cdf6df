"""Models side by side, and their KV caches: which columns stand in the tables, and what is said beneath them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from llmarch_cli.profilers.profile import Engine, Profile
from llmarch_cli.report.columns import METRICS, MODEL, Metric, beyond_context_length, metric, picked, rows, sorted_by
from llmarch_cli.report.table import Shown, Table
from llmarch_cli.report.units import Delta, Value, tokens

CHANGE = "change"  # stands for the model where a row says what became of one

_CACHE_COLUMNS: dict[str, Shown] = {
    "model": "always",
    "context_length": "data",
    "context_tokens": "data",
    "batch": "data",
    "kv_dtype": "data",
    "kv_cache_bytes": "always",
    "kv_fixed_bytes": "always",
    "kv_bytes_per_token": "always",
    "kv_cache_bytes_without_windows": "always",
    "kv_cache_bytes_multi_head": "data",
    "kv_times_smaller": "reading",
    "beyond_context_length": "if any",
    "engine": "data",
}

# What is said beneath figures of each engine.
WITNESSED: dict[Engine, str] = {
    "measured": "Both engines agree on every figure: measured, and in closed form.",
    "closed-form": "Closed form only: the measuring engine did not run.",
}

_LEGEND = {
    "kv_times_smaller": "vs MHA: times smaller than if every query head kept its own keys and values of every token.",
    "beyond_context_length": "!: beyond the context that the model was made for.",
}


def comparison(profiles: Sequence[Profile], keys: Sequence[str] = (), sort: str | None = None) -> Table:
    """One row a model, with every metric or those asked for. Raises InputError for unknown ones."""
    metrics = picked(keys) if keys else METRICS
    ordered = sorted_by(profiles, sort) if sort else profiles
    return Table("models", metrics, rows(ordered, metrics), notes=tuple(notes(ordered)), side_by_side=True)


def changes(pairs: Sequence[tuple[Profile, Profile]], keys: Sequence[str] = (), sort: str | None = None) -> Table:
    """Each model as it was, as it is, and what became of every figure; in the order of the models as they were.

    Raises InputError for unknown columns.
    """
    metrics = picked(keys) if keys else METRICS
    after = {id(before): after for before, after in pairs}
    firsts = [before for before, _ in pairs]
    ordered = [(before, after[id(before)]) for before in (sorted_by(firsts, sort) if sort else firsts)]
    lines: list[dict[str, Value]] = []
    for pair in ordered:
        became: dict[str, Value] = {m.key: Delta(*map(m.value, pair)) for m in metrics}
        lines += [*rows(pair, metrics), {**became, MODEL.key: CHANGE}]
    stated = notes([profile for pair in ordered for profile in pair])
    return Table("models", metrics, tuple(lines), notes=tuple(stated), side_by_side=True)


def kv_caches(profiles: Sequence[Profile], keys: Sequence[str] = (), sort: str | None = None) -> Table:
    """One row a model and context; models in the order of their caches at the longest context, the smallest first.

    Raises InputError for unknown columns.
    """
    several = len({profile.workload.context for profile in profiles}) > 1
    metrics = picked(keys) if keys else tuple(_cache_columns(several))
    ordered = _model_by_model(profiles, sort or "kv_cache_bytes")
    legend = [_LEGEND[m.key] for m in metrics if m.key in _LEGEND and any(map(m.value, ordered))]
    return Table("kv_caches", metrics, rows(ordered, metrics), notes=(*_stated(ordered), *legend), bar="kv_cache_bytes")


def _cache_columns(several_contexts: bool) -> Iterator[Metric]:
    for key, shown in _CACHE_COLUMNS.items():
        column = replace(metric(key), shown="always" if several_contexts and key == "context_tokens" else shown)
        yield replace(column, title="vs MHA") if key == "kv_times_smaller" else column


def _model_by_model(profiles: Sequence[Profile], sort: str) -> list[Profile]:
    longest = max((profile.workload.context for profile in profiles), default=0)
    models = sorted_by((profile for profile in profiles if profile.workload.context == longest), sort)
    places = {profile.spec.id: place for place, profile in enumerate(models)}
    return sorted(profiles, key=lambda profile: (places[profile.spec.id], profile.workload.context))


def notes(profiles: Sequence[Profile]) -> Iterator[str]:
    """What was asked, who answered it, and where the question goes beyond what a model was made for."""
    yield from _stated(profiles)
    beyond = [profile.spec for profile in profiles if beyond_context_length(profile)]
    if beyond:
        named = (f"{spec.id} ({tokens(spec.context_length or 0)})" for spec in beyond)
        yield f"Made for less context: {', '.join(named)}."


def _stated(profiles: Sequence[Profile]) -> Iterator[str]:
    workloads = {profile.workload for profile in profiles}
    contexts = {workload.context for workload in workloads}
    for batch, kv_dtype in dict.fromkeys((workload.batch, workload.kv_dtype) for workload in workloads):
        context = f"{contexts.pop():,} tokens of context, " if len(contexts) == 1 else ""
        yield f"{context}batch {batch:,}, {kv_dtype} cache."
    engines = {profile.engine for profile in profiles}
    if engines:
        yield WITNESSED["measured" if engines == {"measured"} else "closed-form"]
