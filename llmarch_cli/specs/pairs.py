"""Pair the variants of two specs by content, whatever their names, and give the layers of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import Any, Literal, TypeVar

from llmarch_cli.components.component import Component
from llmarch_cli.components.frame import NormPlacement
from llmarch_cli.components.record import Record
from llmarch_cli.specs.spec import NONE, ModelSpec

Axis = Literal["attention", "ffn"]
AXES: tuple[Axis, ...] = ("attention", "ffn")
Order = list[str]  # the slot of each layer
AnyRecord = TypeVar("AnyRecord", bound=Record)


class Pairs:
    """The variants of an axis in two specs, with one slot for each pair of variants and each variant without a pair.

    Attributes:
        components: by slot, the first spec's components, and those that only the second has.
        both: by slot, a pair's components before and after.
        own: the same, with the names that each spec has for the variants that a component reads.
        names: by slot, a pair's variant names before and after; empty if neither spec has several variants.
        drops_variant: whether the first spec has a variant without a pair.
        placements: by slot, where the norms of its layers stand before and after, None where it has no layer.
    """

    def __init__(self, before: ModelSpec, after: ModelSpec, axis: Axis) -> None:
        self.before, self.axis = before, axis
        old, new = _distinct(before, axis), _distinct(after, axis)
        partner = _partners(old, new)
        several = len(old) > 1 or len(new) > 1
        self.names = {f"v{i}": (old[i].names[0], new[j].names[0]) if several else () for i, j in partner.items()}
        self.drops_variant = len(partner) < len(old)
        place = {j: f"v{i}" for i, j in partner.items()}
        self._slots = (
            {name: f"v{i}" for i, variant in enumerate(old) for name in variant.names},
            {name: place.get(j, f"w{j}") for j, variant in enumerate(new) for name in variant.names},
        )
        # References to variants become references to slots, and so equal where they mean the same.
        before_slots, after_slots = (
            {str(i): slots[name] for i, name in enumerate(_in_order(spec, axis))}
            for spec, slots in zip((before, after), self._slots, strict=True)
        )
        olds = [variant.component.with_references(before_slots) for variant in old]
        news = [variant.component.with_references(after_slots) for variant in new]
        self.both = {f"v{i}": (olds[i], news[j]) for i, j in sorted(partner.items())}
        self.own = {f"v{i}": (old[i].own, new[j].own) for i, j in partner.items()}
        self.components = {f"v{i}": component for i, component in enumerate(olds)} | {
            f"w{j}": component for j, component in enumerate(news) if j not in place
        }

        self.placements = self._placements((before, after))

    def _placements(self, specs: tuple[ModelSpec, ModelSpec]) -> dict[str, tuple[NormPlacement | None, ...]]:
        found = [
            {slots.get(name, NONE): spec.placement(name) for name in spec.variant_counts(self.axis)}
            if self.axis == "attention"
            else {}
            for spec, slots in zip(specs, self._slots, strict=True)
        ]
        return {slot: tuple(each.get(slot) for each in found) for slot in dict.fromkeys((*found[0], *found[1]))}

    def order(self, spec: ModelSpec, n_layers: int) -> Order:
        """The slot of each layer if `spec` had `n_layers`; empty if its pattern does not fit that depth."""
        try:
            names = spec.names(self.axis, n_layers)
        except ValueError:
            return []
        slots = self._slots[spec is not self.before]
        return [slots.get(name, NONE) for name in names]

    def continued(self, after: ModelSpec) -> Order:
        """The first spec's layout over the second's number of layers; the second's layout if that does not fit."""
        return self.order(self.before, after.n_layers) or self.order(after, after.n_layers)


