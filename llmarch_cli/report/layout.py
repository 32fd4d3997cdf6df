"""The layers of a spec in words: how many there are of each variant, and their order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, groupby

from llmarch_cli.components.cache import Rows, State
from llmarch_cli.components.component import NOPE, Component, cache_entries, walk
from llmarch_cli.components.parts import Experts, Norm
from llmarch_cli.specs.spec import NONE, Layout, ModelSpec

# The longest pattern to look for, in runs of equal layers, beside the spec's own; published models need 2.
MAX_PERIOD = 32


def attention(spec: ModelSpec) -> str:
    """`36 chunked 8,192 + 12 full NoPE`: which tokens attention sees, with the number of layers."""
    no_positions = not spec.has_absolute_positions
    return _counted(
        spec, "attention", lambda c: f"{c.label} {NOPE}" if no_positions and c.positions == NOPE else c.label
    )


def heads(spec: ModelSpec) -> str:
    """`GQA 40:8 x 128`: query heads, key and value heads, and the width of a head."""
    return _counted(spec, "attention", lambda component: component.heads)


def positions(spec: ModelSpec) -> str:
    """`36 RoPE 500,000 + 12 NoPE`: the position encoding, with the base and scaling of RoPE."""
    rotary = _counted(spec, "attention", lambda component: component.positions)
    if not spec.has_absolute_positions:
        return rotary
    absolute = "sinusoidal" if spec.learned_positions is None else f"learned {spec.learned_positions:,}"
    return absolute if rotary in ("", NOPE) else f"{absolute}; {rotary}"


def feed_forward(spec: ModelSpec) -> str:
    """`3 dense 18,432 + 58 MoE 256 experts x 2,048, top 8 + 1 shared`."""
    return _counted(spec, "ffn", lambda component: component.label)


def norms(spec: ModelSpec) -> str:
    """`RMS 24 pre + 8 post, q_norm`: the kind of norm, its placement by layers, and the norms inside attention."""
    inside = dict.fromkeys(
        part.name
        for component in spec.variants("attention").values()
        for part in component.parts(spec.d_model)
        if isinstance(part, Norm)
    )
    kind = {"rms": "RMS", "layer": "LayerNorm"}[spec.norm.kind]
    wiring = "parallel sublayers" if spec.parallel_sublayers else ""
    counts = spec.placements
    placed = (
        " + ".join(f"{count:,} {name}" for name, count in counts.items()) if len(counts) > 1 else next(iter(counts))
    )
    return ", ".join(filter(None, (f"{kind} {placed}", wiring, *inside, spec.norm.details)))


def pattern(spec: ModelSpec, axis: str) -> str:
    """`10 x (5 local + 1 global), 2 local`: the variants of an axis, bottom to top; "" if all layers are equal."""
    segments = list(layer_map(spec, axis))
    return "" if _is_uniform(segments) else _in_words(segments)


def order(spec: ModelSpec, axis: str) -> str:
    """`10 x (5 window + 1 full), 2 window`, or `all full`: as `pattern`, with labels instead of variants' names.

    Uses the first words of labels if they differ, else the labels, else the variants' names.
    """
    labels = {name: component.label for name, component in spec.variants(axis).items()}
    wordings = ({name: _first_word(label) for name, label in labels.items()}, labels)
    distinct = next((words for words in wordings if len(set(words.values())) == len(words)), {})
    names = [distinct.get(name, name) for name in spec.names(axis, spec.n_layers)]
    segments = list(_segments(names, _period(spec, axis)))
    return f"all {segments[0].pattern}" if _is_uniform(segments) else _in_words(segments)


def _is_uniform(segments: list[Segment]) -> bool:
    return len(segments) == 1 and len(segments[0].runs) == 1


def _in_words(segments: list[Segment]) -> str:
    return ", ".join(s.pattern if len(s.runs) > 1 else f"{s.runs[0][0]:,} {s.pattern}" for s in segments)


def settings(spec: ModelSpec, axis: str) -> str:
    """The other fields that are set on an axis, as in the YAML file; for each variant if they differ."""
    details = {name: component.details for name, component in spec.variants(axis).items()}
    if len(set(details.values())) == 1:
        return next(iter(details.values()))
    return "; ".join(f"{name}: {text or 'defaults'}" for name, text in details.items())


def in_short(spec: ModelSpec) -> str:
    """`GQA window, MoE`: the mechanism of attention; feed-forward in one word, if any."""
    feed_forward = ["MoE" if is_moe(spec) else "dense"] if spec.variants("ffn") else []
    return ", ".join([mechanism(spec), *feed_forward])


def mechanism(spec: ModelSpec) -> str:
    """`GQA window`: attention in at most two words, kinds before what they see."""
    variants = spec.variants("attention").values()
    words = [*chain.from_iterable(map(_kinds, variants)), *(_first_word(c.label) for c in variants)]
    attention = list(dict.fromkeys(word for word in words if word not in ("", "full", "latent")))[:2]
    return " ".join(attention)


def is_moe(spec: ModelSpec) -> bool:
    """Whether any layer routes tokens to experts."""
    return any(routes(variant, spec.d_model) for variant in spec.variants("ffn").values())


def routes(component: Component, d_model: int) -> bool:
    """Whether a component routes tokens to experts."""
    return any(isinstance(part, Experts) for inner in walk(component) for part in inner.parts(d_model))


def attention_words(spec: ModelSpec) -> set[str]:
    """The words that find this attention in `list --attention`, in lower case: `gqa`, `mla`, `window`, `nope` ..."""
    variants = spec.variants("attention").values()
    words = {word.lower() for c in variants for word in (*_kinds(c), *map(_first_word, (c.label, c.positions)))} - {""}
    return words - {NOPE.lower()} if spec.has_absolute_positions else words


MIXERS = ("attention", "window", "recurrence", "convolution")


def mixers(component: Component) -> tuple[str, ...]:
    """How a component of attention meets earlier tokens: of `MIXERS`, those that it has, in this order.

    Attention over all tokens counts beside a window as attention alone, and a recurrence beside a convolution as a
    recurrence alone.
    """
    entries = [entry for _, entry in cache_entries(component)]
    views = [entry.view for entry in entries if isinstance(entry, Rows)]
    views += [read.view for inner in walk(component) for read in inner.reads() if read.view is not None]
    kept = {entry.dtype for entry in entries if isinstance(entry, State) and not entry.partial}
    attends = ("attention" if any(view.span is None for view in views) else "window",) if views else ()
    keeps = ("recurrence" if "fp32" in kept else "convolution",) if kept else ()
    return (*attends, *keeps)


def _kinds(component: Component) -> list[str]:
    """The first word of the heads of each mixer of a component: two for attention beside Mamba-2."""
    return [_first_word(text) for text in component.heads.split(" + ")]


def _first_word(text: str) -> str:
    return text.replace(" = ", "=").partition(" ")[0]  # `K = V 64:1 x 512` is of the kind K=V


def _counted(spec: ModelSpec, axis: str, describe: Callable[[Component], str]) -> str:
    """Each description with its number of layers, bottom to top; no number if all layers have the same."""
    texts = {name: describe(component) for name, component in spec.variants(axis).items()}
    counts = Counter[str]()
    for name, count in spec.variant_counts(axis).items():
        counts[texts.get(name, NONE)] += count
    if len(counts) == 1:
        return next(iter(counts))
    return " + ".join(f"{count:,} {text}" for text, count in counts.items() if text)


@dataclass(frozen=True)
class Segment:
    """Layers `first` to `last`: `runs` of equal layers as (count, variant), repeated `repeats` times."""

    first: int
    last: int
    repeats: int
    runs: tuple[tuple[int, str], ...]

    @property
    def pattern(self) -> str:
        """`12 x (3 chunked + 1 nope)`, or only the variant's name if there is one run."""
        if len(self.runs) == 1:
            return self.runs[0][1]
        return f"{self.repeats:,} x ({' + '.join(f'{count:,} {name}' for count, name in self.runs)})"


