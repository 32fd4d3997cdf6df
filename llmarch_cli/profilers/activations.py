"""Activations: the bytes that a forward pass keeps for the backward pass, counted while the modules run.

The whole model runs on the meta device with a loss, and autograd reports each tensor that it saves. A storage counts
once, whoever saves it. Parameters do not count, and neither do masks: kernels take them as settings. What an operator
needs only while it runs comes on top.
"""

from __future__ import annotations

import weakref
from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from llmarch_cli.components.recomputation import selective_recomputation
from llmarch_cli.modules.builder import Model, build
from llmarch_cli.modules.cache import TensorCache
from llmarch_cli.modules.lora import Adaptable, add_adapters
from llmarch_cli.profilers.lora import Lora, adapted
from llmarch_cli.profilers.training import Training
from llmarch_cli.specs.spec import LayerVariants, Layout, ModelSpec

OUTSIDE = -1  # instead of a layer's number: embeddings, final norm, head and loss


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


def activations(spec: ModelSpec, training: Training) -> Activations:
    """Count what a micro-batch keeps. Raises InputError for more tokens than learned positions."""
    dtype = torch.float32 if training.precision == "fp32" else torch.bfloat16
    model = build(spec, "meta", dtype)
    if training.lora is not None:
        freeze(model, training.lora)
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
        stack.enter_context(torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH))
        stack.enter_context(selective_recomputation() if selective else nullcontext())
        stack.enter_context(torch.autograd.graph.saved_tensors_hooks(ledger.save, lambda saved: saved.tensor))
        logits = model(tokens)
        loss = F.cross_entropy(logits.float().flatten(0, 1), tokens.flatten())
    del logits
    counted = ledger.totals()
    del loss  # until here it kept what was saved alive
    return counted


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
