"""What a decode step reads and computes, in closed form: `bounds.py` turns it into time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

from llmarch_cli.components.cache import Rows, State, View
from llmarch_cli.components.component import Child, Component, SharedWeights, walk
from llmarch_cli.components.parts import Experts, Table
from llmarch_cli.components.shards import Shard
from llmarch_cli.deployment.division import share_of_entry, share_of_part
from llmarch_cli.deployment.layouts import Layout, Part, parts_of
from llmarch_cli.profilers.closed_form import RowCount, component_cost, entry_cost, part_cost, prompt_flops
from llmarch_cli.profilers.cost import Workload
from llmarch_cli.profilers.storage import Storage, place_of
from llmarch_cli.specs.spec import Item, ModelSpec
from llmarch_cli.specs.storage import stored_as

TABLES = ("embedding", "layer embedding", "position")  # the roles of what is read by row


@dataclass(frozen=True, slots=True)
class Stack:
    """Routed experts of some layers: of `n_experts` in all a token uses `top_k`; a device has `n_bytes` of them."""

    n_experts: int
    top_k: int
    n_bytes: int


@dataclass(frozen=True, slots=True)
class Reads:
    """What a device reads in a step; with pipeline stages, one device of each in sum.

    Attributes:
        attention: bytes of attention's weights.
        others: bytes of all other weights, but routed experts and what is read by row.
        stacks: routed experts.
        rows: bytes of the rows of tables that one token looks up, of those on the device on average.
        tables: bytes of these tables.
        cache: bytes of the cached rows that the next token of one sequence reads, if devices do not divide them.
        state: bytes of its states.
    """

    attention: int
    others: int
    stacks: tuple[Stack, ...]
    rows: int
    tables: int
    cache: int
    state: int


@dataclass(frozen=True, slots=True)
class Flops:
    """FLOPs of a whole model, by what computes them."""

    attention: int
    experts: int
    others: int

    @property
    def total(self) -> int:
        """All of them."""
        return self.attention + self.experts + self.others


class Model:
    """What a model reads and computes at the context and prompt of a workload, whose batch does not matter.

    Raises InputError for an unknown format of weights.
    """

    def __init__(self, spec: ModelSpec, workload: Workload) -> None:
        self.spec, self.workload = spec, replace(workload, batch=1)
        self.items = [item for item in spec.inventory() if not item.mtp]
        self._reads: dict[tuple[int, int, bool], Reads] = {}
        self._n_layers: dict[tuple[str, bool], int] = {}
        self._bytes_of: dict[tuple[int, int, int], int] = {}  # by part, devices and groups that divide it

    @cached_property
    def _parts(self) -> list[Part]:
        return [part for item in self.items for part in parts_of(item, self.spec)]

    @cached_property
    def _storage(self) -> Storage:
        shipped = stored_as(self.workload.weights, self.spec.stored)
        return Storage(self.spec, shipped, [each.place for each in self._parts])

    @cached_property
    def flops(self) -> Flops:
        """FLOPs of one decoded token."""
        routed = sum(expert_flops(item.component, self.spec) * item.count for item in self.items)
        by_role = [
            (item.role, component_cost(item.component, self.spec, self.workload).flops_per_token * item.count)
            for item in self.items
        ]
        attention = sum(flops for role, flops in by_role if role == "attention")
        return Flops(attention, routed, sum(flops for _, flops in by_role) - attention - routed)

    @cached_property
    def prompt(self) -> Flops:
        """FLOPs of one prompt; the head runs for its last token only."""
        start, end = self.workload.prefix, self.workload.prefix + self.workload.prompt_tokens
        routed = sum(expert_flops(item.component, self.spec) * item.count for item in self.items) * (end - start)
        by_role = [
            (
                item.role,
                prompt_flops(item.component, self.spec, end - 1 if item.role == "head" else start, end) * item.count,
            )
            for item in self.items
        ]
        attention = sum(flops for role, flops in by_role if role == "attention")
        return Flops(attention, routed, sum(flops for _, flops in by_role) - attention - routed)

    @property
    def stacks(self) -> tuple[Stack, ...]:
        """The routed experts of the whole model."""
        return self.reads(Layout()).stacks

    def n_layers(self, role: str, with_experts: bool = False) -> int:
        """The layers that have a sublayer of a role, or those of them with routed experts."""
        if (role, with_experts) not in self._n_layers:
            self._n_layers[role, with_experts] = sum(
                item.count
                for item in self.items
                if item.role == role
                and not isinstance(item.component, SharedWeights)
                and (not with_experts or expert_flops(item.component, self.spec))
            )
        return self._n_layers[role, with_experts]

    def reads(self, layout: Layout) -> Reads:
        """What one device reads. Raises InputError for weights that their format cannot store, and cached rows."""
        key = (layout.tp, layout.ep, layout.dp_attention)
        if key not in self._reads:
            self._reads[key] = self._reads_of(layout)
        return self._reads[key]

    def _reads_of(self, layout: Layout) -> Reads:
        attention = others = rows = tables = cache = state = 0
        stacks: dict[tuple[int, int], int] = {}
        for number, each in enumerate(self._parts):
            item, n_bytes = each.place.item, self._bytes(number, layout)
            if isinstance(each.part, Experts):
                key = each.part.n_experts, each.part.n_active
                stacks[key] = stacks.get(key, 0) + n_bytes
            elif isinstance(each.part, Table) and item.role in TABLES and not self._is_head_too(item):
                rows += n_bytes // each.part.n_rows
                tables += n_bytes
            elif item.role == "attention":
                attention += n_bytes
            else:
                others += n_bytes
        for item in self.items:
            tp = layout.tp_of(item)
            for entry, seen, shard in entries_in(item.component):
                cost = entry_cost(share_of_entry(entry, shard, tp, 0), self.workload, _rows_in(seen))
                cache += cost.kv_cache_bytes * item.count
                state += (cost.state_bytes + cost.partial_bytes) * item.count
        found = tuple(Stack(*key, n_bytes) for key, n_bytes in stacks.items())
        return Reads(attention, others, found, rows, tables, cache, state)

    def _bytes(self, number: int, layout: Layout) -> int:
        """The bytes of a part on the first of the devices that divide it."""
        each = self._parts[number]
        item, words, *_ = each.place
        is_routed = isinstance(each.part, Experts)
        n_devices, n_groups = (layout.expert_tp, layout.ep) if is_routed else (layout.tp_of(item), 1)
        key = number, n_devices, n_groups
        if key not in self._bytes_of:
            share = share_of_part(each.part, each.shard, n_devices, 0, n_groups)
            self._bytes_of[key] = self._storage.shard_bytes(each.place, place_of(item, words, share, self.spec))
        return self._bytes_of[key]

    def _is_head_too(self, item: Item) -> bool:
        """Whether the head reads this table whole."""
        return self.spec.tie_embeddings and item.role == "embedding"


def expert_flops(component: Component, spec: ModelSpec) -> int:
    """FLOPs of one token in routed experts."""
    if isinstance(component, SharedWeights):
        return 0
    parts = (part for inner in walk(component) for part in inner.parts(spec.d_model))
    return sum(part_cost(part, spec).flops_per_token for part in parts if isinstance(part, Experts))


Entry = tuple[Rows | State, tuple[View, ...], Shard | None]


def entries_in(component: Component, around: tuple[View, ...] = ()) -> Iterator[Entry]:
    """What a component keeps, with the views through which a token meets it; none of index keys, which are all read.

    Where attention sees some rows of a cache only, its products say how many.
    """
    seen = tuple(mixing.view for mixing in component.mixing() if mixing.over == "rows") or around
    shards = component.shards()
    for entry in component.cache():
        is_index = isinstance(entry, Rows) and entry.of == "index"
        yield entry, () if is_index else seen, shards.get(entry.name)
    for part in component.parts(1):
        if isinstance(part, Child):
            yield from entries_in(part.component, seen)


def _rows_in(seen: tuple[View, ...]) -> RowCount:
    """Counts the rows of a view that a token reads: of all through which it meets them, the fewest."""

    def rows(view: View, context: int) -> int:
        return min(each.rows(context) for each in (view, *seen) if each.stride == view.stride)

    return rows
