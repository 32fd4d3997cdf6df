"""Multi-head latent attention (DeepSeek-V2, arXiv 2405.04434, section 2.1)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from llmarch_cli.components.attention.indexer import Indexer, chosen_mask, chosen_rows
from llmarch_cli.components.attention.rope_scaling import YarnScaling
from llmarch_cli.components.attention.rotary import RotaryComponent
from llmarch_cli.components.attention.scores import Temperature, attend, visible
from llmarch_cli.components.cache import FULL, Mixing, Read, Rows, View
from llmarch_cli.components.component import LayerCache, Modules, Part
from llmarch_cli.components.fields import Count, Limits, Name, Positive
from llmarch_cli.components.inside import Inside, Paths, Step
from llmarch_cli.components.mechanism import INDEXER, SHARED_CACHE, TEMPERATURE, Mechanism, Telling
from llmarch_cli.components.parts import Linear, Norm
from llmarch_cli.components.record import rule
from llmarch_cli.components.shards import Shard, Units, column_parallel, row_parallel

if TYPE_CHECKING:
    from torch import Tensor


# Epsilon of the norms inside the compression: the published code uses its norm's default, not the config's value.
INNER_EPS = 1e-6


class MultiHeadLatentAttention(RotaryComponent):
    """All heads share one small latent and one rotary key per token; only these two are cached.

    With `kv_from` a layer has none of its own, and expands those of the nearest layer below of that variant. With an
    `indexer` a token attends to the latents that it chooses.
    """

    kind: Literal["mla"]
    n_heads: Count
    q_lora_rank: Count | None = None  # None: one projection, without compression
    kv_lora_rank: Count
    qk_nope_head_dim: Count
    qk_rope_head_dim: Annotated[Count, Limits(multiple_of=2)]
    v_head_dim: Count
    bias: bool = False  # of both compressions and the output
    q_scale: Positive = 1.0  # multiplies queries (LongCat-Flash, arXiv 2509.01322, section 2.2.2)
    latent_scale: Positive = 1.0  # multiplies latents behind their norm
    temperature: Temperature | None = None  # multiplies queries by a factor of their position
    kv_from: Name | None = None  # a variant
    indexer: Indexer | None = None

    summarized: ClassVar[frozenset[str]] = RotaryComponent.summarized | {"n_heads"}
    references: ClassVar[frozenset[str]] = frozenset({"kv_from"})

    @rule
    def _scales_its_own(self) -> None:
        if self.kv_from is not None and self.latent_scale != 1:
            raise ValueError("latent_scale and kv_from exclude each other: the layer below has the latents")

    @rule
    def _indexer_fits(self) -> None:
        if self.indexer is not None and self.indexer.head_dim is not None:
            if self.q_lora_rank is None:
                raise ValueError("an indexer needs q_lora_rank: its queries come from the compressed ones")
            if self.rope_theta is not None and self.indexer.head_dim < self.qk_rope_head_dim:
                raise ValueError(
                    f"indexer.head_dim ({self.indexer.head_dim}) must not be below qk_rope_head_dim"
                    f" ({self.qk_rope_head_dim}), the number of its values that are rotated"
                )

    @property
    def rotary_width(self) -> int:
        return self.qk_rope_head_dim

    def parts(self, d_model: int) -> Iterator[Part]:
        if self.q_lora_rank is not None:
            yield Linear("q_a_proj", d_model, self.q_lora_rank, bias=self.bias)
            yield Norm("q_a_norm", self.q_lora_rank, eps=INNER_EPS)
        yield Linear("q_b_proj", self.q_lora_rank or d_model, self.n_heads * self._qk_head_dim)
        if self.kv_from is None:
            yield Linear("kv_a_proj", d_model, self.kv_lora_rank + self.qk_rope_head_dim, bias=self.bias)
            yield Norm("kv_a_norm", self.kv_lora_rank, eps=INNER_EPS)
        yield Linear("kv_b_proj", self.kv_lora_rank, self.n_heads * (self.qk_nope_head_dim + self.v_head_dim))
        if self.indexer is not None and self.q_lora_rank is not None:
            yield from self.indexer.parts(d_model, self.q_lora_rank)
        yield Linear("o_proj", self.n_heads * self.v_head_dim, d_model, bias=self.bias)

    def cache(self) -> Iterator[Rows]:
        if self.kv_from is None:
            yield Rows("latent", self.kv_lora_rank)
            yield Rows("k_rope", self.qk_rope_head_dim)
        if self.indexer is not None:
            yield from self.indexer.cache()

    def shards(self) -> Mapping[str, Shard]:
        """All heads read one latent, so that each device has it."""
        heads = Units(self.n_heads)
        return {**column_parallel(heads, "q_b_proj", "kv_b_proj"), **row_parallel(heads, "o_proj")}

    def reads(self) -> Iterator[Read]:
        if self.kv_from is not None:
            yield Read("latent", self.kv_lora_rank, self.kv_from, FULL)
            yield Read("k_rope", self.qk_rope_head_dim, self.kv_from, FULL)
        if self.indexer is not None:
            yield from self.indexer.reads()

    def leaves(self) -> Iterator[Read]:
        if self.indexer is not None:
            yield from self.indexer.leaves()

    @property
    def multi_head_width(self) -> int:
        return self.n_heads * (self._qk_head_dim + self.v_head_dim)

    @property
    def title(self) -> str:
        return "Multi-head latent attention"

    @property
    def label(self) -> str:
        return "latent" if self.indexer is None else f"latent top {self.indexer.top_k:,}"

    @property
    def heads(self) -> str:
        return f"MLA {self.n_heads:,} heads"

    def mechanisms(self) -> Iterator[Mechanism]:
        phrase = "MLA" if self.indexer is None else f"MLA of {self.indexer.top_k:,} chosen tokens"
        yield Mechanism(self.kind, self.title, phrase, Telling.MIXING, page="multi-head-latent-attention")
        if self.indexer is not None:
            yield INDEXER
            yield from self.indexer.mechanisms()
        if self.kv_from is not None:
            yield SHARED_CACHE
        if self.temperature is not None:
            yield TEMPERATURE
        yield from (each for each in super().mechanisms() if each.tag != self.kind)

    def inside(self) -> Inside:
        queries: tuple[Step, ...] = (Step("queries", ("qk_nope_head_dim", "qk_rope_head_dim")),)
        if self.q_lora_rank is not None:
            queries = Step("compressed query", ("q_lora_rank",)), Step("q_a_norm", sort="norm"), *queries
        expanded = Step("keys, values", ("v_head_dim",), "expanded for a prompt, absorbed for one token")
        if self.kv_from is None:
            compressed = Step("compression", ("kv_lora_rank",)), Step("kv_a_norm", sort="norm")
            latents: tuple[Step, ...] = (*compressed, Step("latent", note="cached", sort="kept"), expanded)
            of_key = Step("shared key", note="for all heads, cached", sort="kept")
        else:
            latents = Step("latent", ("kv_lora_rank",), "of a layer below", "kept"), expanded
            of_key = Step("shared key", note="of a layer below", sort="kept")
        key = of_key if self.rope_theta is None else replace(of_key, name="rotary key")
        paths: tuple[tuple[Step, ...], ...] = (queries, latents, (key,))
        if self.indexer is not None:
            paths = (*paths, (Step("indexer", note=f"picks {self.indexer.top_k:,} tokens", sort="function"),))
        return Paths(paths), Step("attention", sort="function"), Step("output")

    def mixing(self) -> Iterator[Mixing]:
        """Scores with latents and rotary keys, then a weighted sum of latents (the absorbed form)."""
        seen = FULL if self.indexer is None else View(self.indexer.top_k)
        yield Mixing(2 * self.n_heads * (2 * self.kv_lora_rank + self.qk_rope_head_dim), seen)
        if self.indexer is not None:
            yield from self.indexer.mixing()

    def prompt_mixing(self) -> Iterator[Mixing]:
        """Scores and weighted sums of the keys and values that latents are expanded to."""
        attended, *others = self.mixing()
        yield Mixing(2 * self.n_heads * (self._qk_head_dim + self.v_head_dim), attended.view)
        yield from others

    @property
    def expanded_parts(self) -> frozenset[str]:
        return frozenset({"kv_b_proj"})

    def forward(self, m: Modules, x: Tensor, cache: LayerCache) -> Tensor:
        start, n_tokens = cache.length, x.shape[1]
        q_latent = x if self.q_lora_rank is None else m.q_a_norm(m.q_a_proj(x))
        q = m.q_b_proj(q_latent)
        q = q.unflatten(-1, (self.n_heads, -1)).transpose(1, 2)  # (batch, n_heads, n_tokens, qk_head_dim)
        q_nope, q_rope = q.split((self.qk_nope_head_dim, self.qk_rope_head_dim), dim=-1)
        q_rope = self.rotate(q_rope, start)

        latent, k_rope = self._rows(m, x, cache)
        mask = visible(start, n_tokens, latent.shape[1], None, None, x.device)
        if self.indexer is not None:
            interleaved = self.indexer.rope_interleaved
            chosen = self.indexer.choose(
                m, x, q_latent, lambda heads: self.rotate_first(heads, start, interleaved), mask, cache
            )
            if mask is None:
                latent, k_rope = chosen_rows(latent, chosen), chosen_rows(k_rope, chosen)
            else:
                mask = chosen_mask(chosen, mask)
        attention = self._absorbed if n_tokens == 1 else self._expanded
        temperature = None if self.temperature is None else self.temperature.at(cache.positions(start, x))
        return m.o_proj(attention(m, q_nope, q_rope, latent, k_rope, mask, temperature))

    def _rows(self, m: Modules, x: Tensor, cache: LayerCache) -> tuple[Tensor, Tensor]:
        """The latents and rotary keys of all tokens, each (batch, n_keys, width)."""
        if self.kv_from is not None:
            return cache.read("latent"), cache.read("k_rope")
        latent, k_rope = m.kv_a_proj(x).split((self.kv_lora_rank, self.qk_rope_head_dim), dim=-1)
        k_rope = self.rotate(k_rope.unsqueeze(1), cache.length).squeeze(1)
        latent = m.kv_a_norm(latent)
        if self.latent_scale != 1:
            latent = latent * self.latent_scale
        latent, k_rope = cache.append(latent=latent, k_rope=k_rope)
        return latent, k_rope

    def _expanded(
        self,
        m: Modules,
        q_nope: Tensor,
        q_rope: Tensor,
        latent: Tensor,
        k_rope: Tensor,
        mask: Tensor | None,
        temperature: Tensor | None,
    ) -> Tensor:
        """The form for prompts: latents are expanded to keys and values once for all queries."""
        import torch

        kv = m.kv_b_proj(latent).unflatten(-1, (self.n_heads, -1)).transpose(1, 2)
        k_nope, v = kv.split((self.qk_nope_head_dim, self.v_head_dim), dim=-1)
        k = torch.cat((k_nope, k_rope.unsqueeze(1).expand(-1, self.n_heads, -1, -1)), dim=-1)
        v = v.contiguous()  # fused GPU kernels cannot read an unaligned slice
        return attend(torch.cat((q_nope, q_rope), dim=-1), k, v, mask, self._scale, temperature=temperature)

    def _absorbed(
        self,
        m: Modules,
        q_nope: Tensor,
        q_rope: Tensor,
        latent: Tensor,
        k_rope: Tensor,
        mask: Tensor | None,
        temperature: Tensor | None,
    ) -> Tensor:
        """The form for one token: `kv_b_proj`'s key half projects the query, its value half the mixed latent."""
        import torch

        up = m.kv_b_proj.weight.unflatten(0, (self.n_heads, -1))  # (n_heads, nope + v, kv_lora_rank)
        up_k, up_v = up.split((self.qk_nope_head_dim, self.v_head_dim), dim=1)
        q_latent = q_nope @ up_k  # (batch, n_heads, 1, kv_lora_rank)
        keys = torch.cat((latent, k_rope), dim=-1).unsqueeze(1)
        q = torch.cat((q_latent, q_rope), dim=-1)
        mixed = attend(q, keys, latent.unsqueeze(1), mask, self._scale, temperature=temperature)
        mixed = mixed.unflatten(-1, (self.n_heads, -1)).transpose(1, 2)  # (batch, n_heads, 1, kv_lora_rank)
        return (mixed @ up_v.transpose(-1, -2)).transpose(1, 2).flatten(2)

    @property
    def _qk_head_dim(self) -> int:
        return self.qk_nope_head_dim + self.qk_rope_head_dim

    @property
    def _scale(self) -> float:
        stretched = self.rope_scaling.score_magnitude if isinstance(self.rope_scaling, YarnScaling) else 1.0
        return float(self._qk_head_dim**-0.5 * stretched * self.q_scale)
