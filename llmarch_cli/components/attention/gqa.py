"""Grouped-query attention (arXiv 2305.13245), with multi-head and multi-query attention as its two extremes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from llmarch_cli.components.attention.block_indexer import BlockIndexer
from llmarch_cli.components.attention.rotary import RotaryComponent
from llmarch_cli.components.attention.scores import Temperature, attend, linear_biases, visible
from llmarch_cli.components.cache import Mixing, Read, Rows, View
from llmarch_cli.components.component import LayerCache, Modules, Part
from llmarch_cli.components.fields import Count, Limits, Name, Positive, TokenCount
from llmarch_cli.components.mechanism import (
    INDEXER,
    SHARED_CACHE,
    SINKS,
    SUB_NORM,
    TEMPERATURE,
    Mechanism,
    Telling,
    window,
)
from llmarch_cli.components.parts import Linear, Norm, Vector
from llmarch_cli.components.record import rule
from llmarch_cli.components.shards import Shard, Units, column_parallel, row_parallel

if TYPE_CHECKING:
    from torch import Tensor


class GroupedQueryAttention(RotaryComponent):
    """`n_heads` query heads share `n_kv_heads` key and value heads; full attention, a sliding window or chunks.

    `qk_norm` normalises queries and keys. `per_head`: over each head's values, with weights shared by all heads;
    `per_head_weights`: the same values, with weights per head and no bias; `weightless`: the same values, without
    weights; `full`: over the values of all heads at once.
    """

    kind: Literal["gqa"]
    n_heads: Count
    n_kv_heads: Count
    head_dim: Count
    v_head_dim: Count | None = None  # the width of values; None: head_dim
    block_norms: bool = True  # false: none of the block's norms is there for this sublayer
    window: TokenCount | None = None  # attends to the last `window` tokens, itself included
    chunk: TokenCount | None = None  # attends within its chunk: positions with the same position // chunk
    rotary_dim: Annotated[Count, Limits(multiple_of=2)] | None = None  # rotates the first values of a head only
    qkv_bias: bool = False
    o_bias: bool = False
    qk_norm: Literal["per_head", "per_head_weights", "full", "weightless"] | None = None
    qk_norm_after_rope: bool = False
    rotary_pairs: Count | None = None  # rotates the first pairs of a head only, by the angles of a whole one
    v_norm: bool = False  # normalises each head's values, without weights
    values_from_keys: bool = False  # values are the projected keys, before their norm and rotation
    kv_from: Name | None = None  # a variant: its nearest layer below has keys and values, and this one has none
    k_norm_after_cache: bool = False  # keys are cached before their norm: each layer that reads them has its own
    value_scale: Positive = 1.0  # multiplies values before they are cached
    clip_qkv: Positive | None = None  # clamps queries, keys and values to +-clip_qkv, after a norm
    alibi: bool | Literal["unscaled"] = False  # linear distance biases (arXiv 2108.12409); true: scaled as the scores
    sinks: bool = False
    softcap: Positive | None = None
    score_scale: Positive | None = None  # None: head_dim ** -0.5
    temperature: Temperature | None = None
    output_gate: Literal["elementwise", "per_head"] | None = None  # scales each value, or each head, before o_proj
    output_gate_activation: Literal["sigmoid", "softplus"] = "sigmoid"
    indexer: BlockIndexer | None = None  # attends to the blocks of tokens that it chooses
    sub_norm: bool = False  # normalises what o_proj reads, over all heads at once (SubLN, arXiv 2210.06423)

    summarized: ClassVar[frozenset[str]] = RotaryComponent.summarized | {
        *("n_heads", "n_kv_heads", "head_dim", "v_head_dim"),
        *("window", "chunk", "rotary_dim", "rotary_pairs", "alibi"),
    }
    references: ClassVar[frozenset[str]] = frozenset({"kv_from"})

    @rule
    def _consistent(self) -> None:
        if self.n_heads % self.n_kv_heads:
            raise ValueError(f"n_heads ({self.n_heads}) must be a multiple of n_kv_heads ({self.n_kv_heads})")
        if self.window is not None and self.chunk is not None:
            raise ValueError("window and chunk exclude each other; remove one")
        if self.indexer is not None:
            self._require_fit(self.indexer)
        self._require_own_or_read()
        if self.rotary_dim is not None and self.rotary_dim > self.head_dim:
            raise ValueError(f"rotary_dim ({self.rotary_dim}) must not exceed head_dim ({self.head_dim})")
        if self.rope_theta is not None and (self.rotary_dim or self.head_dim) % 2:
            raise ValueError(
                f"head_dim ({self.head_dim}) must be even with rope_theta; change it, or give an even rotary_dim"
            )
        if self.alibi and self.rope_theta is not None:
            raise ValueError("alibi and rope_theta exclude each other: both encode positions; remove one")
        if self.qk_norm_after_rope and (self.rope_theta is None or self.qk_norm in (None, "full")):
            raise ValueError("qk_norm_after_rope needs rope_theta and a qk_norm per head, not full or null")
        if self.k_norm_after_cache and not self.qk_norm_after_rope:
            raise ValueError("k_norm_after_cache needs qk_norm_after_rope, because cached keys are rotated")
        if self.output_gate is None and self.output_gate_activation != "sigmoid":
            raise ValueError("output_gate_activation is set without output_gate; give one, or remove it")
        if self.clip_qkv is not None and self.qk_norm not in (None, "full"):
            raise ValueError(f"clip_qkv needs qk_norm full or null, not {self.qk_norm}")

    def _require_own_or_read(self) -> None:
        if self.kv_from is not None:
            for field in ("v_norm", "values_from_keys", "clip_qkv", "indexer"):
                if getattr(self, field):
                    raise ValueError(f"{field} and kv_from exclude each other: the layer below has the keys and values")
            if self.qk_norm == "full" or self.value_scale != 1:
                raise ValueError("kv_from needs qk_norm of heads or null, and value_scale 1")
        if self.values_from_keys and (self.v_width != self.head_dim or self.qk_norm == "full"):
            raise ValueError("values_from_keys needs values as wide as keys, and qk_norm of heads or null")
        if self.rotary_pairs is not None:
            if self.rope_theta is None or self.rotary_dim is not None:
                raise ValueError("rotary_pairs needs rope_theta, and no rotary_dim")
            if 2 * self.rotary_pairs > self.head_dim:
                raise ValueError(
                    f"rotary_pairs ({self.rotary_pairs}) must be at most half of head_dim ({self.head_dim})"
                )

    def _require_fit(self, indexer: BlockIndexer) -> None:
        for field in ("window", "chunk", "alibi"):
            if getattr(self, field):
                raise ValueError(f"{field} and indexer exclude each other: both say which tokens are seen; remove one")
        if self.n_kv_heads % indexer.n_heads:
            raise ValueError(
                f"n_kv_heads ({self.n_kv_heads}) must be a multiple of indexer.n_heads ({indexer.n_heads})"
            )
        if self.rope_theta is not None and indexer.head_dim < self.rotary_width:
            raise ValueError(
                f"indexer.head_dim ({indexer.head_dim}) must not be below the number of rotated values"
                f" ({self.rotary_width})"
            )

    @property
    def v_width(self) -> int:
        """The width of a head's values."""
        return self.v_head_dim or self.head_dim

    @property
    def rotary_width(self) -> int:
        return self.rotary_dim or self.head_dim

    @property
    def view(self) -> View:
        """The tokens in view; in a chunk, as many as its last token sees."""
        return View(self.window) if self.chunk is None else View(self.chunk, unit=self.chunk)

    def parts(self, d_model: int) -> Iterator[Part]:
        mixed_width = self.n_heads * self.v_width
        yield Linear("q_proj", d_model, self.n_heads * self.head_dim, bias=self.qkv_bias)
        if self.kv_from is None:
            yield Linear("k_proj", d_model, self.n_kv_heads * self.head_dim, bias=self.qkv_bias)
            if not self.values_from_keys:
                yield Linear("v_proj", d_model, self.n_kv_heads * self.v_width, bias=self.qkv_bias)
        if self.v_norm:
            yield Norm("v_norm", self.v_width, weightless=True)
        if self.qk_norm is not None:
            for name, n_heads in (("q_norm", self.n_heads), ("k_norm", self.n_kv_heads)):
                if name == "k_norm" and self.kv_from is not None and not self.k_norm_after_cache:
                    continue
                yield Norm(
                    name,
                    n_heads * self.head_dim if self.qk_norm == "full" else self.head_dim,
                    weightless=self.qk_norm == "weightless",
                    n_heads=n_heads if self.qk_norm == "per_head_weights" else None,
                )
        if self.indexer is not None:
            yield from self.indexer.parts(d_model)
        if self.sinks:
            yield Vector("sinks", self.n_heads)
        if self.output_gate is not None:
            yield Linear("gate_proj", d_model, mixed_width if self.output_gate == "elementwise" else self.n_heads)
        if self.sub_norm:
            yield Norm("sub_norm", mixed_width)
        yield Linear("o_proj", mixed_width, d_model, bias=self.o_bias)

    def cache(self) -> Iterator[Rows]:
        if self.kv_from is None:
            yield Rows("k", self.n_kv_heads * self.head_dim, self.view)
            yield Rows("v", self.n_kv_heads * self.v_width, self.view)
        if self.indexer is not None:
            yield from self.indexer.cache()

    def reads(self) -> Iterator[Read]:
        """The keys and values of the layer below, with `kv_from`."""
        if self.kv_from is not None:
            yield Read("k", self.n_kv_heads * self.head_dim, self.kv_from, self.view)
            yield Read("v", self.n_kv_heads * self.v_width, self.kv_from, self.view)

    def shards(self) -> Mapping[str, Shard]:
        """Query heads are divided; the key and value heads that they read go with them."""
        q, kv = Units(self.n_heads), Units(self.n_kv_heads, readers=self.n_heads)
        by_head = self.qk_norm in ("full", "per_head_weights")  # other norms have one head's weights, for all
        return {
            **column_parallel(q, "q_proj", "gate_proj", "sinks", "sub_norm", *["q_norm"] * by_head),
            **column_parallel(kv, "k_proj", "v_proj", "k", "v", *["k_norm"] * by_head),
            **row_parallel(q, "o_proj"),
        }

    @property
    def has_block_norms(self) -> bool:
        return self.block_norms

    @property
    def multi_head_width(self) -> int:
        return self.n_heads * (self.head_dim + self.v_width)

    @property
    def title(self) -> str:
        if self.n_kv_heads == self.n_heads:
            return "Multi-head attention"
        return "Multi-query attention" if self.n_kv_heads == 1 else "Grouped-query attention"

    @property
    def label(self) -> str:
        if self.indexer is not None:
            return f"top {self.indexer.top_k:,} blocks of {self.indexer.block:,}"
        return f"window {self.window:,}" if self.window else f"chunked {self.chunk:,}" if self.chunk else "full"

    @property
    def heads(self) -> str:
        width = f"{self.head_dim:,}" if self.v_width == self.head_dim else f"{self.head_dim:,}/{self.v_width:,}"
        if self.n_kv_heads == self.n_heads:
            return f"MHA {self.n_heads:,} x {width}"
        return f"{'MQA' if self.n_kv_heads == 1 else 'GQA'} {self.n_heads:,}:{self.n_kv_heads:,} x {width}"

    def mechanisms(self) -> Iterator[Mechanism]:
        heads, _, counts = self.heads.partition(" ")
        multi = self.n_kv_heads == self.n_heads
        page = "multi-head-attention" if multi else "grouped-query-attention"
        phrase = heads if multi else f"{heads} {counts.partition(' ')[0]}"
        telling = Telling.COMMON if multi or self.n_kv_heads > 1 else Telling.DETAIL  # one key head is rare
        yield Mechanism(heads.lower(), self.title, phrase, telling, page=page)
        if self.window is not None:
            yield window(self.window)
        if self.chunk is not None:
            phrase = f"chunks of {self.chunk:,}"
            yield Mechanism(
                "chunked", "Chunked attention", phrase, Telling.MIXING, by_layer=True, page="windows-and-chunks"
            )
        if self.indexer is not None:
            phrase = f"{self.indexer.top_k:,} blocks of {self.indexer.block:,} chosen"
            yield Mechanism(
                "block_sparse", "Block-sparse attention", phrase, Telling.MIXING, by_layer=True, page="sparse-attention"
            )
            yield INDEXER
        if self.kv_from is not None:
            yield SHARED_CACHE
        if self.values_from_keys:
            yield Mechanism("values_from_keys", "Keys are also values", "keys as values", by_layer=True)
        if self.sinks:
            yield SINKS
        if self.output_gate is not None:
            yield Mechanism("output_gate", "Gated attention", "gated attention")
        if self.qk_norm is not None:
            yield Mechanism("qk_norm", "Norm of queries and keys", "QK norm", page="norms")
        if self.alibi:
            yield Mechanism("alibi", "Linear distance biases", "ALiBi", page="rotary-and-nope")
        if self.temperature is not None:
            yield TEMPERATURE
        if self.softcap is not None:
            yield Mechanism("softcap", "Capped scores", "capped scores")
        if self.clip_qkv is not None:
            yield Mechanism("clip_qkv", "Clamped queries, keys and values", "clamped QKV")
        if self.sub_norm:
            yield SUB_NORM
        if self.rotary_dim is not None or self.rotary_pairs is not None:
            share = self.positions.rpartition(" on ")[2]
            yield Mechanism("partial_rope", "Partial rotary embedding", f"RoPE on {share}", Telling.COMMON)
        if self.qkv_bias:
            yield Mechanism("qkv_bias", "Biases of queries, keys and values", "QKV biases", Telling.COMMON)
        yield from (each for each in super().mechanisms() if each.tag != self.kind)

    @property
    def positions(self) -> str:
        if self.alibi:
            return "ALiBi" if self.alibi is True else f"ALiBi {self.alibi}"
        rotated = self.rotary_dim if self.rotary_pairs is None else 2 * self.rotary_pairs
        share = "" if rotated is None else f" on {rotated:,} of {self.head_dim:,}"
        return f"{super().positions}{share}"

    @property
    def turned_pairs(self) -> int | None:
        return self.rotary_pairs

    def mixing(self) -> Iterator[Mixing]:
        """Queries times keys, then weights times values: n_heads * width multiply-adds each per token in view."""
        seen = self.view if self.indexer is None else self.indexer.view
        yield Mixing(2 * self.n_heads * (self.head_dim + self.v_width), seen)
        if self.indexer is not None:
            yield from self.indexer.mixing()

    def forward(self, m: Modules, x: Tensor, cache: LayerCache) -> Tensor:
        start, n_tokens = cache.length, x.shape[1]
        q = self._placed(m.q_norm if self.qk_norm else None, m.q_proj(x), start)  # (batch, heads, n_tokens, head_dim)
        keys, values = (cache.read("k"), cache.read("v")) if self.kv_from is not None else self._own(m, x, start, cache)
        scale = self.head_dim**-0.5 if self.score_scale is None else self.score_scale
        mask = visible(start, n_tokens, keys.shape[1], self.window, self.chunk, x.device)
        heads = self._heads(keys), values.unflatten(-1, (-1, self.v_width)).transpose(1, 2)
        if self.k_norm_after_cache:
            heads = m.k_norm(heads[0]), heads[1]
        if self.indexer is not None:
            chosen = self.indexer.choose(m, x, lambda heads: self.rotate_first(heads, start), mask, cache)
            if mask is None:
                heads, mask = self.indexer.chosen_rows(heads, chosen)
            else:
                mask = self.indexer.chosen_mask(self.n_kv_heads, chosen, mask)
        mixed = attend(
            q,
            *heads,
            mask=mask,
            scale=scale,
            softcap=self.softcap,
            temperature=None if self.temperature is None else self.temperature.at(cache.positions(start, x)),
            sinks=m.sinks if self.sinks else None,
            biases=self._biases(start + n_tokens, keys, scale) if self.alibi else None,
        )
        if self.output_gate is not None:
            mixed = self._gated(mixed, m.gate_proj(x))
        return m.o_proj(m.sub_norm(mixed) if self.sub_norm else mixed)

    def _own(self, m: Modules, x: Tensor, start: int, cache: LayerCache) -> tuple[Tensor, ...]:
        """The layer's own keys and values in view, each (batch, n_keys, kv_width), with those of `x` stored."""
        projected = m.k_proj(x)
        v = projected if self.values_from_keys else m.v_proj(x)
        k = self._placed(m.k_norm if self.qk_norm and not self.k_norm_after_cache else None, projected, start)
        if self.clip_qkv is not None:
            v = v.clamp(-self.clip_qkv, self.clip_qkv)
        if self.value_scale != 1:
            v = v * self.value_scale
        if self.v_norm:
            v = m.v_norm(v.unflatten(-1, (-1, self.v_width))).flatten(2)
        return cache.append(k=k.transpose(1, 2).flatten(2), v=v)

    def _placed(self, norm: Any, x: Tensor, start: int) -> Tensor:
        """Queries or keys (batch, n_tokens, width), normalised and rotated, as (batch, heads, n_tokens, head_dim)."""
        if self.qk_norm == "full":
            x = norm(x)
        if self.clip_qkv is not None:
            x = x.clamp(-self.clip_qkv, self.clip_qkv)
        heads = self._heads(x)
        norm = None if self.qk_norm == "full" else norm
        if norm is not None and not self.qk_norm_after_rope:
            heads = norm(heads)
        heads = self.rotate_first(heads, start)
        return norm(heads) if norm is not None and self.qk_norm_after_rope else heads

    def _gated(self, mixed: Tensor, gate: Tensor) -> Tensor:
        """Scale (batch, n_tokens, n_heads * v_width) by the activated gate, for each value or for each head."""
        import torch.nn.functional as F

        activate = F.softplus if self.output_gate_activation == "softplus" else F.sigmoid
        scale = activate(gate.float()).to(mixed.dtype)
        if self.output_gate == "per_head":
            return (mixed.unflatten(-1, (self.n_heads, -1)) * scale.unsqueeze(-1)).flatten(2)
        return mixed * scale

    def _heads(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (-1, self.head_dim)).transpose(1, 2)

    def _biases(self, end: int, keys: Tensor, scale: float) -> Tensor:
        """The distance biases of `keys` (batch, n_keys, ...) before position `end`, to add before scaling."""
        if self.alibi is True:
            return linear_biases(self.n_heads, end, keys.shape[1], keys.device, rounded=True)
        return linear_biases(self.n_heads, end, keys.shape[1], keys.device) / scale
