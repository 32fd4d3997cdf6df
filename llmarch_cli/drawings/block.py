"""The wiring of one layer: its sublayers with their norms, and the residual stream around them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from llmarch_cli.components.parts import Norm
from llmarch_cli.components.record import number
from llmarch_cli.drawings.nodes import Label, Node, Panel, Vertical
from llmarch_cli.drawings.shapes import Adder, Line, Shape
from llmarch_cli.drawings.sublayer import reference, sublayer
from llmarch_cli.report.units import setting
from llmarch_cli.specs.spec import NONE, LayerVariants, ModelSpec

STEP = 12.0  # points between two nodes of a block
BYPASS = 18.0  # width of the residual stream beside the nodes


@dataclass(frozen=True)
class Stage:
    """The nodes of one update of the residual stream, bottom to top, and those `above` the adder."""

    nodes: Sequence[Node]
    above: Sequence[Node] = ()

    @cached_property
    def width(self) -> float:
        return max((node.width for node in (*self.nodes, *self.above)), default=0.0)

    @cached_property
    def height(self) -> float:
        return sum(node.height + STEP for node in self.nodes)

    def place(self, x: float, y: float) -> Iterator[Shape]:
        """Its shapes: a line up from (x, y) through the middle of all nodes, `height` high."""
        for node in self.nodes:
            yield Line(((x, y), (x, y + STEP)), arrow=True)
            yield from node.place(x - node.width / 2, y + STEP)
            y += STEP + node.height


@dataclass(frozen=True)
class Fork:
    """Parallel updates: all read the output of `shared`, and their outputs are added; `above` stands as in a stage."""

    shared: Stage
    stages: Sequence[Stage]
    above: Sequence[Node] = ()

    GAP, RISE = 14.0, 8.0

    @cached_property
    def width(self) -> float:
        return sum(stage.width for stage in self.stages) + self.GAP * (len(self.stages) - 1)

    @cached_property
    def height(self) -> float:
        highest = max(stage.height for stage in self.stages)
        return self.shared.height + self.RISE + highest + STEP + 2 * Adder(0, 0).radius

    def place(self, x: float, y: float) -> Iterator[Shape]:
        """Its shapes: from (x, y) in the middle of the bottom to the top of the adder, `height` above."""
        yield from self.shared.place(x, y)
        split = y + self.shared.height + self.RISE
        adder = Adder(x, y + self.height - Adder(0, 0).radius)
        yield Line(((x, y + self.shared.height), (x, split)))
        left = x - self.width / 2
        for stage in self.stages:
            middle = left + stage.width / 2
            side = adder.radius if middle > x else -adder.radius
            yield Line(((x, split), (middle, split)))
            yield from stage.place(middle, split)
            yield Line(((middle, split + stage.height), (middle, adder.y), (x + side, adder.y)), arrow=True)
            left += stage.width + self.GAP
        yield adder


@dataclass(frozen=True)
class Block:
    """Stages above each other, each with a residual connection around it."""

    stages: Sequence[Stage | Fork]
    last: Sequence[Node] = ()  # on the stream behind all stages
    ends: bool = True  # in an arrow

    @cached_property
    def width(self) -> float:
        return max(stage.width for stage in self.stages) + 2 * BYPASS

    @cached_property
    def height(self) -> float:
        above = sum(node.height + STEP for stage in self.stages for node in stage.above)
        behind = Stage(self.last).height
        return sum(stage.height + 2 * STEP + 2 * Adder(0, 0).radius for stage in self.stages) + above + behind + STEP

    def place(self, x: float, y: float) -> Iterator[Shape]:
        middle, side = x + self.width / 2, x + BYPASS / 3
        for stage in self.stages:
            split = y + STEP
            top = split + stage.height
            adder = Adder(middle, top + STEP + Adder(0, 0).radius)
            yield Line(((middle, y), (middle, split)))
            yield Line(((middle, split), (side, split), (side, adder.y), (middle - adder.radius, adder.y)), arrow=True)
            yield from stage.place(middle, split)
            yield Line(((middle, top), (middle, top + STEP)), arrow=True)
            yield adder
            y = adder.y + adder.radius
            if stage.above:
                above = Stage(stage.above)
                yield from above.place(middle, y)
                y += above.height
        behind = Stage(self.last)
        yield from behind.place(middle, y)
        y += behind.height
        yield Line(((middle, y), (middle, y + STEP)), arrow=self.ends)


@dataclass(frozen=True)
class Enclosed:
    """A whole block as one update of several streams."""

    block: Block

    @property
    def width(self) -> float:
        return self.block.width

    @property
    def height(self) -> float:
        return self.block.height

    def place(self, x: float, y: float) -> Iterator[Shape]:
        """Its shapes, from (x, y) in the middle of the bottom, `height` high."""
        yield from self.block.place(x - self.width / 2, y)


@dataclass(frozen=True)
class StreamStage:
    """One update of several streams: a stage behind what it reads of them, and what they then pass."""

    read: Node
    stage: Stage | Enclosed
    mix: str


@dataclass(frozen=True)
class StreamedBlock:
    """Stages above each other beside several residual streams, the lanes at the left.

    `last` stands on the streams behind all stages.
    """

    stages: Sequence[StreamStage]
    n_streams: int
    last: Sequence[Node] = ()

    LANE, MOST_LANES, BESIDE = 5.0, 6, 12.0

    @cached_property
    def _spread(self) -> float:
        return self.LANE * (min(self.n_streams, self.MOST_LANES) - 1)

    @cached_property
    def _mixes(self) -> list[Panel]:
        least = self._spread + 2 * self.LANE
        words = [Label(each.mix, 60, 7.2, topic="stream mixing") for each in self.stages]
        return [Panel(each, "chip", "stream mixing", padding=4, least=least) for each in words]

    @cached_property
    def _lanes_width(self) -> float:
        return max(node.width for node in (*self._mixes, *self.last))

    @cached_property
    def _stages_width(self) -> float:
        return max(max(each.read.width, each.stage.width) for each in self.stages)

    @cached_property
    def width(self) -> float:
        return self._lanes_width + 2 * self.BESIDE + self._stages_width

    @cached_property
    def height(self) -> float:
        around = sum(each.read.height + mix.height for each, mix in zip(self.stages, self._mixes, strict=True))
        inside = sum(each.stage.height + 2 * STEP for each in self.stages)
        return around + inside + Stage(self.last).height + STEP

    def place(self, x: float, y: float) -> Iterator[Shape]:
        centre = x + self._lanes_width / 2
        middle = x + self._lanes_width + self.BESIDE + self._stages_width / 2
        lanes = [centre - self._spread / 2 + self.LANE * i for i in range(min(self.n_streams, self.MOST_LANES))]
        for each, mix in zip(self.stages, self._mixes, strict=True):
            bottom, left = y + STEP, middle - each.read.width / 2
            tap = bottom + each.read.height / 2
            yield Line(((lanes[0], tap), (left, tap)), arrow=True)
            yield from each.read.place(left, bottom)
            start = bottom + each.read.height
            yield from each.stage.place(middle, start)
            top = start + each.stage.height
            level = top + STEP + mix.height / 2
            yield Line(((middle, top), (middle, level), (centre + mix.width / 2, level)), arrow=True)
            yield from self._onto(mix, centre, lanes, y, top + STEP)
            y = top + STEP + mix.height
        for node in self.last:
            yield from self._onto(node, centre, lanes, y, y + STEP)
            y += STEP + node.height
        yield from (Line(((lane, y), (lane, y + STEP))) for lane in lanes)

    def _onto(self, node: Node, centre: float, lanes: Sequence[float], start: float, end: float) -> Iterator[Shape]:
        """All streams from the height `start` into `node`, whose lower edge is at `end`."""
        yield from (Line(((lane, start), (lane, end)), arrow=True) for lane in lanes)
        yield from node.place(centre - node.width / 2, end)


def block(spec: ModelSpec, layer: LayerVariants, elsewhere: Mapping[str, str]) -> Block | StreamedBlock:
    """The wiring of `layer`; `elsewhere` tells for each axis where its sublayer is drawn, if not here."""
    present = {axis: name for axis, name in (("attention", layer.attention), ("ffn", layer.ffn)) if name != NONE}
    norms = spec.block_norms(layer)
    names = {part.name for part in norms.parts(spec.d_model) if isinstance(part, Norm)}
    shared = [norm(spec, "norm before both")] * ("shared_pre" in names)
    scale = [_scale(spec)] * (spec.residual_scale != 1)
    stages = []
    for axis, name in present.items():
        component = spec.variants(axis)[name]
        if axis in elsewhere:
            box = reference(component, axis, spec.d_model, elsewhere[axis])
        else:
            box = sublayer(component, axis, spec.d_model, has_positions=spec.has_absolute_positions)
        before = [norm(spec, "norm before")] * (f"{axis}_pre" in names)
        after = [norm(spec, "norm after")] * (f"{axis}_post" in names)
        if norms.placement == "post_residual":
            stages.append(Stage([box, *scale], after))
        else:
            stages.append(Stage([*before, box, *after, *scale]))
    factor = [_factor("times a stored factor", "layer scale", 44)] if spec.layer_scale else []
    n_streams, places = spec.residual.width, spec.residual.connections().keys()
    if places and "block" not in places:  # then nothing is parallel, shared or added behind the sublayers
        return StreamedBlock([StreamStage(stream_sum(spec), each, "mix, add") for each in stages], n_streams, factor)
    behind = [_behind(spec)] if spec.per_layer_embedding is not None else []
    if spec.parallel_sublayers and len(stages) > 1:
        inside: list[Stage | Fork] = [Fork(Stage(shared), stages)]
    else:
        inside = [Stage([*shared, *stage.nodes], stage.above) for stage in stages]
    if spec.laurel_rank is not None and layer.attention != NONE:
        inside[0] = _with_branch(spec, stages[0], n_shared=int("attention_pre" in names))
    if not places:
        return Block([*inside, *behind], [_factor("times a stored factor", "layer scale")] * spec.layer_scale)
    updates = [StreamStage(_one_stream("prediction of one stream"), Enclosed(Block(inside, ends=False)), "correct all")]
    updates += [StreamStage(_one_stream("one stream"), stage, "add to others") for stage in behind]
    return StreamedBlock(updates, n_streams, factor)


def _with_branch(spec: ModelSpec, attention: Stage, n_shared: int) -> Fork:
    """Attention with a learned branch beside it, which reads what attention reads."""
    facts = [Label("Low-rank branch", 110, 9.5, bold=True), Label(f"rank {spec.laurel_rank:,}", 110, 8, topic="laurel")]
    box = Panel(Vertical(facts, gap=4), "end", "laurel", padding=7)
    beside = Stage([box, norm(spec, "norm after")])
    own = Stage(attention.nodes[n_shared:])
    return Fork(Stage(attention.nodes[:n_shared]), [own, beside], [_factor("times sqrt(1/2)", "laurel share")])


def _one_stream(words: str) -> Panel:
    return Panel(Label(words, 138, 8, topic="residual streams"), "chip", "stream", padding=4)


def _behind(spec: ModelSpec) -> Stage:
    """A layer's own input, which is added behind its sublayers."""
    assert spec.per_layer_embedding is not None
    topic = "layer input"
    words = f"{spec.per_layer_embedding.dim:,} values of the token for this layer, gated"
    facts = [Label("Layer input", 150, 9.5, bold=True, topic=topic), Label(words, 150, 7.5, topic=topic)]
    return Stage([Panel(Vertical(facts, gap=4), "end", topic, padding=7), norm(spec, "norm after")])


def _scale(spec: ModelSpec) -> Panel:
    return _factor(f"times {setting(number(spec.residual_scale))}", "residual scale")


def _factor(words: str, topic: str, limit: float = 128) -> Panel:
    return Panel(Label(words, limit, 8, topic=topic), "chip", topic, padding=4)


def stream_sum(spec: ModelSpec) -> Panel:
    """What reads all residual streams."""
    words = f"weighted sum of {spec.residual.width:,} streams"
    return Panel(Label(words, 138, 8, topic="residual streams"), "chip", "stream sum", padding=4)


def norm(spec: ModelSpec, name: str, settings: bool = False) -> Panel:
    """The model's norm; with `settings`, its settings too."""
    words = f"{spec.norm.title}, {spec.norm.details}" if settings and spec.norm.details else spec.norm.title
    return Panel(Label(words, 128, 8, topic=name), "norm", name, padding=4, least=96)
