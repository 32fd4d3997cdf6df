"""What a kind of residual stream says: its connections to sublayers or blocks, and its two ends."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

from llmarch_cli.components.component import Component, Modules, Record

if TYPE_CHECKING:
    from torch import Tensor

Place = Literal["attention", "ffn", "block"]


class Connection(Component):
    """The weights by which one sublayer, or one whole block, reads the residual streams and adds to them."""

    @abstractmethod
    def around(self, m: Modules, x: Tensor, run: Callable[[Tensor], Tensor]) -> Tensor:
        """The streams after `run`, which maps (batch, n_tokens, d_model) to the same shape.

        For a sublayer, `run` gives its output, to be added here. For a block, it gives the sum that a plain residual
        would give.
        """


class ResidualStream(Record):
    """How a token is carried from layer to layer."""

    def connections(self) -> dict[Place, Connection]:
        """The connections that a block needs, by place: "attention" and "ffn", or "block"; none by default."""
        return {}

    def opening(self) -> Component | None:
        """What makes the streams of the embeddings (batch, n_tokens, d_model), before the first block."""
        return None

    def closing(self) -> Component | None:
        """What makes one hidden state (batch, n_tokens, d_model) of the streams, after the last block."""
        return None
