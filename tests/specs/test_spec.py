"""A model as data: its layers, its inventory, and the rules between its fields."""

from __future__ import annotations

import time
from collections import Counter
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from pydantic import ValidationError
from strategies import Data, spec_data, specs

import llmarch_cli as llmarch
from llmarch_cli.components.component import walk
from llmarch_cli.components.frame import BlockNorms
from llmarch_cli.specs.spec import NONE, AttentionLayout, LayerVariants, ModelSpec

GQA = {"kind": "gqa", "n_heads": 4, "n_kv_heads": 2, "head_dim": 8}
DENSE = {"kind": "dense", "d_ff": 32}
PATTERNS = ("first", "repeat", "last")


def spec(**fields: Any) -> ModelSpec:
    data = {"name": "tiny", "d_model": 16, "n_layers": 4, "vocab_size": 100, "attention": GQA, "ffn": DENSE}
    return ModelSpec.model_validate(data | fields)


def layout(component: Data, **patterns: list[str]) -> Data:
    used = dict.fromkeys(name for pattern in patterns.values() for name in pattern if name != NONE)
    return {**patterns, "variants": dict.fromkeys(used, component)}


# --- layers ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("patterns", "n_layers", "names"),
    [
        ({"repeat": ["a"]}, 3, "aaa"),
        ({"repeat": ["a", "b", "c"]}, 7, "abcabca"),
        ({"first": ["a"], "repeat": ["b"]}, 4, "abbb"),
        ({"first": ["a"], "repeat": ["b", "c"], "last": ["d"]}, 5, "abcbd"),
        ({"first": ["a", "b"], "last": ["c"]}, 3, "abc"),
        ({"repeat": ["a"], "last": ["b", "c"]}, 3, "abc"),
        ({"last": ["b", "c"]}, 2, "bc"),
    ],
)
def test_layers_are_laid_bottom_to_top(patterns: dict[str, list[str]], n_layers: int, names: str) -> None:
    for axis, component in (("attention", GQA), ("ffn", DENSE)):
        layers = spec(n_layers=n_layers, **{axis: layout(component, **patterns)}).layers
        assert "".join(getattr(layer, axis) for layer in layers) == names


