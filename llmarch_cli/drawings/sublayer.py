"""The box of one sublayer, built from its component's own descriptions: a new kind needs no code here."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from llmarch_cli.components.cache import Rows, State
from llmarch_cli.components.component import NOPE, Child, Component, Part, cache_entries
from llmarch_cli.components.parts import Experts, Linear, Norm, Vector
from llmarch_cli.drawings.nodes import Horizontal, Label, Node, Panel, Vertical, flow
from llmarch_cli.drawings.shapes import Adder, Box, Line, Shape
from llmarch_cli.report.units import setting

WIDTH = 196.0  # least width of a sublayer's text
CHILD_WIDTH = 104.0  # least width of the text of a component inside another one
SHOWN_EXPERTS = 5
PADDING = 6.0  # inside a component's box
SMALLEST = 6.8  # font size that is still legible on a slide
RISE = 14.0  # height of the lines into branches
OUTLET = 8.0  # height of the arrow out of them
ROUTER = "router"  # the name of the part that chooses experts


def sublayer(component: Component, axis: str, d_model: int, has_positions: bool = False) -> Node:
    """The box of `component` on `axis`. With `has_positions`, the model's input has positions, so NoPE is not noted."""
    inner = _content(component, axis, d_model, has_positions, component.title, WIDTH)
    return Panel(inner, axis, axis, PADDING, least=WIDTH)


def _content(
    component: Component, axis: str, d_model: int, has_positions: bool, title: str, least: float, size: float = 8.0
) -> Node:
    """Title, facts, chips and settings; below them the router and inner components, if any."""
    parts = list(component.parts(d_model))
    inside = list(_inside(parts, axis, d_model, component.deferred_children))
    width = max(least, *(node.width for node in inside)) if inside else least

    def label(topic: str, text: str, role: str = "text", small: float = 0.0) -> Label:
        return Label(text, width, max(size - small, SMALLEST), role, topic=f"{axis} {topic}")

    facts: list[Node] = [Label(title, width, size + 1.5, bold=True, topic=f"{axis} title")]
    facts.append(flow([label("fact", text) for text in (component.heads, component.label) if text], width, gap=9))
    drawn = {part.name for part in parts if isinstance(part, Vector | Norm)}
    settings = {
        field: text
        for field, text in component.settings.items()
        if field not in drawn and not _holds_components(getattr(component, field))
    }
    notes = [("norm", _norm(part)) for part in parts if isinstance(part, Norm)]
    notes += [("chip", text) for text in _positions_and_vectors(component, parts, has_positions)]
    notes += [("chip", text) for field, text in settings.items() if field == text]  # flags that are set
    chips = [Panel(label(role, text, small=0.8), role, role, 2.5, rounded=3) for role, text in notes]
    if chips:
        facts.append(flow(chips, width))
    if entries := [entry for entry in component.cache() if isinstance(entry, Rows)]:
        total = sum(entry.width for entry in entries)
        each = " + ".join(f"{entry.name} {entry.width:,}" for entry in entries)
        facts.append(label("cache", f"caches {total:,} values per token ({each})", small=0.8))
    if states := [(name, entry) for name, entry in cache_entries(component) if isinstance(entry, State)]:
        total = sum(math.prod(entry.shape) for _, entry in states)
        each = " + ".join(f"{name} {' x '.join(f'{n:,}' for n in entry.shape)}" for name, entry in states)
        facts.append(label("cache", f"keeps {total:,} values per sequence ({each})", small=0.8))
    words = [label("setting", setting(text), "muted", 1.2) for field, text in settings.items() if field != text]
    if words := [word for word in words if word.text]:
        facts.append(flow(words, width, gap=7, row_gap=2))
    return Vertical([*facts, *inside], gap=4)


def _holds_components(value: Any) -> bool:
    """Whether a field's value is drawn as separate boxes."""
    return isinstance(value, Component) or (isinstance(value, Mapping) and any(map(_holds_components, value.values())))


def _positions_and_vectors(component: Component, parts: Sequence[Part], has_positions: bool) -> Iterator[str]:
    """The position encoding, and learned vectors such as attention sinks."""
    if component.positions and not (has_positions and component.positions == NOPE):
        yield component.positions
    yield from (f"{part.name} {part.dim:,}" for part in parts if isinstance(part, Vector))


def _norm(part: Norm) -> str:
    return f"{part.name}, no weight" if part.weightless else part.name


def _inside(parts: Sequence[Part], axis: str, d_model: int, deferred: frozenset[str]) -> Iterator[Node]:
    """Experts with their router, and inner components; side by side if there are several."""
    experts = [part for part in parts if isinstance(part, Experts)]
    children = [part for part in parts if isinstance(part, Child)]
    branches: list[Node] = []
    if experts:
        router = next((part for part in parts if isinstance(part, Linear) and part.name == ROUTER), None)
        n_routed = experts[0].n_experts if router is None else router.d_out
        branches.append(ExpertPool(experts[0], n_routed, axis, not children))
    aside: list[Node] = []
    for part in children:
        title = part.name.replace("_", " ")
        inner = _content(part.component, axis, d_model, True, title, CHILD_WIDTH, 7.2)
        panel = Panel(inner, "inner", part.name, PADDING)
        if part.name in deferred:
            words = Label("added by a layer above", panel.width, SMALLEST, "muted", topic=f"{axis} deferred")
            aside.append(Vertical([words, panel], gap=4))
        else:
            branches.append(panel)
    if branches:
        yield Branches(branches, aside) if len(branches) + len(aside) > 1 else branches[0]


