"""Recurrences of each channel by itself, for all tokens at once, in log2(n_tokens) steps.

Each step doubles the tokens that a result reaches back.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from llmarch_cli.components.recomputation import mixes_tokens

if TYPE_CHECKING:
    from torch import Tensor


@mixes_tokens
def accumulated(decay: Tensor, added: Tensor, before: Tensor) -> Tensor:
    """h[t] = decay[t] * h[t - 1] + added[t] for all tokens, both (batch, n_tokens, width), from h[-1] = `before`."""
    import torch

    first = added[:, :1] + decay[:, :1] * before.unsqueeze(1)
    hidden = torch.cat((first, added[:, 1:]), dim=1)
    reach = 1
    while reach < hidden.shape[1]:
        further = hidden[:, reach:] + decay[:, reach:] * hidden[:, :-reach]
        hidden = torch.cat((hidden[:, :reach], further), dim=1)
        decay = torch.cat((decay[:, :reach], decay[:, reach:] * decay[:, :-reach]), dim=1)
        reach *= 2
    return hidden


@mixes_tokens
def largest(keys: Tensor, decay: Tensor, before: Tensor) -> Tensor:
    """max(keys[t], m[t - 1] + decay) for all tokens: keys (batch, n_tokens, width), from m[-1] = `before`."""
    import torch

    found = torch.cat((torch.maximum(keys[:, :1], before.unsqueeze(1) + decay), keys[:, 1:]), dim=1)
    reach = 1
    while reach < found.shape[1]:
        further = torch.maximum(found[:, reach:], found[:, :-reach] + decay * reach)
        found = torch.cat((found[:, :reach], further), dim=1)
        reach *= 2
    return found
