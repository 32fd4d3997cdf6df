"""Plots of what fits: memory by context, the roofline of a step, and the rates of a user against those of a device."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Literal, get_args

from llmarch_cli.deployment import bounds
from llmarch_cli.deployment.fit import Fit
from llmarch_cli.errors import InputError, unknown
from llmarch_cli.report.plots.data import Curve, Curves
from llmarch_cli.report.units import BYTES, INTEGER, RATE, Unit, seconds

Kind = Literal["memory", "step", "pareto"]
KINDS: tuple[Kind, ...] = get_args(Kind)

MICROSECONDS = Unit(lambda taken: seconds(Fraction(taken, 10**6)))
MOST_CURVES = 7  # of numbers of sequences
SHORTEST, LONGEST = 1 << 10, 1 << 20  # contexts in tokens
POINTS_PER_DOUBLING = 4


def checked_kind(name: str) -> Kind:
    """`name` as a kind of plot. Raises InputError for an unknown one."""
    for kind in KINDS:
        if name == kind:
            return kind
    raise InputError(unknown("plot", name, KINDS))


def require(kind: Kind, n_answers: int) -> None:
    """Raise InputError if a plot cannot show so many models and machines."""
    if kind != "pareto" and n_answers != 1:
        raise InputError(f"--plot-kind {kind} is for one model on one machine; pareto is for several")


def n_curves(kind: Kind, n_answers: int) -> int:
    """The most curves of a plot."""
    return {"memory": MOST_CURVES + 1, "step": 3, "pareto": n_answers}[kind]


def plot(kind: Kind, found: Sequence[Fit]) -> Curves:
    """A plot of answers. Raises InputError as `require`."""
    require(kind, len(found))
    match kind:
        case "memory":
            return _memory(found[0])
        case "step":
            return _step(found[0])
        case _:
            return _pareto(found)


def _memory(found: Fit) -> Curves:
    """Bytes of the device that holds most, by context, a curve for each number of sequences."""
    window = found.spec.context_length
    contexts = list(_steps(SHORTEST, max(LONGEST, found.question.workload.context, window or 0)))
    curves = []
    for n_sequences in _batches(found.most_sequences):
        points = tuple((at, found.sizes.needed(found.layout, n_sequences, at)) for at in contexts)
        curves.append(Curve(f"{n_sequences:,} sequence{'s' * (n_sequences > 1)}", points, window))
    ends = tuple((at, found.room) for at in contexts)
    curves.append(Curve("room", ends, None))
    note = f"{found.spec.id} on {found.machines} ({found.layout.words}). Room: memory without the reserve."
    return Curves("Bytes of a device by context", note, BYTES, tuple(curves))


def _step(found: Fit) -> Curves:
    """The roofline of a decode step: microseconds to read and to compute by sequences; the longer one is the bound."""
    last = max(found.most_sequences, 2 * (found.compute_batch or 0), 64)
    numbers = sorted({*_powers(last), last})
    steps = {number: bounds.decode_step(found.sizes.model, found.setting, number) for number in numbers}
    lines: dict[str, list[tuple[int, Fraction | None]]] = {
        "to read": [(number, step.memory) for number, step in steps.items()],
        "to compute": [(number, step.compute) for number, step in steps.items()],
        "to exchange": [(number, step.link) for number, step in steps.items()],
    }
    curves = []
    for name, line in lines.items():
        points = tuple((number, round(10**6 * taken)) for number, taken in line if taken)
        if any(value for _, value in points):
            curves.append(Curve(name, points, found.most_sequences))
    note = f"{found.spec.id} on {found.machines} ({found.layout.words}), {found.setting.compute}."
    title, dotted = "Least time of a decode step by sequences", "Dotted: more sequences than fit."
    return Curves(title, note, MICROSECONDS, tuple(curves), "sequences", INTEGER, "", dotted)


def _powers(last: int) -> list[int]:
    """The powers of two up to a number."""
    return [1 << number for number in range(last.bit_length())]


def _steps(first: int, last: int) -> Iterator[int]:
    at, number = first, 0
    while at < last:
        yield at
        number += 1
        at = round(first * 2 ** (number / POINTS_PER_DOUBLING))
    yield last


def _batches(most: int) -> list[int]:
    """Up to seven numbers of sequences from 1 to the most, in even ratios."""
    most = max(most, 1)
    numbers = {max(1, round(most ** (number / (MOST_CURVES - 1)))) for number in range(MOST_CURVES)}
    return sorted(numbers)


def _pareto(found: Sequence[Fit]) -> Curves:
    """Of all layouts and numbers of sequences that fit, those that no other beats in both rates."""
    several = len({str(each.machines) for each in found}) > 1
    curves = []
    for each in found:
        name = f"{each.spec.id} on {each.machines}" if several else each.spec.id
        if points := tuple(_front(each)):
            curves.append(Curve(name, points, None))
    machines = "" if several or not found else f" on {found[0].machines}"
    context = found[0].question.workload.context
    note = f"Bounds{machines} at {context:,} tokens of context, over all layouts and numbers of sequences that fit."
    titles = "tokens/s a user", "tokens/s a device"
    title = "Tokens per second: of a user against of a device"
    return Curves(title, note, RATE, tuple(curves), titles[0], RATE, titles[1], "")


def _front(found: Fit) -> Iterator[tuple[int, int]]:
    """The points that no other beats: whole tokens a second of a user, and of a device."""
    points: dict[int, int] = {}
    for layout in found.sizes.candidates(found.machines):
        most = found.sizes.most_sequences(layout, found.room)
        for batch in sorted({*_powers(most), most} - {0}):
            step = bounds.decode_step(found.sizes.model, replace(found.setting, layout=layout), batch)
            user = int(1 / step.seconds)
            points[user] = max(points.get(user, 0), int(batch / step.seconds / found.machines.n_devices))
    best = 0
    front = []
    for user in sorted(points, reverse=True):
        if points[user] > best and user:
            best = points[user]
            front.append((user, best))
    return iter(front[::-1])
