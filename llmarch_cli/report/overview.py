"""The list of models, one row per model."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from llmarch_cli.errors import InputError, unknown
from llmarch_cli.profilers.profile import Profile
from llmarch_cli.report.columns import metric, rows, sorted_by
from llmarch_cli.report.layout import attention_words, is_moe
from llmarch_cli.report.table import Table
from llmarch_cli.specs.spec import ModelSpec

# Metrics with short headings, so that a row fits a narrow terminal.
COLUMNS = {
    "model": "model",
    "organization": "organization",
    "released": "released",
    "params": "size",
    "active_params": "active",
    "context_window": "context",
    "layout": "layout",
}


def overview(profiles: Iterable[Profile], sort: str | None = None) -> Table:
    """One row per model, by organization, release date and size, or by `sort`. Raises InputError for an unknown one."""
    metrics = tuple(replace(metric(key), title=title, shown="always") for key, title in COLUMNS.items())
    ordered = sorted_by(profiles, sort) if sort else sorted(profiles, key=_by_origin)
    none = () if ordered else ("No model matches.",)
    return Table(
        "models",
        metrics,
        rows(ordered, metrics),
        notes=none,
        may_drop=("organization", "released"),
        specs=tuple(profile.spec for profile in ordered),
    )


def _by_origin(profile: Profile) -> tuple[str, str, int]:
    spec = profile.spec
    return ((spec.organization or "").lower(), str(spec.released or ""), profile.params)


def filtered(
    specs: Sequence[ModelSpec], moe: bool | None = None, organization: str | None = None, attention: str | None = None
) -> list[ModelSpec]:
    """The specs that match all filters: part of an organization's name, and a word for the kind of attention.

    Raises InputError for an organization or an attention that no spec has.
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
    return [spec for spec in kept if moe is None or is_moe(spec) == moe]
