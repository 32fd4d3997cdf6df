"""What leads from one spec to another: steps of one field or a few, each of which ends at a valid spec.

Specs are compared by what they mean: variants are paired by what they are, whatever they are called, and layouts layer
by layer. Names, dates, licenses and what authors publish are no part of an architecture.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations, product
from typing import Any, Literal, TypeVar

from pydantic import ValidationError

from llmarch_cli.component import Component, Record
from llmarch_cli.spec import NONE, Layout, ModelSpec

Axis = Literal["attention", "ffn"]
AXES: tuple[Axis, ...] = ("attention", "ffn")

FACTS = frozenset({"name", "organization", "source", "released", "license", "published"})

# Fields that are valid only together are looked for in groups up to this size; then all that are left go at once.
LARGEST_GROUP = 3

Path = tuple[str, ...]
Order = list[str]  # the slot of each layer
AnyRecord = TypeVar("AnyRecord", bound=Record)


@dataclass(frozen=True)
class Change:
    """A field that differs, a component that becomes another kind, or a layout.

    Attributes:
        part: the axis that it is part of, or the model.
        field: its path inside that part; empty for a whole component, and for a layout.
        before: its value; None for a layout, which only the whole spec tells.
        after: the same.
        variant: what its variant is called before and after; empty where neither axis has several.
    """

    part: Axis | Literal["model"]
    field: Path = ()
    before: Any = None
    after: Any = None
    variant: tuple[str, ...] = ()

    @property
    def is_layout(self) -> bool:
        """Whether it is about which variant stands in which layer."""
        return not self.field and self.before is None


@dataclass(frozen=True)
class Step:
    """Changes that are valid only together, and the spec that they end at."""

    changes: tuple[Change, ...]
    spec: ModelSpec


def steps(before: ModelSpec, after: ModelSpec) -> list[Step]:
    """From one spec to the other, in the order of a spec's fields; none where both mean the same.

    On each axis the components change first, field by field, or at once where they become another kind, and then the
    layout. A layout that gives up a variant goes first, so that what changes in a component changes wherever it stands.
    """
    return list(_Way(before, after).steps())


class _Way:
    """A model on its way from one spec to another: each axis as components in slots, and a slot for each layer."""

    def __init__(self, before: ModelSpec, after: ModelSpec) -> None:
        self.after = after
        self.fields = {name: getattr(before, name) for name in ModelSpec.model_fields}
        self.pairs = {axis: _Pairs(before, after, axis) for axis in AXES}
        self.components = {axis: dict(pairs.components) for axis, pairs in self.pairs.items()}
        self.orders = {axis: pairs.order(before, before.n_layers) for axis, pairs in self.pairs.items()}
        self.last_orders = {axis: pairs.order(after, after.n_layers) for axis, pairs in self.pairs.items()}

    def steps(self) -> Iterator[Step]:
        """Every step; the way is at its end once the last is taken."""
        for name in ModelSpec.model_fields:
            if name == "n_layers":
                yield from self._n_layers_steps()
            elif name not in AXES and name not in FACTS:
                yield from self._field_steps(name)
        for axis in AXES:  # the last fields of all
            yield from self._axis_steps(axis)

    def _field_steps(self, name: str) -> Iterator[Step]:
        old, new = self.fields[name], getattr(self.after, name)
        if isinstance(old, Record):
            for changes, record in _record_steps(old, new, Change("model", (name,))):
                self.fields[name] = record
                yield Step(changes, self._spec())
        elif old != new:
            self.fields[name] = new
            yield Step((Change("model", (name,), old, new),), self._spec())

    def _n_layers_steps(self) -> Iterator[Step]:
        """Both layouts go on as their patterns do; one that cannot changes together with the number of layers."""
        old, new = self.fields["n_layers"], self.after.n_layers
        if old == new:
            return
        self.fields["n_layers"] = new
        gone_on = {axis: self.pairs[axis].order(self.pairs[axis].before, new) for axis in AXES}
        either = ([order for order in (gone_on[axis], self.last_orders[axis]) if order] for axis in AXES)
        spec = self._lay(*(dict(zip(AXES, orders, strict=True)) for orders in product(*either)))
        relaid = (Change(axis) for axis in AXES if self.orders[axis] != gone_on[axis])
        yield Step((Change("model", ("n_layers",), old, new), *relaid), spec)

    def _axis_steps(self, axis: Axis) -> Iterator[Step]:
        pairs = self.pairs[axis]
        if pairs.gives_up:
            yield from self._layout_steps(axis)
        for slot, (old, new) in pairs.both.items():
            whole = Change(axis, variant=pairs.names[slot])
            if type(old) is not type(new):
                self.components[axis][slot] = new
                yield Step((replace(whole, before=old, after=new),), self._spec())
            else:
                for changes, component in _record_steps(old, new, whole):
                    self.components[axis][slot] = component
                    yield Step(changes, self._spec())
        yield from self._layout_steps(axis)

    def _layout_steps(self, axis: Axis) -> Iterator[Step]:
        """One axis as it is laid out at last; both where a layer would be left with neither sublayer between."""
        orders = self.orders
        if orders[axis] != self.last_orders[axis]:
            spec = self._lay({axis: self.last_orders[axis]}, self.last_orders)
            yield Step(tuple(Change(axis) for axis in AXES if orders[axis] != self.orders[axis]), spec)

    def _lay(self, *choices: Mapping[Axis, Order]) -> ModelSpec:
        """Take the first of the layouts that gives a valid spec; the last one does."""
        orders = self.orders
        for choice in choices[:-1]:
            self.orders = {**orders, **choice}
            try:
                return self._spec()
            except ValidationError:
                continue
        self.orders = {**orders, **choices[-1]}
        return self._spec()

    def _spec(self) -> ModelSpec:
        """Raises ValidationError where a layer has neither attention nor ffn, or no layer has one of them."""
        return ModelSpec.model_validate({**self.fields, **{axis: self._laid_out(axis) for axis in AXES}})

    def _laid_out(self, axis: Axis) -> Any:
        order = self.orders[axis]
        used = {slot: self.components[axis][slot] for slot in dict.fromkeys(order) if slot != NONE}
        if len(used) == 1 and NONE not in order:
            return next(iter(used.values()))
        return {"first": order, "variants": used}


class _Pairs:
    """The variants of an axis in two specs, each in a slot with what it becomes.

    Attributes:
        components: those of the first spec by slot, and those that only the second has.
        both: what stands in a slot before and after.
        names: what that is called before and after; nothing where neither spec has several.
        gives_up: whether the first spec has a variant that becomes nothing.
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
        self.gives_up = len(partner) < len(old)
        place = {j: f"v{i}" for i, j in partner.items()}
        self.components = {f"v{i}": variant.component for i, variant in enumerate(old)} | {
            f"w{j}": variant.component for j, variant in enumerate(new) if j not in place
        }
        self._slots = (
            {name: f"v{i}" for i, variant in enumerate(old) for name in variant.names},
            {name: place.get(j, f"w{j}") for j, variant in enumerate(new) for name in variant.names},
        )

    def order(self, spec: ModelSpec, n_layers: int) -> Order:
        """The slot of each layer if `spec` had `n_layers`; nothing where its pattern does not reach so far."""
        value = getattr(spec, self.axis)
        try:
            names = value.names(n_layers) if isinstance(value, Layout) else [value.kind] * n_layers
        except ValueError:
            return []
        slots = self._slots[spec is not self.before]
        return [slots.get(name, NONE) for name in names]


