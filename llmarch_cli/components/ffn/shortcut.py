"""Feed-forward layers with a shortcut to a later layer (ScMoE, arXiv 2404.05019): what one leaves, another one adds.

Between the two, an engine can send tokens to their experts while the layers compute.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from llmarch_cli.components.cache import Read
from llmarch_cli.components.component import Child, Component, LayerCache, Modules, Part
from llmarch_cli.components.ffn.dense import DenseFeedForward
from llmarch_cli.components.ffn.moe import MixtureOfExperts
from llmarch_cli.components.fields import BY_KIND, Count, Name
from llmarch_cli.components.mechanism import Mechanism
from llmarch_cli.components.record import rule

if TYPE_CHECKING:
    from torch import Tensor

Inner = Annotated[DenseFeedForward | MixtureOfExperts, BY_KIND]


class ShortcutFeedForward(Component):
    """A layer `own`, beside one that reads the same and is `deferred` to the layers above.

    With `adds_from` it adds what the nearest layer below of that variant deferred.
    """

    kind: Literal["shortcut"]
    channels: Count  # of the residual stream, for what a layer leaves and adds
    own: Inner
    deferred: Inner | None = None
    adds_from: Name | None = None  # a variant

    summarized: ClassVar[frozenset[str]] = Component.summarized | {"channels"}
    references: ClassVar[frozenset[str]] = frozenset({"adds_from"})

    @rule
    def _has_one_end(self) -> None:
        if self.deferred is None and self.adds_from is None:
            raise ValueError("a shortcut needs deferred, adds_from or both; without them use the kind of own")

    @property
    def stream_width(self) -> int:
        return self.channels

    @property
    def title(self) -> str:
        return "Feed-forward with a shortcut"

    @property
    def label(self) -> str:
        parts = [self.own.label]
        parts += [] if self.deferred is None else [f"deferred {self.deferred.label}"]
        return ", ".join(parts)

    def mechanisms(self) -> Iterator[Mechanism]:
        yield Mechanism(self.kind, self.title, "shortcuts")
        yield from self.own.mechanisms()
        if self.deferred is not None:
            yield from self.deferred.mechanisms()

    @property
    def deferred_children(self) -> frozenset[str]:
        return frozenset({"deferred"})

    def parts(self, d_model: int) -> Iterator[Part]:
        yield Child("own", self.own)
        if self.deferred is not None:
            yield Child("deferred", self.deferred)

    def reads(self) -> Iterator[Read]:
        if self.adds_from is not None:
            yield Read("shortcut", self.channels, self.adds_from)

    def leaves(self) -> Iterator[Read]:
        if self.deferred is not None:
            yield Read("shortcut", self.channels)

    def forward(self, m: Modules, x: Tensor, cache: LayerCache) -> Tensor:
        out: Tensor = m.own(x, cache)
        if self.adds_from is not None:
            out = out + cache.read("shortcut")
        if self.deferred is not None:
            cache.leave(shortcut=m.deferred(x, cache))
        return out
