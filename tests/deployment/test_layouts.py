"""Bytes per device in closed form equal torch's own sharding of our built modules, and obey the laws of dividing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from dtensors import Built
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from strategies import specs, workloads

import llmarch_cli as llmarch
from llmarch_cli.deployment.layouts import DeviceBytes, Division, Layout, layouts, per_device, stages
from llmarch_cli.errors import InputError
from llmarch_cli.profilers.cost import Workload
from llmarch_cli.profilers.profile import profile
from llmarch_cli.profilers.storage import stored_parts
from llmarch_cli.specs.spec import ModelSpec

MODELS = sorted(path.stem for path in (Path(__file__).parents[2] / "model_specs").glob("*.yaml"))
EVERYWHERE = Layout(tp=8, dp=8, ep=64, dp_attention=True)
LAYOUTS = (
    Layout(tp=2),
    Layout(tp=4),
    Layout(tp=8),
    Layout(tp=8, ep=8),
    Layout(dp=8, ep=8),
    Layout(tp=4, ep=2, dp=2),
    Layout(pp=2),
    Layout(tp=2, pp=4),
    Layout(tp=4, cp=2, dp_attention=True),
    Layout(tp=8, pp=8),
    EVERYWHERE,
)

# Layouts that do not divide a model, besides those with ep of models without experts.
REFUSED = {
    "falcon-7b": {Layout(tp=2), Layout(tp=4), Layout(tp=8), Layout(tp=2, pp=4), Layout(tp=8, pp=8)},  # 71 heads
    "gemma-3n-e2b": {Layout(tp=2, pp=4), Layout(tp=8, pp=8)},  # layers read a cache on another stage
    "gemma-3n-e4b": {Layout(tp=2, pp=4), Layout(tp=8, pp=8)},
    "gemma-4-e2b": {Layout(pp=2), Layout(tp=2, pp=4), Layout(tp=8, pp=8)},
    "gemma-4-e4b": {Layout(tp=2, pp=4), Layout(tp=8, pp=8)},
    "gemma3-1b": {Layout(tp=8), Layout(tp=8, pp=8)},  # 4 heads
    "gemma3-270m": {Layout(tp=8), Layout(tp=8, pp=8)},
    "gpt2": {Layout(tp=8), Layout(tp=8, pp=8)},  # 12 heads
    "gpt2-large": {Layout(tp=8), Layout(tp=8, pp=8)},  # 20 heads
    "gpt2-xl": {Layout(tp=2), Layout(tp=4), Layout(tp=8), Layout(tp=2, pp=4), Layout(tp=8, pp=8)},  # 25 heads
    "qwen2.5-7b": {Layout(tp=8), Layout(tp=8, pp=8)},  # 28 heads
    "recurrentgemma-2b": {Layout(tp=4), Layout(tp=8), Layout(tp=8, pp=8)},  # 10 blocks
    "granite-4.0-h-small": {EVERYWHERE},  # 72 experts
    "granite-4.0-h-tiny": {Layout(tp=8), Layout(tp=8, ep=8), Layout(tp=8, pp=8)},  # 12 heads
    "glm-4.7-flash": {Layout(tp=8), Layout(tp=8, ep=8), Layout(tp=8, pp=8)},  # 20 heads
    "step-3.5-flash": {EVERYWHERE},  # 288 experts
    **{
        name: {EVERYWHERE} for name in ("deepseek-v2", "glm-4.5", "glm-4.6", "glm-4.7", "qwen3-coder-480b-a35b")
    },  # 160 experts
    **{name: {EVERYWHERE} for name in ("gpt-oss-20b", "lfm2-8b-a1b", "minimax-m1", "minimax-text-01")},  # 32 experts
    **{
        name: {EVERYWHERE} for name in ("grok-2.5", "jamba-v0.1", "mixtral-8x7b", "mixtral-8x22b", "llama4-scout")
    },  # 8 and 16 experts
}

# Layouts whose ranks hold overlapping heads, which DTensor cannot place.
OVERLAPPING = {"phi-4": {Layout(tp=4), Layout(tp=8), Layout(tp=8, pp=8)}}  # 10 heads of keys and values

DENSE = {"kind": "dense", "d_ff": 64}
TINY: dict[str, Any] = {
    "name": "tiny",
    "d_model": 32,
    "n_layers": 4,
    "vocab_size": 50,
    "attention": {"kind": "gqa", "n_heads": 8, "n_kv_heads": 2, "head_dim": 16},
    "ffn": DENSE,
}
MOE = {"kind": "moe", "n_experts": 12, "top_k": 2, "d_ff": 16}


def tiny(**changes: Any) -> ModelSpec:
    return ModelSpec.model_validate(TINY | changes)


def held(device: DeviceBytes) -> tuple[int, int, int]:
    return device.weights, device.cache, device.state


def has_experts(spec: ModelSpec) -> bool:
    return "n_experts" in str(spec.ffn)


@pytest.mark.parametrize("name", MODELS)
def test_bytes_per_device_are_those_of_dtensor(name: str) -> None:
    spec = llmarch.load(name)
    built, division, workload = Built(spec), Division(spec), Workload(10_000, batch=13)
    for layout in LAYOUTS:
        if layout in REFUSED.get(name, ()) or (layout.ep > 1 and not has_experts(spec)):
            with pytest.raises(InputError, match="can be 1"):
                division.per_device(workload, layout)
            continue
        if division.ranks_differ(layout):
            assert layout in OVERLAPPING[name]
            continue
        found = division.per_device(workload, layout)
        assert [held(stage) for stage in found.stages] == built.on_rank(0, layout, workload)


@pytest.mark.parametrize("name", ["gpt2-large", "kimi-linear-48b-a3b", "nemotron-3-nano-30b-a3b", "deepseek-v4-flash"])
def test_the_device_that_holds_most_is_the_largest_rank_of_dtensor(name: str) -> None:
    spec = llmarch.load(name)
    built, workload = Built(spec), Workload(10_001, batch=7)
    for layout in (Layout(tp=4, pp=2, dp=2), Layout(tp=2, cp=3, dp_attention=True)):
        ranks = [built.on_rank(rank, layout, workload) for rank in range(layout.n_devices // layout.pp)]
        assert largest(ranks) == [held(stage) for stage in per_device(spec, workload, layout).stages]


def largest(ranks: list[list[tuple[int, int, int]]]) -> list[tuple[int, int, int]]:
    """Of each stage, the rank that holds most."""
    return [max(stage, key=sum) for stage in zip(*ranks, strict=True)]


def copies_or_divides(spec: ModelSpec, layout: Layout) -> bool:
    """Whether DTensor can place all heads: it has no overlapping shards."""
    return not Division(spec).ranks_differ(layout)


@given(st.data())
def test_random_specs_and_layouts_hold_what_dtensor_says(data: st.DataObject) -> None:
    spec = data.draw(specs())
    n_devices = data.draw(st.sampled_from((2, 3, 4, 6, 8)))
    layout = data.draw(st.sampled_from(list(layouts(spec, n_devices))))
    assume(copies_or_divides(spec, layout))
    workload = Workload(data.draw(st.integers(1, 70)), data.draw(st.integers(1, 9)))
    built = Built(spec)
    ranks = [built.on_rank(rank, layout, workload) for rank in range(n_devices // layout.pp)]
    found = per_device(spec, workload, layout)
    assert [held(stage) for stage in found.stages] == largest(ranks)
    assert found.total == max(stage.total for stage in found.stages)


@given(st.data())
def test_one_device_holds_the_whole_model(data: st.DataObject) -> None:
    spec = data.draw(specs())
    workload = data.draw(workloads(spec))
    try:
        whole = profile(spec, workload, "closed-form")
        expected = whole.weight_bytes, whole.kv_cache_bytes, whole.state_bytes + whole.total.partial_bytes
    except InputError:
        with pytest.raises(InputError, match="another"):
            per_device(spec, workload, Layout())
        return
    assert held(per_device(spec, workload, Layout())) == expected


@given(st.data())
@settings(max_examples=20)
def test_layouts_are_those_that_per_device_accepts(data: st.DataObject) -> None:
    spec = data.draw(specs())
    found = list(layouts(spec, 4))
    assert len(set(found)) == len(found)
    sizes = [
        (tp, pp, dp, 4 // (tp * pp * dp))
        for tp in (1, 2, 4)
        for pp in (1, 2, 4)
        for dp in (1, 2, 4)
        if 4 % (tp * pp * dp) == 0
    ]
    for tp, pp, dp, cp in sizes:
        for ep in (1, 2, 4):
            try:
                layout = Layout(tp, pp, dp, ep, cp)
                per_device(spec, Workload(8), layout)
            except InputError:
                assert (tp, pp, dp, ep, cp) not in [
                    (each.tp, each.pp, each.dp, each.ep, each.cp) for each in found if not each.dp_attention
                ]
            else:
                assert layout in found or (cp > 1 and not any(each.cp > 1 for each in found))


@pytest.mark.parametrize("name", ["llama3.1-8b", "kimi-linear-48b-a3b", "gemma3-27b"])
@pytest.mark.parametrize("weights", ["bf16", "q4_k_m", "mlx-4bit"])
def test_stages_hold_the_whole_model_once(name: str, weights: str) -> None:
    spec, workload = llmarch.load(name), Workload(4096, weights=weights)
    whole, found = per_device(spec, workload, Layout()), per_device(spec, workload, Layout(pp=5))
    sums = [sum(each) for each in zip(*map(held, found.stages), strict=True)]
    if spec.tie_embeddings:
        sums[0] -= next(total for place, total in stored_parts(spec, weights) if place.item.role == "embedding")
    assert tuple(sums) == held(whole)


def test_a_dense_model_by_hand() -> None:
    """Llama 3.1 70B on 8 devices: 8 of 64 query heads, 1 of 8 key heads, an eighth of the rest, and whole norms."""
    found = per_device(llmarch.load("llama3.1-70b"), Workload(8192, batch=16), Layout(tp=8))
    d, layers = 8192, 80
    attention = d * 8 * 128 + 2 * d * 128 + 8 * 128 * d
    ffn = 3 * d * 28_672 // 8
    assert found.weights == 2 * (layers * (attention + ffn + 2 * d) + d + 2 * 128_256 // 8 * d)
    assert found.cache == 2 * layers * 2 * 128 * 8192 * 16
    assert found.state == 0


def test_latent_attention_by_hand() -> None:
    """DeepSeek-V3 on 8 devices: latents are copied, unless attention is data-parallel."""
    spec, workload = llmarch.load("deepseek-v3"), Workload(131_072, batch=64, kv_dtype="fp8", weights="native")
    latents = 61 * (512 + 64) * 131_072 * 64
    assert per_device(spec, workload, Layout(tp=8)).cache == latents
    assert per_device(spec, workload, Layout(tp=8, ep=8, dp_attention=True)).cache == latents // 8
    assert per_device(spec, workload, Layout(dp=8, ep=8)).cache == latents // 8
    assert per_device(spec, workload, Layout(dp=8)).weights == per_device(spec, workload, Layout()).weights
    experts = 58 * 256 * 3 * 7168 * 2048
    alone, over_experts = (per_device(spec, Workload(1), Layout(dp=8, ep=ep)).weights for ep in (1, 8))
    assert alone - over_experts == 2 * experts * 7 // 8


def test_sequences_are_divided_as_evenly_as_possible() -> None:
    spec = tiny()
    row = 2 * 2 * 2 * 16 * 4  # bytes of a token: keys and values, heads, head_dim, layers
    for batch, each in ((1, 1), (4, 1), (5, 2), (8, 2)):
        assert per_device(spec, Workload(10, batch=batch), Layout(dp=4)).cache == row * 10 * each
        assert per_device(spec, Workload(10, batch=batch), Layout(tp=4, dp_attention=True)).cache == row * 10 * each


def test_rows_are_divided_by_context_parallel_devices() -> None:
    spec = tiny(attention={**TINY["attention"], "window": 7})
    row = 2 * 2 * 2 * 16 * 4
    assert per_device(spec, Workload(5), Layout(cp=4)).cache == row * 2
    assert per_device(spec, Workload(100), Layout(cp=4)).cache == row * 2  # 7 rows in view


@pytest.mark.parametrize(
    ("n_layers", "pp", "sizes"),
    [(61, 2, [31, 30]), (126, 4, [31, 32, 32, 31]), (7, 4, [2, 2, 2, 1]), (4, 4, [1, 1, 1, 1]), (5, 1, [5])],
)
def test_stages_are_even_and_the_last_one_has_least(n_layers: int, pp: int, sizes: list[int]) -> None:
    found = stages(n_layers, pp)
    assert [len(layers) for layers in found] == sizes
    assert [number for layers in found for number in layers] == list(range(n_layers))


def test_the_fullest_device_is_that_of_the_fullest_stage() -> None:
    spec = tiny(vocab_size=10_000)
    found = per_device(spec, Workload(1), Layout(pp=2))
    first, last = found.stages
    assert last.weights - first.weights == 2 * 32  # the final norm
    assert held(found) == held(last)
    tied = per_device(tiny(vocab_size=10_000, tie_embeddings=True), Workload(1), Layout(pp=2))
    assert tied.stages == found.stages  # the table on both
    alone = per_device(tiny(vocab_size=10_000, tie_embeddings=True), Workload(1), Layout())
    assert alone.weights == first.weights + last.weights - 2 * 32 * 10_000


def refusal(spec: ModelSpec, layout: Layout, **workload: Any) -> str:
    with pytest.raises(InputError) as raised:
        per_device(spec, Workload(**workload), layout)
    return str(raised.value)


def test_what_cannot_be_divided_is_an_error_with_the_sizes_that_can() -> None:
    widths = "heads, channels or hidden values do not divide by"
    assert refusal(tiny(), Layout(tp=3)) == f"tiny, attention: q_proj: 8 {widths} 3; tp can be 1, 2, 4 or 8"
    narrow = tiny(ffn={"kind": "dense", "d_ff": 60})
    assert refusal(narrow, Layout(tp=8)) == f"tiny, ffn: gate_proj: 60 {widths} 8; tp can be 1, 2 or 4"
    assert refusal(tiny(), Layout(pp=5)) == "4 layers do not fill 5 stages; pp can be 1 to 4"
    no_experts = "tiny: a model without experts does not divide by ep 2; ep can be 1"
    assert refusal(tiny(), Layout(dp=2, ep=2)) == no_experts
    mixture = tiny(ffn=MOE)
    assert refusal(mixture, Layout(dp=5, ep=5)) == "tiny: 12 experts do not divide by ep 5; ep can be 1"
    of_16 = "tiny: 12 experts do not divide by ep 16; ep can be 1, 2 or 4"
    assert refusal(mixture, Layout(tp=8, dp=2, ep=16)) == of_16


def test_a_shard_keeps_what_shares_a_scale() -> None:
    cut = "shards with 16 of 64 input values cut blocks of 32; tp can be 1 or 2"
    assert refusal(tiny(), Layout(tp=4), weights="int4-g32") == f"tiny, ffn: down_proj: {cut}"
    whole = "its 16 input values do not divide into groups of 32; ask for another weight format"
    assert refusal(tiny(ffn=MOE), Layout(tp=2), weights="mxfp4") == f"tiny, ffn: down_proj: {whole}"
    of_experts = "shards with 16 of 32 input values cut blocks of 32; tp can be 1; or divide whole experts, by ep"
    assert refusal(tiny(ffn=MOE | {"d_ff": 32}), Layout(tp=2), weights="mxfp4") == f"tiny, ffn: down_proj: {of_experts}"


def test_experts_on_several_devices_each() -> None:
    mixture = tiny(ffn=MOE | {"d_ff": 18})
    cut = "tiny, ffn: gate_proj: 18 heads, channels or hidden values do not divide by 4"
    assert refusal(mixture, Layout(tp=8, ep=2, dp_attention=True)) == (
        f"{cut}; tp can be 1, 2, 4, 6, 12, 18 or 36; or divide whole experts, by ep"
    )
    assert refusal(mixture, Layout(tp=8, ep=2)) == f"{cut}; tp can be 1, 2 or 4; or divide whole experts, by ep"
    found, whole = (per_device(mixture, Workload(1), layout) for layout in (Layout(tp=4, ep=2), Layout(tp=4, ep=4)))
    assert found.weights == whole.weights  # half of 6 experts, or 3 experts


def test_a_cached_row_keeps_what_shares_a_scale() -> None:
    groups = "groups of 32 (q8_0) do not divide cached rows of 16 values; tp can be 1"
    assert refusal(tiny(), Layout(tp=2), kv_dtype="q8_0") == f"tiny, attention: k: {groups}"
    groups = "groups of 64 (int8) do not divide cached rows of 32 values; ask for another --kv-dtype"
    assert refusal(tiny(), Layout(), kv_dtype="int8") == f"tiny, attention: k: {groups}"


def test_a_layer_and_the_cache_that_it_reads_are_on_one_stage() -> None:
    reads = "with pp 2, layer 18 reads the cache of layer 13 on another stage; pp can be 1"
    assert refusal(llmarch.load("gemma-4-e2b"), Layout(pp=2)) == f"gemma-4-e2b: {reads}"


def test_an_impossible_layout_is_an_error() -> None:
    sizes = "must be from 1 to 1,048,576, not"
    of_8 = (
        "ep 3 does not divide the 8 devices of a stage (tp * dp * cp) into whole groups of tp 8; ep can be 1, 2, 4 or 8"
    )
    of_12 = (
        of_8.replace("ep 3", "ep 4")
        .replace("the 8", "the 12")
        .replace("tp 8", "tp 6")
        .replace("2, 4 or 8", "2, 3, 6 or 12")
    )
    wrong: tuple[tuple[dict[str, int], str], ...] = (
        ({"tp": 0}, f"tp {sizes} 0"),
        ({"pp": -1}, f"pp {sizes} -1"),
        ({"dp": 2**21}, f"dp {sizes} 2,097,152"),
        ({"tp": 8, "ep": 3}, of_8),
        ({"tp": 6, "dp": 2, "ep": 4}, of_12),
    )
    for fields, message in wrong:
        with pytest.raises(InputError) as raised:
            Layout(**fields)  # type: ignore[arg-type]
        assert str(raised.value) == message


def test_key_heads_beyond_their_number_are_copied() -> None:
    """28 query and 4 key heads, as Qwen2 7B has: engines that copy whole heads only refuse 7 and 14 devices."""
    spec = tiny(
        attention={"kind": "gqa", "n_heads": 28, "n_kv_heads": 4, "head_dim": 16}, ffn={"kind": "dense", "d_ff": 56}
    )
    row = 2 * 2 * 16 * 4
    heads = {tp: per_device(spec, Workload(1), Layout(tp=tp)).cache // row for tp in (1, 2, 4, 7, 14, 28)}
    assert heads == {1: 4, 2: 2, 4: 1, 7: 2, 14: 2, 28: 1}
    with pytest.raises(InputError, match=r"tp can be 1, 2, 4, 7, 14 or 28$"):
        per_device(spec, Workload(1), Layout(tp=8))


def test_a_known_refusal_of_engines() -> None:
    """vLLM refuses Qwen3-235B in 8-bit blocks on 8 devices: 192 outputs of an expert are not whole blocks of 128."""
    spec, workload = llmarch.load("qwen3-235b-a22b"), Workload(weights="fp8-block")
    with pytest.raises(
        InputError, match="shards with 192 of 1,536 output values cut blocks of 128; tp can be 1, 2 or 4"
    ):
        per_device(spec, workload, Layout(tp=8))
    assert per_device(spec, workload, Layout(tp=8, ep=8)).weights > 0
    assert Layout(tp=8) in list(layouts(spec, 8))
    assert Layout(tp=8) not in list(layouts(spec, 8, workload=workload))


def test_layouts_keep_tensor_parallel_devices_in_a_node() -> None:
    spec = llmarch.load("llama3.1-70b")
    assert {layout.tp for layout in layouts(spec, 16, per_node=4)} == {1, 2, 4}
    assert {layout.tp for layout in layouts(spec, 16)} == {1, 2, 4, 8, 16}
    assert all(layout.n_devices == 16 for layout in layouts(spec, 16))
    for wrong in ((0, None), (8, 0)):
        with pytest.raises(InputError, match="1 to 1,048,576 devices, not 0"):
            list(layouts(spec, *wrong))


def test_the_words_of_a_layout() -> None:
    assert Layout().words == "one device"
    assert Layout(tp=8, ep=4, dp_attention=True).words == "tp 8, ep 4, attention data-parallel"