@dataclass(frozen=True)
class _Variant:
    """A component with all the names that it has in a spec, and the layers that it stands in."""

    component: Component
    names: list[str]
    layers: set[int]


def _distinct(spec: ModelSpec, axis: Axis) -> list[_Variant]:
    """The variants of an axis, equal ones as one."""
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
    """The same with what is inside by name, such as branches, named by its kind and sorted by it."""
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
    """How much two variants have in common, what weighs most first."""
    a, b = one.component, other.component
    return (
        a == b,
        type(a) is type(b),
        a.label == b.label,
        a.heads == b.heads,
        sum(getattr(a, name) == getattr(b, name, None) for name in type(a).model_fields),
        len(one.layers & other.layers),
    )


def _record_steps(old: AnyRecord, new: AnyRecord, whole: Change) -> Iterator[tuple[tuple[Change, ...], AnyRecord]]:
    """From one record to another of its type: each change, or group of changes, and the valid record that it gives."""
    left = list(_differing(old, new))
    state = old
    while left:
        group, state = _next_group(state, new, left)
        left = [path for path in left if path not in group]
        yield (
            tuple(
                replace(whole, field=(*whole.field, *path), before=_at(old, path), after=_at(new, path))
                for path in group
            ),
            state,
        )


def _next_group(state: AnyRecord, new: AnyRecord, left: Sequence[Path]) -> tuple[Sequence[Path], AnyRecord]:
    """The first and smallest group of changes that gives a valid record, and that record."""
    for size in range(1, min(LARGEST_GROUP, len(left) - 1) + 1):
        for group in combinations(left, size):
            try:
                return group, _with(state, new, group)
            except ValidationError:
                continue
    return left, _with(state, new, left)


def _differing(old: Record, new: Record) -> Iterator[Path]:
    """The paths of the fields that differ, in records of one type; inside of what both have, as deep as it goes."""
    for name in type(old).model_fields:
        before, after = getattr(old, name), getattr(new, name)
        if before == after:
            continue
        if isinstance(before, Record) and type(before) is type(after):
            yield from ((name, *path) for path in _differing(before, after))
        elif isinstance(before, dict) and [*before] == [*after]:
            yield from ((name, key, *path) for key in before for path in _differing(before[key], after[key]))
        else:
            yield (name,)


def _with(state: AnyRecord, new: AnyRecord, paths: Sequence[Path]) -> AnyRecord:
    """`state` with the values that `new` has at `paths`. Raises ValidationError."""
    data = state.model_dump()
    for *above, last in paths:
        holder = data
        for step in above:
            holder = holder[step]
        value = _at(new, (*above, last))
        holder[last] = value.model_dump() if isinstance(value, Record) else value
    return type(state).model_validate(data)


def _at(record: Any, path: Sequence[str]) -> Any:
    for step in path:
        record = record[step] if isinstance(record, dict) else getattr(record, step)
    return record
