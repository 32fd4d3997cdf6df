"""Alternating updates (AltUp, arXiv 2301.13310): several residual streams, of which each block computes one.

Before a block, all streams are predicted from each other. The block runs on the active one, and the difference to what
was predicted corrects all of them. All weights are computed from the active stream of the token.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Annotated, Literal

from llmarch_cli.components.component import Component, LayerCache, Modules, Part
from llmarch_cli.components.fields import Limits
from llmarch_cli.components.mechanism import Mechanism, Telling
from llmarch_cli.components.parts import Linear, Norm
from llmarch_cli.components.record import rule
from llmarch_cli.components.residual.connection import Connection, Place, ResidualStream, StreamCount

if TYPE_CHECKING:
    from torch import Tensor

LEAST_SQUARE = 1e-5  # of a stream whose length is matched to another one's


class AlternatingUpdate(Connection):
    """Predicts all streams before a block, and corrects them behind it; see `AlternatingUpdates` for the fields."""

    n_streams: StreamCount
    active: int

    @property
    def reads_streams(self) -> int:
        return self.n_streams

    def parts(self, d_model: int) -> Iterator[Part]:
        n = self.n_streams
        yield Norm("router_norm", d_model)
        yield Linear("router", d_model, n, uses=2)
        yield Linear("predict_proj", n, n * n)
        yield Linear("correct_proj", n, n)

    def around(self, m: Modules, x: Tensor, run: Callable[[Tensor], Tensor]) -> Tensor:
        """Streams (batch, n_tokens, n_streams, d_model) -> the same shape."""
        weights = m.predict_proj(self._routed(m, x[:, :, self.active])).unflatten(-1, (self.n_streams, -1))
        # Weighted sums of streams are written as such: the matrices are tiny, and as long as a token is wide.
        predicted = x + (weights.unsqueeze(-1) * x.unsqueeze(2)).sum(dim=3)  # weights (..., to, from)
        activated = run(predicted[:, :, self.active])
        gains = m.correct_proj(self._routed(m, activated)) + 1
        corrected: Tensor = predicted + gains.unsqueeze(-1) * (activated - predicted[:, :, self.active]).unsqueeze(2)
        return corrected

    def with_input(self, m: Modules, x: Tensor, run: Callable[[Tensor], Tensor]) -> Tensor:
        """The first stream stays as it is; the others get what the active one gives."""
        import torch

        added = run(x[:, :, self.active]).unsqueeze(2)
        return torch.cat((x[:, :, :1], x[:, :, 1:] + added), dim=2)

    def _routed(self, m: Modules, x: Tensor) -> Tensor:
        """(batch, n_tokens, d_model) -> (batch, n_tokens, n_streams), between -1 and 1."""
        routed: Tensor = m.router(m.router_norm(x) * x.shape[-1] ** -1.0)
        return routed.float().tanh().to(x.dtype)

    def forward(self, m: Modules, x: Tensor, cache: LayerCache) -> Tensor:
        """Around a block that returns what it reads."""
        return self.around(m, x, lambda read: read)


class StreamProjections(Component):
    """A matrix for each stream but the first, whose outputs are made as long as the first stream."""

    n_streams: StreamCount

    def parts(self, d_model: int) -> Iterator[Part]:
        for number in range(1, self.n_streams):
            yield Linear(f"proj_{number}", d_model, d_model)

    def projected(self, m: Modules, first: Tensor, others: list[Tensor]) -> list[Tensor]:
        """The projections of `others` (batch, n_tokens, d_model), each with the root mean square of `first`."""
        length = first.square().mean(dim=-1, keepdim=True).sqrt()
        outputs = [getattr(m, f"proj_{number}")(x) for number, x in enumerate(others, start=1)]
        return [
            out * length / out.square().mean(dim=-1, keepdim=True).clamp(min=LEAST_SQUARE).sqrt() for out in outputs
        ]


class ProjectedOpening(StreamProjections):
    """The first stream begins as the token's embedding, each other one as a projection of it."""

    def forward(self, m: Modules, x: Tensor, cache: LayerCache) -> Tensor:
        """(batch, n_tokens, d_model) -> (batch, n_tokens, n_streams, d_model)."""
        import torch

        return torch.stack((x, *self.projected(m, x, [x] * (self.n_streams - 1))), dim=2)


class ProjectedClosing(StreamProjections):
    """The last hidden state is the mean of the first stream and of projections of the others."""

    @property
    def reads_streams(self) -> int:
        return self.n_streams

    def forward(self, m: Modules, x: Tensor, cache: LayerCache) -> Tensor:
        """(batch, n_tokens, n_streams, d_model) -> (batch, n_tokens, d_model)."""
        import torch

        first, *others = x.unbind(dim=2)
        return torch.stack((first, *self.projected(m, first, others)), dim=2).mean(dim=2)


class AlternatingUpdates(ResidualStream):
    """`n_streams` streams of d_model values, of which blocks run on the `active` one.

    The published code also clips coefficients, in training alone.
    """

    kind: Literal["altup"]
    n_streams: StreamCount
    active: Annotated[int, Limits(ge=0)] = 0

    @rule
    def _active_is_there(self) -> None:
        if self.active >= self.n_streams:
            raise ValueError(f"active ({self.active}) must be below n_streams ({self.n_streams})")

    @property
    def width(self) -> int:
        return self.n_streams

    def mechanisms(self) -> Iterator[Mechanism]:
        phrase = f"{self.n_streams} residual streams"
        yield Mechanism(self.kind, "Alternating updates", phrase, Telling.SHARING, page="residual-streams")

    def connections(self) -> dict[Place, Connection]:
        return {"block": AlternatingUpdate.model_construct(n_streams=self.n_streams, active=self.active)}

    def opening(self) -> Component:
        return ProjectedOpening.model_construct(n_streams=self.n_streams)

    def closing(self) -> Component:
        return ProjectedClosing.model_construct(n_streams=self.n_streams)
