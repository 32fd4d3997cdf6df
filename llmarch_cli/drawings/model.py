"""One model: tokens to logits on the left, with all layers as a strip; each distinct layer in detail on the right."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import groupby

from llmarch_cli.components.component import Component, walk
from llmarch_cli.components.record import number
from llmarch_cli.drawings.block import block, norm, stream_sum
from llmarch_cli.drawings.layers import elsewhere, kinds, named, where_of
from llmarch_cli.drawings.nodes import Horizontal, Label, Node, Panel, Vertical, flow
from llmarch_cli.drawings.shapes import Adder, Box, Line, Shape
from llmarch_cli.errors import InputError
from llmarch_cli.profilers.profile import Profile
from llmarch_cli.report.columns import metric
from llmarch_cli.report.layout import MIXERS, mixers, pattern
from llmarch_cli.report.units import PARAMS, setting, tokens
from llmarch_cli.specs.pairs import AXES
from llmarch_cli.specs.spec import LayerVariants, ModelSpec

SPINE = 150.0  # width of the left side, in points
STRIP = 40.0  # width of a layer in the strip
GAP = 16.0  # between the two sides
STEP = 14.0  # between two nodes of the left side
LARGEST_LAYER = 40.0  # height of a layer in the strip
EXIT = 7.0  # height of the arrow into what stands above the layers
THIN = 1.5  # layers of this height have no gaps between them: some would be visible and some not
MOST_CELLS = 1000  # in a strip; of more layers, only every n-th is shown
MARKS = {"attention": 14.0, "window": 8.0, "recurrence": 14.0, "convolution": 8.0}  # widths beside the strip
MARK_GAP = 3.0
MOST_COMPONENTS = 500  # in the layers in detail
PREDICTION = "Multi-token prediction"
CALLOUTS = {  # by the keys of their metrics
    "params": "parameters",
    "active_params": "active",
    "kv_cache_bytes": "KV cache at {context}",
    "kv_bytes_per_token": "KV per token",
    "context_window": "context window",
}


@dataclass(frozen=True)
class Zones:
    """The heights of a drawing's zones, bottom to top; models side by side share them."""

    entrance: float
    layers: float
    exit: float
    heading: float


def require_drawable(spec: ModelSpec, hint: str = "") -> None:
    """Raise InputError for a model with more components in its distinct layers than a drawing shows."""
    layers = spec.layer_counts
    sizes = {axis: {name: _n_components(each) for name, each in spec.variants(axis).items()} for axis in AXES}
    total = sum(sizes[axis].get(getattr(layer, axis), 0) for layer in layers for axis in AXES)
    if total > MOST_COMPONENTS:
        raise InputError(
            f"{spec.id}: too large to draw: {total:,} components in {len(layers):,} distinct"
            f" {'layers' if len(layers) > 1 else 'layer'}, more than {MOST_COMPONENTS:,}{hint}"
        )


def _n_components(component: Component) -> int:
    return sum(1 for _ in walk(component))


