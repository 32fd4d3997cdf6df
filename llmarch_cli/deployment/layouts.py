"""Layouts: how devices divide a model and its sequences, and the bytes that each device then holds.

All of it is closed form. What is divided in which way is data of the components (`components/shards.py`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache, cached_property
from math import gcd, isqrt
from typing import Literal, NamedTuple

from llmarch_cli.components.cache import Rows, State
from llmarch_cli.components.component import Component, cache_entries, walk_named
from llmarch_cli.components.parts import Experts, Weights
from llmarch_cli.components.shards import Shard
from llmarch_cli.deployment.division import share_of_entry, share_of_part
from llmarch_cli.deployment.engines import AS_NEEDED, Copies, EngineView, copies
from llmarch_cli.errors import InputError
from llmarch_cli.profilers.closed_form import entry_cost
from llmarch_cli.profilers.cost import ROW_ENCODINGS, Cost, KvDtype, Workload
from llmarch_cli.profilers.storage import Place, Storage, label_words, place_of, stored_in
from llmarch_cli.specs.encodings import MisfitError, group_of
from llmarch_cli.specs.spec import Item, ModelSpec
from llmarch_cli.specs.storage import stored_as

MOST_DEVICES = 2**20
MOST_LISTED = 32  # sizes in an error


@dataclass(frozen=True, slots=True)
class Layout:
    """How tp * pp * dp * cp devices divide a model and its sequences.

    Attributes:
        tp: tensor parallel: the devices that divide matrices by heads, hidden values, channels and rows of the
            vocabulary.
        pp: pipeline parallel: stages with neighbouring layers.
        dp: data parallel: replicas with sequences of their own.
        ep: expert parallel: groups of devices that divide the routed experts among them. Where `ep` divides `tp`,
            tp / ep devices divide each expert like other matrices: all of them with ep = 1, and none with ep = tp.
            Else `ep` is a multiple of `tp`, and experts are divided over devices of several replicas too.
        cp: context parallel: devices that divide the rows of each sequence's cache, and have the same weights.
        dp_attention: attention stands whole on each of the `tp` devices, which have sequences of their own. What is
            behind it is still divided by `tp`.

    Raises:
        InputError: for a size below 1, or an `ep` that does not divide the devices of a stage.
    """

    tp: int = 1
    pp: int = 1
    dp: int = 1
    ep: int = 1
    cp: int = 1
    dp_attention: bool = False

    def __post_init__(self) -> None:
        for name in ("tp", "pp", "dp", "ep", "cp"):
            if not 1 <= getattr(self, name) <= MOST_DEVICES:
                raise InputError(f"{name} must be from 1 to {MOST_DEVICES:,}, not {getattr(self, name):,}")
        in_stage = self.tp * self.dp * self.cp
        if in_stage % self.ep or (self.tp % self.ep and self.ep % self.tp):
            sizes = [n for n in _divisors(in_stage) if self.tp % n == 0 or n % self.tp == 0]
            raise InputError(
                f"ep {self.ep:,} does not divide the {in_stage:,} devices of a stage (tp * dp * cp) into whole groups"
                f" of tp {self.tp:,}; ep can be {_listed(sizes)}"
            )

    @property
    def n_devices(self) -> int:
        """All devices."""
        return self.tp * self.pp * self.dp * self.cp

    @property
    def attention_tp(self) -> int:
        """The devices that divide attention, and the heads of a sequence."""
        return 1 if self.dp_attention else self.tp

    def tp_of(self, item: Item) -> int:
        """The devices that divide an item, its routed experts aside."""
        return self.attention_tp if item.role == "attention" else self.tp

    @property
    def expert_tp(self) -> int:
        """The devices that divide each routed expert."""
        return max(1, self.tp // self.ep)

    @property
    def words(self) -> str:
        """The sizes above 1, such as `tp 8, ep 8`."""
        sizes = [
            f"{name} {getattr(self, name):,}" for name in ("tp", "pp", "dp", "ep", "cp") if getattr(self, name) > 1
        ]
        return ", ".join([*sizes, *["attention data-parallel"] * self.dp_attention]) or "one device"


@dataclass(frozen=True, slots=True)
class DeviceBytes:
    """Bytes on the device that holds most.

    Attributes:
        weights: parameters, without buffers and multi-token-prediction blocks, as `Profile.weight_bytes`.
        cache: cached rows.
        state: states, and inputs of rows that are not complete yet.
        stages: the same for the device of each pipeline stage that holds most.
    """

    weights: int
    cache: int
    state: int
    stages: tuple[DeviceBytes, ...] = ()

    @property
    def total(self) -> int:
        """All bytes."""
        return self.weights + self.cache + self.state


def per_device(spec: ModelSpec, workload: Workload, layout: Layout, engine_view: EngineView = AS_NEEDED) -> DeviceBytes:
    """The bytes on each device under a layout; `workload.batch` counts the sequences of all devices.

    Sequences are divided as evenly as possible: some replicas have one more. Raises InputError for what cannot be
    divided, with the sizes that can, and as `profilers.storage.weight_bytes` does.
    """
    return Division(spec, workload.weights, engine_view).per_device(workload, layout)


def layouts(
    spec: ModelSpec, n_devices: int, per_node: int | None = None, workload: Workload | None = None
) -> Iterator[Layout]:
    """All layouts of so many devices that divide the model, in a fixed order.

    Tensor-parallel devices stand in one node of `per_node` devices; None for one node. With a workload, its formats of
    weights and cache must divide too.
    """
    return Division(spec, "bf16" if workload is None else workload.weights).layouts(n_devices, per_node, workload)


def stages(n_layers: int, pp: int) -> list[range]:
    """The layers of each of `pp` stages, bottom to top: as even as possible.

    Stages below the last one have one more if layers are left over, from the top down: the last one has the head
    (as vLLM's get_pp_indices). Raises InputError for fewer layers than stages.
    """
    if pp > n_layers:
        raise InputError(f"{n_layers:,} layers do not fill {pp:,} stages; pp can be 1 to {n_layers:,}")
    each, left = divmod(n_layers, pp)
    with_more = range(pp - 1 - left, pp - 1)
    found, start = [], 0
    for number in range(pp):
        end = start + each + (number in with_more)
        found.append(range(start, end))
        start = end
    return found


class Part(NamedTuple):
    """A stored part, and how it is divided."""

    place: Place
    part: Weights
    shard: Shard | None


def parts_of(item: Item, spec: ModelSpec) -> Iterator[Part]:
    """The stored parts of an item."""
    last: Component | None = None
    shards: Mapping[str, Shard] = {}
    for words, owner, part in stored_in(item.component, spec.d_model, label_words(item)):
        if owner is not last:
            last, shards = owner, owner.shards()
        yield Part(place_of(item, words, part, spec), part, shards.get(part.name))


class Division:
    """A spec whose weights are stored in a format, to be divided by many layouts.

    Raises InputError for an unknown format, and for pages that do not hold whole rows.
    """

    def __init__(self, spec: ModelSpec, weights: str = "bf16", engine_view: EngineView = AS_NEEDED) -> None:
        self.spec, self.weights, self.engine_view = spec, weights, engine_view
        shipped = stored_as(weights, spec.stored)
        self._parts: dict[str, list[Part]] = {}
        self._entries: dict[str, list[tuple[Rows | State, Shard | None]]] = {}
        for item in spec.inventory():
            self._parts[item.label] = list(parts_of(item, spec))
            self._entries[item.label] = [
                engine_view.padded_entry(entry, inner.shards().get(entry.name))
                for _, inner in walk_named(item.component)
                for entry in inner.cache()
            ]
        engine_view.require(spec.id, (entry for entries in self._entries.values() for entry, _ in entries))
        self._storage = Storage(spec, shipped, (part.place for parts in self._parts.values() for part in parts))
        self._with_experts = {
            label for label, parts in self._parts.items() if any(isinstance(each.part, Experts) for each in parts)
        }
        # What was computed, by all that it depends on.
        self._weight_bytes: dict[tuple[object, ...], int | _Misfit] = {}
        self._weights_by_item: dict[tuple[int, int, bool, int], dict[str, int]] = {}
        self._kept_by_item: dict[tuple[object, ...], dict[str, tuple[int, int]]] = {}
        self._differing: dict[tuple[int, bool], bool] = {}
        self._misfits: dict[tuple[int, int, bool, KvDtype], _Misfit | None] = {}
        self._read_across: dict[int, tuple[int, int] | None] = {}
        self._stages: dict[int, list[tuple[range, list[Item], int | None]]] = {}

    def per_device(self, workload: Workload, layout: Layout) -> DeviceBytes:
        """As the function of that name."""
        self._require(layout, workload)
        ranks = range(layout.tp) if self.ranks_differ(layout) else range(1)
        per_stage: list[DeviceBytes] = []
        for layers, items, same in self._in_stages(layout.pp):
            if same is None:
                per_rank = (self.of_rank(layers, items, workload, layout, rank) for rank in ranks)
                per_stage.append(max(per_rank, key=lambda device: device.total))
            else:
                per_stage.append(per_stage[same])
        most = max(per_stage, key=lambda device: device.total)
        return DeviceBytes(most.weights, most.cache, most.state, tuple(per_stage))

    def ranks_differ(self, layout: Layout) -> bool:
        """Whether another tensor-parallel device than the first one may hold most."""
        key = layout.tp, layout.dp_attention
        if key not in self._differing:
            self._differing[key] = any(_differs(each.shard, layout.tp_of(each.place.item)) for each in self._of_decoder)
        return self._differing[key]

    def of_rank(self, layers: range, items: list[Item], workload: Workload, layout: Layout, rank: int) -> DeviceBytes:
        """The bytes of a stage's `layers` and `items` on the device of that rank within it."""
        weights, cache, state = 0, 0, 0
        n_sequences = -(-workload.batch // layout.dp)
        n_attended = -(-n_sequences // layout.tp) if layout.dp_attention else n_sequences
        stored, kept = self._stored_in_layer(layout, rank), self._kept_in_layer(workload, layout, rank)
        for item in items:
            weights += (
                self._weights_in(layers, item, layout, rank) if stored is None else stored[item.label] * item.count
            )
            if item.label in kept:
                rows, states = kept[item.label]
                n_times = item.count * (n_attended if item.role == "attention" else n_sequences)
                cache += rows * n_times
                state += states * n_times
        return DeviceBytes(weights, cache, state)

    def _stored_in_layer(self, layout: Layout, rank: int) -> dict[str, int] | None:
        """The bytes of weights by item, in one layer on one device; None if they differ from layer to layer.

        Stages and replicas change none of them, so that many layouts have them in common.
        """
        if self._storage.differs_by_layer:
            return None
        key = (layout.tp, layout.ep, layout.dp_attention, rank)
        if key not in self._weights_by_item:
            found = {item.label: self._divided(item, layout, rank) for item in self._items}
            self._weights_by_item[key] = {label: each for label, each in found.items() if isinstance(each, int)}
        return self._weights_by_item[key]

    def _weights_in(self, layers: range, item: Item, layout: Layout, rank: int) -> int:
        """The bytes of an item in these layers, on one device."""
        return sum(
            self._storage.shard_bytes(each.place, self._share(each, item, layout, rank), layers)
            for each in self._stored(item, layout)
        )

    def _divided(self, item: Item, layout: Layout, rank: int) -> int | _Misfit:
        """The bytes of an item in one layer on one device; or the first part that cannot be divided so."""
        of_experts = (layout.ep, layout.expert_tp) if item.label in self._with_experts else None
        key = (item.label, layout.tp_of(item), of_experts, rank)
        if key not in self._weight_bytes:
            self._weight_bytes[key] = self._bytes_or_misfit(replace(item, count=1), layout, rank)
        return self._weight_bytes[key]

    def _bytes_or_misfit(self, item: Item, layout: Layout, rank: int) -> int | _Misfit:
        total = 0
        for each in self._stored(item, layout):
            of: Literal["experts", "weights"] = "experts" if isinstance(each.part, Experts) else "weights"
            if cut := _cut(each.shard, layout.expert_tp if of == "experts" else layout.tp_of(item)):
                return _Misfit(each.place, cut, of)
            try:
                total += self._storage.shard_bytes(each.place, self._share(each, item, layout, rank))
            except MisfitError as misfit:
                return _Misfit(each.place, str(misfit), of)
        return total

    def _stored(self, item: Item, layout: Layout) -> list[Part]:
        """The parts of an item, with the rows that an engine adds to them."""
        parts = self._parts[item.label]
        if self.engine_view.pad_vocab is None:
            return parts
        tp, words = layout.tp_of(item), [each.place.words for each in parts]
        padded = (self.engine_view.padded(each.part, each.shard, tp) for each in parts)
        return [
            Part(place_of(item, its, part, self.spec), part, shard)
            for its, (part, shard) in zip(words, padded, strict=True)
        ]

    def _share(self, each: Part, item: Item, layout: Layout, rank: int) -> Place:
        """What a device has of a part, in the layers of `item`."""
        by_expert = isinstance(each.part, Experts)
        n_devices, its_rank = (layout.expert_tp, 0) if by_expert else (layout.tp_of(item), rank)
        part = share_of_part(each.part, each.shard, n_devices, its_rank, layout.ep)
        return place_of(item, each.place.words, part, self.spec)

    def _kept_in_layer(self, workload: Workload, layout: Layout, rank: int) -> dict[str, tuple[int, int]]:
        """The bytes of rows and of states of one sequence by item that keeps any, in one layer on one device."""
        asked = (layout.cp, workload.context, workload.kv_dtype, workload.state_dtype)
        key = (layout.tp, layout.dp_attention, rank, *asked)
        if key not in self._kept_by_item:
            own = replace(workload, batch=1)
            self._kept_by_item[key] = {
                item.label: self._kept_of(item, own, layout, rank) for item in self._items if self._entries[item.label]
            }
        return self._kept_by_item[key]

    def _kept_of(self, item: Item, workload: Workload, layout: Layout, rank: int) -> tuple[int, int]:
        kept, tp = Cost(), layout.tp_of(item)
        for entry, shard in self._entries[item.label]:
            share = share_of_entry(entry, shard, tp, rank)
            kept += entry_cost(share, workload, lambda view, context: self.engine_view.rows(view, context, layout.cp))
        return kept.kv_cache_bytes, kept.state_bytes + kept.partial_bytes

    def copies(self, layout: Layout) -> Copies:
        """The cached rows that stand on more than one of the devices that share a sequence."""
        return copies((entry for item in self._items for entry in self._entries[item.label]), layout.attention_tp)

    def _in_stages(self, pp: int) -> list[tuple[range, list[Item], int | None]]:
        """The layers of each stage, its items, and a stage below it whose devices hold the same, if there is one."""
        if pp not in self._stages:
            parts = stages(self.spec.n_layers, pp)
            found: list[tuple[range, list[Item], int | None]] = []
            first: dict[int, int] = {}  # the stage that a list of items is first of
            for number, (layers, items) in enumerate(zip(parts, self.spec.stages(parts), strict=True)):
                same = None if self._storage.differs_by_layer else first.get(id(items))
                first.setdefault(id(items), number)
                found.append((layers, items, same))
            self._stages[pp] = found
        return self._stages[pp]

    def layouts(
        self, n_devices: int, per_node: int | None, workload: Workload | None = None, with_copies: bool = True
    ) -> Iterator[Layout]:
        """As the function of that name; without copies only those that divide weights over all devices, dp = cp = 1."""
        for count in (n_devices, n_devices if per_node is None else per_node):
            if not 1 <= count <= MOST_DEVICES:
                raise InputError(f"layouts are for 1 to {MOST_DEVICES:,} devices, not {count:,}")
        asked = Workload(weights=self.weights) if workload is None else workload
        has_rows = any(isinstance(entry, Rows) for item in self._items for entry, _ in self._entries[item.label])
        tps = [tp for tp in _divisors(n_devices) if per_node is None or per_node % tp == 0]
        for pp in _divisors(n_devices):
            if pp > self.spec.n_layers or self._cut_reader(pp) is not None:
                continue
            for tp in tps:
                if not with_copies and pp * tp != n_devices:
                    continue
                for cp in _divisors(n_devices // pp // tp) if n_devices // pp % tp == 0 else ():
                    if cp > 1 and not has_rows:
                        continue
                    dp = n_devices // (pp * tp * cp)
                    for ep in self._expert_sizes(tp, dp * cp):
                        for dp_attention in (False, True)[: 1 + (tp > 1)]:
                            if self._misfit(tp, ep, dp_attention, asked) is None:
                                yield Layout(tp, pp, dp, ep, cp, dp_attention)

    @cached_property
    def _items(self) -> list[Item]:
        return [item for item in self.spec.inventory() if not item.mtp]

    @cached_property
    def _of_decoder(self) -> list[Part]:
        return [each for item in self._items for each in self._parts[item.label]]

    @cached_property
    def _n_experts(self) -> list[int]:
        """The numbers of experts of all mixtures."""
        return [each.part.n_experts for each in self._of_decoder if isinstance(each.part, Experts)]

    def _expert_sizes(self, tp: int, n_groups: int) -> list[int]:
        """The sizes of `ep` on n_groups * tp devices."""
        sizes = [n for n in _divisors(gcd(tp * n_groups, *self._n_experts)) if tp % n == 0 or n % tp == 0]
        return sizes if self._n_experts else [1]

    def _require(self, layout: Layout, workload: Workload) -> None:
        """Raise InputError unless the layout divides all parts and entries."""
        stages(self.spec.n_layers, layout.pp)
        if (cut := self._cut_reader(layout.pp)) is not None:
            sizes = [pp for pp in range(1, min(self.spec.n_layers, MOST_LISTED) + 1) if self._cut_reader(pp) is None]
            raise InputError(
                f"{self.spec.id}: with pp {layout.pp:,}, {cut} on another stage; pp can be {_listed(sizes)}"
            )
        sizes = self._expert_sizes(layout.tp, layout.dp * layout.cp)
        if layout.ep not in sizes:
            of = (
                f"{_listed(sorted(set(self._n_experts)))} experts do"
                if self._n_experts
                else "a model without experts does"
            )
            raise InputError(f"{self.spec.id}: {of} not divide by ep {layout.ep:,}; ep can be {_listed(sizes)}")
        misfit = self._misfit(layout.tp, layout.ep, layout.dp_attention, workload)
        if misfit is None:
            return
        if (whole := self._misfit(1, 1, False, workload)) is not None:
            other = "--kv-dtype" if whole.of == "rows" else "weight format"
            raise InputError(f"{self.spec.id}, {whole}; ask for another {other}")
        sizes = [
            tp for tp in self._candidates(layout) if self._misfit(tp, layout.ep, layout.dp_attention, workload) is None
        ]
        hint = "; or divide whole experts, by ep" if misfit.of == "experts" else ""
        raise InputError(f"{self.spec.id}, {misfit}; tp can be {_listed(sizes)}{hint}")

    def _candidates(self, layout: Layout) -> list[int]:
        """The sizes of `tp` that may divide all units, and into which `ep` fits."""
        numbers: dict[bool, list[int]] = {True: [], False: []}  # by whether they are of experts
        for each in self._of_decoder:
            if each.shard is not None and not (layout.dp_attention and each.place.item.role == "attention"):
                of = [units.divided for units in each.shard.sections]
                numbers[isinstance(each.part, Experts)] += [number for number in of if number is not None]
        most = gcd(*numbers[False]) or layout.ep * gcd(*numbers[True]) or 1
        return [tp for tp in _divisors(most) if tp % layout.ep == 0 or layout.ep % tp == 0]

    def _misfit(self, tp: int, ep: int, dp_attention: bool, workload: Workload) -> _Misfit | None:
        """The first part or entry that cannot be divided so."""
        key = (tp, ep, dp_attention, workload.kv_dtype)
        if key not in self._misfits:
            self._misfits[key] = next(self._all_misfits(*key), None)
        return self._misfits[key]

    def _all_misfits(self, tp: int, ep: int, dp_attention: bool, kv_dtype: KvDtype) -> Iterator[_Misfit]:
        layout = Layout(tp, ep=ep, dp=max(1, ep // tp), dp_attention=dp_attention)
        for item in self._items:
            of_item = layout.tp_of(item)
            for rank in range(layout.tp if self.ranks_differ(layout) else 1):
                if isinstance(found := self._divided(item, layout, rank), _Misfit):
                    yield found
            for entry, shard in self._entries[item.label]:
                if cut := _cut(shard, of_item):
                    yield _Misfit(f"{item.label}: {entry.name}", cut, "rows")
                    continue
                group = group_of(ROW_ENCODINGS[kv_dtype])
                for rank in range(of_item if _differs(shard, of_item) else 1):
                    share = share_of_entry(entry, shard, of_item, rank)
                    if isinstance(share, Rows) and share.width % group:
                        reason = f"groups of {group} ({kv_dtype}) do not divide cached rows of {share.width:,} values"
                        yield _Misfit(f"{item.label}: {entry.name}", reason, "rows")

    def _cut_reader(self, pp: int) -> str | None:
        """A layer that reads the cache of a layer on another stage, in words."""
        for layers in stages(self.spec.n_layers, pp)[:-1] if pp > 1 and self._readers else ():
            if (found := self._across(layers.stop)) is not None:
                return f"layer {found[0]:,} reads the cache of layer {found[1]:,}"
        return None

    def _across(self, end: int) -> tuple[int, int] | None:
        """A layer from `end` on that reads the cache of one below, and that one."""
        if end not in self._read_across:
            found = ((layer, source) for layer, source in self._readers if source < end <= layer)
            self._read_across[end] = next(found, None)
        return self._read_across[end]

    @cached_property
    def _readers(self) -> list[tuple[int, int]]:
        """Each layer that reads the cached rows of another one, and that one."""
        rows = {
            (axis, name): {full for full, entry in cache_entries(component) if isinstance(entry, Rows)}
            for axis in ("attention", "ffn")
            for name, component in self.spec.variants(axis).items()
        }
        if all(source is None for _, _, source in self.spec.layer_reads()):
            return []
        layers = self.spec.layers
        return [
            (layer, source)
            for layer, name, source in self.spec.layer_reads()
            if source is not None and name in rows.get(("attention", layers[source].attention), ())
        ]


@dataclass(frozen=True, slots=True)
class _Misfit:
    """A part or entry that cannot be divided, and why."""

    place: object
    reason: str
    of: Literal["experts", "weights", "rows"]

    def __str__(self) -> str:
        return f"{self.place}: {self.reason}"


def _cut(shard: Shard | None, n_devices: int) -> str | None:
    """Why a dimension cannot be divided over so many devices; None if it can."""
    for units in shard.sections if shard is not None else ():
        if units.divided is not None and units.divided % n_devices:
            return f"{units.divided:,} heads, channels or hidden values do not divide by {n_devices:,}"
    return None


def _differs(shard: Shard | None, n_devices: int) -> bool:
    return shard is not None and any(units.differs(n_devices) for units in shard.sections)


@cache
def _divisors(number: int) -> list[int]:
    """All divisors, in rising order."""
    small = [n for n in range(1, isqrt(number) + 1) if number % n == 0]
    return small + [number // n for n in reversed(small) if n * n != number]


def _listed(sizes: list[int]) -> str:
    *others, last = [f"{size:,}" for size in sizes[:MOST_LISTED]]
    return f"{', '.join(others)} or {last}" if others else last
