"""A small picture in characters: the layers in a strip, and each distinct layer as a box. It needs no library."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from llmarch_cli.components.component import Child, Component
from llmarch_cli.components.parts import Norm
from llmarch_cli.components.record import number
from llmarch_cli.drawings.facts import MOST_BOXES, facts, pool
from llmarch_cli.drawings.layers import elsewhere, kinds, named, where_of
from llmarch_cli.drawings.model import CALLOUTS
from llmarch_cli.profilers.profile import Profile
from llmarch_cli.report.columns import metric
from llmarch_cli.report.comparison import caption
from llmarch_cli.report.formats.grid import one_line
from llmarch_cli.report.layout import order
from llmarch_cli.report.units import setting, tokens
from llmarch_cli.specs.pairs import AXES
from llmarch_cli.specs.spec import NONE, LayerVariants, ModelSpec

NARROWEST, WIDEST = 40, 160
FRAME = 46  # least width of a layer's box beside another one
WIDEST_FRAME = 72
MOST_STRIPS = 4  # lines of the strip; of more layers, only every n-th is shown
LETTERS = "abcdefghijklmnopqrstuvwxyz"
COLORS = (34, 33, 32, 35, 36, 31)  # of the terminal, for each distinct layer
_ASCII = str.maketrans("─│┌┐└┘┤├▶↑■□·⊕", "-|++++++>^#.*+")
SIGNS = "─│┌┐└┘┤├▶↑■□·"  # what the terminal must be able to show


def sketch(profiles: Sequence[Profile], width: int, color: bool = False, ascii_only: bool = False) -> str:
    """All models below each other, in lines of at most `width` characters, ending in a newline."""
    width = min(max(width, NARROWEST), WIDEST)
    lines: list[str] = []
    for profile in profiles:
        lines += [*_Sketch(profile, width, color).lines(), ""]
    for note in caption(profiles):
        lines += textwrap.wrap(note, width)
    text = "".join(f"{line.rstrip()}\n" for line in lines)
    return text.translate(_ASCII) if ascii_only else text


@dataclass(frozen=True)
class _Sketch:
    """One model."""

    profile: Profile
    width: int
    color: bool

    @property
    def spec(self) -> ModelSpec:
        return self.profile.spec

    @cached_property
    def _layers(self) -> list[LayerVariants]:
        return self.spec.layers

    @cached_property
    def kinds(self) -> dict[LayerVariants, list[int]]:
        return kinds(self._layers)

    def lines(self) -> Iterator[str]:
        """From the top, where the logits are."""
        spec = self.spec
        origin = (spec.id, spec.organization, spec.released and spec.released.isoformat())
        (first, *others) = _joined([one_line(spec.name), *(one_line(str(word)) for word in origin if word)], self.width)
        yield f"\x1b[1m{first}\x1b[0m" if self.color else first
        yield from others
        yield from _joined(self._callouts(), self.width)
        yield ""
        yield "logits"
        yield from self._flow(self._exit())
        yield from self._strip()
        yield from self._frames()
        yield from self._flow(self._entrance())
        yield "tokens"

    def _callouts(self) -> list[str]:
        context = tokens(self.profile.workload.context)
        shown = ((title.format(context=context), metric(key)) for key, title in CALLOUTS.items())
        return [f"{column.unit.write(column.value(self.profile))} {title}" for title, column in shown]

    def _exit(self) -> list[str]:
        spec = self.spec
        head = "head tied to the embedding" if spec.tie_embeddings else "head"
        prediction = f"{spec.n_mtp_blocks:,} x multi-token prediction beside it" if spec.n_mtp_blocks else ""
        return [head, spec.norm.title * spec.final_norm, prediction]

    def _entrance(self) -> list[str]:
        spec = self.spec
        positions = ""
        if spec.has_absolute_positions:
            positions = "sinusoidal positions" if spec.learned_positions is None else "learned positions"
        streams = f"{spec.residual.width:,} residual streams" if spec.residual.width > 1 else ""
        return [f"embedding {spec.vocab_size:,} x {spec.d_model:,}", positions, streams]

    def _flow(self, words: Sequence[str]) -> Iterator[str]:
        yield from _hanging("  ↑  ", _joined([word for word in words if word], self.width - 5))

    def _strip(self) -> Iterator[str]:
        """A letter for each layer, the bottom one on the left."""
        spec, room = self.spec, self.width - 2
        every = -(-spec.n_layers // (MOST_STRIPS * room))
        letters = {layer: _letter(kind) for kind, layer in enumerate(self.kinds)}
        shown = "".join(letters[layer] for layer in self._layers[::every])
        shown_of = f", 1 in {every:,} shown" if every > 1 else ""
        words = [
            f"{spec.n_layers:,} {'layer' if spec.n_layers == 1 else 'layers, the bottom one on the left'}{shown_of}"
        ]
        words += [f"{axis}: {order(spec, axis)}" for axis in AXES]
        yield ""
        for start in range(0, len(shown), room):
            yield "  " + self._painted(shown[start : start + room])
        for line in words:
            yield from _hanging("  ", textwrap.wrap(line, room, max_lines=2, placeholder=" ..."))
        yield ""

    def _painted(self, letters: str) -> str:
        if not self.color:
            return letters
        colors = [COLORS[LETTERS.find(letter) % len(COLORS)] for letter in letters]
        runs = zip(colors, [None, *colors[:-1]], letters, strict=True)
        return "".join(f"\x1b[{at}m{sign}" if at != last else sign for at, last, sign in runs) + "\x1b[0m"

    def _frames(self) -> Iterator[str]:
        """The box of each distinct layer, beside each other if there is room."""
        columns = max(1, min(len(self.kinds), (self.width + 1) // (FRAME + 1)))
        width = min(WIDEST_FRAME, (self.width - columns + 1) // columns)
        boxes = [self._frame(*each, width) for each in enumerate(self.kinds.items())]
        for start in range(0, len(boxes), columns):
            beside = boxes[start : start + columns]
            height = max(map(len, beside))
            padded = [[*box, *[" " * width] * (height - len(box))] for box in beside]
            yield from (" ".join(line) for line in zip(*padded, strict=True))

    def _frame(self, kind: int, layer: tuple[LayerVariants, list[int]], width: int) -> list[str]:
        variants, numbers = layer
        where = f" · {where_of(numbers)}" if len(self.kinds) > 1 else ""
        title = f"{_letter(kind)}  {len(numbers):,} x {named(self.spec, variants)}{where}"
        inside = [line for stage in reversed(list(self._stages(variants))) for line in stage.lines(width - 4)]
        return _boxed(title, inside, width)

    def _stages(self, layer: LayerVariants) -> Iterator[_Stage]:
        """The updates of the residual stream, bottom to top."""
        spec = self.spec
        block_norms = spec.block_norms(layer)
        there = {part.name for part in block_norms.parts(spec.d_model) if isinstance(part, Norm)}
        letters = {shown: _letter(kind) for kind, shown in enumerate(self.kinds)}
        other = {axis: f"as in {letters[shown]}" for axis, shown in elsewhere(self.kinds, layer).items()}
        sign = "+" if spec.residual.width == 1 else f"mixed into {spec.residual.width:,} streams"
        factor = [f"times {setting(number(spec.residual_scale))}"] * (spec.residual_scale != 1)
        stages = []
        for axis in AXES:
            if (name := getattr(layer, axis)) == NONE:
                continue
            before, after = ([spec.norm.title] * (f"{axis}_{side}" in there) for side in ("pre", "post"))
            if axis == "attention" and spec.laurel_rank is not None:
                after = [*after, f"low-rank branch beside it, rank {spec.laurel_rank:,}"]
            box = (spec.variants(axis)[name], other.get(axis, ""))
            above = after if block_norms.placement == "post_residual" else []
            stages.append(_Stage([box], before, [] if above else [*factor, *after], above, sign, spec))
        shared = [f"{spec.norm.title} before both"] * ("shared_pre" in there)
        if spec.parallel_sublayers and len(stages) > 1:
            words = [*shared, *stages[0].before[:1], "both read the same"]
            after = [*stages[0].after[:1], "sum of both"]
            yield _Stage([box for stage in reversed(stages) for box in stage.boxes], words, after, [], sign, spec)
        else:
            yield from stages
        if spec.per_layer_embedding is not None:
            words = [f"input of this layer: {spec.per_layer_embedding.dim:,} values of the token, gated"]
            yield _Stage([], words, [spec.norm.title], [], sign, spec)


@dataclass(frozen=True)
class _Stage:
    """One update of the residual stream: sublayers, the words before and after them, and those above the sum."""

    boxes: Sequence[tuple[Component, str]]
    before: Sequence[str]
    after: Sequence[str]
    above: Sequence[str]
    sign: str
    spec: ModelSpec

    def lines(self, width: int) -> list[str]:
        """From the top."""
        inside = [*self.after]
        for component, where in self.boxes:
            if where:
                inside.append(f"{component.title}, {where}")
            else:
                inside += _boxed(component.title, list(self._said(component)), width - 2)
        inside += self.before
        folded = [part for line in inside for part in _folded(line, width - 2)]
        return [*(f"  {word}" for word in self.above), f"┌─▶ {self.sign}", *(f"│ {line}" for line in folded), "└──┤"]

    def _said(self, component: Component) -> Iterator[str]:
        """The facts that fit a small picture: of the settings, those that are words."""
        spec = self.spec
        about = facts(component, spec.d_model, spec.has_absolute_positions)
        words = [setting(text) for text in about.settings.values() if not any(map(str.isdigit, text))]
        yield ", ".join([*about.kinds, *words])
        if chips := [*(text for _, text in about.norms), *about.flags]:
            yield " ".join(f"[{chip}]" for chip in chips)
        yield from about.kept
        yield from _experts(component, spec.d_model)
        for part in component.parts(spec.d_model):
            if isinstance(part, Child):
                yield f"+ {part.name.replace('_', ' ')}: {part.component.label}"
                yield from _experts(part.component, spec.d_model)


def _experts(component: Component, d_model: int) -> Iterator[str]:
    """The experts that are drawn, with those chosen lit."""
    experts = pool(list(component.parts(d_model)))
    if experts is None:
        return
    boxes = ["■" if i in experts.lit else "□" for i in range(experts.n_boxes)]
    half = MOST_BOXES // 2
    yield from ("".join(boxes[start : start + half]) for start in range(0, len(boxes), half))
    yield f"{experts.words}, {experts.note}" if experts.note else experts.words


def _letter(kind: int) -> str:
    return LETTERS[kind] if kind < len(LETTERS) else "?"


def _joined(words: Sequence[str], width: int) -> list[str]:
    """The words with dots between them, in as many lines as needed, none broken unless it is too long alone."""
    lines = [""]
    for word in words:
        longer = f"{lines[-1]} · {word}" if lines[-1] else word
        if len(longer) <= width:
            lines[-1] = longer
        else:
            lines += textwrap.wrap(word, width) or [""]
    return [line for line in lines if line] or [""]


def _hanging(first: str, lines: Sequence[str]) -> Iterator[str]:
    """The lines, with `first` before the first one and as many spaces before the others."""
    for i, line in enumerate(lines):
        yield f"{' ' * len(first) if i else first}{line}"


def _boxed(title: str, inside: Sequence[str], width: int) -> list[str]:
    """A box around lines, folded to its width, with a title in its upper edge."""
    room = width - 4
    short = title if len(title) <= room - 1 else f"{title[: room - 4]}..."
    folded = [part for line in inside for part in _folded(line, room)]
    top = f"┌ {short} {'─' * (width - 4 - len(short))}┐"
    return [top, *(f"│ {line:<{room}} │" for line in folded), f"└{'─' * (width - 2)}┘"]


def _folded(line: str, room: int) -> list[str]:
    """A line in parts of at most `room` characters; lines that are short keep their spaces."""
    return [line] if len(line) <= room else textwrap.wrap(line, room, break_on_hyphens=False)
