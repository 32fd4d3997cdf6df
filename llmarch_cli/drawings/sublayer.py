"""The box of one sublayer, built from its component's own descriptions: a new kind needs no code here."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from llmarch_cli.components.component import Child, Component
from llmarch_cli.drawings.facts import Facts, facts, pool
from llmarch_cli.drawings.facts import steps as all_steps
from llmarch_cli.drawings.inside import EDGE, PADDING, SMALLEST, ExpertPool, Words, steps
from llmarch_cli.drawings.nodes import Horizontal, Label, Node, Panel, Vertical, flow
from llmarch_cli.drawings.shapes import Adder, Line, Shape
from llmarch_cli.report.units import setting

WIDTH = 196.0  # least width of a sublayer's text
CHILD_WIDTH = 104.0  # least width of the text of a component inside another one
RISE = 14.0  # height of the lines into branches
OUTLET = 8.0  # height of the arrow out of them


def sublayer(component: Component, axis: str, d_model: int, has_positions: bool = False) -> Node:
    """The box of `component` on `axis`. With `has_positions`, the model's input has positions, so NoPE is not noted."""
    inner = _content(component, facts(component, d_model, has_positions), axis, d_model, WIDTH)
    return Panel(inner, axis, axis, PADDING, least=WIDTH)


def reference(component: Component, axis: str, d_model: int, where: str) -> Node:
    """A small box for a component whose details are drawn elsewhere."""
    about = facts(component, d_model)
    words: list[Node] = [Label(about.title, WIDTH, 9.5, bold=True, topic=f"{axis} title")]
    words.append(flow([_fact(text, axis, about.title, WIDTH, 8.0) for text in about.kinds], WIDTH, gap=9))
    words.append(Label(where, WIDTH, SMALLEST, "muted"))
    return Panel(Vertical(words, gap=4), axis, axis, PADDING, least=WIDTH)


def _fact(text: str, axis: str, title: str, width: float, size: float) -> Label:
    return Label(text, width, size, topic=f"{axis} fact", within=title)


def _content(
    component: Component,
    about: Facts,
    axis: str,
    d_model: int,
    least: float,
    size: float = 8.0,
    is_open: bool = True,
) -> Node:
    """Title, facts, chips and settings; below them its steps if it `is_open`, or experts and inner components."""
    inside = list(_inside(component, about, axis, d_model, is_open))
    width = max(least, *(node.width for node in inside)) if inside else least

    def label(topic: str, text: str, role: str = "text", small: float = 0.0) -> Label:
        return Label(text, width, max(size - small, SMALLEST), role, topic=f"{axis} {topic}", within=about.title)

    shown = list(all_steps(about.inside)) if is_open else []
    there = {field for step in shown for field in step.fields}
    drawn_norms = {step.name for step in shown if step.sort == "norm"}
    said: list[Node] = [Label(about.title, width, size + 1.5, bold=True, topic=f"{axis} title")]
    said.append(flow([_fact(text, axis, about.title, width, size) for text in about.kinds], width, gap=9))
    notes = [("norm", text) for name, text in about.norms if name not in drawn_norms]
    notes += [("chip", text) for text in about.flags]
    chips = [Panel(label(role, text, small=0.8), role, role, 2.5, rounded=3) for role, text in notes]
    if chips:
        said.append(flow(chips, width))
    said += [label("cache", text, small=0.8) for text in about.kept]
    settings = [setting(text) for field, text in about.settings.items() if field not in there]
    if words := [label("setting", text, "muted", 1.2) for text in settings if text]:
        said.append(flow(words, width, gap=7, row_gap=2))
    return Vertical([*said, *inside], gap=4)


def _inside(component: Component, about: Facts, axis: str, d_model: int, is_open: bool) -> Iterator[Node]:
    """Steps, or experts with their router, and inner components; side by side if there are several."""
    parts = list(component.parts(d_model))
    experts = pool(parts)
    children = [part for part in parts if isinstance(part, Child)]
    below = PADDING if experts is None else EDGE
    boxes = {part.name: _child(part, axis, d_model, is_open=experts is None) for part in children}
    words = Words(about.settings, dict(about.norms), boxes, axis, about.title)
    opened = steps(about.inside, words, below) if about.inside and is_open else None
    placed = {step.name for step in all_steps(about.inside) if step.sort == "inside"} if opened else set()
    children = [part for part in children if part.name not in placed]
    branches: list[Node] = []
    if experts is not None:
        branches.append(ExpertPool(experts, opened, axis, about.title, not children))
    elif opened is not None and not children:
        yield opened
    aside: list[Node] = []
    for part in children:
        panel = boxes[part.name]
        if part.name in component.deferred_children:
            later = Label("added by a layer above", panel.width, SMALLEST, "muted", topic=f"{axis} deferred")
            aside.append(Vertical([later, panel], gap=4))
        else:
            branches.append(panel)
    if branches:
        yield Branches(branches, aside) if len(branches) + len(aside) > 1 else branches[0]


def _child(part: Child, axis: str, d_model: int, is_open: bool) -> Panel:
    """The box of a component inside another one."""
    about = facts(part.component, d_model, True, part.name.replace("_", " "))
    role = "inner-attention" if axis == "attention" else "inner"
    return Panel(_content(part.component, about, axis, d_model, CHILD_WIDTH, 7.2, is_open), role, part.name, PADDING)


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
