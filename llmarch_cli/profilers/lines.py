"""Metrics at every context, exactly: straight pieces that change where a window or a chunk is full. No torch.

A page or a plot needs a metric at thousands of contexts. Every cost grows linearly with the tokens in view, and a
component's view grows with the context until its span is full. So the costs just after each span, and the growth up to
the next one, give every value in between.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from llmarch_cli.components.component import views
from llmarch_cli.profilers.closed_form import component_cost
from llmarch_cli.profilers.cost import Cost
from llmarch_cli.profilers.profile import MAX_CONTEXT, Profile
from llmarch_cli.specs.spec import Item


@dataclass(frozen=True, slots=True)
class Piece:
    """A straight piece of a metric: `value` at the context `start`, and `slope` more for each token after it."""

    start: int
    value: int
    slope: int

    def at(self, context: int) -> int:
        """The value at a context that lies on this piece."""
        return self.value + self.slope * (context - self.start)


Piecewise = tuple[Piece, ...]  # by start, from context 1 on; the last piece has no end


def at(line: Piecewise, context: int) -> int:
    """The value of a line at `context`."""
    return line[bisect_right(line, context, key=lambda piece: piece.start) - 1].at(context)


def line(value: Callable[[Profile], int], corners: Sequence[tuple[Profile, Profile]]) -> Piecewise:
    """The line of a metric. `value` must depend on the costs and the context linearly between the corners."""
    pieces: list[Piece] = []
    for profile, following in corners:
        start, here = profile.workload.context, value(profile)
        slope = value(following) - here if following is not profile else 0
        if not pieces or pieces[-1].slope != slope or pieces[-1].at(start) != here:
            pieces.append(Piece(start, here, slope))
    return tuple(pieces)


def corners(profile: Profile, turns: Iterable[int] = ()) -> list[tuple[Profile, Profile]]:
    """A profile at the first context of each piece and one at the next context, for the workload of `profile`.

    A new piece starts one token after each span, and at each of `turns`. If a piece is one token long, both profiles
    are the same object.
    """
    growth: defaultdict[int, list[tuple[Cost, Cost]]] = defaultdict(list)  # changes at a start: of level and of slope
    for item in profile.spec.inventory():
        if not item.mtp:
            _add_changes(growth, item, profile)
    starts = sorted({1, *growth, *(turn for turn in turns if 1 < turn <= MAX_CONTEXT)})

    found = []
    level = slope = Cost()  # the total at context c is level + slope * c
    for start, end in zip(starts, [*starts[1:], None], strict=True):
        for of_level, of_slope in growth[start]:
            level, slope = level + of_level, slope + of_slope
        first = profile.at(start, level + slope * start)
        alone = end is not None and end - start == 1
        found.append((first, first if alone else profile.at(start + 1, level + slope * (start + 1))))
    return found


def _add_changes(growth: defaultdict[int, list[tuple[Cost, Cost]]], item: Item, profile: Profile) -> None:
    """Add one component's changes of level and slope at each context where its own pieces start."""
    spans = {view.span for view in views(item.component)}
    old_level = old_slope = Cost()
    for start in sorted({1, *(span + 1 for span in spans if span is not None and span < MAX_CONTEXT)}):
        here, following = (
            component_cost(item.component, profile.spec, profile.workload.at(context)) * item.count
            for context in (start, start + 1)
        )
        slope = following - here
        level = here - slope * start
        growth[start].append((level - old_level, slope - old_slope))
        old_level, old_slope = level, slope
