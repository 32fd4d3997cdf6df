from itertools import pairwise

import pytest
from plots import plot

import llmarch_cli as llmarch
from llmarch_cli.errors import InputError
from llmarch_cli.report.plots.data import IDLE, KINDS, Curves, Scatter, Stacks, checked_kind
from llmarch_cli.report.plots.labels import beside, spread
from llmarch_cli.report.plots.ticks import label, ticks
from llmarch_cli.report.units import BYTES, FLOPS, PARAMS, TOKENS

MODELS = ["gemma3-27b", "deepseek-v3", "gpt2", "gpt-oss-20b"]


@pytest.mark.parametrize(("kind", "key"), [("cache", "kv_cache_bytes"), ("flops", "flops_per_token")])
def test_every_point_of_a_curve_is_exact(kind: str, key: str) -> None:
    drawn = plot(checked_kind(kind), MODELS, contexts=[4096, 3000], batch=2, kv_dtype="fp8")
    assert isinstance(drawn, Curves)
    assert [curve.model for curve in drawn.curves] == MODELS
    for curve in drawn.curves:
        for context, value in curve.points[::7]:
            assert value == getattr(
                llmarch.profile(curve.model, context=context, batch=2, kv_dtype="fp8", engine="closed-form"), key
            )


def test_the_state_of_a_hybrid_is_its_floor() -> None:
    drawn = plot("cache", ["qwen3-next-80b-a3b", "gpt2"], contexts=[4096], batch=2)
    assert isinstance(drawn, Curves)
    states = [
        llmarch.profile(name, batch=2, engine="closed-form").state_bytes for name in ("qwen3-next-80b-a3b", "gpt2")
    ]
    assert [curve.floor for curve in drawn.curves] == states
    assert states[0] > states[1] == 0
    assert all(value > curve.floor for curve in drawn.curves for _, value in curve.points)
    assert "Level lines" in drawn.note
    alone = plot("cache", ["gpt2"])
    assert isinstance(alone, Curves)
    assert "Level lines" not in alone.note


def test_a_curve_has_a_point_where_it_bends_and_reaches_what_was_asked() -> None:
    drawn = plot("cache", ["gpt-oss-20b", "gemma3-27b"], contexts=[20, 1_500_000])
    assert isinstance(drawn, Curves)
    contexts = [[context for context, _ in curve.points] for curve in drawn.curves]
    assert 128 in contexts[0]
    assert 1024 in contexts[1]
    assert all((own[0], own[-1]) == (20, 1_500_000) and own == sorted(set(own)) for own in contexts)


@pytest.mark.parametrize(
    ("models", "first"),
    [(["gpt-oss-20b", "gemma3-27b"], 32), (["gemma3-27b"], 256), (["gpt2"], 256), (["mistral-7b-v0.1"], 1024)],
)
def test_a_curve_is_seen_before_it_bends_and_as_far_as_the_context_window(models: list[str], first: int) -> None:
    for kind in ("cache", "flops"):
        drawn = plot(checked_kind(kind), models)
        assert isinstance(drawn, Curves)
        assert {curve.points[0][0] for curve in drawn.curves} == {first}


@pytest.mark.parametrize("name", llmarch.names())
def test_components_add_up(name: str) -> None:
    drawn = plot("params", [name])
    assert isinstance(drawn, Stacks)
    (stack,) = drawn.stacks
    profile = llmarch.profile(name, engine="closed-form")
    assert stack.total == profile.params
    assert stack.total - stack.shares[drawn.layers.index(IDLE)] == profile.active_params


def test_all_parameters_against_active_ones() -> None:
    drawn = plot("active", ["deepseek-v3", "gpt2"])
    assert isinstance(drawn, Scatter)
    assert drawn.points[0] == ("deepseek-v3", 671_026_404_352, 37_552_282_624)
    assert drawn.points[1][1] == drawn.points[1][2]


def test_an_unknown_plot_is_said() -> None:
    assert [checked_kind(kind) for kind in KINDS] == list(KINDS)
    with pytest.raises(InputError, match=r"unknown plot 'flop'; known: .*; did you mean flops"):
        checked_kind("flop")


def test_ticks_are_round_and_few() -> None:
    assert ticks(TOKENS, 1024, 16384) == [(1024, "1k"), (2048, "2k"), (4096, "4k"), (8192, "8k"), (16384, "16k")]
    assert ticks(FLOPS, 5, 10_000) == [(10, "10 FLOPs"), (100, "100 FLOPs"), (1000, "1 kFLOPs"), (10_000, "10 kFLOPs")]
    assert len(ticks(BYTES, 1, 1 << 60)) <= 9
    assert label(PARAMS, 100_000_000_000) == "100B"


def test_labels_on_a_line_keep_their_order_and_distance() -> None:
    wanted = [0.5, 0.9, 0.51, 0.52, 0.0]
    placed = spread(wanted, 0.1, 0, 1)
    by_wish = [placed[i] for i in sorted(range(5), key=lambda i: wanted[i])]
    assert all(b - a >= 0.1 - 1e-9 for a, b in pairwise(by_wish))
    assert placed[0] == 0.5
    assert max(spread([1.0] * 30, 0.1, 0, 1)) <= 1
    assert min(spread([0.0] * 30, 0.1, 0, 1)) >= 0


def test_labels_beside_points_cover_nothing() -> None:
    points = [(100.0, 100.0)] * 6 + [(110.0, 104.0)]
    boxes = list(beside(points, [(40.0, 9.0)] * 7))
    for i, one in enumerate(boxes):
        for other in boxes[:i]:
            assert one[2] <= other[0] or other[2] <= one[0] or one[3] <= other[1] or other[3] <= one[1]
