"""Layers laid out as briefly as a pattern allows."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import llmarch_cli as llmarch
from llmarch_cli.errors import InputError
from llmarch_cli.huggingface.importing.layers import axis, pattern
from llmarch_cli.specs.spec import AttentionLayout


@pytest.mark.parametrize(
    ("layers", "laid"),
    [
        ("aaaa", {"repeat": "a"}),
        ("abab", {"repeat": "ab"}),
        ("ababa", {"repeat": "ab"}),
        ("aaabaaabaa", {"repeat": "aaab"}),
        ("abbbb", {"first": "a", "repeat": "b"}),
        ("aaabbbbbb", {"first": "aaa", "repeat": "b"}),
        ("bbbbba", {"repeat": "b", "last": "a"}),
        ("abbbbba", {"first": "a", "repeat": "b", "last": "a"}),
        ("xababababy", {"first": "x", "repeat": "ab", "last": "y"}),
        ("ab", {"repeat": "ab"}),
        ("abcd", {"repeat": "abcd"}),
    ],
)
def test_the_shortest_layout(layers: str, laid: dict[str, str]) -> None:
    assert pattern(list(layers)) == {part: list(names) for part, names in laid.items()}


@given(names=st.lists(st.sampled_from("abc"), min_size=1, max_size=40))
def test_a_layout_gives_the_layers_again(names: list[str]) -> None:
    variants = {name: {"kind": "gqa", "n_heads": 1, "n_kv_heads": 1, "head_dim": 2} for name in set(names)}
    layout = AttentionLayout.model_validate({**pattern(names), "variants": variants})
    assert layout.names(len(names)) == names


def test_very_deep_models() -> None:
    layers = ["a"] * 50_000 + ["b"] * 50_000
    assert sum(map(len, pattern(layers).values())) <= 100_000


def component(**fields: Any) -> dict[str, Any]:
    return {"kind": "gqa", "rope_theta": 10.0, **fields}


@pytest.mark.parametrize(
    ("components", "names"),
    [
        ((component(window=4), component()), ("local", "global")),
        ((component(chunk=4), component(rope_theta=None)), ("chunked", "nope")),
        ((component(), component(rope_theta=None)), ("rope", "nope")),
        ((component(window=4), component(window=8)), ("local_1", "local_2")),
        (({"kind": "dense"}, {"kind": "moe"}), ("dense", "moe")),
    ],
)
def test_variants_are_named_after_what_sets_them_apart(
    components: tuple[dict[str, Any], ...], names: tuple[str, ...]
) -> None:
    assert tuple(axis(range(2), lambda i: components[i])["variants"]) == names


def test_layers_that_are_alike_are_one_component() -> None:
    assert axis(["x", "y", "x"], lambda setting: component()) == component()


@pytest.mark.parametrize("model_type", ["qwen2", "qwen2_moe", "qwen3", "qwen3_moe"])
def test_a_window_of_0_that_is_turned_on_is_refused(model_type: str) -> None:
    """transformers builds it, and its layers then see nothing."""
    config = {"model_type": model_type, "sliding_window": 0}
    variants = llmarch.import_config(config).variants("attention").values()
    assert {variant.model_dump()["window"] for variant in variants} == {None}
    with pytest.raises(InputError, match="sliding_window: 0 with use_sliding_window"):
        llmarch.import_config({**config, "use_sliding_window": True})
