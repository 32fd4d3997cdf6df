from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from llmarch_cli.sweeping.selection import first, front, undominated

POINTS = st.integers(1, 3).flatmap(lambda n: st.lists(st.tuples(*[st.integers(-3, 6)] * n), min_size=1, max_size=200))


@given(POINTS, st.sampled_from((np.int64, object, float)))
def test_the_front_is_what_nothing_is_better_than(points: list[tuple[int, ...]], dtype: Any) -> None:
    def beaten(number: int) -> bool:
        mine = points[number]
        return any(
            all(a <= b for a, b in zip(other, mine, strict=True)) and (other != mine or place < number)
            for place, other in enumerate(points)
        )

    losses = [np.array(column, dtype) for column in zip(*points, strict=True)]
    assert front(losses).tolist() == [number for number in range(len(points)) if not beaten(number)]


@given(POINTS, st.integers(1, 200), st.sampled_from((np.int64, object, float)))
def test_what_others_do_not_reach_is_less_in_some_loss_than_each(
    points: list[tuple[int, ...]], n_others: int, dtype: Any
) -> None:
    others, points = points[:n_others], points[n_others:] or points
    found = undominated(*([np.array(column, dtype) for column in zip(*some, strict=True)] for some in (points, others)))
    assert found.tolist() == [
        number
        for number, mine in enumerate(points)
        if all(any(a < b for a, b in zip(mine, other, strict=True)) for other in others)
    ]


@given(st.lists(st.integers(-5, 5), min_size=1, max_size=60), st.none() | st.integers(1, 9))
def test_the_first_are_the_smallest_and_of_equals_the_earliest(losses: list[int], count: int | None) -> None:
    chosen: Any = first(np.array(losses), count)
    assert chosen.tolist() == sorted(range(len(losses)), key=losses.__getitem__)[:count]


def test_a_front_of_a_million_points_is_found_quickly() -> None:
    x = np.arange(1_000_000)
    assert front([x, (x - 500_000) ** 2]).tolist()[:2] == [0, 1]


def test_a_large_front_of_three_goals_is_found_whole() -> None:
    x, y = (axis.reshape(-1) for axis in np.mgrid[:60, :60])
    assert len(front([x, y, -x - y])) == 3600
