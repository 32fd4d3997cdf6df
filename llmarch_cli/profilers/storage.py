"""Bytes of weights in a storage format, in closed form from the parts. Never imports torch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from typing import NamedTuple

from llmarch_cli.components.component import Child, Component, SharedWeights
from llmarch_cli.components.parts import Assignments, BlockDiagonal, Buffer, Experts, Linear, Table, Weights
from llmarch_cli.errors import InputError
from llmarch_cli.profilers.closed_form import part_cost
from llmarch_cli.profilers.mixes import Mix
from llmarch_cli.specs.encodings import GGML, Blocks, Encoding, MisfitError, shard_bytes
from llmarch_cli.specs.spec import Item, ModelSpec
from llmarch_cli.specs.storage import Format, Stored, fits, format_of, stored_as

# Matrices that choose or weigh: publishers and llama.cpp leave them as they are.
ROUTERS = frozenset({"router", "shared_expert_gate", "index_weights_proj"})


_AXES = ("attention", "ffn")


class Matrices(NamedTuple):
    """The matrices of a part: `number` of (d_out, d_in)."""

    number: int
    d_out: int
    d_in: int


class Place(NamedTuple):
    """A part of a component.

    Attributes:
        item: what it is in.
        words: of its place, from the axis to its own name.
        params: its learned values, in one layer.
        matrices: its matrices; None for a part without any of its own.
        is_experts: whether these are those of routed experts.
    """

    item: Item
    words: tuple[str, ...]
    params: int
    matrices: Matrices | None = None
    is_experts: bool = False

    def __str__(self) -> str:
        return f"{self.item.label}: {self.words[-1]}"


def weight_bytes(spec: ModelSpec, name: str, found: Iterable[Place] | None = None) -> int:
    """The bytes of all parameters of the decoder in a format, or as the publisher ships them (`native`).

    `found` are its parts if they were not found in closed form. Without multi-token-prediction blocks and buffers, as
    `params`. Raises InputError for an unknown format, and for a matrix that the format cannot store.
    """
    return sum(total for place, total in stored_parts(spec, name, found) if not place.item.mtp)


def stored_parts(spec: ModelSpec, name: str, found: Iterable[Place] | None = None) -> Iterator[tuple[Place, int]]:
    """Every part with its bytes in all its layers. Raises InputError as `weight_bytes`."""
    shipped = stored_as(name, spec.stored)
    storage = Storage(spec, shipped, places(spec) if found is None else found)
    for place in storage.places:
        yield place, storage.bytes(place)


def places(spec: ModelSpec) -> Iterator[Place]:
    """All stored parts, buffers aside."""
    for item in spec.inventory():
        for words, _, part in stored_in(item.component, spec.d_model, label_words(item)):
            yield place_of(item, words, part, spec)


def place_of(item: Item, words: tuple[str, ...], part: Weights, spec: ModelSpec) -> Place:
    """The place of a part, by its words."""
    return Place(item, words, part_cost(part, spec).params, _matrices(part), isinstance(part, Experts))


def label_words(item: Item) -> tuple[str, ...]:
    """The first words of the places in an item: its role and its variant. No other role has the name of an axis."""
    words = item.label.replace(":", " ").replace(",", " ").split()
    if item.role not in (*_AXES, "mtp"):
        words = [word for word in words if word not in _AXES]
    return (*item.role.split(), *words)


def stored_in(
    component: Component, d_model: int, above: tuple[str, ...]
) -> Iterator[tuple[tuple[str, ...], Component, Weights]]:
    """The stored parts of a component, buffers aside: the words of each, the component that it is of, and the part."""
    for part in component.parts(d_model):
        if isinstance(part, Child):
            yield from stored_in(part.component, d_model, (*above, part.name))
        elif isinstance(part, Buffer | Assignments):
            continue
        elif isinstance(component, SharedWeights) or part.name not in component.shared_parts:
            yield (*above, *(("experts",) if isinstance(part, Experts) else ()), part.name), component, part


def _matrices(part: Weights) -> Matrices | None:
    """The matrices of a part; None for a part without any of its own."""
    match part:
        case Linear():
            return Matrices(1, part.d_out, part.d_in)
        case BlockDiagonal():
            return Matrices(part.n_blocks, part.d_out, part.d_in)
        case Experts():
            return Matrices(part.n_experts, part.d_out, part.d_in)
        case Table():
            return Matrices(1, part.n_rows, part.dim)
        case _:
            return None


class Storage:
    """How the parts of a spec are stored. Raises InputError for a name in `shipped` that fits no part."""

    def __init__(self, spec: ModelSpec, shipped: Stored, found: Iterable[Place]) -> None:
        self.spec, self.format = spec, format_of(shipped.format)
        self.parts = {selector: format_of(name) for selector, name in shipped.parts.items()}
        self.places = list(found)
        numbers = (place.matrices.number for place in self.places if place.matrices and place.is_experts)
        self.n_experts = max(numbers, default=0)
        for selector in self.parts:
            if not any(fits(selector, place.words) for place in self.places):
                raise InputError(f"{spec.id}: stored.parts.{selector}: no part of this model has that name")

    @cached_property
    def differs_by_layer(self) -> bool:
        """Whether a matrix may be stored in another way in another layer."""
        return any(each.mix == "k_m" for each in (self.format, *self.parts.values()))

    def bytes(self, place: Place) -> int:
        """The bytes of a part in all its layers."""
        try:
            return self.shard_bytes(place, place)
        except MisfitError as misfit:
            raise InputError(f"{self.spec.id}, {place}: {misfit}; ask for another weight format") from None

    def shard_bytes(self, place: Place, shard: Place, layers: range | None = None) -> int:
        """The bytes of a `shard` of a part, stored as the whole part is.

        `layers` are those of the model that are there, and `shard.item.count` those of them that have the part; None
        for all. Raises MisfitError for a matrix that the format cannot store, and for one that it cannot divide so.
        """
        named = next((each for selector, each in self.parts.items() if _names(selector, place)), None)
        its = named or self.format
        params, of, whole, n_layers = shard.params, shard.matrices, place.matrices, shard.item.count
        if of is None or whole is None or not (named or self._is_for(its, place)):
            return params * _other_bytes(its, place) * n_layers
        biases = (params - of.number * of.d_out * of.d_in) * its.other_bytes * n_layers
        encodings = self._encodings(its, place, whole.d_in, layers)
        if len(encodings) == 1:
            encodings = [(encodings[0][0], n_layers)]
        return biases + sum(
            shard_bytes(encoding, whole[1:], of[1:]) * of.number * n_times for encoding, n_times in encodings
        )

    def _is_for(self, its: Format, place: Place) -> bool:
        """Whether a part is among those that a format is for."""
        role = place.item.role
        if role in ("embedding", "layer embedding", "head"):
            return its.scope == "embeddings"
        if role not in ("attention", "ffn", "mtp") or "junction" in place.words or place.words[-1] in ROUTERS:
            return False
        return its.scope != "experts" or not self.n_experts or place.is_experts

    def _encodings(self, its: Format, place: Place, d_in: int, layers: range | None) -> Sequence[tuple[Encoding, int]]:
        """How a matrix is stored, each time with the number of its layers; of one encoding, of all layers."""
        match its.mix:
            case "k_m":
                assert isinstance(its.encoding, Blocks)
                return self._mix.types(its.encoding, place.item, place.words[-1], d_in, layers)
            case "moe" if not place.is_experts:
                return [(GGML["q8_0"], place.item.count)]
            case _:
                return [(its.encoding, place.item.count)]

    @cached_property
    def _mix(self) -> Mix:
        with_values, with_last = (
            {
                place.item.label: place.item
                for place in self.places
                if place.item.role == role and place.words[-1] == name
            }
            for role, name in (("attention", "v_proj"), ("ffn", "down_proj"))
        )
        return Mix(self.spec, self.n_experts, with_values.values(), with_last.values())


def _names(selector: str, place: Place) -> bool:
    """Whether a name of `stored.parts` means a part. That of an axis does not mean its routers."""
    own = place.words[-1]
    return fits(selector, place.words) and (own not in ROUTERS or selector.rpartition(".")[2] == own)


def _other_bytes(its: Format, place: Place) -> int:
    """The bytes of each value of a part that is not quantised. A GGUF file has large matrices in 16 bits."""
    is_matrix = place.matrices is not None and place.words[-1] not in ROUTERS and place.item.role != "position"
    return 2 if its.is_gguf and is_matrix else its.other_bytes
