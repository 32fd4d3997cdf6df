from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmarch_cli.models import load
from llmarch_cli.report import layout
from llmarch_cli.specs.loading import names
from llmarch_cli.specs.spec import ModelSpec

GQA = {"kind": "gqa", "n_heads": 4, "n_kv_heads": 2, "head_dim": 16}
DENSE = {"kind": "dense", "d_ff": 8}


def spec_of(attention: Any = None, ffn: Any = DENSE, **fields: Any) -> ModelSpec:
    data = {"name": "tiny", "d_model": 64, "n_layers": 8, "vocab_size": 100, "attention": attention or GQA, "ffn": ffn}
    return ModelSpec.model_validate(data | fields)


@pytest.mark.parametrize(
    ("name", "attention", "heads", "positions", "ffn"),
    [
        (
            "deepseek-v3",
            "latent",
            "MLA 128 heads",
            "RoPE 10,000 YaRN x40 from 4,096",
            "3 dense 18,432 + 58 MoE 256 experts x 2,048, top 8 + 1 shared",
        ),
        (
            "llama4-maverick",
            "36 chunked 8,192 + 12 full NoPE",
            "GQA 40:8 x 128",
            "36 RoPE 500,000 + 12 NoPE",
            "24 dense 16,384 + 24 MoE 128 experts x 8,192, top 1 + 1 shared",
        ),
        (
            "gemma3-27b",
            "52 window 1,024 + 10 full",
            "GQA 32:16 x 128",
            "52 RoPE 10,000 + 10 RoPE 1,000,000 linear x8",
            "dense 21,504",
        ),
        ("gpt2", "full", "MHA 12 x 64", "learned 1,024", "dense 3,072"),
        (
            "grok-2.5",
            "full",
            "GQA 64:8 x 128",
            "RoPE 208,533,496",
            "dense 32,768 beside MoE 8 experts x 16,384, top 2",
        ),
    ],
)
def test_layouts_in_words(name: str, attention: str, heads: str, positions: str, ffn: str) -> None:
    spec = load(name)
    assert layout.attention(spec) == attention
    assert layout.heads(spec) == heads
    assert layout.positions(spec) == positions
    assert layout.feed_forward(spec) == ffn


def test_norms_say_where_they_stand_and_what_is_inside_attention() -> None:
    assert layout.norms(load("gemma3-27b")) == "RMS sandwich, q_norm, k_norm, unit_offset"
    assert layout.norms(load("gpt2")) == "LayerNorm pre, eps 1e-05, bias"
    assert layout.norms(load("olmo2-7b")).startswith("RMS post, q_norm, k_norm")
    shared = spec_of(norm_placement="pre_shared", parallel_sublayers=True, norm={"kind": "layer", "weight": False})
    assert layout.norms(shared) == "LayerNorm pre_shared, parallel sublayers, weight false"
    assert shared.details == ""


def test_linear_biases_tell_positions() -> None:
    spec = spec_of(GQA | {"alibi": True})
    assert layout.attention(spec) == "full"
    assert layout.positions(spec) == "ALiBi"
    assert layout.settings(spec, "attention") == ""
    assert layout.positions(spec_of(GQA | {"alibi": "unscaled"})) == "ALiBi unscaled"


def test_fixed_positions_are_told() -> None:
    spec = spec_of(sinusoidal_theta=100.0, position_offset=2)
    assert layout.positions(spec) == "sinusoidal"
    assert layout.attention(spec) == "full"
    assert spec.details == "sinusoidal_theta 100, position_offset 2"


def test_factors_by_pair_are_told_in_short() -> None:
    lists = {"short_factor": [1.0] * 8, "long_factor": [2.0] * 8}
    scaling = {"kind": "longrope", "original_context_length": 4096, "factor": 32.0, **lists}
    spec = spec_of(GQA | {"rope_theta": 10_000, "rope_scaling": scaling})
    assert layout.positions(spec) == "RoPE 10,000 LongRoPE x32 from 4,096"
    assert len(layout.settings(spec, "attention")) < 80


def test_layers_without_a_sublayer_are_counted() -> None:
    ffn = {"repeat": ["dense", "none"], "variants": {"dense": DENSE}}
    assert layout.feed_forward(spec_of(ffn=ffn)) == "4 dense 8 + 4 none"


def test_rotary_beside_learned_positions_is_told_too() -> None:
    assert layout.positions(spec_of(GQA | {"rope_theta": 10_000}, learned_positions=10)) == "learned 10; RoPE 10,000"


def test_settings_name_the_variants_where_they_differ() -> None:
    variants = {"a": GQA | {"sinks": True}, "b": GQA}
    assert (
        layout.settings(spec_of({"repeat": ["a", "b"], "variants": variants}), "attention") == "a: sinks; b: defaults"
    )
    assert layout.settings(spec_of(GQA | {"sinks": True}), "attention") == "sinks"


