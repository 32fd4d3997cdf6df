"""Metrics at every context, exactly: pieces that change where a window or a chunk is full. No torch.

A page or a plot needs a metric at thousands of contexts. Every cost grows linearly with the rows in view, and a
component's view grows with the context until its span is full: by a row a token, or by one for each `stride` tokens.
So the cost just after each span, and what each more row costs up to the next one, give every value in between.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

from llmarch_cli.components.cache import View
from llmarch_cli.components.component import views
from llmarch_cli.profilers.closed_form import RowCount, component_cost
from llmarch_cli.profilers.cost import Cost
from llmarch_cli.profilers.profile import MAX_CONTEXT, Profile
from llmarch_cli.specs.spec import Item

Exact = int | Fraction


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece of a metric: `value` at the context `start`, and `slope` more for each token after it.

    `steps`: (stride, rise) for what rises only at the multiples of a stride. Without them the piece is straight.
    """

    start: int
    value: Exact
    slope: Exact
    steps: tuple[tuple[int, Exact], ...] = ()

    def at(self, context: int) -> Exact:
        """The value at a context that lies on this piece."""
        value = self.value + self.slope * (context - self.start)
        for stride, rise in self.steps:
            value += rise * (context // stride - self.start // stride)
        return value

    def goes_on(self, later: Piece) -> bool:
        """Whether this piece has the values of `later` too."""
        return (self.slope, self.steps, self.at(later.start)) == (later.slope, later.steps, later.value)


Piecewise = tuple[Piece, ...]  # by start, from context 1 on; the last piece has no end


@dataclass(frozen=True, slots=True)
class Corner:
    """The start of a piece.

    Attributes:
        first: the profile there.
        following: the profile one token later, if no row of several tokens is completed; `first` if the piece has one
            token.
        steps: the first profile with one more completed row of each stride.
    """

    first: Profile
    following: Profile
    steps: tuple[tuple[int, Profile], ...] = ()


@dataclass(slots=True)
class _Change:
    """What a total is: `level + slope * context`, and for each stride its cost times `context // stride`."""

    level: Cost = field(default_factory=Cost)
    slope: Cost = field(default_factory=Cost)
    steps: dict[int, Cost] = field(default_factory=dict)

    def add(self, other: _Change, sign: int = 1) -> None:
        self.level += other.level * sign
        self.slope += other.slope * sign
        for stride, rise in other.steps.items():
            self.steps[stride] = self.steps.get(stride, Cost()) + rise * sign

    def at(self, context: int) -> Cost:
        total = self.level + self.slope * context
        for stride, rise in self.steps.items():
            total += rise * (context // stride)
        return total


def at(line: Piecewise, context: int) -> Exact:
    """The value of a line at `context`."""
    return line[bisect_right(line, context, key=lambda piece: piece.start) - 1].at(context)


def line(value: Callable[[Profile], Exact], corners: Sequence[Corner]) -> Piecewise:
    """The line of a metric. `value` must depend on the costs and the context linearly between the corners."""
    pieces: list[Piece] = []
    for corner in corners:
        here = value(corner.first)
        slope = value(corner.following) - here if corner.following is not corner.first else 0
        rises = ((stride, value(one_more) - here) for stride, one_more in corner.steps)
        steps = tuple((stride, rise) for stride, rise in rises if rise)
        piece = Piece(corner.first.workload.context, here, slope, steps)
        if not pieces or not pieces[-1].goes_on(piece):
            pieces.append(piece)
    return tuple(pieces)


def corners(profile: Profile, turns: Iterable[int] = ()) -> list[Corner]:
    """The start of each piece, for the workload of `profile`.

    A new piece starts one token after each span, and at each of `turns`.
    """
    growth: defaultdict[int, list[_Change]] = defaultdict(list)  # by start
    for item in profile.spec.inventory():
        if not item.mtp:
            _add_changes(growth, item, profile)
    starts = sorted({1, *growth, *(turn for turn in turns if 1 < turn <= MAX_CONTEXT)})

    found = []
    now = _Change()
    for start, end in zip(starts, [*starts[1:], None], strict=True):
        for change in growth[start]:
            now.add(change)
        total = now.at(start)
        first = profile.at(start, total)
        if end is not None and end - start == 1:
            found.append(Corner(first, first))
            continue
        steps = tuple((stride, profile.at(start, total + rise)) for stride, rise in sorted(now.steps.items()))
        found.append(Corner(first, profile.at(start + 1, total + now.slope), steps))
    return found


def _add_changes(growth: defaultdict[int, list[_Change]], item: Item, profile: Profile) -> None:
    """Add one component's changes at each context where its own pieces start."""
    seen = set(views(item.component))
    spans, strides = {view.span for view in seen}, sorted({view.stride for view in seen})
    old = _Change()
    for start in sorted({1, *(span + 1 for span in spans if span is not None and span < MAX_CONTEXT)}):
        here, none, *more = (
            component_cost(item.component, profile.spec, profile.workload.at(start), rows) * item.count
            for rows in (View.rows, _no_rows, *map(_growing, strides))
        )
        rises = {stride: one_more - none for stride, one_more in zip(strides, more, strict=True)}
        new = _Change(here, rises.pop(1, Cost()), rises)
        new.level = here - (new.at(start) - here)
        change = _Change()
        change.add(new)
        change.add(old, -1)
        growth[start].append(change)
        old = new


def _no_rows(_view: View, _context: int) -> int:
    return 0


def _growing(stride: int) -> RowCount:
    """Counts one row for each view of that stride that still grows."""
    return lambda view, context: int(view.stride == stride and view.grows(context))
