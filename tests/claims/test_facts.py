"""What can be asked of a model by name."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest

import llmarch_cli as llmarch
from llmarch_cli.claims.facts import Facts
from llmarch_cli.expressions import Expression, Reference


def facts(name: str) -> Facts:
    return Facts(llmarch.load(name), "closed-form")


@pytest.mark.parametrize(
    ("model", "name", "expected"),
    [
        ("deepseek-v3", "params", 671_026_404_352),
        ("deepseek-v3", "active_share", Fraction(37_552_282_624, 671_026_404_352)),
        ("deepseek-v3", "kv_cache_bytes", 9_210_691_584),
        ("deepseek-v3", "n_layers", 61),
        ("deepseek-v3", "norm.kind", "rms"),
        ("deepseek-v3", "ffn.n_experts", 256),  # of the layers that have experts
        ("deepseek-v3", "ffn.shared_expert.d_ff", 2048),
        ("deepseek-v3", "attention.rope_scaling.factor", 40),
        ("qwen3-30b-a3b", "ffn.shared_expert.d_ff", None),  # inside what is null
        ("grok-2.5", "ffn.branches.moe.top_k", 2),
        ("gpt2", "attention", "full"),  # a column, not the record
    ],
)
def test_figures(model: str, name: str, expected: object) -> None:
    assert facts(model).figure(Reference(name)) == expected


def test_columns_have_a_context() -> None:
    of = facts("gpt2")
    assert of.figure(Reference("kv_cache_bytes", 1000)) * 2 == of.figure(Reference("kv_cache_bytes", 2000))


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (Reference("parms"), "did you mean params"),
        (Reference("nonsense"), "`llmarch columns`"),
        (Reference("n_layers.of"), "unknown metric or field"),
        (Reference("d_model.x"), "unknown metric or field"),
        (Reference("norm.kind", 8192), "is not a metric"),
        (Reference("params", 8192), "does not depend on the context"),
        (Reference("kv_cache_bytes", 0), "context must be a whole number from 1"),
        (Reference("ffn.d_ff"), "differs between layers"),
        (Reference("ffn.n_expert"), "no layer of deepseek-v3 has a field"),
        (Reference("__class__"), "unknown metric or field"),
        (Reference("attention.__init__"), "no layer"),
    ],
)
def test_what_there_is_not(asked: Reference, message: str) -> None:
    with pytest.raises(llmarch.InputError, match=message):
        facts("deepseek-v3").figure(asked)


@pytest.mark.parametrize(
    ("model", "sort", "expected"),
    [
        ("gemma3-27b", "attention.window == 1024", 52),
        ("gemma3-27b", "attention.window == null", 10),
        ("gemma3-27b", "attention.window != null and index < 6", 5),
        ("deepseek-v3", "ffn.n_experts == 256", 58),  # null in the dense layers
        ("deepseek-v3", "ffn.kind == 'dense' and index < 2", 2),
        ("deepseek-v3", "ffn.shared_expert != null", 58),
        ("llama4-scout", "attention.rope_theta == null", 12),
    ],
)
def test_layers_are_counted(model: str, sort: str, expected: int) -> None:
    assert facts(model).count(Expression(sort)) == expected


@pytest.mark.parametrize(
    "sort", ["attention.windw == 1024", "ffn.n_experts > 8", "params > 1", "layers == 3", "3", "'x'", "index"]
)
def test_layers_that_cannot_be_counted(sort: str) -> None:
    """A field that no layer has, a comparison with what is null, and what is no condition."""
    with pytest.raises(llmarch.InputError):
        facts("deepseek-v3").count(Expression(sort))


def test_layers_without_a_sublayer() -> None:
    data: Any = llmarch.load("qwen3-0.6b").model_dump(exclude_defaults=True)
    layout = {"repeat": ["a", "none"], "variants": {"a": data["attention"]}}
    of = Facts(llmarch.ModelSpec.model_validate({**data, "attention": layout}), "closed-form")
    assert of.count(Expression("attention == null")) == 14
    assert of.figure(Reference("attention.n_heads")) == 16
