from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from strategies import Data, spec_data, specs

from llmarch_cli.models import load
from llmarch_cli.specs.changes import changed
from llmarch_cli.specs.differences import Change, steps
from llmarch_cli.specs.loading import names
from llmarch_cli.specs.spec import ModelSpec


def fields(before: ModelSpec, after: ModelSpec) -> list[list[str]]:
    """The changes of each step."""
    return [[_name(change) for change in step.changes] for step in steps(before, after)]


def _name(change: Change) -> str:
    return ".".join((change.part, *(["layout"] if change.is_layout else change.field)))


def renamed(data: Data) -> Data:
    """The spec with other names for variants and branches."""
    new: Any = {"a": "zeta", "b": "alpha", "dense": "left", "moe": "right", "wide": "alpha", "b_1": "b_2"}
    result = dict(data)
    for axis in ("attention", "ffn"):
        value = result[axis]
        if "variants" in value:
            value = {
                "variants": {new[name]: component for name, component in reversed(value["variants"].items())},
                **{key: [new.get(name, name) for name in value[key]] for key in ("first", "repeat", "last")},
            }
            value["variants"] = {name: _renamed(component, new) for name, component in value["variants"].items()}
        result[axis] = _renamed(value, new)
    if isinstance(result["norm_placement"], dict):
        placements = result["norm_placement"].items()
        named = "variants" in result["attention"]
        result["norm_placement"] = {new.get(name, name) if named else name: each for name, each in placements}
    return result


def _renamed(component: Data, new: Data) -> Data:
    for field in ("kv_from", "adds_from"):
        if component.get(field):
            component = {**component, field: new[component[field]]}
    if "indices_from" in (component.get("indexer") or {}):
        component = {**component, "indexer": {**component["indexer"]}}
        component["indexer"]["indices_from"] = new[component["indexer"]["indices_from"]]
    if component.get("kind") != "parallel":
        return component
    named = ("branches", "input_scales", "output_scales")
    return component | {
        key: {new[name]: value for name, value in reversed(component[key].items())} for key in named if key in component
    }


@given(specs())
def test_nothing_lies_between_a_spec_and_itself(spec: ModelSpec) -> None:
    assert steps(spec, spec) == []


@given(spec_data())
def test_names_of_variants_and_branches_are_no_difference(data: Data) -> None:
    before, after = ModelSpec.model_validate(data), ModelSpec.model_validate(renamed(data))
    assert fields(before, after) == []


def test_facts_are_no_difference() -> None:
    facts = {"name": "x", "organization": "y", "license": "z", "released": None, "source": None}
    assert steps(load("gpt2"), changed(load("gpt2"), facts)) == []
    assert steps(load("deepseek-v3"), load("deepseek-r1")) == []


def test_a_layout_is_what_it_lays_out_and_not_how_it_is_written() -> None:
    spec = load("llama3.2-1b")
    component = spec.variants("attention")["gqa"]
    layout = {"first": ["a"], "repeat": ["b", "c"], "variants": {"a": component, "b": component, "c": component}}
    assert steps(spec, changed(spec, {"attention": layout})) == []


@given(specs(), specs())
def test_every_step_is_a_spec_and_no_change_is_made_twice(before: ModelSpec, after: ModelSpec) -> None:
    made = steps(before, after)
    for step in made:
        assert ModelSpec.model_validate(step.spec.model_dump()) == step.spec
    told = [(change.part, change.variant, change.field) for step in made for change in step.changes if change.field]
    assert len(set(told)) == len(told)
    if made:
        assert steps(made[-1].spec, after) == []


@given(specs(), st.data())
def test_one_change_is_one_step(spec: ModelSpec, data: st.DataObject) -> None:
    name, value = data.draw(
        st.sampled_from([("d_model", 1234), ("vocab_size", 4321), ("norm_placement", "post"), ("logit_scale", 0.123)])
    )
    assume(name != "d_model" or "channels=" not in repr(spec))  # which must be the same
    assume(name != "norm_placement" or len(spec.placements) == 1)  # then equal variants may become one
    after = changed(spec, {name: value})
    expected = [] if value in (getattr(spec, name), *spec.placements) else [[f"model.{name}"]]
    assert fields(spec, after) == expected


