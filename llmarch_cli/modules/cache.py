"""The KV cache of a running model: exactly the tensors that the cache metrics count."""

from __future__ import annotations

import torch
from torch import Tensor

from llmarch_cli.errors import InputError


class TensorCache:
    """The cached tensors of one layer, for exactly the tokens in its view.

    Args:
        span: the most tokens in view; None keeps all.
        dtype: dtype of the stored tensors; None keeps the dtype of the input.
    """

    def __init__(self, span: int | None, dtype: torch.dtype | None = None) -> None:
        self.length = 0  # tokens seen so far
        self.span = span
        self.dtype = dtype
        self.entries: dict[str, Tensor] = {}  # each (batch, n_kept, width)

    def append(self, **new: Tensor) -> tuple[Tensor, ...]:
        """Store tensors (batch, n_tokens, width); return each with the earlier tokens in view.

        The cache keeps the last `span` tokens; the returned tensors reach back to the view of the first new token.
        """
        in_view = []
        for name, values in new.items():
            stored = [values if self.dtype is None else values.to(self.dtype)]
            if name in self.entries and self.span != 1:
                kept = self.entries[name]
                stored.insert(0, kept if self.span is None else kept[:, 1 - self.span :])
            joined = torch.cat(stored, dim=1)  # copies even a single tensor: a view would keep a larger tensor alive
            if self.span is None or joined.shape[1] <= self.span:
                self.entries[name] = joined
            else:
                self.entries[name] = joined[:, -self.span :].clone()
            in_view.append(joined.to(values.dtype))
        self.length += next(iter(new.values())).shape[1]
        return tuple(in_view)

    def positions(self, start: int, x: Tensor) -> Tensor:
        """The positions of x (batch, n_tokens, ...), counted from `start`, as float32 (n_tokens,)."""
        return torch.arange(start, start + x.shape[1], dtype=torch.float32, device=x.device)

    @property
    def n_bytes(self) -> int:
        """Bytes of all cached tensors."""
        return sum(entry.numel() * entry.element_size() for entry in self.entries.values())


class Cache:
    """The caches of all layers of a model, for one batch of sequences.

    Args:
        layers: one cache per layer.
        batch: number of sequences; None takes it from the first tokens.
    """

    def __init__(self, layers: list[TensorCache], batch: int | None = None) -> None:
        self.layers = layers
        self.batch = batch

    @property
    def length(self) -> int:
        """Tokens seen so far."""
        return self.layers[0].length

    def admit(self, tokens: Tensor) -> None:
        """Check that `tokens` (batch, n_tokens) can continue this cache. Raises InputError for another batch size."""
        if self.batch is None:
            self.batch = tokens.shape[0]
        if tokens.shape[0] != self.batch:
            raise InputError(
                f"the cache is for {self.batch} sequences, but the tokens have {tokens.shape[0]};"
                " create a cache for each batch with new_cache"
            )

    @property
    def n_bytes(self) -> int:
        """Bytes of all cached tensors."""
        return sum(layer.n_bytes for layer in self.layers)