@pytest.mark.parametrize(
    ("attention", "message"),
    [
        (layout(GQA, first=["a"] * 5), "attention: first and last name 5 layers, more than n_layers .4."),
        (
            layout(GQA, first=["a"] * 3, last=["a"] * 2),
            "attention: first and last name 5 layers, more than n_layers .4.",
        ),
        (layout(GQA, first=["a"]), "attention: first and last name only 1 of 4 layers"),
        (
            layout(GQA, first=["a"] * 4, repeat=["b"]),
            "attention.variants.b: unused variant: the pattern is cut off at n_layers .4.",
        ),
        (
            layout(GQA, repeat=["a", "b", "c", "d", "e"]),
            "attention.variants.e: unused variant: the pattern is cut off at n_layers .4.",
        ),
        ({"repeat": ["a"], "variants": {"b": GQA}}, "repeat.0: unknown variant 'a'; known: 'b'"),
        ({"repeat": ["a"], "variants": {"a": GQA, "b": GQA}}, "variants.b: unused variant; name it in"),
        ({"repeat": [NONE], "variants": {NONE: GQA}}, "variants.none: 'none' is reserved"),
    ],
)
def test_patterns_that_do_not_fit(attention: Data, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        spec(attention=attention)


def test_an_error_about_many_names_stays_short() -> None:
    many = {f"v{number}": GQA for number in range(2000)}
    with pytest.raises(ValidationError, match=r"variants.v0: unused variant .also 'v1', .*, 'v10', ..."):
        spec(attention={"repeat": ["a"], "variants": {"a": GQA, **many}})


def test_a_layer_may_lack_a_sublayer_and_not_both() -> None:
    half = spec(attention=layout(GQA, repeat=["a", NONE]), ffn=layout(DENSE, repeat=["b", "b", NONE]))
    assert half.layers == [
        LayerVariants("a", "b"),
        LayerVariants(NONE, "b"),
        LayerVariants("a", NONE),
        LayerVariants(NONE, "b"),
    ]
    with pytest.raises(ValidationError, match="layer 3 has neither attention nor ffn"):
        spec(attention=layout(GQA, repeat=["a", NONE]), ffn=layout(DENSE, first=["b", "b", "b"], last=[NONE]))


@given(
    attention=st.fixed_dictionaries({name: st.lists(st.sampled_from("abcn"), max_size=5) for name in PATTERNS}),
    ffn=st.fixed_dictionaries({name: st.lists(st.sampled_from("ab"), max_size=5) for name in PATTERNS}),
    n_layers=st.integers(1, 60),
)
def test_layers_are_counted_as_they_would_be_listed(
    attention: dict[str, list[str]], ffn: dict[str, list[str]], n_layers: int
) -> None:
    attention = {name: [NONE if each == "n" else each for each in pattern] for name, pattern in attention.items()}
    try:
        model = spec(n_layers=n_layers, attention=layout(GQA, **attention), ffn=layout(DENSE, **ffn))
    except ValidationError:
        assume(False)
    assert list(model.layer_counts.items()) == list(Counter(model.layers).items())
    blocks = labels(model.model_copy(update={"n_mtp_blocks": 1}))
    assert ("mtp: attention" in blocks) == (model.layers[-1].attention != NONE)


def test_very_many_depths_are_counted_quickly() -> None:
    began = time.process_time()
    base = llmarch.load("gemma3-27b")
    for n_layers in range(90_000, 90_500):
        assert sum(base.model_copy(update={"n_layers": n_layers}).layer_counts.values()) == n_layers
    assert time.process_time() - began < 2


def test_the_deepest_model_is_laid_out_quickly() -> None:
    began = time.process_time()
    deep = spec(n_layers=100_000, attention=layout(GQA, repeat=[f"v{number}" for number in range(1000)]))
    assert len(deep.layers) == 100_000
    assert time.process_time() - began < 5


# --- the inventory --------------------------------------------------------------------------------------------------


def labels(model: ModelSpec) -> dict[str, int]:
    return {item.label: item.count for item in model.inventory()}


def test_a_plain_model() -> None:
    assert labels(spec()) == {
        "token embedding": 1,
        "attention": 4,
        "ffn": 4,
        "block norms": 4,
        "final norm": 1,
        "lm head": 1,
    }


def test_a_model_of_everything() -> None:
    model = spec(
        learned_positions=9,
        n_mtp_blocks=2,
        attention=layout(GQA, repeat=["a", NONE, "b"], last=[NONE]),
        ffn=layout(DENSE, repeat=["c", "c", NONE, "c"]),
    )
    assert labels(model) == {
        "token embedding": 1,
        "position embedding": 1,
        "attention: a": 1,
        "attention: b": 1,
        "ffn: c": 3,
        "block norms": 1,
        "block norms (ffn only)": 2,
        "block norms (attention only)": 1,
        "final norm": 1,
        "lm head": 1,
        "mtp: junction": 2,
        "mtp: ffn": 2,
        "mtp: block norms": 2,
    }
    assert [item.label for item in model.inventory() if item.mtp] == ["mtp: junction", "mtp: ffn", "mtp: block norms"]


@pytest.mark.parametrize(
    ("placement", "names"),
    [
        ("pre", ["attention_pre", "ffn_pre"]),
        ("post", ["attention_post", "ffn_post"]),
        ("sandwich", ["attention_pre", "attention_post", "ffn_pre", "ffn_post"]),
        ("pre_shared", ["shared_pre"]),
        ("post_residual", ["attention_post", "ffn_post"]),
    ],
)
def test_norms_stand_where_they_are_placed(placement: str, names: list[str]) -> None:
    model = spec(norm_placement=placement, parallel_sublayers=placement == "pre_shared")
    norms = model.block_norms(model.layers[0])
    assert [part.name for part in norms.parts(16)] == names
    assert isinstance(norms, BlockNorms)


def test_components_are_walked_outermost_first() -> None:
    model = llmarch.load("deepseek-v3")
    assert [type(each).__name__ for each in walk(model.variants("ffn")["moe"])] == [
        "MixtureOfExperts",
        "DenseFeedForward",
    ]


# --- records --------------------------------------------------------------------------------------------------------


@given(spec_data())
def test_a_spec_survives_being_written_and_read(data: Data) -> None:
    model = ModelSpec.model_validate(data)
    assert ModelSpec.model_validate(model.model_dump()) == model


@given(specs(), specs())
def test_specs_are_equal_where_their_fields_are(one: ModelSpec, other: ModelSpec) -> None:
    assert (one == other) == (one.model_dump() == other.model_dump())
    assert one == one.model_copy()
    assert one != one.model_dump()


def test_a_spec_cannot_be_changed() -> None:
    model = spec()
    with pytest.raises(AttributeError, match="frozen"):
        model.d_model = 3  # type: ignore[misc]
    assert isinstance(spec(attention=layout(GQA, repeat=["a"])).attention, AttentionLayout)


def test_without_a_file_the_name_is_the_id() -> None:
    assert spec().id == "tiny"


def test_a_norm_for_both_sublayers_needs_them_in_parallel() -> None:
    with pytest.raises(ValidationError, match="norm_placement: pre_shared needs parallel_sublayers"):
        spec(norm_placement="pre_shared")


TWO = {"repeat": ["a", "b", "none"], "variants": {"a": GQA, "b": GQA | {"n_kv_heads": 1}}}


def test_norms_stand_where_the_variant_of_attention_says() -> None:
    model = spec(n_layers=4, attention=TWO, norm_placement={"a": "pre", "b": "post", "none": "sandwich"})
    assert [model.placement(layer.attention) for layer in model.layers] == ["pre", "post", "sandwich", "pre"]
    assert model.placements == {"pre": 2, "post": 1, "sandwich": 1}
    found = {label: count for label, count in labels(model).items() if label.startswith("block norms")}
    assert found == {"block norms (pre)": 2, "block norms (post)": 1, "block norms (sandwich, ffn only)": 1}
    single = spec(norm_placement={"gqa": "post"})
    assert labels(single) == labels(spec(norm_placement="post"))


@pytest.mark.parametrize(
    ("fields", "rule"),
    [
        ({"norm_placement": {"a": "pre"}}, "norm_placement: says nothing of 'b', 'none'; give each variant"),
        (
            {"norm_placement": {"a": "pre", "b": "pre", "none": "pre", "c": "pre"}},
            "norm_placement.c: is no variant of attention in any layer; known: 'a', 'b', 'none'",
        ),
        (
            {"norm_placement": {"a": "pre", "b": "pre_shared", "none": "pre"}},
            "norm_placement: pre_shared needs parallel_sublayers",
        ),
        (
            {"norm_placement": {"a": "pre", "b": "post_residual", "none": "pre"}, "parallel_sublayers": True},
            "norm_placement: post_residual needs parallel_sublayers: false",
        ),
    ],
)
def test_rules_of_norms_by_variant(fields: Data, rule: str) -> None:
    with pytest.raises(ValidationError, match=rule):
        spec(n_layers=3, attention=TWO, **fields)


@pytest.mark.parametrize(
    ("fields", "rule"),
    [
        (
            {"norm_placement": "post_residual", "parallel_sublayers": True},
            "norm_placement: post_residual needs parallel",
        ),
        ({"final_norm": False, "n_mtp_blocks": 1}, "final_norm: must be true with n_mtp_blocks"),
        ({"learned_positions": 9, "sinusoidal_theta": 100.0}, "learned_positions and sinusoidal_theta exclude"),
        ({"d_model": 15, "sinusoidal_theta": 100.0}, "d_model: must be even with sinusoidal_theta, not 15"),
        ({"position_offset": 2}, "position_offset: needs learned_positions or sinusoidal_theta"),
    ],
)
def test_rules_of_norms_and_positions(fields: Data, rule: str) -> None:
    with pytest.raises(ValidationError, match=rule):
        spec(**fields)


def test_rows_before_the_first_position_are_stored_and_never_read() -> None:
    model = spec(learned_positions=9, position_offset=2)
    (item,) = (item for item in model.inventory() if item.role == "position")
    assert [part.n_rows for part in item.component.parts(16)] == [11]  # type: ignore[union-attr]
    assert labels(spec(sinusoidal_theta=100.0, d_model=16))["position embedding"] == 1
    assert "final norm" not in labels(spec(final_norm=False))


@pytest.mark.parametrize("fields", [{"kind": "layer", "bias": True}, {"unit_offset": True}])
def test_a_norm_without_weights_learns_nothing(fields: Data) -> None:
    assert not spec(norm={"weight": False}).norm.weight
    with pytest.raises(ValidationError, match=f"{list(fields)[-1]} is set, but weight is false"):
        spec(norm={"weight": False, **fields})


def test_weights_of_heads_need_norms_that_learn() -> None:
    attention = {**GQA, "qk_norm": "per_head_weights"}
    assert spec(attention=attention)
    with pytest.raises(ValidationError, match=r"attention.qk_norm: per_head_weights needs norms with"):
        spec(attention=attention, norm={"weight": False})


def test_a_bias_needs_a_layer_norm() -> None:
    assert spec(norm={"kind": "layer", "bias": True}).norm.bias
    with pytest.raises(ValidationError, match="bias is set, but an rms norm has none"):
        spec(norm={"bias": True})
