"""Tables of what fits: one row a model and machine; what a device holds and reads; the layouts; how figures follow."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from fractions import Fraction

from llmarch_cli.deployment import bounds
from llmarch_cli.deployment.explained import explained
from llmarch_cli.deployment.figures import BY_KEY, FIGURES, Figures, marks
from llmarch_cli.deployment.fit import Fit, Question
from llmarch_cli.profilers.cost import Workload
from llmarch_cli.report import units
from llmarch_cli.report.comparison import marked_models
from llmarch_cli.report.table import MAX_SIDE_BY_SIDE, Column, Table
from llmarch_cli.report.units import Value, binary_bytes, share
from llmarch_cli.specs.storage import NATIVE

MODEL = "model"

# Columns that a reader sees in a table of many rows.
_COMPACT = (
    *("model", "machines", "layout", "device_weight_bytes", "missing_bytes", "batch", "longest_context_tokens"),
    *("fewest_devices", "user_tokens_per_second", "tokens_per_second", "step_binds", "first_token_seconds"),
    "price_per_million_tokens",
)
_HELD = (
    *("device_weight_bytes", "device_kv_cache_bytes", "device_state_bytes"),
    *("reserve_bytes", "free_bytes", "memory_bytes"),
)

_DEVICE = (
    Column("part", "on a device", units.TEXT),
    Column("device_bytes", "bytes", units.BYTES),
    Column("share", "share", units.SHARE, shown="reading"),
)
_STEP = (
    Column("part", "a decode step", units.TEXT),
    Column("read_bytes", "reads", units.BYTES),
    Column("flops", "computes", units.FLOPS),
    Column("sent_bytes", "sends", units.BYTES, shown="if any"),
    Column("seconds", "takes at least", units.SECONDS),
)
_LAYOUTS = (
    Column("layout", "layout", units.TEXT),
    Column("most_sequences", "most sequences", units.INTEGER),
    Column("alone_tokens_per_second", "tokens/s of one alone", units.RATE),
    Column("tokens_per_second", "tokens/s of the most", units.RATE),
)


def tables(found: Sequence[Fit], explain: bool = False) -> tuple[Table, ...]:
    """One row a model and machine. For one alone also what a device holds, a step's parts, and the best layouts."""
    summary = Table(
        "fit",
        tuple(_shown(each.column, len(found)) for each in FIGURES),
        tuple(map(Figures, found)),
        notes=tuple(dict.fromkeys(note for each in found for note in _notes(each))),
        side_by_side=True,
        may_drop=("first_token_seconds", "step_binds", "fewest_devices"),
        named_by=("model", "machines"),
        marked=tuple(map(marks, found)),
        specs=tuple({each.spec.id: each.spec for each in found}.values()),
    )
    beyond = tuple(marked_models(list({each.spec.id: each.spec for each in found if marks(each)}.values())))
    summary = replace(summary, notes=(*beyond, *summary.notes))
    details = [_device(found[0]), _step(found[0]), _layouts(found[0])] if len(found) == 1 else []
    if explain:
        details.append(explained(found))
    if not details:
        return (summary,)
    details[-1] = replace(details[-1], notes=summary.notes[len(beyond) :])  # below everything
    return replace(summary, notes=beyond), *details


# What a comparison of models shows of machines, by the keys above.
_BESIDE = ("layout", "most_sequences", "longest_context_tokens", "user_tokens_per_second", "tokens_per_second")


def beside(table: Table, found: Sequence[Fit], machines: str) -> Table:
    """A table of models with what fits on one sort of machines, `found` by model, as further columns."""
    figures = {key: BY_KEY[key] for key in _BESIDE}
    columns = tuple(
        replace(
            figure.column,
            key=f"fit_{key}",
            title=f"on {machines}" if key == "layout" else figure.column.title,
            group="machines",
        )
        for key, figure in figures.items()
    )
    by_model = {each.spec.id: {f"fit_{key}": figure.value(each) for key, figure in figures.items()} for each in found}
    rows = tuple({**row, **by_model[str(row[MODEL])]} for row in table.rows)
    notes = dict.fromkeys(note for each in found for note in _notes(each))
    return replace(table, columns=(*table.columns, *columns), rows=rows, notes=(*table.notes, *notes))


def _shown(column: Column, n_rows: int) -> Column:
    if n_rows == 1:
        return replace(column, shown="data") if column.key in _HELD else column
    if n_rows <= MAX_SIDE_BY_SIDE or column.key in _COMPACT or column.shown == "data":
        return column
    return replace(column, shown="data")


