"""What an engine keeps besides: against pages that are filled token by token, and against models that are larger."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from strategies import specs

import llmarch_cli as llmarch
from llmarch_cli.components.cache import Rows, State, View
from llmarch_cli.components.shards import Shard, Units
from llmarch_cli.deployment.engines import AS_NEEDED, Copies, EngineView, copies
from llmarch_cli.deployment.layouts import Division, Layout, per_device
from llmarch_cli.errors import InputError
from llmarch_cli.profilers.cost import Workload
from llmarch_cli.profilers.profile import profile
from llmarch_cli.specs.spec import ModelSpec

MODELS = sorted(path.stem for path in (Path(__file__).parents[2] / "model_specs").glob("*.yaml"))
RESERVED = EngineView(windows="reserved")


def pages_filled(n_tokens: int, size: int, cp: int) -> int:
    """The pages of the first of `cp` devices, to which tokens go in turn."""
    own = range(0, n_tokens, cp)
    return len({place // size for place, _ in enumerate(own)})


@given(st.integers(0, 500), st.integers(1, 40), st.integers(1, 4), st.sampled_from([None, 1, 7, 64]))
def test_pages_are_whole(context: int, size: int, cp: int, span: int | None) -> None:
    in_view = context if span is None else min(context, span)
    found = EngineView(pages=size).rows(View(span), context, cp)
    assert found == pages_filled(in_view, size, cp) * size
    assert found >= AS_NEEDED.rows(View(span), context, cp) == -(-in_view // cp)


@given(st.integers(0, 500), st.integers(1, 8), st.sampled_from([1, 2, 4, 16]), st.integers(1, 4))
def test_a_page_of_tokens_has_fewer_rows_of_several(context: int, n_rows: int, stride: int, cp: int) -> None:
    size = n_rows * stride
    found = EngineView(pages=size).rows(View(stride=stride), context, cp)
    assert found == pages_filled(context, size, cp) * n_rows
    assert found >= AS_NEEDED.rows(View(stride=stride), context, cp) == -(-(context // stride) // cp)


def test_rows_behind_a_window() -> None:
    window = View(span=128)
    for context in (1, 100, 128, 129, 640, 641, 10_000):
        assert EngineView(windows="+512").rows(window, context) == min(context, 640)
        assert EngineView(windows="+512", pages=256).rows(window, context) == -(-min(context, 640) // 256) * 256
        assert EngineView(windows="+0").rows(window, context) == AS_NEEDED.rows(window, context) == min(context, 128)
        assert RESERVED.rows(window, context) == RESERVED.rows(View(), context) == context
        assert EngineView(windows="+512").rows(View(), context) == context


@pytest.mark.parametrize("name", MODELS)
def test_reserved_windows_are_what_a_profile_has_without_them(name: str) -> None:
    spec = llmarch.load(name)
    for context in (1, 700, 131_072):
        workload = Workload(context, batch=3)
        found = per_device(spec, workload, Layout(), RESERVED)
        figures = profile(spec, workload, "closed-form")
        assert found.cache == figures.kv_cache_bytes_without_windows
        usual = per_device(spec, workload, Layout())
        assert (found.weights, found.state) == (usual.weights, usual.state)
        assert usual.cache == figures.kv_cache_bytes


@settings(max_examples=60)
@given(specs(), st.integers(1, 3000), st.sampled_from([1, 2]), st.sampled_from([16, 256]))
def test_an_engine_keeps_at_least_what_is_needed(spec: ModelSpec, context: int, tp: int, size: int) -> None:
    views = [EngineView(pages=size), RESERVED, EngineView(windows="+40"), EngineView(pad_vocab=size)]
    views.append(EngineView(pad_heads=size))
    workload, layout = Workload(context, batch=2), Layout(tp=tp)
    try:
        needed = per_device(spec, workload, layout)
        found = [per_device(spec, workload, layout, view) for view in views]
    except InputError:
        assume(False)
    for each in found:
        assert each.weights >= needed.weights
        assert each.cache >= needed.cache
        assert each.state == needed.state
    assert found[1].cache >= found[2].cache  # all tokens, and some of them
    assert [found[place].weights for place in (0, 1, 2, 4)] == [needed.weights] * 4
    assert found[3].cache == needed.cache


@pytest.mark.parametrize(("name", "tied"), [("gpt2", True), ("gpt2", False), ("qwen3-8b", False), ("gemma3-1b", True)])
@pytest.mark.parametrize(("multiple", "tp"), [(64, 1), (64, 4), (1, 4), (100, 4), (1000, 2)])
def test_a_padded_vocabulary_is_that_of_a_larger_model(name: str, tied: bool, multiple: int, tp: int) -> None:
    spec = llmarch.load(name)
    spec = spec.model_copy(update={"tie_embeddings": tied}) if spec.tie_embeddings != tied else spec
    n_rows = spec.vocab_size
    while n_rows % multiple or n_rows % tp:
        n_rows += 1
    larger = spec.model_copy(update={"vocab_size": n_rows})
    for formats in ("bf16", "fp8", "q8_0"):
        workload = Workload(64, weights=formats)
        padded = per_device(spec, workload, Layout(tp=tp), EngineView(pad_vocab=multiple))
        assert padded == per_device(larger, workload, Layout(tp=tp))


def test_a_vocabulary_that_engines_pad() -> None:
    view = EngineView(pad_vocab=64)
    assert [view.padded_vocab(50_257, tp) for tp in (1, 2, 8, 64, 3)] == [*[50_304] * 4, 50_304]
    assert view.padded_vocab(152_064, 7) == 152_320  # of 64 x 7
    assert AS_NEEDED.padded_vocab(50_257, 8) == 50_257


@pytest.mark.parametrize(("name", "tp"), [("llama3.2-1b", 1), ("llama3.2-1b", 4), ("llama3.2-1b", 16), ("gpt2", 3)])
@pytest.mark.parametrize("kv_dtype", ["bf16", "q8_0"])
def test_padded_heads_are_those_of_a_wider_model(name: str, tp: int, kv_dtype: Any) -> None:
    """Both have heads of 64 values."""
    spec = llmarch.load(name)
    attention = dict(spec.variants("attention"))
    wider = spec.model_copy(update={"attention": attention.popitem()[1].model_copy(update={"head_dim": 128})})
    workload = Workload(1000, batch=3, kv_dtype=kv_dtype)
    padded = per_device(spec, workload, Layout(tp=tp), EngineView(pad_heads=128))
    assert padded.cache == per_device(wider, workload, Layout(tp=tp)).cache
    needed = per_device(spec, workload, Layout(tp=tp))
    assert (padded.weights, padded.state) == (needed.weights, needed.state)
    assert per_device(spec, workload, Layout(tp=tp), EngineView(pad_heads=32)) == needed


def test_padded_rows_without_heads_and_of_several_widths() -> None:
    """A latent of 512 and a rotary key of 64 values; keys of 192 and values of 128."""
    workload, layout = Workload(100, batch=2), Layout(tp=8)
    latent = per_device(llmarch.load("deepseek-v3"), workload, layout, EngineView(pad_heads=128))
    assert latent.cache == 2 * 100 * 61 * (512 + 128) * 2
    view = EngineView(pad_heads=128)
    keys = Shard("out", (Units(8, readers=64),))
    assert view.padded_entry(Rows("k", 8 * 192), keys) == (Rows("k", 8 * 256), Shard("out", (Units(8, 256, 64),)))
    assert view.padded_entry(Rows("v", 8 * 128), keys)[0] == Rows("v", 8 * 128)
    several = Shard("out", (Units(2, 96), Units(4, 130)))
    assert view.padded_entry(Rows("x", 2 * 96 + 4 * 130), several)[0] == Rows("x", 2 * 128 + 4 * 256)
    assert view.padded_entry(State("s", (4, 8)), None) == (State("s", (4, 8)), None)


def test_what_is_copied_is_named_once() -> None:
    heads = Shard("out", (Units(4, readers=28),))
    entries: list[Any] = [
        (Rows("latent", 64), None),
        (Rows("k", 512), heads),
        (Rows("k", 512), heads),
        (State("matrix", (4, 8)), None),
        (Rows("whole", 512), Shard("out", (Units(28),))),
    ]
    assert copies(entries, 1) == Copies()
    assert copies(entries, 4) == Copies(("latent",))
    assert copies(entries, 7) == copies(entries, 28) == Copies(("latent",), ("k",))
    assert copies(entries, 28).names == ("latent", "k")


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        ({"pages": 0}, "a page has from 1 to"),
        ({"pages": -16}, "a page has from 1 to"),
        ({"pages": 2**21}, "a page has from 1 to"),
        ({"pad_vocab": 0}, "padded to a multiple of 1 to"),
        ({"pad_heads": 0}, "cached heads are padded to a multiple of 1 to"),
        ({"windows": "all"}, "windows can be reserved, or keep up to 1,048,576 tokens more, such as +512, not 'all'"),
        ({"windows": "+"}, "windows can be"),
        ({"windows": "+-1"}, "windows can be"),
        ({"windows": "+1048577"}, "windows can be"),
        ({"windows": ""}, "windows can be"),
    ],
)
def test_what_no_engine_does_is_refused(asked: dict[str, Any], why: str) -> None:
    with pytest.raises(InputError) as refused:
        EngineView(**asked)
    assert why in str(refused.value)


def test_pages_hold_whole_rows() -> None:
    spec = llmarch.load("deepseek-v4-flash")
    with pytest.raises(InputError, match=r"deepseek-v4-flash: pages of 64 .* of 128 tokens; ask for a multiple of 128"):
        Division(spec, engine_view=EngineView(pages=64))
    Division(spec, engine_view=EngineView(pages=256))
