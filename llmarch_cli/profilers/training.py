"""What a training step takes: the bytes of parameters, gradients and optimizer states, and FLOPs.

Activations are counted by running the modules, in `activations.py`.

To add an optimizer or a precision: an entry in `OPTIMIZERS` or `PRECISIONS`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from typing import Literal

from llmarch_cli.components.component import Child, Component, SharedWeights
from llmarch_cli.components.parts import (
    Assignments,
    BlockDiagonal,
    Buffer,
    Convolution,
    Experts,
    Linear,
    Matrix,
    Norm,
    Table,
    TiedLinear,
    Vector,
    Weights,
)
from llmarch_cli.errors import InputError, shown, unknown
from llmarch_cli.profilers.lora import Lora, Target, adapted, require_rank
from llmarch_cli.profilers.profile import MAX_BATCH, MAX_CONTEXT
from llmarch_cli.specs.spec import LayerVariants, ModelSpec, NormStyle

MAX_DEVICES = 1 << 24
MAX_TOKENS = 10**18

Share = Literal["parameters", "gradients", "optimizer states"]

# What is divided over the devices at each stage of ZeRO (arXiv 1910.02054, section 5); stage 3 is also called FSDP.
ZERO_STAGES: tuple[frozenset[Share], ...] = (
    frozenset(),
    frozenset({"optimizer states"}),
    frozenset({"optimizer states", "gradients"}),
    frozenset({"optimizer states", "gradients", "parameters"}),
)


@dataclass(frozen=True, slots=True)
class Precision:
    """Bytes of one value.

    Attributes:
        value: of a parameter, and of an activation.
        gradient: of a gradient.
        master: of the copy of a trained parameter that the optimizer updates; 0 if it updates the parameter itself.
        moment: of a value that the optimizer keeps.
        words: in a few words.
    """

    value: int
    gradient: int
    master: int
    moment: int
    words: str


PRECISIONS: dict[str, Precision] = {
    "mixed": Precision(2, 2, 4, 4, "bfloat16, with float32 copies and moments in the optimizer"),
    "bf16": Precision(2, 2, 0, 2, "bfloat16 throughout"),
    "fp32": Precision(4, 4, 0, 4, "float32 throughout"),
}


@dataclass(frozen=True, slots=True)
class Optimizer:
    """What an optimizer keeps of a trained value.

    Attributes:
        moments: values for each one.
        matrix_moments: the same for matrices of layers, if they are updated in another way.
        bits: of a moment, if it is not as the precision says, with one float32 scale for each `block` values of a
            tensor. Tensors with fewer than `least` values keep float32.
        words: in a few words.
    """

    moments: int
    matrix_moments: int | None = None
    bits: int | None = None
    block: int = 256
    least: int = 4096
    words: str = ""

    def state_bytes(self, tensor: TrainedTensor, precision: Precision) -> int:
        """Bytes of the moments of one tensor."""
        moments = self.moments
        if tensor.is_layer_matrix and self.matrix_moments is not None:
            moments = self.matrix_moments
        values = tensor.values
        if self.bits is None:
            return moments * values * precision.moment
        if values < self.least:
            return moments * values * 4
        return moments * (_divided(values * self.bits, 8) + 4 * _divided(values, self.block))


OPTIMIZERS: dict[str, Optimizer] = {
    "adamw": Optimizer(2, words="two moments a value (arXiv 1711.05101)"),
    "adamw-8bit": Optimizer(2, bits=8, words="two moments of 8 bits, and a float32 scale for 256 (arXiv 2110.02861)"),
    "sgd": Optimizer(0, words="no moments"),
    "sgd-momentum": Optimizer(1, words="one moment a value"),
    "muon": Optimizer(2, matrix_moments=1, words="one moment for matrices of layers, AdamW for the rest"),
}


@dataclass(frozen=True, slots=True)
class Training:
    """How a model is trained.

    Attributes:
        n_tokens: tokens of a sequence.
        micro_batch: sequences that a device reads at once.
        optimizer: a name in `OPTIMIZERS`.
        precision: a name in `PRECISIONS`.
        zero: the stage of ZeRO: 0 divides nothing, 1 optimizer states, 2 gradients too, 3 parameters too.
        devices: how many share what is divided.
        lora: adapters to train instead of the model's own parameters; None trains all of them.
        run_tokens: tokens of the whole run; None if unknown.
    """

    n_tokens: int
    micro_batch: int = 1
    optimizer: str = "adamw"
    precision: str = "mixed"
    zero: int = 0
    devices: int = 1
    lora: Lora | None = None
    run_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class TrainedTensor:
    """Tensors of one shape that are trained.

    Attributes:
        values: of one.
        count: how many there are.
        is_layer_matrix: whether it is a matrix, or a stack of them, between a model's embeddings and its head.
    """

    values: int
    count: int
    is_layer_matrix: bool


@dataclass(frozen=True, slots=True)
class Stored:
    """Bytes that are stored for the whole training, for one sort of them.

    Attributes:
        whole: of one copy.
        per_device: on one of the devices, the next whole number of bytes.
    """

    name: Share
    whole: int
    per_device: int


@dataclass(frozen=True, slots=True)
class LayerActivations:
    """What layers of one sort keep, all of them together, for each way to recompute.

    Attributes:
        layer: the variants of their sublayers.
        count: how many layers there are.
        all_kept: bytes without recomputation.
        selective: bytes if the mixing of tokens is repeated in the backward pass.
        inputs: bytes of what they read, if whole layers are repeated.
    """

    layer: LayerVariants
    count: int
    all_kept: int
    selective: int
    inputs: int


@dataclass(frozen=True, slots=True)
class Activations:
    """What a forward pass of one micro-batch keeps.

    Attributes:
        layers: by sort of layer, in the order of their first.
        outside: bytes of embeddings, final norm, head and loss; the same for each way to recompute.
        largest: with whole layers repeated, the bytes of the largest one while it is repeated, itself selectively.
    """

    layers: tuple[LayerActivations, ...]
    outside: int
    largest: int

    @property
    def all_kept(self) -> int:
        """Bytes without recomputation."""
        return self.outside + sum(layer.all_kept for layer in self.layers)

    @property
    def selective(self) -> int:
        """Bytes with selective recomputation."""
        return self.outside + sum(layer.selective for layer in self.layers)

    @property
    def full(self) -> int:
        """Bytes with full recomputation."""
        return self.outside + self.largest + sum(layer.inputs for layer in self.layers)


@dataclass(frozen=True, slots=True)
class TrainingFlops:
    """FLOPs of one sequence.

    Attributes:
        forward: every matrix product once for each token, the head too, and attention over the visible pairs.
        backward: the products for the gradients of what was read, and of the weights.
    """

    forward: int
    backward: int

    @property
    def total(self) -> int:
        """Both."""
        return self.forward + self.backward


def require(training: Training) -> None:
    """Raise InputError for an impossible training."""
    for name, value, limit in (
        ("sequence length", training.n_tokens, MAX_CONTEXT),
        ("micro-batch", training.micro_batch, MAX_BATCH),
        ("number of devices", training.devices, MAX_DEVICES),
        ("number of tokens", 1 if training.run_tokens is None else training.run_tokens, MAX_TOKENS),
    ):
        if not 1 <= value <= limit:
            raise InputError(f"the {name} must be a whole number from 1 to {limit:,}, not {shown(value)}")
    if training.optimizer not in OPTIMIZERS:
        raise InputError(unknown("optimizer", training.optimizer, OPTIMIZERS))
    if training.precision not in PRECISIONS:
        raise InputError(unknown("precision", training.precision, PRECISIONS))
    if training.lora is not None:
        require_rank(training.lora.rank)
    if not 0 <= training.zero < len(ZERO_STAGES):
        raise InputError(f"the stage of ZeRO must be 0, 1, 2 or 3, not {training.zero}")


def stored(spec: ModelSpec, training: Training) -> list[Stored]:
    """The bytes of parameters, gradients and optimizer states. Raises InputError for an impossible training."""
    require(training)
    precision, optimizer = PRECISIONS[training.precision], OPTIMIZERS[training.optimizer]
    trained = list(trained_tensors(spec, training.lora))
    n_trained = sum(tensor.values * tensor.count for tensor in trained)
    n_frozen = 0 if training.lora is None else trained_params(spec, None)
    moments = sum(optimizer.state_bytes(tensor, precision) * tensor.count for tensor in trained)
    divided = ZERO_STAGES[training.zero]
    sizes: tuple[tuple[Share, int], ...] = (
        ("parameters", (n_trained + n_frozen) * precision.value),
        ("gradients", n_trained * precision.gradient),
        ("optimizer states", n_trained * precision.master + moments),
    )
    return [Stored(name, size, _divided(size, training.devices if name in divided else 1)) for name, size in sizes]


def trained_params(spec: ModelSpec, lora: Lora | None) -> int:
    """The values that are trained. Raises InputError as `adapted` does."""
    return sum(tensor.values * tensor.count for tensor in trained_tensors(spec, lora))


def trained_tensors(spec: ModelSpec, lora: Lora | None) -> Iterator[TrainedTensor]:
    """The tensors that are trained: all parameters, or those of adapters. Raises InputError as `adapted` does."""
    return tensors(spec) if lora is None else _adapters(adapted(spec, lora), lora.rank)


def tensors(spec: ModelSpec) -> Iterator[TrainedTensor]:
    """The tensors of the model's parameters, without multi-token-prediction blocks and buffers."""
    for item in spec.inventory():
        if not item.mtp:
            in_layers = item.role in ("attention", "ffn", "residual")
            for part in _weights_in(item.component, spec.d_model):
                is_matrix = in_layers and isinstance(part, Linear | BlockDiagonal | Experts)
                for number, shape in enumerate(_shapes(part, spec.norm)):
                    yield TrainedTensor(prod(shape), item.count, is_matrix and number == 0)


