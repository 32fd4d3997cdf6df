"""Kimi delta attention (arXiv 2510.26692): the gated delta rule with a decay for each channel of a key."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from llmarch_cli.components.attention.recurrence import recur, unit
from llmarch_cli.components.cache import ONCE, Mixing, State
from llmarch_cli.components.component import Component, LayerCache, Modules, Part
from llmarch_cli.components.fields import Count, Limits
from llmarch_cli.components.parts import Convolution, Linear, Norm, Vector
from llmarch_cli.components.shards import Shard, Units, column_parallel, row_parallel

if TYPE_CHECKING:
    from torch import Tensor


class KimiDeltaAttention(Component):
    """Each head keeps a matrix (head_dim, head_dim) whose rows decay by themselves (section 3).

    Decays and gates of the output come from two matrices with `head_dim` values between them. The norm of the output is
    never offset by one, whatever the model's norms are.
    """

    kind: Literal["kda"]
    n_heads: Count
    head_dim: Count
    conv_kernel: Annotated[Count, Limits(gt=1)] = 4

    summarized: ClassVar[frozenset[str]] = Component.summarized | {"n_heads", "head_dim"}
    concept: ClassVar[str] = "delta-rule"
    abbreviation: ClassVar[str] = "KDA"

    @property
    def label(self) -> str:
        return "delta rule by channel"

    @property
    def heads(self) -> str:
        return f"KDA {self.n_heads:,} x {self.head_dim:,}"

    @property
    def _width(self) -> int:
        return self.n_heads * self.head_dim

    def parts(self, d_model: int) -> Iterator[Part]:
        for name in ("q_proj", "k_proj", "v_proj"):
            yield Linear(name, d_model, self._width)
        yield Convolution("conv", 3 * self._width, self.conv_kernel)
        yield Linear("beta_proj", d_model, self.n_heads)
        yield Linear("decay_a_proj", d_model, self.head_dim)
        yield Linear("decay_b_proj", self.head_dim, self._width)
        yield Vector("decay_bias", self._width)
        yield Vector("log_rate", self.n_heads)
        yield Linear("gate_a_proj", d_model, self.head_dim)
        yield Linear("gate_b_proj", self.head_dim, self._width)
        yield Norm("head_norm", self.head_dim, kind="rms", bias=False, unit_offset=False)
        yield Linear("o_proj", self._width, d_model)

    def cache(self) -> Iterator[State]:
        yield State("recurrence", (self.n_heads, self.head_dim, self.head_dim))
        yield State("conv_inputs", (self.conv_kernel - 1, 3 * self._width), "bf16")

    def shards(self) -> Mapping[str, Shard]:
        heads = Units(self.n_heads)
        by_head = ("q_proj", "k_proj", "v_proj", "beta_proj", "decay_b_proj", "decay_bias", "log_rate", "gate_b_proj")
        parts = (Units(self.n_heads, self.head_dim),) * 3
        return {
            **column_parallel(heads, *by_head, "recurrence"),
            "conv": Shard("out", parts),
            "conv_inputs": Shard("in", parts),
            **row_parallel(heads, "o_proj"),
        }

    def mixing(self) -> Iterator[Mixing]:
        """Read what the key recalls, add the correction, and read out: head_dim ** 2 multiply-adds each."""
        yield Mixing(6 * self.n_heads * self.head_dim**2, ONCE, "state")

    def forward(self, m: Modules, x: Tensor, cache: LayerCache) -> Tensor:
        import torch
        import torch.nn.functional as F

        qkv = torch.cat((m.q_proj(x), m.k_proj(x), m.v_proj(x)), dim=-1)
        mixed = F.silu(m.conv(cache.extended("conv_inputs", qkv)))
        q, k, v = (self._heads(part) for part in mixed.split(self._width, dim=-1))
        steps = F.softplus(m.decay_b_proj(m.decay_a_proj(x)).float() + m.decay_bias.float())
        decay = self._heads(steps) * m.log_rate.float().exp().view(-1, 1, 1)  # (batch, n_heads, n_tokens, head_dim)
        out, state = recur(
            unit(q) * self.head_dim**-0.5,
            unit(k),
            v,
            decay=decay * -1,
            state=cache.state("recurrence", x),
            beta=m.beta_proj(x).sigmoid().transpose(1, 2),
        )
        cache.keep(recurrence=state)
        normed = m.head_norm(out.transpose(1, 2).to(x.dtype))  # (batch, n_tokens, n_heads, head_dim)
        gate = m.gate_b_proj(m.gate_a_proj(x)).float().sigmoid().view(normed.shape)
        return m.o_proj((normed * gate).to(x.dtype).flatten(2))

    def _heads(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self.n_heads, -1)).transpose(1, 2)