@dataclass(frozen=True)
class ExpertPool:
    """Some of the experts, with those chosen for one token filled, and the router below them."""

    experts: Experts
    n_routed: int  # that the router chooses from
    axis: str
    is_alone: bool  # no branch beside it: it draws its own arrows in and out

    CELL, GAP, HEIGHT, ROUTER_GAP, COLLECTED = 27.0, 4.0, 18.0, 14.0, 8.0

    @cached_property
    def _cells(self) -> list[tuple[str, bool]]:
        """The text of each cell, and whether its expert is chosen: at most two if not all experts fit."""
        n, n_active = self.experts.n_experts, self.experts.n_active
        if n <= SHOWN_EXPERTS:
            return [(f"{i + 1}", i < n_active) for i in range(n)]
        n_chosen = SHOWN_EXPERTS - 1 if n_active == n else min(n_active, 2)
        cells = [(f"{i + 1}", i < n_chosen) for i in range(SHOWN_EXPERTS - 2)]
        return [*cells, ("...", n_active == n), (f"{n:,}", n_active == n)]

    @cached_property
    def _numbers(self) -> list[Label]:
        return [Label(text, 400, 7, topic=f"{self.axis} experts") for text, _ in self._cells]

    @cached_property
    def _cell(self) -> float:
        return max(self.CELL, *(number.width + 6 for number in self._numbers))

    @cached_property
    def _picker(self) -> Panel:
        text = f"{ROUTER}: {self.experts.n_active:,} of {self.n_routed:,}"
        cells = (self._cell + self.GAP) * len(self._cells) - self.GAP
        return Panel(Label(text, 400, 8, topic=f"{self.axis} router"), "router", ROUTER, padding=4, least=cells)

    @cached_property
    def width(self) -> float:
        return self._picker.width

    @cached_property
    def height(self) -> float:
        return self._picker.height + self.ROUTER_GAP + self.HEIGHT + 2 * self.COLLECTED

    def place(self, x: float, y: float) -> Iterator[Shape]:
        yield from self._picker.place(x, y)
        left = x + (self.width - (self._cell + self.GAP) * len(self._cells) + self.GAP) / 2
        bottom, centre, end = y + self._picker.height, x + self.width / 2, y + self.height
        for number, (text, chosen) in zip(self._numbers, self._cells, strict=True):
            middle, level = left + self._cell / 2, bottom + self.ROUTER_GAP
            role = "chosen" if chosen else "idle"
            yield Box(left, level, self._cell, self.HEIGHT, role, f"expert {text}", rounded=3)
            yield from number.place(middle - number.width / 2, level + (self.HEIGHT - number.height) / 2)
            if chosen:
                yield Line(((middle, bottom), (middle, level)), arrow=True)
                collected = end - self.COLLECTED
                yield Line(((middle, level + self.HEIGHT), (middle, collected), (centre, collected)))
            left += self._cell + self.GAP
        yield Line(((centre, end - self.COLLECTED), (centre, end)), arrow=self.is_alone)
        if self.is_alone:
            yield Line(((centre, y - PADDING), (centre, y)))


@dataclass(frozen=True)
class Branches:
    """Nodes that read the same input. The outputs of `nodes` are added, those of nodes `aside` are not."""

    nodes: Sequence[Node]
    aside: Sequence[Node] = ()

    @cached_property
    def _row(self) -> Horizontal:
        return Horizontal((*self.nodes, *self.aside), gap=10, align="bottom")

    @cached_property
    def width(self) -> float:
        return self._row.width

    @cached_property
    def height(self) -> float:
        return self._row.height + 2 * RISE + 2 * Adder(0, 0).radius + OUTLET

    def place(self, x: float, y: float) -> Iterator[Shape]:
        yield from self._row.place(x, y + RISE)
        adder = Adder(x + self.width / 2, y + self.height - OUTLET - Adder(0, 0).radius)
        split = y + RISE / 2
        yield Line(((adder.x, y - PADDING), (adder.x, split)))
        left = x
        for number, node in enumerate(self._row.nodes):
            middle = left + node.width / 2
            yield Line(((adder.x, split), (middle, split), (middle, y + RISE)), arrow=True)
            left += node.width + self._row.gap
            if number >= len(self.nodes):
                continue
            end = adder.x + (-adder.radius if middle < adder.x else adder.radius)
            top = y + RISE + node.height
            if len(self.nodes) == 1:  # nothing to add
                yield Line(((middle, top), (middle, adder.y), (adder.x, adder.y)))
            elif abs(middle - adder.x) < adder.radius:
                edge = adder.y - math.sqrt(adder.radius**2 - (middle - adder.x) ** 2)
                yield Line(((middle, top), (middle, edge)), arrow=True)
            else:
                yield Line(((middle, top), (middle, adder.y), (end, adder.y)), arrow=True)
        if len(self.nodes) > 1:
            yield adder
        start = adder.bounds.top if len(self.nodes) > 1 else adder.y
        yield Line(((adder.x, start), (adder.x, y + self.height)), arrow=True)
