"""Pair the variants of two specs by content, whatever their names, and give the layers of each."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import Any, Literal, TypeVar

from llmarch_cli.components.component import Component, Record
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
        names: by slot, a pair's variant names before and after; empty if neither spec has several variants.
        drops_variant: whether the first spec has a variant without a pair.
    """

    def __init__(self, before: ModelSpec, after: ModelSpec, axis: Axis) -> None:
        self.before, self.axis = before, axis
        old, new = _distinct(before, axis), _distinct(after, axis)
        partner: dict[int, int] = {}
        pairs = product(range(len(old)), range(len(new)))
        for i, j in sorted(pairs, key=lambda pair: _likeness(old[pair[0]], new[pair[1]]), reverse=True):
            if i not in partner and j not in partner.values():
                partner[i] = j
        self.both = {f"v{i}": (old[i].component, new[j].component) for i, j in sorted(partner.items())}
        several = len(old) > 1 or len(new) > 1
        self.names = {f"v{i}": (old[i].names[0], new[j].names[0]) if several else () for i, j in partner.items()}
        self.drops_variant = len(partner) < len(old)
        place = {j: f"v{i}" for i, j in partner.items()}
        self.components = {f"v{i}": variant.component for i, variant in enumerate(old)} | {
            f"w{j}": variant.component for j, variant in enumerate(new) if j not in place
        }
        self._slots = (
            {name: f"v{i}" for i, variant in enumerate(old) for name in variant.names},
            {name: place.get(j, f"w{j}") for j, variant in enumerate(new) for name in variant.names},
        )

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
    """A component with all its variant names in a spec, and its layers."""

    component: Component
    names: list[str]
    layers: set[int]


def _distinct(spec: ModelSpec, axis: Axis) -> list[_Variant]:
    """The variants of an axis, with equal components joined."""
    variants: list[_Variant] = []
    layers = [getattr(layer, axis) for layer in spec.layers]
    for name, component in spec.variants(axis).items():
        plain = _without_names(component)
        same = next((variant for variant in variants if variant.component == plain), None)
        if same is None:
            same = _Variant(plain, [], set())
            variants.append(same)
        same.names.append(name)
        same.layers.update(i for i, each in enumerate(layers) if each == name)
    return variants


def _without_names(record: AnyRecord) -> AnyRecord:
    """Return `record` with named components inside it, such as branches, renamed and sorted by kind."""
    changed: dict[str, Any] = {}
    for field in type(record).model_fields:
        value = getattr(record, field)
        if isinstance(value, dict):
            inside = sorted(map(_without_names, value.values()), key=lambda each: (each.kind, repr(each)))
            changed[field] = {f"{each.kind}_{i}" if i else each.kind: each for i, each in enumerate(inside)}
        elif isinstance(value, Record):
            changed[field] = _without_names(value)
    return record.model_copy(update=changed) if changed else record


def _likeness(one: _Variant, other: _Variant) -> tuple[int, ...]:
    """The similarity of two variants, as criteria from strongest to weakest."""
    a, b = one.component, other.component
    return (
        a == b,
        type(a) is type(b),
        a.label == b.label,
        a.heads == b.heads,
        sum(getattr(a, name) == getattr(b, name, None) for name in type(a).model_fields),
        len(one.layers & other.layers),
    )
