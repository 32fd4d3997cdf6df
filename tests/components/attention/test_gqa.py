"""Grouped-query attention: shapes, cache and cost worked out by hand, and the rules between its fields."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from pydantic import ValidationError
from sublayers import component, module, run, values

from llmarch_cli.components.cache import Mixing, Rows, View

GQA = {"kind": "gqa", "n_heads": 6, "n_kv_heads": 2, "head_dim": 8}


def shapes(**fields: Any) -> dict[str, tuple[int, ...]]:
    return {name: tuple(weight.shape) for name, weight in module(GQA | fields).named_parameters()}


def test_parameters() -> None:
    plain = {
        "q_proj.weight": (48, 16),
        "k_proj.weight": (16, 16),
        "v_proj.weight": (16, 16),
        "o_proj.weight": (16, 48),
    }
    assert shapes() == plain
    biases = {"q_proj.bias": (48,), "k_proj.bias": (16,), "v_proj.bias": (16,)}
    assert shapes(qkv_bias=True) == plain | biases
    assert shapes(o_bias=True) == plain | {"o_proj.bias": (16,)}
    assert shapes(sinks=True) == plain | {"sinks": (6,)}
    assert shapes(qk_norm="per_head") == plain | {"q_norm.weight": (8,), "k_norm.weight": (8,)}
    assert shapes(qk_norm="full") == plain | {"q_norm.weight": (48,), "k_norm.weight": (16,)}
    assert shapes(qk_norm="per_head_weights") == plain | {"q_norm.weight": (6, 8), "k_norm.weight": (2, 8)}
    assert shapes(qk_norm="weightless") == plain
    assert shapes(alibi=True) == plain
    assert shapes(output_gate="per_head") == plain | {"gate_proj.weight": (6, 16)}
    assert shapes(output_gate="elementwise") == plain | {"gate_proj.weight": (48, 16)}
    assert shapes(sub_norm=True) == plain | {"sub_norm.weight": (48,)}
    narrow = plain | {"v_proj.weight": (10, 16), "o_proj.weight": (16, 30)}
    assert shapes(v_head_dim=5) == narrow
    gated = {"gate_proj.weight": (30, 16), "sub_norm.weight": (30,)}
    assert shapes(v_head_dim=5, output_gate="elementwise", sub_norm=True) == narrow | gated


def test_cache_and_cost() -> None:
    gqa = component(GQA)
    assert list(gqa.cache()) == [Rows("k", 16), Rows("v", 16)]
    assert gqa.multi_head_width == 2 * 6 * 8
    assert list(gqa.mixing()) == [Mixing(2 * (6 * 8) + 2 * (6 * 8))]


def test_values_of_another_width_than_keys() -> None:
    gqa = component(GQA | {"v_head_dim": 5})
    assert list(gqa.cache()) == [Rows("k", 16), Rows("v", 10)]
    assert gqa.multi_head_width == 6 * 8 + 6 * 5
    assert list(gqa.mixing()) == [Mixing(2 * (6 * 8) + 2 * (6 * 5))]


def test_scaled_values_scale_the_output() -> None:
    x = values(2, 5, 16)
    torch.testing.assert_close(run(module(GQA | {"value_scale": 0.5}), x), run(module(GQA), x) / 2)


def test_a_norm_before_the_output_projection() -> None:
    built, x = module(GQA | {"sub_norm": True}), values(2, 5, 16)
    plain = module(GQA)
    with torch.no_grad():
        for name in ("q_proj", "k_proj", "v_proj"):
            getattr(plain, name).weight.copy_(getattr(built, name).weight)
    plain.o_proj.weight = torch.nn.Parameter(torch.eye(48))
    mixed = run(plain, x)
    normed = mixed / (mixed.square().mean(-1, keepdim=True) + 1e-6).sqrt() * built.sub_norm.weight.detach()
    torch.testing.assert_close(run(built, x), F.linear(normed, built.o_proj.weight.detach()))


@pytest.mark.parametrize(("fields", "span"), [({}, None), ({"window": 5}, 5), ({"chunk": 7}, 7)])
def test_span(fields: dict[str, int], span: int | None) -> None:
    gqa = component(GQA | fields)
    view = View(span, unit=fields.get("chunk", 1))
    assert list(gqa.cache()) == [Rows("k", 16, view), Rows("v", 16, view)]
    assert [mixing.view for mixing in gqa.mixing()] == [view]


def test_a_group_of_heads_shares_a_key() -> None:
    """As many key heads as query heads, copied group by group, are the same layer."""
    grouped, whole = module(GQA), module(GQA | {"n_kv_heads": 6})
    with torch.no_grad():
        for name in ("q_proj", "o_proj"):
            getattr(whole, name).weight.copy_(getattr(grouped, name).weight)
        for name in ("k_proj", "v_proj"):
            shared = getattr(grouped, name).weight.unflatten(0, (2, 1, 8)).expand(-1, 3, -1, -1)
            getattr(whole, name).weight.copy_(shared.flatten(0, 2))
    x = values(2, 5, 16)
    torch.testing.assert_close(run(grouped, x), run(whole, x))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"n_heads": 5}, r"n_heads \(5\) must be a multiple of n_kv_heads \(2\)"),
        ({"n_heads": 1}, r"n_heads \(1\) must be a multiple of n_kv_heads \(2\)"),
        ({"window": 4, "chunk": 4}, "window and chunk exclude each other"),
        ({"rope_theta": 1e4, "rotary_dim": 10}, r"rotary_dim \(10\) must not exceed head_dim \(8\)"),
        (
            {"rope_theta": 1e4, "head_dim": 7},
            r"head_dim \(7\) must be even with rope_theta; change it, or give an even rotary_dim",
        ),
        ({"rope_theta": 1e4, "rotary_dim": 3}, "multiple of 2"),
        ({"rope_theta": 1e4, "alibi": True}, "alibi and rope_theta exclude each other"),
        ({"rope_theta": 1e4, "qk_norm_after_rope": True}, "needs rope_theta and a qk_norm per head"),
        ({"rope_theta": 1e4, "qk_norm": "full", "qk_norm_after_rope": True}, "and a qk_norm per head, not full"),
        ({"qk_norm": "per_head", "qk_norm_after_rope": True}, "qk_norm_after_rope needs rope_theta"),
        ({"qk_norm": "per_head", "clip_qkv": 8.0}, "clip_qkv needs qk_norm full or null, not per_head"),
    ],
)
def test_rules(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        component(GQA | fields)


def test_an_odd_head_can_be_rotated_in_part_or_not_at_all() -> None:
    for fields in ({"head_dim": 7}, {"head_dim": 7, "rope_theta": 1e4, "rotary_dim": 6}):
        assert run(module(GQA | fields), values(1, 3, 16)).shape == (1, 3, 16)
