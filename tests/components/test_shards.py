"""A device's share of a component is the same component with fewer heads, and the devices' outputs add up."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any, get_args

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from strategies import attentions, feed_forwards
from sublayers import component, module, run, values
from torch import Tensor

from llmarch_cli.components.attention import Attention
from llmarch_cli.components.component import Child, Component, cache_entries, walk_named
from llmarch_cli.components.ffn import FeedForward
from llmarch_cli.components.parts import Assignments, Buffer, Weights
from llmarch_cli.components.shards import Shard, Units
from llmarch_cli.deployment.division import share_of_entry, share_of_part
from llmarch_cli.modules.builder import ComponentModule

D_MODEL = 16

GQA = {
    "kind": "gqa",
    "n_heads": 4,
    "n_kv_heads": 2,
    "head_dim": 8,
    "rope_theta": 10_000.0,
    "qkv_bias": True,
    "o_bias": True,
}
GATED = {"output_gate": "elementwise", "sinks": True, "qk_norm": "per_head_weights"}
MLA = {
    "kind": "mla",
    "n_heads": 4,
    "q_lora_rank": 12,
    "kv_lora_rank": 8,
    "qk_nope_head_dim": 8,
    "qk_rope_head_dim": 4,
    "v_head_dim": 6,
    "bias": True,
    "rope_theta": 10_000.0,
}
COMPRESSED = {
    "kind": "compressed",
    "n_heads": 4,
    "head_dim": 8,
    "q_lora_rank": 12,
    "o_lora_rank": 6,
    "o_groups": 2,
    "window": 4,
    "rotary_dim": 4,
    "stride": 2,
    "rope_theta": 10_000.0,
}
DELTA = {"kind": "gated_deltanet", "n_k_heads": 2, "n_v_heads": 4, "k_head_dim": 6, "v_head_dim": 8}
MAMBA2 = {"kind": "mamba2", "n_heads": 4, "head_dim": 8, "d_state": 6, "n_groups": 2, "norm_groups": 2, "bias": True}
DENSE = {"kind": "dense", "d_ff": 12, "bias": True}
MOE = {"kind": "moe", "n_experts": 4, "top_k": 2, "d_ff": 12, "bias": True, "shared_expert": DENSE}

# A component, and what differs in that of one of two devices. Their outputs add up, biases aside that each device has.
ADD_UP: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "gqa": (GQA, {"n_heads": 2, "n_kv_heads": 1}),
    "gqa, gated": (GQA | GATED, {"n_heads": 2, "n_kv_heads": 1}),
    "gqa, gate of heads": (GQA | {"output_gate": "per_head"}, {"n_heads": 2, "n_kv_heads": 1}),
    "gqa, one key head": (GQA | {"n_kv_heads": 1}, {"n_heads": 2}),
    "gqa, keys as values": (GQA | {"values_from_keys": True, "v_norm": True}, {"n_heads": 2, "n_kv_heads": 1}),
    "mla": (MLA, {"n_heads": 2}),
    "mla, whole queries": (MLA | {"q_lora_rank": None}, {"n_heads": 2}),
    "mla, indexer": (MLA | {"indexer": {"top_k": 3, "n_heads": 2, "head_dim": 4}}, {"n_heads": 2}),
    "compressed": (COMPRESSED, {"n_heads": 2, "o_groups": 1}),
    "gated_deltanet": (DELTA, {"n_k_heads": 1, "n_v_heads": 2}),
    "kda": ({"kind": "kda", "n_heads": 4, "head_dim": 6}, {"n_heads": 2}),
    "mamba2": (MAMBA2, {"n_heads": 2, "n_groups": 1, "norm_groups": 1}),
    "mamba2, one group": (MAMBA2 | {"n_groups": 1}, {"n_heads": 2, "norm_groups": 1}),
    "rg_lru": ({"kind": "rg_lru", "width": 12, "n_blocks": 4}, {"width": 6, "n_blocks": 2}),
    "rwkv4": ({"kind": "rwkv4", "channels": D_MODEL, "width": 12}, {"width": 6}),
    "short_conv": ({"kind": "short_conv", "channels": 12, "conv_kernel": 3, "bias": True}, {"channels": 6}),
    "dense": (DENSE, {"d_ff": 6}),
    "moe": (MOE, {"d_ff": 6, "shared_expert": DENSE | {"d_ff": 6}}),
    "channel_mixing": ({"kind": "channel_mixing", "channels": D_MODEL, "d_ff": 12}, {"d_ff": 6}),
}

# Those whose devices exchange something before the output: a norm's sum of squares, what all channels share.
SHARES = ADD_UP | {
    "gqa, norm of all heads": (GQA | {"qk_norm": "full", "sub_norm": True}, {"n_heads": 2, "n_kv_heads": 1}),
    "lightning": ({"kind": "lightning", "n_heads": 4, "head_dim": 6}, {"n_heads": 2}),
    "mamba": ({"kind": "mamba", "width": 12, "d_state": 4, "step_rank": 3, "bias": True}, {"width": 6}),
    "dense, normed": (DENSE | {"sub_norm": True}, {"d_ff": 6}),
    "shared_block": (
        {
            "kind": "shared_block",
            "channels": D_MODEL,
            "n_heads": 4,
            "head_dim": 6,
            "d_ff": 12,
            "adapter_rank": 3,
            "attention_adapters": True,
            "mixer": MAMBA2,
        },
        {"n_heads": 2, "d_ff": 6, "mixer": MAMBA2 | {"n_heads": 2, "n_groups": 1, "norm_groups": 1}},
    ),
}


def stored(whole: Component, prefix: str = "") -> Iterator[tuple[str, Component, Weights]]:
    """Each part with its full name and the component that it is of."""
    for part in whole.parts(D_MODEL):
        if isinstance(part, Child):
            yield from stored(part.component, f"{prefix}{part.name}.")
        elif not isinstance(part, Buffer | Assignments):
            yield prefix + part.name, whole, part


def test_every_kind_is_tried() -> None:
    kinds = {
        kind
        for axis in (Attention, FeedForward)
        for each in get_args(axis)
        for kind in get_args(each.model_fields["kind"].annotation)
    }
    assert {data["kind"] for data, _ in SHARES.values()} == kinds - {"parallel", "shortcut"}  # of other kinds only


@pytest.mark.parametrize("name", SHARES)
def test_a_share_is_the_component_with_fewer_heads(name: str) -> None:
    data, changes = SHARES[name]
    whole, own = component(data), component(data | changes)
    shares = {name: share_of_part(part, of.shards().get(part.name), 2, rank=1) for name, of, part in stored(whole)}
    groups = {name: part for name, _, part in stored(own)}
    assert {name: str(part).partition(", groups")[0] for name, part in shares.items()} == {
        name: str(part).partition(", groups")[0] for name, part in groups.items()
    }
    kept = [
        share_of_entry(entry, inner.shards().get(entry.name), 2, rank=1)
        for _, inner in walk_named(whole)
        for entry in inner.cache()
    ]
    assert kept == [entry for _, entry in cache_entries(own)]


@pytest.mark.parametrize("name", ADD_UP)
def test_the_outputs_of_all_devices_add_up(name: str) -> None:
    data, changes = ADD_UP[name]
    whole, x = module(data, D_MODEL), values(2, 9, D_MODEL)
    outputs = []
    for rank in range(2):
        own = module(data | changes, D_MODEL)
        take(own, whole, rank)
        outputs.append(run(own, x))
    expected = run(whole, x)
    assert (sum(outputs) - expected).abs().max() < 2e-6 * expected.abs().max()
    assert (outputs[0] - outputs[1]).abs().max() > 1e-3


def take(own: ComponentModule, whole: ComponentModule, rank: int) -> None:
    """Fill one of two devices' component with its shares of the weights; whole biases of the output only once."""
    for inner, source in zip(own.modules(), whole.modules(), strict=True):
        if not (isinstance(inner, ComponentModule) and isinstance(source, ComponentModule)):
            continue
        shards = source.component.shards()
        tensors = list(inner.named_parameters(recurse=False))
        for part, child in inner.named_children():
            if not isinstance(child, ComponentModule):
                tensors += [(f"{part}.{name}", weight) for name, weight in child.named_parameters()]
        for path, weight in tensors:
            part, _, name = path.partition(".")
            held, shard = source.get_parameter(path).detach(), shards.get(part)
            if shard is not None and shard.dim == "in" and name == "bias":
                held = held * (rank == 0)
            elif shard is not None:
                held = cut(held, shard, held.dim() - 1 if shard.dim == "in" else dim_of_outputs(source, part), rank)
            with torch.no_grad():
                weight.copy_(held)
    for name, buffer in own.named_buffers():
        buffer.copy_(whole.get_buffer(name))


