"""How each figure of `fit` follows: its formula, its inputs, and where they come from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from llmarch_cli.deployment import bounds
from llmarch_cli.deployment.experts import expected_experts
from llmarch_cli.deployment.fit import Fit, n_groups
from llmarch_cli.report import units
from llmarch_cli.report.table import Column, Table
from llmarch_cli.report.units import Value, binary_bytes, decimal, flops, rate, seconds

_COLUMNS = (
    Column("model", "model", units.TEXT, shown="data"),
    Column("machines", "on", units.TEXT, shown="data"),
    Column("figure", "figure", units.TEXT),
    Column("value", "value", units.WRITTEN),
    Column("formula", "formula", units.TEXT),
    Column("inputs", "inputs", units.TEXT),
    Column("source", "source", units.TEXT),
)
COUNTED = "counted from the spec"


def explained(found: Sequence[Fit]) -> Table:
    """A line a figure."""
    columns = tuple(
        Column(c.key, c.title, c.unit, c.convention, "always" if len(found) > 1 and c.shown == "data" else c.shown)
        for c in _COLUMNS
    )
    ordered = columns if len(found) > 1 else (*columns[2:], *columns[:2])
    rows: list[dict[str, Value]] = []
    for each in found:
        for figure, value, formula, inputs, source in _lines(each):
            rows.append(
                {
                    "model": each.spec.id,
                    "machines": str(each.machines),
                    "figure": figure,
                    "value": value,
                    "formula": formula,
                    "inputs": inputs,
                    "source": source,
                }
            )
    return Table("explained", ordered, tuple(rows), "How each figure follows", main=False)


def _lines(found: Fit) -> Iterator[tuple[str, str, str, str, str]]:
    held, layout, chip, question = found.held, found.layout, found.machines.chip, found.question
    workload, model = question.workload, found.sizes.model
    groups = n_groups(layout)
    each = -(-max(found.batch, 1) // groups)
    sources, besides = chip.sources, question.engine_view.options
    yield (
        "memory",
        binary_bytes(found.memory),
        "as the device reports it",
        f"{found.memory:,} bytes",
        sources.memory_bytes.url,
    )
    yield (
        "reserve",
        binary_bytes(found.reserve),
        "reserve x memory",
        f"{units.share(question.reserve)} x {found.memory:,}",
        "--reserve",
    )
    yield (
        "weights",
        binary_bytes(held.weights),
        "bytes of the parts and shares of parts on the fullest device",
        f"{layout.words}; {workload.weights}{besides['weights']}",
        found.spec.source or COUNTED,
    )
    yield (
        "cache",
        binary_bytes(held.cache),
        "bytes of one sequence's rows on the device x its sequences",
        f"{held.cache // each:,} x {each:,}{besides['cache']}",
        COUNTED,
    )
    if held.state:
        yield (
            "state",
            binary_bytes(held.state),
            "bytes of one sequence's states on the device x its sequences",
            f"{held.state // each:,} x {each:,}",
            COUNTED,
        )
    one = (held.cache + held.state) // each
    yield (
        "most sequences",
        f"{found.most_sequences:,}",
        "groups x floor((memory - reserve - weights) / bytes of one sequence), of the stage with fewest",
        f"{groups:,} x ({found.room:,} - {held.weights:,}) / {one:,}",
        "above",
    )
    yield (
        "longest context",
        "-" if found.longest_context is None else f"{found.longest_context:,}",
        "the most tokens whose cache and state fit beside the weights, at most the model's window",
        "-" if found.spec.context_length is None else f"window {found.spec.context_length:,}",
        found.spec.source or COUNTED,
    )
    yield (
        "fewest devices",
        "-" if found.fewest_devices is None else f"{found.fewest_devices:,}",
        "the first number of devices with a layout that fits",
        f"{question.batch or 1:,} x {workload.context:,} tokens",
        "above",
    )
    if found.step is not None and found.prompt is not None:
        yield from _times(found)
    for stack in model.stacks:
        chosen = expected_experts(stack.n_experts, stack.top_k, max(found.batch, 1), found.setting.skew)
        yield (
            "distinct experts",
            decimal(chosen),
            "E (1 - (1 - k/E)^B)" if not found.setting.skew else "sum over experts of 1 - (1 - share)^B",
            f"E {stack.n_experts:,}, k {stack.top_k:,}, B {max(found.batch, 1):,}",
            "each token chooses k of E, independently",
        )


def _times(found: Fit) -> Iterator[tuple[str, str, str, str, str]]:
    step, prompt, chip = found.step, found.prompt, found.machines.chip
    assert step is not None
    assert prompt is not None
    peak = bounds.peak_of(found.machines, found.setting.compute)
    peak_source = chip.sources.peak.url if chip.sources.peak else "-"
    yield (
        "to read",
        seconds(step.memory),
        "bytes that a device reads / bandwidth",
        f"{step.n_bytes:,} / {chip.bandwidth:,}",
        chip.sources.bandwidth.url,
    )
    if peak is not None and step.compute is not None:
        yield (
            "to compute",
            seconds(step.compute),
            f"FLOPs of a device / peak in {found.setting.compute}",
            f"{step.flops:,} / {peak:,}",
            peak_source,
        )
    yield (
        "decode step",
        seconds(step.seconds),
        "max(to read, to compute)",
        f"{seconds(step.memory)}, {'-' if step.compute is None else seconds(step.compute)}",
        "above",
    )
    assert found.user_rate is not None
    assert found.rate is not None
    yield "tokens/s a user", rate(found.user_rate), "1 / decode step", seconds(step.seconds), "above"
    yield (
        "tokens/s in all",
        rate(found.rate),
        "sequences / decode step",
        f"{found.batch:,} / {seconds(step.seconds)}",
        "above",
    )
    if peak is not None and prompt.compute is not None:
        whole = found.sizes.model.prompt.total
        yield (
            "first token",
            seconds(prompt.seconds),
            "max(FLOPs of a device / peak, bytes of weights / bandwidth)",
            f"{prompt.flops:,} / {peak:,} (of {flops(whole)} in all); {prompt.n_bytes:,} / {chip.bandwidth:,}",
            peak_source,
        )
    yield (
        "compute binds from",
        "never" if found.compute_batch is None else f"{found.compute_batch:,}",
        "the first batch with more time to compute than to read",
        f"{found.question.workload.context:,} tokens of context",
        "above",
    )
    for sent in step.sent:
        if sent.seconds is not None:
            source = chip.sources.link or chip.sources.network
            yield (
                f"exchange: {sent.name}",
                seconds(sent.seconds),
                "bytes that a device sends / rate of the link or the network",
                f"{sent.n_bytes:,} bytes",
                source.url if source else "-",
            )
    if found.cost is not None and found.question.price is not None:
        yield (
            "price of 1M tokens",
            decimal(found.cost),
            "price x devices x 10^6 / (3,600 s x tokens/s in all)",
            f"{decimal(found.question.price)} x {found.machines.n_devices:,}, {rate(found.rate)}/s",
            "--price",
        )
