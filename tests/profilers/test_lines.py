from collections.abc import Callable
from dataclasses import replace
from operator import attrgetter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import spans, specs, workloads

import llmarch_cli as llmarch
from llmarch_cli.profilers.cost import Workload
from llmarch_cli.profilers.lines import Piecewise, at, corners, line
from llmarch_cli.profilers.profile import Profile, profile
from llmarch_cli.specs.spec import ModelSpec

LONG = 1 << 24
VALUES: dict[str, Callable[[Profile], int]] = {
    key: attrgetter(key)
    for key in (
        "params",
        "kv_cache_bytes",
        "kv_fixed_bytes",
        "kv_bytes_per_token",
        "kv_cache_bytes_without_windows",
        "kv_cache_bytes_multi_head",
        "flops_per_token",
    )
}


def lines(spec: ModelSpec, workload: Workload) -> dict[str, Piecewise]:
    ends = corners(profile(spec, workload, "closed-form"))
    return {key: line(value, ends) for key, value in VALUES.items()}


def holds(spec: ModelSpec, workload: Workload, contexts: set[int]) -> None:
    found = lines(spec, workload)
    for context in contexts:
        there = profile(spec, replace(workload, context=context), "closed-form")
        assert {key: at(found[key], context) for key in VALUES} == {key: value(there) for key, value in VALUES.items()}


@given(st.data())
def test_a_line_is_the_closed_form_at_every_context(data: st.DataObject) -> None:
    spec = data.draw(specs())
    around = {max(1, span + step) for span in spans(spec) for step in (-1, 0, 1, 2) if span < LONG}
    holds(spec, data.draw(workloads(spec)), {1, 2, *around, *data.draw(st.sets(st.integers(1, LONG), max_size=3))})


@pytest.mark.parametrize("name", llmarch.names())
def test_the_lines_of_all_models(name: str) -> None:
    spec = llmarch.load(name)
    holds(spec, Workload(4096, 3, "fp8"), {1, 511, 512, 513, 8191, 8192, 8193, 131_072, 10_000_019})


def test_pieces_start_where_a_window_is_full_and_nowhere_else() -> None:
    gemma, deepseek = (lines(llmarch.load(name), Workload(1)) for name in ("gemma3-27b", "deepseek-v3"))
    assert [piece.start for piece in gemma["kv_cache_bytes"]] == [1, 1025]
    assert [piece.start for piece in gemma["params"]] == [1]
    assert [piece.start for piece in deepseek["flops_per_token"]] == [1]


def test_a_turn_starts_a_piece() -> None:
    figures = llmarch.profile("gpt2", engine="closed-form")
    steps = line(lambda p: int(p.workload.context > 1024), corners(figures, [1025]))
    assert [at(steps, context) for context in (1, 1023, 1024, 1025, 1026, LONG)] == [0, 0, 0, 1, 1, 1]
