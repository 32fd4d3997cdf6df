"""What stands where in the layers, in words: counts of what differs, and a map of the patterns."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import groupby

from llmarch_cli.components.component import NOPE, Component, walk
from llmarch_cli.components.parts import Experts, Norm
from llmarch_cli.specs.spec import NONE, ModelSpec

# Patterns are looked for up to this many runs of equal layers; published models need 2.
MAX_PERIOD = 32


def attention(spec: ModelSpec) -> str:
    """`36 chunked 8,192 + 12 full NoPE`: what attention sees, layer by layer."""
    blind = spec.learned_positions is None
    return _laid_out(spec, "attention", lambda c: f"{c.label} {NOPE}" if blind and c.positions == NOPE else c.label)


def heads(spec: ModelSpec) -> str:
    """`GQA 40:8 x 128`: query heads, key and value heads, values a head."""
    return _laid_out(spec, "attention", lambda component: component.heads)


def positions(spec: ModelSpec) -> str:
    """`36 RoPE 500,000 + 12 NoPE`: how positions are told, with the rotary base and how it is stretched."""
    rotary = _laid_out(spec, "attention", lambda component: component.positions)
    if spec.learned_positions is None:
        return rotary
    learned = f"learned {spec.learned_positions:,}"
    return learned if rotary in ("", NOPE) else f"{learned}; {rotary}"


def feed_forward(spec: ModelSpec) -> str:
    """`3 dense 18,432 + 58 MoE 256 experts x 2,048, top 8 + 1 shared`."""
    return _laid_out(spec, "ffn", lambda component: component.label)


def norms(spec: ModelSpec) -> str:
    """`RMS pre, q_norm, k_norm`: the kind, where it stands around sublayers, and those inside attention."""
    inside = dict.fromkeys(
        part.name
        for component in spec.variants("attention").values()
        for part in component.parts(spec.d_model)
        if isinstance(part, Norm)
    )
    kind = {"rms": "RMS", "layer": "LayerNorm"}[spec.norm.kind]
    lie = "parallel sublayers" if spec.parallel_sublayers else ""
    return ", ".join(filter(None, (f"{kind} {spec.norm_placement}", lie, *inside, spec.norm.details)))


def pattern(spec: ModelSpec, axis: str) -> str:
    """`10 x (5 local + 1 global), 2 local`: the order of an axis, bottom to top; nothing where all layers agree."""
    segments = list(layer_map(spec, axis))
    return "" if _is_uniform(segments) else _in_words(segments)


def order(spec: ModelSpec, axis: str) -> str:
    """`10 x (5 window + 1 full), 2 window`: the same in the fewest words that tell variants apart; `all full`."""
    labels = {name: component.label for name, component in spec.variants(axis).items()}
    wordings = ({name: _first(label) for name, label in labels.items()}, labels)
    told = next((words for words in wordings if len(set(words.values())) == len(words)), {})
    names = [getattr(layer, axis) for layer in spec.layers]
    segments = list(_segments([told.get(name, name) for name in names]))
    return f"all {segments[0].pattern}" if _is_uniform(segments) else _in_words(segments)


def _is_uniform(segments: list[Segment]) -> bool:
    return len(segments) == 1 and len(segments[0].runs) == 1


def _in_words(segments: list[Segment]) -> str:
    return ", ".join(s.pattern if len(s.runs) > 1 else f"{s.runs[0][0]:,} {s.pattern}" for s in segments)


def settings(spec: ModelSpec, axis: str) -> str:
    """What else is set on an axis, in the words of the YAML file; by variant where they differ."""
    details = {name: component.details for name, component in spec.variants(axis).items()}
    if len(set(details.values())) == 1:
        return next(iter(details.values()))
    return "; ".join(f"{name}: {text or 'defaults'}" for name, text in details.items())


def in_short(spec: ModelSpec) -> str:
    """`GQA window, MoE`: the layout in the fewest words."""
    words = (word for c in spec.variants("attention").values() for word in (_first(c.heads), _first(c.label)))
    return f"{' '.join(dict.fromkeys(word for word in words if word != 'full'))}, {'MoE' if is_moe(spec) else 'dense'}"


def is_moe(spec: ModelSpec) -> bool:
    """Whether any layer has experts to choose from."""
    inside = (component for variant in spec.variants("ffn").values() for component in walk(variant))
    return any(isinstance(part, Experts) for component in inside for part in component.parts(spec.d_model))


def attention_words(spec: ModelSpec) -> set[str]:
    """What this attention may be asked for by, in lower case: `gqa`, `mla`, `window`, `nope` ..."""
    variants = spec.variants("attention").values()
    words = {_first(text).lower() for c in variants for text in (c.heads, c.label, c.positions)} - {""}
    return words if spec.learned_positions is None else words - {NOPE.lower()}


def _first(text: str) -> str:
    return text.partition(" ")[0]


def _laid_out(spec: ModelSpec, axis: str, describe: Callable[[Component], str]) -> str:
    """Each description with how many layers it holds for, bottom to top; without the count where it holds for all."""
    texts = {name: describe(component) for name, component in spec.variants(axis).items()}
    counts = Counter(texts.get(getattr(layer, axis), NONE) for layer in spec.layers)
    if len(counts) == 1:
        return next(iter(counts))
    return " + ".join(f"{count:,} {text}" for text, count in counts.items() if text)


@dataclass(frozen=True)
class Segment:
    """Layers `first` to `last`: `runs` of equal layers as (count, variant), the whole `repeats` times over."""

    first: int
    last: int
    repeats: int
    runs: tuple[tuple[int, str], ...]

    @property
    def pattern(self) -> str:
        """`12 x (3 chunked + 1 nope)`, or the variant where there is but one."""
        if len(self.runs) == 1:
            return self.runs[0][1]
        return f"{self.repeats:,} x ({' + '.join(f'{count:,} {name}' for count, name in self.runs)})"


def layer_map(spec: ModelSpec, axis: str) -> Iterator[Segment]:
    """The variants of an axis from bottom to top, in as few segments as its pattern allows."""
    return _segments([getattr(layer, axis) for layer in spec.layers])


def _segments(names: list[str]) -> Iterator[Segment]:
    runs = [(len(list(same)), name) for name, same in groupby(names)]
    at = first = 0
    while at < len(runs):
        period, repeats = _repetition(runs, at)
        block = tuple(runs[at : at + period])
        n_layers = repeats * sum(count for count, _ in block)
        yield Segment(first, first + n_layers - 1, repeats, block)
        at, first = at + period * repeats, first + n_layers


def _repetition(runs: list[tuple[int, str]], at: int) -> tuple[int, int]:
    """The shortest block of runs that starts at `at` and stands there at least twice, and how often; else one run."""
    for period in range(2, min(MAX_PERIOD, (len(runs) - at) // 2) + 1):
        block, repeats = runs[at : at + period], 1
        while runs[at + period * repeats : at + period * (repeats + 1)] == block:
            repeats += 1
        if repeats > 1:
            return period, repeats
    return 1, 1
