"""Mixers side by side: their scaled sum, each with its own cache, and their costs."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from pydantic import ValidationError
from sublayers import component, module, run, values

import llmarch_cli as llmarch
from llmarch_cli.components.component import cache_entries
from llmarch_cli.modules.cache import TensorCache
from llmarch_cli.profilers.cost import Engine
from llmarch_cli.specs.spec import ModelSpec

GQA: dict[str, Any] = {"kind": "gqa", "n_heads": 4, "n_kv_heads": 2, "head_dim": 4, "window": 3, "rope_theta": 100.0}
MAMBA2: dict[str, Any] = {"kind": "mamba2", "n_heads": 4, "head_dim": 3, "d_state": 5}
PARALLEL: dict[str, Any] = {
    "kind": "parallel",
    "branches": {"left": GQA, "right": MAMBA2},
    "input_scales": {"right": 0.5},
    "output_scales": {"left": 3.0, "right": 2.0},
}
SPEC: dict[str, Any] = {"name": "x", "d_model": 16, "n_layers": 3, "vocab_size": 7, "ffn": {"kind": "dense", "d_ff": 8}}


def test_branches_are_scaled_and_summed() -> None:
    built, x = module(PARALLEL), values(2, 5, 16)
    left, right = (getattr(built, f"{name}_branch") for name in ("left", "right"))
    left.child_name = right.child_name = None  # each alone, with a cache of its own
    expected = 3.0 * run(left, x) + 2.0 * run(right, 0.5 * x)
    left.child_name, right.child_name = "left_branch", "right_branch"
    torch.testing.assert_close(run(built, x), expected)


def test_each_branch_keeps_its_own() -> None:
    assert [name for name, _ in cache_entries(component(PARALLEL))] == [
        *("left_branch.k", "left_branch.v", "right_branch.recurrence", "right_branch.conv_inputs")
    ]


@pytest.mark.parametrize("sizes", [(1,) * 9, (4, 5), (8, 1), (3, 1, 1, 4)], ids=str)
def test_steps_of_any_size_give_the_same(sizes: tuple[int, ...]) -> None:
    built, x = module(PARALLEL), values(2, 9, 16)
    cache = TensorCache.of(built.component)
    pieces = [run(built, piece, cache) for piece in x.split(list(sizes), dim=1)]
    torch.testing.assert_close(torch.cat(pieces, dim=1), run(built, x), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("engine", ["measured", "closed-form"])
def test_costs_are_the_sum_of_the_branches(engine: Engine) -> None:
    def attention(data: dict[str, Any]) -> Any:
        profile = llmarch.profile(ModelSpec.model_validate(SPEC | {"attention": data}), context=64, engine=engine)
        return next(cost for item, cost in profile.rows if item.role == "attention")

    assert attention(PARALLEL) == attention(GQA) + attention(MAMBA2)


@pytest.mark.parametrize("field", ["input_scales", "output_scales"])
def test_scales_are_of_branches(field: str) -> None:
    with pytest.raises(ValidationError, match=f"{field} names 'lef', which is no branch; known: left, right"):
        component(PARALLEL | {field: {"lef": 2.0}})


def test_branches_agree_on_the_norms_around_them() -> None:
    branches = {"left": GQA | {"block_norms": False}, "right": MAMBA2}
    with pytest.raises(ValidationError, match="make block_norms equal"):
        component(PARALLEL | {"branches": branches})


def test_words() -> None:
    found = component(PARALLEL)
    assert found.title == "Parallel mixers"
    assert found.label == "window 3 beside state space 5"
    assert found.heads == "GQA 4:2 x 4 + Mamba2 4 x 3"
    assert found.settings["input_scales"] == "input_scales right 0.5"
    assert found.settings["output_scales"] == "output_scales left 3, right 2"
