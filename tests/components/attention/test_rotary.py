"""Rotary embedding: rotation by position, and each scaling against its paper."""

from __future__ import annotations

import math
import re
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from sublayers import component, values
from torch import Tensor

from llmarch_cli.components.attention.rope_scaling import (
    ByPartsScaling,
    LinearScaling,
    LongRopeScaling,
    SteppedScaling,
    YarnScaling,
)
from llmarch_cli.components.attention.rotary import RotaryComponent

THETA = 10_000.0


def rotary(**fields: Any) -> RotaryComponent:
    data = {"kind": "gqa", "n_heads": 1, "n_kv_heads": 1, "head_dim": 8, "rope_theta": THETA}
    rotating = component(data | fields)
    assert isinstance(rotating, RotaryComponent)
    return rotating


def test_each_pair_is_turned_by_its_own_angle() -> None:
    x = values(1, 1, 1, 8)
    turned = rotary().rotate(x, start=3).flatten()
    for pair in range(4):
        angle = 3 / THETA ** (2 * pair / 8)
        first, second = float(x[..., pair]), float(x[..., pair + 4])
        assert float(turned[pair]) == pytest.approx(first * math.cos(angle) - second * math.sin(angle), abs=1e-6)
        assert float(turned[pair + 4]) == pytest.approx(second * math.cos(angle) + first * math.sin(angle), abs=1e-6)


def test_interleaved_pairs_are_neighbours() -> None:
    x = values(1, 2, 5, 8)
    neighbours = [0, 2, 4, 6, 1, 3, 5, 7]  # index of each value of the halves form in the interleaved form
    as_halves = rotary().rotate(x[..., neighbours], start=2)
    torch.testing.assert_close(rotary(rope_interleaved=True).rotate(x, start=2)[..., neighbours], as_halves)


def test_reversed_rotation_turns_back() -> None:
    x = values(1, 2, 1, 8)
    torch.testing.assert_close(rotary(rope_reversed=True).rotate(rotary().rotate(x, start=7), start=7), x)


@given(st.integers(0, 500), st.integers(0, 500), st.integers(0, 500))
def test_products_depend_on_distance_alone(q_at: int, k_at: int, further: int) -> None:
    q, k, turn = values(1, 1, 1, 8), values(1, 1, 1, 8, seed=2), rotary().rotate
    here = (turn(q, q_at) * turn(k, k_at)).sum()
    there = (turn(q, q_at + further) * turn(k, k_at + further)).sum()
    torch.testing.assert_close(here, there, rtol=1e-3, atol=1e-3)


def test_only_the_first_values_of_a_head_are_rotated() -> None:
    part: Any = rotary(rotary_dim=4)
    x = values(1, 1, 3, 8)
    turned = part.rotate_first(x, 1)
    torch.testing.assert_close(turned[..., :4], part.rotate(x[..., :4], 1))
    assert torch.equal(turned[..., 4:], x[..., 4:])


def frequencies(dim: int = 128) -> Tensor:
    return 1 / THETA ** (torch.arange(0, dim, 2) / dim)


def test_linear_scaling_divides_positions() -> None:
    stretched = LinearScaling(kind="linear", factor=8.0).stretch(frequencies(), THETA, 1)
    torch.testing.assert_close(stretched, frequencies() / 8)


def test_scaling_by_parts_keeps_fast_pairs_and_divides_slow_ones() -> None:
    scaling = ByPartsScaling(kind="ntk_by_parts", factor=8.0, original_context_length=8192)
    plain, stretched = frequencies(), scaling.stretch(frequencies(), THETA, 1)
    wavelengths = 2 * math.pi / plain
    fast, slow = wavelengths < 8192 / 4, wavelengths > 8192 / 1
    torch.testing.assert_close(stretched[fast], plain[fast])
    torch.testing.assert_close(stretched[slow], plain[slow] / 8)
    between = ~fast & ~slow
    assert between.any()
    assert ((stretched < plain) & (stretched > plain / 8))[between].all()


def test_scaling_by_parts_without_a_blend_is_a_step() -> None:
    scaling = ByPartsScaling(
        kind="ntk_by_parts", factor=8.0, low_freq_factor=2.0, high_freq_factor=2.0, original_context_length=8192
    )
    stretched = scaling.stretch(frequencies(), THETA, 1)
    ratios = (frequencies() / stretched).round()
    assert set(ratios.tolist()) == {1.0, 8.0}


def yarn(**fields: Any) -> YarnScaling:
    return YarnScaling(kind="yarn", factor=40.0, original_context_length=4096, **fields)


def test_yarn_keeps_fast_pairs_and_divides_slow_ones() -> None:
    plain, stretched = frequencies(), yarn().stretch(frequencies(), THETA, 1)
    turns = 4096 * plain / (2 * math.pi)
    torch.testing.assert_close(stretched[turns > 40], plain[turns > 40])
    torch.testing.assert_close(stretched[turns < 0.8], plain[turns < 0.8] / 40)


def test_yarn_bounds_need_not_be_whole_pairs() -> None:
    whole, exact = yarn().stretch(frequencies(), THETA, 1), yarn(truncate=False).stretch(frequencies(), THETA, 1)
    assert not torch.equal(whole, exact)


