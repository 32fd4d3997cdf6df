"""What drawings show inside components: every norm, child, convolution and thing that is kept, each once."""

import itertools
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
import strategies
from hypothesis import given

import llmarch_cli as llmarch
from llmarch_cli.components.attention.compressed import CompressedAttention
from llmarch_cli.components.attention.gqa import GroupedQueryAttention
from llmarch_cli.components.attention.mla import MultiHeadLatentAttention
from llmarch_cli.components.branches import Branched
from llmarch_cli.components.cache import Rows
from llmarch_cli.components.component import Child, Component, walk
from llmarch_cli.components.inside import Inside, Paths, Step
from llmarch_cli.components.parts import Convolution, Norm
from llmarch_cli.drawings.facts import steps
from llmarch_cli.specs.spec import ModelSpec

D_MODEL = 64


def mixing(spec: ModelSpec) -> Iterator[Component]:
    """All components that mix tokens, those inside others too."""
    for outer in spec.variants("attention").values():
        yield from (inner for inner in walk(outer) if not isinstance(inner, Branched))


def check(component: Component) -> None:
    """Raise AssertionError if the inside lacks something of what the component is made of and keeps."""
    parts, shown = list(component.parts(D_MODEL)), list(steps(component.inside()))

    def names(sort: str) -> list[str]:
        return sorted(step.name for step in shown if step.sort == sort)

    assert shown, component
    assert names("norm") == sorted(part.name for part in parts if isinstance(part, Norm))
    assert names("inside") == sorted(part.name for part in parts if isinstance(part, Child))
    convolutions = [step for step in shown if step.name == "short convolution"]
    assert len(convolutions) == sum(isinstance(part, Convolution) for part in parts)
    kept = [entry for entry in component.cache() if isinstance(entry, Rows) or not entry.partial]
    assert len(names("kept")) == len(kept) - len(convolutions)  # a convolution keeps its last inputs
    assert len(names("left")) == sum(read.source is not None for read in component.reads())
    assert {field for step in shown for field in step.fields} <= set(type(component).field_defaults)
    joins_what_forks(component.inside())


def joins_what_forks(inside: Inside) -> None:
    """Raise AssertionError for paths that nothing reads, or that are not several."""
    assert isinstance(inside[-1], Step)
    for each, following in itertools.pairwise(inside):
        assert not (isinstance(each, Paths) and isinstance(following, Paths))
    for each in inside:
        if isinstance(each, Paths):
            assert len(each.paths) > 1
            for path in each.paths:
                assert path
                joins_what_forks(path if isinstance(path[-1], Step) else (*path, Step("joined")))


@given(strategies.specs())
def test_what_a_component_is_made_of_is_inside(spec: ModelSpec) -> None:
    for component in mixing(spec):
        check(component)


@pytest.mark.parametrize("model", llmarch.names())
def test_of_bundled_models_too(model: str) -> None:
    for component in mixing(llmarch.load(model)):
        check(component)


def gqa(**fields: Any) -> GroupedQueryAttention:
    data = {"kind": "gqa", "n_heads": 8, "n_kv_heads": 2, "head_dim": 16}
    return GroupedQueryAttention.model_validate({**data, **fields})


def paths(inside: Inside) -> list[list[str]]:
    """The names of the steps of the first paths."""
    (first,) = (each for each in inside[:1] if isinstance(each, Paths))
    return [[step.name for step in steps(path)] for path in first.paths]


def notes(component: Component, name: str) -> str:
    return " ".join(step.note for step in steps(component.inside()) if step.name == name)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, ["keys", "cached"]),
        ({"rope_theta": 1e4}, ["keys", "RoPE", "cached"]),
        ({"rope_theta": 1e4, "qk_norm": "per_head"}, ["keys", "k_norm", "RoPE", "cached"]),
        ({"rope_theta": 1e4, "qk_norm": "full", "clip_qkv": 8.0}, ["keys", "k_norm", "clamp", "RoPE", "cached"]),
        (
            {"rope_theta": 1e4, "qk_norm": "per_head", "qk_norm_after_rope": True},
            ["keys", "RoPE", "k_norm", "cached"],
        ),
        (
            {"rope_theta": 1e4, "qk_norm": "per_head", "qk_norm_after_rope": True, "k_norm_after_cache": True},
            ["keys", "RoPE", "cached", "k_norm"],
        ),
        ({"kv_from": "other"}, ["keys, cached"]),
    ],
)
def test_keys_are_placed_in_the_order_of_computing(fields: dict[str, Any], expected: list[str]) -> None:
    assert paths(gqa(**fields).inside())[1] == expected


