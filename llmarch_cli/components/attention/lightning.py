"""Lightning attention (arXiv 2401.04658), as MiniMax-01 builds it (arXiv 2501.08313, section 2.2)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, ClassVar, Literal

from llmarch_cli.components.attention.recurrence import recur
from llmarch_cli.components.cache import ONCE, Mixing, State
from llmarch_cli.components.component import Component, LayerCache, Modules, Part
from llmarch_cli.components.ffn.gate import Activation, activate, require_fixed
from llmarch_cli.components.fields import Count
from llmarch_cli.components.parts import Linear, Norm
from llmarch_cli.components.record import rule
from llmarch_cli.components.shards import Shard, Units, column_parallel, row_parallel

if TYPE_CHECKING:
    import torch
    from torch import Tensor

INNER_EPS = 1e-6  # of the norm inside, whatever the model's is
NOT_ZERO = 1e-5  # keeps the decay of the last layer above 0


class LightningAttention(Component):
    """Linear attention with a fixed decay for each head, which fades from layer to layer; normalised and gated."""

    kind: Literal["lightning"]
    n_heads: Count
    head_dim: Count
    activation: Activation = "silu"  # of queries, keys and values

    summarized: ClassVar[frozenset[str]] = Component.summarized | {"n_heads", "head_dim"}
    concept: ClassVar[str] = "linear-attention"

    @rule
    def _consistent(self) -> None:
        require_fixed(self.activation)

    def parts(self, d_model: int) -> Iterator[Part]:
        width = self.n_heads * self.head_dim
        for name in ("q_proj", "k_proj", "v_proj"):
            yield Linear(name, d_model, width)
        yield Norm("norm", width, kind="rms", eps=INNER_EPS, bias=False, unit_offset=False)
        yield Linear("gate_proj", d_model, width)
        yield Linear("o_proj", width, d_model)

    def cache(self) -> Iterator[State]:
        yield State("kv", (self.n_heads, self.head_dim, self.head_dim))

    def shards(self) -> Mapping[str, Shard]:
        heads = Units(self.n_heads)
        return {
            **column_parallel(heads, "q_proj", "k_proj", "v_proj", "norm", "gate_proj", "kv"),
            **row_parallel(heads, "o_proj"),
        }

    def mixing(self) -> Iterator[Mixing]:
        """The product of key and value that is added to the state, and that of query and state."""
        yield Mixing(4 * self.n_heads * self.head_dim**2, ONCE, "state")

    @property
    def label(self) -> str:
        return "Lightning"

    @property
    def heads(self) -> str:
        return f"linear {self.n_heads:,} x {self.head_dim:,}"

    def forward(self, m: Modules, x: Tensor, cache: LayerCache) -> Tensor:
        q, k, v = (
            activate(self.activation, projection(x)).unflatten(-1, (self.n_heads, -1)).transpose(1, 2)
            for projection in (m.q_proj, m.k_proj, m.v_proj)
        )  # (batch, n_heads, n_tokens, head_dim)
        decay = self._decay(cache.layer, cache.n_layers, x.device).expand(q.shape[0], -1, q.shape[2], 1)
        mixed, state = recur(q, k, v, decay, cache.state("kv", x))
        cache.keep(kv=state)
        mixed = m.norm(mixed.transpose(1, 2).flatten(2).to(x.dtype))
        return m.o_proj(mixed * m.gate_proj(x).sigmoid())

    def _decay(self, layer: int, n_layers: int, device: torch.device) -> Tensor:
        """The logarithm by which a token of each head decays, (n_heads, 1, 1): ALiBi's slopes, less in upper layers."""
        import torch

        share = 1 - layer / (n_layers - 1 + NOT_ZERO) + NOT_ZERO
        heads = torch.arange(1, self.n_heads + 1, dtype=torch.float32, device=device)
        return (2 ** (heads * (-8 / self.n_heads)) * -share).view(-1, 1, 1)
