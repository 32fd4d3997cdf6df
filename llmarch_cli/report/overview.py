"""The list of models, one row per model."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import get_args

from llmarch_cli.components.attention import Attention
from llmarch_cli.components.ffn import FeedForward
from llmarch_cli.errors import InputError, unknown
from llmarch_cli.profilers.profile import Profile
from llmarch_cli.report.columns import Metric, marks, metric, picked, rows, sorted_by, titled
from llmarch_cli.report.comparison import notes
from llmarch_cli.report.highlights import mechanisms
from llmarch_cli.report.layout import attention_words, is_moe
from llmarch_cli.report.table import Table
from llmarch_cli.specs.spec import ModelSpec

COLUMNS = (
    *("model", "organization", "released", "params", "active_params", "context_window"),
    *("layout", "highlights"),
)

# In a narrow terminal: the layout for the highlights, which say more, unless they do not fit at all.
_MAY_DROP = ("organization", "released", "layout", "highlights")


def overview(profiles: Iterable[Profile], sort: str | None = None, keys: Sequence[str] = ()) -> Table:
    """One row per model, by organization, release date and size, or by `sort`, which is then a column too.

    `keys` are the metrics to show instead of the usual ones. Raises InputError for an unknown metric.
    """
    ordered = sorted_by(profiles, sort) if sort else sorted(profiles, key=_by_origin)
    metrics = titled(_metrics(keys, None if sort is None else sort.removeprefix("-")), *{p.workload for p in ordered})
    told: list[str] = []
    if not ordered:
        told = ["No model matches."]
    elif any(each.by_context and each.shown != "data" for each in metrics):
        told = list(notes(ordered, metrics))
    return Table(
        "models",
        metrics,
        rows(ordered, metrics),
        notes=tuple(told),
        may_drop=() if keys else _MAY_DROP,
        fills=None if keys else "highlights",
        marked=marks(ordered, metrics),
        specs=tuple(profile.spec for profile in ordered),
    )


def _metrics(keys: Sequence[str], sort: str | None) -> tuple[Metric, ...]:
    if keys:
        return picked((*keys, *([] if sort is None else [sort])))
    usual = [replace(metric(key), shown="always") for key in COLUMNS]
    if sort is not None and metric(sort).key not in COLUMNS:
        usual.insert(1, replace(metric(sort), shown="always"))
    return (*usual, metric("mechanisms"))


def _by_origin(profile: Profile) -> tuple[str, str, int]:
    spec = profile.spec
    return ((spec.organization or "").lower(), str(spec.released or ""), profile.params)


def filtered(
    specs: Sequence[ModelSpec],
    moe: bool | None = None,
    organization: str | None = None,
    attention: str | None = None,
    kinds: Sequence[str] = (),
    since: dt.date | None = None,
) -> list[ModelSpec]:
    """The specs that match all filters: part of an organization's name, a word for the kind of attention, and so on.

    `kinds` are tags of mechanisms, all of which a spec must have; `since` is the earliest date of release.

    Raises InputError for an organization or an attention that no spec has, and for an unknown kind.
    """
    kept = list(specs)
    if organization is not None:
        wanted = organization.lower()
        known = {spec.organization for spec in kept if spec.organization}
        if not any(wanted in name.lower() for name in known):
            raise InputError(unknown("organization", organization, sorted(known, key=str.lower)))
        kept = [spec for spec in kept if wanted in (spec.organization or "").lower()]
    if attention is not None:
        words = set().union(*map(attention_words, specs))
        if attention.lower() not in words:
            raise InputError(unknown("attention", attention.lower(), sorted(words)))
        kept = [spec for spec in kept if attention.lower() in attention_words(spec)]
    if kinds:
        known_tags = known_kinds(specs)
        for kind in kinds:
            if kind.lower() not in known_tags:
                raise InputError(unknown("kind", kind.lower(), known_tags))
        kept = [spec for spec in kept if {kind.lower() for kind in kinds} <= set(mechanisms(spec))]
    if since is not None:
        kept = [spec for spec in kept if spec.released is not None and spec.released >= since]
    return [spec for spec in kept if moe is None or is_moe(spec) == moe]


def known_kinds(specs: Iterable[ModelSpec]) -> list[str]:
    """The tags that `filtered` takes for kinds: those of these specs, and every kind of component; sorted."""
    components = (*get_args(Attention), *get_args(FeedForward))
    own = {str(get_args(component.model_fields["kind"].annotation)[0]) for component in components}
    return sorted(own.union(*map(mechanisms, specs)))
