"""What is special of a model: the mechanisms of its components and of its frame, as tags and in one line."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

from llmarch_cli.components.ffn.dense import DenseFeedForward
from llmarch_cli.components.mechanism import Mechanism, Telling
from llmarch_cli.report.layout import mixers
from llmarch_cli.specs.spec import NONE, Layout, ModelSpec

WIDTH = 72  # of a line of highlights, in characters
_LONGEST_ROUND = 12  # layers of a pattern, or a denominator, up to which a share of layers is told instead of a number
_FEW = Fraction(1, 10)  # a share of layers too small to tell, such as a few without experts at the bottom
_VARIED = 3  # widths, from which on they are told
_ENOUGH = 3  # phrases, after which what many models have is left out

_PLACEMENTS = {
    "post": Mechanism("post_norm", "Norms after sublayers", "norms after sublayers", page="norms"),
    "sandwich": Mechanism("sandwich_norm", "Norms before and after sublayers", "norms before and after", page="norms"),
    "pre_shared": Mechanism("shared_norm", "One norm for both sublayers", "one norm a layer", page="norms"),
    "post_residual": Mechanism("post_residual_norm", "Norms of the stream", "norms of the stream", page="norms"),
}


def mechanisms(spec: ModelSpec) -> tuple[str, ...]:
    """The tags of what a model is made of, such as `mla`, `moe`, `shared_expert`; the most telling first."""
    return tuple(named(spec))


def tags(spec: ModelSpec) -> str:
    """`mechanisms` with spaces between them."""
    return " ".join(mechanisms(spec))


def named(spec: ModelSpec) -> dict[str, Mechanism]:
    """The mechanisms of a model by tag, the most telling first; of one with several numbers, the most frequent."""
    found: dict[str, Mechanism] = {}
    for place in _places(spec):
        found.setdefault(place.mechanism.tag, place.mechanism)
    return found


def highlights(spec: ModelSpec) -> str:
    """What is special of a model in one line of at most `WIDTH` characters: `MLA, 256 experts (8 chosen) + 1 shared`.

    What most models have is told only where there is little else.
    """
    places = _places(spec)
    routes = any(place.mechanism.telling == Telling.EXPERTS for place in places)
    told: list[str] = []
    for place in places:
        telling = place.mechanism.telling
        if telling >= Telling.COMMON and (len(told) >= _ENOUGH or (routes and telling == Telling.PLAIN)):
            break
        texts = place.texts if told else (*place.texts, place.mechanism.title)
        told += [text for text in texts if len(", ".join((*told, text))) <= WIDTH][:1]
    line = ", ".join(told) or "no attention and no feed-forward layers"
    return line[0].upper() + line[1:]


@dataclass(frozen=True)
class _Place:
    """A mechanism and the layers that have it."""

    mechanism: Mechanism
    n_layers: int
    where: str = ""  # such as ` in 3 of 4 layers`
    few: bool = False  # layers, too few to tell them

    @property
    def texts(self) -> tuple[str, ...]:
        """What to say of it, in full and shorter; nothing if it is not worth it."""
        phrase = self.mechanism.phrase
        return (f"{phrase}{self.where}", phrase) if phrase and not self.few else ()


def _places(spec: ModelSpec) -> list[_Place]:
    """Each distinct mechanism, the most telling first, and of those that tell as much the most frequent."""
    having: dict[Mechanism, tuple[str, set[str]]] = {}
    for axis in ("attention", "ffn"):
        for name, component in spec.variants(axis).items():
            for mechanism in component.mechanisms():
                if mechanism.tag != "nope" or not spec.has_absolute_positions:
                    having.setdefault(mechanism, (axis, set()))[1].add(name)
    places = [_Place(mechanism, spec.n_layers) for mechanism in _of_model(spec)]
    counts = {axis: spec.variant_counts(axis) for axis in ("attention", "ffn")}
    for mechanism, (axis, variants) in having.items():
        n_layers = sum(counts[axis][name] for name in variants)
        few, few_others = (number < _FEW * spec.n_layers for number in (n_layers, spec.n_layers - n_layers))
        if mechanism.by_layer:
            where = "" if few_others else _where(spec, axis, variants, n_layers)
            places.append(_Place(mechanism, n_layers, where, few))
        else:
            places.append(_Place(mechanism, n_layers))
    return sorted(places, key=lambda place: (place.mechanism.telling, -place.n_layers))


def _where(spec: ModelSpec, axis: str, variants: set[str], n_layers: int) -> str:
    """` in 5 of 6 layers`, by the layout's own round if it has one."""
    part, whole = n_layers, spec.n_layers
    layout = getattr(spec, axis)
    if isinstance(layout, Layout) and not (layout.first or layout.last) and len(layout.repeat) <= _LONGEST_ROUND:
        part, whole = sum(name in variants for name in layout.repeat), len(layout.repeat)
    share = Fraction(part, whole)
    if share.denominator <= _LONGEST_ROUND:
        part, whole = share.as_integer_ratio()
    return f" in {part:,} of {whole:,} layers"


