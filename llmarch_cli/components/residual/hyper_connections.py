"""Manifold-constrained hyper-connections (arXiv 2512.24880): several residual streams that each sublayer mixes.

A sublayer reads a weighted sum of the streams; its output is added to each with a weight, and the streams are mixed by
a matrix whose rows and columns have sums of 1. All weights are computed from the streams of the token.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Annotated, Literal

from llmarch_cli.components.component import Component, LayerCache, Modules, Part
from llmarch_cli.components.fields import Limits, Positive
from llmarch_cli.components.mechanism import Mechanism, Telling
from llmarch_cli.components.parts import Linear, Norm, Vector
from llmarch_cli.components.residual.connection import Connection, Place, ResidualStream, StreamCount

if TYPE_CHECKING:
    from torch import Tensor


class HyperConnection(Connection):
    """Computes the weights of reading, of writing, and of mixing; see `HyperConnections` for the fields."""

    n_streams: StreamCount
    iterations: int
    eps: float

    @property
    def reads_streams(self) -> int:
        return self.n_streams

    def parts(self, d_model: int) -> Iterator[Part]:
        n = self.n_streams
        yield Norm("norm", n * d_model, weightless=True, kind="rms")
        yield Linear("proj", n * d_model, (2 + n) * n)
        yield Vector("biases", (2 + n) * n)
        yield Vector("scales", 3)  # of reading, writing and mixing

    def around(self, m: Modules, x: Tensor, run: Callable[[Tensor], Tensor]) -> Tensor:
        """Streams (batch, n_tokens, n_streams, d_model) -> the same shape."""
        read, write, mix = self._weights(m, x)
        added = run((read.unsqueeze(-1) * x).sum(dim=2).to(x.dtype))
        # Weighted sums of streams are written as such: the matrices are tiny, and as long as a token is wide.
        kept = (mix.to(x.dtype).unsqueeze(-1) * x.unsqueeze(3)).sum(dim=2)
        return write.to(x.dtype).unsqueeze(-1) * added.unsqueeze(2) + kept

    def forward(self, m: Modules, x: Tensor, cache: LayerCache) -> Tensor:
        """Around a sublayer that returns what it reads."""
        return self.around(m, x, lambda read: read)

    def _weights(self, m: Modules, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Weights of reading and writing (batch, n_tokens, n_streams), and of mixing (..., from, to), in float32."""
        import torch.nn.functional as F

        n = self.n_streams
        logits = F.linear(m.norm(x.flatten(2).float()), m.proj.weight.float())
        sizes = (n, n, n * n)
        read, write, mix = (
            part * scale + bias
            for part, scale, bias in zip(
                logits.split(sizes, dim=-1),
                m.scales.float().split((1, 1, 1)),
                m.biases.float().split(sizes),
                strict=True,
            )
        )
        mix = mix.unflatten(-1, (n, n)).softmax(dim=-1) + self.eps
        mix = mix / (mix.sum(dim=-2, keepdim=True) + self.eps)
        for _ in range(self.iterations - 1):
            mix = mix / (mix.sum(dim=-1, keepdim=True) + self.eps)
            mix = mix / (mix.sum(dim=-2, keepdim=True) + self.eps)
        return read.sigmoid() + self.eps, write.sigmoid() * 2, mix


class StreamsOpening(Component):
    """Each stream begins as the token's embedding."""

    n_streams: StreamCount

    def parts(self, d_model: int) -> Iterator[Part]:
        return iter(())

    def forward(self, m: Modules, x: Tensor, cache: LayerCache) -> Tensor:
        """(batch, n_tokens, d_model) -> (batch, n_tokens, n_streams, d_model)."""
        return x.unsqueeze(2).expand(-1, -1, self.n_streams, -1)


class StreamsClosing(Component):
    """The last hidden state is a weighted sum of the streams."""

    n_streams: StreamCount
    eps: float

    @property
    def reads_streams(self) -> int:
        return self.n_streams

    def parts(self, d_model: int) -> Iterator[Part]:
        yield Norm("norm", self.n_streams * d_model, weightless=True, kind="rms")
        yield Linear("proj", self.n_streams * d_model, self.n_streams)
        yield Vector("biases", self.n_streams)
        yield Vector("scale", 1)

    def forward(self, m: Modules, x: Tensor, cache: LayerCache) -> Tensor:
        """(batch, n_tokens, n_streams, d_model) -> (batch, n_tokens, d_model)."""
        import torch.nn.functional as F

        logits = F.linear(m.norm(x.flatten(2).float()), m.proj.weight.float())
        weights = (logits * m.scale.float() + m.biases.float()).sigmoid() + self.eps
        closed: Tensor = (weights.unsqueeze(-1) * x).sum(dim=2).to(x.dtype)
        return closed


class HyperConnections(ResidualStream):
    """`n_streams` streams of d_model values."""

    kind: Literal["hyper_connections"]
    n_streams: StreamCount
    iterations: Annotated[int, Limits(gt=0, le=1000)] = 20  # that make the sums of the mixing matrix 1
    eps: Positive = 1e-6  # added to weights and sums

    @property
    def width(self) -> int:
        return self.n_streams

    def mechanisms(self) -> Iterator[Mechanism]:
        phrase = f"{self.n_streams} residual streams"
        yield Mechanism(self.kind, "Hyper-connections", phrase, Telling.SHARING, page="residual-streams")

    def connections(self) -> dict[Place, Connection]:
        one = HyperConnection.model_construct(n_streams=self.n_streams, iterations=self.iterations, eps=self.eps)
        return {"attention": one, "ffn": one}

    def opening(self) -> Component:
        return StreamsOpening.model_construct(n_streams=self.n_streams)

    def closing(self) -> Component:
        return StreamsClosing.model_construct(n_streams=self.n_streams, eps=self.eps)