def layer_map(spec: ModelSpec, axis: str) -> Iterator[Segment]:
    """The variants of an axis from bottom to top, in as few segments as its pattern allows."""
    return _segments(spec.names(axis, spec.n_layers), _period(spec, axis))


def _period(spec: ModelSpec, axis: str) -> int:
    """The runs of equal layers in one round of the spec's own `repeat`."""
    layout = getattr(spec, axis)
    repeat = layout.repeat if isinstance(layout, Layout) else ()
    return sum(name != following for name, following in zip(repeat, (*repeat[1:], *repeat[:1]), strict=True))


def _segments(names: Sequence[str], period: int) -> Iterator[Segment]:
    """`names` as segments. `period` is a pattern to look for if it is longer than `MAX_PERIOD`."""
    periods = (*range(2, MAX_PERIOD + 1), *((period,) if period > MAX_PERIOD else ()))
    runs = [(len(list(equal)), name) for name, equal in groupby(names)]
    at = first = 0
    while at < len(runs):
        n_runs, repeats = _repetition(runs, at, periods)
        block = tuple(runs[at : at + n_runs])
        n_layers = repeats * sum(count for count, _ in block)
        yield Segment(first, first + n_layers - 1, repeats, block)
        at, first = at + n_runs * repeats, first + n_layers


def _repetition(runs: Sequence[tuple[int, str]], at: int, periods: Sequence[int]) -> tuple[int, int]:
    """The shortest block of runs at `at` that occurs at least twice in a row, and how often; else one run, once."""
    for period in periods:
        if 2 * period > len(runs) - at:
            break
        if runs[at] != runs[at + period]:
            continue
        block, repeats = runs[at : at + period], 1
        while runs[at + period * repeats : at + period * (repeats + 1)] == block:
            repeats += 1
        if repeats > 1:
            return period, repeats
    return 1, 1