def _of_model(spec: ModelSpec) -> Iterator[Mechanism]:
    """What a model has outside the components of its layers, and by the sum of them."""
    yield from spec.residual.mechanisms()
    if spec.per_layer_embedding is not None:
        phrase, page = "per-layer embeddings", "shared-caches"
        yield Mechanism("per_layer_embedding", "Per-layer embeddings", phrase, Telling.SHARING, page=page)
    if spec.n_mtp_blocks:
        phrase = "MTP" if spec.n_mtp_blocks == 1 else f"{spec.n_mtp_blocks:,} MTP blocks"
        yield Mechanism("mtp", "Multi-token prediction", phrase)
    meets = {way for variant in spec.variants("attention").values() for way in mixers(variant)}
    if meets & {"attention", "window"} and meets & {"recurrence", "convolution"}:
        yield Mechanism("hybrid", "Attention beside recurrences or convolutions")
    yield from _of_uneven_layers(spec)
    if spec.parallel_sublayers:
        yield Mechanism("parallel_sublayers", "Parallel sublayers", "attention and feed-forward in parallel")
    yield from (_PLACEMENTS[placement] for placement in spec.placements if placement in _PLACEMENTS)
    if spec.laurel_rank is not None:
        yield Mechanism("laurel", "Low-rank branch of the stream", "LAuReL", page="residual-streams")
    if spec.logit_softcap is not None:
        yield Mechanism("logit_softcap", "Capped logits", "capped logits")
    if spec.embedding_norm:
        yield Mechanism("embedding_norm", "Norm of the embedding", "norm of the embedding", page="norms")
    if spec.head_norm:
        yield Mechanism("head_norm", "Normalised head", "normalised head")
    if spec.layer_scale:
        yield Mechanism("layer_scale", "Factor of each layer", "a factor of each layer", Telling.COMMON)
    if spec.learned_positions is not None:
        yield Mechanism("learned_positions", "Learned positions", "learned positions", Telling.COMMON)
    if spec.sinusoidal_theta is not None:
        yield Mechanism("sinusoidal_positions", "Sinusoidal positions", "sinusoidal positions", Telling.COMMON)
    if spec.norm.kind == "layer":
        yield Mechanism("layer_norm", "LayerNorm", "LayerNorm", Telling.COMMON, page="norms")
    if not spec.norm.weight:
        yield Mechanism("weightless_norm", "Norms without weights", "norms without weights", page="norms")
    if spec.tie_embeddings:
        yield Mechanism("tied", "Tied embeddings", "tied embeddings", Telling.COMMON)


def _of_uneven_layers(spec: ModelSpec) -> Iterator[Mechanism]:
    """What the layers of a model tell that are not all built alike."""
    layers = spec.layer_counts
    if all(NONE in layer for layer in layers):
        yield Mechanism("single_sublayers", "One sublayer a layer", "one sublayer a layer")
    elif without := sum(number for layer, number in layers.items() if layer.attention == NONE):
        phrase = f"no attention in {without:,} of {spec.n_layers:,} layers"
        yield Mechanism("skipped_attention", "Layers without attention", phrase, Telling.MIXING)
    dense = (layer for layer in spec.variants("ffn").values() if isinstance(layer, DenseFeedForward))
    if len(widths := {layer.d_ff for layer in dense}) >= _VARIED:
        phrase = f"{len(widths):,} feed-forward widths"
        yield Mechanism("varied_widths", "Feed-forward layers of several widths", phrase)
