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


class PairCounter(Protocol):
    """What counts pairs while it is `pair_counter`."""

    def pairs(self, mask: Tensor | None) -> AbstractContextManager[None]:
        """While it is open, every product is of a pair of a token and a row. `mask` shows those seen; None: all."""


class ByToken(Protocol):
    """What runs recurrences while it is `by_token`."""

    def __call__(
        self, step: Callable[..., tuple[Tensor, Tensor]], tokens: tuple[Tensor, ...], state: Tensor, beta: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Run `step(*tokens, state, beta)` for each token, dimension 2 of `tokens`: outputs, and the last state."""


pair_counter: PairCounter | None = None
by_token: ByToken | None = None


def over_pairs(mask: Tensor | None) -> AbstractContextManager[None]:
    """A context whose products are of pairs of a token and a row. `mask` (..., n_tokens, n_rows) tells those seen."""
    return nullcontext() if pair_counter is None else pair_counter.pairs(mask)
