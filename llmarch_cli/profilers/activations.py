"""Activations: the bytes that a forward pass keeps for the backward pass, counted while the modules run.

The whole model runs on the meta device with a loss, and autograd reports each tensor that it saves. A storage counts
once, whoever saves it. Parameters do not count, and neither do masks: kernels take them as settings. What an operator
needs only while it runs comes on top.
"""

from __future__ import annotations

import weakref
from collections import Counter
from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from llmarch_cli.components.component import walk
from llmarch_cli.components.recomputation import selective_recomputation
from llmarch_cli.errors import CheckError, InputError
from llmarch_cli.modules.adapters import Adaptable, add_adapters
from llmarch_cli.modules.builder import Model, build
from llmarch_cli.modules.cache import TensorCache
from llmarch_cli.profilers.lora import Lora, adapted
from llmarch_cli.profilers.profile import MAX_TENSOR_BYTES
from llmarch_cli.profilers.training import Activations, LayerActivations, Training, trained_tensors
from llmarch_cli.specs.spec import LayerVariants, Layout, ModelSpec

OUTSIDE = -1  # instead of a layer's number: embeddings, final norm, head and loss
MOST_LAYERS = 10_000  # whose modules are built: each takes a tenth of a millisecond and 50 KB


def activations(spec: ModelSpec, training: Training) -> Activations:
    """Count what a micro-batch keeps.

    Raises InputError for more tokens than learned positions or than tensors can hold, and CheckError if the closed form
    says that other tensors are trained.
    """
    _require_small(spec, training)
    dtype = torch.float32 if training.precision == "fp32" else torch.bfloat16
    model = build(spec, "meta", dtype)
    if training.lora is not None:
        freeze(model, training.lora)
    _check_trained(model, training.lora)
    tokens = torch.empty((training.micro_batch, training.n_tokens), dtype=torch.int64, device="meta")
    alike = _alike(spec)
    kept, selective = (saved(model, tokens, each, skipped=alike) for each in (False, True))
    by_sort: dict[LayerVariants, list[int]] = {}
    for number, layer in enumerate(spec.layers):
        by_sort.setdefault(layer, []).append(alike.get(number, number))
    return Activations(
        tuple(
            LayerActivations(
                layer,
                len(numbers),
                *(sum(each.get(number, 0) for number in numbers) for each in (kept.saved, selective.saved, kept.read)),
            )
            for layer, numbers in by_sort.items()
        ),
        kept.saved.get(OUTSIDE, 0),
        max((size for number, size in selective.saved.items() if number != OUTSIDE), default=0),
    )


def _require_small(spec: ModelSpec, training: Training) -> None:
    """Raise InputError for too many layers, or if the float32 scores of all pairs, or the logits, exceed a tensor."""
    if spec.n_layers > MOST_LAYERS:
        raise InputError(
            f"{spec.name}: {spec.n_layers:,} layers are too many to build, at most {MOST_LAYERS:,} are;"
            " use --engine closed-form"
        )
    n_tokens, batch = training.n_tokens, training.micro_batch
    products = (
        mixing.flops  # 4 or more for each score
        for item in spec.inventory()
        for inner in walk(item.component)
        for mixing in inner.mixing()
    )
    if batch * n_tokens * max(n_tokens * max(products, default=1), 4 * spec.vocab_size) > MAX_TENSOR_BYTES:
        raise InputError(
            f"{spec.name}: {batch:,} x {n_tokens:,} tokens at once are more than one tensor can hold; lower one,"
            " or use --engine closed-form"
        )


def _alike(spec: ModelSpec) -> dict[int, int]:
    """The layers that need not run, each with one that keeps as much.

    Layers of one sort keep as much, unless they have to do with others. The first of all is no model for the rest: with
    adapters its input has no gradient.
    """
    reads = list(spec.layer_reads())
    connected = {number for number, _, _ in reads} | {source for _, _, source in reads}
    first: dict[LayerVariants, int] = {}
    alike: dict[int, int] = {}
    for number, layer in enumerate(spec.layers):
        if number and number not in connected and first.setdefault(layer, number) != number:
            alike[number] = first[layer]
    return alike


