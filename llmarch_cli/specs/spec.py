"""A model as data: its widths, its norms, and the components of its layers."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle, islice
from math import lcm
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Generic, Literal, NamedTuple, TypeVar

from llmarch_cli.components.attention import Attention
from llmarch_cli.components.cache import Read, Rows
from llmarch_cli.components.component import Component, SharedWeights, cache_entries, walk_named
from llmarch_cli.components.ffn import FeedForward
from llmarch_cli.components.fields import BY_KIND, Count, Limits, Name, Positive, Tag, TokenCount, Told
from llmarch_cli.components.frame import (
    BlockNorms,
    Head,
    HeadTransform,
    LayerScale,
    NormPlacement,
    PositionEmbedding,
    PredictionJunction,
    SinusoidalPositions,
    StreamNorm,
    TokenEmbedding,
)
from llmarch_cli.components.layer_inputs import LayerEmbedding, LayerInput, LayerInputs, LayerProjection
from llmarch_cli.components.parts import Norm
from llmarch_cli.components.record import EMPTY, Record, rule
from llmarch_cli.components.residual import Residual
from llmarch_cli.components.residual.connection import Connection, Place
from llmarch_cli.components.residual.laurel import LowRankBranch
from llmarch_cli.components.residual.plain import PlainResidual
from llmarch_cli.errors import suggestion
from llmarch_cli.specs.storage import Stored

if TYPE_CHECKING:
    from typing import Self

NONE = "none"  # in a pattern: a layer without this sublayer
LAYER_INPUT = "input"  # the prefix of what a layer's own input reads, in the layer's cache

# Bounds the layer map, which has one entry per layer.
LayerCount = Annotated[int, Limits(gt=0, le=2**20)]
Names = Annotated[tuple[Name, ...], Limits(strict=False)]  # not strict: YAML gives lists
AnyComponent = TypeVar("AnyComponent", bound=Component)


class FieldError(ValueError):
    """A broken rule of a field further inside the record that checks it.

    Args:
        field: the path to the field, from the record.
        rule: what is wrong and how to fix it.
    """

    def __init__(self, field: tuple[str | int, ...], rule: str) -> None:
        super().__init__(f"{'.'.join(map(str, field))}: {rule}")
        self.field, self.rule = field, rule


class Layout(Record, Generic[AnyComponent]):
    """Named variants and their pattern over the layers: `first` at the bottom, `repeat` cycled, `last` at the top."""

    first: Names = ()
    repeat: Names = ()
    last: Names = ()
    variants: dict[Name, AnyComponent] = EMPTY  # empty if no layer has this sublayer

    @rule
    def _names_fit(self) -> None:
        used = {*self.first, *self.repeat, *self.last} - {NONE}
        if NONE in self.variants:
            raise FieldError(
                ("variants", NONE), f"{NONE!r} is reserved for layers without this sublayer; rename the variant"
            )
        for field in ("first", "repeat", "last"):
            for i, name in enumerate(getattr(self, field)):
                if name not in self.variants and name != NONE:
                    known = f"known: {_quoted(self.variants)}{suggestion(name, self.variants)}"
                    raise FieldError((field, i), f"unknown variant {name!r}; {known}")
        if unused := [name for name in self.variants if name not in used]:
            raise FieldError(
                ("variants", unused[0]),
                f"unused variant{_others(unused)}; name it in first, repeat or last, or remove it",
            )

    def names(self, n_layers: int) -> list[str]:
        """The variant of each layer, bottom to top. Raises ValueError if the pattern does not fit `n_layers`."""
        return [*self.first, *islice(cycle(self.repeat), self.between(n_layers)), *self.last]

    def between(self, n_layers: int) -> int:
        """The number of layers that `repeat` fills. Raises ValueError as `names` does."""
        between = n_layers - len(self.first) - len(self.last)
        if between < 0:
            raise ValueError(
                f"first and last name {len(self.first) + len(self.last)} layers, more than n_layers ({n_layers});"
                " shorten them"
            )
        if between and not self.repeat:
            raise ValueError(
                f"first and last name only {n_layers - between} of {n_layers} layers; give repeat for the others"
            )
        return between


def _quoted(names: Iterable[str]) -> str:
    first, *others = (repr(name) for name in names)
    return ", ".join((first, *others[:9], *("...",) * (len(others) > 9)))


def _others(names: Sequence[str]) -> str:
    """The names after the first, for an error that is reported at the first."""
    return f" (also {_quoted(names[1:])})" if len(names) > 1 else ""


def _is_mapping(value: Any) -> str:
    return "by variant" if isinstance(value, Mapping) else "one"


# For all layers, or for those of each variant of attention.
NormPlacements = Annotated[
    Annotated[NormPlacement, Tag("one")] | Annotated[dict[Name, NormPlacement], Tag("by variant")],
    Told(_is_mapping),
]


def _is_layout(value: Any) -> str:
    names = value if isinstance(value, Mapping) else dir(value)
    return "layout" if "kind" not in names and not _LAYOUT_FIELDS.isdisjoint(names) else "component"


_LAYOUT_FIELDS = frozenset(("first", "repeat", "last", "variants"))


AnyAttention = Annotated[Attention, BY_KIND]
AnyFeedForward = Annotated[FeedForward, BY_KIND]


class AttentionLayout(Layout[Attention]):
    """Attention variants in a pattern over the layers."""

    variants: dict[Name, AnyAttention] = EMPTY


class FeedForwardLayout(Layout[FeedForward]):
    """Feed-forward variants in a pattern over the layers."""

    variants: dict[Name, AnyFeedForward] = EMPTY


AttentionAxis = Annotated[
    Annotated[AnyAttention, Tag("component")] | Annotated[AttentionLayout, Tag("layout")], Told(_is_layout)
]
FeedForwardAxis = Annotated[
    Annotated[AnyFeedForward, Tag("component")] | Annotated[FeedForwardLayout, Tag("layout")], Told(_is_layout)
]


class NormStyle(Record):
    """The model's norm: by root mean square (arXiv 1910.07467) or by mean and variance (arXiv 1607.06450)."""

    kind: Literal["rms", "layer"] = "rms"
    eps: Positive = 1e-6
    weight: bool = True  # false: a norm without parameters (OLMo, arXiv 2402.00838, section 2.1)
    bias: bool = False
    unit_offset: bool = False  # multiplies by 1 + weight

    summarized: ClassVar[frozenset[str]] = frozenset({"kind"})

    @rule
    def _consistent(self) -> None:
        if self.kind == "rms" and self.bias:
            raise ValueError("bias is set, but an rms norm has none; remove it, or set kind: layer")
        for field in ("bias", "unit_offset"):
            if getattr(self, field) and not self.weight:
                raise ValueError(f"{field} is set, but weight is false: the norm has no parameters; remove one of them")

    @property
    def title(self) -> str:
        """The name in papers."""
        return {"rms": "RMSNorm", "layer": "LayerNorm"}[self.kind]


