"""Plots of what fits: memory by context, times of a step, rooflines, and the rates of a user and of a device."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Literal, get_args

from llmarch_cli.deployment import bounds
from llmarch_cli.deployment.fit import Fit
from llmarch_cli.errors import InputError, unknown
from llmarch_cli.report.plots.data import Curve, Curves
from llmarch_cli.report.units import BYTES, INTEGER, OPERATION_RATE, RATE, Unit, seconds

Kind = Literal["memory", "step", "roofline", "pareto"]
KINDS: tuple[Kind, ...] = get_args(Kind)

MICROSECONDS = Unit(lambda taken: seconds(Fraction(taken, 10**6)))
THOUSANDTHS = Unit(lambda number: f"{number / 1000:,g}")
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
    if kind in ("memory", "step") and n_answers != 1:
        raise InputError(f"--plot-kind {kind} is for one model on one machine; roofline and pareto are for several")


def n_curves(kind: Kind, n_answers: int) -> int:
    """The most curves of a plot."""
    return {"memory": MOST_CURVES + 1, "step": 3, "roofline": 2 * n_answers, "pareto": n_answers}[kind]


def plot(kind: Kind, found: Sequence[Fit]) -> Curves:
    """A plot of answers. Raises InputError as `require`."""
    require(kind, len(found))
    match kind:
        case "memory":
            return _memory(found[0])
        case "step":
            return _step(found[0])
        case "roofline":
            return _roofline(found)
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
    """Microseconds of a decode step to read and to compute by sequences; the longer one is the bound."""
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


def _roofline(found: Sequence[Fit]) -> Curves:
    """FLOPs a second of a device by FLOPs for each byte that it reads: roofs of chips, and decode steps below them.

    A roof is `min(peak, bandwidth x intensity)` (Williams, Waterman and Patterson, 2009). A step lies on it, by what
    bounds it, from one sequence to as many as compute binds from, and dotted where more than fit.

    Raises InputError if no peak is known.
    """
    steps = {f"{each.spec.id} on {each.machines}": _intensities(each) for each in found}
    if not any(steps.values()):
        raise InputError("a roofline needs the peak of a chip in the dtype of products; --compute names another dtype")
    seen = [at for points in steps.values() for at, *_ in points]
    first, last = min(seen), 4 * max(seen)
    curves: dict[str, Curve] = {}
    for each in found:
        chip, dtype = each.machines.chip, each.setting.compute
        if (peak := bounds.peak_of(each.machines, dtype)) is not None:
            last = max(last, 4000 * peak // chip.bandwidth)
            ridge = 1000 * peak // chip.bandwidth
            roof = tuple((at, min(peak, chip.bandwidth * at // 1000)) for at in sorted({first, ridge, last}))
            curves[f"roof of {chip.id}, {dtype}"] = Curve(f"roof of {chip.id}, {dtype}", roof, None)
    for each, (name, points) in zip(found, steps.items(), strict=True):
        inside = [at for at, _, number in points if number <= each.most_sequences]
        if points:
            curves[name] = Curve(name, tuple((at, rate) for at, rate, _ in points), max(inside, default=0))
    context = found[0].question.workload.context
    note = f"Decode steps of 1, 2, 4 ... sequences at {context:,} tokens of context, as their bounds allow."
    titles, dotted = ("FLOPs for each byte read", "FLOPs a second of a device"), "Dotted: more sequences than fit."
    roofs = tuple(curves.values())
    return Curves("Roofline", note, OPERATION_RATE, roofs, titles[0], THOUSANDTHS, titles[1], dotted)


def _intensities(found: Fit) -> list[tuple[int, int, int]]:
    """Of decode steps: thousandths of a FLOP for a byte, FLOPs a second, and sequences; each intensity once."""
    points: dict[int, tuple[int, int, int]] = {}
    last = max(found.most_sequences, 2 * (found.compute_batch or 0), 64)
    for number in sorted({*_powers(last), found.most_sequences or 1}):
        step = bounds.decode_step(found.sizes.model, found.setting, number)
        if step.compute is not None:
            at = 1000 * step.flops // step.n_bytes
            points.setdefault(at, (at, int(step.flops / step.seconds), number))
    return sorted(points.values())


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
