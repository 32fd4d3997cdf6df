from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import specs
from test_fuzz import is_counted, junk

from llmarch_cli.errors import InputError
from llmarch_cli.models import load
from llmarch_cli.specs.changes import assignment, changed, in_short, paths
from llmarch_cli.specs.spec import ModelSpec


def with_(name: str, *texts: str) -> ModelSpec:
    return changed(load(name), dict(map(assignment, texts)))


def refusal(name: str, *texts: str) -> str:
    with pytest.raises(InputError) as caught:
        with_(name, *texts)
    return str(caught.value)


def test_a_field_of_a_variant() -> None:
    spec = with_("gemma3-27b", "attention.variants.local.window=512")
    before = load("gemma3-27b")
    assert [c.model_dump()["window"] for c in spec.variants("attention").values()] == [512, None]
    assert changed(spec, {"name": before.name, "attention.variants.local.window": 1024}) == before.model_copy(
        update={"published": spec.published}
    )


def test_it_is_named_after_what_changed_and_states_nothing_that_was_published() -> None:
    spec = with_("gemma3-27b", "attention.variants.local.window=512")
    assert spec.id == "gemma3-27b (attention.variants.local.window=512)"
    assert spec.name == "Gemma 3 27B (attention.variants.local.window=512)"
    assert spec.published.params is None
    named = with_("gpt2", "name=mine", "n_layers=3")
    assert (named.id, named.name) == ("mine", "mine")


def test_many_changes_have_a_short_name() -> None:
    many = {f"attention.variants.v{i}": {"kind": "gqa"} for i in range(9)}
    assert in_short(many) == "attention.variants.v0={...}, attention.variants.v1={...}, 7 more"
    assert in_short({"name": "x" * 90, "d_model": 5}) == f"name={'x' * 21}..., d_model=5"
    assert in_short({"attention.repeat": ("a", "b"), "tie_embeddings": True}) == (
        "attention.repeat=[a, b], tie_embeddings=true"
    )
    assert len(changed(load("gpt2").model_copy(update={"name": "n" * 200}), {"n_layers": 3}).name) == 200


@pytest.mark.parametrize(
    ("name", "texts", "path"),
    [
        ("gpt2", ["attention.sinks=true"], "attention.sinks"),  # at its default before
        ("gpt2", ["norm.eps=0.5"], "norm.eps"),
        ("deepseek-v3", ["ffn.variants.moe.shared_expert.d_ff=4096"], "ffn.variants.moe.shared_expert.d_ff"),
        ("deepseek-v3", ["attention.rope_scaling.factor=2"], "attention.rope_scaling.factor"),
        ("gemma3-27b", ["attention.repeat=[local, global]"], "attention.repeat"),
        ("gpt2", ["released=2024-12-26"], "released"),
    ],
)
def test_what_is_set_is_there(name: str, texts: list[str], path: str) -> None:
    found: Any = with_(name, *texts)
    for step in path.split("."):
        found = found[step] if isinstance(found, dict) else getattr(found, step)
    expected = assignment(texts[0])[1]
    assert found == (tuple(expected) if isinstance(expected, list) else expected)


def test_items_of_lists_by_their_place() -> None:
    assert with_("gemma3-27b", "attention.repeat.0=global").layers[0].attention == "global"


def test_null_takes_a_field_out() -> None:
    spec = with_("gemma3-27b", "attention.variants.local=null", "attention.repeat=[global]")
    assert list(spec.variants("attention")) == ["global"]
    assert with_("deepseek-v3", "ffn.variants.moe.shared_expert=null").variants("ffn")["moe"].label.endswith("top 8")
    assert with_("gemma3-27b", "norm=null").norm == ModelSpec.model_fields["norm"].default


