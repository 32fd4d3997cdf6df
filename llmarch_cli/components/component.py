"""The base of every building block of a model: a frozen record of its weights, its cache, its cost and its wiring.

To add a kind: one file in `attention/` or `ffn/`, and one line in the union of that package's `__init__.py`.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from llmarch_cli.components.cache import Mixing, Read, Rows, State, View
from llmarch_cli.components.inside import Inside
from llmarch_cli.components.mechanism import Mechanism, Telling
from llmarch_cli.components.parts import Weights
from llmarch_cli.components.record import Record
from llmarch_cli.components.shards import Shard

if TYPE_CHECKING:
    from torch import Tensor


NOPE = "NoPE"  # no position embedding (arXiv 2305.19466)


class Modules(Protocol):
    """The modules and parameters built from a component's parts, by the parts' names."""

    def __getattr__(self, name: str) -> Any: ...


class LayerCache(Protocol):
    """The cache of one component while a model runs, implemented in `modules/cache.py`."""

    @property
    def length(self) -> int:
        """Tokens before the current step, for the whole model: it moves after the last layer."""

    @property
    def layer(self) -> int:
        """The layer that the component stands in, counted from 0 at the bottom."""

    @property
    def n_layers(self) -> int:
        """The layers of the model; 1 for a layer that is run alone."""

    def append(self, **new: Tensor) -> tuple[Tensor, ...]:
        """Store rows (batch, n_rows, width) by the names in `cache()`; return each with the earlier rows in view."""

    def state(self, name: str, x: Tensor) -> Tensor:
        """The state of that name (batch, *shape), on the device of `x` (batch, ...); zeros before the first token."""

    def keep(self, **states: Tensor) -> None:
        """Replace states by the names in `cache()`."""

    def extended(self, name: str, x: Tensor) -> Tensor:
        """`x` (batch, n_tokens, channels) behind its last inputs, for a causal convolution; keeps the new last ones.

        The state of that name has the shape (n_kept, channels); the result is (batch, n_kept + n_tokens, channels).
        """

    def read(self, name: str) -> Tensor:
        """What another layer or the model leaves under a name in `reads()`, for this step."""

    def leave(self, **left: Tensor) -> None:
        """Leave tensors by the names in `leaves()` for the layers above, until the step ends."""

    def positions(self, start: int, x: Tensor) -> Tensor:
        """The positions of x (batch, n_tokens, ...), counted from `start`, as float32 (n_tokens,)."""


class Component(Record, ABC):
    """One sublayer of a decoder, as data."""

    summarized: ClassVar[frozenset[str]] = frozenset({"kind"})
    concept: ClassVar[str | None] = None  # the page of docs/concepts about its kind, without the suffix
    abbreviation: ClassVar[str | None] = None  # of its title, in a line on a model; None: the title

    @abstractmethod
    def parts(self, d_model: int) -> Iterator[Part]:
        """The weights, in the order of use, for a residual stream of `d_model` values."""

    def cache(self) -> Iterator[Rows | State]:
        """What is kept of a sequence between two steps, by this component alone; nothing by default."""
        return iter(())

    def mixing(self) -> Iterator[Mixing]:
        """FLOPs for one token beyond its weights, for each row in view; none by default."""
        return iter(())

    def prompt_mixing(self) -> Iterator[Mixing]:
        """FLOPs for one token of a prompt beyond its weights, for each row that it sees; by default `mixing`."""
        return self.mixing()

    def reads(self) -> Iterator[Read]:
        """What this component takes from other layers or from the model in each step; nothing by default."""
        return iter(())

    def leaves(self) -> Iterator[Read]:
        """What layers above may read of this one, besides the rows of `cache`; nothing by default."""
        return iter(())

    def shards(self) -> Mapping[str, Shard]:
        """How the devices of a tensor-parallel group divide parts and entries of `cache`, by name.

        What has no shard stands whole on each device. Routed experts are also divided among themselves.
        """
        return {}

    @property
    def stream_width(self) -> int | None:
        """The width that the residual stream must have; None for any."""
        return None

    @property
    def reads_streams(self) -> int | None:
        """The number of residual streams that `forward` takes, beside each other behind tokens; None for one."""
        return None

    @property
    def has_block_norms(self) -> bool:
        """Whether the norms that a block has for each sublayer are there for this one."""
        return True

    @property
    def shared_parts(self) -> frozenset[str]:
        """The names of parts that all layers of a variant share: stored once, used by each; none by default."""
        return frozenset()

    @property
    def expanded_parts(self) -> frozenset[str]:
        """The names of matrices that a prompt multiplies with all rows, not only with its tokens; none by default."""
        return frozenset()

    @property
    def deferred_children(self) -> frozenset[str]:
        """The names of children whose outputs are not part of this component's: it leaves them; none by default."""
        return frozenset()

    @property
    def multi_head_width(self) -> int:
        """Values cached per token by plain multi-head attention with as many query heads.

        By default what `cache` keeps, for a kind without heads to compare with.
        """
        return sum(entry.width for entry in self.cache() if isinstance(entry, Rows))

    @property
    def title(self) -> str:
        """The name in drawings; by default the words of the class name."""
        first, *others = re.findall(r"[A-Z]+[a-z0-9]*", type(self).__name__)
        return " ".join((first, *map(str.lower, others)))

    @property
    def label(self) -> str:
        """A few words for a table cell that tell this component from others of its axis; by default its kind."""
        return str(getattr(self, "kind", self.title))

    @property
    def heads(self) -> str:
        """The heads in a few words after the kind's short name, such as `GQA 32:8 x 128`; "" without heads."""
        return ""

    @property
    def positions(self) -> str:
        """The position encoding in a few words; `NOPE` if it has none, "" if the kind needs none."""
        return ""

    def mechanisms(self) -> Iterator[Mechanism]:
        """The named properties of this component and of those inside it; by default its kind."""
        if kind := getattr(self, "kind", None):
            phrase = self.abbreviation or self.title
            yield Mechanism(kind, self.title, phrase, Telling.MIXING, by_layer=True, page=self.concept)

    def inside(self) -> Inside:
        """What a drawing shows inside its box; nothing by default."""
        return ()

    @abstractmethod
    def forward(self, m: Modules, x: Tensor, cache: LayerCache) -> Tensor:
        """Run the built parts `m` on `x`: (batch, n_tokens, d_model) -> (batch, n_tokens, d_model)."""


