"""What a kind of residual stream says: its connections to sublayers, and its two ends."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

from llmarch_cli.components.component import Component, Modules, Record

if TYPE_CHECKING:
    from torch import Tensor

Place = Literal["attention", "ffn"]


class Connection(Component):
    """The weights by which one sublayer reads the residual streams and adds to them."""

    @abstractmethod
    def around(self, m: Modules, x: Tensor, run: Callable[[Tensor], Tensor]) -> Tensor:
        """The streams with the output of `run` added, which maps (batch, n_tokens, d_model) to the same shape."""


class ResidualStream(Record):
    """How a token is carried from layer to layer."""

    @property
    def width(self) -> int:
        """The number of streams of d_model values."""
        return 1

    def connections(self) -> dict[Place, Connection]:
        """The connections that a block needs, by sublayer; none by default."""
        return {}

    def opening(self) -> Component | None:
        """What makes the streams of the embeddings (batch, n_tokens, d_model), before the first block."""
        return None

    def closing(self) -> Component | None:
        """What makes one hidden state (batch, n_tokens, d_model) of the streams, after the last block."""
        return None
