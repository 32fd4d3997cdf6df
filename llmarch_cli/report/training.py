"""Tables of what training takes: memory on a device, activations by layer, adapters."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from fractions import Fraction

from llmarch_cli.profilers.cost import simplest
from llmarch_cli.profilers.lora import adapted
from llmarch_cli.profilers.training import OPTIMIZERS, PRECISIONS, Training
from llmarch_cli.profilers.training_cost import TrainingCost
from llmarch_cli.report import units
from llmarch_cli.report.columns import ratio
from llmarch_cli.report.comparison import ENGINE_NOTES
from llmarch_cli.report.table import Column, Table
from llmarch_cli.report.units import Value
from llmarch_cli.specs.spec import NONE, LayerVariants

_MODEL = Column("model", "model", units.TEXT)

_COLUMNS = (
    _MODEL,
    Column("sequence_tokens", "sequence", units.TOKENS, "Tokens of a sequence.", "data"),
    Column("micro_batch", "micro-batch", units.INTEGER, "Sequences that a device reads at once.", "data"),
    Column("optimizer", "optimizer", units.TEXT, "What updates the parameters.", "data"),
    Column("precision", "precision", units.TEXT, "The dtypes of parameters, gradients and moments.", "data"),
    Column("zero_stage", "ZeRO", units.INTEGER, "What is divided over devices.", "data"),
    Column("devices", "devices", units.INTEGER, "How many share what is divided.", "data"),
    Column("params", "parameters", units.PARAMS, "The model's own parameters."),
    Column(
        "trained_params",
        "trained parameters",
        units.PARAMS,
        "The values that are trained: all parameters, or adapters.",
    ),
    Column("trained_share", "trained share", units.SHARE, "Of all parameters, those of adapters included.", "if any"),
    Column("parameter_bytes", "parameter bytes", units.BYTES, "All parameters, on a device.", group="stored"),
    Column("gradient_bytes", "gradient bytes", units.BYTES, "Gradients, on a device.", group="stored"),
    Column(
        "optimizer_bytes",
        "optimizer bytes",
        units.BYTES,
        "The optimizer's copies and moments, on a device.",
        group="stored",
    ),
    Column("stored_bytes", "stored bytes", units.BYTES, "Parameters, gradients and optimizer states.", group="stored"),
    Column(
        "activation_bytes",
        "activations, all kept",
        units.BYTES,
        "What autograd keeps for the backward pass.",
        "if any",
        group="activations",
    ),
    Column(
        "activation_bytes_selective",
        "activations, selective",
        units.BYTES,
        "The same if attention and recurrences run again.",
        "if any",
        group="activations",
    ),
    Column(
        "activation_bytes_full",
        "activations, full",
        units.BYTES,
        "The same if every layer runs again, one at a time.",
        "if any",
        group="activations",
    ),
    Column(
        "device_bytes_selective",
        "in all, selective",
        units.BYTES,
        "Stored bytes and activations, with selective recomputation.",
        "if any",
        group="activations",
    ),
    Column(
        "device_bytes_full",
        "in all, full",
        units.BYTES,
        "Stored bytes and activations, with full recomputation.",
        "if any",
        group="activations",
    ),
    Column(
        "forward_flops_per_token",
        "forward FLOPs per token",
        units.FLOPS,
        "The forward pass, the mean over a sequence, the head at each token.",
        "if any",
        group="flops",
    ),
    Column(
        "backward_flops_per_token",
        "backward FLOPs per token",
        units.FLOPS,
        "The backward pass, without recomputation.",
        "if any",
        group="flops",
    ),
    Column(
        "training_flops_per_token",
        "training FLOPs per token",
        units.FLOPS,
        "Both passes, without recomputation.",
        "if any",
        group="flops",
    ),
    Column("run_tokens", "run tokens", units.PARAMS, "Tokens of the whole run.", "if any", group="flops"),
    Column("run_flops", "run FLOPs", units.FLOPS, "Both passes for all tokens.", "if any", group="flops"),
    Column("engine", "engine", units.TEXT, "The engine that counted.", "data"),
)

_LAYERS = (
    Column("layers", "kept by", units.TEXT),
    Column("count", "count", units.INTEGER),
    Column("activation_bytes", "all kept", units.BYTES),
    Column("activation_bytes_selective", "selective", units.BYTES),
    Column("activation_bytes_full", "full", units.BYTES),
)

_ADAPTERS = (
    Column("matrix", "matrix", units.TEXT),
    Column("count", "count", units.INTEGER),
    Column("d_in", "reads", units.INTEGER),
    Column("d_out", "gives", units.INTEGER),
    Column("trained_params", "trained parameters", units.PARAMS),
    Column("share", "share", units.SHARE, shown="reading"),
)

OUTSIDE, LARGEST = "embeddings, head and loss", "one layer at a time"

NOT_MEASURED = "Activations are counted by running the modules: add --engine measured."
MEASURED = "Activations are measured. The modules train the same tensors as the closed form says."
KEPT = (
    "Activations: what autograd keeps of our modules; selective repeats attention and recurrences in the backward pass,"
    " full repeats whole layers."
)


def tables(costs: Sequence[TrainingCost]) -> tuple[Table, ...]:
    """One row a model; then activations by layer, and adapters by matrix if there are any."""
    return (
        Table(
            "training",
            _COLUMNS,
            tuple(_row(cost) for cost in costs),
            notes=tuple(_notes(costs)),
            side_by_side=True,
            specs=tuple({cost.spec.id: cost.spec for cost in costs}.values()),
        ),
        _activations(costs),
        _adapters(costs),
    )


def _row(cost: TrainingCost) -> dict[str, Value]:
    training, kept = cost.training, cost.activations
    stored = {each.name: each.per_device for each in cost.stored}
    activations = {
        "activation_bytes": None if kept is None else kept.all_kept,
        "activation_bytes_selective": None if kept is None else kept.selective,
        "activation_bytes_full": None if kept is None else kept.full,
        "device_bytes_selective": None if kept is None else cost.stored_bytes + kept.selective,
        "device_bytes_full": None if kept is None else cost.stored_bytes + kept.full,
    }
    return {
        "model": cost.spec.id,
        "sequence_tokens": training.n_tokens,
        "micro_batch": training.micro_batch,
        "optimizer": training.optimizer,
        "precision": training.precision,
        "zero_stage": training.zero,
        "devices": training.devices,
        "params": cost.params,
        "trained_params": cost.trained_params,
        "trained_share": None if training.lora is None else ratio(cost.trained_params, cost.all_params),
        "parameter_bytes": stored["parameters"],
        "gradient_bytes": stored["gradients"],
        "optimizer_bytes": stored["optimizer states"],
        "stored_bytes": cost.stored_bytes,
        **activations,
        **_flops(cost),
        "engine": cost.engine,
    }


def _flops(cost: TrainingCost) -> dict[str, Value]:
    """FLOPs a token, and of the run."""
    training, flops = cost.training, cost.flops
    if flops is None:
        names = ("forward_flops_per_token", "backward_flops_per_token", "training_flops_per_token", "run_flops")
        return {**dict.fromkeys(names), "run_tokens": training.run_tokens}
    per_token = Fraction(flops.total, training.n_tokens)
    return {
        "forward_flops_per_token": simplest(Fraction(flops.forward, training.n_tokens)),
        "backward_flops_per_token": simplest(Fraction(flops.backward, training.n_tokens)),
        "training_flops_per_token": simplest(per_token),
        "run_tokens": training.run_tokens,
        "run_flops": None if training.run_tokens is None else simplest(per_token * training.run_tokens),
    }


def _notes(costs: Sequence[TrainingCost]) -> Iterator[str]:
    for training in dict.fromkeys(cost.training for cost in costs):
        yield _words(training)
    measured = all(cost.activations is not None for cost in costs)
    yield from (KEPT, MEASURED) if measured else (ENGINE_NOTES["closed-form"], NOT_MEASURED)


def _words(training: Training) -> str:
    """The training in a sentence."""
    size = f"{training.micro_batch:,} x {training.n_tokens:,} tokens at once on a device"
    optimizer = f"{training.optimizer}, {OPTIMIZERS[training.optimizer].words}"
    divided = f"; ZeRO stage {training.zero} over {training.devices:,} devices" if training.devices > 1 else ""
    return f"{size}; {PRECISIONS[training.precision].words}; {optimizer}{divided}."


def _activations(costs: Sequence[TrainingCost]) -> Table:
    """What layers of each sort keep, and what is kept outside of them."""
    lines = [{"model": cost.spec.id, **line} for cost in costs if cost.activations is not None for line in _kept(cost)]
    several = len(costs) > 1
    total = None if several or not lines else _total(costs[0])
    model = replace(_MODEL, shown="always" if several else "data")
    columns = (model, *_LAYERS) if several else (*_LAYERS, model)
    return Table("activations", columns, tuple(lines), "Activations", main=False, total=total)


def _kept(cost: TrainingCost) -> Iterator[dict[str, Value]]:
    assert cost.activations is not None
    kept = cost.activations
    for layer in kept.layers:
        yield _line(_sort(layer.layer), layer.count, layer.all_kept, layer.selective, layer.inputs)
    yield _line(LARGEST, 1, 0, 0, kept.largest)
    yield _line(OUTSIDE, 1, kept.outside, kept.outside, kept.outside)


def _total(cost: TrainingCost) -> dict[str, Value]:
    assert cost.activations is not None
    kept = cost.activations
    return _line("total", None, kept.all_kept, kept.selective, kept.full)


def _line(layers: str, count: int | None, all_kept: int, selective: int, full: int) -> dict[str, Value]:
    return {
        "layers": layers,
        "count": count,
        "activation_bytes": all_kept,
        "activation_bytes_selective": selective,
        "activation_bytes_full": full,
    }


def _sort(layer: LayerVariants) -> str:
    """The sort of a layer in words: its sublayers."""
    return " + ".join(name for name in layer if name != NONE) or "layers without sublayers"


def _adapters(costs: Sequence[TrainingCost]) -> Table:
    """The matrices that have adapters."""
    lines: list[dict[str, Value]] = []
    for cost in costs:
        if (lora := cost.training.lora) is not None:
            for target in adapted(cost.spec, lora):
                trained = target.trained(lora.rank)
                lines.append(
                    {
                        "model": cost.spec.id,
                        "matrix": target.name,
                        "count": target.n_stacked * target.count,
                        "d_in": target.d_in,
                        "d_out": target.d_out,
                        "trained_params": trained,
                        "share": ratio(trained, cost.trained_params),
                    }
                )
    several = len(costs) > 1
    model = replace(_MODEL, shown="always" if several else "data")
    columns = (model, *_ADAPTERS) if several else (*_ADAPTERS, model)
    return Table("adapters", columns, tuple(lines), "Adapters", main=False)