@dataclass(frozen=True, slots=True)
class Child:
    """A component inside a component, such as the shared expert of a mixture."""

    name: str
    component: Component


Part = Weights | Child


class SharedWeights(Component):
    """The weights that all layers of a variant share: an item of its own in the inventory, without FLOPs or a cache."""

    of: Component

    def parts(self, d_model: int) -> Iterator[Part]:
        for inner in walk(self.of):
            yield from (part for part in inner.parts(d_model) if part.name in inner.shared_parts)

    def shards(self) -> Mapping[str, Shard]:
        return {
            name: shard
            for inner in walk(self.of)
            for name, shard in inner.shards().items()
            if name in inner.shared_parts
        }

    def forward(self, m: Modules, x: Tensor, cache: LayerCache) -> Tensor:
        """As the component that they are of."""
        return self.of.forward(m, x, cache)


def walk(component: Component) -> Iterator[Component]:
    """Yield `component` and all components inside it, outermost first."""
    for _, inner in walk_named(component):
        yield inner


def walk_named(component: Component, prefix: str = "") -> Iterator[tuple[str, Component]]:
    """Yield `component` and all components inside it, each with the prefix of its cache entries' names."""
    yield prefix, component
    for part in component.parts(1):
        if isinstance(part, Child):
            yield from walk_named(part.component, f"{prefix}{part.name}.")


def cache_entries(component: Component) -> Iterator[tuple[str, Rows | State]]:
    """Everything that `component` and those inside it keep, each entry with its full name."""
    for prefix, inner in walk_named(component):
        for entry in inner.cache():
            yield prefix + entry.name, entry


def views(component: Component) -> Iterator[View]:
    """The views of all rows and costs of `component` and of those inside it."""
    for inner in walk(component):
        yield from (entry.view for entry in inner.cache() if isinstance(entry, Rows))
        yield from (mixing.view for mixing in inner.mixing())
