"""Block-sparse attention by an indexer (arXiv 2606.13392).

Small heads score every earlier token, and attention sees the blocks whose best token scores highest.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Annotated

from llmarch_cli.components import counting
from llmarch_cli.components.cache import Mixing, Rows, View
from llmarch_cli.components.component import LayerCache, Modules
from llmarch_cli.components.fields import Count, Limits, TokenCount
from llmarch_cli.components.parts import Linear, Norm, Weights
from llmarch_cli.components.record import Record, rule

if TYPE_CHECKING:
    from torch import Tensor


class BlockIndexer(Record):
    """Chooses the `top_k` blocks of `block` tokens that a token attends to.

    Each of `n_heads` queries scores one key of every token, and chooses blocks for its share of the key heads of the
    attention component around it. A block's score is that of its best token; the last `local` blocks are always chosen.
    """

    n_heads: Count
    head_dim: Count
    block: TokenCount
    top_k: Annotated[int, Limits(gt=0, le=2**20)]
    local: Annotated[int, Limits(ge=0, le=2**20)] = 1  # blocks, the token's own included

    @rule
    def _local_blocks_fit(self) -> None:
        if self.local > self.top_k:
            raise ValueError(
                f"local ({self.local}) must not exceed top_k ({self.top_k}), which counts these blocks too"
            )

    @property
    def view(self) -> View:
        """The rows that attention sees: of whole blocks, one of which is the token's own."""
        return View(self.top_k * self.block, unit=self.block)

    def parts(self, d_model: int) -> Iterator[Weights]:
        """The weights, for a stream of `d_model` values."""
        yield Linear("index_q_proj", d_model, self.n_heads * self.head_dim)
        yield Linear("index_k_proj", d_model, self.head_dim)
        yield Norm("index_q_norm", self.head_dim)
        yield Norm("index_k_norm", self.head_dim)

    def cache(self) -> Iterator[Rows]:
        """One key a token, beside what attention keeps."""
        yield Rows("index_k", self.head_dim, of="index")

    def mixing(self) -> Iterator[Mixing]:
        """Queries times keys, of every token, chosen or not."""
        yield Mixing(2 * self.n_heads * self.head_dim)

    def choose(
        self, m: Modules, x: Tensor, rotate: Callable[[Tensor], Tensor], mask: Tensor | None, cache: LayerCache
    ) -> Tensor:
        """The blocks that each of `x` (batch, n_tokens, d_model) attends to: (batch, n_heads, n_tokens, n_chosen).

        `rotate` turns heads (batch, n_heads, n_tokens, head_dim); `mask` (n_tokens, n_keys) tells the tokens that are
        seen. Blocks that are not seen are chosen where too few are: mask them.
        """
        import torch
        import torch.nn.functional as F

        q = rotate(m.index_q_norm(m.index_q_proj(x).unflatten(-1, (self.n_heads, -1))).transpose(1, 2))
        k = rotate(m.index_k_norm(m.index_k_proj(x)).unsqueeze(1)).squeeze(1)
        (keys,) = cache.append(index_k=k)  # (batch, n_keys, head_dim)
        with counting.over_pairs(mask):
            scores = q.float() @ keys.float().unsqueeze(1).transpose(-1, -2)
        if mask is not None:
            scores = scores.masked_fill(~mask, float("-inf"))
        n_keys, n_tokens = keys.shape[1], x.shape[1]
        n_blocks = -(-n_keys // self.block)
        padded = F.pad(scores, (0, n_blocks * self.block - n_keys), value=float("-inf"))
        best = padded.unflatten(-1, (n_blocks, self.block)).amax(-1)  # (batch, n_heads, n_tokens, n_blocks)
        own = torch.arange(n_keys - n_tokens, n_keys, device=x.device).unsqueeze(-1) // self.block
        distance = own - torch.arange(n_blocks, device=x.device)
        best = best.masked_fill((distance >= 0) & (distance < self.local), float("inf"))
        return best.topk(min(self.top_k, n_blocks), dim=-1)[1]

    def chosen_rows(self, heads: tuple[Tensor, Tensor], chosen: Tensor) -> tuple[tuple[Tensor, Tensor], Tensor | None]:
        """The keys and values in one token's chosen blocks, and a mask of those that are there.

        `heads` are keys and values (batch, n_kv_heads, n_keys, width); `chosen` is (batch, n_heads, 1, n_chosen). All
        blocks may be chosen; then nothing is copied.
        """
        import torch

        n_kv_heads, n_keys = heads[0].shape[1:3]
        if n_keys <= self.top_k * self.block:
            return heads, None
        inside = torch.arange(self.block, device=chosen.device)
        rows = (chosen.squeeze(2).unsqueeze(-1) * self.block + inside).flatten(2)  # (batch, n_heads, n_rows)
        rows = rows.repeat_interleave(n_kv_heads // self.n_heads, dim=1)
        there = (rows < n_keys).unsqueeze(2)  # the last block may not be full yet
        rows = rows.clamp(max=n_keys - 1).unsqueeze(-1)
        keys, values = (each.gather(2, rows.expand(-1, -1, -1, each.shape[-1])) for each in heads)
        return (keys, values), there

    def chosen_mask(self, n_kv_heads: int, chosen: Tensor, mask: Tensor) -> Tensor:
        """`mask` (n_tokens, n_keys) without what was not chosen: (batch, n_kv_heads, n_tokens, n_keys)."""
        import torch

        n_keys = mask.shape[-1]
        n_blocks = -(-n_keys // self.block)
        none = torch.zeros((*chosen.shape[:-1], n_blocks), dtype=torch.bool, device=chosen.device)
        blocks = none.scatter(-1, chosen, torch.ones_like(chosen, dtype=torch.bool))
        tokens = blocks.repeat_interleave(self.block, dim=-1)[..., :n_keys]
        return (tokens & mask).repeat_interleave(n_kv_heads // self.n_heads, dim=1)