PublishedCount = Annotated[int, Limits(gt=0, le=2**60)]
ActiveConvention = Literal["all", "without_input_embedding", "without_embeddings"]
ParamsConvention = Literal["all", "without_embeddings", "with_mtp", "with_mtp_without_embeddings", "with_vision"]


class Published(Record):
    """The numbers that the authors publish, each with their counting convention.

    Write a number with the published digits: its trailing zeros show its rounding.
    """

    params: PublishedCount | None = None
    params_convention: ParamsConvention = "all"
    active_params: PublishedCount | None = None
    active_convention: ActiveConvention = "all"


@dataclass(frozen=True, slots=True)
class Item:
    """A component with its count in the model; conventions and reports group items by `role`."""

    label: str
    role: Literal["embedding", "layer embedding", "position", "residual", "attention", "ffn", "norm", "head", "mtp"]
    count: int
    component: Component
    mtp: bool = False  # part of a multi-token-prediction block: shown apart, not in the totals


class LayerVariants(NamedTuple):  # a tuple, since a spec may have very many and they are counted often
    """The variant names of one layer's sublayers; `none` for a sublayer that it lacks."""

    attention: str
    ffn: str


LINE_PATTERN = r"^[^\x00-\x1f\x7f-\x9f]+$"  # no control characters, because tables print it
URL_PATTERN = r"^https?://[!-~]+$"
HUB_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,95}/[A-Za-z0-9][A-Za-z0-9_.-]{0,95}$"
OneLine = Annotated[str, Limits(pattern=LINE_PATTERN, max_length=200)]
Repositories = Annotated[tuple[Annotated[str, Limits(pattern=HUB_PATTERN)], ...], Limits(strict=False)]