def _weights_in(component: Component, d_model: int) -> Iterator[Weights]:
    for part in component.parts(d_model):
        if isinstance(part, Child):
            yield from _weights_in(part.component, d_model)
        elif isinstance(component, SharedWeights) or part.name not in component.shared_parts:
            yield part


def _shapes(part: Weights, style: NormStyle) -> Iterator[tuple[int, ...]]:
    """The shapes of a part's trained tensors: of its weight, then of its bias."""
    match part:
        case Linear():
            yield part.d_out, part.d_in
            yield from [(part.d_out,)] * part.bias
        case BlockDiagonal():
            yield part.n_blocks, part.d_out, part.d_in
            yield from [(part.n_blocks, part.d_out)] * part.bias
        case Experts():
            yield part.n_experts, part.d_out, part.d_in
            yield from [(part.n_experts, part.d_out)] * part.bias
        case TiedLinear():
            yield from [(part.d_out,)] * part.bias
        case Convolution():
            yield part.channels, part.kernel
            yield from [(part.channels,)] * part.bias
        case Norm() if style.weight and not part.weightless:
            yield (part.n_heads or 1, part.dim)
            yield from [(part.dim,)] * (part.n_heads is None and (style.bias if part.bias is None else part.bias))
        case Table():
            yield part.n_rows, part.dim
        case Vector():
            yield (part.dim,)
        case Matrix():
            yield part.rows, part.columns
        case Norm() | Buffer() | Assignments():
            return


def _adapters(chosen: list[Target], rank: int) -> Iterator[TrainedTensor]:
    """The two tensors of each adapter; those of stacked matrices are stacked too."""
    for target in chosen:
        yield TrainedTensor(target.n_stacked * rank * target.d_in, target.count, is_layer_matrix=True)
        yield TrainedTensor(target.n_stacked * rank * target.d_out, target.count, is_layer_matrix=True)


def _divided(total: int, parts: int) -> int:
    """`total / parts`, rounded up."""
    return -(-total // parts)
