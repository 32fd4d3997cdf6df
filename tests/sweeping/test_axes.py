from __future__ import annotations

import time
from typing import Any

import pytest

import llmarch_cli as llmarch
from llmarch_cli.errors import InputError
from llmarch_cli.sweeping.axes import axes, parsed


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("n_layers=24", [24]),
        ("n_layers=1,2, 4", [1, 2, 4]),
        ("n_layers=24:40:8", [24, 32, 40]),
        ("n_layers=24:39:8", [24, 32]),
        ("n_layers=1_000:1_002", [1000, 1001, 1002]),
        ("attention.window=null,512", [None, 512]),
        ("attention.sinks=true,false", [True, False]),
        ("attention.qk_norm=full,per_head", ["full", "per_head"]),
        ("attention.rope_theta=10_000,1.0e+6", [10_000, 1e6]),
    ],
)
def test_values_are_read_as_in_a_spec_s_file(text: str, values: list[Any]) -> None:
    assert list(parsed([text]).values()) == [values]


@pytest.mark.parametrize(
    ("texts", "why"),
    [
        (["n_layers"], "takes PATH=1,2,4"),
        (["=1,2"], "takes PATH=1,2,4"),
        (["n_layers="], "takes PATH=1,2,4"),
        (["n_layers=1,,2"], "no value after ="),
        (["n_layers=5:1"], "is an empty range"),
        (["n_layers=1:9:0"], "is an empty range"),
        (["n_layers=1:1_000_000_000"], "more than 100,000 values"),
        (["n_layers=1", "n_layers=2"], "given twice"),
    ],
)
def test_what_is_no_axis(texts: list[str], why: str) -> None:
    with pytest.raises(InputError, match=why):
        parsed(texts)


@pytest.mark.parametrize(
    ("vary", "why"),
    [
        ({}, "nothing varies"),
        ({"n_layers": []}, "no values"),
        ({"n_layers": [2, 2]}, "given twice"),
        ({"n_layers": ["many"]}, "must be a whole number, not 'many'"),
        ({"n_layers": [0]}, "must be above 0"),
        ({"n_layers": [2.5]}, "must be a whole number"),
        ({"n_layers": [None]}, "required, but missing"),
        ({"n_layers": [[1]]}, "values must be numbers, text"),
        ({"n_layer": [2]}, "did you mean n_layers"),
        ({"attention.widow": [2]}, "did you mean attention.window"),
        ({"ffn.shared_expert.d_ff": [2]}, "ffn.shared_expert"),
        ({"ffn.kind": ["dense", "moe"]}, "ffn"),
        ({"norm": [None]}, "cannot vary over null, a whole record"),
        ({"tie_embeddings": [False, True, None]}, "given twice: null means false"),
        ({"attention.rope_theta": [10_000, 10_000.0]}, "given twice"),
        ({"d_model": [1024, 2**20 + 1, 0]}, "must be at most 1,048,576, not 1048577"),
        ({"ffn.shared_expert": [None], "ffn.shared_expert.d_ff": [64]}, "cannot both vary"),
    ],
)
def test_what_a_spec_cannot_have(vary: dict[str, Any], why: str) -> None:
    with pytest.raises(InputError, match=why):
        axes(llmarch.load("qwen3-235b-a22b"), vary)


def test_null_is_the_field_s_default() -> None:
    (axis,) = axes(llmarch.load("qwen3-8b"), {"ffn.activation": [None, "relu"]})
    assert axis.values == ("silu", "relu")


def test_very_many_values_are_checked_quickly() -> None:
    base = llmarch.load("gemma3-27b")
    began = time.process_time()
    (depths, widths) = axes(base, {"n_layers": range(6, 100_000), "d_model": range(1, 90_000)}, sample=1)
    assert (len(depths.values), len(widths.values)) == (99_994, 89_999)
    assert time.process_time() - began < 2
