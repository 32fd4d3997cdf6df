"""A baseline: figures as they were when they were last agreed to, committed as a file, and how far they moved since."""

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
from pydantic import AfterValidator, Field, WithJsonSchema

from llmarch_cli.errors import InputError, shown, shown_path
from llmarch_cli.guards import selection
from llmarch_cli.guards.gauge import GUARDED, Figure, Gauge, checked_key, difference, figure
from llmarch_cli.guards.selection import ModelName, ModelNames, Settings, Version
from llmarch_cli.profilers.cost import DEFAULT_CONTEXT, Workload
from llmarch_cli.profilers.profile import MAX_CONTEXT, Engine, default_engine
from llmarch_cli.specs import documents
from llmarch_cli.specs.loading import checked
from llmarch_cli.specs.spec import ModelSpec
from llmarch_cli.writing import whole

HEADING = """\
# Written by `llmarch baseline write`; `llmarch baseline compare` holds figures to it.
# Where a change is meant, write it again: models, columns, contexts and tolerances stay.
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
    "flops_per_token",
)
COUNTED = tuple(key for key, metric in GUARDED.items() if not metric.unit.is_ratio)

_PERCENT = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,12})?) ?%")


def percent(text: str) -> Fraction:
    """`0.1%` exactly. Raises InputError for all else."""
    match = _PERCENT.fullmatch(text)
    if match is None:
        raise InputError(f"a tolerance is a share such as 0.1%, not {shown(text)}")
    return Fraction(match[1]) / 100


def counted_key(key: str) -> str:
    """`key`, if it is of a figure that is a whole number. Raises InputError where it is not."""
    if checked_key(key) not in COUNTED:
        raise InputError(f"{key} is a ratio: a baseline keeps the two figures it is made from")
    return key


def _told(error: InputError) -> ValueError:
    return ValueError(str(error))


def _is_column(key: str) -> str:
    try:
        return counted_key(key)
    except InputError as error:
        raise _told(error) from None


def _is_figure(text: str) -> str:
    try:
        counted_key(figure(text).key)
    except InputError as error:
        raise _told(error) from None
    return text


def _is_percent(text: str) -> str:
    try:
        percent(text)
    except InputError as error:
        raise _told(error) from None
    return text


ColumnKey = Annotated[str, AfterValidator(_is_column), WithJsonSchema({"enum": list(COUNTED)})]
FigureName = Annotated[str, AfterValidator(_is_figure)]
Tolerance = Annotated[str, AfterValidator(_is_percent), WithJsonSchema({"type": "string", "pattern": _PERCENT.pattern})]
Count = Annotated[int, Field(ge=0)]


class Baseline(Settings):
    """What is guarded, how far it may move, and what it was."""

    schema_version: Version  # counts up when the format changes
    models: ModelNames  # bundled ids, paths relative to this file, or patterns of either
    columns: Annotated[tuple[ColumnKey, ...], Field(strict=False, min_length=1)]  # of `llmarch columns`
    contexts: Annotated[tuple[Annotated[int, Field(gt=0, le=MAX_CONTEXT)], ...], Field(strict=False, min_length=1)]
    tolerance: dict[ColumnKey, Tolerance] = Field(default={})  # by column, of what it was: 0.1%; none where not given
    figures: dict[ModelName, dict[FigureName, Count | None]]  # by model, METRIC[@CONTEXT]: exact

    @property
    def guarded(self) -> list[Figure]:
        """Every figure of a model that is kept, in the order of the file."""
        asked = {
            Figure(key, context)
            for key in self.columns
            for context in (self.contexts if GUARDED[key].by_context else (None,))
        }
        return sorted(asked, key=lambda each: each.order)


Status = Literal["same", "within", "DRIFT", "NEW", "REMOVED"]


@dataclass(frozen=True, slots=True)
class Drift:
    """One figure of one model, as it was and as it is; None where there is none."""

    model: str
    figure: Figure
    before: int | Fraction | None
    after: int | Fraction | None
    tolerance: Fraction
    status: Status

    @property
    def change(self) -> int | Fraction | None:
        """By how much it moved."""
        return None if self.before is None or self.after is None else difference(self.after, self.before)

    @property
    def share(self) -> Fraction | None:
        """The same, of what it was."""
        return None if self.change is None or not self.before else Fraction(self.change) / self.before

    @property
    def is_beyond(self) -> bool:
        """Whether it moved further than it may."""
        return self.status not in ("same", "within")


def read(path: Path) -> tuple[Baseline, documents.Mapping]:
    """The baseline of the file at `path`, and its data with its places. Raises InputError where it is wrong."""
    data = documents.read(path, "baseline")
    return checked(Baseline, data, shown_path(path)), data


def tolerances(given: Iterable[str]) -> dict[str, Fraction]:
    """`COLUMN=0.1%` of each. Raises InputError for what is none, and for a column given twice."""
    found: dict[str, Fraction] = {}
    for text in given:
        key, equals, share = text.partition("=")
        if not equals:
            raise InputError(f"--tolerance takes COLUMN=SHARE, such as params=0.1%, not {shown(text)}")
        if key in found:
            raise InputError(f"--tolerance: {key} is given twice")
        try:
            found[counted_key(key)] = percent(share)
        except InputError as error:
            raise InputError(f"--tolerance {key}: {error}") from None
    return found


Track = Callable[[Iterable[str]], Iterable[str]]  # passes names of models on, to be told how far it is


def measured(
    specs: Mapping[str, ModelSpec], guarded: Sequence[Figure], workload: Workload, engine: Engine, track: Track = iter
) -> dict[str, dict[Figure, int | Fraction | None]]:
    """Every guarded figure of every model. Raises what `profile` raises."""
    gauge = Gauge(engine)
    return {name: {each: gauge.read(specs[name], each, workload) for each in guarded} for name in track(list(specs))}


def compare(path: Path, engine: Engine, tolerated: Mapping[str, Fraction], track: Track = iter) -> list[Drift]:
    """Every figure of the baseline at `path`, and of models that it covers but does not have, held against what is.

    `tolerated` goes before the file's own tolerances. Raises InputError for a bad file, for a name that stands neither
    for a model nor for kept figures, and for bad specs; and what `profile` raises.
    """
    baseline, data = read(path)
    names: dict[str, None] = {}
    for each, place in zip(baseline.models, data["models"].places, strict=True):
        found = selection.matches(each, path.parent)
        if not found and not _was_kept(each, baseline.figures):
            raise InputError(f"{place}: models: {selection.nothing(each)}")
        names.update(dict.fromkeys(found))
    specs = {name: selection.load(name, path.parent) for name in sorted(names)}
    before = {name: _by_figure(figures, data["figures"][name]) for name, figures in baseline.figures.items()}
    after = measured(specs, baseline.guarded, baseline.workload, engine, track)
    allowed = {key: percent(text) for key, text in baseline.tolerance.items()} | dict(tolerated)
    return drifts(before, after, allowed)


def _by_figure(figures: Mapping[str, int | None], data: documents.Mapping) -> dict[Figure, int | Fraction | None]:
    """The same by what is meant. Raises InputError for a figure that is there under two names: `@8k` and `@8192`."""
    found: dict[Figure, int | Fraction | None] = {}
    for text, value in figures.items():
        if figure(text) in found:
            raise InputError(f"{data.places[text]}: {text} is given twice: it is {figure(text)}")
        found[figure(text)] = value
    return found


def _was_kept(name: str, figures: Mapping[str, object]) -> bool:
    """Whether a name that matches nothing now stands for models that were there."""
    return any(fnmatchcase(each, name) for each in figures)


def drifts(
    before: Mapping[str, Mapping[Figure, int | Fraction | None]],
    after: Mapping[str, Mapping[Figure, int | Fraction | None]],
    allowed: Mapping[str, Fraction],
) -> list[Drift]:
    """Every figure of both, by model and figure."""
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

    Raises InputError for bad names or columns and where the file that is there is no baseline, and what `profile`
    raises; the file is then as it was.
    """
    old = read(path)[0] if path.exists() else None
    for key in columns:
        counted_key(key)
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
    figures = {name: {str(each): value for each, value in values.items()} for name, values in found.items()}
    baseline = checked(Baseline, {**head, "figures": figures}, shown_path(path))
    text = yaml.safe_dump({**head, "figures": figures}, sort_keys=False, allow_unicode=True, width=1000)
    _put(path, HEADING + text, sum(map(len, figures.values())))
    return baseline


def _put(path: Path, text: str, n_figures: int) -> None:
    """Write a file that can be read again. Raises InputError where it could not be, and OSError."""
    try:
        with whole(path) as beside:
            beside.write_text(text, encoding="utf-8")
            read(beside)
    except InputError:
        raise InputError(
            f"{shown_path(path)}: {n_figures:,} figures are more than a baseline is read with: name fewer models,"
            " columns or contexts, or write several files"
        ) from None


def _from(directory: Path, name: str) -> str:
    """A name given in the working directory, as it is from `directory`."""
    return Path(os.path.relpath(name, directory)).as_posix() if selection.is_path(name) else name
