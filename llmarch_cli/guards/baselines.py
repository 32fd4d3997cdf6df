"""Baselines: metrics committed to a file, and their changes since then."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import AfterValidator, WithJsonSchema

from llmarch_cli import models
from llmarch_cli.components.fields import Limits
from llmarch_cli.components.record import EMPTY
from llmarch_cli.errors import InputError, shown, shown_path
from llmarch_cli.guards import selection
from llmarch_cli.guards.gauge import GUARDED, Gauge, MetricAt, checked_key, difference, metric_at
from llmarch_cli.guards.selection import ModelName, ModelNames, Settings, Version
from llmarch_cli.profilers.cost import DEFAULT_CONTEXT, Workload
from llmarch_cli.profilers.profile import MAX_CONTEXT, Engine, default_engine
from llmarch_cli.specs import documents, loading
from llmarch_cli.specs.loading import checked
from llmarch_cli.specs.spec import ModelSpec
from llmarch_cli.writing import whole

HEADING = """\
# Written by `llmarch baseline write`; checked by `llmarch baseline compare`.
# To accept a change, write it again: models, columns, contexts and tolerances are kept.
"""
ALL_BUNDLED = ("*",)
DEFAULT_COLUMNS = (
    "params",
    "active_params",
    "mtp_params",
    "buffers",
    "kv_cache_bytes",
    "kv_bytes_per_token",
    "kv_cache_bytes_without_windows",
    "state_bytes",
    "partial_bytes",
    "flops_per_token",
)
COUNTED = tuple(key for key, metric in GUARDED.items() if not metric.unit.is_ratio)

_PERCENT = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,12})?) ?%")


def percent(text: str) -> Fraction:
    """Parse `0.1%` exactly. Raises InputError for any other form."""
    match = _PERCENT.fullmatch(text)
    if match is None:
        raise InputError(f"a tolerance is a percentage such as 0.1%, not {shown(text)}")
    return Fraction(match[1]) / 100


def counted_key(key: str) -> str:
    """The key of a metric that is a whole number, by key or heading. Raises InputError for any other."""
    found = checked_key(key)
    if found not in COUNTED:
        raise InputError(f"{found} is a ratio: use its two metrics instead")
    return found


def _is_column(key: str) -> str:
    try:
        return counted_key(key)
    except InputError as error:
        raise ValueError(str(error)) from None


def _is_figure(text: str) -> str:
    try:
        counted_key(metric_at(text).key)
    except InputError as error:
        raise ValueError(str(error)) from None
    return text


def _is_percent(text: str) -> str:
    try:
        percent(text)
    except InputError as error:
        raise ValueError(str(error)) from None
    return text


ColumnKey = Annotated[str, AfterValidator(_is_column), WithJsonSchema({"enum": list(COUNTED)})]
FigureName = Annotated[str, AfterValidator(_is_figure)]
Tolerance = Annotated[str, AfterValidator(_is_percent), WithJsonSchema({"type": "string", "pattern": _PERCENT.pattern})]
Count = Annotated[int, Limits(ge=0)]
Share = Annotated[str, Limits(pattern=r"^[0-9]{1,30}/[1-9][0-9]{0,12}$")]  # bytes of a token in a row of several: 7/2


class Baseline(Settings):
    """A baseline file: the metrics to check, their tolerances and their committed values."""

    schema_version: Version  # increases when the format changes
    models: ModelNames  # bundled ids, paths relative to this file, or patterns of either
    columns: Annotated[tuple[ColumnKey, ...], Limits(strict=False, min_length=1)]  # of `llmarch columns`
    contexts: Annotated[tuple[Annotated[int, Limits(gt=0, le=MAX_CONTEXT)], ...], Limits(strict=False, min_length=1)]
    tolerance: dict[ColumnKey, Tolerance] = EMPTY  # by column, relative to the committed value: 0.1%; default: none
    figures: dict[ModelName, dict[FigureName, Count | Share | None]]  # by model, METRIC[@CONTEXT]: exact

    @property
    def guarded(self) -> list[MetricAt]:
        """The metrics of each model, in the order of the file."""
        asked = {
            MetricAt(key, context)
            for key in self.columns
            for context in (self.contexts if GUARDED[key].by_context else (None,))
        }
        return sorted(asked, key=lambda each: each.order)


Status = Literal["same", "within", "DRIFT", "NEW", "REMOVED"]


@dataclass(frozen=True, slots=True)
class Drift:
    """One metric of one model, before and after; None if it does not exist."""

    model: str
    figure: MetricAt
    before: int | Fraction | None
    after: int | Fraction | None
    tolerance: Fraction
    status: Status

    @property
    def change(self) -> int | Fraction | None:
        """The difference."""
        return None if self.before is None or self.after is None else difference(self.after, self.before)

    @property
    def share(self) -> Fraction | None:
        """The difference relative to the value before."""
        return None if self.change is None or not self.before else Fraction(self.change) / self.before

    @property
    def is_beyond(self) -> bool:
        """Whether the difference exceeds the tolerance."""
        return self.status not in ("same", "within")


def read(path: Path) -> tuple[Baseline, documents.Mapping]:
    """Read a baseline, and its data with line numbers. Raises InputError if it is not valid."""
    data = documents.read(path, "baseline")
    return checked(Baseline, data, shown_path(path)), data


def tolerances(given: Iterable[str]) -> dict[str, Fraction]:
    """Parse `COLUMN=0.1%` texts. Raises InputError for any other text, and for a column given twice."""
    found: dict[str, Fraction] = {}
    for text in given:
        key, equals, share = text.partition("=")
        if not equals:
            raise InputError(f"--tolerance takes COLUMN=PERCENT such as params=0.1%, not {shown(text)}")
        if key in found:
            raise InputError(f"--tolerance: {key} is given twice")
        try:
            found[counted_key(key)] = percent(share)
        except InputError as error:
            raise InputError(f"--tolerance {key}: {error}") from None
    return found


Track = Callable[[Iterable[str]], Iterable[str]]  # wraps the names of models to show progress


def measured(
    specs: Mapping[str, ModelSpec], guarded: Sequence[MetricAt], workload: Workload, engine: Engine, track: Track = iter
) -> dict[str, dict[MetricAt, int | Fraction | None]]:
    """The values of these metrics for each model. Raises what `profile` raises."""
    gauge = Gauge(engine)
    return {name: {each: gauge.read(specs[name], each, workload) for each in guarded} for name in track(list(specs))}


def compare(path: Path, engine: Engine, tolerated: Mapping[str, Fraction], track: Track = iter) -> list[Drift]:
    """Compare the baseline at `path` with the current values, including models that match it but are not in it.

    `tolerated` overrides the file's tolerances. Raises InputError for an invalid file or spec, and for a name that
    matches neither a model nor a committed one; and what `profile` raises.
    """
    baseline, data = read(path)
    names: dict[str, None] = {}
    for each, place in zip(baseline.models, data["models"].places, strict=True):
        found = selection.matches(each, path.parent)
        if not found and not _was_kept(each, baseline.figures):
            raise InputError(f"{place}: models: {selection.no_match(each, path.parent)}")
        names.update(dict.fromkeys(found))
    specs = {name: selection.load(name, path.parent) for name in sorted(names)}
    before = {name: _by_figure(figures, data["figures"][name]) for name, figures in baseline.figures.items()}
    after = measured(specs, baseline.guarded, baseline.workload, engine, track)
    allowed = {key: percent(text) for key, text in baseline.tolerance.items()} | dict(tolerated)
    return drifts(before, after, allowed)


def _by_figure(
    figures: Mapping[str, int | str | None], data: documents.Mapping
) -> dict[MetricAt, int | Fraction | None]:
    """The values keyed by parsed metric. Raises InputError if a metric appears twice, as `@8k` and `@8192`."""
    found: dict[MetricAt, int | Fraction | None] = {}
    for text, value in figures.items():
        if metric_at(text) in found:
            raise InputError(f"{data.places[text]}: {text} is a duplicate of {metric_at(text)}")
        found[metric_at(text)] = Fraction(value) if isinstance(value, str) else value
    return found


def _was_kept(name: str, figures: Mapping[str, object]) -> bool:
    """Whether a name that matches no model now matches committed ones."""
    return any(fnmatchcase(each, name) for each in figures)


def drifts(
    before: Mapping[str, Mapping[MetricAt, int | Fraction | None]],
    after: Mapping[str, Mapping[MetricAt, int | Fraction | None]],
    allowed: Mapping[str, Fraction],
) -> list[Drift]:
    """Compare all metrics of both, sorted by model and metric."""
    found = []
    for model in sorted({*before, *after}):
        old, new = before.get(model, {}), after.get(model, {})
        for each in sorted({*old, *new}, key=lambda each: each.order):
            share = allowed.get(each.key, Fraction(0))
            status: Status = "NEW" if each not in old else "REMOVED" if each not in new else "same"
            if status == "same":
                status = _moved(old[each], new[each], share)
            found.append(Drift(model, each, old.get(each), new.get(each), share, status))
    return found


def _moved(before: int | Fraction | None, after: int | Fraction | None, share: Fraction) -> Status:
    if before == after:
        return "same"
    if before is None or after is None:
        return "DRIFT"
    return "within" if abs(Fraction(after) - before) <= share * before else "DRIFT"


def write(
    path: Path,
    names: Sequence[str],
    columns: Sequence[str],
    asked: Mapping[str, Any],
    track: Track = iter,
) -> Baseline:
    """Measure models and write the file at `path`. A setting that is not given keeps the file's value, or its default.

    `names` are bundled ids, paths from the working directory, or patterns of either. `asked` may have `contexts`, the
    engine, and the workload's settings.

    Raises InputError for invalid names or columns, and if the existing file is not a baseline; and what `profile`
    raises. The file is then unchanged.
    """
    old = read(path)[0] if path.exists() else None
    columns = [counted_key(key) for key in columns]
    kept = old.models if old else ALL_BUNDLED
    contexts = asked.get("contexts") or (old.contexts if old else (DEFAULT_CONTEXT,))
    known = old.settings if old else Settings().settings
    head = {
        "schema_version": 1,
        "models": [_from(path.parent, name) for name in names] or list(kept),
        "columns": list(columns or (old.columns if old else DEFAULT_COLUMNS)),
        "contexts": sorted(set(contexts)),
        **{name: asked.get(name, value) for name, value in known.items()},
        "tolerance": dict(sorted(old.tolerance.items())) if old else {},
    }
    empty = checked(Baseline, {**head, "figures": {}}, shown_path(path))
    chosen = selection.selected(empty.models, path.parent)
    specs = {name: selection.load(name, path.parent) for name in sorted(chosen)}
    found = measured(specs, empty.guarded, empty.workload, asked.get("engine") or default_engine(), track)
    figures = {
        name: {str(each): str(value) if isinstance(value, Fraction) else value for each, value in values.items()}
        for name, values in found.items()
    }
    baseline = checked(Baseline, {**head, "figures": figures}, shown_path(path))
    text = yaml.safe_dump({**head, "figures": figures}, sort_keys=False, allow_unicode=True, width=1000)
    _put(path, HEADING + text, sum(map(len, figures.values())))
    return baseline


def _put(path: Path, text: str, n_figures: int) -> None:
    """Write a file. Raises InputError if its text could not be read back, and OSError."""
    try:
        with whole(path) as beside:
            beside.write_text(text, encoding="utf-8")
            read(beside)
    except InputError:
        raise InputError(
            f"{shown_path(path)}: {n_figures:,} values are too many for one baseline: use fewer models, columns or"
            " contexts, or several files"
        ) from None


def _from(directory: Path, name: str) -> str:
    """A name given in the working directory, relative to `directory`; of a bundled model by another name, its id."""
    if (known := models.synonym(name)) is not None:
        return known
    is_path = selection.is_path(name) or (name not in loading.names() and loading.exists(Path(name)))
    return Path(os.path.relpath(name, directory)).as_posix() if is_path else name
