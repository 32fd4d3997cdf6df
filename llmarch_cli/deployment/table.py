"""Tables of what fits: one row a model and machine; what a device holds and reads; the layouts; how figures follow."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from fractions import Fraction

from llmarch_cli.deployment import bounds
from llmarch_cli.deployment.explained import explained
from llmarch_cli.deployment.fit import Fit
from llmarch_cli.report import units
from llmarch_cli.report.comparison import marked_models
from llmarch_cli.report.table import MAX_SIDE_BY_SIDE, Column, Table
from llmarch_cli.report.units import Value, binary_bytes, share
from llmarch_cli.specs.storage import NATIVE

_MODEL = Column("model", "model", units.TEXT, "The spec's id; for a YAML file its name.")

_COLUMNS = (
    _MODEL,
    Column("machines", "on", units.TEXT, "The devices: nodes x devices x chip."),
    Column("layout", "layout", units.TEXT, "How the model is divided over the devices: the best of those asked for."),
    Column("context_tokens", "context", units.TOKENS, "Tokens of each sequence.", "data"),
    Column(
        "beyond_context_window",
        "beyond context window",
        units.MARK,
        "Whether the context or the prompt is longer than the model's context window.",
        "data",
    ),
    Column("kv_dtype", "KV dtype", units.TEXT, "How cached values are stored.", "data"),
    Column("weight_format", "weight format", units.TEXT, "How weights are stored.", "data"),
    Column("page_tokens", "pages", units.TOKENS, "Tokens of a page, where the cache is in whole pages.", "data"),
    Column("windows", "windows", units.TEXT, "What layers with windows keep besides what is in view.", "data"),
    Column("vocab_multiple", "vocabulary", units.INTEGER, "The multiple to which it is padded.", "data"),
    Column("vocab_rows", "rows of the vocabulary", units.INTEGER, "With those that are padded.", "data"),
    Column("copied_rows", "copied", units.TEXT, "Cached rows on more than one device of a sequence.", "data"),
    Column("memory_bytes", "memory", units.BYTES, "Of a device, as it reports it.", group="bytes"),
    Column("weight_bytes", "weights", units.BYTES, "On the device that holds most.", group="bytes"),
    Column("kv_cache_bytes", "KV cache", units.BYTES, "Cached rows of the device's sequences.", group="bytes"),
    Column("state_bytes", "state", units.BYTES, "States of the device's sequences.", "if any", group="bytes"),
    Column("reserve_bytes", "reserve", units.BYTES, "Left for what an engine needs besides.", group="bytes"),
    Column("free_bytes", "free", units.BYTES, "What nothing takes.", group="bytes"),
    Column("missing_bytes", "missing", units.BYTES, "What a device lacks.", "if any", group="bytes"),
    Column("batch", "batch", units.INTEGER, "Sequences at once: those asked for, or the most.", group="fits"),
    Column("most_sequences", "most sequences", units.INTEGER, "How many fit at the context.", group="fits"),
    Column(
        "longest_context_tokens",
        "longest context",
        units.TOKENS,
        "Of a sequence alone, at most the model's own window.",
        group="fits",
    ),
    Column(
        "fewest_devices",
        "fewest devices",
        units.INTEGER,
        "Of this chip, in any layout, for the sequences asked for, or for one.",
        group="fits",
    ),
    Column("step_seconds", "decode step", units.SECONDS, "At least, for a token of each sequence.", group="step"),
    Column("step_memory_seconds", "to read", units.SECONDS, "Bytes over the bandwidth.", group="step"),
    Column("step_compute_seconds", "to compute", units.SECONDS, "FLOPs over the peak.", group="step"),
    Column("step_binds", "step binds on", units.TEXT, "What takes longer.", group="step"),
    Column(
        "exchange_seconds",
        "to exchange",
        units.SECONDS,
        "Activations between devices, over the link. Not part of the bound.",
        "if any",
        group="step",
    ),
    Column(
        "compute_bound_batch",
        "compute binds from",
        units.INTEGER,
        "The fewest sequences whose step takes longer to compute than to read, whether they fit or not.",
        group="step",
    ),
    Column("user_tokens_per_second", "tokens/s a user", units.RATE, "At most, of one sequence.", group="rate"),
    Column("tokens_per_second", "tokens/s in all", units.RATE, "At most, of all sequences.", group="rate"),
    Column(
        "device_tokens_per_second", "tokens/s a device", units.RATE, "At most, of all sequences.", "data", group="rate"
    ),
    Column("prompt_tokens", "prompt", units.TOKENS, "Tokens of one prompt.", "data", group="prompt"),
    Column("first_token_seconds", "first token", units.SECONDS, "At least, for one prompt alone.", group="prompt"),
    Column("first_token_binds", "prompt binds on", units.TEXT, "What takes longer.", group="prompt"),
    Column("price_per_hour", "price of a device", units.PRICE, "For an hour, as given.", "data", group="price"),
    Column(
        "price_per_million_tokens",
        "price of 1M tokens",
        units.PRICE,
        "Of decoded tokens, at least: at the bound of tokens/s.",
        "if any",
        group="price",
    ),
)

# Columns that a reader sees in a table of many rows.
_COMPACT = (
    *("model", "machines", "layout", "weight_bytes", "missing_bytes", "batch", "longest_context_tokens"),
    *("fewest_devices", "user_tokens_per_second", "tokens_per_second", "step_binds", "first_token_seconds"),
    "price_per_million_tokens",
)
_HELD = ("weight_bytes", "kv_cache_bytes", "state_bytes", "reserve_bytes", "free_bytes", "memory_bytes")

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
        tuple(_shown(column, len(found)) for column in _COLUMNS),
        tuple(_row(each) for each in found),
        notes=tuple(dict.fromkeys(note for each in found for note in _notes(each))),
        side_by_side=True,
        may_drop=("first_token_seconds", "step_binds", "fewest_devices"),
        named_by=("model", "machines"),
        marked=tuple(map(_marks, found)),
        specs=tuple({each.spec.id: each.spec for each in found}.values()),
    )
    beyond = tuple(marked_models(list({each.spec.id: each.spec for each in found if _marks(each)}.values())))
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
    by_key = {column.key: column for column in _COLUMNS}
    columns = tuple(
        replace(
            by_key[key],
            key=f"fit_{key}",
            title=f"on {machines}" if key == "layout" else by_key[key].title,
            group="machines",
        )
        for key in _BESIDE
    )
    by_model = {each.spec.id: _row(each) for each in found}
    rows = tuple(
        {**row, **{f"fit_{key}": by_model[str(row[_MODEL.key])][key] for key in _BESIDE}} for row in table.rows
    )
    notes = dict.fromkeys(note for each in found for note in _notes(each))
    return replace(table, columns=(*table.columns, *columns), rows=rows, notes=(*table.notes, *notes))


# What is marked where the context, or the prompt, is longer than the model's context window.
_AT_CONTEXT = frozenset(
    (
        *("kv_cache_bytes", "batch", "most_sequences", "step_seconds", "user_tokens_per_second", "tokens_per_second"),
        "price_per_million_tokens",
    )
)


def _marks(found: Fit) -> frozenset[str]:
    window, workload = found.spec.context_length, found.question.workload
    decoded = _AT_CONTEXT if window is not None and workload.context > window else frozenset()
    prompt = window is not None and workload.of_prompt > window
    return decoded | {"first_token_seconds"} if prompt else decoded


def _shown(column: Column, n_rows: int) -> Column:
    if n_rows == 1:
        return replace(column, shown="data") if column.key in _HELD else column
    if n_rows <= MAX_SIDE_BY_SIDE or column.key in _COMPACT or column.shown == "data":
        return column
    return replace(column, shown="data")


def _row(found: Fit) -> dict[str, Value]:
    workload = found.question.workload
    return {
        "model": found.spec.id,
        "machines": str(found.machines),
        "layout": found.layout.words,
        "context_tokens": workload.context,
        "beyond_context_window": bool(_marks(found)),
        "kv_dtype": workload.kv_dtype,
        "weight_format": weight_format(found),
        "page_tokens": found.question.pages,
        "windows": found.question.windows,
        "vocab_multiple": found.question.pad_vocab,
        "vocab_rows": found.question.engine_view.padded_vocab(found.spec.vocab_size, found.layout.tp),
        "copied_rows": ", ".join(found.sizes.division.copies(found.layout).names) or None,
        "memory_bytes": found.memory,
        "weight_bytes": found.held.weights,
        "kv_cache_bytes": found.held.cache,
        "state_bytes": found.held.state,
        "reserve_bytes": found.reserve,
        "free_bytes": found.free,
        "missing_bytes": found.missing,
        "batch": found.batch,
        "most_sequences": found.most_sequences,
        "longest_context_tokens": found.longest_context,
        "fewest_devices": found.fewest_devices,
        **_times(found),
        "compute_bound_batch": found.compute_batch,
        "user_tokens_per_second": found.user_rate,
        "tokens_per_second": found.rate,
        "device_tokens_per_second": None if found.rate is None else found.rate / found.machines.n_devices,
        "prompt_tokens": workload.prompt_tokens,
        "price_per_hour": found.question.price,
        "price_per_million_tokens": found.cost,
    }


def _times(found: Fit) -> dict[str, Value]:
    step, prompt = found.step, found.prompt
    return {
        "step_seconds": None if step is None else step.seconds,
        "step_memory_seconds": None if step is None else step.memory,
        "step_compute_seconds": None if step is None else step.compute,
        "step_binds": None if step is None else step.binds,
        "exchange_seconds": None if step is None else step.link,
        "first_token_seconds": None if prompt is None else prompt.seconds,
        "first_token_binds": None if prompt is None else prompt.binds,
    }


def weight_format(found: Fit) -> str:
    """The format of the weights; for `native`, all formats that the publisher uses."""
    name, shipped = found.question.workload.weights, found.spec.stored
    if name != NATIVE:
        return name
    return "bf16" if shipped is None else shipped.name


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


def _notes(found: Fit) -> Iterator[str]:
    """Everything that is assumed, a line each."""
    question, spec, chip = found.question, found.spec, found.machines.chip
    workload = question.workload
    states = f", {workload.state_dtype} states" if workload.state_dtype else ""
    behind = f" behind {workload.prefix:,} cached" if workload.prefix else ""
    shipped = "as published" if workload.weights == NATIVE else f"in {workload.weights}"
    yield (
        f"Setting: {workload.context:,} tokens of context, {workload.kv_dtype} cache{states}, weights {shipped},"
        f" a prompt of {workload.prompt_tokens:,} tokens{behind}."
    )
    yield (
        "Layout: as asked for."
        if question.sizes and len(found.sizes.candidates(found.machines)) == 1
        else "Layout: the one in which most sequences fit; of equals, and if a number is asked for, the most tokens/s."
    )
    yield f"Reserve: {share(question.reserve)} of a device's memory, for activations and for what an engine keeps."
    yield from found.sizes.division.copies(found.layout).words()
    yield from question.engine_view.words()
    peak = bounds.peak_of(found.machines, found.setting.compute)
    yield (
        f"Products on {chip.id}: no peak in {found.setting.compute} is known, so that nothing bounds them."
        if peak is None
        else f"Products on {chip.id}: in {found.setting.compute}, {units.flops(peak)}/s dense at most"
        f"{'' if question.compute else ', as the weights imply'}; it reads {units.byte_rate(chip.bandwidth)} at most."
    )
    yield (
        "Bounds: each weight that a step uses is read once, and so are the cached rows in view and the states; reads"
        " and products overlap; devices share work evenly; exchange takes no time. Real systems are slower."
    )
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
