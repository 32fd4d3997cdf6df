"""Multi-head latent attention (DeepSeek-V2, arXiv 2405.04434, section 2.1)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from llmarch_cli.components.attention.rotary import RotaryComponent, YarnScaling
from llmarch_cli.components.attention.scores import attend, visible
from llmarch_cli.components.cache import Mixing, Rows
from llmarch_cli.components.component import Count, LayerCache, Modules, Part
from llmarch_cli.components.parts import Linear, Norm

if TYPE_CHECKING:
    from torch import Tensor


# Epsilon of the norms inside the compression: the published code uses its norm's default, not the config's value.
INNER_EPS = 1e-6


class MultiHeadLatentAttention(RotaryComponent):
    """All heads share one small latent and one rotary key per token; only these two are cached."""

    kind: Literal["mla"]
    n_heads: Count
    q_lora_rank: Count | None = None  # None: one projection, without compression
    kv_lora_rank: Count
    qk_nope_head_dim: Count
    qk_rope_head_dim: Annotated[Count, Field(multiple_of=2)]
    v_head_dim: Count
    bias: bool = False  # of both compressions and the output

    summarized: ClassVar[frozenset[str]] = RotaryComponent.summarized | {"n_heads"}

    @property
    def rotary_width(self) -> int:
        return self.qk_rope_head_dim

    def parts(self, d_model: int) -> Iterator[Part]:
        if self.q_lora_rank is not None:
            yield Linear("q_a_proj", d_model, self.q_lora_rank, bias=self.bias)
            yield Norm("q_a_norm", self.q_lora_rank, eps=INNER_EPS)
        yield Linear("q_b_proj", self.q_lora_rank or d_model, self.n_heads * self._qk_head_dim)
        yield Linear("kv_a_proj", d_model, self.kv_lora_rank + self.qk_rope_head_dim, bias=self.bias)
        yield Norm("kv_a_norm", self.kv_lora_rank, eps=INNER_EPS)
        yield Linear("kv_b_proj", self.kv_lora_rank, self.n_heads * (self.qk_nope_head_dim + self.v_head_dim))
        yield Linear("o_proj", self.n_heads * self.v_head_dim, d_model, bias=self.bias)

    def cache(self) -> Iterator[Rows]:
        yield Rows("latent", self.kv_lora_rank)
        yield Rows("k_rope", self.qk_rope_head_dim)

    @property
    def multi_head_width(self) -> int:
        return self.n_heads * (self._qk_head_dim + self.v_head_dim)

    @property
    def title(self) -> str:
        return "Multi-head latent attention"

    @property
    def label(self) -> str:
        return "full"

    @property
    def heads(self) -> str:
        return f"MLA {self.n_heads:,} heads"

    def mixing(self) -> Iterator[Mixing]:
        """Scores with latents and rotary keys, then a weighted sum of latents (the absorbed form)."""
        yield Mixing(2 * self.n_heads * (2 * self.kv_lora_rank + self.qk_rope_head_dim))

    def forward(self, m: Modules, x: Tensor, cache: LayerCache) -> Tensor:
        start, n_tokens = cache.length, x.shape[1]
        q = m.q_b_proj(x if self.q_lora_rank is None else m.q_a_norm(m.q_a_proj(x)))
        q = q.unflatten(-1, (self.n_heads, -1)).transpose(1, 2)  # (batch, n_heads, n_tokens, qk_head_dim)
        q_nope, q_rope = q.split((self.qk_nope_head_dim, self.qk_rope_head_dim), dim=-1)
        q_rope = self.rotate(q_rope, start)

        latent, k_rope = m.kv_a_proj(x).split((self.kv_lora_rank, self.qk_rope_head_dim), dim=-1)
        k_rope = self.rotate(k_rope.unsqueeze(1), start).squeeze(1)
        latent, k_rope = cache.append(latent=m.kv_a_norm(latent), k_rope=k_rope)  # (batch, n_keys, width)

        attention = self._absorbed if n_tokens == 1 else self._expanded
        mask = visible(start, n_tokens, latent.shape[1], None, None, x.device)
        return m.o_proj(attention(m, q_nope, q_rope, latent, k_rope, mask))

    def _expanded(
        self, m: Modules, q_nope: Tensor, q_rope: Tensor, latent: Tensor, k_rope: Tensor, mask: Tensor | None
    ) -> Tensor:
        """The form for prompts: latents are expanded to keys and values once for all queries."""
        import torch

        kv = m.kv_b_proj(latent).unflatten(-1, (self.n_heads, -1)).transpose(1, 2)
        k_nope, v = kv.split((self.qk_nope_head_dim, self.v_head_dim), dim=-1)
        k = torch.cat((k_nope, k_rope.unsqueeze(1).expand(-1, self.n_heads, -1, -1)), dim=-1)
        v = v.contiguous()  # fused GPU kernels cannot read an unaligned slice
        return attend(torch.cat((q_nope, q_rope), dim=-1), k, v, mask, self._scale)

    def _absorbed(
        self, m: Modules, q_nope: Tensor, q_rope: Tensor, latent: Tensor, k_rope: Tensor, mask: Tensor | None
    ) -> Tensor:
        """The form for one token: `kv_b_proj`'s key half projects the query, its value half the mixed latent."""
        import torch

        up = m.kv_b_proj.weight.unflatten(0, (self.n_heads, -1))  # (n_heads, nope + v, kv_lora_rank)
        up_k, up_v = up.split((self.qk_nope_head_dim, self.v_head_dim), dim=1)
        q_latent = q_nope @ up_k  # (batch, n_heads, 1, kv_lora_rank)
        keys = torch.cat((latent, k_rope), dim=-1).unsqueeze(1)
        mixed = attend(torch.cat((q_latent, q_rope), dim=-1), keys, latent.unsqueeze(1), mask, self._scale)
        mixed = mixed.unflatten(-1, (self.n_heads, -1)).transpose(1, 2)  # (batch, n_heads, 1, kv_lora_rank)
        return (mixed @ up_v.transpose(-1, -2)).transpose(1, 2).flatten(2)

    @property
    def _qk_head_dim(self) -> int:
        return self.qk_nope_head_dim + self.qk_rope_head_dim

    @property
    def _scale(self) -> float:
        stretched = self.rope_scaling.score_magnitude if isinstance(self.rope_scaling, YarnScaling) else 1.0
        return float(self._qk_head_dim**-0.5 * stretched)