@dataclass(frozen=True)
class _Variant:
    """A component with all its variant names in a spec, and its layers.

    It refers to other variants by their place in the order of first layers; `own` is the same with their names.
    `placement` is where the norms of its layers stand, if that differs between layers.
    """

    component: Component
    own: Component
    placement: str
    names: list[str]
    layers: set[int]

    @cached_property
    def key(self) -> str:
        """The whole component as text, with its norms: equal exactly if they are."""
        return f"{self.component!r} {self.placement}"

    @cached_property
    def descriptions(self) -> tuple[str, str]:
        return self.component.label, self.component.heads


def _distinct(spec: ModelSpec, axis: Axis) -> list[_Variant]:
    """The variants of an axis, equal ones as one."""
    numbers = {name: str(i) for i, name in enumerate(_in_order(spec, axis))}
    variants: dict[str, _Variant] = {}
    layers: dict[str, list[int]] = {}
    for i, name in enumerate(spec.names(axis, spec.n_layers)):
        layers.setdefault(name, []).append(i)
    for name, component in spec.variants(axis).items():
        own = _without_names(component)
        placement = spec.placement(name) if axis == "attention" and len(spec.placements) > 1 else ""
        variant = _Variant(own.with_references(numbers), own, placement, [], set())
        variant = variants.setdefault(variant.key, variant)
        variant.names.append(name)
        variant.layers.update(layers[name])
    return list(variants.values())


def _in_order(spec: ModelSpec, axis: Axis) -> list[str]:
    """The names of variants in the order of their first layers, which does not depend on the names."""
    return [name for name in spec.variant_counts(axis) if name != NONE]


def _partners(old: Sequence[_Variant], new: Sequence[_Variant]) -> dict[int, int]:
    """The index in `new` for each index in `old` that has a partner: equal variants first, then the most alike."""
    places = {variant.key: j for j, variant in enumerate(new)}
    partners = {i: places[variant.key] for i, variant in enumerate(old) if variant.key in places}
    taken = set(partners.values())
    left = product((i for i in range(len(old)) if i not in partners), (j for j in range(len(new)) if j not in taken))
    for i, j in sorted(left, key=lambda pair: _likeness(old[pair[0]], new[pair[1]]), reverse=True):
        if i not in partners and j not in taken:
            partners[i] = j
            taken.add(j)
    return partners


def _without_names(record: AnyRecord) -> AnyRecord:
    """Return `record` with named components inside it, such as branches, renamed and sorted by kind."""
    changed: dict[str, Any] = {}
    values = {field: getattr(record, field) for field in type(record).field_defaults}
    for field, value in values.items():
        if isinstance(value, dict) and value and isinstance(next(iter(value.values())), Record):
            changed |= _renamed(field, value, {key: each for key, each in values.items() if key != field})
        elif isinstance(value, Record):
            changed[field] = _without_names(value)
    return record.model_copy(update=changed) if changed else record


def _renamed(field: str, components: dict[str, Any], others: dict[str, Any]) -> dict[str, Any]:
    """Named components and what other fields say of each name, such as its scale, under names by kind."""
    said = {key: value for key, value in others.items() if isinstance(value, dict)}
    inside = {name: _without_names(each) for name, each in components.items()}
    order = sorted(
        inside, key=lambda name: (inside[name].kind, repr(inside[name]), *(v.get(name, 1) for v in said.values()))
    )
    new = {name: f"{inside[name].kind}_{i}" if i else inside[name].kind for i, name in enumerate(order)}
    return {
        field: {new[name]: inside[name] for name in order},
        **{key: {new[name]: value[name] for name in order if name in value} for key, value in said.items()},
    }


def _likeness(one: _Variant, other: _Variant) -> tuple[int, ...]:
    """The similarity of two variants, as criteria from strongest to weakest."""
    a, b = one.component, other.component
    return (
        type(a) is type(b),
        *(x == y for x, y in zip(one.descriptions, other.descriptions, strict=True)),
        sum(value == b.__dict__.get(name) for name, value in a.__dict__.items()),
        one.placement == other.placement,
        len(one.layers & other.layers),
    )
