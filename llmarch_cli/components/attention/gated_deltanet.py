"""Gated DeltaNet (arXiv 2412.06464): a linear recurrence that decays by head and corrects what a key recalls."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from llmarch_cli.components.attention.recurrence import recur, spread, unit
from llmarch_cli.components.cache import ONCE, Mixing, State
from llmarch_cli.components.component import Component, LayerCache, Modules, Part
from llmarch_cli.components.fields import Count, Limits, Positive
from llmarch_cli.components.parts import Convolution, Linear, Norm, Vector
from llmarch_cli.components.record import rule
from llmarch_cli.components.shards import Shard, Units, column_parallel, row_parallel

if TYPE_CHECKING:
    from torch import Tensor


class GatedDeltaNet(Component):
    """Each value head keeps a matrix (k_head_dim, v_head_dim); groups of value heads share a query and a key head.

    Queries, keys and values pass a short convolution, and queries and keys have unit length. The output is normalised
    by head and gated (sections 3.1 and 3.3). The norm is never offset by one, whatever the model's norms are.
    """

    kind: Literal["gated_deltanet"]
    n_k_heads: Count
    n_v_heads: Count
    k_head_dim: Count
    v_head_dim: Count
    conv_kernel: Annotated[Count, Limits(gt=1)] = 4
    negative_eigenvalues: bool = False  # doubles the strength of corrections (arXiv 2411.12537)
    norm_eps: Positive | None = None  # of the norm of the output; None: the model's

    summarized: ClassVar[frozenset[str]] = Component.summarized | {"n_k_heads", "n_v_heads", "k_head_dim", "v_head_dim"}
    concept: ClassVar[str] = "delta-rule"

    @rule
    def _consistent(self) -> None:
        if self.n_v_heads % self.n_k_heads:
            raise ValueError(f"n_v_heads ({self.n_v_heads}) must be a multiple of n_k_heads ({self.n_k_heads})")

    @property
    def title(self) -> str:
        return "Gated DeltaNet"

    @property
    def label(self) -> str:
        return "gated delta rule"

    @property
    def heads(self) -> str:
        return f"delta {self.n_v_heads:,}:{self.n_k_heads:,} x {self.k_head_dim:,}/{self.v_head_dim:,}"

    @property
    def _k_width(self) -> int:
        return self.n_k_heads * self.k_head_dim

    @property
    def _v_width(self) -> int:
        return self.n_v_heads * self.v_head_dim

    def parts(self, d_model: int) -> Iterator[Part]:
        yield Linear("q_proj", d_model, self._k_width)
        yield Linear("k_proj", d_model, self._k_width)
        yield Linear("v_proj", d_model, self._v_width)
        yield Convolution("conv", 2 * self._k_width + self._v_width, self.conv_kernel)
        yield Linear("beta_proj", d_model, self.n_v_heads)
        yield Linear("decay_proj", d_model, self.n_v_heads)
        yield Vector("decay_bias", self.n_v_heads)
        yield Vector("log_rate", self.n_v_heads)
        yield Linear("gate_proj", d_model, self._v_width)
        yield Norm("head_norm", self.v_head_dim, eps=self.norm_eps, kind="rms", bias=False, unit_offset=False)
        yield Linear("o_proj", self._v_width, d_model)

    def cache(self) -> Iterator[State]:
        yield State("recurrence", (self.n_v_heads, self.k_head_dim, self.v_head_dim))
        yield State("conv_inputs", (self.conv_kernel - 1, 2 * self._k_width + self._v_width), "bf16")

    def shards(self) -> Mapping[str, Shard]:
        """Key heads are divided with the value heads that share them."""
        keys, values = Units(self.n_k_heads), Units(self.n_v_heads)
        parts = (Units(self.n_k_heads, self.k_head_dim),) * 2 + (Units(self.n_v_heads, self.v_head_dim),)
        by_value = ("v_proj", "beta_proj", "decay_proj", "decay_bias", "log_rate", "gate_proj", "recurrence")
        return {
            **column_parallel(keys, "q_proj", "k_proj"),
            **column_parallel(values, *by_value),
            "conv": Shard("out", parts),
            "conv_inputs": Shard("in", parts),
            **row_parallel(values, "o_proj"),
        }

    def mixing(self) -> Iterator[Mixing]:
        """Read what the key recalls, add the correction, and read out: k_head_dim * v_head_dim multiply-adds each."""
        yield Mixing(6 * self.n_v_heads * self.k_head_dim * self.v_head_dim, ONCE, "state")

    def forward(self, m: Modules, x: Tensor, cache: LayerCache) -> Tensor:
        import torch
        import torch.nn.functional as F

        qkv = torch.cat((m.q_proj(x), m.k_proj(x), m.v_proj(x)), dim=-1)
        mixed = F.silu(m.conv(cache.extended("conv_inputs", qkv)))
        q, k, v = (
            part.unflatten(-1, (heads, -1)).transpose(1, 2)  # (batch, heads, n_tokens, width)
            for part, heads in zip(
                mixed.split((self._k_width, self._k_width, self._v_width), dim=-1),
                (self.n_k_heads, self.n_k_heads, self.n_v_heads),
                strict=True,
            )
        )
        q, k = (spread(unit(heads), self.n_v_heads) for heads in (q, k))
        beta = m.beta_proj(x).sigmoid().transpose(1, 2)  # (batch, n_v_heads, n_tokens)
        rate = F.softplus(m.decay_proj(x).float() + m.decay_bias.float()) * m.log_rate.float().exp()
        out, state = recur(
            q * self.k_head_dim**-0.5,
            k,
            v,
            decay=(rate * -1).transpose(1, 2).unsqueeze(-1),
            state=cache.state("recurrence", x),
            beta=beta * 2 if self.negative_eigenvalues else beta,
        )
        cache.keep(recurrence=state)
        normed = m.head_norm(out.transpose(1, 2).to(x.dtype))  # (batch, n_tokens, n_v_heads, v_head_dim)
        gate = F.silu(m.gate_proj(x).float()).view(normed.shape)
        return m.o_proj((normed * gate).to(x.dtype).flatten(2))
