"""The library behind the commands: names in, profiles and tables out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llmarch_cli.errors import InputError
from llmarch_cli.models import load
from llmarch_cli.profilers import profile as profiling
from llmarch_cli.profilers.cost import DEFAULT_CONTEXT, KvDtype, Workload
from llmarch_cli.profilers.profile import Engine, Profile
from llmarch_cli.report.table import Table
from llmarch_cli.specs.loading import names
from llmarch_cli.specs.spec import ModelSpec

if TYPE_CHECKING:
    import torch

    from llmarch_cli.huggingface.reconcile import Reconciliation
    from llmarch_cli.modules.builder import Model as Built
    from llmarch_cli.profilers.attribution import Difference
    from llmarch_cli.report.plots.data import Kind, Plot

Model = str | Path | ModelSpec
Track = Callable[[Sequence[ModelSpec]], Iterable[ModelSpec]]  # passes specs on, to be told how far it is


def profile(
    model: Model,
    context: int = DEFAULT_CONTEXT,
    batch: int = 1,
    kv_dtype: KvDtype = "bf16",
    engine: Engine | None = None,
) -> Profile:
    """What `model` costs when `batch` sequences each decode one token with `context` tokens in view.

    Args:
        model: a bundled id, a path to a YAML file, or a spec.
        context: tokens in view, the decoded one included.
        batch: sequences; KV-cache bytes are for all of them.
        kv_dtype: what the cache stores: bf16, fp16, fp32 or fp8.
        engine: "measured" builds and runs, "closed-form" calculates; None takes `LLMARCH_ENGINE`, else measured.

    Raises InputError for unknown models and impossible workloads, CheckError where the engines disagree.
    """
    chosen = _chosen(engine)
    return profiling.profile(load(model), Workload(context, batch, kv_dtype), chosen)


def compare(
    models: Sequence[Model],
    context: int = DEFAULT_CONTEXT,
    batch: int = 1,
    kv_dtype: KvDtype = "bf16",
    engine: Engine | None = None,
    columns: Sequence[str] = (),
    sort: str | None = None,
    changes: Mapping[str, Any] | None = None,
) -> Table:
    """One row a model: its shape, layout, parameters, KV cache and FLOPs.

    Args:
        models: each as for `profile`; the same goes for what follows.
        context: tokens in view.
        batch: sequences.
        kv_dtype: what the cache stores.
        engine: "measured" or "closed-form".
        columns: keys of the metrics wanted, of which `llmarch columns` lists all; none for all.
        sort: the key to order by, upwards, or downwards with a `-` before it; None keeps the given order.
        changes: values by path, as `changed` takes them. Each model then has three rows: as it was, changed, and what
            became of every figure.

    Raises what `profile` and `changed` raise, and InputError for unknown columns.
    """
    from llmarch_cli.report import comparison
    from llmarch_cli.report.columns import check

    check(columns, sort)
    pairs = _with_changed(_told_apart(models), changes)
    profiles = [[profile(spec, context, batch, kv_dtype, engine) for spec in pair] for pair in pairs]
    if not changes:
        return comparison.comparison([each for (each,) in profiles], columns, sort)
    return comparison.changes([(before, after) for before, after in profiles], columns, sort)


def kv_cache(
    models: Sequence[Model] | None = None,
    contexts: Sequence[int] = (DEFAULT_CONTEXT,),
    batch: int = 1,
    kv_dtype: KvDtype = "bf16",
    engine: Engine | None = None,
    columns: Sequence[str] = (),
    sort: str | None = None,
    changes: Mapping[str, Any] | None = None,
    track: Track = iter,
) -> Table:
    """One row a model and context: the bytes that the architecture must keep, the smallest first.

    Args:
        models: each as for `profile`; None for all that are bundled.
        contexts: tokens in view; models are ordered by the longest.
        batch: as for `compare`, like all that follows.
        kv_dtype: what the cache stores.
        engine: "measured" or "closed-form".
        columns: keys of the metrics wanted.
        sort: the key to order by, `kv_cache_bytes` where it is None.
        changes: values by path, as `changed` takes them; each model is then there as it was and changed.
        track: passes the specs on, to be told how far it is.

    Raises what `compare` raises.
    """
    from llmarch_cli.report.columns import check
    from llmarch_cli.report.comparison import kv_caches

    check(columns, sort)
    pairs = _with_changed(_specs(models), changes)
    specs = [spec for pair in pairs for spec in pair]
    asked = dict.fromkeys(contexts)
    profiles = [profile(spec, context, batch, kv_dtype, engine) for spec in track(specs) for context in asked]
    return kv_caches(profiles, columns, sort)


def plot(
    kind: Kind,
    models: Sequence[Model] | None = None,
    contexts: Sequence[int] = (DEFAULT_CONTEXT,),
    batch: int = 1,
    kv_dtype: KvDtype = "bf16",
    changes: Mapping[str, Any] | None = None,
) -> Plot:
    """The exact figures of a plot, by the closed form; `report.plots` draws them.

    Args:
        kind: "cache" or "flops", each by context; "params" by component; "active" against all parameters.
        models: as for `kv_cache`, like all that follows.
        contexts: tokens in view, which the plot reaches in any case.
        batch: sequences.
        kv_dtype: what the cache stores.
        changes: as for `kv_cache`.

    Raises what `profile` and `changed` raise.
    """
    from llmarch_cli.report.plots import data

    pairs = _with_changed(_specs(models), changes)
    specs = [spec for pair in pairs for spec in pair]
    return data.plot(kind, [profile(s, context, batch, kv_dtype, "closed-form") for s in specs for context in contexts])


def overview(
    moe: bool | None = None, organization: str | None = None, attention: str | None = None, sort: str | None = None
) -> Table:
    """One row for each bundled model that fits all that is given, by the closed form alone.

    Args:
        moe: True for mixtures of experts, False for dense models.
        organization: any part of its name.
        attention: a word of the layout: mla, gqa, mha, window, chunked, nope ...
        sort: as for `compare`; None orders by organization, release and size.

    Raises InputError for an organization, an attention or a column that there is not.
    """
    from llmarch_cli.report.columns import check
    from llmarch_cli.report.overview import filtered
    from llmarch_cli.report.overview import overview as tabled

    check(sort=sort)
    specs = filtered([load(name) for name in names()], moe, organization, attention)
    return tabled([profile(spec, engine="closed-form") for spec in specs], sort)


def fact_sheet(
    model: Model,
    context: int = DEFAULT_CONTEXT,
    batch: int = 1,
    kv_dtype: KvDtype = "bf16",
    engine: Engine | None = None,
    operators: bool = False,
) -> tuple[Table, ...]:
    """All about one model: figures, layer map, components with their shares, and what its authors publish.

    Args:
        model: as for `profile`, like all that follows.
        context: tokens in view.
        batch: sequences.
        kv_dtype: what the cache stores.
        engine: "measured" or "closed-form".
        operators: with each component's FLOPs by operator, as fvcore counts them.

    Raises what `profile` raises, and CheckError for an operator that fvcore cannot count.
    """
    from llmarch_cli.report import sheet

    figures = profile(model, context, batch, kv_dtype, engine)
    tables = sheet.sheet(figures)
    if not operators:
        return tables

    from llmarch_cli.profilers.witnesses import operator_flops

    return (*tables, sheet.operators(figures, operator_flops(figures.spec, figures.workload)))


def report(
    models: Sequence[Model] | None = None,
    file_format: str = "html",
    context: int = DEFAULT_CONTEXT,
    batch: int = 1,
    kv_dtype: KvDtype = "bf16",
    engine: Engine | None = None,
    pictures: bool = True,
    track: Track = iter,
) -> str:
    """A comparison as text: one HTML page that needs no network, or any format that a table is written in.

    Args:
        models: as for `kv_cache`, like all that is not said here.
        file_format: "html", "markdown", "csv", "json" or "junit", which is of `checked`.
        context: tokens in view, where the page begins.
        batch: sequences.
        kv_dtype: what the cache stores.
        engine: "measured" or "closed-form".
        pictures: with plots and architecture figures in the page, which take matplotlib.
        track: passes the specs on, to be told how far it is.

    Raises what `profile` raises, and InputError for an unknown format.
    """
    from llmarch_cli import page
    from llmarch_cli.report.comparison import comparison
    from llmarch_cli.report.formats import render

    if file_format != "html":
        render.check(file_format, render.VERDICT_FORMATS)
    if file_format == "junit":
        return render.render([checked(models, context, batch, kv_dtype, engine, track)], file_format)
    specs = _specs(models)
    profiles = [profile(spec, context, batch, kv_dtype, engine) for spec in track(specs)]
    if file_format == "html":
        return page.render(profiles, pictures)
    return render.render([comparison(profiles)], file_format)


def checked(
    models: Sequence[Model] | None = None,
    context: int = DEFAULT_CONTEXT,
    batch: int = 1,
    kv_dtype: KvDtype = "bf16",
    engine: Engine | None = None,
    track: Track = iter,
) -> Table:
    """One row a model, as in `compare`; it fails where the engines disagree or a published figure does not hold.

    Args:
        models: as for `kv_cache`, like all that is not said here.
        context: tokens in view.
        batch: sequences.
        kv_dtype: what the cache stores.
        engine: "measured", or "closed-form", with which only published figures are checked.
        track: passes the specs on, to be told how far it is.

    Raises InputError for unknown models and impossible workloads.
    """
    from llmarch_cli.profilers.verification import held
    from llmarch_cli.report import verdicts

    chosen = _chosen(engine)
    specs = track(_specs(models))
    return verdicts.held([held(spec, Workload(context, batch, kv_dtype), chosen) for spec in specs])


def sweep(
    base: Model,
    vary: Mapping[str, Iterable[int | float | str | bool | None]],
    where: str | None = None,
    context: int = DEFAULT_CONTEXT,
    batch: int = 1,
    kv_dtype: KvDtype = "bf16",
    sort: str | None = None,
    top: int | None = None,
    pareto: Sequence[str] = (),
    columns: Sequence[str] = (),
    sample: int | None = None,
    seed: int = 0,
    out: str | Path | None = None,
    plot: str | Path | None = None,
    scheduler: str | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Table:
    """One row for each variant of `base` that meets a condition, or for the best of them, by the closed form.

    A thousand variants at random are checked one by one, each as a spec of its own.

    Args:
        base: as for `profile`.
        vary: dotted paths of fields, each with the values that it takes: all combinations are looked at.
        where: a condition such as "params <= 30B and kv_cache_bytes <= 2GiB"; None for none.
        context: as for `profile`, like the next two.
        batch: sequences.
        kv_dtype: what the cache stores.
        sort: the figure to order by, upwards, or downwards with a `-` before it.
        top: the most rows; None for all.
        pareto: figures that trade off, each to be small, or large with a `-` before it: rows are the front's.
        columns: the figures of each row; none for the most telling.
        sample: look at so many points of the grid, at random; None for all.
        seed: which points these are.
        out: a .csv, .json or .parquet file for all variants that meet the condition, written as they are found.
        plot: a .svg, .png or .html file for a picture of two figures, with the front.
        scheduler: "local:N" or the address of a Dask scheduler, which hands chunks to its workers.
        progress: called with how many points are done, and how many there are.

    Raises InputError for what cannot be asked or written, CheckError where a checked figure differs.
    """
    from llmarch_cli.sweeping import plot as picture
    from llmarch_cli.sweeping.axes import axes
    from llmarch_cli.sweeping.run import run
    from llmarch_cli.sweeping.search import Question, columns_for
    from llmarch_cli.sweeping.selection import Goal
    from llmarch_cli.sweeping.table import variants

    workload = Workload(context, batch, kv_dtype)
    profiling.check(workload)
    spec = load(base)
    goals = tuple(Goal.parsed(text) for text in pareto)
    order = None if sort is None else Goal.parsed(sort)
    question = Question(
        spec,
        axes(spec, vary, sample),
        workload,
        columns_for(columns, (*goals, *((order,) if order else ()))),
        where,
        order,
        top,
        goals,
        sample,
        seed,
    )
    file = None if plot is None else picture.Picture(Path(plot), question)
    search, answer = run(question, None if out is None else Path(out), scheduler, progress or (lambda _, __: None))
    table = variants(search, answer)
    if file is not None:
        file.draw(search.rows(answer))
    return table


def diff(
    before: Model,
    after: Model,
    context: int = DEFAULT_CONTEXT,
    batch: int = 1,
    kv_dtype: KvDtype = "bf16",
    engine: Engine | None = None,
) -> Difference:
    """What leads from one model to another, and what each change does to the figures.

    Args:
        before: as for `profile`, like all that follows.
        after: the other model.
        context: tokens in view.
        batch: sequences.
        kv_dtype: what the cache stores.
        engine: whose figures the two models have; what each change does is always in closed form.

    The effects add up exactly to the whole difference. Where changes interact, each does what it does on top of those
    before it, in the order of a spec's fields. The result is false where the architectures are the same.
    Raises what `profile` raises.
    """
    from llmarch_cli.profilers.attribution import difference

    chosen = _chosen(engine)
    first, last = _told_apart([before, after])
    return difference(first, last, Workload(context, batch, kv_dtype), chosen)


def draw(models: Sequence[Model], path: str | Path, theme: str = "light", context: int = DEFAULT_CONTEXT) -> None:
    """Draw the architectures of `models` side by side into one file, by the closed form alone.

    Args:
        models: each as for `profile`.
        path: the file; its ending says what it becomes: .svg, .png or .pdf.
        theme: "light" or "dark".
        context: tokens in view, for the cache's figures.

    Raises what `profile` raises, and InputError for another ending or theme, or where matplotlib is not installed.
    """
    from llmarch_cli.drawings import canvas

    canvas.check(Path(path), theme)
    if not models:
        raise InputError("there is no model to draw: name one or more")
    from llmarch_cli.drawings.picture import picture

    specs = _told_apart(models)
    canvas.save(picture([profile(spec, context, engine="closed-form") for spec in specs]), Path(path), theme)


def load_checkpoint(
    model: Model,
    directory: str | Path,
    device: str | torch.device = "cpu",
    dtype: torch.dtype | None = None,
) -> Built:
    """The built model with the weights of a Hugging Face checkpoint.

    Args:
        model: a bundled id, a path to a YAML file, or a spec.
        directory: safetensors files, one or several with an index.
        device: the device of the model; not "meta".
        dtype: the dtype of all parameters; None takes that of the stored embedding, and bfloat16 if it is packed.

    Raises InputError if a file is broken, or a tensor is missing, unexpected, misshapen or packed in an unknown way.
    """
    from llmarch_cli.huggingface import checkpoint

    return checkpoint.load_checkpoint(load(model), Path(directory), device, dtype)


def reconcile(model: Model, directory: str | Path) -> Reconciliation:
    """Account for every tensor of a checkpoint from its headers. The data may be absent.

    Raises InputError if a file is broken. Tensors that do not fit are in the result.
    """
    from llmarch_cli.huggingface import reconcile

    return reconcile.reconcile(load(model), Path(directory))


def _chosen(engine: Engine | None) -> Engine:
    return profiling.default_engine() if engine is None else profiling.checked_engine(engine)


def _specs(models: Sequence[Model] | None) -> list[ModelSpec]:
    """The specs of `models`, or of all that are bundled where that is None."""
    return _told_apart(names() if models is None else models)


def _told_apart(models: Sequence[Model]) -> list[ModelSpec]:
    """The specs. Where several files share a name, each goes by its path as given."""
    specs = [load(model) for model in models]
    given: dict[str, set[str]] = {}
    for model, spec in zip(models, specs, strict=True):
        given.setdefault(spec.id, set()).add(spec.id if isinstance(model, ModelSpec) else str(model))
    return [
        spec if isinstance(model, ModelSpec) or len(given[spec.id]) == 1 else spec.with_id(str(model))
        for model, spec in zip(models, specs, strict=True)
    ]


def _with_changed(specs: Sequence[ModelSpec], changes: Mapping[str, Any] | None) -> list[tuple[ModelSpec, ...]]:
    """Each spec, with itself changed behind it where there are changes. All are changed before any is measured."""
    if not changes:
        return [(spec,) for spec in specs]
    from llmarch_cli.specs.changes import changed

    return [(spec, changed(spec, changes)) for spec in specs]