def _device(found: Fit) -> Table:
    held = {
        "weights": found.held.weights,
        "cache": found.held.cache,
        "state": found.held.state,
        "reserve": found.reserve,
        "free": found.free,
    }
    rows: list[dict[str, Value]] = [
        {"part": part, "device_bytes": n_bytes, "share": Fraction(n_bytes, found.memory)}
        for part, n_bytes in held.items()
        if n_bytes or part != "state"
    ]
    total: dict[str, Value] = {"part": "memory", "device_bytes": found.memory, "share": Fraction(1)}
    title = "Memory of the device that holds most"
    return Table("device", _DEVICE, tuple(rows), title, bar="device_bytes", total=total, main=False)


def _step(found: Fit) -> Table:
    """What a device reads, computes and sends, each with the time that it takes alone."""
    rows: list[dict[str, Value]] = []
    bandwidth = found.machines.chip.bandwidth
    empty: dict[str, Value] = {"read_bytes": None, "flops": None, "sent_bytes": None, "seconds": None}
    if (step := found.step) is not None:
        for read in step.reads:
            seconds = Fraction(read.n_bytes, bandwidth)
            rows.append({**empty, "part": read.name, "read_bytes": read.n_bytes, "seconds": seconds})
        rows.append({**empty, "part": "all reads", "read_bytes": step.n_bytes, "seconds": step.memory})
        rows.append({**empty, "part": "all products", "flops": step.flops, "seconds": step.compute})
        for sent in step.sent:
            part = f"exchange: {sent.name}"
            rows.append({**empty, "part": part, "sent_bytes": sent.n_bytes, "seconds": sent.seconds})
    return Table("step", _STEP, tuple(rows), "Bound of a decode step", main=False)


def _layouts(found: Fit) -> Table:
    rows: list[dict[str, Value]] = [
        {
            "layout": option.layout.words,
            "most_sequences": option.most_sequences,
            "alone_tokens_per_second": option.alone,
            "tokens_per_second": option.rate,
        }
        for option in found.options
    ]
    return Table("layouts", _LAYOUTS, tuple(rows), "Layouts that no other beats in all three", main=False)


BEST_LAYOUT = "Layout: the one in which most sequences fit; of equals, and if a number is asked for, the most tokens/s."
BOUNDS = (
    "Bounds: each weight that a step uses is read once, and so are the cached rows in view and the states; reads"
    " and products overlap; devices share work evenly; exchange takes no time. Real systems are slower."
)


def setting(workload: Workload) -> str:
    """The context, the prompt and the formats."""
    states = f", {workload.state_dtype} states" if workload.state_dtype else ""
    behind = f" behind {workload.prefix:,} cached" if workload.prefix else ""
    shipped = "as published" if workload.weights == NATIVE else f"in {workload.weights}"
    return (
        f"{workload.context:,} tokens of context, {workload.kv_dtype} cache{states}, weights {shipped}, a prompt of"
        f" {workload.prompt_tokens:,} tokens{behind}"
    )


def reserve_note(question: Question) -> str:
    """What is left free, and for what."""
    return f"Reserve: {share(question.reserve)} of a device's memory, for activations and for what an engine keeps."


def _notes(found: Fit) -> Iterator[str]:
    """Everything that is assumed, a line each."""
    question, spec, chip = found.question, found.spec, found.machines.chip
    workload = question.workload
    yield f"Setting: {setting(workload)}."
    yield (
        "Layout: as asked for." if question.sizes and len(found.sizes.candidates(found.machines)) == 1 else BEST_LAYOUT
    )
    yield reserve_note(question)
    yield from found.sizes.division.copies(found.layout).words()
    yield from question.engine_view.words()
    peak = bounds.peak_of(found.machines, found.setting.compute)
    yield (
        f"Products on {chip.id}: no peak in {found.setting.compute} is known, so that nothing bounds them."
        if peak is None
        else f"Products on {chip.id}: in {found.setting.compute}, {units.flops(peak)}/s dense at most"
        f"{'' if question.compute else ', as the weights imply'}; it reads {units.byte_rate(chip.bandwidth)} at most."
    )
    yield BOUNDS
    if found.sizes.model.stacks:
        tokens_choose = "unevenly" if found.setting.skew else "all equally often"
        skew = f" (skew {found.setting.skew:g})" if found.setting.skew else ""
        yield f"Experts: tokens choose them {tokens_choose}{skew} and independently; each distinct one is read once."
    if found.layout.pp > 1:
        yield "Stages: sequences pass them in as many groups as there are stages."
    if found.step is not None and found.step.compute is not None and found.compute_batch is None:
        yield "Compute binds at no batch: reading one more sequence's cache takes longer than its products."
    if found.missing:
        yield (
            f"{spec.id} does not fit on {found.machines}: a device lacks {binary_bytes(found.missing)} for"
            f" {_sequences(question.batch or 1)}."
        )
    if question.price is not None:
        yield "Price: of decoded tokens at the bound, so at least that much."


def _sequences(number: int) -> str:
    return f"{number:,} sequence{'s' * (number > 1)}"
