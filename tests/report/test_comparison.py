import copy
import re
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from pydantic import ValidationError
from strategies import Data, spec_data

import llmarch_cli as llmarch
from llmarch_cli.report.formats import terminal
from llmarch_cli.report.table import Table
from llmarch_cli.specs.spec import ModelSpec

WORDS = (
    *("rms", "layer", "pre", "post", "sandwich", "pre_shared", "sqrt_d_model"),
    *("per_head", "per_head_weights", "full", "weightless"),
    *("softmax", "sigmoid", "max", "top2_sum", "silu", "gelu", "gelu_tanh", "quick_gelu", "relu", "relu2", "xielu"),
)


def differing(table: Table) -> set[str]:
    first, second = table.rows
    return {column.key for column in table.for_reading if first[column.key] != second[column.key]}


def leaves(data: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    for key, value in data.items() if isinstance(data, dict) else enumerate(data):
        yield from leaves(value, (*path, key)) if isinstance(value, dict | list) else [(*path, key)]


def with_leaf(data: Data, path: tuple[Any, ...], value: Any) -> Data:
    changed = copy.deepcopy(data)
    record = changed
    for key in path[:-1]:
        record = record[key]
    record[path[-1]] = value
    return changed


@given(spec_data(), st.data())
def test_whatever_changes_a_model_shows(data: Data, draws: st.DataObject) -> None:
    path = draws.draw(st.sampled_from([path for path in leaves(data) if path != ("name",)]))
    spec = ModelSpec.model_validate(data)
    shown = 0
    for value in (None, True, False, 1, 2, 8, 0.5, *WORDS, "a", "b", "none"):
        try:
            other = ModelSpec.model_validate(with_leaf(data, path, value))
        except ValidationError:
            continue
        if other != spec:
            assert differing(llmarch.compare([spec, other], engine="closed-form")), (path, value)
            shown += 1
    assume(shown)


def test_the_same_layers_in_another_order_show() -> None:
    spec = llmarch.load("gemma3-27b")
    turned = spec.attention.model_copy(update={"repeat": ("global", *["local"] * 5), "last": ("local", "local")})
    turned = turned.model_copy(update={"first": ("local", "local"), "last": ()})
    other = spec.model_copy(update={"attention": turned})
    assert "attention_pattern" in differing(llmarch.compare([spec, other], engine="closed-form"))


def test_a_model_beside_itself_differs_in_nothing() -> None:
    assert differing(llmarch.compare(["gpt2", "gpt2"], engine="closed-form")) == set()


def test_notes_say_what_was_asked_and_who_answered() -> None:
    notes = llmarch.compare(["gemma3-27b", "gpt2"], context=8192, batch=4, kv_dtype="fp8", engine="closed-form").notes
    assert notes[0] == "!: beyond the context window of gpt2 (1k)."
    assert notes[1] == "8,192 tokens of context, batch 4, fp8 cache."
    assert notes[2] == "Closed form only; not measured."
    assert "Measured; the closed form agrees on every value." in llmarch.compare(["gpt2"], engine="measured").notes[2]


def test_caches_are_ordered_by_the_longest_context() -> None:
    table = llmarch.kv_cache(["gpt2", "gemma3-27b", "llama3.1-405b"], contexts=[131_072, 1024], engine="closed-form")
    assert [(row["model"], row["context_tokens"]) for row in table.rows] == [
        (model, context) for model in ("gpt2", "gemma3-27b", "llama3.1-405b") for context in (1024, 131_072)
    ]
    assert "context_tokens" in [column.key for column in table.for_reading]


def test_the_context_is_a_column_only_where_there_are_several() -> None:
    table = llmarch.kv_cache(["gpt2"], engine="closed-form")
    assert "context_tokens" not in [column.key for column in table.for_reading]
    assert "context_tokens" in [column.key for column in table.for_data]


@pytest.mark.parametrize(("context", "marked"), [(1024, False), (1025, True)])
def test_a_context_beyond_what_a_model_was_made_for_is_marked(context: int, marked: bool) -> None:
    table = llmarch.kv_cache(["gpt2"], contexts=[context], engine="closed-form")
    assert table.rows[0]["beyond_context_window"] is marked
    assert any(note.startswith("!") for note in table.notes) == marked
    assert table.marked == (frozenset(("kv_cache_bytes", *MORE)) if marked else frozenset(),)


MORE = ("kv_cache_bytes_without_windows", "kv_cache_bytes_multi_head", "cache_bytes")


def test_a_figure_is_marked_where_it_stands() -> None:
    lines = terminal.render([llmarch.compare(["gpt2", "llama3.1-8b"], engine="closed-form")], 80).splitlines()
    cells = {line[:19].strip(): line[19:] for line in lines}
    assert cells["KV cache"].split()[:5] == ["4.50", "GiB", "!", "16.00", "GiB"]
    assert cells["FLOPs per token"].count("!") == cells["prefill FLOPs"].count("!") == 1
    assert "!" not in cells["parameters"] + cells["weight FLOPs"] + cells["context window"]
    text = terminal.render([llmarch.kv_cache(["gpt2", "qwen3-8b"], context=2048, engine="closed-form")], 80)
    assert re.search(r"^gpt2 +72.00 MiB !", text, re.MULTILINE)
    assert re.search(r"^qwen3-8b +288.00 MiB  ", text, re.MULTILINE)  # digits below digits


def test_a_long_prompt_is_marked_apart() -> None:
    table = llmarch.compare(["gpt2"], context=512, prompt=2048, engine="closed-form")
    assert "prefill_flops" in table.marked[0]
    assert "kv_cache_bytes" not in table.marked[0]


def test_a_mark_is_explained_only_where_it_stands() -> None:
    notes = llmarch.compare(["gpt2", "gpt2-xl"], columns=["params"], engine="closed-form").notes
    assert not any(note.startswith("!") for note in notes)
