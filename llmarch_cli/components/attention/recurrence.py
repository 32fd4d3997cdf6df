"""Linear recurrences: each head keeps a matrix that decays, takes in a key and a value, and is read by a query.

For a head with keys of k_dim and values of v_dim, the state S is (k_dim, v_dim). A token does

    S <- decay * S
    u  = v, or with the delta rule beta * (v - k S)    (arXiv 2412.06464)
    S <- S + k^T u
    y  = q S

Gated delta networks, state space models (arXiv 2405.21060) and linear attention (arXiv 2006.16236) differ in how they
make q, k, v, decay and beta.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from llmarch_cli.components import counting
from llmarch_cli.components.recomputation import mixes_tokens

if TYPE_CHECKING:
    from torch import Tensor

CHUNK = 64  # tokens of a prompt that are computed at once
CHUNK_BY_CHANNEL = 16  # the same where each channel decays by itself, which takes k_dim times as much memory


@mixes_tokens
def recur(
    q: Tensor, k: Tensor, v: Tensor, decay: Tensor, state: Tensor, beta: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Run the recurrence over the tokens, in float32.

    Args:
        q: (batch, n_heads, n_tokens, k_dim).
        k: the same.
        v: (batch, n_heads, n_tokens, v_dim).
        decay: its logarithm, at most 0: (batch, n_heads, n_tokens, 1), or k_dim instead of 1 for each channel.
        state: (batch, n_heads, k_dim, v_dim) before the first token.
        beta: (batch, n_heads, n_tokens), the strength of the delta rule; None adds values as they are.

    Returns (batch, n_heads, n_tokens, v_dim) and the state after the last token. One token takes
    4 * n_heads * k_dim * v_dim FLOPs, with the delta rule 6.
    """
    import torch

    q, k, v, decay = (x.float() for x in (q, k, v, decay))
    beta = None if beta is None else beta.float().unsqueeze(-1)
    if q.shape[2] == 1:
        return _one_token(q, k, v, decay, state, beta)
    if counting.by_token is not None:
        return counting.by_token(_one_token, (q, k, v, decay), state, beta)
    size = CHUNK if decay.shape[-1] == 1 else CHUNK_BY_CHANNEL
    out = []
    for start in range(0, q.shape[2], size):
        now = slice(start, start + size)
        strength = None if beta is None else beta[:, :, now]
        mixed, state = _chunk(q[:, :, now], k[:, :, now], v[:, :, now], decay[:, :, now], strength, state)
        out.append(mixed)
    return torch.cat(out, dim=2), state


def _one_token(
    q: Tensor, k: Tensor, v: Tensor, decay: Tensor, state: Tensor, beta: Tensor | None
) -> tuple[Tensor, Tensor]:
    state = state * decay.exp().transpose(-1, -2)
    if beta is not None:
        v = (v - k @ state) * beta
    state = state + k.transpose(-1, -2) @ v
    return q @ state, state


def _chunk(q: Tensor, k: Tensor, v: Tensor, decay: Tensor, beta: Tensor | None, state: Tensor) -> tuple[Tensor, Tensor]:
    """All tokens of a chunk at once: each reads the state before the chunk, and the chunk's earlier tokens.

    Decays are only ever multiplied from a token on to a later one, so that no factor exceeds 1.
    """
    import torch

    n_tokens = q.shape[2]
    order = torch.arange(n_tokens, device=q.device).unsqueeze(-1)
    behind = order > order.T  # (n, n): whether the row's token follows the column's
    # Each sum is taken by itself: the difference of two sums since the start loses weak decays behind strong ones.
    steps = decay.unsqueeze(3).masked_fill(~behind.unsqueeze(-1), 0.0)
    between = steps.cumsum(dim=2).masked_fill((order < order.T).unsqueeze(-1), -torch.inf).exp()
    left = between[:, :, -1]  # (batch, n_heads, n, 1 or k_dim): what is left of each token at the end of the chunk
    if decay.shape[-1] == 1:
        between = between.squeeze(-1)

        def products(a: Tensor, b: Tensor) -> Tensor:
            return (a @ b.transpose(-1, -2)) * between
    else:

        def products(a: Tensor, b: Tensor) -> Tensor:
            return (a.unsqueeze(3) * between * b.unsqueeze(2)).sum(dim=-1)

    reach = decay.cumsum(dim=2).exp()
    if beta is not None:
        # Each token's update depends on those of earlier tokens: a unit lower triangular system.
        earlier = (products(k, k) * beta).masked_fill(~behind, 0.0)
        v = (v - (k * reach) @ state) * beta
        v = torch.linalg.solve_triangular(earlier, v, upper=False, unitriangular=True)
    mixed = (q * reach) @ state + products(q, k) @ v
    state = state * reach[:, :, -1:].transpose(-1, -2) + (k * left).transpose(-1, -2) @ v
    return mixed, state


def unit(x: Tensor) -> Tensor:
    """`x` (..., dim) divided by its length, in float32."""
    import torch.nn.functional as F

    dim = x.shape[-1]
    return F.rms_norm(x.float(), (dim,), eps=1e-6 / dim) * dim**-0.5


def spread(x: Tensor, n_heads: int) -> Tensor:
    """Heads (batch, fewer, n_tokens, dim), each repeated for its group of the `n_heads` heads that share it."""
    batch, fewer, n_tokens, dim = x.shape
    if fewer == n_heads:
        return x
    return x.unsqueeze(2).expand(batch, fewer, n_heads // fewer, n_tokens, dim).flatten(1, 2)
