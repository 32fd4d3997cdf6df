"""What a kind of residual stream says: its connections to sublayers, and its two ends."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Annotated, Literal

from llmarch_cli.components.component import Component, Modules
from llmarch_cli.components.fields import Limits
from llmarch_cli.components.mechanism import Mechanism
from llmarch_cli.components.record import Record

if TYPE_CHECKING:
    from torch import Tensor

Place = Literal["attention", "ffn", "block"]
StreamCount = Annotated[int, Limits(gt=1, le=64)]


class Connection(Component):
    """The weights by which one sublayer, or a block, reads the residual streams and adds to them."""

    @abstractmethod
    def around(self, m: Modules, x: Tensor, run: Callable[[Tensor], Tensor]) -> Tensor:
        """The streams with the output of `run` added, which maps (batch, n_tokens, d_model) to the same shape."""

    def with_input(self, m: Modules, x: Tensor, run: Callable[[Tensor], Tensor]) -> Tensor:
        """The streams behind a block with the layer's own input added, which `run` makes of one stream.

        Only of a connection around a block.
        """
        raise NotImplementedError


class ResidualStream(Record):
    """How a token is carried from layer to layer."""

    @property
    def width(self) -> int:
        """The number of streams of d_model values."""
        return 1

    def mechanisms(self) -> Iterator[Mechanism]:
        """The named properties of the stream; none by default."""
        return iter(())

    def connections(self) -> dict[Place, Connection]:
        """The connections that a block needs, around a sublayer or around all of it; none by default."""
        return {}

    def opening(self) -> Component | None:
        """What makes the streams of the embeddings (batch, n_tokens, d_model), before the first block."""
        return None

    def closing(self) -> Component | None:
        """What makes one hidden state (batch, n_tokens, d_model) of the streams, after the last block."""
        return None
