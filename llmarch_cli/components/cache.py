"""What a layer keeps of a sequence, what it computes on it, and what it takes from other layers, as data.

`Rows` grow with the context, a `State` does not. The engines price them, and `modules/cache.py` stores them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class View:
    """The rows that one token meets: one for each `stride` tokens of the last `span`; of all if `span` is None.

    The span moves with each token, or by a `unit` of tokens: a chunk, or a block. A decoded token's cost is that of the
    whole span. In a prompt, only those rows of its own unit count that do not follow it.
    """

    span: int | None = None
    stride: int = 1
    unit: int = 1

    def rows(self, context: int) -> int:
        """How many rows are in view after `context` tokens."""
        tokens = context if self.span is None else min(context, self.span)
        return tokens if self.stride == 1 else tokens // self.stride

    def grows(self, context: int) -> bool:
        """Whether the last of `context` tokens is still added to those in view."""
        return self.span is None or context <= self.span

    def pairs(self, start: int, end: int) -> int:
        """The rows that each token of a prompt sees, summed over those after `start` tokens up to `end`."""
        return self._pairs(end) - self._pairs(start)

    def reaching(self, start: int, n_tokens: int) -> int:
        """The rows that any of `n_tokens` tokens after `start` has in view."""
        new = (start + n_tokens) // self.stride - start // self.stride
        kept = start // self.stride
        return new + (kept if self.span is None else min(kept, self.span // self.stride - 1))

    def _pairs(self, n_tokens: int) -> int:
        """`pairs` of the first tokens."""
        grown = n_tokens if self.span is None else min(n_tokens, self.span)
        pairs = _sum_of_rows(grown, self.stride)
        if self.span is None or n_tokens <= self.span:
            return pairs
        whole = self.rows(self.span) - self.unit // self.stride
        return pairs + (n_tokens - self.span) * whole + self._in_unit(n_tokens) - self._in_unit(self.span)

    def _in_unit(self, n_tokens: int) -> int:
        """The rows of its own unit that each of the first tokens sees, in sum."""
        units, rest = divmod(n_tokens, self.unit)
        return units * _sum_of_rows(self.unit, self.stride) + _sum_of_rows(rest, self.stride)


def _sum_of_rows(n_tokens: int, stride: int) -> int:
    """The sum of `token // stride` over the tokens from 1 to `n_tokens`."""
    rows, rest = divmod(n_tokens, stride)
    return stride * (rows * (rows - 1) // 2) + rows * (rest + 1)


FULL = View()
ONCE = View(span=1)  # of a cost that does not grow with the context


@dataclass(frozen=True, slots=True)
class Rows:
    """A tensor with one row of `width` values for each row of `view`, in the dtype of the KV cache.

    `of`: keys, values and latents that are attended to, or the index keys that choose among them.
    """

    name: str
    width: int
    view: View = FULL
    of: Literal["values", "index"] = "values"


@dataclass(frozen=True, slots=True)
class State:
    """A tensor of fixed shape for a sequence of any length.

    Attributes:
        name: its name in the component's cache.
        shape: without the batch.
        dtype: "fp32" for a recurrence, which adds up small terms; "bf16" for the last inputs of a convolution.
        partial: inputs of a row that is not complete yet. They are counted apart from rows and states.
    """

    name: str
    shape: tuple[int, ...]
    dtype: Literal["fp32", "bf16"] = "fp32"
    partial: bool = False


@dataclass(frozen=True, slots=True)
class Mixing:
    """FLOPs of one decoded token for each row in `view`, or of a recurrence: then once, over its state."""

    flops: int
    view: View = FULL
    over: Literal["rows", "state"] = "rows"


@dataclass(frozen=True, slots=True)
class Read:
    """A tensor of one step that another layer or the model leaves.

    Attributes:
        name: the name under which it is left.
        width: values of a token or row; None for one number, without a last dimension.
        source: the variant that leaves it: the nearest layer below of that variant. None: the model.
        view: its rows, of earlier tokens too; None: one row for each token of the step.
        integers: whether it holds token ids or indices.
    """

    name: str
    width: int | None
    source: str | None = None
    view: View | None = None
    integers: bool = False
