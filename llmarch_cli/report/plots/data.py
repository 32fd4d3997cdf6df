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
from llmarch_cli.report.units import TOKENS, Unit

Kind = Literal["cache", "flops", "params", "active"]
KINDS: tuple[Kind, ...] = ("cache", "flops", "params", "active")
CURVED: tuple[Kind, ...] = ("cache", "flops")  # drawn as one curve per model

SHORTEST, LONGEST = 1 << 10, 1 << 20  # every plot covers these contexts, in tokens
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

    `floor` is the part of each value that is the same at every context; 0 if it is not drawn.
    """

    model: str
    points: tuple[tuple[int, int], ...]
    context_window: int | None
    floor: int = 0


@dataclass(frozen=True)
class Curves:
    """A metric over the context or another one, one curve per model, both axes logarithmic."""

    title: str
    note: str
    unit: Unit
    curves: tuple[Curve, ...]
    x_title: str = "context in tokens"
    x_unit: Unit = TOKENS
    y_title: str = ""
    dotted: str = "Dotted: beyond the model's context window."  # what parts of curves are, in a file


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
    """One metric over another, one point (model, x, y) per model, both axes logarithmic."""

    title: str
    note: str
    unit: Unit
    x_title: str
    y_title: str
    points: tuple[tuple[str, int, int], ...]


Plot = Curves | Stacks | Scatter


def checked_kind(name: str) -> Kind:
    """`name` as a kind of plot. Raises InputError for an unknown one."""
    for kind in KINDS:
        if name == kind:
            return kind
    raise InputError(unknown("plot", name, KINDS))


def plot(kind: Kind, profiles: Sequence[Profile]) -> Plot:
    """The plot of `profiles`; a model that has several is drawn once."""
    models = list({profile.spec.id: profile for profile in profiles}.values())
    match kind:
        case "cache":
            note, key = "{workload.settings}.", "kv_cache_bytes"
            if all(profile.cache_bytes == profile.kv_cache_bytes for profile in models):
                return _curves("KV cache by context", note, key, profiles, models)
            note = f"{note} Level lines: the state alone, the same at every context."
            return _curves("KV cache and state by context", note, "cache_bytes", profiles, models, floor="state_bytes")
        case "flops":
            title, note = "FLOPs per token by context", "Decoding one token at each context length."
            return _curves(title, note, "flops_per_token", profiles, models)
        case "params":
            return _components(models)
        case "active":
            return _total_and_active(models)
        case _:
            assert_never(kind)


def _curves(
    title: str,
    note: str,
    key: str,
    profiles: Sequence[Profile],
    models: Sequence[Profile],
    floor: str | None = None,
) -> Curves:
    workload = profiles[0].workload
    drawn = [lines.line(attrgetter(key), lines.corners(profile)) for profile in models]
    windows = [profile.spec.context_length for profile in models]
    # Contexts at which each curve bends or becomes dotted.
    turns = [
        [*(piece.start - 1 for piece in line[1:]), *([] if window is None else [window])]
        for line, window in zip(drawn, windows, strict=True)
    ]
    shortest = min(
        SHORTEST, *(profile.workload.context for profile in profiles), *(_before(min(own)) for own in turns if own)
    )
    longest = max(LONGEST, *(max(p.workload.context, p.spec.context_length or 0) for p in profiles))
    contexts = _contexts(shortest, longest)
    curves = []
    for profile, line, window, own in zip(models, drawn, windows, turns, strict=True):
        exact = sorted({*contexts, *(context for context in own if shortest < context < longest)})
        points = tuple((each, int(lines.at(line, each))) for each in exact)
        curves.append(Curve(profile.spec.id, points, window, getattr(profile, floor) if floor else 0))
    return Curves(title, note.format(workload=workload), metric(key).unit, tuple(curves))


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


def _total_and_active(profiles: Sequence[Profile]) -> Scatter:
    params, active = metric("params"), metric("active_params")
    return Scatter(
        "Total and active parameters",
        "Dense models lie on the 100% line.",
        params.unit,
        params.title,
        active.title,
        tuple((profile.spec.id, profile.params, profile.active_params) for profile in profiles),
    )