def _check_trained(model: Model, lora: Lora | None) -> None:
    """Raise CheckError unless the model trains tensors of the sizes that the closed form says."""
    apart = set(model.mtp.parameters())
    seen = Counter(each.numel() for each in model.parameters() if each.requires_grad and each not in apart)
    told = Counter[int]()
    for tensor in trained_tensors(model.spec, lora):
        told[tensor.values] += tensor.count
    if seen != told:
        raise CheckError(
            f"{model.spec.name}: the engines disagree on what is trained: measured {seen.total()} tensors of"
            f" {sum(size * count for size, count in seen.items())} values, closed form {told.total()} of"
            f" {sum(size * count for size, count in told.items())}"
        )


def freeze(model: Model, lora: Lora) -> None:
    """Train only adapters of `model`, which are added to the matrices that `lora` names."""
    model.requires_grad_(requires_grad=False)
    add_adapters(adapted_modules(model, lora), lora.rank)


def adapted_modules(model: Model, lora: Lora) -> list[nn.Module]:
    """The modules whose weights `lora` adapts, each once."""
    chosen = {target.path for target in adapted(model.spec, lora)}
    found: dict[int, nn.Module] = {}
    for path, module in _by_path(model):
        if path in chosen:
            found.setdefault(id(module), module)
    return list(found.values())


@dataclass(slots=True)
class Saved:
    """Bytes by layer: saved for the backward pass, and read from outside the layer. `OUTSIDE` is a layer too."""

    saved: dict[int, int] = field(default_factory=dict)
    read: dict[int, int] = field(default_factory=dict)


def saved(model: Model, tokens: Tensor, selective: bool = False, skipped: Collection[int] = ()) -> Saved:
    """Run `model` on `tokens` (batch, n_tokens) with a loss, and count what is saved for the backward pass.

    A storage counts for the layer that saves it first, or reads it first. Layers in `skipped` are left out.
    """
    ledger = _Ledger({_storage(own) for own in (*model.parameters(), *model.buffers())})
    with ExitStack() as stack:
        for number, layer in enumerate(model.layers):
            stack.enter_context(_passing(layer) if number in skipped else _watched(layer, number, ledger))
        stack.enter_context(torch.enable_grad())
        stack.enter_context(_ProductsByExpert())
        stack.enter_context(torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH))
        stack.enter_context(selective_recomputation() if selective else nullcontext())
        stack.enter_context(torch.autograd.graph.saved_tensors_hooks(ledger.save, lambda saved: saved.tensor))
        logits = model(tokens)
        loss = F.cross_entropy(logits.float().flatten(0, 1), tokens.flatten())
    del logits
    counted = ledger.totals()
    del loss  # until here it kept what was saved alive
    return counted


