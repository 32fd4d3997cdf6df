"""What a plot shows, as exact integers: `file` and `terminal` draw it.

To add a plot: its name in `KINDS`, a function here, and for a new type of plot one line in each renderer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Literal, assert_never

from llmarch_cli.errors import InputError, unknown
from llmarch_cli.profilers import lines
from llmarch_cli.profilers.profile import Profile
from llmarch_cli.report.columns import metric
from llmarch_cli.report.layout import mechanism
from llmarch_cli.report.units import TOKENS, Unit

Kind = Literal["cache", "flops", "params", "active"]
KINDS: tuple[Kind, ...] = ("cache", "flops", "params", "active")
CURVED: tuple[Kind, ...] = ("cache", "flops")  # drawn as one curve per model

MOST_CURVES = 8  # in colour; more could not be told apart
MOST_NAMES = 30  # beside points

SHORTEST, LONGEST = 1 << 10, 1 << 20  # every plot covers these contexts, in tokens
FIRST_TURN = 64  # among many models, bends before it are not shown, such as those of convolutions of 4 tokens
BEFORE = 4  # a curve starts at 1/4 of the context at which it first bends or becomes dotted
POINTS_PER_DOUBLING = 8

# The layer of a stack for each role in the inventory.
_STACKS = {
    "embedding": "embeddings",
    "layer embedding": "embeddings",
    "position": "embeddings",
    "attention": "attention",
    "ffn": "feed-forward",
    "norm": "norms",
    "head": "head",
    "residual": "residual stream",
}
IDLE = "idle experts"
LAYERS = ("embeddings", "attention", "feed-forward", IDLE, "norms", "head")
RARE = ("residual stream",)  # shown if a model has any


@dataclass(frozen=True)
class Curve:
    """One model's values as (context, value). `context_window` in tokens; None if unknown.

    `floor` is the part of each value that is the same at every context; 0 if it is not drawn. `group` is its mechanism.
    """

    model: str
    points: tuple[tuple[int, int], ...]
    context_window: int | None
    floor: int = 0
    group: str = ""


@dataclass(frozen=True)
class Curves:
    """A metric over the context or another one, one curve per model, both axes logarithmic.

    `in_front` are the numbers of the curves in colour with their names, and `choice` tells which they are; the others
    are grey, or left out on a terminal. None: all are in colour.
    """

    title: str
    note: str
    unit: Unit
    curves: tuple[Curve, ...]
    x_title: str = "context in tokens"
    x_unit: Unit = TOKENS
    y_title: str = ""
    dotted: str = "Dotted: beyond the model's context window."  # what parts of curves are, in a file
    in_front: tuple[int, ...] | None = None
    choice: str = ""

    @property
    def front(self) -> tuple[int, ...]:
        """The numbers of the curves in colour."""
        return tuple(range(len(self.curves))) if self.in_front is None else self.in_front

    def name(self, number: int) -> str:
        """The name of a curve, with its group if there are others behind."""
        curve = self.curves[number]
        return f"{curve.model} ({curve.group})" if curve.group and self.in_front is not None else curve.model


@dataclass(frozen=True)
class Stack:
    """The parts of one model's total, in the order of `Stacks.layers`."""

    model: str
    shares: tuple[int, ...]

    @property
    def total(self) -> int:
        """The sum of all parts."""
        return sum(self.shares)


@dataclass(frozen=True)
class Stacks:
    """A metric split into parts, one bar per model. Bars are equally long, with the total beside each."""

    title: str
    note: str
    unit: Unit
    layers: tuple[str, ...]
    stacks: tuple[Stack, ...]


@dataclass(frozen=True)
class Scatter:
    """One metric over another, one point (model, x, y) per model, both axes logarithmic.

    `in_front` and `choice` are those of `Curves`.
    """

    title: str
    note: str
    unit: Unit
    x_title: str
    y_title: str
    points: tuple[tuple[str, int, int], ...]
    in_front: tuple[int, ...] | None = None
    choice: str = ""

    @property
    def front(self) -> tuple[int, ...]:
        """The numbers of the points in colour."""
        return tuple(range(len(self.points))) if self.in_front is None else self.in_front


Plot = Curves | Stacks | Scatter


def checked_kind(name: str) -> Kind:
    """`name` as a kind of plot. Raises InputError for an unknown one."""
    for kind in KINDS:
        if name == kind:
            return kind
    raise InputError(unknown("plot", name, KINDS))


def plot(kind: Kind, profiles: Sequence[Profile], highlighted: Sequence[str] | None = None) -> Plot:
    """The plot of `profiles`; a model that has several is drawn once.

    Curves and points of the models `highlighted` are in colour with their names, and the others grey. By default all
    are, or of more than 8 curves or 30 points, one of each of the 8 most frequent mechanisms. Raises InputError for a
    model that is not there.
    """
    models = list({profile.spec.id: profile for profile in profiles}.values())
    match kind:
        case "cache":
            note, key = "{workload.settings}.", "kv_cache_bytes"
            if all(profile.cache_bytes == profile.kv_cache_bytes for profile in models):
                return _curves("KV cache by context", note, key, profiles, models, highlighted)
            note = f"{note} Level lines: the state alone, the same at every context."
            title = "KV cache and state by context"
            return _curves(title, note, "cache_bytes", profiles, models, highlighted, floor="state_bytes")
        case "flops":
            title, note = "FLOPs per token by context", "Decoding one token at each context length."
            return _curves(title, note, "flops_per_token", profiles, models, highlighted)
        case "params":
            return _components(models)
        case "active":
            return _total_and_active(models, highlighted)
        case _:
            assert_never(kind)


