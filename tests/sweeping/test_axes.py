from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any, get_type_hints

import pytest
from pydantic import TypeAdapter, ValidationError

import llmarch_cli as llmarch
from llmarch_cli.components.attention import GroupedQueryAttention
from llmarch_cli.components.record import Record
from llmarch_cli.components.validation import CONFIG
from llmarch_cli.errors import InputError
from llmarch_cli.sweeping.axes import _limits, _within, axes, parsed


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
        ({"n_layers": [True]}, "must be a whole number, not true"),
        ({"n_layers": [2, True]}, "must be a whole number, not true"),
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


def subclasses(kind: type[Record]) -> Iterator[type[Record]]:
    for inner in kind.__subclasses__():
        yield inner
        yield from subclasses(inner)


KINDS = sorted({kind for kind in subclasses(Record) if kind.__module__.startswith("llmarch_cli.")}, key=repr)
EDGES = [-(2**40), -2, -1, *range(10), 32, 1000, 100_000, *(2**n + more for n in (20, 40, 63) for more in (-1, 0, 1))]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_integers_are_taken_where_pydantic_takes_them(kind: type[Record]) -> None:
    for name, annotation in get_type_hints(kind, include_extras=True).items():
        if name not in kind.field_defaults or (limits := _limits(annotation)) is None:
            continue
        adapter = TypeAdapter(annotation, config=CONFIG)
        for value in EDGES:
            try:
                adapter.validate_python(value)
            except ValidationError:
                assert not _within(value, limits), (name, value)
            else:
                assert _within(value, limits), (name, value)


def test_fields_with_limits_are_known() -> None:
    hints = get_type_hints(GroupedQueryAttention, include_extras=True)
    assert _limits(hints["rotary_dim"]) == {"gt": 0, "le": 2**20, "multiple_of": 2}  # or null
    assert _limits(hints["qk_norm"]) is None


def test_a_search_over_integers_never_loads_pydantic() -> None:
    code = (
        "import sys, llmarch_cli as llmarch;"
        "table = llmarch.sweep('qwen3-235b-a22b', {'n_layers': [24, 48], 'attention.n_kv_heads': [1, 3, 4]});"
        "assert len(table.rows) == 4, table;"
        "assert 'pydantic' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
