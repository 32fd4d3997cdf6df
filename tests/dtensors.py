"""Bytes on each device by torch's own sharding: DTensors on the meta device, in a fake process group.

Nothing is divided here. A tensor has a mesh of devices and a placement for each of its dimensions, and torch says what
one rank holds. A tensor of several sections is one tensor for each of them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from math import prod
from typing import NamedTuple
from unittest.mock import patch

import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.tensor import Placement, Replicate, distribute_tensor
from torch.distributed.tensor import Shard as Sharded
from torch.testing._internal.distributed.fake_pg import FakeStore

from llmarch_cli.components.cache import Rows
from llmarch_cli.components.component import walk_named
from llmarch_cli.components.shards import Shard, Units
from llmarch_cli.deployment.layouts import Layout, stages
from llmarch_cli.modules.builder import (
    Block,
    ComponentModule,
    ExpertStack,
    Projection,
    build,
)
from llmarch_cli.profilers.cost import STATE_BYTES, Workload
from llmarch_cli.specs.spec import LayerVariants, ModelSpec


class Piece(NamedTuple):
    """A tensor, or a section of one, and what is placed along each dimension of a mesh."""

    shape: tuple[int, ...]
    mesh: tuple[int, ...]
    placements: tuple[Placement, ...]


@contextmanager
def rank_of(number: int, n_devices: int) -> Iterator[None]:
    """While it is open, this process is one rank of a group that sends nothing."""
    dist.init_process_group("fake", store=FakeStore(), rank=number, world_size=n_devices)
    try:
        yield
    finally:
        dist.destroy_process_group()
        _mesh.cache_clear()


@cache
def _mesh(shape: tuple[int, ...]) -> DeviceMesh:
    return DeviceMesh("cpu", torch.arange(prod(shape)).view(shape), _init_backend=False)


@cache
def _values(piece: Piece, rank: int) -> int:
    """The values of a piece on this rank of a group that its mesh fills: many layouts and models have it in common."""
    assert (rank, prod(piece.mesh)) == (dist.get_rank(), dist.get_world_size())
    tensor = torch.empty(piece.shape, device="meta")
    return int(distribute_tensor(tensor, _mesh(piece.mesh), piece.placements, src_data_rank=None).to_local().numel())


def along(units: Units, dim: int, tp: int) -> tuple[tuple[int, ...], tuple[Placement, ...]]:
    """The dimensions of the mesh that `tp` is, and what is placed along them: fewer units than devices are copied."""
    if units.readers is None or units.count % tp == 0:
        return (tp,), (Sharded(dim),)
    assert tp % units.count == 0, "no placement of DTensor has overlapping shards"
    return (units.count, tp // units.count), (Sharded(dim), Replicate())


def pieces(
    shape: tuple[int, ...],
    shard: Shard | None,
    dim: int | None,
    tp: int,
    outer: tuple[int, ...],
    others: tuple[Placement, ...],
) -> Iterator[Piece]:
    """A tensor divided along `dim`, on a mesh whose other dimensions are `outer`, of devices further apart."""
    if shard is None or dim is None:
        yield Piece(shape, (*outer, tp), (*others, Replicate()))
        return
    for units in shard.sections:
        width = shape[dim] if units.size is None else units.count * units.size
        mesh, placed = along(units, dim, tp)
        yield Piece((*shape[:dim], width, *shape[dim + 1 :]), (*outer, *mesh), (*others, *placed))


def dim_of(module: nn.Module, name: str, shard: Shard | None) -> int | None:
    """The dimension of a parameter that is divided: the plan."""
    if shard is None or (shard.dim == "in" and name == "bias"):
        return None
    if isinstance(module, ExpertStack):
        return 1 if shard.dim == "out" else 2
    assert shard.dim == "out" or isinstance(module, Projection)
    return int(shard.dim == "in")


def weights_of(component: ComponentModule, layout: Layout, tp: int) -> Iterator[tuple[nn.Parameter, list[Piece]]]:
    """Every parameter of a built component, in pieces."""
    replicas = layout.dp * layout.cp * layout.tp // tp
    for module in component.modules():
        if not isinstance(module, ComponentModule):
            continue
        shards = module.component.shards()
        own: list[tuple[str, nn.Module, nn.Parameter]] = [
            (name, module, weight) for name, weight in module.named_parameters(recurse=False)
        ]
        for part, child in module.named_children():
            if not isinstance(child, ComponentModule):
                own += [(part, child, weight) for _, weight in child.named_parameters()]
        for part, holder, weight in own:
            shard = shards.get(part)
            kind = "bias" if holder is not module and weight is getattr(holder, "bias", None) else "weight"
            dim, shape = dim_of(holder, kind, shard), tuple(weight.shape)
            if isinstance(holder, ExpertStack):
                outer = (layout.dp * layout.cp * layout.tp // (layout.ep * layout.expert_tp), layout.ep)
                found = pieces(shape, shard, dim, layout.expert_tp, outer, (Replicate(), Sharded(0)))
            else:
                found = pieces(shape, shard, dim, tp, (replicas,), (Replicate(),))
            yield weight, list(found)


class Layers(NamedTuple):
    """The layers of a stage by their sort, and whether it is the first or the last one."""

    first: bool
    last: bool
    counts: frozenset[tuple[LayerVariants, int]]


class Built:
    """The modules of a spec on the meta device. Layers that are alike are built once, and counted."""

    def __init__(self, spec: ModelSpec) -> None:
        self.spec, self.distinct = spec, list(spec.layer_counts)
        with patch.object(ModelSpec, "layers", self.distinct):
            self.model = build(spec, "meta", torch.bfloat16)

    def on_rank(self, rank: int, layout: Layout, workload: Workload) -> list[tuple[int, int, int]]:
        """Bytes of weights, rows and states, in 16 bits, on a rank of each stage."""
        found: dict[Layers, tuple[int, int, int]] = {}  # stages with the same layers hold the same
        listed = [self._layers(layers) for layers in stages(self.spec.n_layers, layout.pp)]
        with rank_of(rank, layout.n_devices // layout.pp):
            for layers in listed:
                if layers not in found:
                    found[layers] = self._weights(layout, layers), *self._cache(layout, layers, workload)
        return [found[layers] for layers in listed]

    def _layers(self, layers: range) -> Layers:
        """What stands in some layers of the model."""
        counts = Counter(self.spec.layers[layers.start : layers.stop])
        return Layers(layers.start == 0, layers.stop == self.spec.n_layers, frozenset(counts.items()))

    def _components(self, layers: Layers) -> Iterator[tuple[ComponentModule, bool, int]]:
        """The components of a stage, each with whether it is a layer's attention, and the number of its layers."""
        names = ("embedding", "position_embedding", "embedding_norm", "layer_embedding", "layer_projection", "opening")
        for name in names * layers.first + ("closing", "final_norm", "head") * layers.last:
            if (module := getattr(self.model, name)) is not None:
                yield module, False, 1
        for layer, count in layers.counts:
            block = self.model.layers[self.distinct.index(layer)]
            assert isinstance(block, Block)
            for each in (*block.children(), *block.connections.values()):
                if isinstance(each, ComponentModule):
                    yield each, each is block.attention, count

    def _weights(self, layout: Layout, layers: Layers) -> int:
        """Bytes of parameters. One of several modules counts once: the tied head's, and those that layers share."""
        counts: Counter[Piece] = Counter()
        seen: set[nn.Parameter] = set()
        for module, is_attention, n_layers in self._components(layers):
            shared = module.shared_parameters()
            for weight, found in weights_of(module, layout, 1 if is_attention and layout.dp_attention else layout.tp):
                if weight not in seen:
                    seen.add(weight)
                    counts.update(
                        {piece: n * (1 if weight in shared else n_layers) for piece, n in Counter(found).items()}
                    )
        return sum(2 * _values(piece, dist.get_rank()) * count for piece, count in counts.items())

    def _cache(self, layout: Layout, layers: Layers, workload: Workload) -> tuple[int, int]:
        """Bytes of rows and of states."""
        counts: Counter[tuple[bool, int, Piece]] = Counter()
        for module, is_attention, n_layers in self._components(layers):
            apart = is_attention and layout.dp_attention
            outer = (layout.dp, *[layout.tp] * apart, layout.cp)
            by_sequence: tuple[Placement, ...] = (Sharded(0),) * (1 + apart)
            for _, inner in walk_named(module.component):
                shards = inner.shards()
                for entry in inner.cache():
                    is_rows, shard = isinstance(entry, Rows), shards.get(entry.name)
                    shape: tuple[int, ...]
                    if isinstance(entry, Rows):
                        shape, size = (entry.view.rows(workload.context), entry.width), 2
                    else:
                        shape, size = entry.shape, STATE_BYTES[entry.dtype]
                    dim = 1 if shard is not None and shard.dim == "out" and not is_rows else len(shape)
                    others = (*by_sequence, Sharded(1) if is_rows else Replicate())
                    for piece in pieces((workload.batch, *shape), shard, dim, 1 if apart else layout.tp, outer, others):
                        counts[is_rows, size, piece] += n_layers
        of_rows, of_states = (
            sum(
                _values(piece, dist.get_rank()) * size * count
                for (is_rows, size, piece), count in counts.items()
                if is_rows is which
            )
            for which in (True, False)
        )
        return of_rows, of_states
