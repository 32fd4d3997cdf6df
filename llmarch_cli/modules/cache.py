"""The cache of a running model: exactly the tensors that the cache metrics count."""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from typing import Self

import torch
from torch import Tensor

from llmarch_cli.components.cache import Rows, State
from llmarch_cli.components.component import Component, cache_entries
from llmarch_cli.errors import InputError
from llmarch_cli.modules.packing import Packing


class Step:
    """What all layers share in a step: the number of tokens before it, and what the model leaves for the layers."""

    def __init__(self) -> None:
        self.length = 0
        self.left: dict[str, Tensor] = {}
        self.wanted: set[str] = set()  # the names that layers read of the model


class TensorCache:
    """The rows and states of one layer, for exactly the tokens in view.

    Args:
        entries: what the layer keeps, by full name: those of a component inside another one as `child.entry`.
        step: the step that all layers of a model share; None for a layer alone.
        dtype: dtype or packing of the stored rows; None keeps the dtype of the input.
        state_dtype: dtype of the stored states; None keeps each state's own.
        layer: the layer that it is for, from 0 at the bottom.
        n_layers: the layers of the model.
    """

    def __init__(
        self,
        entries: Mapping[str, Rows | State],
        step: Step | None = None,
        dtype: torch.dtype | Packing | None = None,
        state_dtype: torch.dtype | None = None,
        layer: int = 0,
        n_layers: int = 1,
    ) -> None:
        self.entries = entries
        self.layer, self.n_layers = layer, n_layers
        self.step = Step() if step is None else step
        self.dtype, self.state_dtype = dtype, state_dtype
        self.stored: dict[str, Tensor] = {}  # rows as (batch, n_kept, width), states as (batch, *shape)
        self.left: dict[str, Tensor] = {}  # for layers above, until the step ends
        self.wanted: set[str] = set()  # the names that layers above read
        self.sources: dict[str, Mapping[str, Tensor]] = {}  # what each name that this layer reads is found in
        self._prefix = ""

    @classmethod
    def of(cls, component: Component) -> Self:
        """An empty cache for a component that is run alone."""
        return cls(dict(cache_entries(component)))

    @property
    def length(self) -> int:
        """Tokens before the current step."""
        return self.step.length

    def within(self, child: str) -> Self:
        """The part of this cache that belongs to a component inside this one."""
        inner = copy(self)  # shares everything but the prefix
        inner._prefix = f"{self._prefix}{child}."
        return inner

    def append(self, **new: Tensor) -> tuple[Tensor, ...]:
        """Store rows (batch, n_rows, width); return each with the earlier rows in view.

        The cache keeps the rows in view of the last token; what is returned reaches back to the view of the first new
        one.
        """
        in_view = []
        for short, values in new.items():
            name = self._prefix + short
            view = self.entries[name].view  # type: ignore[union-attr]
            n_kept = None if view.span is None else view.span // view.stride
            stored = [self._stored(values)]
            if name in self.stored and n_kept != 1:
                kept = self.stored[name]
                stored.insert(0, kept if n_kept is None else kept[:, 1 - n_kept :])
            joined = torch.cat(stored, dim=1)  # copies even a single tensor: a view would keep a larger tensor alive
            if n_kept is None or joined.shape[1] <= n_kept:
                self.stored[name] = joined
            else:
                self.stored[name] = joined[:, -n_kept:].clone()
            joined = self._read(joined, values)
            if name in self.wanted:
                self.left[name] = joined
            in_view.append(joined)
        return tuple(in_view)

    def _stored(self, values: Tensor) -> Tensor:
        if isinstance(self.dtype, Packing):
            return self.dtype.encode(values)
        return values if self.dtype is None else values.to(self.dtype)

    def _read(self, rows: Tensor, like: Tensor) -> Tensor:
        """Stored rows as values of the width and dtype of `like`."""
        if isinstance(self.dtype, Packing):
            return self.dtype.decode(rows, like.shape[-1], like.dtype)
        return rows.to(like.dtype)

    def state(self, name: str, x: Tensor) -> Tensor:
        """The state of that name (batch, *shape), on the device of `x` (batch, ...); zeros before the first token.

        Recurrences compute in float32, convolutions in the dtype of `x`.
        """
        name = self._prefix + name
        entry = self.entries[name]
        assert isinstance(entry, State)
        dtype = torch.float32 if entry.dtype == "fp32" else x.dtype
        if name not in self.stored:
            return torch.zeros((x.shape[0], *entry.shape), dtype=dtype, device=x.device)
        return self.stored[name].to(dtype)

    def keep(self, **states: Tensor) -> None:
        """Replace states (batch, *shape)."""
        for short, values in states.items():
            name = self._prefix + short
            entry = self.entries[name]
            assert isinstance(entry, State)
            assert values.shape[1:] == entry.shape, name
            self.stored[name] = values if self.state_dtype is None else values.to(self.state_dtype)

    def extended(self, name: str, x: Tensor) -> Tensor:
        """`x` (batch, n_tokens, channels) behind its last inputs, for a causal convolution; keeps the new last ones."""
        earlier = self.state(name, x)
        joined = torch.cat((earlier, x), dim=1)
        self.keep(**{name: joined[:, joined.shape[1] - earlier.shape[1] :].clone()})  # a view would keep all of it
        return joined

    def read(self, name: str) -> Tensor:
        """What another layer left in this step, under this component's full name; or the model, under `name` alone."""
        full_name = self._prefix + name
        left = self.sources[full_name]
        return left[name if left is self.step.left else full_name]

    def leave(self, **left: Tensor) -> None:
        """Leave tensors for the layers above, until the step ends."""
        self.left.update({self._prefix + name: values for name, values in left.items()})

    def positions(self, start: int, x: Tensor) -> Tensor:
        """The positions of x (batch, n_tokens, ...), counted from `start`, as float32 (n_tokens,)."""
        return torch.arange(start, start + x.shape[1], dtype=torch.float32, device=x.device)

    def advance(self, n_tokens: int) -> None:
        """End the step of a layer that is run alone; a model's `Cache` does it for all layers."""
        self.step.length += n_tokens
        self.left.clear()

    @property
    def n_bytes(self) -> int:
        """Bytes of all stored tensors."""
        return sum(self.bytes_by_name.values())

    @property
    def bytes_by_name(self) -> dict[str, int]:
        """Bytes of each stored tensor, by full name."""
        return {name: tensor.numel() * tensor.element_size() for name, tensor in self.stored.items()}


