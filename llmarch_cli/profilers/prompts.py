"""The measuring engine for prompts: runs many tokens at once on the meta device, and counts the pairs that masks show.

Tensors there hold no values, so a mask must be counted another way. The positions that masks are made from are real
vectors, and each comparison of a query's position with those of the rows shows it the rows from one number to another.
These two numbers are found by bisection, and followed through the operators that join masks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import Tensor

from llmarch_cli.components import counting
from llmarch_cli.components.component import SharedWeights
from llmarch_cli.errors import CheckError, InputError
from llmarch_cli.profilers.cost import Workload
from llmarch_cli.profilers.measured import built, decoding_input, filled_cache
from llmarch_cli.profilers.operators import OperatorCounter, tensors_in
from llmarch_cli.specs.spec import Item, ModelSpec

MOST_TOKENS = 2**24  # of a prompt: its positions are real numbers in memory


def measure(spec: ModelSpec, items: list[Item], starts: list[int], end: int) -> list[int]:
    """The FLOPs of one of each item's component for the tokens of a prompt, from those after its start up to `end`.

    Raises InputError for more than 2**24 tokens.
    """
    if end > MOST_TOKENS:
        raise InputError(
            f"the measured engine counts prompts of at most {MOST_TOKENS:,} tokens with their prefix, not {end:,};"
            " use --engine closed-form"
        )
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)  # for such short vectors, others only wait for each other
    try:
        return list(_measured(spec, items, starts, end))
    finally:
        torch.set_num_threads(n_threads)


def _measured(spec: ModelSpec, items: list[Item], starts: list[int], end: int) -> Iterator[int]:
    for (item, module), start in zip(built(spec, items), starts, strict=True):
        if isinstance(item.component, SharedWeights):  # their FLOPs are those of the layers
            yield 0
            continue
        cache = filled_cache(item.component, start, Workload(end), end - start)
        x = decoding_input(item.component, spec, 1, end - start)
        with torch.no_grad(), PromptCounter() as counter:
            module(x, cache)
        yield counter.flops


@dataclass(frozen=True, slots=True)
class _Seen:
    """What each query, by its number, sees of the rows: those from `first` up to `end`, or `most` of any at a time.

    Attributes:
        first, end: (n_tokens,); None: all rows.
        most: chosen rows are at most these; None: not chosen.
        block: rows of a choice are of blocks of this size, one of which is the query's own.
    """

    first: Tensor | None = None
    end: Tensor | None = None
    most: int | None = None
    block: int = 1
    more: int = 0  # pairs of masks that were put beside this one

    @property
    def pairs(self) -> int:
        """All pairs of a query and a row that it sees."""
        assert self.first is not None
        assert self.end is not None
        rows = (self.end - self.first).clamp(min=0)
        if self.most is not None:
            own = self.most - self.block + (rows - 1) % self.block + 1
            rows = torch.minimum(rows, own)
        return int(rows.sum()) + self.more

    def __and__(self, other: _Seen) -> _Seen:
        first = [each.first for each in (self, other) if each.first is not None]
        end = [each.end for each in (self, other) if each.end is not None]
        chosen = self if self.most is not None else other
        return _Seen(
            torch.maximum(*first) if len(first) == 2 else first[0],
            torch.minimum(*end) if len(end) == 2 else end[0],
            chosen.most,
            chosen.block,
        )


class PromptCounter(OperatorCounter):
    """Counts the FLOPs of a prompt: of scores those that are seen, and of recurrences those of token by token."""

    def __init__(self) -> None:
        super().__init__()
        self._seen: dict[int, tuple[Tensor, _Seen]] = {}  # by the mask's id; the mask, so that its id stays its own
        self._differences: dict[int, tuple[Tensor, Tensor, Tensor]] = {}  # query minus row: the result and its operands

    def __enter__(self) -> Self:
        counting.by_token = self.by_token
        return super().__enter__()

    def __exit__(self, *why: Any) -> None:
        super().__exit__(*why)
        counting.by_token = None

    @contextmanager
    def pairs(self, mask: Tensor | None) -> Iterator[None]:
        """Of the products inside, those count whose token sees their row."""
        if mask is None:
            yield
            return
        before, by_operator = self.flops, dict(self.by_operator)
        yield
        known = self._seen.get(id(mask))
        if known is None:
            raise CheckError(f"a mask of shape {tuple(mask.shape)}: the measuring engine cannot count what it shows")
        with torch._C.DisableTorchFunction():  # this counter is still open
            shown, whole = known[1].pairs, mask.shape[-1] * mask.shape[-2]
        self.flops = before + _share(self.flops - before, shown, whole)
        for name, flops in self.by_operator.items():
            earlier = by_operator.get(name, 0)
            self.by_operator[name] = earlier + _share(flops - earlier, shown, whole)

    def by_token(
        self, step: Callable[..., tuple[Tensor, Tensor]], tokens: tuple[Tensor, ...], state: Tensor, beta: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """One token is run, and counts for all: on the meta device each is like the other."""
        n_tokens = tokens[0].shape[2]
        before = self.flops
        out, state = step(*(x[:, :, :1] for x in tokens), state, None if beta is None else beta[:, :, :1])
        self.multiply("recurrence", (self.flops - before) // 2 * (n_tokens - 1))
        return out.expand(-1, -1, n_tokens, -1), state

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        name = getattr(func, "__name__", str(func))
        if name == "arange" and "dtype" not in (kwargs or {}):
            return torch.arange(*args)
        given = [value for value in args if isinstance(value, Tensor)]
        if name in _OF_POSITIONS and given and not any(value.is_meta for value in given):
            if len(given) == 2 and (pair := _query_and_row(*given)) is not None:
                return self._compared(name, *pair, is_flipped=pair[0] is not given[0])
            return func(*args, **kwargs or {})
        result = super().__torch_function__(func, types, args, kwargs)
        if name in _FOLLOWED and isinstance(result, Tensor):
            self._follow(name, result, args, kwargs or {})
        return result

    def _compared(self, name: str, queries: Tensor, rows: Tensor, is_flipped: bool) -> Tensor:
        """A comparison of each query's number (n_tokens, 1) with each row's (n_rows,), or their difference."""
        shape = (queries.shape[0], rows.shape[0])
        if name == "sub":
            if is_flipped:
                raise CheckError("a row's position minus a query's: the measuring engine only knows the reverse")
            result = torch.empty(shape, dtype=torch.int64, device="meta")
            self._differences[id(result)] = result, queries, rows
            return result
        result = torch.empty(shape, dtype=torch.bool, device="meta")
        self._seen[id(result)] = result, _rows_where(_FLIPPED[name] if is_flipped else name, queries.flatten(), rows)
        return result

    def _follow(self, name: str, result: Tensor, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Note what a mask shows that was made from others."""
        known = [self._seen[id(value)][1] for value in tensors_in(args, {}) if id(value) in self._seen]
        seen: _Seen | None = None
        if name in _FLIPPED and id(args[0]) in self._differences:
            _, queries, rows = self._differences[id(args[0])]
            seen = _rows_where(name, queries.flatten() - args[1], rows)  # query - row < width: query - width < row
        elif name == "scatter" and result.dtype == torch.bool:
            seen = _Seen(most=args[2].shape[-1])
        elif name == "__and__" and len(known) == 2:
            seen = known[0] & known[1]
        elif name == "cat" and len(known) == 2:
            seen = _Seen(known[0].first, known[0].end, known[0].most, known[0].block, known[1].pairs)
        elif len(known) == 1:
            seen = known[0]
            if name == "repeat_interleave" and seen.first is None and seen.most is not None:  # blocks as their rows
                seen = _Seen(most=seen.most * args[1], block=args[1])
        if seen is not None:
            self._seen[id(result)] = result, seen


