"""A mixer behind a transformer block that several layers share (Zamba2, arXiv 2411.15242, section 2).

The block reads the stream beside the token's embedding. What it gives is added to what the mixer reads, and not to the
stream. All layers of the variant have one block, to which each adds matrices of low rank.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from llmarch_cli.components.attention.mamba import Mamba
from llmarch_cli.components.attention.mamba2 import Mamba2
from llmarch_cli.components.attention.rotary import RotaryComponent
from llmarch_cli.components.attention.scores import attend, visible
from llmarch_cli.components.cache import Mixing, Read, Rows
from llmarch_cli.components.component import Child, LayerCache, Modules, Part
from llmarch_cli.components.ffn.gate import Activation, activate, require_fixed
from llmarch_cli.components.fields import BY_KIND, Count, Positive
from llmarch_cli.components.mechanism import Mechanism, Telling
from llmarch_cli.components.parts import Linear, Norm
from llmarch_cli.components.record import rule
from llmarch_cli.components.shards import Shard, Units, column_parallel, row_parallel

if TYPE_CHECKING:
    from torch import Tensor


class SharedBlockMixer(RotaryComponent):
    """Attention over 2 * channels values, and a gated feed-forward layer; both without a residual connection."""

    kind: Literal["shared_block"]
    channels: Count  # of the residual stream, and of the token's embedding
    n_heads: Count
    head_dim: Count
    d_ff: Count
    adapter_rank: Count  # of each layer's own matrices beside those of the feed-forward layer
    attention_adapters: bool = False  # also beside those of queries, keys and values
    activation: Activation = "gelu"
    bias: bool = False  # of the feed-forward layer
    score_scale: Positive | None = None  # None: head_dim ** -0.5
    mixer: Annotated[Mamba | Mamba2, BY_KIND]

    summarized: ClassVar[frozenset[str]] = RotaryComponent.summarized | {"channels", "n_heads", "head_dim"}

    @rule
    def _fits(self) -> None:
        require_fixed(self.activation)
        if self.rope_theta is not None and self.head_dim % 2:
            raise ValueError(f"head_dim ({self.head_dim}) must be even with rope_theta")

    @property
    def rotary_width(self) -> int:
        return self.head_dim

    @property
    def stream_width(self) -> int:
        return self.channels

    @property
    def has_block_norms(self) -> bool:
        return False

    @property
    def shared_parts(self) -> frozenset[str]:
        attention = ("input_norm", "q_proj", "k_proj", "v_proj", "o_proj")
        return frozenset({*attention, "ffn_norm", "gate_proj", "up_proj", "down_proj"})

    @property
    def title(self) -> str:
        return "Mixer behind a shared block"

    @property
    def label(self) -> str:
        return f"{self.mixer.label} behind shared attention"

    def mechanisms(self) -> Iterator[Mechanism]:
        yield from self.mixer.mechanisms()
        phrase = "a shared block"
        yield Mechanism(
            self.kind, "Shared transformer block", phrase, Telling.MIXING, by_layer=True, page="shared-weights"
        )
        yield from (each for each in super().mechanisms() if each.tag != self.kind)

    @property
    def heads(self) -> str:
        return f"{self.mixer.heads} + MHA {self.n_heads:,} x {self.head_dim:,}".removeprefix(" + ")

    @property
    def _width(self) -> int:
        return self.n_heads * self.head_dim

    def parts(self, d_model: int) -> Iterator[Part]:
        yield Norm("input_norm", 2 * d_model)
        for name in "qkv":
            yield Linear(f"{name}_proj", 2 * d_model, self._width)
        for name in "qkv" if self.attention_adapters else "":
            yield Linear(f"{name}_adapter_down", 2 * d_model, self.adapter_rank)
            yield Linear(f"{name}_adapter_up", self.adapter_rank, self._width)
        yield Linear("o_proj", self._width, d_model)
        yield Norm("ffn_norm", d_model)
        yield Linear("gate_proj", d_model, self.d_ff, bias=self.bias)
        yield Linear("up_proj", d_model, self.d_ff, bias=self.bias)
        yield Linear("adapter_down", d_model, self.adapter_rank)
        yield Linear("gate_adapter_up", self.adapter_rank, self.d_ff)
        yield Linear("up_adapter_up", self.adapter_rank, self.d_ff)
        yield Linear("down_proj", self.d_ff, d_model, bias=self.bias)
        yield Linear("block_proj", d_model, d_model)
        yield Norm("mixer_norm", d_model)
        yield Child("mixer", self.mixer)

    def cache(self) -> Iterator[Rows]:
        yield Rows("k", self._width)
        yield Rows("v", self._width)

    def shards(self) -> Mapping[str, Shard]:
        """Heads and hidden values of the block are divided, with what its adapters add to them."""
        heads, hidden = Units(self.n_heads), Units(self.d_ff)
        by_head = [f"{name}_{rest}" for name in "qkv" for rest in ("proj", "adapter_up")]
        return {
            **column_parallel(heads, *by_head, "k", "v"),
            **row_parallel(heads, "o_proj"),
            **column_parallel(hidden, "gate_proj", "up_proj", "gate_adapter_up", "up_adapter_up"),
            **row_parallel(hidden, "down_proj"),
        }

    def reads(self) -> Iterator[Read]:
        yield Read("embeddings", self.channels)

    def mixing(self) -> Iterator[Mixing]:
        """Queries times keys, then weights times values."""
        yield Mixing(4 * self._width)

    def forward(self, m: Modules, x: Tensor, cache: LayerCache) -> Tensor:
        import torch

        joined = m.input_norm(torch.cat((x, cache.read("embeddings")), dim=-1))
        block = m.block_proj(self._feed_forward(m, m.ffn_norm(self._attention(m, joined, cache))))
        mixed: Tensor = m.mixer(m.mixer_norm(x + block), cache)
        return mixed

    def _attention(self, m: Modules, x: Tensor, cache: LayerCache) -> Tensor:
        """(batch, n_tokens, 2 * d_model) -> (batch, n_tokens, d_model)."""
        start, n_tokens = cache.length, x.shape[1]
        projected = [getattr(m, f"{name}_proj")(x) for name in "qkv"]
        if self.attention_adapters:
            adapters = [(getattr(m, f"{name}_adapter_down"), getattr(m, f"{name}_adapter_up")) for name in "qkv"]
            projected = [own + up(down(x)) for own, (down, up) in zip(projected, adapters, strict=True)]
        q, k, v = projected
        q, k = (self.rotate(self._heads(each), start) for each in (q, k))
        keys, values = cache.append(k=k.transpose(1, 2).flatten(2), v=v)
        mask = visible(start, n_tokens, keys.shape[1], None, None, x.device)
        scale = self.head_dim**-0.5 if self.score_scale is None else self.score_scale
        out: Tensor = m.o_proj(attend(q, self._heads(keys), self._heads(values), mask, scale))
        return out

    def _feed_forward(self, m: Modules, x: Tensor) -> Tensor:
        narrow = m.adapter_down(x)
        gate = m.gate_proj(x) + m.gate_adapter_up(narrow)
        out: Tensor = m.down_proj(activate(self.activation, gate) * (m.up_proj(x) + m.up_adapter_up(narrow)))
        return out

    def _heads(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self.n_heads, -1)).transpose(1, 2)
