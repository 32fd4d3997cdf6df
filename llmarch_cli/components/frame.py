"""The components around the two sublayers of every decoder: embeddings, norms, head and multi-token prediction.

Engines and builder treat them as they treat any component, but specs cannot name them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Literal

from llmarch_cli.components.component import Component, LayerCache, Modules, Part
from llmarch_cli.components.ffn.gate import Activation, activate, require_fixed
from llmarch_cli.components.fields import Positive, TokenCount
from llmarch_cli.components.parts import Buffer, Linear, Norm, Table, TiedLinear
from llmarch_cli.components.record import Record, rule
from llmarch_cli.components.shards import Shard, Units, column_parallel

if TYPE_CHECKING:
    from torch import Tensor


NormPlacement = Literal["pre", "post", "sandwich", "pre_shared", "post_residual"]


class TokenEmbedding(Component):
    """A learned row of `d_model` values for each token of the vocabulary."""

    vocab_size: TokenCount

    def parts(self, d_model: int) -> Iterator[Part]:
        yield Table("tokens", self.vocab_size, d_model)

    def shards(self) -> Mapping[str, Shard]:
        return column_parallel(Units(self.vocab_size, uneven=True), "tokens")

    def forward(self, m: Modules, x: Tensor, cache: LayerCache) -> Tensor:
        """Token ids (batch, n_tokens) -> (batch, n_tokens, d_model)."""
        return m.tokens(x)


class PositionEmbedding(Component):
    """A learned row for each absolute position, added to the token's row; `offset` rows before them are never read."""

    n_positions: TokenCount
    offset: int = 0

    def parts(self, d_model: int) -> Iterator[Part]:
        yield Table("positions", self.offset + self.n_positions, d_model)

    def forward(self, m: Modules, x: Tensor, cache: LayerCache) -> Tensor:
        import torch

        start = self.offset + cache.length
        return x + m.positions(torch.arange(start, start + x.shape[1], device=x.device))


class SinusoidalPositions(Component):
    """Fixed sines and cosines of each absolute position, added to the token's row (arXiv 1706.03762, section 3.5).

    The angles of position p are (offset + p) * theta ** (-2 i / d_model); all sines stand before all cosines.
    """

    theta: Positive
    offset: int = 0

    def parts(self, d_model: int) -> Iterator[Part]:
        return iter(())

    def forward(self, m: Modules, x: Tensor, cache: LayerCache) -> Tensor:
        import torch

        d_model = x.shape[-1]
        rates = self.theta ** (torch.arange(0, d_model, 2, dtype=torch.float32, device=x.device) / -d_model)
        angles = cache.positions(self.offset + cache.length, x).unsqueeze(-1) * rates  # (n_tokens, d_model / 2)
        return x + torch.cat((angles.sin(), angles.cos()), dim=-1).to(x.dtype)


class BlockNorms(Component):
    """The norms of one block, by placement.

    pre: before each sublayer. post: after it, inside the residual. sandwich: both. pre_shared: one norm for both.
    post_residual: after the sublayer's output is added to the residual (arXiv 1706.03762).
    """

    placement: NormPlacement
    attention: bool = True  # whether the block has this sublayer
    ffn: bool = True

    def parts(self, d_model: int) -> Iterator[Part]:
        if self.placement == "pre_shared":
            yield Norm("shared_pre", d_model)
            return
        for sublayer in ("attention", "ffn"):
            if getattr(self, sublayer):
                if self.placement in ("pre", "sandwich"):
                    yield Norm(f"{sublayer}_pre", d_model)
                if self.placement != "pre":
                    yield Norm(f"{sublayer}_post", d_model)

    def forward(self, m: Modules, x: Tensor, cache: LayerCache) -> Tensor:
        """Apply all norms in a row, to measure them; a block applies them one by one."""
        for norm in m.children():
            x = norm(x)
        return x


class LayerScale(Component):
    """A stored factor of the residual stream behind a block."""

    def parts(self, d_model: int) -> Iterator[Part]:
        yield Buffer("scale", 1, fill=1.0)

    def forward(self, m: Modules, x: Tensor, cache: LayerCache) -> Tensor:
        return x * m.scale.to(x.dtype)


class StreamNorm(Component):
    """A norm of the residual stream: between the embeddings and the first block, or the last block and the head."""

    def parts(self, d_model: int) -> Iterator[Part]:
        yield Norm("norm", d_model)

    def forward(self, m: Modules, x: Tensor, cache: LayerCache) -> Tensor:
        return m.norm(x)


class HeadTransform(Record):
    """A square matrix, an activation and a norm before the head's matrix (BERT, arXiv 1810.04805)."""

    activation: Activation
    bias: bool = False

    @rule
    def _learns_nothing(self) -> None:
        require_fixed(self.activation)


class Head(Component):
    """The projection of the last hidden state to one logit for each token of the vocabulary."""

    vocab_size: TokenCount
    tied: bool  # uses the token embedding's table as its matrix
    bias: bool = False
    transform: HeadTransform | None = None
    normalized: bool = False  # each row of its matrix is divided by its length

    def parts(self, d_model: int) -> Iterator[Part]:
        if self.transform is not None:
            yield Linear("dense", d_model, d_model, self.transform.bias)
            yield Norm("norm", d_model)
        matrix = TiedLinear if self.tied else Linear
        yield matrix("lm_head", d_model, self.vocab_size, self.bias)

    def shards(self) -> Mapping[str, Shard]:
        return column_parallel(Units(self.vocab_size, uneven=True), "lm_head")

    def forward(self, m: Modules, x: Tensor, cache: LayerCache) -> Tensor:
        """(batch, n_tokens, d_model) -> (batch, n_tokens, vocab_size)."""
        if self.transform is not None:
            x = m.norm(activate(self.transform.activation, m.dense(x)))
        if not self.normalized:
            return m.lm_head(x)
        import torch.nn.functional as F

        d_model = x.shape[-1]
        rows = F.rms_norm(m.lm_head.weight.float(), (d_model,), eps=1e-24) * d_model**-0.5
        return F.linear(x, rows.to(x.dtype), m.lm_head.bias if self.bias else None)


class PredictionJunction(Component):
    """The input of a multi-token-prediction block: the last hidden state joined with the next token's embedding.

    Both are normalised, concatenated (embedding first) and projected (DeepSeek-V3, arXiv 2412.19437, section 2.2).
    """

    def parts(self, d_model: int) -> Iterator[Part]:
        yield Norm("embedding_norm", d_model)
        yield Norm("hidden_norm", d_model)
        yield Linear("proj", 2 * d_model, d_model)
        yield Norm("final_norm", d_model)

    def forward(self, m: Modules, x: Tensor, cache: LayerCache) -> Tensor:
        """Join and normalise one token, to measure the cost; a model calls `join` and `final_norm` separately."""
        return m.final_norm(self.join(m, x, x))

    def join(self, m: Modules, hidden: Tensor, embedding: Tensor) -> Tensor:
        """The prediction block's input from `hidden` and `embedding`, all (batch, n_tokens, d_model)."""
        import torch

        return m.proj(torch.cat((m.embedding_norm(embedding), m.hidden_norm(hidden)), dim=-1))