@dataclass(frozen=True)
class ModelDrawing:
    """The nodes of one model. `context` replaces the number of tokens in the KV cache's title."""

    profile: Profile
    context: str = ""

    @property
    def spec(self) -> ModelSpec:
        return self.profile.spec

    @cached_property
    def zones(self) -> Zones:
        """The heights that this model needs."""
        return Zones(
            entrance=max(
                self._entrance.height + self._positions_height + self._norm_height, self._orders.height + STEP
            ),
            layers=max(self._details.height, 120.0),
            exit=max(self._exit_height, self._facts.height + STEP),
            heading=self._heading.height,
        )

    @cached_property
    def width(self) -> float:
        return SPINE + GAP + self._side_width

    def place(self, x: float, y: float, zones: Zones, layer: float) -> Iterator[Shape]:
        """Its shapes, with the lower left corner at (x, y). Each layer of the strip is `layer` points high."""
        side, middle = x + SPINE + GAP, x + SPINE / 2
        layers = y + zones.entrance + STEP
        top = layers + zones.layers + STEP
        yield from self._place_entrance(middle, side, y, layers)
        yield from self._place_strip(middle, side, layers, layer)
        yield from self._details.place(side, layers)
        yield Line(((middle, layers + layer * self.spec.n_layers), (middle, top - EXIT)), part="strip-out")
        heading = top + zones.exit + STEP + zones.heading
        above = (*self._place_exit(middle, side, top), *self._heading.place(x, heading - self._heading.height))
        yield from (replace(shape, part="above") for shape in above)

    # The right side.

    @cached_property
    def _layers(self) -> list[LayerVariants]:
        return self.spec.layers

    @cached_property
    def kinds(self) -> dict[LayerVariants, list[int]]:
        """The numbers of the layers that are equal, by distinct layer, in the order of their first ones."""
        return kinds(self._layers)

    @cached_property
    def _details(self) -> Horizontal:
        frames = [self._frame(kind, layer, numbers) for kind, (layer, numbers) in enumerate(self.kinds.items())]
        return Horizontal(frames, gap=10, align="bottom")

    @cached_property
    def _orders(self) -> Vertical:
        """What the marks beside the strip mean, and the layer pattern of each axis, in the words of tables."""
        orders = {axis: pattern(self.spec, axis) for axis in AXES}
        legend = [self._key(mixer, count) for mixer, count in self._mixer_counts.items()] if self._is_marked else []
        lines = [
            Label(f"{axis}: {order}", self._side_width, 8, "muted", topic="order", centred=False)
            for axis, order in orders.items()
            if order
        ]
        return Vertical(
            [*([flow(legend, self._side_width, gap=12, align="left")] if legend else []), *lines], 4, "left"
        )

    @cached_property
    def _mixers(self) -> dict[str, tuple[str, ...]]:
        """How the layers of each variant of attention mix tokens."""
        return {name: mixers(each) for name, each in self.spec.variants("attention").items()}

    @cached_property
    def _mixer_counts(self) -> dict[str, int]:
        """The number of layers that mix tokens in each way; "" for those that do not."""
        counts = dict.fromkeys((*MIXERS, ""), 0)
        for name, count in self.spec.variant_counts("attention").items():
            for mixer in self._mixers.get(name, ("",)):
                counts[mixer] += count
        return {mixer: count for mixer, count in counts.items() if count}

    @property
    def _is_marked(self) -> bool:
        """Whether marks beside the strip tell layers apart: not if all attend to all tokens."""
        return [*self._mixer_counts] != ["attention"]

    @property
    def _marks_width(self) -> float:
        """The width of the marks beside the strip, with a gap on both sides."""
        if not self._is_marked:
            return 0.0
        return MARK_GAP + max(
            (sum(MARKS[each] + MARK_GAP for each in found) for found in self._mixers.values()), default=0.0
        )

    def _key(self, mixer: str, count: int) -> Node:
        words = Label(f"{count:,} {mixer or 'without token mixing'}", self._side_width, 8, "muted", topic="mixing")
        if not mixer:
            return words
        mark = Panel(Vertical([]), f"mix-{mixer}", f"mark of {mixer}", padding=4, least=MARKS[mixer], rounded=0)
        return Horizontal([mark, words], gap=4)

    def _frame(self, kind: int, layer: LayerVariants, numbers: Sequence[int]) -> Panel:
        others = elsewhere(self.kinds, layer).items()
        inner = block(self.spec, layer, {axis: f"as in {where_of(self.kinds[shown])}" for axis, shown in others})
        tag = Panel(Label(f"{len(numbers):,} x", 200, 9, "tag", bold=True), "tag", "tag", 3, colour=kind)
        words: list[Node] = [tag, Label(named(self.spec, layer), inner.width - tag.width - 6, 9, bold=True)]
        where = Label(where_of(numbers), inner.width, 7.2, "muted", topic="where")
        heading: list[Node] = [Horizontal(words, gap=6), *([where] if len(self.kinds) > 1 else [])]
        return Panel(Vertical([*heading, inner], gap=4), "frame", "layer", padding=7, dashed=True, rounded=8)

    @cached_property
    def _prediction(self) -> Panel | None:
        n_blocks = self.spec.n_mtp_blocks
        if not n_blocks:
            return None
        limit = 210.0
        lines = [
            Label(PREDICTION, limit, 9, bold=True, topic="mtp title"),
            Label(f"{n_blocks:,} x the last layer", limit, 8, topic="mtp blocks", within=PREDICTION),
            Label("joins the last hidden state with the next token's embedding", limit, 7.2, "muted"),
            Label(
                f"{PARAMS.rounded(self.profile.mtp_params)} parameters, not in the totals",
                limit,
                8,
                topic="mtp params",
                within=PREDICTION,
            ),
        ]
        return Panel(Vertical(lines, gap=3), "mtp", "mtp", padding=6, dashed=True, rounded=8)

    @cached_property
    def _side_width(self) -> float:
        positions = self._positions.width if self._positions else 0.0
        return max(250.0, self._details.width, positions)

    def _above_details(self, x: float, y: float) -> Iterator[tuple[float, float]]:
        """The end of the hint from the strip's top: over all frames, to the first of the highest."""
        frames = self._details.nodes
        highest = next(i for i, frame in enumerate(frames) if frame.height == self._details.height)
        yield x, y + self._details.height
        if highest:
            yield x + sum(frame.width + self._details.gap for frame in frames[:highest]), y + self._details.height

    # The left side.

    @cached_property
    def _embedding(self) -> Panel:
        spec = self.spec
        lines = [
            Label("Token embedding", SPINE - 12, 9, bold=True),
            Label(f"vocabulary {spec.vocab_size:,}", SPINE - 12, 8, topic="vocabulary"),
            Label(f"d_model {spec.d_model:,}", SPINE - 12, 8, topic="d_model"),
        ]
        if spec.embedding_scale != 1:
            scale = spec.embedding_scale
            words = "sqrt(d_model)" if isinstance(scale, str) else setting(number(scale))
            lines.append(Label(f"times {words}", SPINE - 12, 8, topic="embedding scale"))
        if (n_streams := spec.residual.width) > 1:
            lines.append(Label(f"{n_streams:,} residual streams", SPINE - 12, 8, topic="residual streams"))
        if (own := spec.per_layer_embedding) is not None:
            rows = f"and {spec.n_layers:,} x {own.dim:,} values for the layers"
            lines.append(Label(rows, SPINE - 12, 8, topic="per-layer embedding"))
            lines.append(Label(f"for {own.vocab_size:,} tokens", SPINE - 12, 8, topic="per-layer vocabulary"))
        return Panel(Vertical(lines, gap=3), "end", "embedding", padding=6, least=SPINE)

    @cached_property
    def _entrance(self) -> Vertical:
        return Vertical([self._embedding, Label("tokens", SPINE, 8.5, "muted")], gap=STEP)

    @cached_property
    def _positions(self) -> Panel | None:
        spec = self.spec
        if not spec.has_absolute_positions:
            return None
        if spec.learned_positions is None:
            title, words = "Sinusoidal positions", f"theta {setting(number(spec.sinusoidal_theta or 0))}"
        else:
            title, words = "Learned positions", f"{spec.position_offset + spec.learned_positions:,} rows"
        lines = [Label(title, SPINE, 9, bold=True), Label(words, SPINE, 8, topic="positions")]
        return Panel(Vertical(lines, gap=3), "end", "positions", padding=6)

    @cached_property
    def _positions_height(self) -> float:
        """The height of learned positions and their adder, above the embedding."""
        if self._positions is None:
            return 0.0
        return self._positions.height + STEP + self._orders.height

    @cached_property
    def _embedding_norm(self) -> Node | None:
        return norm(self.spec, "embedding norm", settings=True) if self.spec.embedding_norm else None

    @property
    def _norm_height(self) -> float:
        """The height of the norm after the embeddings, and of the arrow to it."""
        return 0.0 if self._embedding_norm is None else self._embedding_norm.height + STEP

    def _place_entrance(self, middle: float, side: float, y: float, end: float) -> Iterator[Shape]:
        yield from self._entrance.place(middle - self._entrance.width / 2, y)
        words = self._entrance.height - self._embedding.height - STEP
        yield Line(((middle, y + words), (middle, y + words + STEP)), arrow=True)
        top = y + self._entrance.height
        yield from self._orders.place(side, end - STEP / 2 - self._orders.height)
        if self._positions is not None:
            box = self._positions
            bottom = end - self._norm_height - STEP - self._orders.height - box.height
            adder = Adder(middle, bottom + box.height / 2)
            yield from box.place(side, bottom)
            yield Line(((middle, top), (middle, adder.y - adder.radius)), arrow=True)
            yield Line(((side, adder.y), (adder.x + adder.radius, adder.y)), arrow=True)
            yield adder
            top = adder.y + adder.radius
        if self._embedding_norm is not None:
            bottom = end - STEP - self._embedding_norm.height
            yield Line(((middle, top), (middle, bottom)), arrow=True)
            yield from self._embedding_norm.place(middle - self._embedding_norm.width / 2, bottom)
            top = bottom + self._embedding_norm.height
        yield Line(((middle, top), (middle, end)), arrow=True)

    def _place_strip(self, middle: float, side: float, y: float, layer: float) -> Iterator[Shape]:
        """All layers, bottom to top, each in the colour of its kind, with lines to the layers in detail."""
        layers = self._layers
        every = -(-len(layers) // MOST_CELLS)
        numbers = {layer: kind for kind, layer in enumerate(self.kinds)}
        cells = [numbers[shown] for shown in layers[::every]]
        height = layer * len(layers) / len(cells)
        left, right, top = middle - STRIP / 2, middle + STRIP / 2, y + layer * len(layers)
        gap = height / 10 if height > THIN else 0.0
        for i, kind in enumerate(cells):
            level = y + i * height
            yield Box(left, level, STRIP, height - gap, "layer", f"layer kind {kind}", False, 0, kind, "strip")
        if self._is_marked:
            yield from self._place_marks(right + MARK_GAP, y, height, gap, every)
        yield Line(((right, y), (side, y)), "hint", dashed=True)
        beside = right + self._marks_width  # a slope begins behind the marks
        above = self._above_details(side, y)
        yield Line(((right, top), (beside, top), *above), "hint", dashed=True, part="strip-hint")
        count = Label(f"{len(layers):,}", 50, 11, bold=True, topic="n_layers")
        word = Label("layer" if len(layers) == 1 else "layers", 50, 8, "muted")
        left_out = [Label(f"1 in {every:,} shown", 50, 7.2, "muted")] * (every > 1)
        words = Vertical([count, word, *left_out], gap=2)
        placed = words.place(left - 5 - words.width, max(y, y + (top - y) / 2 - words.height / 2))
        yield from (replace(shape, part="strip-count") for shape in placed)

    def _place_marks(self, x: float, y: float, height: float, gap: float, every: int) -> Iterator[Shape]:
        """Beside each layer of the strip, how it mixes tokens; one mark for equal neighbours."""
        level = y
        for found, run in groupby(self._mixers.get(layer.attention, ()) for layer in self._layers[::every]):
            size, left = height * len(list(run)), x
            for mixer in found:
                role = f"mix-{mixer}"
                yield Box(left, level, MARKS[mixer], size - gap, role, f"layers of {mixer}", rounded=0, part="strip")
                left += MARKS[mixer] + MARK_GAP
            level += size

    @cached_property
    def _final(self) -> list[Node]:
        spec = self.spec
        lines = [
            Label("Language-model head", SPINE - 12, 9, bold=True),
            Label("tied to the embedding" if spec.tie_embeddings else "untied", SPINE - 12, 8, topic="tied"),
            *[Label("with a bias", SPINE - 12, 8, topic="head bias")] * spec.head_bias,
        ]
        changes = ["by rows of length 1"] * spec.head_norm
        changes += [f"times {setting(number(spec.logit_scale))}"] * (spec.logit_scale != 1)
        changes += [f"softcap {setting(number(spec.logit_softcap))}"] if spec.logit_softcap is not None else []
        lines += [Label(f"logits {change}", SPINE - 12, 8, topic="logits") for change in changes]
        return [
            *[stream_sum(spec)] * (spec.residual.width > 1),
            *[norm(spec, "final norm", settings=True)] * spec.final_norm,
            Panel(Vertical(lines, gap=3), "end", "head", padding=6, least=SPINE),
            Label("logits", SPINE, 8.5, "muted"),
        ]

    @cached_property
    def _exit_height(self) -> float:
        return sum(node.height for node in self._final) + STEP * (len(self._final) - 1)

    def _place_exit(self, middle: float, side: float, y: float) -> Iterator[Shape]:
        start = y - EXIT
        yield from self._facts.place(side, y + STEP / 2)
        if self._prediction is not None:  # its input is the head's
            level = y + self._final[0].height + STEP / 2
            yield Line(((middle, level), (side, level)), dashed=True, arrow=True)
        for node in self._final:
            yield Line(((middle, start), (middle, y - (3 if isinstance(node, Label) else 0))), arrow=True)
            yield from node.place(middle - node.width / 2, y)
            start = y + node.height
            y = start + STEP

    # The heading.

    @cached_property
    def _heading(self) -> Vertical:
        spec, width = self.spec, SPINE + GAP + self._side_width
        origin = (spec.id, spec.organization, spec.released and spec.released.isoformat())
        words = " · ".join(str(word) for word in origin if word)
        lines: list[Node] = [
            Label(spec.name, width, 16, bold=True, centred=False),
            Label(words, width, 8.5, "muted", centred=False),
        ]
        return Vertical(lines, gap=6, align="left")

    @cached_property
    def _facts(self) -> Vertical:
        """The main metrics, and multi-token prediction, which none of them includes."""
        callouts: list[Node] = [flow([self._callout(key) for key in CALLOUTS], self._side_width, 6, 6, "left")]
        prediction = [] if self._prediction is None else [self._prediction]
        return Vertical([*callouts, *prediction], gap=8, align="left")

    def _callout(self, key: str) -> Panel:
        column = metric(key)
        title = CALLOUTS[key].format(context=self.context or tokens(self.profile.workload.context))
        words = [
            Label(column.unit.write(column.value(self.profile)), 200, 11.5, "value", bold=True, metric=key),
            Label(title, 200, 7.2, "muted"),
        ]
        least = 92 if column.by_context else 73  # room for 1,023.00 TiB: a page can change the context
        return Panel(Vertical(words, gap=3), "tile", key, padding=5, least=least)
