"""What a running model keeps of the tokens that it has seen: exactly what the figures count, and nothing else."""

from __future__ import annotations

import torch
from torch import Tensor

from llmarch_cli.errors import InputError


class TensorCache:
    """The tensors that one layer keeps: exactly the tokens in its view.

    Args:
        span: tokens kept in view at most; None keeps all.
        dtype: what is stored; None stores what it is given.
    """

    def __init__(self, span: int | None, dtype: torch.dtype | None = None) -> None:
        self.length = 0  # tokens seen so far
        self.span = span
        self.dtype = dtype
        self.entries: dict[str, Tensor] = {}  # each (batch, n_kept, width)

    def append(self, **new: Tensor) -> tuple[Tensor, ...]:
        """Store tensors (batch, n_tokens, width); returns each with the tokens before it that are still in view.

        The last `span` tokens stay, and what is returned reaches back to the view of the first new token.
        """
        in_view = []
        for name, values in new.items():
            stored = [values if self.dtype is None else values.to(self.dtype)]
            if name in self.entries and self.span != 1:
                kept = self.entries[name]
                stored.insert(0, kept if self.span is None else kept[:, 1 - self.span :])
            joined = torch.cat(stored, dim=1)  # copied even where it is one: a view would keep more than it shows
            if self.span is None or joined.shape[1] <= self.span:
                self.entries[name] = joined
            else:
                self.entries[name] = joined[:, -self.span :].clone()
            in_view.append(joined.to(values.dtype))
        self.length += next(iter(new.values())).shape[1]
        return tuple(in_view)

    def positions(self, start: int, x: Tensor) -> Tensor:
        """The positions of x (batch, n_tokens, ...) whose first token stands at `start`, as float32 (n_tokens,)."""
        return torch.arange(start, start + x.shape[1], dtype=torch.float32, device=x.device)

    @property
    def n_bytes(self) -> int:
        """Bytes of all tensors kept."""
        return sum(entry.numel() * entry.element_size() for entry in self.entries.values())


class Cache:
    """The caches of all layers of a model, for one batch of sequences.

    Args:
        layers: one for each layer.
        batch: how many sequences; None leaves it to the first tokens.
    """

    def __init__(self, layers: list[TensorCache], batch: int | None = None) -> None:
        self.layers = layers
        self.batch = batch

    @property
    def length(self) -> int:
        """Tokens seen so far."""
        return self.layers[0].length

    def admit(self, tokens: Tensor) -> None:
        """Take `tokens` (batch, n_tokens) for the ones that follow; InputError where the batch is another one."""
        if self.batch is None:
            self.batch = tokens.shape[0]
        if tokens.shape[0] != self.batch:
            raise InputError(
                f"this cache is for {self.batch} sequences, and the tokens are of {tokens.shape[0]}:"
                " give each batch a cache of its own, from new_cache"
            )

    @property
    def n_bytes(self) -> int:
        """Bytes of all tensors kept."""
        return sum(layer.n_bytes for layer in self.layers)