@pytest.mark.parametrize(
    ("name", "assignments", "expected"),
    [
        ("gemma3-27b", {"attention.variants.local.window": 512}, [["attention.window"]]),
        ("gemma3-27b", {"attention.repeat": ["local", "local", "local", "global"]}, [["attention.layout"]]),
        ("gemma3-27b", {"n_layers": 48}, [["model.n_layers"]]),
        ("gpt2", {"attention.n_heads": 20, "attention.n_kv_heads": 5}, [["attention.n_kv_heads", "attention.n_heads"]]),
        (
            "gpt2",
            {"attention.n_heads": 24, "attention.n_kv_heads": 6},
            [["attention.n_heads"], ["attention.n_kv_heads"]],
        ),
        ("deepseek-v3", {"ffn.variants.moe.shared_expert": None}, [["ffn.shared_expert"]]),
        ("deepseek-v3", {"ffn.variants.moe.shared_expert.d_ff": 1}, [["ffn.shared_expert.d_ff"]]),
        ("gpt2", {"norm.kind": "rms", "norm.bias": False}, [["model.norm.bias"], ["model.norm.kind"]]),
        ("gpt2", {"norm": None}, [["model.norm.eps"], ["model.norm.bias"], ["model.norm.kind"]]),
        (
            "deepseek-v3",
            {"n_layers": 2, "ffn.first": ["dense"]},
            [["model.n_layers", "ffn.layout"]],
        ),
    ],
)  # fmt: skip
def test_what_differs(name: str, assignments: dict[str, Any], expected: list[list[str]]) -> None:
    before = load(name)
    found = fields(before, changed(before, assignments))
    assert sorted(map(sorted, found)) == sorted(map(sorted, expected))


def test_what_is_not_valid_yet_waits_for_what_makes_it_so() -> None:
    spec = load("gpt2")
    after = changed(spec, {"norm_placement": "pre_shared", "parallel_sublayers": True})
    assert fields(spec, after) == [["model.parallel_sublayers"], ["model.norm_placement"]]


BY_LAYER = {"attention.variants.local.n_kv_heads": 4, "norm_placement": {"local": "pre", "global": "post"}}


def test_norms_that_stand_elsewhere_in_some_layers_are_one_change() -> None:
    spec = load("gemma3-27b")
    mixed = changed(spec, BY_LAYER)
    assert fields(spec, mixed) == [["model.norm_placement"], ["attention.n_kv_heads"]]
    assert fields(mixed, spec) == [["model.norm_placement"], ["attention.n_kv_heads"]]
    assert fields(mixed, changed(mixed, {"norm_placement.local": "sandwich"})) == [["model.norm_placement"]]
    (step,) = steps(mixed, changed(mixed, {"norm_placement.local": "sandwich"}))
    assert [(change.before, change.after) for change in step.changes] == [
        ({"local": "pre", "global": "post"}, {"local": "sandwich", "global": "post"})
    ]
    assert fields(mixed, changed(mixed, {"norm_placement": {"local": "post", "global": "post"}})) == fields(
        mixed, changed(mixed, {"norm_placement": "post"})
    )


def test_equal_variants_whose_norms_stand_elsewhere_are_not_one() -> None:
    spec = load("gpt2")
    component = spec.variants("attention")["gqa"]
    layout = {"repeat": ["a", "b"], "variants": {"a": component, "b": component}}
    mixed = changed(spec, {"attention": layout, "norm_placement": {"a": "pre", "b": "post"}})
    assert fields(spec, mixed) == [["attention.layout"]]
    swapped = changed(spec, {"attention": layout, "norm_placement": {"a": "post", "b": "pre"}})
    assert fields(mixed, swapped) == [["attention.layout"]]