def _curves(
    title: str,
    note: str,
    key: str,
    profiles: Sequence[Profile],
    models: Sequence[Profile],
    highlighted: Sequence[str] | None,
    floor: str | None = None,
) -> Curves:
    workload = profiles[0].workload
    in_front, choice = _in_front(models, highlighted)
    drawn = [lines.line(attrgetter(key), lines.corners(profile)) for profile in models]
    windows = [profile.spec.context_length for profile in models]
    # Contexts at which each curve bends or becomes dotted.
    turns = [
        [*(piece.start - 1 for piece in line[1:]), *([] if window is None else [window])]
        for line, window in zip(drawn, windows, strict=True)
    ]
    least = 1 if in_front is None else FIRST_TURN
    seen = [[turn for turn in own if turn >= least] for own in turns]
    shortest = min(
        SHORTEST, *(profile.workload.context for profile in profiles), *(_before(min(own)) for own in seen if own)
    )
    longest = max(LONGEST, *(max(p.workload.context, p.spec.context_length or 0) for p in profiles))
    contexts = _contexts(shortest, longest)
    curves = []
    for profile, line, window, own in zip(models, drawn, windows, turns, strict=True):
        exact = sorted({*contexts, *(context for context in own if shortest < context < longest)})
        points = tuple((each, int(lines.at(line, each))) for each in exact)
        kept = getattr(profile, floor) if floor else 0
        curves.append(Curve(profile.spec.id, points, window, kept, mechanism(profile.spec)))
    note = note.format(workload=workload)
    return Curves(title, note, metric(key).unit, tuple(curves), in_front=in_front, choice=choice)


def _in_front(models: Sequence[Profile], highlighted: Sequence[str] | None) -> tuple[tuple[int, ...] | None, str]:
    """The numbers of the models in colour, None for all, and which they are in words."""
    ids = [profile.spec.id for profile in models]
    if highlighted is not None:
        if missing := [name for name in highlighted if name not in ids]:
            raise InputError(unknown("highlighted model", missing[0], ids))
        chosen = tuple(dict.fromkeys(map(ids.index, highlighted)))
        if len(chosen) > MOST_CURVES:
            raise InputError(f"a plot highlights at most {MOST_CURVES} models, not {len(chosen):,}: name fewer")
        return chosen, f"{len(chosen):,} of {len(ids):,} models, as asked" if chosen else ""
    if len(models) <= MOST_CURVES:
        return None, ""
    groups: dict[str, list[int]] = {}
    for number, profile in enumerate(models):
        groups.setdefault(mechanism(profile.spec), []).append(number)
    common = sorted(groups.values(), key=len, reverse=True)[:MOST_CURVES]
    chosen = tuple(max(group, key=lambda number: models[number].params) for group in common)
    which = "each mechanism" if len(groups) <= MOST_CURVES else f"each of the {MOST_CURVES} most frequent mechanisms"
    return chosen, f"of {len(ids):,} models the largest with {which}"


def _before(turn: int) -> int:
    """A power of 2 well below `turn`, so that the plot shows the curve before it."""
    return 1 << max(turn // BEFORE, 1).bit_length() - 1


def _contexts(first: int, last: int) -> list[int]:
    """Whole numbers of tokens from `first` to `last`, evenly spaced on a logarithmic axis."""
    steps, context = [first], float(first)
    while (context := context * 2 ** (1 / POINTS_PER_DOUBLING)) < last:
        steps.append(round(context))
    return sorted({*steps, last})


def _components(profiles: Sequence[Profile]) -> Stacks:
    there = {_STACKS[item.role] for profile in profiles for item, _ in profile.rows if not item.mtp}
    layers = (*LAYERS, *(layer for layer in RARE if layer in there))
    stacks = []
    for profile in profiles:
        sums = dict.fromkeys(layers, 0)
        for item, cost in profile.rows:
            if not item.mtp:
                sums[_STACKS[item.role]] += item.count * cost.active_params
                sums[IDLE] += item.count * (cost.params - cost.active_params)
        stacks.append(Stack(profile.spec.id, tuple(sums.values())))
    note = "Shares of the total, shown on the right. Idle experts: parameters that one token does not use."
    return Stacks("Parameters by component", note, metric("params").unit, layers, tuple(stacks))


def _total_and_active(profiles: Sequence[Profile], highlighted: Sequence[str] | None) -> Scatter:
    is_few = highlighted is None and len(profiles) <= MOST_NAMES
    in_front, choice = (None, "") if is_few else _in_front(profiles, highlighted)
    params, active = metric("params"), metric("active_params")
    return Scatter(
        "Total and active parameters",
        "Dense models lie on the 100% line.",
        params.unit,
        params.title,
        active.title,
        tuple((profile.spec.id, profile.params, profile.active_params) for profile in profiles),
        in_front,
        choice,
    )
