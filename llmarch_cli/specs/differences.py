"""The steps from one spec to another: each changes one field or a few, and ends at a valid spec.

Specs are compared by meaning: variants are paired by content, whatever their names, and layouts layer by layer. Names,
dates, licenses, published numbers and storage formats are not part of an architecture.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from itertools import combinations
from typing import Any, Literal

from llmarch_cli.components.record import Record
from llmarch_cli.specs.pairs import AXES, Axis, Order, Pairs
from llmarch_cli.specs.spec import NONE, ModelSpec

FACTS = frozenset({"name", "organization", "source", "same_as", "released", "license", "published", "stored"})

# Changes that are valid only together are tried in groups up to this size, then all at once.
LARGEST_GROUP = 3

FieldPath = tuple[str, ...]


@dataclass(frozen=True)
class Change:
    """A changed field, a component that changes its kind, or a changed layout.

    Attributes:
        part: the axis of the change, or the model.
        field: the path inside that part; empty for a whole component and for a layout.
        before: the value before; None for a layout, which depends on the whole spec.
        after: the value after; None for a layout.
        variant: the variant's name before and after; empty if neither axis has several variants.
    """

    part: Axis | Literal["model"]
    field: FieldPath = ()
    before: Any = None
    after: Any = None
    variant: tuple[str, ...] = ()

    @property
    def is_layout(self) -> bool:
        """Whether the change is to the variants' pattern over the layers."""
        return not self.field and self.before is None


@dataclass(frozen=True)
class Step:
    """Changes that are valid only together, and the spec after them."""

    changes: tuple[Change, ...]
    spec: ModelSpec


def steps(before: ModelSpec, after: ModelSpec) -> list[Step]:
    """The steps from one spec to the other, in the order of a spec's fields; none if both are equal in meaning.

    On each axis components change before the layout: field by field, or whole if the kind changes. A layout that drops
    a variant changes first, so that a component's change applies in all its layers. A change that is not valid yet
    waits for the changes that make it valid.
    """
    pairs = {axis: Pairs(before, after, axis) for axis in AXES}
    state = _State(
        fields={name: _data(getattr(before, name)) for name in ModelSpec.field_defaults},
        components={axis: {slot: _data(each) for slot, each in pairs[axis].components.items()} for axis in AXES},
        orders={axis: pairs[axis].order(before, before.n_layers) for axis in AXES},
        placements={slot: new if old is None else old for slot, (old, new) in pairs["attention"].placements.items()},
    )
    made, waiting = [], list[_Move]()
    for move in _moves(before, after, pairs):
        waiting.append(move)
        while taken := next(filter(None, (_made(state, group) for group in _groups(waiting))), None):
            group, state, spec = taken
            waiting = [each for each in waiting if each not in group]
            made.append(Step(tuple(change for each in group for change in each.changes), spec))
    return made


@dataclass(frozen=True)
class _State:
    """A model between two specs, as data that may be invalid: components by slot, and the slot of each layer.

    `placements` is where the norms of a layer stand, by the slot of its attention.
    """

    fields: Mapping[str, Any]
    components: Mapping[Axis, Mapping[str, Any]]
    orders: Mapping[Axis, Order]
    placements: Mapping[str, Any]

    def with_field(self, name: str, value: Any) -> _State:
        return replace(self, fields={**self.fields, name: value})

    def with_component(self, axis: Axis, slot: str, component: Any) -> _State:
        return replace(self, components={**self.components, axis: {**self.components[axis], slot: component}})

    def with_orders(self, orders: Mapping[Axis, Order]) -> _State:
        return replace(self, orders={**self.orders, **orders})

    def with_placements(self, placements: Mapping[str, Any]) -> _State:
        return replace(self, placements={**self.placements, **placements})

    def spec(self) -> ModelSpec:
        """The spec of this state. Raises ValidationError if it is invalid."""
        axes = {axis: self._laid_out(axis) for axis in AXES}
        return ModelSpec.model_validate({**self.fields, **axes, "norm_placement": self._placed(axes["attention"])})

    def _placed(self, attention: Any) -> Any:
        """Where norms stand: one placement, or by variants where their layers differ."""
        used = {slot: self.placements[slot] for slot in dict.fromkeys(self.orders["attention"])}
        placements = set(used.values())
        return placements.pop() if len(placements) == 1 else used

    def _laid_out(self, axis: Axis) -> Any:
        order = self.orders[axis]
        used = {slot: self.components[axis][slot] for slot in dict.fromkeys(order) if slot != NONE}
        if len(used) == 1 and NONE not in order:
            return next(iter(used.values()))
        return {"first": order, "variants": used}


@dataclass(frozen=True, eq=False)
class _Move:
    """Changes, with the function that makes them."""

    changes: tuple[Change, ...]
    make: Callable[[_State], _State]