def test_a_component_of_another_kind_is_one_change() -> None:
    spec = load("gpt2")
    assert fields(spec, changed(spec, {"attention": load("deepseek-v3").attention})) == [["attention"]]


def test_variants_are_paired_by_what_they_are() -> None:
    before = load("gemma3-27b")
    variants = before.variants("attention")
    swapped = {"repeat": ["x", "x", "y"], "variants": {"y": variants["global"], "x": variants["local"]}}
    (step,) = steps(before, changed(before, {"attention": swapped}))
    assert [change.is_layout for change in step.changes] == [True]


def test_equal_blocks_that_each_share_their_own_weights_are_two() -> None:
    zamba = load("zamba2-7b")
    made = steps(load("gpt2"), zamba)[-1].spec
    assert not steps(made, zamba)
    assert sum("shared weights" in item.label for item in made.inventory()) == 2
    one = zamba.model_dump()
    one["attention"]["repeat"] = ["block_1" if name == "block_2" else name for name in one["attention"]["repeat"]]
    del one["attention"]["variants"]["block_2"]
    (step,) = steps(zamba, ModelSpec.model_validate(one))
    assert [change.is_layout for change in step.changes] == [True]
    names = {"mamba": "m", "block_1": "b", "block_2": "a"}  # in another order, and under other names
    renamed = zamba.model_dump()["attention"]
    renamed["variants"] = {names[name]: renamed["variants"][name] for name in ("block_2", "block_1", "mamba")}
    renamed |= {part: [names[name] for name in renamed[part]] for part in ("first", "repeat", "last")}
    assert steps(zamba, ModelSpec.model_validate({**zamba.model_dump(), "attention": renamed})) == []


def test_a_layout_that_drops_a_variant_goes_first_and_one_that_gains_one_last() -> None:
    with_windows, without = load("gemma3-27b"), load("llama3.1-8b")
    there = [name for step in fields(with_windows, without) for name in step if name.startswith("attention")]
    back = [name for step in fields(without, with_windows) for name in step if name.startswith("attention")]
    assert there[0] == back[-1] == "attention.layout"
    assert sorted(there) == sorted(back)


def test_both_layouts_change_at_once_where_a_layer_would_have_neither() -> None:
    spec = load("gpt2")
    attention, ffn = spec.variants("attention")["gqa"], spec.variants("ffn")["dense"]

    def alternating(first: str, second: str) -> ModelSpec:
        return changed(
            spec,
            {
                "attention": {"repeat": [first, second], "variants": {"a": attention}},
                "ffn": {"repeat": [second.replace("a", "f"), first.replace("a", "f")], "variants": {"f": ffn}},
            },
        )

    assert fields(alternating("a", "none"), alternating("none", "a")) == [["attention.layout", "ffn.layout"]]


@pytest.mark.parametrize("name", names())
def test_every_bundled_model_becomes_another_one(name: str) -> None:
    for other in ("deepseek-v3", "gemma3-27b", "gpt2", "grok-2.5"):
        made = steps(load(name), load(other))
        assert not made or steps(made[-1].spec, load(other)) == []


def test_variants_that_are_read_stand_under_their_own_names() -> None:
    mla = load("deepseek-v3").attention.model_dump(exclude_defaults=True)

    def spec(source: str) -> ModelSpec:
        layers = ["upper" if i % 2 else "lower" for i in range(4)]
        other = {**mla, "n_heads": 64}
        variants = {"lower": mla, "other": other, "upper": {**mla, "kv_from": source}}
        small = load("deepseek-v3").model_copy(update={"n_mtp_blocks": 0}).model_dump()
        return ModelSpec.model_validate(
            {
                **small,
                "n_layers": 6,
                "attention": {"first": ["lower", "other", *layers], "variants": variants},
                "ffn": {"kind": "dense", "d_ff": 64},
            }
        )

    (step,) = steps(spec("lower"), spec("other"))
    (change,) = step.changes
    assert (change.field, change.before, change.after) == (("kv_from",), "lower", "other")