class _ProductsByExpert(TorchFunctionMode):
    """On the meta device, save what torch's product by experts saves: its kernel there takes no narrow matrices."""

    def __torch_function__(
        self, function: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if function.__name__ != "_grouped_mm" or not args[0].is_meta:
            return function(*args, **kwargs)
        rows, experts = args[:2]
        if all(width * rows.element_size() % 16 == 0 for width in experts.shape[1:]):
            return _GroupedProduct.apply(rows, experts, kwargs["offs"])  # type: ignore[no-untyped-call]
        return F.linear(rows, experts[0].T)  # on a device, these are multiplied one by one


class _GroupedProduct(torch.autograd.Function):
    """Rows (n_rows, d_in) by matrices (n, d_in, d_out); autograd keeps where each expert's rows end, too."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, experts: Tensor, offsets: Tensor) -> Tensor:
        """A result of the right shape, without values."""
        for_rows, for_experts, _ = ctx.needs_input_grad
        ctx.save_for_backward(rows if for_experts else None, experts if for_rows else None, offsets)
        return rows.new_empty(rows.shape[0], experts.shape[2])


class _Handle:
    """A saved tensor. It lives as long as autograd keeps the tensor."""

    __slots__ = ("__weakref__", "tensor")

    def __init__(self, tensor: Tensor) -> None:
        self.tensor = tensor


class _Ledger:
    """Every tensor that was saved or read, with the layer that did it first."""

    def __init__(self, own: set[int]) -> None:
        self.own = own
        self.layer = OUTSIDE
        self.handles: list[tuple[weakref.ref[_Handle], int]] = []
        self.inputs: list[tuple[Tensor, int]] = []

    def save(self, tensor: Tensor) -> _Handle:
        handle = _Handle(tensor)
        self.handles.append((weakref.ref(handle), self.layer))
        return handle

    def totals(self) -> Saved:
        """What is still kept; autograd drops what no gradient needs."""
        found = Saved()
        alive = [(handle.tensor, layer) for ref, layer in self.handles if (handle := ref()) is not None]
        outside = self._count(alive, found.saved)
        self._count(self.inputs, found.read, outside)
        return found

    def _count(
        self, tensors: list[tuple[Tensor, int]], sizes: dict[int, int], counted: frozenset[int] = frozenset()
    ) -> frozenset[int]:
        """Add each new storage to its layer; return those that count outside of layers."""
        seen, outside = {*self.own, *counted}, set()
        for tensor, layer in tensors:
            storage = _storage(tensor)
            if storage in seen or tensor.dtype == torch.bool:
                continue
            seen.add(storage)
            sizes[layer] = sizes.get(layer, 0) + tensor.untyped_storage().nbytes()
            if layer == OUTSIDE:
                outside.add(storage)
        return frozenset(outside)


def _storage(tensor: Tensor) -> int:
    """A number that no other storage has while this one lives; on the meta device all have the same address."""
    number: int = tensor.untyped_storage()._cdata
    return number


@contextmanager
def _watched(layer: nn.Module, number: int, ledger: _Ledger) -> Iterator[None]:
    """Tell the ledger when a layer runs, and what it reads."""

    def begin(_: nn.Module, read: tuple[Tensor, TensorCache]) -> None:
        ledger.layer = number
        x, cache = read
        ledger.inputs.append((x, number))
        for name, left in cache.sources.items():
            own = left is cache.step.left
            tensor = left[name.rpartition(".")[2] if own else name]
            ledger.inputs.append((tensor, number))

    def end(*_: Any) -> None:
        ledger.layer = OUTSIDE

    hooks = layer.register_forward_pre_hook(begin), layer.register_forward_hook(end)
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


@contextmanager
def _passing(layer: nn.Module) -> Iterator[None]:
    """Let a layer return what it reads."""
    layer.forward = lambda x, _: x
    try:
        yield
    finally:
        del layer.forward


def _by_path(model: Model) -> Iterator[tuple[tuple[str, ...], nn.Module]]:
    """Every module inside components, by the path of a `Target`."""
    spec = model.spec
    named = {axis: isinstance(getattr(spec, axis), Layout) for axis in ("attention", "ffn")}
    inside: list[tuple[tuple[str, ...], nn.Module | None]] = [
        (("embedding",), model.embedding),
        (("position",), model.position_embedding),
        (("layer embedding",), model.layer_embedding),
        (("residual",), model.layer_projection),
        (("residual", "opening"), model.opening),
        (("residual", "closing"), model.closing),
        (("head",), model.head),
    ]
    blocks: Any = model.layers
    for block, layer in zip(blocks, spec.layers, strict=True):
        for axis, is_named in named.items():
            inside.append(((axis, getattr(layer, axis)) if is_named else (axis,), getattr(block, axis)))
        inside += [(("residual", place), connection) for place, connection in block.connections.items()]
        inside += [(("residual",), block.laurel), (("residual",), block.layer_input)]
    for prefix, component in inside:
        for name, module in () if component is None else component.named_modules():
            if isinstance(module, Adaptable):
                yield (*prefix, *name.split(".")), module