def _moves(before: ModelSpec, after: ModelSpec, pairs: Mapping[Axis, Pairs]) -> Iterator[_Move]:
    """All moves from one spec to the other, in the order of a spec's fields."""
    for name in ModelSpec.field_defaults:
        if name == "n_layers":
            yield from _n_layers_moves(before, after, pairs)
        elif name == "norm_placement":
            yield from _placement_moves(before, after, pairs["attention"])
        elif name not in AXES and name not in FACTS:
            yield from _field_moves(name, getattr(before, name), getattr(after, name))
    for axis in AXES:  # the axes are the last fields
        layout = list(_layout_moves(axis, after, pairs[axis]))
        if pairs[axis].drops_variant:
            yield from layout
        for slot in pairs[axis].both:
            yield from _component_moves(axis, slot, pairs[axis])
        if not pairs[axis].drops_variant:
            yield from layout


def _field_moves(name: str, old: Any, new: Any) -> Iterator[_Move]:
    if isinstance(old, Record) and type(old) is type(new):
        for path in _differing(old, new):
            change = Change("model", (name, *path), _at(old, path), _at(new, path))
            yield _Move(
                (change,),
                lambda state, path=path: state.with_field(name, _with(state.fields[name], new, path)),  # type: ignore[misc]
            )
    elif old != new:
        yield _Move((Change("model", (name,), old, new),), lambda state: state.with_field(name, _data(new)))


def _placement_moves(before: ModelSpec, after: ModelSpec, pairs: Pairs) -> Iterator[_Move]:
    """Norms that stand elsewhere in layers that both models have."""
    slots = pairs.placements
    if any(None not in (old, new) and old != new for old, new in slots.values()):
        new = {slot: placement for slot, (_, placement) in slots.items() if placement is not None}
        if len(after.placements) == 1:  # layers that only the first model has follow, so that it is one change
            new = dict.fromkeys(slots, *after.placements)
        change = Change("model", ("norm_placement",), before.norm_placement, after.norm_placement)
        yield _Move((change,), lambda state: state.with_placements(new))


def _n_layers_moves(before: ModelSpec, after: ModelSpec, pairs: Mapping[Axis, Pairs]) -> Iterator[_Move]:
    """Continue both patterns to the new depth; a layout whose pattern cannot continue changes in the same move."""
    old, new = before.n_layers, after.n_layers
    if old != new:
        continued = {axis: pairs[axis].continued(after) for axis in AXES}
        relaid = (Change(axis) for axis in AXES if not pairs[axis].order(before, new))
        changes = (Change("model", ("n_layers",), old, new), *relaid)
        yield _Move(changes, lambda state: state.with_field("n_layers", new).with_orders(continued))


def _layout_moves(axis: Axis, after: ModelSpec, pairs: Pairs) -> Iterator[_Move]:
    order = pairs.order(after, after.n_layers)
    if order != pairs.continued(after):
        yield _Move((Change(axis),), lambda state: state.with_orders({axis: order}))


def _component_moves(axis: Axis, slot: str, pairs: Pairs) -> Iterator[_Move]:
    (old, new), (before, after), names = pairs.both[slot], pairs.own[slot], pairs.names[slot]
    if type(old) is not type(new):
        change = Change(axis, before=before, after=after, variant=names)
        yield _Move((change,), lambda state: state.with_component(axis, slot, _data(new)))
        return
    for path in _differing(old, new):
        change = Change(axis, path, _at(before, path), _at(after, path), names)
        yield _Move(
            (change,),
            lambda state, path=path: state.with_component(  # type: ignore[misc]
                axis, slot, _with(state.components[axis][slot], new, path)
            ),
        )


def _groups(waiting: Sequence[_Move]) -> Iterator[Sequence[_Move]]:
    """The groups of moves to try next: single moves, then small groups, then all."""
    for size in range(1, min(LARGEST_GROUP, len(waiting)) + 1):
        yield from combinations(waiting, size)
    if len(waiting) > LARGEST_GROUP:
        yield waiting


def _made(state: _State, group: Sequence[_Move]) -> tuple[Sequence[_Move], _State, ModelSpec] | None:
    """The group with the state and the spec after it; None if that is not valid."""
    state = reduce(lambda at, move: move.make(at), group, state)
    if any(len(order) != state.fields["n_layers"] for order in state.orders.values()):
        return None  # a layout for another number of layers
    from pydantic import ValidationError

    try:
        return group, state, state.spec()
    except ValidationError:
        return None


def _differing(old: Record, new: Record) -> Iterator[FieldPath]:
    """The paths of the fields that differ between two records of one type, as deep as both have the same structure."""
    for name in type(old).field_defaults:
        before, after = getattr(old, name), getattr(new, name)
        if before == after:
            continue
        if isinstance(before, Record) and type(before) is type(after):
            yield from ((name, *path) for path in _differing(before, after))
        elif isinstance(before, dict) and [*before] == [*after]:
            yield from ((name, key, *path) for key in before for path in _differing(before[key], after[key]))
        else:
            yield (name,)


def _data(value: Any) -> Any:
    return value.model_dump() if isinstance(value, Record) else value


def _with(data: Any, new: Any, path: Sequence[str]) -> Any:
    """Return the data of a record with the value at `path` taken from the record `new`."""
    if not path:
        return _data(new)
    return {**data, path[0]: _with(data[path[0]], _at(new, path[:1]), path[1:])}


def _at(record: Any, path: Sequence[str]) -> Any:
    for step in path:
        record = record[step] if isinstance(record, dict) else getattr(record, step)
    return record
