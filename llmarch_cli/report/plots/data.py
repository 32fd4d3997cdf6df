"""What a plot shows, as exact figures: drawn to a file by `figure`, and on a terminal by `terminal`.

To add a plot: its name in `KINDS`, a function here, and where it is of a new sort, a line in each renderer.
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
from llmarch_cli.report.units import Unit

Kind = Literal["cache", "flops", "params", "active"]
KINDS: tuple[Kind, ...] = ("cache", "flops", "params", "active")
CURVED: tuple[Kind, ...] = ("cache", "flops")  # those that have a curve for each model

SHORTEST, LONGEST = 1 << 10, 1 << 20  # contexts drawn at least
BEFORE = 4  # a curve is drawn from this share of the context where it first bends or changes its style
POINTS_PER_DOUBLING = 8

# A component's role in the inventory, and what it is stacked as.
_STACKS = {
    "embedding": "embeddings",
    "position": "embeddings",
    "attention": "attention",
    "ffn": "feed-forward",
    "norm": "norms",
    "head": "head",
}
IDLE = "idle experts"
LAYERS = ("embeddings", "attention", "feed-forward", IDLE, "norms", "head")


@dataclass(frozen=True)
class Curve:
    """One model's figures, as (context, value). `made_for`: the longest context that it was made for."""

    model: str
    points: tuple[tuple[int, int], ...]
    made_for: int | None


@dataclass(frozen=True)
class Curves:
    """A figure against the context, one curve a model, both axes logarithmic."""

    title: str
    note: str
    unit: Unit
    curves: tuple[Curve, ...]


@dataclass(frozen=True)
class Stack:
    """One model's figure in its shares, in the order of `layers`, which add up to it."""

    model: str
    shares: tuple[int, ...]

    @property
    def total(self) -> int:
        """All shares together."""
        return sum(self.shares)


@dataclass(frozen=True)
class Stacks:
    """A figure made up of shares, one bar a model, each as long as the others: its total is written beside it."""

    title: str
    note: str
    unit: Unit
    layers: tuple[str, ...]
    stacks: tuple[Stack, ...]


@dataclass(frozen=True)
class Spread:
    """One figure against another, one point (x, y) a model, both axes logarithmic."""

    title: str
    note: str
    unit: Unit
    x_title: str
    y_title: str
    points: tuple[tuple[str, int, int], ...]


Plot = Curves | Stacks | Spread


def checked_kind(name: str) -> Kind:
    """`name` as a kind of plot. Raises InputError where it is none."""
    for kind in KINDS:
        if name == kind:
            return kind
    raise InputError(unknown("plot", name, KINDS))


def plot(kind: Kind, profiles: Sequence[Profile]) -> Plot:
    """What is drawn of `profiles`, each model once."""
    models = list({profile.spec.id: profile for profile in profiles}.values())
    match kind:
        case "cache":
            note = "{workload.settings}."
            return _curves("KV cache by context", note, "kv_cache_bytes", profiles, models)
        case "flops":
            title, note = "FLOPs per token by context", "Decoding one token with so many in view."
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
    asked: Sequence[Profile],
    models: Sequence[Profile],
) -> Curves:
    workload = asked[0].workload
    drawn = [lines.line(attrgetter(key), lines.corners(profile)) for profile in models]
    lengths = [profile.spec.context_length for profile in models]
    # Where each bends, and where its style changes.
    turns = [
        [*(piece.start - 1 for piece in line[1:]), *([] if made_for is None else [made_for])]
        for line, made_for in zip(drawn, lengths, strict=True)
    ]
    shortest = min(
        SHORTEST, *(profile.workload.context for profile in asked), *(_before(min(own)) for own in turns if own)
    )
    longest = max(LONGEST, *(max(p.workload.context, p.spec.context_length or 0) for p in asked))
    contexts = _contexts(shortest, longest)
    curves = []
    for profile, line, made_for, own in zip(models, drawn, lengths, turns, strict=True):
        exact = sorted({*contexts, *(at for at in own if contexts[0] < at < contexts[-1])})
        curves.append(Curve(profile.spec.id, tuple((at, lines.at(line, at)) for at in exact), made_for))
    return Curves(title, note.format(workload=workload), metric(key).unit, tuple(curves))


def _before(turn: int) -> int:
    """A power of 2 well below `turn`: what is seen of a curve before it."""
    return 1 << max(turn // BEFORE, 1).bit_length() - 1


def _contexts(first: int, last: int) -> list[int]:
    """Whole numbers of tokens, evenly spaced on a logarithmic axis, both ends included."""
    steps, at = [first], float(first)
    while (at := at * 2 ** (1 / POINTS_PER_DOUBLING)) < last:
        steps.append(round(at))
    return sorted({*steps, last})


def _components(profiles: Sequence[Profile]) -> Stacks:
    stacks = []
    for profile in profiles:
        sums = dict.fromkeys(LAYERS, 0)
        for item, cost in profile.rows:
            if not item.mtp:
                sums[_STACKS[item.role]] += item.count * cost.active_params
                sums[IDLE] += item.count * (cost.params - cost.active_params)
        stacks.append(Stack(profile.spec.id, tuple(sums.values())))
    note = "Shares of all parameters, written at the right. Idle experts: what one token does not touch."
    return Stacks("Parameters by component", note, metric("params").unit, LAYERS, tuple(stacks))


def _total_and_active(profiles: Sequence[Profile]) -> Spread:
    params, active = metric("params"), metric("active_params")
    return Spread(
        "Parameters: all, and those that one token touches",
        "A dense model lies on the line of 100%.",
        params.unit,
        params.title,
        active.title,
        tuple((profile.spec.id, profile.params, profile.active_params) for profile in profiles),
    )
