"""The public functions: models in, profiles and tables out.

A model is a bundled id, the path of a YAML file, a config.json or a .gguf file, `org/name` on the Hugging Face Hub, or
a `ModelSpec`.
`**asked` is the workload and the engine: `context`, `batch`, `kv_dtype`, `engine`, all optional (`Asked`).

Every function raises InputError for an unknown model or an impossible workload, and CheckError if the engines disagree.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict, Unpack

from llmarch_cli.errors import InputError
from llmarch_cli.models import load
from llmarch_cli.profilers import profile as profiling
from llmarch_cli.profilers.cost import Asked, Engine, KvDtype, Source, StateDtype, Workload
from llmarch_cli.profilers.profile import Profile
from llmarch_cli.report.table import Table
from llmarch_cli.specs.loading import names
from llmarch_cli.specs.spec import ModelSpec
from llmarch_cli.specs.storage import NATIVE

if TYPE_CHECKING:
    import torch

    from llmarch_cli.deployment.fit import Fit
    from llmarch_cli.huggingface.reconcile import Reconciliation
    from llmarch_cli.modules.builder import Model as Built
    from llmarch_cli.profilers.attribution import Difference

ModelLike = str | Path | ModelSpec
Track = Callable[[Sequence[ModelSpec]], Iterable[ModelSpec]]  # wraps the specs to show progress


def profile(model: ModelLike, **asked: Unpack[Asked]) -> Profile:
    """Profile one model.

    >>> profile("gpt2", context=1024, engine="closed-form").kv_cache_bytes
    37748736
    """
    return profiling.profile(load(model), *_question(asked))


def profiles(
    models: Sequence[ModelLike] | None = None,
    *,
    contexts: Sequence[int] = (),
    changes: Mapping[str, Any] | None = None,
    track: Track = iter,
    **asked: Unpack[Asked],
) -> list[Profile]:
    """Profile several models: each at each context, and each changed model after the one it was made from.

    Args:
        models: None takes all bundled models.
        contexts: tokens in view, instead of one `context`.
        changes: values by path, as in `changed`.
        track: wraps the specs to show progress.

    >>> [p.params for p in profiles(["gpt2"], changes={"n_layers": 24}, engine="closed-form")]
    [124439808, 209494272]
    """
    workload, engine = _question(asked)
    chosen = specs(models, changes)
    workloads = [workload.at(context) for context in dict.fromkeys(contexts)] or [workload]
    return [profiling.profile(spec, each, engine) for spec in track(chosen) for each in workloads]


def specs(models: Sequence[ModelLike] | None = None, changes: Mapping[str, Any] | None = None) -> list[ModelSpec]:
    """Load several models, each followed by its changed copy if there are changes.

    If two files have the same name, each spec's id is its path as given.

    >>> [spec.id for spec in specs(["gpt2"], {"n_layers": 24})]
    ['gpt2', 'gpt2 (n_layers=24)']
    """
    given = names() if models is None else models
    loaded = [load(model) for model in given]
    paths: dict[str, set[str]] = {}
    for model, spec in zip(given, loaded, strict=True):
        paths.setdefault(spec.id, set()).add(spec.id if isinstance(model, ModelSpec) else str(model))
    chosen = [
        spec if isinstance(model, ModelSpec) or len(paths[spec.id]) == 1 else spec.with_id(str(model))
        for model, spec in zip(given, loaded, strict=True)
    ]
    if not changes:
        return chosen
    from llmarch_cli.specs.changes import changed

    return [each for spec in chosen for each in (spec, changed(spec, changes))]


def compare(
    models: Sequence[ModelLike],
    *,
    columns: Sequence[str] = (),
    sort: str | None = None,
    changes: Mapping[str, Any] | None = None,
    **asked: Unpack[Asked],
) -> Table:
    """Compare models: one row per model with its shape, layout, parameters, KV cache and FLOPs.

    Of two models of a family, where one extends the other or both extend a third one, it leads with what differs.

    Args:
        models: at least one.
        columns: keys of the metrics to show, as listed by `llmarch columns`; empty for all.
        sort: the key to sort by, ascending, or descending with a leading `-`; None keeps the order given.
        changes: values by path, as in `changed`. Each model then has three rows: as it is, changed, and the change.

    Raises InputError for unknown columns.

    >>> compare(["gpt2", "gpt2-xl"], columns=["params"], engine="closed-form").rows[1]["params"]
    1557611200
    """
    from llmarch_cli.report.columns import require
    from llmarch_cli.report.comparison import comparison
    from llmarch_cli.report.family import led

    require(columns, sort)
    found = profiles(models, changes=changes, **asked)
    table = comparison(found, columns, sort, paired=bool(changes))
    return table if changes else led(table, found)


def on_machines(table: Table, profiles: Sequence[Profile], on: str, weights: str = NATIVE) -> Table:
    """A comparison of `profiles` with what fits on machines beside it: as many sequences as fit, in the best layout.

    Weights are as published, or in another format, whatever the format of the comparison is.

    Raises InputError as `fit`.

    >>> table = compare(["gpt2", "gpt2-xl"], columns=["params"], context=1024, engine="closed-form")
    >>> found = profiles(["gpt2", "gpt2-xl"], context=1024, engine="closed-form")
    >>> on_machines(table, found, "l4").rows[1]["fit_layout"]
    'one device'
    """
    from llmarch_cli.deployment import fit as fitting
    from llmarch_cli.deployment.chips import machines
    from llmarch_cli.deployment.table import beside

    question = fitting.Question(replace(profiles[0].workload, weights=weights))
    return beside(table, fitting.fits([profile.spec for profile in profiles], [machines(on)], question), on)


def kv_cache(
    models: Sequence[ModelLike] | None = None,
    *,
    contexts: Sequence[int] = (),
    columns: Sequence[str] = (),
    sort: str | None = None,
    changes: Mapping[str, Any] | None = None,
    track: Track = iter,
    **asked: Unpack[Asked],
) -> Table:
    """Compare KV caches: one row per model and context, the smallest first.

    Args:
        models: None takes all bundled models.
        contexts: tokens in view, instead of one `context`. Models are sorted by the longest.
        columns: keys of the metrics to show.
        sort: the key to sort by; None takes `kv_cache_bytes`.
        changes: values by path, as in `changed`. Each model is then followed by its changed copy.
        track: wraps the specs to show progress.

    Raises InputError for unknown columns.

    >>> kv_cache(["gpt2"], contexts=[1024], engine="closed-form").rows[0]["kv_cache_bytes"]
    37748736
    """
    from llmarch_cli.report.columns import require
    from llmarch_cli.report.comparison import kv_caches

    require(columns, sort)
    return kv_caches(profiles(models, contexts=contexts, changes=changes, track=track, **asked), columns, sort)


def training(
    models: Sequence[ModelLike],
    *,
    seq: int = 8192,
    micro_batch: int = 1,
    optimizer: str = "adamw",
    precision: str = "mixed",
    zero: int = 0,
    devices: int = 1,
    lora_rank: int | None = None,
    lora_targets: Sequence[str] = ("all-linear",),
    tokens: int | None = None,
    changes: Mapping[str, Any] | None = None,
    engine: Engine | None = None,
    track: Track = iter,
) -> tuple[Table, ...]:
    """Say what training takes on a device: one row per model; then activations by layer, and adapters by matrix.

    Args:
        models: at least one.
        seq: tokens of a sequence.
        micro_batch: sequences that a device reads at once.
        optimizer: "adamw", "adamw-8bit", "sgd", "sgd-momentum" or "muon".
        precision: "mixed", "bf16" or "fp32".
        zero: the stage of ZeRO, 0 to 3, which says what is divided over the devices.
        devices: how many devices there are.
        lora_rank: the rank of adapters to train instead of the model; None trains all parameters.
        lora_targets: the matrices that have adapters.
        tokens: tokens of the whole run.
        changes: values by path, as in `changed`. Each model is then followed by its changed copy.
        engine: "measured" runs the modules to count activations; "closed-form" leaves them out.
        track: wraps the specs to show progress.

    Raises InputError for an impossible training or an unknown target, and CheckError if the engines disagree on what is
    trained.

    >>> training(["llama3.1-8b"], lora_rank=64, engine="closed-form")[0].rows[0]["trained_params"]
    167772160
    """
    from llmarch_cli.profilers.lora import Lora
    from llmarch_cli.profilers.training import Training, require
    from llmarch_cli.profilers.training_cost import training_cost
    from llmarch_cli.report.training import tables

    lora = None if lora_rank is None else Lora(lora_rank, tuple(lora_targets))
    asked = Training(seq, micro_batch, optimizer, precision, zero, devices, lora, tokens)
    require(asked)
    chosen = profiling.default_engine() if engine is None else profiling.as_engine(engine)
    source: Source = "closed-form" if chosen == "closed-form" else "measured"  # no certificate is for activations
    return tables([training_cost(spec, asked, source) for spec in track(specs(models, changes))])


class AskedToFit(TypedDict, total=False):
    """What is asked of models on machines, as keyword arguments.

    Attributes:
        context: tokens of each sequence; 131,072 by default.
        batch: sequences; None takes as many as fit.
        weights: the storage format of weights; "native", the default, is what the publisher ships.
        kv_dtype: how cached values are stored.
        state_dtype: the dtype of states; None keeps each in its own.
        prompt: tokens of a prompt; None takes as many as the context.
        prefix: tokens before the prompt that are cached already.
        layout: fixed sizes of the layout by name: tp, pp, dp, ep, cp, dp_attention; others are tried.
        reserve: the share of a device's memory that is left free; a tenth by default.
        compute: the dtype of products; None takes what the weights imply.
        skew: 0 if tokens choose all experts equally often; s if those of rank r in proportion to 1 / r^s.
        price: of a device for an hour: adds the least price of a million tokens.
        pages: tokens of a page, where an engine keeps the cache in whole pages.
        windows: "reserved" if layers with windows keep every token; "+512" if so many more than are in view.
        pad_vocab: the multiple to which an engine pads the vocabulary.
        pad_heads: the multiple to which an engine pads the cached values of each head.
    """

    context: int
    batch: int | None
    weights: str
    kv_dtype: KvDtype
    state_dtype: StateDtype | None
    prompt: int | None
    prefix: int
    layout: Mapping[str, int | bool]
    reserve: Fraction
    compute: str | None
    skew: float
    price: Fraction | None
    pages: int | None
    windows: str | None
    pad_vocab: int | None
    pad_heads: int | None


def fit(
    models: Sequence[ModelLike],
    on: Sequence[str],
    *,
    explain: bool = False,
    changes: Mapping[str, Any] | None = None,
    track: Track = iter,
    **asked: Unpack[AskedToFit],
) -> tuple[Table, ...]:
    """Say what fits on machines and how fast it can be at best, in closed form: one row per model and machine.

    For one row alone, tables follow of what a device holds, of a decode step's parts, and of the layouts.

    Args:
        models: at least one.
        on: machines such as "h100", "8xh200", "2x8xb200" or "8x./chip.yaml", at least one.
        explain: add a table of how each figure follows.
        changes: values by path, as in `changed`. Each model is then followed by its changed copy.
        track: wraps the specs to show progress.
        asked: the context, formats, sizes of the layout and so on, all optional (`AskedToFit`).

    Raises InputError for unknown machines, for an impossible layout, and if nothing fits anywhere.

    >>> fit(["llama3.1-8b"], ["h100"])[0].rows[0]["most_sequences"]
    3
    """
    from llmarch_cli.deployment.table import tables

    return tables(fits(models, on, changes=changes, track=track, **asked), explain)


def fits(
    models: Sequence[ModelLike],
    on: Sequence[str],
    *,
    changes: Mapping[str, Any] | None = None,
    track: Track = iter,
    **asked: Unpack[AskedToFit],
) -> list[Fit]:
    """The answers of `fit` as objects. Arguments and errors as there.

    >>> fits(["llama3.1-8b"], ["8xh100"], batch=1)[0].layout.words
    'tp 8'
    """
    from llmarch_cli.deployment import fit as fitting
    from llmarch_cli.deployment.chips import machines

    chosen = [machines(text) for text in on]
    settings: dict[str, Any] = {"weights": NATIVE, **asked}
    formats = {key: settings.pop(key) for key in tuple(settings) if key in _FORMATS}
    question = fitting.Question(Workload(**formats), sizes=dict(settings.pop("layout", {})), **settings)
    return fitting.fits(list(track(specs(models, changes))), chosen, question)


_FORMATS = ("context", "weights", "kv_dtype", "state_dtype", "prompt", "prefix")  # of a workload


def overview(
    models: Sequence[ModelLike] | None = None,
    *,
    moe: bool | None = None,
    organization: str | None = None,
    attention: str | None = None,
    kinds: Sequence[str] = (),
    since: dt.date | None = None,
    columns: Sequence[str] = (),
    sort: str | None = None,
) -> Table:
    """List the models that match all criteria, in closed form.

    Args:
        models: None takes all bundled models.
        moe: True for mixtures of experts, False for dense models.
        organization: any part of the publisher's name.
        attention: a word of the layout: mla, gqa, mha, window, chunked, nope ...
        kinds: tags of kinds and mechanisms, all of which a model must have: gated_deltanet, moe, shared_expert ...
        since: the earliest date of release.
        columns: keys of the metrics to show.
        sort: the key to sort by, which is then a column too; None sorts by organization, release date and size.

    Raises InputError for an unknown organization, attention word, kind or column.

    >>> len(overview(organization="openai", moe=True).rows)
    2
    """
    from llmarch_cli.report.columns import require
    from llmarch_cli.report.overview import filtered
    from llmarch_cli.report.overview import overview as table

    require(columns, sort)
    matching = filtered(specs(models), moe, organization, attention, kinds, since)
    return table([profile(spec, engine="closed-form") for spec in matching], sort, columns)


def fact_sheet(model: ModelLike | Profile, *, operators: bool = False, **asked: Unpack[Asked]) -> tuple[Table, ...]:
    """Describe one model: metrics, layer map, components with their shares, and what its authors publish.

    Args:
        model: the model, or its profile.
        operators: add each component's FLOPs by operator, counted by fvcore.

    Raises CheckError for an operator that fvcore cannot count.

    >>> [table.name for table in fact_sheet("gpt2", engine="closed-form")][0]
    'models'
    """
    from llmarch_cli.report import sheet

    found = model if isinstance(model, Profile) else profile(model, **asked)
    tables = sheet.sheet(found)
    if not operators:
        return tables

    from llmarch_cli.profilers.witnesses import operator_flops

    return (*tables, sheet.operators(found, operator_flops(found.spec, found.workload)))


def report(
    models: Sequence[ModelLike] | None = None,
    *,
    file_format: str = "html",
    pictures: bool = True,
    track: Track = iter,
    **asked: Unpack[Asked],
) -> str:
    """Render a comparison as text.

    The page opens with the first two models, or, of all bundled ones, with those of `page/opening.yaml`.

    Args:
        models: None takes all bundled models.
        file_format: "html" is one page that needs no network; "markdown", "csv", "json"; "junit" is `checked`.
        pictures: put plots and drawings into the page; needs matplotlib.
        track: wraps the specs to show progress.

    Raises InputError for an unknown format.

    >>> report(["gpt2"], file_format="csv", engine="closed-form").partition(",")[0]
    'model'
    """
    from llmarch_cli import page
    from llmarch_cli.report.comparison import comparison
    from llmarch_cli.report.family import led
    from llmarch_cli.report.formats import render

    if file_format == "junit":
        return render.render([checked(models, track=track, **asked)], file_format)
    if file_format != "html":
        render.require(file_format)
    found = profiles(models, track=track, **asked)
    if file_format == "html":
        return page.render(found, pictures, () if models else page.opening())
    return render.render([led(comparison(found, brief=True), found, brief=True)], file_format)


def gallery(
    models: Sequence[ModelLike] | None = None,
    out: str | Path = "gallery",
    *,
    force: bool = False,
    docs: str | None = None,
    track: Track = iter,
    **asked: Unpack[Asked],
) -> Path:
    """Write a static site of models, which needs no network, and return the path of its index. Needs matplotlib.

    It has a page for each model, an index that filters and sorts, a timeline, a family tree, and a page that compares
    any two. Files of an earlier gallery in the same directory are replaced or removed.

    Args:
        models: None takes all bundled models.
        out: the directory to write; it is made if it is missing.
        force: write into a directory that holds other files.
        docs: the address of the documentation, relative to the directory or absolute, where mechanisms are explained;
            None explains them in the gallery.
        track: wraps the specs to show progress.

    Raises InputError for a directory that holds something else than a gallery, and if matplotlib is not installed.

    >>> gallery(["gpt2", "gpt2-xl"], "site", engine="closed-form").name
    'index.html'
    """
    from llmarch_cli.models import yaml_file
    from llmarch_cli.page import gallery as site

    given = names() if models is None else models
    site.require(Path(out), force, docs)
    found = profiles(given, track=track, **asked)
    return site.write(found, [yaml_file(model) for model in given], Path(out), force=force, docs=docs)


def checked(models: Sequence[ModelLike] | None = None, *, track: Track = iter, **asked: Unpack[Asked]) -> Table:
    """Check models: one row each, which fails if the engines disagree or a published number does not hold.

    Args:
        models: None takes all bundled models.
        track: wraps the specs to show progress.

    With the closed-form engine, only published numbers are checked.

    >>> checked(["gpt2"], engine="closed-form").failures
    ()
    """
    from llmarch_cli.profilers.verification import held
    from llmarch_cli.report import verdicts

    workload, engine = _question(asked)
    return verdicts.held([held(spec, workload, engine) for spec in track(specs(models))])


def sweep(
    base: ModelLike,
    vary: Mapping[str, Iterable[int | float | str | bool | None]],
    *,
    where: str | None = None,
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
    **asked: Unpack[Asked],
) -> Table:
    """Search the variants of a model in closed form: one row per variant, or per best variant.

    1,000 random variants are re-checked one by one. `engine` has no effect here.

    Args:
        base: the model that variants are made from.
        vary: the values of each field, by dotted path. All combinations are searched.
        where: a condition such as "params <= 30B and kv_cache_bytes <= 2GiB".
        sort: the metric to sort by, ascending, or descending with a leading `-`.
        top: the most rows; None for all.
        pareto: metrics to minimise, or to maximise with a leading `-`. Only the Pareto front is returned.
        columns: the metrics of each row; empty for a default selection.
        sample: how many random points of the grid to search; None for all.
        seed: the seed of the random choices.
        out: a .csv, .json or .parquet file for all variants that meet the condition.
        plot: a .svg, .png or .html file that plots the first two metrics of `pareto`.
        scheduler: "local:N" or the address of a Dask scheduler.
        progress: called with the number of points done and the number of all points.

    Raises InputError for an invalid request or an unwritable file, CheckError if a re-checked value differs.

    >>> [row["params"] for row in sweep("gpt2", {"n_layers": [6, 12]}, columns=["params"]).rows]
    [81912576, 124439808]
    """
    from llmarch_cli.sweeping.axes import axes
    from llmarch_cli.sweeping.pricing import named
    from llmarch_cli.sweeping.run import run
    from llmarch_cli.sweeping.search import Question, columns_for
    from llmarch_cli.sweeping.selection import Goal
    from llmarch_cli.sweeping.table import variants

    workload, _ = _question(asked)
    profiling.require(workload)
    spec = load(base)
    varied = axes(spec, vary, sample)
    paths = {axis.path: axis for axis in varied}

    def goal(text: str) -> Goal:
        asked = Goal.parsed(text)
        return Goal(named(asked.key, paths, spec), asked.largest)

    goals = tuple(map(goal, pareto))
    order = None if sort is None else goal(sort)
    question = Question(
        spec,
        varied,
        workload,
        columns_for([named(text, paths, spec) for text in columns], goals, order),
        where,
        order,
        top,
        goals,
        sample,
        seed,
    )
    target, tell = None if out is None else Path(out), progress or (lambda _, __: None)
    if plot is None:
        return variants(*run(question, target, scheduler, tell), is_usual=not columns)
    from llmarch_cli.sweeping import plot as drawn

    file = drawn.Picture(Path(plot), spec.name, goals)
    search, answer = run(question, target, scheduler, tell)
    best = drawn.points(search.rows(answer), file)
    file.draw(drawn.random_variants(question, file), best, drawn.unit_of)
    return variants(search, answer, is_usual=not columns)


def sweep_on(
    base: ModelLike,
    on: Sequence[str],
    vary: Mapping[str, Iterable[int | float | str | bool | None]],
    *,
    every_layout: bool = False,
    price: Fraction | None = None,
    where: str | None = None,
    sort: str | None = None,
    top: int | None = None,
    pareto: Sequence[str] = (),
    columns: Sequence[str] = (),
    sample: int | None = None,
    seed: int = 0,
    plot: str | Path | None = None,
    progress: Callable[[int, int], None] | None = None,
    **asked: Unpack[Asked],
) -> Table:
    """Search the variants of a model, and how machines are shared: the best layout, or the best model for devices.

    What fits of each variant is answered as by `fit`: with weights as published and as many sequences as fit, unless
    `weights` and `batch` are given.

    Args:
        base: the model that variants are made from.
        on: the machines, such as "8xh200". With several, each variant is asked about on each.
        vary: values of fields by path, of sizes of the layout (`tp`, `pp`, `dp`, `ep`, `cp`, `dp_attention`), and of
            `batch`. May be empty.
        every_layout: a row for each layout that divides a variant and in which it fits, instead of the best one.
        price: of a device for an hour, as in `fit`.
        where: a condition on metrics of the model and on figures of `fit`.
        sort: the metric or figure to sort by, ascending, or descending with a leading `-`.
        top: the most rows; None for all.
        pareto: figures to minimise, or to maximise with a leading `-`.
        columns: the metrics and figures of each row; empty for a default selection.
        sample: how many random points of the grid to search; None for all.
        seed: the seed of the random choices.
        plot: a file that plots the first two figures of `pareto`.
        progress: called with the number of points done and the number of all points.

    Raises InputError for an invalid request. A variant that does not fit is skipped and counted.

    >>> table = sweep_on("gpt2", ["2xl4"], {"tp": [1, 2]}, context=1024, batch=1, sort="-user_tokens_per_second")
    >>> [row["tp"] for row in table.rows]
    [2, 1]
    """
    from llmarch_cli.deployment.fit import Question as Deployment
    from llmarch_cli.deployment.variants import COLUMNS, MACHINES, SETTINGS, Variants
    from llmarch_cli.sweeping import plot as drawn
    from llmarch_cli.sweeping.axes import axes, setting
    from llmarch_cli.sweeping.each import Asking, Search
    from llmarch_cli.sweeping.search import Question, columns_for
    from llmarch_cli.sweeping.selection import Goal

    workload, _ = _question({"weights": NATIVE, **asked})
    profiling.require(workload)
    spec = load(base)
    goals = tuple(Goal.parsed(text) for text in pareto)
    order = None if sort is None else Goal.parsed(sort)
    machines = Variants(on, Deployment(workload, asked.get("batch"), price=price), every_layout)
    settings = [setting(name, vary[name], kind) for name, kind in SETTINGS.items() if name in vary]
    fields = {path: values for path, values in vary.items() if path not in SETTINGS}
    question = Question(
        spec,
        axes(spec, fields) if fields else (),
        workload,
        columns_for(columns, goals, order, COLUMNS),
        where,
        order,
        top,
        goals,
        sample,
        seed,
    )
    varied = (setting(MACHINES, on, str), *settings)
    asking = Asking(varied, machines.figures, machines.ask, tuple(machines.words()), attrgetter("marked"))
    search = Search(question, asking)
    file = None if plot is None else drawn.Picture(Path(plot), spec.name, search.question.pareto)
    found = search.run(progress or (lambda _, __: None))
    rows, n_best = search.best(found.rows)
    if file is not None:
        file.draw(search.points(found.rows, file), search.points(rows, file), lambda key: search.column(key).unit)
    return search.table(found, rows, n_best, with_beyond=not columns)


def diff(before: ModelLike, after: ModelLike, **asked: Unpack[Asked]) -> Difference:
    """Explain how two models differ, and what each change does to parameters, KV cache and FLOPs.

    The effects add up exactly to the whole difference. Each change is applied on top of those before it, in the order
    of the spec's fields. The result is false if the architectures are equal. Effects are always in closed form.

    >>> diff("gpt2", "gpt2-xl", engine="closed-form").cost.params
    1433171392
    """
    from llmarch_cli.profilers.attribution import difference

    workload, engine = _question(asked)
    first, last = specs([before, after])
    return difference(first, last, workload, engine)


def draw(models: Sequence[ModelLike], path: str | Path, *, theme: str = "auto", **asked: Unpack[Asked]) -> None:
    """Draw architectures side by side into one file, in closed form. Needs matplotlib.

    Args:
        models: at least one.
        path: an .svg, .png or .pdf file.
        theme: "light", "dark", or "auto": light, and in an SVG file dark where the reader prefers dark pages.
        **asked: without a context, the longest one that all models have.

    Raises InputError for another ending or theme, and if matplotlib is not installed.

    >>> draw(["gpt2", "gpt2-xl"], "gpt2.svg")
    """
    from llmarch_cli.report.plots import library
    from llmarch_cli.writing import put

    put(Path(path), drawing(models, library.checked_ending(path), theme=theme, **asked))


def drawing(
    models: Sequence[ModelLike], file_format: str = "svg", *, theme: str = "auto", **asked: Unpack[Asked]
) -> bytes:
    """What `draw` writes, as the bytes of an "svg", "png" or "pdf" file.

    >>> drawing(["gpt2"])[:5]
    b'<?xml'
    """
    from llmarch_cli.drawings import canvas

    canvas.require(file_format, theme)
    from llmarch_cli.drawings.picture import picture

    return canvas.rendered(picture(_drawn(models, asked)), file_format, theme)


def sketch(
    models: Sequence[ModelLike],
    *,
    width: int = 100,
    color: bool = False,
    ascii_only: bool = False,
    **asked: Unpack[Asked],
) -> str:
    """Architectures below each other, in characters: what `llmarch draw` prints on a terminal.

    Args:
        models: at least one.
        width: characters of a line.
        color: mark layers in a terminal's colours.
        ascii_only: use no other characters.
        **asked: without a context, the longest one that all models have.

    >>> sketch(["gpt2"]).splitlines()[0]
    'GPT-2 · gpt2 · OpenAI · 2019-02-14'
    """
    from llmarch_cli.drawings import sketch as sketching

    return sketching.sketch(_drawn(models, asked), width, color, ascii_only)


def _drawn(models: Sequence[ModelLike], asked: Asked) -> list[Profile]:
    """The profiles of a drawing, at the longest context that all models have, unless another one is asked for."""
    if not models:
        raise InputError("no model given: name one or more")
    specs = [load(model) for model in models]
    windows = [spec.context_length for spec in specs if spec.context_length is not None]
    given: Asked = {**asked, "engine": "closed-form"}
    if "context" not in given and windows:
        given["context"] = min(windows)
    return profiles(specs, **given)


def load_checkpoint(
    model: ModelLike,
    directory: str | Path,
    *,
    device: str | torch.device = "cpu",
    dtype: torch.dtype | None = None,
) -> Built:
    """Build a model with the weights of a Hugging Face checkpoint.

    Args:
        model: the model whose checkpoint it is.
        directory: safetensors files, one or several with an index; or the path of one file.
        device: the device of the model; not "meta".
        dtype: the dtype of all parameters; None takes that of the stored embedding, and bfloat16 if it is packed.

    Raises InputError if a file is broken, or a tensor is missing, unexpected, misshapen or packed in an unknown way.

    >>> load_checkpoint("tiny.yaml", "checkpoint").spec.name
    'Tiny'
    """
    from llmarch_cli.huggingface import checkpoint

    return checkpoint.load_checkpoint(load(model), Path(directory), device, dtype)


def reconcile(model: ModelLike, directory: str | Path) -> Reconciliation:
    """Account for every tensor of a checkpoint from its headers. The data may be absent.

    Args:
        model: the model whose checkpoint it is.
        directory: a directory of safetensors files, its index, or the path of one file: safetensors or GGUF.

    Raises InputError if a file is broken. Tensors that do not fit are in the result.

    >>> reconcile("tiny.yaml", "checkpoint").ok
    True
    """
    from llmarch_cli.huggingface import reconcile

    return reconcile.reconcile(load(model), Path(directory))


def _question(asked: Asked) -> tuple[Workload, Engine]:
    """The workload and the engine of keyword arguments, with their defaults."""
    settings: dict[str, Any] = {**asked}
    engine = settings.pop("engine", None)
    chosen = profiling.default_engine() if engine is None else profiling.as_engine(engine)
    return Workload(**settings), chosen