def test_changes_may_come_in_any_order() -> None:
    texts = ["ffn.n_experts=8", "ffn.top_k=2", "ffn.kind=moe"]
    assert with_("gpt2", *texts).ffn == with_("gpt2", *reversed(texts)).ffn
    whole = ["attention.window=9", "attention={kind: gqa, n_heads: 4, n_kv_heads: 1, head_dim: 8}"]
    assert with_("gpt2", *whole).attention == with_("gpt2", *reversed(whole)).attention
    scaled = ["attention.rope_scaling.factor=8", "attention.rope_scaling.kind=linear", "attention.rope_theta=10_000"]
    assert with_("gpt2", *scaled).variants("attention")["gqa"].positions == "RoPE 10,000 linear x8"


def test_a_variant_can_be_added_and_whole_components_taken_from_another_spec() -> None:
    spec = with_("gemma3-27b", "attention.variants.blind={kind: gqa, n_heads: 2, n_kv_heads: 1, head_dim: 4}",
                 "attention.last=[blind]")  # fmt: skip
    assert spec.layers[-1].attention == "blind"
    other = load("deepseek-v3")
    spec = changed(load("gpt2"), {"attention": other.attention, "ffn.d_ff": 5})
    assert spec.attention == other.attention


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("gemma3-27b", "attention.variants.local.windw=5", "did you mean attention.variants.local.window?"),
        (
            "gemma3-27b",
            "attention.window=5",
            "did you mean attention.variants.local.window or attention.variants.global.window?",
        ),
        (
            "gemma3-27b",
            "attention.widow=5",
            "did you mean attention.variants.local.window or attention.variants.global.window?",
        ),
        ("gpt2", "attention.variants.local.window=5", "did you mean attention.window?"),
        ("gpt2", "attn.n_heads=5", "did you mean attention.n_heads?"),
        ("gpt2", "n_heads=5", "did you mean attention.n_heads?"),
        ("gpt2", "atention=5", "did you mean attention?"),
        ("gpt2", "zzz=5", "unknown field; known: name, organization"),
        ("gpt2", "d_model.x=5", "d_model is a single value without fields"),
        ("gpt2", "attention.window.x=5", "attention.window is a single value without fields"),
        ("gemma3-27b", "attention.repeat.6=global", "attention.repeat has no index '6'; use 0 to 5, or set"),
        ("gemma3-27b", "attention.repeat.-1=global", "has no index '-1'"),
        ("gemma3-27b", "attention.repeat.00=global", "has no index '00'"),
        ("gemma3-27b", "attention.first.0=global", "attention.first has no index '0'; it is empty: set the whole list"),
        ("gemma3-27b", "attention.repeat.0.x=1", "attention.repeat.0 is a single value"),
        ("gemma3-27b", "attention.variants.locl.window=1", "did you mean attention.variants.local.window?"),
        ("gemma3-27b", "attention.variants.Locl={}", "unknown field"),
        ("gemma3-27b", "attention.variants.gone=null", "unknown field"),
        ("gpt2", "d_model=1e6", "d_model: must be a whole number, not '1e6'; YAML reads this as text: write 1_000_000"),
        ("gpt2", "d_model=wide", "d_model: must be a whole number, not 'wide'"),
        ("gpt2", "d_model=null", "d_model: required, but missing"),
        ("gpt2", "attention.n_kv_heads=5", "n_heads (12) must be a multiple of n_kv_heads (5)"),
        ("gpt2", "attention.kind=mla", "attention.n_kv_heads: unknown field"),
        ("gpt2", "attention.rope_scaling.factor=8", "attention.rope_scaling.kind: required, but missing; known:"),
        ("deepseek-v3", "n_layers=2", "first and last name 3 layers, more than n_layers (2)"),
        ("gpt2", "a\x1bb=1", "gpt2: 'a\\x1bb': unknown field"),
        ("gpt2", "..=1", "unknown field"),
        ("gpt2", "published.parms=1", "did you mean published.params?"),
    ],
)  # fmt: skip
def test_a_refusal_names_the_path_the_rule_and_the_nearest_path(name: str, text: str, message: str) -> None:
    refused = refusal(name, text)
    assert message in refused
    assert refused.startswith(name)
    assert all(line.isprintable() for line in refused.splitlines())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("attention.window=512", ("attention.window", 512)),
        ("d_model=1_000_000", ("d_model", 1_000_000)),
        ("d_model=1e6", ("d_model", "1e6")),
        (" norm.eps = 0.5 ", ("norm.eps", 0.5)),
        ("a=null", ("a", None)),
        ("a=true", ("a", True)),
        ("a=''", ("a", "")),
        ("a=b=c", ("a", "b=c")),
        ("a=[x, {y: 1}]", ("a", ["x", {"y": 1}])),
    ],
)
def test_assignments_are_read_as_in_files(text: str, expected: tuple[str, Any]) -> None:
    path, value = assignment(text)
    assert (path, value) == expected
    assert type(value) is type(expected[1])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "a change must be PATH=VALUE"),
        ("d_model", "a change must be PATH=VALUE"),
        ("=5", "a change must be PATH=VALUE"),
        ("d_model=", "no value after =; null removes a field"),
        ("d_model=# 5", "no value"),
        ("d_model=[1", "not valid YAML"),
        ("d_model=!!int 5", "the tag '!!int'"),
        ("d_model=*a", "undefined alias *a; its anchor &a"),
        ("d_model=\udcff", "not text"),
        ("d_model=\x07", "not text"),
        ("d_model=1\n---\n2", "a second YAML document"),
        ("d_model=" + "[" * 60, "nested deeper"),
        ("d_model=2024-02-31", "is not a valid date"),
    ],
)
def test_what_is_no_assignment(text: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        assignment(text)
    assert message in str(caught.value)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("name", ["deepseek-v3", "gemma3-1b", "grok-2.5", "llama4-scout", "gpt2"])
def test_every_listed_path_is_one(name: str) -> None:
    spec = load(name)
    assert len(set(paths(spec))) == len(paths(spec))
    for path in paths(spec):
        if path != "name":
            with pytest.raises(InputError) as caught:
                changed(spec, {path: "no\nvalue"})
            assert str(caught.value).startswith(f"{spec.id} ({path}=")  # the path is valid, its value is not


def test_paths_are_those_of_the_spec() -> None:
    found = paths(load("gemma3-27b"))
    assert {"d_model", "attention.repeat", "attention.repeat.5", "attention.variants.local.window"} <= set(found)
    assert {"norm.eps", "attention.variants.local.rope_scaling.beta_fast", "ffn.kind"} <= set(found)
    assert not {"attention.window", "attention.repeat.6", "ffn.n_experts"} & set(found)
    assert "attention.variants.global.rope_scaling.beta_fast" not in found  # its scaling is linear


@settings(max_examples=150)
@given(specs(), st.data())
def test_any_change_of_any_spec_is_a_model_that_both_engines_count_alike_or_a_clean_error(
    spec: ModelSpec, data: st.DataObject
) -> None:
    known = st.sampled_from(paths(spec))
    twisted = st.tuples(known, st.sampled_from(("x", ".x", ".0", ".kind", ".", ""))).map("".join)
    assignments = data.draw(st.dictionaries(known | known | twisted, junk | st.integers(1, 4096), max_size=3))
    before = deepcopy(spec)
    result = outcome(spec, assignments)
    if result is not None:
        is_counted(result)
    assert spec == before


def outcome(spec: ModelSpec, assignments: dict[str, Any]) -> ModelSpec | None:
    """The changed spec; None if it is refused with a readable message."""
    try:
        return changed(spec, assignments)
    except InputError as error:
        lines = str(error).splitlines()
    assert 1 <= len(lines) <= 6
    assert all(line.isprintable() and line.startswith(spec.id) and len(line) < 700 for line in lines)
    return None
