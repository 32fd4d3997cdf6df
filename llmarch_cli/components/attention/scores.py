"""Softmax attention over the tokens in view: masks, sinks, soft-caps and position-dependent temperature."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, Any, Literal

from llmarch_cli.components import counting
from llmarch_cli.components.fields import BY_KIND, Limits, Positive, TokenCount
from llmarch_cli.components.recomputation import mixes_tokens
from llmarch_cli.components.record import Record

if TYPE_CHECKING:
    import torch
    from torch import Tensor


class FloorTemperature(Record):
    """Scores multiplied by 1 + attn_scale * ln(1 + floor((position + offset) / floor_scale)) (arXiv 2501.19399).

    Positions count from 0; an `offset` of 1 counts tokens instead.
    """

    kind: Literal["log_floor"]
    floor_scale: Positive
    attn_scale: Positive
    offset: Literal[0, 1] = 1

    def at(self, positions: Tensor) -> Tensor:
        """Multipliers for `positions` of shape (n_tokens,)."""
        return ((positions + self.offset) / self.floor_scale).floor().log1p() * self.attn_scale + 1


class RatioTemperature(Record):
    """Scores multiplied by log(position + offset) / log(length) after position `length - offset`.

    Positions count from 0; an `offset` of 1 counts tokens instead.
    """

    kind: Literal["log_ratio"]
    length: Annotated[TokenCount, Limits(gt=1)]
    offset: Literal[0, 1] = 0

    def at(self, positions: Tensor) -> Tensor:
        """Multipliers for `positions` of shape (n_tokens,)."""
        return ((positions + self.offset).clamp(min=self.length).log2() / math.log2(self.length)).clamp(min=1)


Temperature = Annotated[FloorTemperature | RatioTemperature, BY_KIND]


def visible(
    start: int, n_tokens: int, n_keys: int, window: int | None, chunk: int | None, device: torch.device
) -> Tensor | None:
    """The keys that each query may attend to, as booleans (n_tokens, n_keys); None if all of them.

    Queries have the positions from `start` on; the last key has the position of the last query.
    """
    import torch

    end = start + n_tokens
    first_chunk_in_view = chunk is None or (end - 1) // chunk == (end - n_keys) // chunk
    if n_tokens == 1 and first_chunk_in_view and (window is None or n_keys <= window):
        return None
    q = torch.arange(start, end, device=device).unsqueeze(-1)
    k = torch.arange(end - n_keys, end, device=device)
    mask = k <= q
    if window is not None:
        mask = mask & (q - k < window)
    if chunk is not None:
        mask = mask & (q // chunk == k // chunk)
    return mask


def linear_biases(n_heads: int, end: int, n_keys: int, device: torch.device, rounded: bool = False) -> Tensor:
    """ALiBi (arXiv 2108.12409): biases (n_heads, 1, n_keys) on the scores of the `n_keys` keys before position `end`.

    Slopes are a geometric series over the heads; heads beyond a power of 2 take every second slope of the next power.
    Distances are counted from the first token: for a softmax this equals counting back from the query. `rounded`:
    slopes and products are rounded to bfloat16, as in the published code of models that scale them with the scores.
    """
    import torch

    n_even = 1 << n_heads.bit_length() - 1
    exponents = [-8 * (i + 1) / n_even for i in range(n_even)]
    exponents += [-4 * (2 * i + 1) / n_even for i in range(n_heads - n_even)]
    dtype = torch.bfloat16 if rounded else torch.float32
    slopes = torch.tensor([2.0**exponent for exponent in exponents], dtype=dtype, device=device)
    keys = torch.arange(end - n_keys, end, device=device)
    return (slopes.view(-1, 1, 1) * keys).float()


@mixes_tokens
def attend(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    mask: Tensor | None,
    scale: float,
    softcap: float | None = None,
    temperature: Tensor | None = None,
    sinks: Tensor | None = None,
    biases: Tensor | None = None,
) -> Tensor:
    """Attention of q (batch, n_heads, n_tokens, d_qk) to k (batch, n_kv_heads, n_keys, d_qk) and v (..., n_keys, d_v).

    `mask` (n_tokens, n_keys) tells the keys that a token sees, for all heads; or (batch, 1 or n_kv_heads, n_tokens,
    n_keys), for those of each key head. `temperature` (n_tokens,) multiplies the scores. `sinks` (n_heads,) are logits
    of a share of the softmax that goes to no token. `biases` (n_heads, 1, n_keys) are added to the products of queries
    and keys before scaling.
    Returns (batch, n_tokens, n_heads * d_v).
    """
    with counting.over_pairs(mask):
        return _attend(q, k, v, mask, scale, softcap, temperature, sinks, biases)


def _attend(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    mask: Tensor | None,
    scale: float,
    softcap: float | None,
    temperature: Tensor | None,
    sinks: Tensor | None,
    biases: Tensor | None,
) -> Tensor:
    import torch
    import torch.nn.functional as F

    batch, n_heads, n_tokens, _ = q.shape
    n_kv_heads = k.shape[1]
    plain = softcap is None and sinks is None and biases is None
    if plain and (n_tokens > 1 or _kernel_decodes(k, v)):
        # The fused kernel never stores the (n_tokens, n_keys) scores, nor copies keys.
        if temperature is not None:
            q = (q * temperature.unsqueeze(-1)).to(q.dtype)
        if n_tokens == 1:  # heads that share keys are the rows of one query
            rows = q.reshape(batch, n_kv_heads, -1, q.shape[-1])
            return F.scaled_dot_product_attention(rows, k, v, attn_mask=mask, scale=scale).reshape(batch, 1, -1)
        if mask is not None and mask.ndim == 4 and mask.shape[1] > 1:
            mask = mask.repeat_interleave(n_heads // n_kv_heads, dim=1)
        # Not `enable_gqa=n_kv_heads != n_heads`: torch.compile may have symbols for numbers of heads, and for that.
        grouped: dict[str, Any] = {"enable_gqa": True} if n_kv_heads != n_heads else {}
        mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, scale=scale, **grouped)
        return mixed.transpose(1, 2).flatten(2)

    # Query heads that share keys become further rows beside the tokens, so that no key is copied.
    groups = (batch, n_kv_heads, n_heads // n_kv_heads, n_tokens)
    scores = (q.reshape(batch, n_kv_heads, -1, q.shape[-1]) @ k.transpose(-1, -2)).view(*groups, -1)
    if biases is not None:
        scores = scores + biases.unflatten(0, (n_kv_heads, -1))
    scores = scores * scale
    if softcap is not None:
        scores = softcap * (scores / softcap).tanh()
    if temperature is not None:
        scores = scores * temperature.unsqueeze(-1)
    if mask is not None:
        scores = scores.masked_fill(~(mask.unsqueeze(2) if mask.ndim == 4 else mask), -torch.inf)
    if sinks is None:
        shares = scores.softmax(dim=-1, dtype=torch.float32)
    else:
        sink = sinks.view(1, n_kv_heads, -1, 1, 1).expand(batch, -1, -1, n_tokens, 1).to(scores.dtype)
        shares = torch.cat((scores, sink), dim=-1).softmax(dim=-1, dtype=torch.float32)[..., :-1]
    mixed = shares.to(v.dtype).view(batch, n_kv_heads, -1, v.shape[-2]) @ v
    return mixed.view(batch, n_heads, n_tokens, -1).transpose(1, 2).flatten(2)


def _kernel_decodes(k: Tensor, v: Tensor) -> bool:
    """Whether one token's attention runs fastest in the fused kernel, rather than as two products.

    On a GPU, products read the keys of one sequence, or of one head, in place and on all multiprocessors, where the
    kernel has one for each head and sequence; other keys they copy. On a CPU, there is a fused kernel for values as
    wide as keys.
    """
    return k.shape[0] > 1 < k.shape[1] if k.is_cuda else k.shape[-1] == v.shape[-1]