class ModelSpec(Record):
    """One LLM architecture: every setting that changes a count or a logit."""

    name: OneLine
    organization: OneLine | None = None
    source: Annotated[str, Limits(pattern=URL_PATTERN, max_length=1000)] | None = None  # where the values came from
    same_as: Repositories = ()  # models on the Hub whose configs have these values too; not inherited
    released: dt.date | None = None
    license: OneLine | None = None
    context_length: TokenCount | None = None  # the model's context window
    published: Published = Published()
    stored: Stored | None = None  # the formats that the publisher ships the weights in; null: all in bf16

    d_model: Count
    n_layers: LayerCount
    vocab_size: TokenCount
    tie_embeddings: bool = False
    head_bias: bool = False
    head_transform: HeadTransform | None = None  # before the head's matrix
    learned_positions: TokenCount | None = None  # absolute positions, each with a learned embedding
    sinusoidal_theta: Positive | None = None  # fixed sines and cosines of absolute positions, all sines first
    position_offset: Annotated[int, Limits(ge=0, le=1000)] = 0  # added to absolute positions; a table has rows below it
    norm: NormStyle = NormStyle()
    norm_placement: NormPlacements = "pre"  # or one for each variant of attention, for the whole layer
    final_norm: bool = True  # between the last layer and the head
    parallel_sublayers: bool = False  # attention and ffn both read the block's input; both are added to it
    residual: Residual = PlainResidual()
    residual_scale: Positive = 1.0  # multiplies a sublayer's output before it is added
    stream_scale: Positive = 1.0  # multiplies what a sublayer's output is added to (DeepNorm, arXiv 2203.00555)
    embedding_scale: Positive | Literal["sqrt_d_model"] = 1.0
    laurel_rank: Count | None = None  # of a learned branch beside attention (arXiv 2411.07501)
    per_layer_embedding: LayerInputs | None = None
    layer_scale: bool = False  # a stored factor of the stream behind each block
    embedding_norm: bool = False  # normalises the sum of the embeddings (arXiv 2211.05100, section 3.2.3)
    head_norm: bool = False  # divides each row of the head's matrix by its length (NormHead, arXiv 2309.10305)
    logit_scale: Positive = 1.0
    logit_softcap: Positive | None = None
    n_mtp_blocks: Annotated[int, Limits(ge=0, le=1000)] = 0  # multi-token-prediction blocks, built like the last layer

    attention: AttentionAxis
    ffn: FeedForwardAxis

    summarized: ClassVar[frozenset[str]] = frozenset(
        {
            *("name", "organization", "source", "same_as", "released", "license", "context_length", "published"),
            *("stored", "d_model", "n_layers", "vocab_size", "tie_embeddings", "learned_positions"),
            *("norm", "norm_placement", "parallel_sublayers", "attention", "ffn"),
        }
    )

    @rule
    def _layouts_fit(self) -> None:
        for axis, layout in self._layouts.items():
            try:
                layout.between(self.n_layers)
            except ValueError as error:
                raise FieldError((axis,), str(error)) from None
        counts = self.layer_counts
        for axis, layout in self._layouts.items():
            names = {getattr(layer, axis) for layer in counts}
            if unused := [name for name in layout.variants if name not in names]:
                raise FieldError(
                    (axis, "variants", unused[0]),
                    f"unused variant{_others(unused)}: the pattern is cut off at n_layers ({self.n_layers}) before it;"
                    " remove it, or raise n_layers",
                )
        if (empty := LayerVariants(NONE, NONE)) in counts:
            raise ValueError(
                f"layer {self.layers.index(empty)} has neither attention nor ffn; give it a variant of one of them"
            )

    @rule
    def _positions_fit(self) -> None:
        if self.sinusoidal_theta is not None:
            if self.learned_positions is not None:
                raise ValueError("learned_positions and sinusoidal_theta exclude each other; remove one")
            if self.d_model % 2:
                raise FieldError(("d_model",), f"must be even with sinusoidal_theta, not {self.d_model}")
        if self.position_offset and not self.has_absolute_positions:
            raise FieldError(("position_offset",), "needs learned_positions or sinusoidal_theta; remove it")

    @rule
    def _placements_fit(self) -> None:
        if isinstance(self.norm_placement, str):
            return
        there = [*self.variant_counts("attention")]
        for name in self.norm_placement:
            if name not in there:
                known = f"known: {_quoted(there)}{suggestion(name, there)}"
                raise FieldError(("norm_placement", name), f"is no variant of attention in any layer; {known}")
        if absent := [name for name in there if name not in self.norm_placement]:
            raise FieldError(
                ("norm_placement",), f"says nothing of {_quoted(absent)}; give each variant of attention a placement"
            )

    @rule
    def _norms_fit(self) -> None:
        placements = self.placements
        if "pre_shared" in placements and not self.parallel_sublayers:
            raise FieldError(
                ("norm_placement",),
                "pre_shared needs parallel_sublayers: true, because one norm then feeds both sublayers",
            )
        for axis in ("attention", "ffn") if "pre_shared" in placements else ():
            for name, component in self.variants(axis).items():
                if not component.has_block_norms:
                    raise FieldError(
                        self._place(axis, name, "block_norms"),
                        "must be true with norm_placement: pre_shared, whose norm stands before both sublayers",
                    )
        if self.n_mtp_blocks and (self.per_layer_embedding or self.layer_scale or self.laurel_rank):
            raise FieldError(("n_mtp_blocks",), "must be 0 with per_layer_embedding, layer_scale or laurel_rank")
        if self.n_mtp_blocks and not self.final_norm:
            raise FieldError(("final_norm",), "must be true with n_mtp_blocks, whose blocks read the normalised output")
        if "post_residual" in placements and self.parallel_sublayers:
            raise FieldError(
                ("norm_placement",),
                "post_residual needs parallel_sublayers: false, because each sublayer's output is added and normalised",
            )
        if not self.norm.weight:
            for name, component in self.variants("attention").items():
                if any(isinstance(part, Norm) and part.n_heads for part in component.parts(self.d_model)):
                    raise FieldError(
                        self._place("attention", name, "qk_norm"),
                        "per_head_weights needs norms with weights, but norm.weight is false; use weightless",
                    )

    @rule
    def _residual_fits(self) -> None:
        places = self.residual.connections().keys()
        around_sublayers = not places <= {"block"}
        if self.stream_scale != 1 and (self.parallel_sublayers or around_sublayers):
            raise FieldError(
                ("stream_scale",), "must be 1 with parallel_sublayers or with connections, which read one stream twice"
            )
        apart = not (self.parallel_sublayers or self.placements.keys() & {"post_residual", "pre_shared"})
        for field, what, there in (
            ("residual", self.residual.kind, around_sublayers),
            ("laurel_rank", "laurel_rank", self.laurel_rank is not None),
        ):
            if there and not apart:
                raise FieldError(
                    (field,), f"{what} needs norm_placement pre, post or sandwich, and parallel_sublayers: false"
                )
        usual: dict[str, float | None] = {"n_mtp_blocks": 0} if places else {}
        if around_sublayers:
            usual |= {"residual_scale": 1.0, "per_layer_embedding": None, "laurel_rank": None}
        for field, value in usual.items():
            if getattr(self, field) != value:
                said = "null" if value is None else f"{value:g}"
                raise FieldError((field,), f"must be {said} with {self.residual.kind}, which has several streams")

    @rule
    def _channels_fit(self) -> None:
        for axis in ("attention", "ffn"):
            layout = self._layouts.get(axis)
            names = layout.variants if layout is not None else ("",)
            for name in names:
                for _, inner in _those(self._component(axis, name), _has_channels):
                    if inner.stream_width not in (None, self.d_model):
                        raise FieldError(
                            self._place(axis, name, "channels"),
                            f"must be d_model ({self.d_model}), not {inner.stream_width}",
                        )

    @rule
    def _reads_fit(self) -> None:
        sourced = any(
            read.source is not None
            for axis in ("attention", "ffn")
            for component in self.variants(axis).values()
            for _, read in _reads(component)
        )
        if not sourced:
            return
        listed, *_ = self._abridged()
        seen: set[tuple[str, str]] = set()  # axes and variants of the layers below
        for layer in listed:
            for axis in ("attention", "ffn"):
                name = getattr(layer, axis)
                if name == NONE or (axis, name) in seen:
                    continue
                for prefix, read in _reads(self._component(axis, name)):
                    if read.source is not None:
                        self._require_source(axis, name, prefix, read, seen)
            seen.update((axis, getattr(layer, axis)) for axis in ("attention", "ffn"))
        if self.n_mtp_blocks:
            for axis in ("attention", "ffn"):
                name = getattr(listed[-1], axis)
                if name != NONE and any(read.source for _, read in _reads(self._component(axis, name))):
                    raise FieldError(
                        ("n_mtp_blocks",),
                        f"must be 0 with a last layer that reads another one (variant {name!r}): a"
                        " multi-token-prediction block is built like the last layer, and has no layer below",
                    )

    @rule
    def _sharing_fits(self) -> None:
        if self.n_mtp_blocks:
            last = self._abridged()[0][-1]
            for axis in ("attention", "ffn"):
                component = self.component(axis, getattr(last, axis))
                if component is not None and shares_weights(component):
                    raise FieldError(
                        ("n_mtp_blocks",),
                        "must be 0 with a last layer that shares weights, because a multi-token-prediction block has"
                        " its own",
                    )

    def _require_source(self, axis: str, name: str, prefix: str, read: Read, below: set[tuple[str, str]]) -> None:
        """Raise FieldError unless a layer below leaves what the variant `name` reads."""
        layout = self._layouts.get(axis)
        field = (axis,) if layout is None else (axis, "variants", name)
        reads = f"reads {read.name} of the variant {read.source!r}"
        if layout is None or read.source not in layout.variants or read.source == name:
            others = [] if layout is None else [other for other in layout.variants if other != name]
            known = f"; known: {_quoted(others)}" if others else ""
            raise FieldError(field, f"{reads}, which is no other variant{known}")
        if (axis, read.source) not in below:
            raise FieldError(field, f"{reads}, but no layer below the first one of this variant has it")
        source = layout.variants[read.source]
        full = prefix + read.name
        rows = {name: entry for name, entry in cache_entries(source) if isinstance(entry, Rows)}
        left: dict[str, int | None] = {name: entry.width for name, entry in rows.items()}
        for inner, component in walk_named(source):
            left.update({inner + each.name: each.width for each in component.leaves()})
        if read.view is not None and full in rows and rows[full].view != read.view:
            raise FieldError(field, f"{reads}, which has another window, chunk or stride; make them equal")
        if full not in left:
            raise FieldError(field, f"{reads}, which has none")
        if (width := left[full]) != read.width:
            raise FieldError(field, f"{reads} as {read.width} values, but there it has {width}; make them equal")

    def _place(self, axis: str, variant: str, field: str) -> tuple[str, ...]:
        """Where a field of a component stands in the file."""
        return (axis, "variants", variant, field) if axis in self._layouts else (axis, field)

    @property
    def id(self) -> str:
        """The file's name without its suffix; the model's name if the spec is not from a file."""
        return self.__dict__.get("_id") or self.name

    @property
    def has_absolute_positions(self) -> bool:
        """Whether learned or fixed embeddings of absolute positions are added to those of tokens."""
        return self.learned_positions is not None or self.sinusoidal_theta is not None

    def position_embedding(self) -> PositionEmbedding | SinusoidalPositions | None:
        """The component that adds absolute positions to the embeddings of tokens; None without them."""
        if self.learned_positions is not None:
            return PositionEmbedding.model_construct(n_positions=self.learned_positions, offset=self.position_offset)
        if self.sinusoidal_theta is not None:
            return SinusoidalPositions.model_construct(theta=self.sinusoidal_theta, offset=self.position_offset)
        return None

    def layer_inputs(self) -> tuple[LayerEmbedding, LayerProjection] | None:
        """The components that make every layer's own input; None without per-layer embeddings."""
        if (own := self.per_layer_embedding) is None:
            return None
        rows = LayerEmbedding.model_construct(vocab_size=own.vocab_size, n_layers=self.n_layers, dim=own.dim)
        return rows, LayerProjection.model_construct(n_layers=self.n_layers, dim=own.dim)

    def layer_input(self) -> LayerInput | None:
        """The component that adds a layer's own input to the stream; None without per-layer embeddings."""
        if (own := self.per_layer_embedding) is None:
            return None
        return LayerInput.model_construct(
            n_layers=self.n_layers, dim=own.dim, activation=own.activation, input_scale=own.input_scale
        )

    def laurel(self) -> LowRankBranch | None:
        """The learned branch beside attention; None without one."""
        return None if self.laurel_rank is None else LowRankBranch.model_construct(rank=self.laurel_rank)

    def connections(self, attention: bool, ffn: bool) -> dict[Place, Connection]:
        """The residual stream's connections of a block that has these sublayers."""
        there = {"attention": attention, "ffn": ffn, "block": True}
        return {place: connection for place, connection in self.residual.connections().items() if there[place]}

    def layer_reads(self) -> Iterator[tuple[int, str, int | None]]:
        """Everything that each layer reads: the layer, the full name in its cache, and the layer that leaves it.

        A source is the nearest layer below of the variant that a component names; None is the model itself.
        """
        reads = {  # of each variant, computed once
            (axis, name): [(outer + prefix + read.name, read.source) for prefix, read in _reads(component)]
            for axis, outer in (("attention", ""), ("ffn", "ffn."))
            for name, component in self.variants(axis).items()
        }
        if self.per_layer_embedding is None and not any(reads.values()):
            return
        nearest: dict[tuple[str, str], int] = {}
        for number, layer in enumerate(self.layers):
            variants = [(axis, getattr(layer, axis)) for axis in ("attention", "ffn")]
            if self.per_layer_embedding is not None:
                yield number, f"{LAYER_INPUT}.layer_inputs", None
            for axis, variant in variants:
                for name, source in reads.get((axis, variant), ()):
                    yield number, name, None if source is None else nearest[axis, source]
            nearest.update((variant, number) for variant in variants)

    def _component(self, axis: str, name: str) -> Component:
        """A variant, read directly: `variants` copies all of them."""
        value = getattr(self, axis)
        component: Component = value.variants[name] if isinstance(value, Layout) else value
        return component

    def component(self, axis: str, name: str) -> Component | None:
        """The component of an axis by the name of its variant; None for `none`."""
        return None if name == NONE else self._component(axis, name)

    @property
    def lineage(self) -> tuple[Path, ...]:
        """The spec's file and those that it extends, nearest first; empty if the spec is not from a file."""
        found: tuple[Path, ...] = self.__dict__.get("_lineage", ())
        return found

    def with_lineage(self, files: tuple[Path, ...]) -> Self:
        """Return a copy that was read from the first of these files, which extends the next one, and so on."""
        return self.model_copy(update={"_lineage": files})

    def with_id(self, name: str | None) -> Self:
        """Return a copy with another id; None sets it to the model's name."""
        return self.model_copy(update={"_id": name})

    def variants(self, axis: Literal["attention", "ffn"] | str) -> dict[str, Component]:
        """The components of an axis by variant name; a single component is named after its kind."""
        value = getattr(self, axis)
        return dict(value.variants) if isinstance(value, Layout) else {value.kind: value}

    def names(self, axis: str, n_layers: int) -> list[str]:
        """The variant of each layer for a model of `n_layers` layers. Raises ValueError as `Layout.names` does."""
        value = getattr(self, axis)
        return value.names(n_layers) if isinstance(value, Layout) else [value.kind] * n_layers

    @property
    def _layouts(self) -> dict[str, Layout[Any]]:
        return {axis: value for axis in ("attention", "ffn") if isinstance(value := getattr(self, axis), Layout)}

    @property
    def layers(self) -> list[LayerVariants]:
        """Every layer, bottom to top."""
        return self._stacked(self.n_layers)

    @property
    def layer_counts(self) -> Counter[LayerVariants]:
        """The number of times each distinct layer occurs, in order of first occurrence."""
        listed, period, left_out = self._abridged()
        counts = Counter(listed)
        for layer in period:
            counts[layer] += left_out
        return counts

    def variant_counts(self, axis: str) -> Counter[str]:
        """The number of layers of each variant of an axis, `none` included, in the order of their first layers."""
        return _totals((getattr(layer, axis), count) for layer, count in self.layer_counts.items())

    def _abridged(self) -> tuple[list[LayerVariants], list[LayerVariants], int]:
        """The layers with most repeated periods left out, one such period, and the number of periods left out.

        Layers repeat above those in `first` and below those in `last`. Listing all of them would be slow in a search
        over many depths.
        """
        layouts = self._layouts.values()
        bottom = max((len(layout.first) for layout in layouts), default=0)
        top = max((len(layout.last) for layout in layouts), default=0)
        length = lcm(*(len(layout.repeat) for layout in layouts))  # 0 if one does not repeat, 1 without layouts
        left_out = max(0, (self.n_layers - bottom - top) // length - 1) if length else 0
        listed = self._stacked(self.n_layers - left_out * length)
        return listed, listed[bottom : bottom + length], left_out

    def _stacked(self, n_layers: int) -> list[LayerVariants]:
        names = (self.names(axis, n_layers) for axis in ("attention", "ffn"))
        distinct: dict[tuple[str, ...], LayerVariants] = {}
        return [
            distinct.get(both) or distinct.setdefault(both, LayerVariants(*both)) for both in zip(*names, strict=True)
        ]

    def inventory(self) -> Iterator[Item]:
        """Yield each distinct component with its count: the list that both engines price.

        Embeddings, norms and head are made of the spec's own, validated fields, so they are not validated again.
        """
        yield from self._first_items()
        yield from self._layer_items(self.layer_counts)
        yield from self._last_items()
        if self.n_mtp_blocks:
            last = self._abridged()[0][-1]
            yield Item("mtp: junction", "mtp", self.n_mtp_blocks, PredictionJunction(), mtp=True)
            for axis, name in (("attention", last.attention), ("ffn", last.ffn)):
                if name != NONE:
                    component = self.variants(axis)[name]
                    yield Item(f"mtp: {axis}", "mtp", self.n_mtp_blocks, component, mtp=True)
            norms = self.block_norms(last)
            if norms.attention or norms.ffn:
                yield Item("mtp: block norms", "mtp", self.n_mtp_blocks, norms, mtp=True)

    def stages(self, parts: Iterable[range]) -> Iterator[list[Item]]:
        """The items of `inventory` for each part of the layers, where they are run apart from the others.

        The first stage has the embeddings, and the last one the final norm and the head, with a table of its own if
        that is the embedding's. Weights that layers share stand in each stage that has one of the layers. Without
        multi-token-prediction blocks. Stages with the same layers between them are one list.
        """
        listed = self.layers
        alike: dict[frozenset[tuple[LayerVariants, int]], list[Item]] = {}
        for layers in parts:
            first, last = layers.start == 0, layers.stop == self.n_layers
            counts = Counter(listed[layers.start : layers.stop])
            key = frozenset(counts.items())
            if key not in alike:
                alike[key] = list(self._layer_items(counts))
            items = [*self._first_items(), *alike[key]] if first else alike[key]
            if last and self.tie_embeddings and not first:
                items = [*items, self._token_embedding()]
            yield [*items, *self._last_items()] if last else items

    def _token_embedding(self) -> Item:
        return Item("token embedding", "embedding", 1, TokenEmbedding.model_construct(vocab_size=self.vocab_size))

    def _first_items(self) -> Iterator[Item]:
        """What stands below the layers."""
        yield self._token_embedding()
        if (positions := self.position_embedding()) is not None:
            yield Item("position embedding", "position", 1, positions)
        if self.embedding_norm:
            yield Item("embedding norm", "norm", 1, StreamNorm())
        if (inputs := self.layer_inputs()) is not None:
            yield Item("per-layer embedding", "layer embedding", 1, inputs[0])
            yield Item("per-layer projection", "residual", 1, inputs[1])
        if (opening := self.residual.opening()) is not None:
            yield Item("residual: opening", "residual", 1, opening)

    def _layer_items(self, layers: Counter[LayerVariants]) -> Iterator[Item]:
        """What stands in layers, of which there are so many of each sort."""
        counts_of: dict[str, Counter[str]] = {}
        for axis in ("attention", "ffn"):
            counts_of[axis] = counts = _totals((getattr(layer, axis), count) for layer, count in layers.items())
            named = axis in self._layouts
            for name, component in self.variants(axis).items():
                if name not in counts:
                    continue
                label = f"{axis}: {name}" if named else axis
                yield Item(label, axis, counts[name], component)
                if shares_weights(component):
                    yield Item(f"{label}, shared weights", axis, 1, SharedWeights.model_construct(of=component))
        several = len(self.placements) > 1
        for norms, count in _totals((self.block_norms(layer), count) for layer, count in layers.items()).items():
            words = [norms.placement] * several
            words += ["attention only"] * (not norms.ffn) + ["ffn only"] * (not norms.attention)
            if norms.attention or norms.ffn:
                label = f"block norms ({', '.join(words)})" if words else "block norms"
                yield Item(label, "norm", count, norms)
        for place, connection in self.residual.connections().items():
            without = 0 if place == "block" else counts_of[place][NONE]
            yield Item(f"residual: {place}", "residual", layers.total() - without, connection)
        if (branch := self.laurel()) is not None:
            yield Item("laurel", "residual", layers.total() - counts_of["attention"][NONE], branch)
        if (layer_input := self.layer_input()) is not None:
            yield Item("layer input", "residual", layers.total(), layer_input)
        if self.layer_scale:
            yield Item("layer scale", "residual", layers.total(), LayerScale())

    def _last_items(self) -> Iterator[Item]:
        """What stands above the layers."""
        if (closing := self.residual.closing()) is not None:
            yield Item("residual: closing", "residual", 1, closing)
        if self.final_norm:
            yield Item("final norm", "norm", 1, StreamNorm())
        yield Item("lm head", "head", 1, self.head())

    def head(self) -> Head:
        """The projection to logits."""
        return Head.model_construct(
            vocab_size=self.vocab_size,
            tied=self.tie_embeddings,
            bias=self.head_bias,
            transform=self.head_transform,
            normalized=self.head_norm,
        )

    def placement(self, attention: str) -> NormPlacement:
        """Where the norms of a layer with this variant of attention stand."""
        return self.norm_placement if isinstance(self.norm_placement, str) else self.norm_placement[attention]

    @property
    def placements(self) -> Counter[NormPlacement]:
        """The number of layers of each placement of norms, in the order of their first layers."""
        if isinstance(self.norm_placement, str):
            return Counter({self.norm_placement: self.n_layers})
        return _totals((self.placement(name), count) for name, count in self.variant_counts("attention").items())

    def block_norms(self, layer: LayerVariants) -> BlockNorms:
        """The norms of a layer's block."""
        return BlockNorms.model_construct(
            placement=self.placement(layer.attention),
            attention=self._has_norms("attention", layer.attention),
            ffn=self._has_norms("ffn", layer.ffn),
        )

    def _has_norms(self, axis: str, name: str) -> bool:
        return name != NONE and self._component(axis, name).has_block_norms


def _reads(component: Component) -> Iterator[tuple[str, Read]]:
    """What a component and those inside it read, each with the prefix of its name in the cache."""
    for prefix, inner in _those(component, _is_reader):
        for read in inner.reads():
            yield prefix, read


def _is_reader(kind: type[Component]) -> bool:
    return kind.reads is not Component.reads


def shares_weights(component: Component) -> bool:
    """Whether all layers of its variant have some weights in common."""
    return any(inner.shared_parts for _, inner in _those(component, _is_sharing))


def _is_sharing(kind: type[Component]) -> bool:
    return kind.shared_parts is not Component.shared_parts


def _has_channels(kind: type[Component]) -> bool:
    return kind.stream_width is not Component.stream_width


def _those(component: Component, are: Callable[[type[Component]], bool]) -> Iterator[tuple[str, Component]]:
    """A component and those inside it that are of some sort, by the prefixes of their names in the cache.

    Those inside are looked for only where there are any: their parts depend on all fields.
    """
    kind = component.__class__
    if any(map(are, _held(component))):
        yield from ((prefix, inner) for prefix, inner in walk_named(component) if are(inner.__class__))
    elif are(kind):
        yield "", component


def _held(record: Record) -> Iterator[type[Component]]:
    """The types of the components that a record holds, at any depth."""
    for value in vars(record).values():
        for inner in value.values() if isinstance(value, dict) else (value,):
            if isinstance(inner, Record):
                if isinstance(inner, Component):
                    yield inner.__class__
                yield from _held(inner)


def _totals(counts: Iterable[tuple[Any, int]]) -> Counter[Any]:
    totals = Counter[Any]()
    for key, count in counts:
        totals[key] += count
    return totals
