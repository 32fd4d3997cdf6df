"""Attention to a window and to compressed rows (DeepSeek-V4's technical report, section 2.3).

Keys are also the values, in one head that all query heads share. Earlier tokens are seen as rows that stand for
`stride` tokens each: for all of them (heavily compressed attention), or for those that an indexer chooses
(compressed sparse attention).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from llmarch_cli.components.attention.indexer import best_rows, chosen_mask, chosen_rows
from llmarch_cli.components.attention.rope_scaling import DynamicScaling, LongRopeScaling, SteppedScaling
from llmarch_cli.components.attention.rotary import RotaryComponent
from llmarch_cli.components.attention.scores import attend, visible
from llmarch_cli.components.cache import Mixing, Rows, State, View
from llmarch_cli.components.component import Child, LayerCache, Modules, Part
from llmarch_cli.components.fields import Count, Limits, TokenCount
from llmarch_cli.components.mechanism import INDEXER, SINKS, Mechanism, Telling, window
from llmarch_cli.components.parts import BlockDiagonal, Linear, Matrix, Norm, Vector
from llmarch_cli.components.record import Record, rule
from llmarch_cli.components.shards import Shard, Units, column_parallel, row_parallel

if TYPE_CHECKING:
    from torch import Tensor

Stride = Annotated[Count, Limits(gt=1)]


class CompressedIndexer(Record):
    """Chooses the `top_k` compressed rows that a token attends to, for all heads.

    Its `n_heads` queries come from the compressed queries, and meet one key of each compressed row: a second, narrower
    compression of the same tokens. The score is the heads' products, cut at zero, weighted by the token and summed.
    """

    n_heads: Count
    head_dim: Count
    top_k: TokenCount


class RowCompressor(RotaryComponent):
    """One row of `width` values for each `stride` tokens: a sum of their projections, weighted value by value.

    The weights are a softmax over the tokens of a row, of a second projection and a learned bias of each place. With
    `overlap` a row also sums a second projection of the tokens of the row before.
    """

    width: Count
    stride: Stride
    overlap: bool
    rotary_dim: Annotated[Count, Limits(multiple_of=2)]
    of: Literal["values", "index"]

    @property
    def rotary_width(self) -> int:
        return self.rotary_dim

    def parts(self, d_model: int) -> Iterator[Part]:
        width = self.width * (1 + self.overlap)
        yield Linear("value_proj", d_model, width)
        yield Linear("gate_proj", d_model, width)
        yield Matrix("place_biases", self.stride, width)
        yield Norm("norm", self.width)

    def cache(self) -> Iterator[Rows | State]:
        yield Rows("rows", self.width, View(None, self.stride), self.of)
        yield State("inputs", (self.stride - 1, 2 * self.width), "bf16", partial=True)
        if self.overlap:
            yield State("overlapping", (2 * self.stride - 1, 2 * self.width), "bf16", partial=True)

    def forward(self, m: Modules, x: Tensor, cache: LayerCache) -> Tensor:
        """All complete rows after the tokens x (batch, n_tokens, d_model): (batch, n_rows, width)."""
        import torch

        start, n_tokens = cache.length, x.shape[1]
        first, end = start // self.stride, (start + n_tokens) // self.stride  # of the new rows
        made, weighed = m.value_proj(x), m.gate_proj(x)
        # Of two series, the first one is for the row behind a token's own.
        own = torch.cat((made[..., -self.width :], weighed[..., -self.width :]), dim=-1)
        values, gates = self._places(cache.extended("inputs", own), first, end, start - self.stride + 1)
        gates = gates + m.place_biases[:, -self.width :]
        if self.overlap:
            ahead = made[..., : self.width], weighed[..., : self.width]
            earlier = cache.extended("overlapping", torch.cat(ahead, dim=-1))
            more, more_gates = self._places(earlier, first - 1, end - 1, start - 2 * self.stride + 1)
            more_gates = more_gates + m.place_biases[:, : self.width]
            values = torch.cat((more, values), dim=2)
            gates = torch.cat((more_gates, gates), dim=2)
            if first == 0:  # nothing is before the first row
                row = torch.arange(0, end, device=x.device).view(-1, 1, 1)
                place = torch.arange(0, 2 * self.stride, device=x.device).view(1, -1, 1)
                gates = gates.masked_fill((row < 1) & (place < self.stride), float("-inf"))
        shares = gates.softmax(dim=2, dtype=torch.float32).to(values.dtype)
        rows = m.norm((values * shares).sum(dim=2))
        rows = self.rotate_last(rows.unsqueeze(1), first * self.stride, step=self.stride).squeeze(1)
        (rows,) = cache.append(rows=rows)
        return rows

    def _places(self, inputs: Tensor, first: int, end: int, start: int) -> tuple[Tensor, Tensor]:
        """Values and gates, each (batch, n_rows, stride, width), of the rows `first` to `end`.

        `inputs` (batch, n, 2 * width) are those of the tokens from `start` on.
        """
        begin = first * self.stride - start
        inside = inputs[:, begin : begin + (end - first) * self.stride]
        rows = inside.reshape(inputs.shape[0], end - first, self.stride, 2 * self.width)
        values, gates = rows.split((self.width, self.width), dim=-1)
        return values, gates


class CompressedAttention(RotaryComponent):
    """Query heads over the keys of a window and over compressed rows, both one head that is read as values too.

    The rotated values of the output are turned back by its own position, because values were turned with the keys.
    Each head has a sink. The output projection has two steps: one matrix for each of `o_groups` groups of heads, to
    `o_lora_rank` values, and one for all of these.
    """

    kind: Literal["compressed"]
    n_heads: Count
    head_dim: Count
    q_lora_rank: Count
    o_lora_rank: Count
    o_groups: Count
    window: TokenCount
    rotary_dim: Annotated[Count, Limits(multiple_of=2)]  # the last values of a head
    stride: Stride | None = None  # tokens of a compressed row; None: no compressed rows
    overlap: bool = False
    indexer: CompressedIndexer | None = None

    summarized: ClassVar[frozenset[str]] = RotaryComponent.summarized | {"n_heads", "head_dim", "window", "stride"}

    @rule
    def _fits(self) -> None:
        if self.n_heads % self.o_groups:
            raise ValueError(f"n_heads ({self.n_heads}) must be a multiple of o_groups ({self.o_groups})")
        if self.stride is None:
            for field in ("overlap", "indexer"):
                if getattr(self, field):
                    raise ValueError(f"{field} is for compressed rows; give a stride, or remove {field}")
        narrowest = self.head_dim if self.indexer is None else min(self.head_dim, self.indexer.head_dim)
        if self.rotary_dim > narrowest:
            raise ValueError(f"rotary_dim ({self.rotary_dim}) must not exceed the width of a head ({narrowest})")
        if isinstance(self.rope_scaling, DynamicScaling | SteppedScaling | LongRopeScaling):
            raise ValueError(
                f"rope_scaling {self.rope_scaling.kind} depends on the tokens seen, but the output is turned back by"
                " fixed angles; use linear, ntk_by_parts or yarn"
            )

    @property
    def rotary_width(self) -> int:
        return self.rotary_dim

    @property
    def multi_head_width(self) -> int:
        return 2 * self.n_heads * self.head_dim

    @property
    def label(self) -> str:
        text = f"window {self.window:,}"
        if self.stride is not None:
            text += f", 1 row for {self.stride:,}"
        return text if self.indexer is None else f"{text}, top {self.indexer.top_k:,}"

    def mechanisms(self) -> Iterator[Mechanism]:
        phrase = "" if self.stride is None else "compressed rows"
        yield Mechanism(self.kind, self.title, phrase, Telling.MIXING, by_layer=True, page="compressed-attention")
        if self.indexer is not None:
            yield INDEXER
        yield window(self.window) if self.stride is None else replace(window(self.window), phrase="")
        yield SINKS
        yield from (each for each in super().mechanisms() if each.tag != self.kind)

    @property
    def heads(self) -> str:
        return f"K = V {self.n_heads:,}:1 x {self.head_dim:,}"

    def parts(self, d_model: int) -> Iterator[Part]:
        yield Linear("q_a_proj", d_model, self.q_lora_rank)
        yield Norm("q_a_norm", self.q_lora_rank)
        yield Linear("q_b_proj", self.q_lora_rank, self.n_heads * self.head_dim)
        yield Norm("q_norm", self.head_dim, weightless=True)
        yield Linear("kv_proj", d_model, self.head_dim)
        yield Norm("kv_norm", self.head_dim)
        if self.stride is not None:
            yield Child("compressor", self._compressor(self.head_dim, "values"))
        if self.indexer is not None:
            yield Linear("index_q_proj", self.q_lora_rank, self.indexer.n_heads * self.indexer.head_dim)
            yield Linear("index_weights_proj", d_model, self.indexer.n_heads)
            yield Child("index_compressor", self._compressor(self.indexer.head_dim, "index"))
        yield Vector("sinks", self.n_heads)
        yield BlockDiagonal("o_a_proj", self.o_groups, self.n_heads * self.head_dim // self.o_groups, self.o_lora_rank)
        yield Linear("o_b_proj", self.o_groups * self.o_lora_rank, d_model)

    def _compressor(self, width: int, of: Literal["values", "index"]) -> RowCompressor:
        assert self.stride is not None
        return RowCompressor.model_construct(
            width=width,
            stride=self.stride,
            overlap=self.overlap,
            of=of,
            rotary_dim=self.rotary_dim,
            rope_theta=self.rope_theta,
            rope_scaling=self.rope_scaling,
            rope_interleaved=self.rope_interleaved,
            rope_reversed=self.rope_reversed,
        )

    def cache(self) -> Iterator[Rows | State]:
        yield Rows("kv", self.head_dim, View(self.window))

    def shards(self) -> Mapping[str, Shard]:
        """Groups of heads are divided, with their part of the output projection; all read the same rows."""
        groups, heads = Units(self.o_groups), Units(self.n_heads)
        return {
            **column_parallel(heads, "q_b_proj", "sinks"),
            **column_parallel(groups, "o_a_proj"),
            **row_parallel(groups, "o_b_proj"),
        }

    def mixing(self) -> Iterator[Mixing]:
        """Scores and weighted sums for the window and the rows attended to; the indexer's scores for all rows."""
        row = 4 * self.n_heads * self.head_dim
        yield Mixing(row, View(self.window))
        if self.stride is not None:
            chosen = None if self.indexer is None else self.indexer.top_k * self.stride
            yield Mixing(row, View(chosen, self.stride))
        if self.indexer is not None:
            yield Mixing(2 * self.indexer.n_heads * (self.indexer.head_dim + 1), View(None, self.stride or 1))

    def forward(self, m: Modules, x: Tensor, cache: LayerCache) -> Tensor:
        import torch

        start, n_tokens = cache.length, x.shape[1]
        q_latent = m.q_a_norm(m.q_a_proj(x))
        q = m.q_norm(m.q_b_proj(q_latent).unflatten(-1, (self.n_heads, -1)).transpose(1, 2))
        q = self.rotate_last(q, start)
        kv = self.rotate_last(m.kv_norm(m.kv_proj(x)).unsqueeze(1), start).squeeze(1)
        (keys,) = cache.append(kv=kv)
        mask = visible(start, n_tokens, keys.shape[1], self.window, None, x.device)
        if self.stride is not None:
            rows = m.compressor(x, cache)
            complete = None
            if n_tokens > 1:
                tokens = torch.arange(start, start + n_tokens, device=x.device).unsqueeze(-1)
                complete = torch.arange(0, rows.shape[1], device=x.device) < (tokens + 1) // self.stride
            if self.indexer is not None:
                chosen = self._chosen(m, x, q_latent, complete, cache)
                if complete is None:
                    rows = chosen_rows(rows, chosen)
                else:
                    complete = chosen_mask(chosen, complete)
            keys = torch.cat((keys, rows), dim=1)
            mask = _joined(mask, complete)
        keys = keys.unsqueeze(1)
        mixed = attend(q, keys, keys, mask, self.head_dim**-0.5, sinks=m.sinks)
        heads = mixed.unflatten(-1, (self.n_heads, -1)).transpose(1, 2)
        heads = self.rotate_last(heads, start, back=True).transpose(1, 2).flatten(2)
        grouped = m.o_a_proj(heads.unflatten(-1, (self.o_groups, -1)))
        return m.o_b_proj(grouped.flatten(2))

    def _chosen(self, m: Modules, x: Tensor, q_latent: Tensor, complete: Tensor | None, cache: LayerCache) -> Tensor:
        """The numbers of the rows that each token attends to, the best first: (batch, n_tokens, n_chosen)."""
        assert self.indexer is not None
        q = m.index_q_proj(q_latent).unflatten(-1, (self.indexer.n_heads, -1)).transpose(1, 2)
        q = self.rotate_last(q, cache.length)
        keys = m.index_compressor(x, cache)
        return best_rows(q, keys, m.index_weights_proj(x), complete, self.indexer.top_k)


def _joined(window: Tensor | None, complete: Tensor | None) -> Tensor | None:
    """One mask of the window's keys (n_tokens, n_keys) and of the rows behind them; None if a token sees all."""
    import torch

    if window is None or complete is None:
        assert window is complete, "one token sees its whole window and all rows"
        return None
    if complete.ndim == 4:
        window = window.expand(complete.shape[0], 1, -1, -1)
    return torch.cat((window, complete), dim=-1)