def test_what_a_token_sees_is_said() -> None:
    assert notes(gqa(), "attention") == "4 query heads read one key head"
    assert notes(gqa(n_kv_heads=8), "attention") == ""
    assert notes(gqa(n_kv_heads=8, sinks=True, alibi=True), "attention") == "sinks beside keys; biases by distance"
    assert notes(gqa(window=4096), "cached") == "last 4,096 tokens last 4,096 tokens"
    assert notes(gqa(chunk=8192), "cached") == "chunk of 8,192 chunk of 8,192"
    assert notes(gqa(rope_theta=1e4, rotary_dim=4), "RoPE") == "4 of 16 values 4 of 16 values"
    assert notes(gqa(), "queries") == "8 x 16"
    assert notes(gqa(v_head_dim=24), "values") == "2 x 24"


def test_a_gate_stands_beside_attention_and_not_before_it() -> None:
    names = [step.name for step in steps(gqa(output_gate="per_head", output_gate_activation="softplus").inside())]
    assert names[-5:] == ["attention", "gate", "softplus", "product", "output"]


def test_keys_that_are_values_are_made_once() -> None:
    shown = Counter(step.name for step in steps(gqa(values_from_keys=True, v_norm=True).inside()))
    assert shown["keys, also values"] == 1
    assert shown["values"] == shown["keys"] == 0
    assert shown["cached"] == 2


def mla(**indexer: Any) -> MultiHeadLatentAttention:
    widths = {"kv_lora_rank": 8, "qk_nope_head_dim": 8, "qk_rope_head_dim": 4, "v_head_dim": 8, "q_lora_rank": 8}
    return MultiHeadLatentAttention.model_validate({"kind": "mla", "n_heads": 2, **widths, "indexer": indexer})


def test_an_indexer_keeps_keys_or_takes_the_choice_of_a_layer_below() -> None:
    own = [step.name for step in steps(mla(top_k=4, n_heads=2, head_dim=8).inside())]
    assert [name for name in own if name.startswith("index")] == [
        "index queries",
        "index key",
        "index_k_norm",
        "index keys",
    ]
    shared = list(steps(mla(top_k=4, indices_from="full").inside()))
    assert [step.sort for step in shared if step.name == "chosen tokens"] == ["left"]
    assert not [step for step in shared if step.name.startswith("index")]


def test_compressed_rows_are_chosen_only_by_an_indexer() -> None:
    spec = llmarch.load("deepseek-v4-flash")
    shown = {
        name: [step.name for step in steps(component.inside())]
        for name, component in spec.variants("attention").items()
        if isinstance(component, CompressedAttention)
    }
    assert ["compressor" in names for names in shown.values()] == [False, True, True]
    assert sorted("chosen rows" in names for names in shown.values()) == [False, False, True]
    assert all(("index_compressor" in names) == ("chosen rows" in names) for names in shown.values())


@pytest.mark.parametrize(
    ("model", "size"),
    [
        ("qwen3-next-80b-a3b", "32 x 128 x 128, float32"),
        ("mamba2-2.7b", "80 x 128 x 64, float32"),
        ("kimi-linear-48b-a3b", "32 x 128 x 128, float32"),
        ("minimax-text-01", "64 x 128 x 128, float32"),
        ("jamba-v0.1", "8,192 x 16, float32"),
        ("recurrentgemma-2b", "2,560, float32"),
    ],
)
def test_a_state_has_its_size(model: str, size: str) -> None:
    said = {notes(component, "state").partition(":")[0] for component in mixing(llmarch.load(model))}
    assert said - {""} == {size}
