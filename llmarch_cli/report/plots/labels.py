"""Where to write names beside what they name, so that none covers another."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from math import cos, pi, sin

STRIP = 16.0  # points: some lines of names


def spread(wanted: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Positions for labels between `low` and `high`: as close to `wanted` as possible, at least `gap` apart.

    If they do not fit, they are spaced evenly, with smaller gaps.
    """
    order = sorted(range(len(wanted)), key=lambda i: wanted[i])
    gap = min(gap, (high - low) / max(1, len(wanted) - 1))
    placed: list[float] = []
    for number, i in enumerate(order):  # upwards: above the one before, leaving room for those that follow
        room = high - gap * (len(order) - 1 - number)
        placed.append(min(max(wanted[i], placed[-1] + gap if placed else low), room))
    back = dict(zip(order, placed, strict=True))
    return [back[i] for i in range(len(wanted))]


Box = tuple[float, float, float, float]  # left, bottom, right, top


def beside(
    points: Sequence[tuple[float, float]],
    sizes: Iterable[tuple[float, float]],
    free: Sequence[tuple[float, float]] | None = None,
) -> Iterator[Box]:
    """A box of each size near its point: the first on growing rings that covers no earlier box and no point of `free`.

    By default these are all points.
    """
    taken: defaultdict[int, list[Box]] = defaultdict(list)  # by strip, so that a box meets only those near it
    for x, y in points if free is None else free:
        _take(taken, (x - 3, y - 3, x + 3, y + 3))
    for (x, y), size in zip(points, sizes, strict=True):
        box = next(
            box
            for box in _around(x, y, *size)
            if not any(_overlap(box, other) for strip in _strips(box) for other in taken[strip])
        )
        _take(taken, box)
        yield box


def _take(taken: defaultdict[int, list[Box]], box: Box) -> None:
    for strip in _strips(box):
        taken[strip].append(box)


def _strips(box: Box) -> range:
    """The horizontal strips that a box reaches into."""
    return range(int(box[1] // STRIP), int(box[3] // STRIP) + 1)


def _around(x: float, y: float, width: float, height: float) -> Iterator[Box]:
    radius = 5.0
    while True:
        for eighth in (0, 4, 1, 7, 3, 5, 2, 6):  # right and left first
            across, up = cos(eighth * pi / 4), sin(eighth * pi / 4)
            left = x + radius * across - width * (1 - across) / 2
            bottom = y + radius * up - height * (1 - up) / 2
            yield (left, bottom, left + width, bottom + height)
        radius += 4.0


def _overlap(one: Box, other: Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