def dim_of_outputs(source: ComponentModule, part: str) -> int:
    """The dimension of outputs: behind the experts in a stack of theirs."""
    return int(type(getattr(source, part)).__name__ == "ExpertStack")


def cut(weight: Tensor, shard: Shard, dim: int, rank: int) -> Tensor:
    """One of two devices' share of a weight: of each section, the units that its own readers read."""
    pieces, start = [], 0
    for units in shard.sections:
        size = units.size or weight.shape[dim] // units.count
        first = rank * (units.readers or units.count) // 2 // ((units.readers or units.count) // units.count)
        pieces.append(weight.narrow(dim, start + first * size, units.held(2, rank) * size))
        start += units.count * size
    assert start == weight.shape[dim]
    return torch.cat(pieces, dim)


@given(st.integers(1, 6), st.integers(1, 6), st.data())
def test_a_device_holds_the_heads_that_its_own_read(n_units: int, group: int, data: st.DataObject) -> None:
    readers = n_units * group
    n_devices = data.draw(st.sampled_from([n for n in range(1, readers + 1) if readers % n == 0]))
    units, each = Units(n_units, readers=readers), readers // n_devices
    read = [{reader // group for reader in range(rank * each, (rank + 1) * each)} for rank in range(n_devices)]
    assert [units.held(n_devices, rank) for rank in range(n_devices)] == [len(own) for own in read]
    if not units.differs(n_devices):
        assert len({len(own) for own in read}) == 1


@given(st.integers(1, 50), st.integers(1, 12))
def test_uneven_units_fill_the_first_devices(count: int, n_devices: int) -> None:
    sizes = [len(chunk) for chunk in torch.arange(count).chunk(n_devices)]
    held = [Units(count, uneven=True).held(n_devices, rank) for rank in range(n_devices)]
    assert held == sizes + [0] * (n_devices - len(sizes))
    assert all(first >= second for first, second in pairwise(held))


@given(st.data())
def test_shards_name_parts_and_entries(data: st.DataObject) -> None:
    """A name may be of a part that a setting leaves out, but then another setting has it."""
    for _, inner in walk_named(component(data.draw(attentions() | feed_forwards()))):
        names = [part.name for part in inner.parts(D_MODEL)] + [entry.name for entry in inner.cache()]
        assert len(set(names)) == len(names)
        optional = OPTIONAL.get(getattr(inner, "kind", ""), set())
        assert inner.shards().keys() <= {*names, *optional}


OPTIONAL = {
    "gqa": {"gate_proj", "sinks", "sub_norm", "k_proj", "v_proj", "k", "v", "k_norm"},
    "dense": {"gate_proj", "sub_norm"},
    "moe": {"gate_proj"},
    "mamba2": {"norm"},
    "shared_block": {f"{name}_adapter_up" for name in "qkv"},
}
