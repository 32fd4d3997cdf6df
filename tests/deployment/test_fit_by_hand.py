"""Every figure of `fit` for six models, against sums over their components written apart.

The sizes are typed from the models' configs, and neither specs nor engines are used to derive the expected figures.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import ceil, floor
from typing import Any

import pytest

from llmarch_cli.deployment.chips import machines
from llmarch_cli.deployment.fit import Fit, Question, Sizes, fit
from llmarch_cli.models import load
from llmarch_cli.profilers.cost import Workload

BF16 = 2
CONTEXT = 32_768


@dataclass(frozen=True)
class Device:
    """What one of `tp` devices holds of a model and reads of it, by hand.

    `whole` are bytes read in each step, `looked_up` those of the input table on the device, of which `rows` are read
    for a token. `matrices` and `scores` are FLOPs of a token in the whole model.
    """

    whole: int
    experts: int
    n_experts: int
    top_k: int
    looked_up: int
    rows: int
    matrices: int
    window: int

    # Of one sequence at a context: cached bytes on the device, bytes of states, FLOPs beyond matrices.
    def cache(self, context: int) -> int:
        raise NotImplementedError

    def scores(self, context: int) -> int:
        raise NotImplementedError

    state: int = 0


def fp8(d_out: int, d_in: int) -> int:
    return d_out * d_in + 4 * ceil(d_out / 128) * ceil(d_in / 128)


def mxfp4(d_out: int, d_in: int) -> int:
    return d_out * d_in // 2 + d_out * d_in // 32


def llama_70b(tp: int) -> Device:
    d, layers, vocabulary, ff = 8192, 80, 128_256, 28_672
    q, kv = 64 * 128, 8 * 128
    matrices = d * q + 2 * d * kv + q * d + 3 * d * ff
    head = vocabulary * d

    class Llama(Device):
        def cache(self, context: int) -> int:
            return layers * 2 * kv // tp * BF16 * context

        def scores(self, context: int) -> int:
            return layers * 4 * q * context

    return Llama(
        whole=BF16 * (layers * (matrices // tp + 2 * d) + d + head // tp),
        experts=0,
        n_experts=0,
        top_k=0,
        looked_up=BF16 * head // tp,
        rows=BF16 * d,
        matrices=2 * (layers * matrices + head),
        window=131_072,
    )


def gemma_27b(tp: int) -> Device:
    d, vocabulary, ff, n_local, n_global = 5376, 262_208, 21_504, 52, 10
    q, kv, layers = 32 * 128, 16 * 128, 62
    matrices = d * q + 2 * d * kv + q * d + 3 * d * ff

    class Gemma(Device):
        def cache(self, context: int) -> int:
            return 2 * kv // tp * BF16 * (n_global * context + n_local * min(context, 1024))

        def scores(self, context: int) -> int:
            return 4 * q * (n_global * context + n_local * min(context, 1024))

    return Gemma(
        whole=BF16 * (layers * (matrices // tp + 4 * d + 2 * 128) + d + vocabulary * d // tp),  # the head is the table
        experts=0,
        n_experts=0,
        top_k=0,
        looked_up=0,
        rows=0,
        matrices=2 * (layers * matrices + vocabulary * d),
        window=131_072,
    )


def qwen_235b(tp: int) -> Device:
    d, layers, vocabulary, ff, experts, top_k = 4096, 94, 151_936, 1536, 128, 8
    q, kv = 64 * 128, 4 * 128
    own_kv = max(kv // tp, 128)  # at least one of the 4 heads
    one_expert = 3 * d * ff
    own = d * q // tp + 2 * d * own_kv + q * d // tp + experts * d

    class Qwen(Device):
        def cache(self, context: int) -> int:
            return layers * 2 * own_kv * BF16 * context

        def scores(self, context: int) -> int:
            return layers * 4 * q * context

    attention = 2 * d * q + 2 * d * kv
    return Qwen(
        whole=BF16 * (layers * (own + 2 * d + 2 * 128) + d + vocabulary * d // tp),
        experts=BF16 * layers * experts * one_expert // tp,
        n_experts=experts,
        top_k=top_k,
        looked_up=BF16 * vocabulary * d // tp,
        rows=BF16 * d,
        matrices=2 * (layers * (attention + experts * d + top_k * one_expert) + vocabulary * d),
        window=40_960,
    )


def gpt_oss_120b(tp: int) -> Device:
    d, layers, vocabulary, ff, experts, top_k = 2880, 36, 201_088, 2880, 128, 4
    q, kv = 64 * 64, 8 * 64
    biases = (q + 2 * kv) // tp + d + 64 // tp  # of queries, keys and values, of the output, and sinks
    one_expert = 2 * (mxfp4(ff, d) + BF16 * ff) + mxfp4(d, ff) + BF16 * d
    router = experts * d + experts
    own = (d * q + 2 * d * kv + q * d) // tp + biases + router

    class GptOss(Device):
        def cache(self, context: int) -> int:
            return 2 * kv // tp * BF16 * (layers // 2 * context + layers // 2 * min(context, 128))

        def scores(self, context: int) -> int:
            return 4 * q * (layers // 2 * context + layers // 2 * min(context, 128))

    attention = 2 * d * q + 2 * d * kv
    return GptOss(
        whole=BF16 * (layers * (own + 2 * d) + d + vocabulary * d // tp),
        experts=layers * experts * one_expert // tp,
        n_experts=experts,
        top_k=top_k,
        looked_up=BF16 * vocabulary * d // tp,
        rows=BF16 * d,
        matrices=2 * (layers * (attention + experts * d + top_k * 3 * d * ff) + vocabulary * d),
        window=131_072,
    )


def deepseek_v3(tp: int) -> Device:
    d, layers, vocabulary, experts, top_k, ff = 7168, 61, 129_280, 256, 8, 2048
    heads, latent, rope, nope, value, q_latent = 128, 512, 64, 128, 128, 1536
    n_dense, n_moe = 3, 58
    attention = (
        fp8(q_latent, d)
        + fp8(heads // tp * (nope + rope), q_latent)
        + fp8(latent + rope, d)
        + fp8(heads // tp * (nope + value), latent)
        + fp8(d, heads // tp * value)
        + BF16 * (q_latent + latent)
    )
    shared = 2 * fp8(ff // tp, d) + fp8(d, ff // tp)
    dense = 2 * fp8(18_432 // tp, d) + fp8(d, 18_432 // tp)
    one_expert = 2 * fp8(ff, d) + fp8(d, ff)

    class DeepSeek(Device):
        def cache(self, context: int) -> int:
            return layers * (latent + rope) * BF16 * context  # on each device

        def scores(self, context: int) -> int:
            return layers * 2 * heads * (2 * latent + rope) * context

    of_attention = (
        d * q_latent
        + q_latent * heads * (nope + rope)
        + d * (latent + rope)
        + latent * heads * (nope + value)
        + heads * value * d
    )
    of_experts = experts * d + (top_k + 1) * 3 * d * ff
    return DeepSeek(
        whole=layers * (attention + BF16 * 2 * d)
        + n_dense * dense
        + n_moe * (shared + BF16 * experts * d)
        + BF16 * (d + vocabulary * d // tp),
        experts=n_moe * experts * one_expert // tp,
        n_experts=experts,
        top_k=top_k,
        looked_up=BF16 * vocabulary * d // tp,
        rows=BF16 * d,
        matrices=2 * (layers * of_attention + n_dense * 3 * d * 18_432 + n_moe * of_experts + vocabulary * d),
        window=163_840,
    )


def qwen_hybrid(tp: int) -> Device:
    d, vocabulary, ff, n_delta, n_full = 5120, 248_320, 17_408, 48, 16
    keys, values = 16 * 128, 48 * 128
    channels = 2 * keys + values
    delta = d * channels + d * values + 2 * d * 48 + values * d  # queries, keys and values; gates; decays; output
    q, kv = 24 * 256, 4 * 256
    own_kv = max(kv // tp, 256)
    full = 2 * d * q + q * d  # queries with gates, and the output

    class Qwen(Device):
        def cache(self, context: int) -> int:
            return n_full * 2 * own_kv * BF16 * context

        def scores(self, context: int) -> int:
            return n_full * 4 * q * context + n_delta * (6 * 48 * 128 * 128 + 2 * 4 * channels)

    own_delta = delta // tp + (4 * channels + 2 * 48) // tp + 128  # filters, decays and their offsets; the norm
    own_full = full // tp + 2 * d * own_kv + 2 * 256
    layers = n_delta + n_full
    return Qwen(
        whole=BF16
        * (n_delta * own_delta + n_full * own_full + layers * (3 * d * ff // tp + 2 * d) + d + vocabulary * d // tp),
        experts=0,
        n_experts=0,
        top_k=0,
        looked_up=BF16 * vocabulary * d // tp,
        rows=BF16 * d,
        matrices=2 * (n_delta * delta + n_full * (full + 2 * d * kv) + layers * 3 * d * ff + vocabulary * d),
        window=262_144,
        state=n_delta * (4 * 48 * 128 * 128 + BF16 * 3 * channels) // tp,
    )


MODELS = {
    "llama3.1-70b": llama_70b,
    "gemma3-27b": gemma_27b,
    "qwen3-235b-a22b": qwen_235b,
    "gpt-oss-120b": gpt_oss_120b,
    "deepseek-v3": deepseek_v3,
    "qwen3.5-27b": qwen_hybrid,
}

# Memory, bandwidth, and peak in bf16 and fp8: typed from data sheets and reports of drivers.
CHIPS = {
    "h100": (85_520_809_984, 3_352_000_000_000, 989_400_000_000_000, 1_978_900_000_000_000),
    "h200": (150_754_820_096, 4_800_000_000_000, 989_500_000_000_000, 1_979_000_000_000_000),
}


def found(model: str, on: str, **asked: Any) -> Fit:
    where = machines(on)
    sizes: dict[str, int | bool] = {"tp": where.n_devices, "pp": 1, "dp": 1, "cp": 1, "dp_attention": False}
    if MODELS[model](1).n_experts:
        sizes["ep"] = where.n_devices
    workload = Workload(CONTEXT, weights="native", prompt=asked.pop("prompt", None))
    return fit(Sizes(load(model), Question(workload, sizes=sizes, **asked)), where)


@pytest.mark.parametrize("on", ["h100", "8xh100", "8xh200"])
@pytest.mark.parametrize("model", MODELS)
def test_all_figures(model: str, on: str) -> None:
    answer = found(model, on)
    tp = answer.machines.n_devices
    memory, bandwidth, bf16, fp8_peak = CHIPS[answer.machines.chip.id]
    hand = MODELS[model](tp)
    peak = fp8_peak if model == "deepseek-v3" else bf16

    weights, one = hand.whole + hand.experts + hand.looked_up, hand.cache(CONTEXT) + hand.state
    reserve = ceil(Fraction(memory, 10))
    room = memory - reserve
    assert (answer.memory, answer.reserve, answer.held.weights) == (memory, reserve, weights)
    batch = max(0, floor(Fraction(room - weights, one)))
    assert answer.most_sequences == answer.batch == batch
    held = max(batch, 1)
    assert (answer.held.cache, answer.held.state) == (hand.cache(CONTEXT) * held, hand.state * held)
    if batch == 0:
        assert answer.missing == weights + one - room
        assert (answer.step, answer.prompt, answer.rate) == (None, None, None)
        return
    assert answer.missing == 0
    assert answer.free == room - weights - batch * one

    longest = answer.longest_context
    assert longest is not None
    assert weights + hand.cache(longest) + hand.state <= room
    assert longest == hand.window or weights + hand.cache(longest + 1) + hand.state > room

    step = answer.step
    assert step is not None
    distinct = hand.n_experts * (1 - (1 - Fraction(hand.top_k, hand.n_experts or 1)) ** batch)
    experts = distinct * hand.experts / (hand.n_experts or 1)
    n_bytes = hand.whole + floor(experts) + hand.rows * batch // tp + batch * one
    assert abs(step.n_bytes - n_bytes) <= 1  # a looked-up row is rounded on its own
    flops = Fraction(batch * (hand.matrices + hand.scores(CONTEXT)), tp)
    assert step.flops == floor(flops)
    assert step.compute == flops / peak
    assert step.memory == Fraction(step.n_bytes, bandwidth)
    assert step.seconds == max(step.memory, flops / peak)
    assert answer.user_rate == 1 / step.seconds
    assert answer.rate == batch / step.seconds


@pytest.mark.parametrize("model", ["llama3.1-70b", "qwen3.5-27b", "gpt-oss-120b"])
def test_the_first_token(model: str) -> None:
    """The sum of the steps of all tokens without the head, and the head once: no kind here expands its cache."""
    n_tokens = 300
    answer = found(model, "8xh200", prompt=n_tokens)
    hand = MODELS[model](1)
    vocabulary = {"llama3.1-70b": 128_256 * 8192, "qwen3.5-27b": 248_320 * 5120, "gpt-oss-120b": 201_088 * 2880}[model]
    flops = sum(hand.matrices - 2 * vocabulary + hand.scores(context) for context in range(1, n_tokens + 1))
    prompt = answer.prompt
    assert prompt is not None
    assert prompt.compute == Fraction(flops + 2 * vocabulary, 8 * CHIPS["h200"][2])
    own = MODELS[model](8)
    assert prompt.memory >= Fraction(own.whole, CHIPS["h200"][1])
    assert prompt.seconds == max(prompt.compute, prompt.memory)
