"""Sparse attention by an indexer (DeepSeek Sparse Attention, arXiv 2512.02556, section 2.1).

Small heads score every earlier token, and attention sees the best of them only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, ClassVar

from llmarch_cli.components import counting
from llmarch_cli.components.cache import Mixing, Read, Rows
from llmarch_cli.components.component import LayerCache, Modules
from llmarch_cli.components.fields import Count, Name, TokenCount
from llmarch_cli.components.mechanism import Mechanism, Telling
from llmarch_cli.components.parts import Linear, Norm, Weights
from llmarch_cli.components.record import Record, rule

if TYPE_CHECKING:
    from torch import Tensor

# Epsilon of the keys' norm, whatever the model's.
KEY_EPS = 1e-6


class Indexer(Record):
    """Chooses the `top_k` tokens that a token attends to, for all heads of an attention component around it.

    Its `n_heads` queries come from the attention's compressed queries, and meet one key of a token, which is cached.
    The score is the heads' products, cut at zero, weighted by the querying token and summed. With `indices_from` it
    has neither weights nor keys: it reuses what the nearest layer below of that variant chose (arXiv 2603.12201).
    """

    top_k: TokenCount
    n_heads: Count | None = None
    head_dim: Count | None = None
    rope_interleaved: bool = False  # of its own queries and keys; the attention's setting does not matter
    indices_from: Name | None = None  # a variant

    references: ClassVar[frozenset[str]] = frozenset({"indices_from"})

    @rule
    def _has_one_source(self) -> None:
        own = (self.n_heads, self.head_dim)
        if self.indices_from is None and None in own:
            raise ValueError("an indexer needs n_heads and head_dim, or indices_from: a variant whose choice it reuses")
        if self.indices_from is not None and (own != (None, None) or self.rope_interleaved):
            raise ValueError(
                "indices_from reuses the choice of another layer; remove n_heads, head_dim and rope_interleaved"
            )

    def mechanisms(self) -> Iterator[Mechanism]:
        """Those of the attention around it."""
        if self.indices_from is not None:
            title, phrase = "Choice of a lower layer", "shared choices"
            yield Mechanism("shared_indices", title, phrase, Telling.SHARING, by_layer=True, page="sparse-attention")

    def parts(self, d_model: int, q_width: int) -> Iterator[Weights]:
        """The weights, for a stream of `d_model` values and compressed queries of `q_width`."""
        if self.n_heads is not None and self.head_dim is not None:
            yield Linear("index_q_proj", q_width, self.n_heads * self.head_dim)
            yield Linear("index_k_proj", d_model, self.head_dim)
            yield Norm("index_k_norm", self.head_dim, eps=KEY_EPS, kind="layer", bias=True, unit_offset=False)
            yield Linear("index_weights_proj", d_model, self.n_heads)

    def cache(self) -> Iterator[Rows]:
        """One key a token, beside what attention keeps."""
        if self.head_dim is not None:
            yield Rows("index_k", self.head_dim, of="index")

    def mixing(self) -> Iterator[Mixing]:
        """Queries times keys for every head, then the weighted sum over the heads: of every token, chosen or not."""
        if self.n_heads is not None and self.head_dim is not None:
            yield Mixing(2 * self.n_heads * (self.head_dim + 1))

    def reads(self) -> Iterator[Read]:
        """The choice of another layer."""
        if self.indices_from is not None:
            yield Read("chosen", self.top_k, self.indices_from, integers=True)

    def leaves(self) -> Iterator[Read]:
        """The tokens chosen in this step."""
        if self.indices_from is None:
            yield Read("chosen", self.top_k, integers=True)

    def choose(
        self,
        m: Modules,
        x: Tensor,
        q_latent: Tensor,
        rotate: Callable[[Tensor], Tensor],
        mask: Tensor | None,
        cache: LayerCache,
    ) -> Tensor:
        """The tokens that each of `x` (batch, n_tokens, d_model) attends to: their numbers, the best first.

        `q_latent` are compressed queries (batch, n_tokens, q_width); `rotate` turns heads (batch, n_heads, n_tokens,
        head_dim); `mask` (n_tokens, n_keys) tells the tokens that are seen. Returns (batch, n_tokens, n_chosen), where
        n_chosen is the smaller of `top_k` and n_keys. A token that sees fewer is given others too: mask them.
        """
        if self.indices_from is not None:
            return cache.read("chosen")
        assert self.n_heads is not None
        q = rotate(m.index_q_proj(q_latent).unflatten(-1, (self.n_heads, -1)).transpose(1, 2))
        k = rotate(m.index_k_norm(m.index_k_proj(x)).unsqueeze(1)).squeeze(1)
        (keys,) = cache.append(index_k=k)  # (batch, n_keys, head_dim)
        chosen = best_rows(q, keys, m.index_weights_proj(x), mask, self.top_k)
        cache.leave(chosen=chosen)
        return chosen


def best_rows(q: Tensor, keys: Tensor, weights: Tensor, mask: Tensor | None, top_k: int) -> Tensor:
    """The numbers of the rows with the highest scores, the best first: (batch, n_tokens, n_chosen).

    A row's score is the sum over the heads of its positive products with `q` (batch, n_heads, n_tokens, head_dim),
    weighted by `weights` (batch, n_tokens, n_heads). `keys` are (batch, n_keys, head_dim); `mask` (n_tokens, n_keys)
    tells the rows that are seen.
    """
    # The published scale of the scores is left out: it is above zero, and does not change their order.
    with counting.over_pairs(mask):
        scores = (q.float() @ keys.float().unsqueeze(1).transpose(-1, -2)).relu().transpose(1, 2)
        total = (weights.float().unsqueeze(-2) @ scores).squeeze(-2)  # (batch, n_tokens, n_keys)
    if mask is not None:
        total = total.masked_fill(~mask, float("-inf"))
    # Scores of zero are common. Of equal ones the earlier row counts, however many follow.
    return total.sort(dim=-1, descending=True, stable=True)[1][..., :top_k]


def chosen_rows(rows: Tensor, chosen: Tensor) -> Tensor:
    """The rows (batch, n_keys, width) that one token has chosen, (batch, 1, n_chosen): (batch, n_chosen, width)."""
    n_keys, width = rows.shape[1:]  # an earlier step of a shared choice never has more than there are rows
    return rows.gather(1, chosen[..., :n_keys].transpose(1, 2).expand(-1, -1, width))


def chosen_mask(chosen: Tensor, mask: Tensor) -> Tensor:
    """`mask` (n_tokens, n_keys) without what was not chosen, for any head: (batch, 1, n_tokens, n_keys)."""
    import torch

    none = torch.zeros((*chosen.shape[:2], mask.shape[-1]), dtype=torch.bool, device=chosen.device)
    return (none.scatter(-1, chosen, torch.ones_like(chosen, dtype=torch.bool)) & mask).unsqueeze(1)