def _share(flops: int, shown: int, whole: int) -> int:
    share, rest = divmod(flops * shown, whole) if flops else (0, 0)  # before the first compressed row there are none
    if rest:
        raise CheckError(f"{flops} FLOPs do not divide evenly over {whole} pairs")
    return share


def _query_and_row(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor] | None:
    """A column of queries and a line of rows, in this order; None for other shapes."""
    for queries, rows in ((a, b), (b, a)):
        if queries.ndim == 2 and queries.shape[1] == 1 and rows.ndim == 1:
            return queries, rows
    return None


def _rows_where(relation: str, queries: Tensor, rows: Tensor) -> _Seen:
    """The rows whose numbers, which ascend, stand in a relation to each query's: query `relation` row."""

    def found(right: bool) -> Tensor:
        if len(rows) and rows[-1] - rows[0] == len(rows) - 1:  # every number once: their places are known
            return (queries - rows[0] + right).clamp(0, len(rows))
        return torch.searchsorted(rows, queries, right=right)

    def below() -> Tensor:  # rows with smaller numbers
        return found(right=False)

    def up_to() -> Tensor:  # and with the same
        return found(right=True)

    none, all_rows = torch.zeros_like(queries), torch.full_like(queries, len(rows))
    match relation:
        case "gt":
            return _Seen(none, below())
        case "ge":
            return _Seen(none, up_to())
        case "lt":
            return _Seen(up_to(), all_rows)
        case "le":
            return _Seen(below(), all_rows)
        case _:
            return _Seen(below(), up_to())


# Each comparison with its operands in the other order.
_FLIPPED = {"gt": "lt", "ge": "le", "lt": "gt", "le": "ge", "__eq__": "__eq__"}

# Functions that are computed if all tensors hold positions.
_OF_POSITIONS = frozenset(
    "add sub mul __floordiv__ le lt ge gt __eq__ __and__ view unsqueeze transpose flatten __getitem__ clamp".split()
)

# Functions that make a mask from others.
_FOLLOWED = frozenset(
    "le lt ge gt __eq__ __and__ scatter cat unsqueeze expand view repeat_interleave __getitem__".split()
)