@pytest.mark.parametrize(
    ("fields", "rotary_share", "score_share"),
    [
        ({}, 0.1 * math.log(40) + 1, 1.0),
        ({"attention_factor": 1.5}, 1.5, 1.0),
        ({"mscale": 1.0, "mscale_all_dim": 1.0}, 1.0, (0.1 * math.log(40) + 1) ** 2),
        ({"mscale": 0.707, "mscale_all_dim": 1.0}, (0.0707 * math.log(40) + 1) / (0.1 * math.log(40) + 1), None),
        ({"factor": 0.5}, 1.0, 1.0),
    ],
)
def test_yarn_temperature(fields: dict[str, Any], rotary_share: float, score_share: float | None) -> None:
    scaling = YarnScaling.model_validate({"kind": "yarn", "factor": 40.0, "original_context_length": 4096, **fields})
    assert scaling.magnitude == pytest.approx(rotary_share)
    if score_share is not None:
        assert scaling.score_magnitude == pytest.approx(score_share)


LONGROPE: dict[str, Any] = {
    "kind": "longrope",
    "short_factor": [1.0, 2.0],
    "long_factor": [4.0, 8.0],
    "original_context_length": 16,
}


@pytest.mark.parametrize(("length", "factors"), [(1, [1.0, 2.0]), (16, [1.0, 2.0]), (17, [4.0, 8.0])])
def test_each_pair_has_a_factor_by_the_length_seen(length: int, factors: list[float]) -> None:
    stretched = LongRopeScaling.model_validate(LONGROPE).stretch(frequencies(4), THETA, length)
    torch.testing.assert_close(stretched, frequencies(4) / torch.tensor(factors))


@pytest.mark.parametrize(
    ("fields", "magnitude"),
    [
        ({}, 1.0),
        ({"factor": 0.5}, 1.0),
        ({"factor": 4.0}, math.sqrt(1.5)),  # log(4) is half of log(16)
        ({"factor": 4.0, "attention_factor": 0.7}, 0.7),
    ],
)
def test_magnitude_of_factors_by_pair(fields: dict[str, float], magnitude: float) -> None:
    assert LongRopeScaling.model_validate(LONGROPE | fields).magnitude == pytest.approx(magnitude)


def test_lists_are_told_by_their_ends_and_a_checksum() -> None:
    scaling = LongRopeScaling.model_validate(LONGROPE | {"factor": 32.0})
    other = LongRopeScaling.model_validate(LONGROPE | {"short_factor": [1.0, 1.5, 2.0]})
    assert scaling.label == "LongRoPE x32 from 16"
    assert re.fullmatch(r"short_factor 1 to 2 #\w{8}, long_factor 4 to 8 #\w{8}", scaling.details)
    assert other.details.startswith("short_factor 1 to 2 #")
    assert other.details.split(",")[0] != scaling.details.split(",")[0]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"rope_theta": None, "rope_interleaved": True}, "rope_interleaved is set, but rope_theta is null"),
        ({"rope_theta": None, "rotary_dim": 4}, "rotary_dim is set, but rope_theta is null"),
        (
            {"rope_theta": None, "rope_scaling": {"kind": "linear", "factor": 2.0}},
            "rope_scaling is set, but rope_theta is null",
        ),
        (
            {
                "rope_scaling": {
                    "kind": "ntk_by_parts",
                    "factor": 2.0,
                    "original_context_length": 8,
                    "low_freq_factor": 4.0,
                    "high_freq_factor": 1.0,
                }
            },
            r"high_freq_factor \(1\) must not be below low_freq_factor \(4\)",
        ),
        (
            {
                "rope_scaling": {
                    "kind": "yarn",
                    "factor": 2.0,
                    "original_context_length": 8,
                    "beta_fast": 1.0,
                    "beta_slow": 32.0,
                }
            },
            r"beta_fast \(1\) must not be below beta_slow \(32\)",
        ),
        (
            {"head_dim": 6, "rope_scaling": LONGROPE},
            "rope_scaling.short_factor must have 3 factors, one per rotated pair of a head, not 2",
        ),
        (
            {"head_dim": 6, "rotary_dim": 4, "rope_scaling": LONGROPE | {"long_factor": [1.0]}},
            "rope_scaling.long_factor must have 2 factors, one per rotated pair of a head, not 1",
        ),
    ],
)
def test_rules(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        rotary(**fields)


@pytest.mark.parametrize(
    ("length", "alpha"), [(1, 1), (8, 1), (9, 3), (16, 3), (17, 7), (32, 7), (33, 15), (8 * 2**20, 2**21 - 1)]
)
def test_steps_multiply_theta_by_a_power_of_the_length(length: int, alpha: int) -> None:
    """Alpha is 2^ceil(log2(length / 8) + 1) - 1, at least 1, as in the published code."""
    assert alpha == max(1, 2 ** math.ceil(math.log2(length / 8) + 1) - 1)
    scaling = SteppedScaling(kind="stepped_ntk", original_context_length=8)
    theta = THETA * alpha ** (8 / (8 - 2))
    expected = torch.tensor([theta ** (-2 * pair / 8) for pair in range(4)])
    torch.testing.assert_close(scaling.stretch(frequencies(8), THETA, length), expected)


def test_steps_leave_a_single_pair_as_it_is() -> None:
    scaling = SteppedScaling(kind="stepped_ntk", original_context_length=8)
    assert float(scaling.stretch(torch.ones(1), THETA, 100)) == 1
