"""What a counter of FLOPs must know of a prompt, beyond the operators called.

A prompt's modules compute scores of pairs of tokens that a mask then hides, and recurrences in chunks, which takes more
products than token by token. Both are ways to run fast. What the architecture asks for is the pairs that are seen, and
the recurrence: the wiring tells a counter which products these are.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from torch import Tensor


class Counter(Protocol):
    """What counts while it is `counter`."""

    def pairs(self, mask: Tensor) -> AbstractContextManager[None]:
        """While it is open, every product is of a pair of a token and a row; those count that `mask` shows."""

    def by_token(
        self, step: Callable[..., tuple[Tensor, Tensor]], tokens: tuple[Tensor, ...], state: Tensor, beta: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Run `step(*tokens, state, beta)` for each token, dimension 2 of `tokens`: outputs, and the last state."""


counter: Counter | None = None


def over_pairs(mask: Tensor | None) -> AbstractContextManager[None]:
    """A context whose products are of pairs of a token and a row. `mask` (..., n_tokens, n_rows) tells those seen."""
    return nullcontext() if counter is None or mask is None else counter.pairs(mask)