@pytest.mark.parametrize(
    ("name", "attention", "ffn"),
    [
        ("deepseek-v3", [("0-60", "mla")], [("0-2", "dense"), ("3-60", "moe")]),
        ("llama4-maverick", [("0-47", "12 x (3 chunked + 1 nope)")], [("0-47", "24 x (1 dense + 1 moe)")]),
        ("gemma3-27b", [("0-59", "10 x (5 local + 1 global)"), ("60-61", "local")], [("0-61", "dense")]),
    ],
)
def test_layer_maps(name: str, attention: list[tuple[str, str]], ffn: list[tuple[str, str]]) -> None:
    for axis, expected in (("attention", attention), ("ffn", ffn)):
        segments = layout.layer_map(load(name), axis)
        assert [(f"{segment.first}-{segment.last}", segment.pattern) for segment in segments] == expected


def test_patterns_are_told_only_where_layers_differ() -> None:
    assert layout.pattern(load("gemma3-27b"), "attention") == "10 x (5 local + 1 global), 2 local"
    assert layout.pattern(load("gemma3-27b"), "ffn") == ""


@given(st.lists(st.sampled_from("abc"), min_size=1, max_size=60))
def test_a_layer_map_unfolds_to_the_layers(order: list[str]) -> None:
    variants = {name: GQA | {"head_dim": 2 * size} for size, name in enumerate(sorted(set(order)), 1)}
    spec = spec_of({"first": order, "variants": variants}, n_layers=len(order))
    unfolded, at = [], 0
    for segment in layout.layer_map(spec, "attention"):
        layers = [name for _ in range(segment.repeats) for count, name in segment.runs for _ in range(count)]
        assert (segment.first, segment.last) == (at, at + len(layers) - 1)
        unfolded += layers
        at += len(layers)
    assert unfolded == order


def test_a_model_without_feed_forward_layers_is_neither_dense_nor_a_mixture() -> None:
    assert layout.in_short(load("mamba2-2.7b")) == "Mamba2 state"
    assert layout.in_short(spec_of(ffn={"repeat": ["dense", "none"], "variants": {"dense": DENSE}})).endswith(", dense")


def test_every_bundled_model_has_a_short_layout_and_can_be_found_by_its_words() -> None:
    for name in names():
        spec = load(name)
        first_word = layout.in_short(spec).split()[0].rstrip(",").lower()
        assert first_word in layout.attention_words(spec)
        assert len(layout.in_short(spec)) <= 20


def test_each_of_two_mixers_in_a_layer_is_named() -> None:
    for name, words in (("falcon-h1-0.5b", "GQA Mamba2"), ("zamba2-7b", "Mamba2 MHA")):
        assert layout.in_short(load(name)).removesuffix(", dense") == words
        assert {*words.lower().split()} < layout.attention_words(load(name))


def test_a_kind_of_several_words_is_not_cut() -> None:
    assert layout.in_short(load("deepseek-v4-flash")) == "K=V window, MoE"


def test_a_model_with_learned_positions_is_not_blind() -> None:
    assert "nope" in layout.attention_words(load("smollm3-3b"))
    assert "nope" not in layout.attention_words(load("gpt2"))


@pytest.mark.parametrize(
    ("attention", "order"),
    [
        (GQA, "all full"),
        ({"repeat": ["a"], "variants": {"a": GQA}}, "all full"),
        (
            {"repeat": ["a", "a", "b"], "variants": {"a": {**GQA, "window": 8}, "b": GQA}},
            "2 x (2 window + 1 full), 2 window",
        ),
        (
            {"first": ["b"], "repeat": ["a"], "variants": {"a": {**GQA, "window": 8}, "b": {**GQA, "window": 16}}},
            "1 window 16, 7 window 8",
        ),
        ({"first": ["b"], "repeat": ["a"], "variants": {"a": GQA, "b": {**GQA, "n_heads": 8}}}, "1 b, 7 a"),
        ({"first": ["none"], "repeat": ["a"], "variants": {"a": GQA}}, "1 none, 7 full"),
    ],
)
def test_orders_in_the_fewest_words_that_tell_variants_apart(attention: Any, order: str) -> None:
    assert layout.order(spec_of(attention), "attention") == order


def test_a_pattern_longer_than_any_published_one_is_found_from_the_spec() -> None:
    variants = {f"v{i}": GQA | {"window": i + 1} for i in range(40)}
    spec = spec_of({"first": ["v5"], "repeat": list(variants), "variants": variants}, n_layers=100)
    segments = [(each.first, each.last, each.repeats, len(each.runs)) for each in layout.layer_map(spec, "attention")]
    assert segments[:2] == [(0, 0, 1, 1), (1, 80, 2, 40)]
    assert len(segments) == 2 + 19
