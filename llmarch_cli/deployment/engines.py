"""What an inference engine keeps beyond what a model needs: whole pages, rows behind windows, padding.

None of it is assumed unless it is asked for. It changes the bytes on a device and no bound: what is padded need not be
read.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from math import lcm

from llmarch_cli.components.cache import Rows, State, View
from llmarch_cli.components.parts import Linear, Table, TiedLinear, Weights
from llmarch_cli.components.shards import Shard, Units
from llmarch_cli.errors import InputError, shown

MOST_TOKENS = 2**20  # of a page, and behind a window
MOST_MULTIPLE = 2**20
RESERVED = "reserved"

Entry = tuple[Rows | State, Shard | None]


@dataclass(frozen=True, slots=True)
class EngineView:
    """How an engine keeps caches and the vocabulary. By default as the model needs it.

    Attributes:
        pages: tokens of a page: the cache of each sequence in each layer is in whole pages. None: no pages.
        windows: "reserved": a layer with a window or chunks keeps every token; "+512": it keeps so many tokens more
            than are in view. None: those in view.
        pad_vocab: the rows of the embedding and of the head are padded to a multiple of this that `tp` divides. None:
            they are not.
        pad_heads: the cached values of each head, or of a row that has none, are padded to a multiple of this. None:
            they are not.

    Raises:
        InputError: for a number out of range and for other words.
    """

    pages: int | None = None
    windows: str | None = None
    pad_vocab: int | None = None
    pad_heads: int | None = None

    def __post_init__(self) -> None:
        if self.pages is not None and not 1 <= self.pages <= MOST_TOKENS:
            raise InputError(f"a page has from 1 to {MOST_TOKENS:,} tokens, not {shown(self.pages)}")
        for what, multiple in (("the vocabulary is", self.pad_vocab), ("cached heads are", self.pad_heads)):
            if multiple is not None and not 1 <= multiple <= MOST_MULTIPLE:
                raise InputError(f"{what} padded to a multiple of 1 to {MOST_MULTIPLE:,}, not of {shown(multiple)}")
        behind = None if self.windows is None else re.fullmatch(r"\+(\d{1,7})", self.windows)
        if self.windows in (None, RESERVED) or (behind is not None and int(behind[1]) <= MOST_TOKENS):
            return
        raise InputError(
            f"windows can be {RESERVED}, or keep up to {MOST_TOKENS:,} tokens more, such as +512, not"
            f" {shown(self.windows)}"
        )

    @property
    def behind(self) -> int:
        """Tokens that a layer keeps behind its window, unless all are reserved."""
        return 0 if self.windows in (None, RESERVED) else int(str(self.windows))

    def require(self, model: str, entries: Iterable[Rows | State]) -> None:
        """Raise InputError unless a page holds whole rows of all entries."""
        if self.pages is None:
            return
        tokens = lcm(*(entry.view.stride for entry in entries if isinstance(entry, Rows)))
        if self.pages % tokens:
            raise InputError(
                f"{model}: pages of {self.pages:,} tokens do not hold whole cached rows of {tokens:,} tokens; ask for a"
                f" multiple of {tokens:,}"
            )

    def rows(self, view: View, context: int, cp: int = 1) -> int:
        """The rows of a sequence that one of `cp` devices keeps."""
        span = None if view.span is None or self.windows == RESERVED else view.span + self.behind
        tokens = context if span is None else min(context, span)
        if self.pages is None:
            return -(-(tokens // view.stride) // cp)
        n_pages = -(-tokens // (cp * self.pages))
        return n_pages * self.pages // view.stride

    def padded(self, part: Weights, shard: Shard | None, tp: int) -> tuple[Weights, Shard | None]:
        """A part, and how devices divide it, with the rows that are added to its vocabulary."""
        if self.pad_vocab is None or shard is None or not any(units.uneven for units in shard.sections):
            return part, shard
        (units,) = shard.sections
        n_rows = self.padded_vocab(units.count, tp)
        evenly = replace(shard, sections=(replace(units, count=n_rows),))
        match part:
            case Table():
                return replace(part, n_rows=n_rows), evenly
            case Linear() | TiedLinear():
                return replace(part, d_out=n_rows), evenly
            case _:
                raise AssertionError(f"{part.name}: no rule pads {type(part).__name__}")

    def padded_vocab(self, n_rows: int, tp: int) -> int:
        """The rows of a vocabulary with those that are added."""
        multiple = lcm(self.pad_vocab or 1, tp if self.pad_vocab else 1)
        return -(-n_rows // multiple) * multiple

    def padded_entry(self, entry: Rows | State, shard: Shard | None) -> Entry:
        """A cache entry, and how devices divide it, with the values that are added to each head of its rows."""
        if self.pad_heads is None or isinstance(entry, State):
            return entry, shard
        sections = (Units(1),) if shard is None else shard.sections
        padded = []
        for units in sections:
            size = entry.width // units.count if units.size is None else units.size
            padded.append(replace(units, size=-(-size // self.pad_heads) * self.pad_heads))
        width = sum(units.count * (units.size or 0) for units in padded)
        return replace(entry, width=width), None if shard is None else replace(shard, sections=tuple(padded))

    @property
    def options(self) -> dict[str, str]:
        """What is asked for, as it is written behind the inputs of a figure, by the bytes that it changes."""
        pages = "" if self.pages is None else f"; --pages {self.pages}"
        windows = "" if self.windows is None else f"; --windows {self.windows}"
        heads = "" if self.pad_heads is None else f"; --pad-heads {self.pad_heads}"
        return {
            "cache": pages + windows + heads,
            "weights": "" if self.pad_vocab is None else f"; --pad-vocab {self.pad_vocab}",
        }

    def words(self) -> Iterator[str]:
        """What is assumed, a sentence each."""
        if self.pages is not None:
            size = "token" if self.pages == 1 else f"{self.pages:,} tokens"
            yield f"Pages: the cache of each sequence in each layer is in whole pages of {size}."
        if self.windows == RESERVED:
            yield "Windows: layers with a window or chunks keep every token."
        elif self.windows is not None:
            yield f"Windows: layers with a window or chunks keep {self.behind:,} tokens more than are in view."
        if self.pad_vocab is not None:
            yield f"Vocabulary: its rows are padded to a multiple of {self.pad_vocab:,} that tp divides."
        if self.pad_heads is not None:
            yield f"Heads: the cached values of each are padded to a multiple of {self.pad_heads:,}."
        if self != AS_NEEDED:
            yield "These are bytes that an engine holds. The bounds are without them: nothing needs to read them."


AS_NEEDED = EngineView()


@dataclass(frozen=True, slots=True)
class Copies:
    """Cached rows that stand on more than one of the devices that share a sequence.

    Attributes:
        whole: names of those that each device has.
        heads: names of those of which a device has some heads, and others have the same.
    """

    whole: tuple[str, ...] = ()
    heads: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """All of them."""
        return (*self.whole, *self.heads)

    def words(self) -> Iterator[str]:
        """What is copied, a sentence each."""
        if self.whole:
            yield f"Copies: each tensor-parallel device has the whole cached {_listed(self.whole)} of its sequences."
        if self.heads:
            yield f"Copies: tp does not divide the heads of cached {_listed(self.heads)}; some devices have the same."


def copies(entries: Iterable[Entry], tp: int) -> Copies:
    """What is copied of a cache that `tp` devices share, each name once."""
    whole: dict[str, None] = {}
    heads: dict[str, None] = {}
    for entry, shard in entries if tp > 1 else ():
        if not isinstance(entry, Rows):
            continue
        if shard is None:
            whole[entry.name] = None
        elif sum(shard.held(entry.width, tp, rank) for rank in range(tp)) > entry.width:
            heads[entry.name] = None
    return Copies(tuple(whole), tuple(heads))


def _listed(names: tuple[str, ...]) -> str:
    *others, last = (name.replace("_", " ") for name in names)
    return f"{', '.join(others)} and {last}" if others else last
