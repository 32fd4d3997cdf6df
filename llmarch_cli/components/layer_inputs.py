"""Per-layer embeddings: each token also has a small row for each layer, which the layer adds behind its sublayers.

A layer's input is the sum of its row and of a projection of the token's embedding (Gemma 3n's and 4's technical
reports; the published code fixes the scales).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from llmarch_cli.components.cache import Read
from llmarch_cli.components.component import Component, LayerCache, Modules, Part
from llmarch_cli.components.ffn.gate import Activation, activate
from llmarch_cli.components.fields import Count, TokenCount
from llmarch_cli.components.frame import TokenEmbedding
from llmarch_cli.components.parts import Linear, Norm, Table, Vector
from llmarch_cli.components.record import Record

if TYPE_CHECKING:
    from torch import Tensor


class LayerInputs(Record):
    """The setting of a model with per-layer embeddings."""

    dim: Count  # values of a token for each layer
    vocab_size: TokenCount  # tokens with rows; others have the row of token 0
    activation: Activation = "gelu_tanh"  # of the gate in each layer
    input_scale: bool = False  # learned factors of what the gate reads


class LayerEmbedding(TokenEmbedding):
    """A learned row of n_layers * dim values for each token, scaled by sqrt(dim)."""

    n_layers: int
    dim: int

    def parts(self, d_model: int) -> Iterator[Part]:
        yield Table("tokens", self.vocab_size, self.n_layers * self.dim)

    def forward(self, m: Modules, x: Tensor, cache: LayerCache) -> Tensor:
        """Token ids (batch, n_tokens) -> (batch, n_tokens, n_layers * dim)."""
        rows: Tensor = m.tokens(x.masked_fill(x >= self.vocab_size, 0)) * self.dim**0.5
        return rows


class LayerProjection(Component):
    """What all layers read: their rows, and a projection of the token's embedding that is normalised for each."""

    n_layers: int
    dim: int

    def parts(self, d_model: int) -> Iterator[Part]:
        yield Linear("proj", d_model, self.n_layers * self.dim)
        yield Norm("norm", self.dim)

    def reads(self) -> Iterator[Read]:
        yield Read("layer_rows", self.n_layers * self.dim)

    def forward(self, m: Modules, x: Tensor, cache: LayerCache) -> Tensor:
        """Embeddings (batch, n_tokens, d_model) -> (batch, n_tokens, n_layers * dim)."""
        projected = m.proj(x) * x.shape[-1] ** -0.5
        normed = m.norm(projected.unflatten(-1, (self.n_layers, -1))).flatten(2)
        inputs: Tensor = (normed + cache.read("layer_rows")) * 2**-0.5
        return inputs


class LayerInput(Component):
    """Adds to the stream what a gate of it lets through of the layer's input."""

    n_layers: int
    dim: int
    activation: Activation
    input_scale: bool

    def parts(self, d_model: int) -> Iterator[Part]:
        if self.input_scale:
            yield Vector("input_scale", d_model)
        yield Linear("gate_proj", d_model, self.dim)
        yield Linear("proj", self.dim, d_model)
        yield Norm("norm", d_model)

    def reads(self) -> Iterator[Read]:
        yield Read("layer_inputs", self.n_layers * self.dim)

    def forward(self, m: Modules, x: Tensor, cache: LayerCache) -> Tensor:
        own = cache.read("layer_inputs").unflatten(-1, (self.n_layers, -1))[:, :, cache.layer]
        if self.input_scale:
            x = x * m.input_scale
        added: Tensor = m.norm(m.proj(activate(self.activation, m.gate_proj(x)) * own))
        return added