class Cache:
    """The caches of all layers of a model, for one batch of sequences.

    Args:
        layers: one cache for each layer, all of one step.
        batch: number of sequences; None takes it from the first tokens.
    """

    def __init__(self, layers: list[TensorCache], batch: int | None = None) -> None:
        self.layers = layers
        self.batch = batch

    @property
    def step(self) -> Step:
        """What all layers share."""
        return self.layers[0].step

    @property
    def length(self) -> int:
        """Tokens seen so far."""
        return self.step.length

    def admit(self, tokens: Tensor) -> None:
        """Begin a step of `tokens` (batch, n_tokens). Raises InputError if the cache is for another batch size."""
        if self.batch is None:
            self.batch = tokens.shape[0]
        if tokens.shape[0] != self.batch:
            raise InputError(
                f"the cache is for {self.batch} sequences, but the tokens have {tokens.shape[0]};"
                " create a cache for each batch with new_cache"
            )
        self.step.left["tokens"] = tokens

    def advance(self, n_tokens: int) -> None:
        """End a step: its tokens count as seen, and what the layers left is dropped."""
        self.step.length += n_tokens
        self.step.left.clear()
        for layer in self.layers:
            layer.left.clear()

    @property
    def n_bytes(self) -> int:
        """Bytes of all stored tensors."""
        return sum(layer.n_bytes for layer in self.layers)
