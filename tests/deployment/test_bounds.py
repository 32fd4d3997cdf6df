"""Bounds on time: laws of the formulas, and what was measured on a device never beats them."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import specs

from llmarch_cli.deployment.bounds import Setting, compute_bound_batch, compute_dtype, decode_step, prompt
from llmarch_cli.deployment.chips import machines
from llmarch_cli.deployment.experts import expected_experts
from llmarch_cli.deployment.layouts import Layout, layouts, per_device
from llmarch_cli.deployment.loads import Model
from llmarch_cli.models import load
from llmarch_cli.profilers.cost import Workload
from llmarch_cli.profilers.profile import profile
from llmarch_cli.specs.loading import names
from llmarch_cli.specs.spec import ModelSpec

# Decode steps of this project's modules: one H100 80GB (SXM, HBM3), bf16, random weights and tokens, a step replayed as
# a CUDA graph, torch 2.11, CUDA 13, on 2026-11-26. The model, sequences, tokens of context, seconds.
MEASURED = (
    ("llama3.1-8b", 1, 1024, 0.007274),
    ("llama3.1-8b", 32, 1024, 0.008511),
    ("llama3.1-8b", 128, 1024, 0.013227),
    ("llama3.1-8b", 256, 1024, 0.024534),
    ("llama3.1-8b", 8, 16_384, 0.013029),
    ("gemma3-27b", 1, 1024, 0.022908),
    ("gemma3-27b", 32, 1024, 0.028369),
    ("gemma3-27b", 8, 32_768, 0.039267),
    ("qwen3-30b-a3b", 8, 1024, 0.022818),
    ("qwen3-30b-a3b", 64, 1024, 0.039333),
    ("deepseek-v2-lite", 8, 1024, 0.017062),
    ("deepseek-v2-lite", 32, 16_384, 0.052427),
    ("gpt-oss-20b", 8, 1024, 0.018984),
    ("gpt-oss-20b", 32, 1024, 0.026578),
    ("gpt-oss-20b", 128, 1024, 0.037166),
)
# Prompts of one sequence without the head: the model, tokens, seconds.
PROMPTS = (("llama3.1-8b", 8192, 0.300115), ("deepseek-v2-lite", 8192, 0.184640), ("gemma3-27b", 2048, 0.235449))


ALONE = Layout()


def model(name: str, context: int = 4096, **asked: Any) -> Model:
    return Model(load(name), Workload(context, **asked))


def on(text: str, layout: Layout = ALONE, compute: str = "bf16", skew: float = 0.0) -> Setting:
    return Setting(machines(text), layout, compute, skew)


@pytest.mark.parametrize(("name", "batch", "context", "seconds"), MEASURED)
def test_no_measured_step_beats_the_bound(name: str, batch: int, context: int, seconds: float) -> None:
    bound = decode_step(model(name, context), on("h100"), batch)
    assert 0.2 * seconds < bound.seconds < seconds


def test_the_page_states_them() -> None:
    page = (Path(__file__).parents[2] / "docs" / "fit.md").read_text()
    for name, batch, context, seconds in MEASURED:
        bound = decode_step(model(name, context), on("h100"), batch).seconds
        line = f"| `{name}` | {batch} | {context:,} | {1000 * seconds:.2f} ms | {1000 * float(bound):.2f} ms |"
        assert f"{line} {100 * float(bound) / seconds:.0f}% |" in page


@pytest.mark.parametrize(("name", "n_tokens", "seconds"), PROMPTS)
def test_no_measured_prompt_beats_the_bound(name: str, n_tokens: int, seconds: float) -> None:
    of = model(name, n_tokens)
    head = of.spec.d_model * of.spec.vocab_size
    bound = prompt(of, on("h100"))
    assert bound.compute is not None
    assert 0.1 * seconds < bound.compute - Fraction(2 * head, machines("h100").chip.peak_of("bf16")) < seconds


def test_distinct_experts_are_as_measured() -> None:
    """Means over layers, counted from the routers in the same runs as `MEASURED`."""
    for n_experts, top_k, batch, counted in ((128, 8, 32, 112.06), (64, 6, 32, 61.35), (32, 4, 8, 20.9)):
        expected = expected_experts(n_experts, top_k, batch)
        assert float(expected) == pytest.approx(counted, rel=0.013)


@pytest.mark.parametrize("name", names())
def test_one_device_reads_what_profiles_count(name: str) -> None:
    """Every matrix once, with all experts if enough tokens choose them; cache and states; FLOPs of every token."""
    spec = load(name)
    workload = Workload(min(4096, spec.context_length or 4096), weights="native")
    found = profile(spec, workload, "closed-form")
    step = decode_step(Model(spec, workload), on("h100"), 2**20)
    read = {each.name: each.n_bytes for each in step.reads}
    weights = sum(n for part, n in read.items() if part in ("attention weights", "routed experts", "other weights"))
    table = 0 if spec.tie_embeddings else spec.vocab_size * spec.d_model * (4 if found.weight_format == "fp32" else 2)
    per_layer = spec.per_layer_embedding
    if per_layer is None and spec.learned_positions is None:
        assert 0 <= found.weight_bytes - table - weights <= 2
    else:
        assert weights < found.weight_bytes
    assert step.flops == found.flops_per_token << 20
    assert read.get("state", 0) == (found.state_bytes + found.partial_bytes) << 20
    cache = Fraction(read.get("cache", 0), 2**20)
    assert cache == found.kv_cache_bytes or (cache < found.kv_cache_bytes and _chooses_rows(name))


def _chooses_rows(name: str) -> bool:
    return name in ("deepseek-v3.2", "glm-5", "glm-5.2", "minimax-m3", "deepseek-v4-flash")


def test_attention_that_chooses_rows_reads_them_only() -> None:
    """Latents of the best 2,048 tokens, and an index key of each token: 128 values beside 576."""
    of, context = model("deepseek-v3.2", 131_072), 131_072
    assert of.reads(Layout()).cache == 61 * 2 * (576 * 2048 + 128 * context)
    of = model("minimax-m3", 131_072)
    kept = profile(of.spec, of.workload, "closed-form").kv_cache_bytes
    assert of.reads(Layout()).cache < kept // 4


LAYOUTS = (
    Layout(),
    Layout(tp=2),
    Layout(pp=2),
    Layout(dp=2),
    Layout(tp=4, ep=4),
    Layout(tp=2, dp=2, ep=4, dp_attention=True),
    Layout(cp=4),
    Layout(tp=2, pp=2, cp=2, ep=2),
)


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.words)
@pytest.mark.parametrize("name", ["qwen3-30b-a3b", "deepseek-v2-lite"])
def test_laws_of_a_step(name: str, layout: Layout) -> None:
    of, setting = model(name), on("8xh200", layout)
    batches = [1, 2, 3, 7, 8, 64, 1000]
    steps = [decode_step(of, setting, batch) for batch in batches]
    times = [step.seconds for step in steps]
    assert times == sorted(times)
    alone = decode_step(of, on("h200"), 64)
    together = steps[batches.index(64)]
    assert together.seconds * layout.n_devices >= alone.seconds * Fraction(999, 1000)  # no work is lost
    assert together.compute is not None
    assert alone.compute is not None
    assert together.compute * layout.n_devices >= alone.compute
    rates = [batch / step.seconds for batch, step in zip(batches, steps, strict=True)]
    assert max(rates) == rates[-1]
    assert (together.sent == ()) == (layout in (Layout(), Layout(dp=2)))


def test_pipeline_groups() -> None:
    """Eight sequences in two stages: groups of four read the whole model once, half of it on each stage."""
    of = model("llama3.1-8b")
    staged, alone = (decode_step(of, on("8xh100", layout), 8) for layout in (Layout(pp=2), Layout()))
    half = decode_step(of, on("8xh100"), 4)
    assert staged.n_bytes == half.n_bytes
    assert staged.seconds < alone.seconds
    assert decode_step(of, on("8xh100", Layout(pp=2)), 1).n_bytes == decode_step(of, on("8xh100"), 1).n_bytes


def test_exchanged_bytes_by_hand() -> None:
    """Llama 3.1 8B: 32 layers with two sums of 4,096 values in bf16 a token."""
    of, batch = model("llama3.1-8b"), 16
    (sent,) = decode_step(of, on("8xh100", Layout(tp=8)), batch).sent
    assert sent.n_bytes == batch * 64 * 4096 * 2 * 2 * 7 // 8
    assert sent.seconds == Fraction(sent.n_bytes, 450_000_000_000)
    (sent,) = decode_step(of, on("2x8xh100", Layout(pp=2)), batch).sent
    assert (sent.name, sent.n_bytes) == ("pipeline", batch // 2 * 4096 * 2)
    assert sent.seconds == Fraction(sent.n_bytes, 450_000_000_000)
    both = decode_step(of, on("2x8xh100", Layout(tp=8, pp=2)), batch).sent
    assert both[1].seconds == Fraction(batch // 2 * 4096 * 2, 8 * 50_000_000_000)  # two nodes: over the network


def test_the_batch_at_which_compute_binds() -> None:
    for name, context in (("llama3.1-8b", 128), ("qwen3-30b-a3b", 64), ("deepseek-v2-lite", 64)):
        of, setting = model(name, context), on("h100")
        batch = compute_bound_batch(of, setting)
        assert batch is not None
        assert decode_step(of, setting, batch).binds == "compute"
        assert decode_step(of, setting, batch - 1).binds == "memory"
    assert compute_bound_batch(model("llama3.1-8b", 131_072), on("h100")) is None


@pytest.mark.parametrize(
    ("weights", "chip", "dtype"),
    [
        ("bf16", "h100", "bf16"),
        ("gptq-int4", "b200", "bf16"),
        ("q4_k_m", "h100", "bf16"),
        ("fp8-block", "h100", "fp8"),
        ("fp8-block", "a100-80gb", "bf16"),
        ("mxfp4", "h100", "bf16"),
        ("mxfp4", "b200", "fp4"),
        ("nvfp4", "b200", "fp4"),
        ("int8", "a100-80gb", "int8"),
        ("fp32", "h100", "tf32"),
    ],
)
def test_the_dtype_of_products(weights: str, chip: str, dtype: str) -> None:
    assert compute_dtype(load("llama3.1-8b"), weights, machines(chip)) == dtype


def test_the_dtype_of_what_is_published() -> None:
    expected = {"deepseek-v3": "fp8", "gpt-oss-120b": "bf16", "llama3.1-8b": "bf16"}
    assert {name: compute_dtype(load(name), "native", machines("h100")) for name in expected} == expected
    assert compute_dtype(load("gpt-oss-120b"), "native", machines("b200")) == "fp4"


def test_without_a_peak_only_memory_binds() -> None:
    where = machines("h100")
    bare = replace(where, chip=where.chip.model_copy(update={"peak": {}}))
    step = decode_step(model("llama3.1-8b", 128), Setting(bare, Layout(), "bf16"), 2**16)
    assert (step.compute, step.binds, step.seconds) == (None, "memory", step.memory)


def test_skewed_tokens_read_less() -> None:
    of = model("qwen3-30b-a3b")
    even, skewed = (decode_step(of, on("h100", skew=skew), 16) for skew in (0.0, 1.0))
    assert skewed.seconds < even.seconds
    assert skewed.flops == even.flops


def test_a_short_prompt_waits_for_the_weights() -> None:
    short, long = (prompt(model("llama3.1-8b", prompt=n_tokens), on("h100")) for n_tokens in (4, 4096))
    assert (short.binds, long.binds) == ("memory", "compute")
    assert short.memory == long.memory


@given(specs(aligned=True), st.data())
@settings(max_examples=60)
def test_a_device_reads_what_it_holds(spec: ModelSpec, data: st.DataObject) -> None:
    """All weights, if all experts are chosen; of cached rows no more than are there; and states."""
    workload = Workload(100, weights=data.draw(st.sampled_from(["bf16", "fp8", "fp32"])))
    found = [each for each in layouts(spec, 4, workload=workload) if each.pp == each.cp == 1]
    layout = data.draw(st.sampled_from(found))
    groups = layout.dp * (layout.tp if layout.dp_attention else 1)
    held = per_device(spec, replace(workload, batch=groups), layout)
    reads = Model(spec, workload).reads(layout)
    read = reads.attention + reads.others + reads.tables + sum(stack.n_bytes for stack in reads.stacks)
    alone = per_device(spec, workload, ALONE)
    assert read <= held.weights <= alone.weights
    assert reads.cache <= held.cache
    assert reads.state <= held.state
    if layout.tp == 1:
        assert (read, reads.state) == (held.weights, held.state)
