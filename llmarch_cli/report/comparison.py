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
    marks,
    metric,
    picked,
    rows,
    sorted_by,
    titled,
)
from llmarch_cli.report.table import Shown, Table
from llmarch_cli.report.units import Delta, Value, tokens
from llmarch_cli.specs.spec import ModelSpec

_CONTEXT = "context_tokens"
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
    "beyond_context_window": "data",
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

# The groups below the figures: what attention is like says why a cache is large, or a token dear.
_EXPLAINS = {"layout": 1, "shape": 2, "settings": 3}

MOST_LINES = 30  # of a comparison of two on a narrow terminal, where texts are wrapped

# What a comparison of two hides first to keep to that.
_LESS_TELLING = ("positions", "heads", "d_model")

# Columns of caches that a narrow terminal hides, the first one first.
_RARE = ("partial_bytes", "index_bytes", "kv_fixed_bytes", "kv_cache_bytes_without_windows", "state_bytes")

_MOST_NAMED = 5  # models in a note

# The note below a table, by engine.
ENGINE_NOTES: dict[Engine, str] = {
    "measured": "Measured; the closed form agrees on every value.",
    "closed-form": "Closed form only; not measured.",
    "auto": "Closed form; both engines agreed on it, now or before.",
}

_LEGEND = {
    "kv_times_smaller": "smaller than MHA: how many times smaller than with multi-head attention over all tokens.",
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
    is_short = brief and not keys and len(ordered) == 2
    return Table(
        "models",
        metrics,
        rows(ordered, metrics),
        notes=tuple(notes(ordered, metrics)),
        side_by_side=True,
        compares=True,
        may_drop=_LESS_TELLING if is_short else (),
        most_lines=MOST_LINES if is_short else None,
        marked=marks(ordered, metrics),
        specs=specs(ordered),
    )


def _brief() -> tuple[Metric, ...]:
    """All metrics of data; readers are shown those of `_BRIEF` alone, and what explains costs right below them."""
    kept = (one for one in METRICS if one.key in _BRIEF or one.shown != "reading")
    placed = (replace(one, group="shape") if one.key == "kv_times_smaller" else one for one in kept)
    shown = (one if one.key in _BRIEF else replace(one, shown="data") for one in placed)
    return tuple(sorted(shown, key=lambda one: _EXPLAINS.get(one.group, 0)))


def _changes(before: Sequence[Profile], after: Sequence[Profile], metrics: Sequence[Metric], sort: str | None) -> Table:
    changed = {id(one): other for one, other in zip(before, after, strict=True)}
    pairs = [(one, changed[id(one)]) for one in (sorted_by(before, sort) if sort else before)]
    lines: list[dict[str, Value]] = []
    marked: list[frozenset[str]] = []
    for pair in pairs:
        deltas: dict[str, Value] = {metric.key: Delta(*map(metric.value, pair)) for metric in metrics}
        lines += [*rows(pair, metrics), {**deltas, MODEL.key: CHANGE}]
        marked += [*marks(pair, metrics), frozenset()]
    both = [profile for pair in pairs for profile in pair]
    return Table(
        "models",
        tuple(metrics),
        tuple(lines),
        notes=tuple(notes(both, metrics)),
        side_by_side=True,
        marked=tuple(marked),
        specs=specs(both),
    )


def kv_caches(profiles: Sequence[Profile], keys: Sequence[str] = (), sort: str | None = None) -> Table:
    """One row per model and context. Models are sorted by their KV cache at the longest context, the smallest first.

    Raises InputError for unknown columns.
    """
    several = len({profile.workload.context for profile in profiles}) > 1
    named = [*([_CONTEXT] if several else []), *keys]
    metrics = titled(picked(named) if keys else _cache_columns(several), *_workloads(profiles))
    ordered = _model_by_model(profiles, sort or "kv_cache_bytes")
    legend = [_LEGEND[m.key] for m in metrics if m.key in _LEGEND and any(map(m.value, ordered))]
    return Table(
        "kv_caches",
        metrics,
        rows(ordered, metrics),
        notes=(*notes(ordered, metrics), *legend),
        bar="kv_cache_bytes",
        may_drop=() if keys else _RARE,
        marked=marks(ordered, metrics),
        specs=specs(ordered),
    )


def _workloads(profiles: Sequence[Profile]) -> set[Workload]:
    return {profile.workload for profile in profiles}


def _cache_columns(several_contexts: bool) -> Iterator[Metric]:
    for key, shown in _CACHE_COLUMNS.items():
        yield replace(metric(key), shown="always" if several_contexts and key == _CONTEXT else shown)


def _model_by_model(profiles: Sequence[Profile], sort: str) -> list[Profile]:
    longest = max((profile.workload.context for profile in profiles), default=0)
    models = sorted_by((profile for profile in profiles if profile.workload.context == longest), sort)
    places = {profile.spec.id: place for place, profile in enumerate(models)}
    return sorted(profiles, key=lambda profile: (places[profile.spec.id], profile.workload.context))


def specs(profiles: Sequence[Profile]) -> tuple[ModelSpec, ...]:
    """The models of profiles, each once."""
    return tuple({profile.spec.id: profile.spec for profile in profiles}.values())


def notes(profiles: Sequence[Profile], metrics: Sequence[Metric]) -> Iterator[str]:
    """What marks mean in a table of these metrics, if there are any, the workload and the engine."""
    marked = marks(profiles, [metric for metric in metrics if metric.shown != "data"])
    yield from marked_models(specs([profile for profile, keys in zip(profiles, marked, strict=True) if keys]))
    yield from stated(profiles)


def caption(profiles: Sequence[Profile]) -> Iterator[str]:
    """As `notes`, where nothing is marked: below a picture."""
    yield from stated(profiles)
    if beyond := specs([profile for profile in profiles if beyond_context_window(profile)]):
        yield f"Beyond the context window of {_named(beyond)}."


def _named(models: Sequence[ModelSpec]) -> str:
    return ", ".join(f"{spec.id} ({tokens(spec.context_length or 0)})" for spec in models)


def marked_models(models: Sequence[ModelSpec]) -> Iterator[str]:
    """What the mark means for these models, whose context window is shorter than the context; nothing for none."""
    if len(models) > _MOST_NAMED:
        yield f"!: beyond the model's own context window ({len(models):,} models)."
    elif models:
        yield f"!: beyond the context window of {_named(models)}."


def _engines(profiles: Sequence[Profile]) -> Iterator[str]:
    """Which engine computed the numbers, and what says that the closed form is right."""
    certified = {
        profile.spec.id: profile.certificate
        for profile in profiles
        if profile.certificate is not None and profile.engine == "closed-form"
    }
    engines = {profile.engine for profile in profiles if profile.spec.id not in certified}
    if engines:
        note = ENGINE_NOTES["measured" if engines == {"measured"} else "closed-form"]
        others = len({profile.spec.id for profile in profiles} - certified.keys())
        yield note if not certified else note.replace(";", f" ({others:,} of the models);")
    if certified:
        dates = sorted({each.date for each in certified.values()})
        torch = " and ".join(sorted({each.torch for each in certified.values()}))
        when = f"on {dates[0]}" if len(dates) == 1 else f"between {dates[0]} and {dates[-1]}"
        yield f"Closed form; measured and equal {when} with torch {torch}."


def stated(profiles: Sequence[Profile]) -> Iterator[str]:
    """The workload and the engine."""
    workloads = _workloads(profiles)
    contexts = {workload.context for workload in workloads}
    context = f"{min(contexts):,} tokens of context, " if len(contexts) == 1 else ""
    for settings in dict.fromkeys(workload.settings for workload in workloads):
        yield f"{context}{settings}."
    yield from _engines(profiles)
