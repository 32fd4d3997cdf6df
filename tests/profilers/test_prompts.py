"""FLOPs of prompts and training sequences: both engines, real runs whose masks are counted, laws, printed values."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from strategies import Data, specs
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

import llmarch_cli as llmarch
from llmarch_cli.components import cache, counting
from llmarch_cli.components.attention import MultiHeadLatentAttention, scores
from llmarch_cli.components.attention.block_indexer import BlockIndexer
from llmarch_cli.components.cache import View
from llmarch_cli.components.component import walk
from llmarch_cli.components.frame import PositionEmbedding
from llmarch_cli.components.parts import Assignments, Linear, Table
from llmarch_cli.errors import CheckError, InputError
from llmarch_cli.guards.gauge import Gauge, metric_at
from llmarch_cli.modules.builder import build
from llmarch_cli.profilers import closed_form
from llmarch_cli.profilers.cost import Workload
from llmarch_cli.profilers.profile import MAX_CONTEXT, forward_flops, profile
from llmarch_cli.profilers.verification import _prompts
from llmarch_cli.profilers.witnesses import _grouped_mm_flops
from llmarch_cli.specs.spec import ModelSpec

STARTS = st.one_of(st.just(0), st.integers(1, 40), st.integers(1, 5_000))
LENGTHS = st.one_of(st.integers(1, 40), st.integers(1, 5_000))

views = st.builds(
    lambda span, stride, units: View(
        None if span is None else span * stride * (units or 1), stride, 1 if units is None or span is None else span
    ),
    st.one_of(st.none(), st.integers(1, 9)),
    st.just(1),
    st.one_of(st.none(), st.integers(1, 3)),
)
strided = st.builds(
    lambda rows, stride: View(None if rows is None else rows * stride, stride),
    st.one_of(st.none(), st.integers(1, 5)),
    st.integers(2, 5),
)


# --- pairs ----------------------------------------------------------------------------------------------------------


def shown(view: View, token: int) -> int:
    """The rows that a token of a prompt sees, counted from 1, one by one."""
    own = list(range(1, token // view.stride + 1))
    if view.span is None:
        return len(own)
    if view.unit == 1:
        return len(own[-(view.span // view.stride) :])
    in_unit = (token - 1) % view.unit + 1
    return len(own[-(view.span - view.unit + in_unit) :])


@given(st.one_of(views, strided), st.integers(0, 60), st.integers(0, 60))
def test_pairs_are_the_sum_of_what_each_token_sees(view: View, start: int, n_tokens: int) -> None:
    end = start + n_tokens
    assert view.pairs(start, end) == sum(shown(view, token) for token in range(start + 1, end + 1))


# --- two engines ----------------------------------------------------------------------------------------------------


@settings(max_examples=150)
@given(specs(), STARTS, LENGTHS, st.booleans())
def test_the_engines_agree(spec: ModelSpec, start: int, n_tokens: int, all_logits: bool) -> None:
    flops = [
        forward_flops(spec, start, n_tokens, engine, all_logits=all_logits) for engine in ("measured", "closed-form")
    ]
    assert flops[0] == flops[1] > 0


def test_a_window_that_is_one_token_too_wide_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    true = scores.visible

    def wider(start: int, n_tokens: int, n_keys: int, window: int | None, *rest: Any) -> Tensor | None:
        return true(start, n_tokens, n_keys, None if window is None else window + 1, *rest)

    monkeypatch.setattr("llmarch_cli.components.attention.gqa.visible", wider)
    spec = llmarch.load("gemma3-1b")
    forward_flops(spec, 0, 512, "measured")  # its windows have 512 tokens
    with pytest.raises(CheckError, match="local: the engines disagree on the FLOPs of 1024 tokens behind 0: measured"):
        forward_flops(spec, 0, 1024, "measured")


def test_a_mask_that_cannot_be_counted_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def opaque(start: int, n_tokens: int, n_keys: int, *rest: Any) -> Tensor:
        return torch.zeros((n_tokens, n_keys), dtype=torch.bool, device="meta")

    monkeypatch.setattr("llmarch_cli.components.attention.gqa.visible", opaque)
    with pytest.raises(CheckError, match=r"a mask of shape \(8, 8\): the measuring engine cannot count what it shows"):
        forward_flops(llmarch.load("gpt2"), 0, 8, "measured")
    assert (counting.pair_counter, counting.by_token) == (None, None)


# --- a real run -----------------------------------------------------------------------------------------------------


class RealCounter:
    """Counts the products of real modules with torch's counter, those of pairs by the real mask."""

    def __init__(self, torch_counter: FlopCounterMode) -> None:
        self.torch_counter, self.hidden = torch_counter, 0

    @property
    def flops(self) -> int:
        return int(self.torch_counter.get_total_flops()) - self.hidden

    @contextmanager
    def pairs(self, mask: Tensor | None) -> Iterator[None]:
        before = self.flops
        yield
        if mask is None:
            return
        full = mask.expand(*mask.shape)
        share, rest = divmod((self.flops - before) * int(full.sum()), full.numel() or 1)
        assert not rest
        self.hidden += self.flops - before - share

    def by_token(
        self, step: Callable[..., tuple[Tensor, Tensor]], tokens: tuple[Tensor, ...], state: Tensor, beta: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        out = []
        for n in range(tokens[0].shape[2]):
            now = slice(n, n + 1)
            mixed, state = step(*(x[:, :, now] for x in tokens), state, None if beta is None else beta[:, :, now])
            out.append(mixed)
        return torch.cat(out, dim=2), state


def smallest_table(spec: ModelSpec) -> int:
    parts = (part for item in spec.inventory() for each in walk(item.component) for part in each.parts(spec.d_model))
    return min(part.n_rows for part in parts if isinstance(part, Table | Assignments))


def real_flops(spec: ModelSpec, prefix: int, n_tokens: int) -> int:
    """The FLOPs of a real model's forward pass over random tokens, with logits of all."""
    torch.manual_seed(0)
    model = build(spec, device="cpu", dtype=torch.float32)
    tokens = torch.randint(0, smallest_table(spec), (1, prefix + n_tokens))
    counter = FlopCounterMode(display=False, custom_mapping={torch.ops.aten._grouped_mm: _grouped_mm_flops})
    kept = model.new_cache()
    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH):
        if prefix:
            model(tokens[:, :prefix], kept)
        with counter:
            counting.pair_counter = real = RealCounter(counter)
            counting.by_token = real.by_token
            try:
                model(tokens[:, prefix:], kept)
            finally:
                counting.pair_counter = counting.by_token = None
    return real.flops


def is_small(spec: ModelSpec) -> bool:
    """Whether it can be built for real: shapes are drawn for the meta device, where any size is fine."""
    return spec.n_layers <= 8 and profile(spec, Workload(1), "closed-form").params < 3_000_000


@settings(max_examples=50)
@given(specs(aligned=True).filter(is_small), st.sampled_from((0, 0, 1, 5, 17)), st.integers(2, 24))
def test_a_real_run_takes_what_the_closed_form_says(spec: ModelSpec, prefix: int, n_tokens: int) -> None:
    inside = [each for item in spec.inventory() for each in walk(item.component)]
    assume(all(each.n_positions >= prefix + n_tokens for each in inside if isinstance(each, PositionEmbedding)))
    # A choice of blocks with no local ones need not contain the token's own.
    assume(all(each.local for one in inside for each in vars(one).values() if isinstance(each, BlockIndexer)))
    ours = forward_flops(spec, prefix, n_tokens, "closed-form", all_logits=True)
    assert real_flops(spec, prefix, n_tokens) == ours


# --- laws -----------------------------------------------------------------------------------------------------------


def same_forms(spec: ModelSpec) -> bool:
    """Whether a token of a prompt costs what a decoded one does."""
    return not any(
        each.expanded_parts or any(mixing.view.unit > 1 for mixing in each.mixing())
        for item in spec.inventory()
        for each in walk(item.component)
    )


def head_flops(spec: ModelSpec) -> int:
    return sum(
        closed_form.component_cost(item.component, spec, Workload(1)).flops_per_token
        for item in spec.inventory()
        if item.role == "head" and not item.mtp
    )


@settings(max_examples=100)
@given(specs(), st.integers(3, 5_000))
def test_one_token_more_costs_a_decoded_token(spec: ModelSpec, n_tokens: int) -> None:
    assume(same_forms(spec))
    one_more = forward_flops(spec, 0, n_tokens, "closed-form") - forward_flops(spec, 0, n_tokens - 1, "closed-form")
    assert one_more == profile(spec, Workload(n_tokens), "closed-form").flops_per_token - head_flops(spec)


@settings(max_examples=100)
@given(specs(), st.integers(2, 5_000), st.integers(2, 5_000))
def test_a_prompt_in_two_parts_adds_up(spec: ModelSpec, prefix: int, n_tokens: int) -> None:
    """But for the head, which runs once a part, and the expansion of the prefix's rows, which is done again."""
    whole = forward_flops(spec, 0, prefix + n_tokens, "closed-form")
    parts = forward_flops(spec, 0, prefix, "closed-form") + forward_flops(spec, prefix, n_tokens, "closed-form")
    expanded = sum(
        item.count * 2 * part.d_in * part.d_out * prefix
        for item in spec.inventory()
        for each in walk(item.component)
        for part in each.parts(spec.d_model)
        if isinstance(part, Linear) and part.name in each.expanded_parts and not item.mtp
    )
    assert parts - whole == head_flops(spec) + expanded


@settings(max_examples=50)
@given(specs(), st.integers(2, 2_000))
def test_training_is_three_forward_passes(spec: ModelSpec, n_tokens: int) -> None:
    found = profile(spec, Workload(n_tokens), "closed-form")
    assert found.training_forward_flops == found.prefill_flops + head_flops(spec) * (n_tokens - 1)
    assert found.training_flops == 3 * found.training_forward_flops
    assert found.training_backward_flops == 2 * found.training_forward_flops


def test_one_token_is_a_decoding_step() -> None:
    for name in ("deepseek-v3", "llama4-scout", "qwen3-0.6b"):
        found = llmarch.profile(name, context=9_000, prompt=1, prefix=8_999, engine="closed-form")
        assert found.prefill_flops == found.flops_per_token


# --- printed values, and the command line's answers -----------------------------------------------------------------


def test_a_chunk_behind_a_prefix() -> None:
    """2,048 tokens of Llama 3.1 8B behind 6,144, as other tools print them with the head at each token."""
    spec = llmarch.load("llama3.1-8b")
    assert forward_flops(spec, 6144, 2048, "measured", all_logits=True) == 38_436_199_202_816
    found = llmarch.profile(spec, prompt=2048, prefix=6144)
    assert found.prefill_flops == 38_436_199_202_816 - 2047 * 2 * 4096 * 128_256


def test_training_of_llama_2_7b() -> None:
    """Four sequences of 8,192 tokens: MaxText prints 1,299.00 TFLOPs for matrices and 211.11 for causal attention.

    The printed attention has S * S / 2 pairs; the exact causal sum has S / 2 more, the diagonal's other half.
    """
    spec = llmarch.load("llama3.1-8b")
    data = {"n_heads": 32, "n_kv_heads": 32, "head_dim": 128}
    seven = llmarch.changed(
        spec, {"vocab_size": 32_000, "ffn.d_ff": 11_008, **{f"attention.{k}": v for k, v in data.items()}}
    )
    n_tokens, n_sequences, matrices = 8_192, 4, 6_607_077_376  # all but the input embedding and the norms
    found = llmarch.profile(seven, context=n_tokens, engine="closed-form")
    pair = 3 * 32 * 4 * 4096  # FLOPs of a pair in both passes, in all layers
    attention = n_sequences * pair * n_tokens * n_tokens // 2
    assert f"{6 * matrices * n_tokens * n_sequences / 1e12:.2f}" == "1299.00"
    assert f"{attention / 1e12:.2f}" == "211.11"
    diagonal = n_sequences * pair * n_tokens // 2
    assert n_sequences * found.training_flops == 6 * matrices * n_tokens * n_sequences + attention + diagonal


def test_training_of_gpt_oss_120b_without_a_causal_mask() -> None:
    """torchtitan counts 34,534,221,696 FLOPs a token at 4,096: every token meets every other, or its whole window.

    Its other term is 6 FLOPs for each active value but the input table's. Ours counts the values in matrix products
    alone, and the pairs that the masks show.
    """
    n_tokens, pair = 4096, 4 * 64 * 64
    found = llmarch.profile("gpt-oss-120b", context=n_tokens, engine="closed-form")
    values = found.active_params_without_input_embedding
    assert 6 * values + 18 * 3 * pair * (n_tokens + 128) == 34_534_221_696
    shown = View(None).pairs(0, n_tokens) + View(128).pairs(0, n_tokens)
    layer = {"norms": 2 * 2880, "sinks": 64, "biases": 2 * 64 * 64 + 2 * 8 * 64 - 64 * 64 + 2880, "router": 128}
    experts = 4 * (2 * 2880 + 2880)  # biases of the four that a token uses
    unused = 2880 + 36 * (sum(layer.values()) + experts)
    assert found.training_flops == 6 * n_tokens * (values - unused) + 18 * 3 * pair * shown


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"prompt": 0}, "prompt must be a whole number from 1 to 1,099,511,627,776, not 0"),
        ({"prefix": -1}, "prefix must be a whole number from 0 to"),
        ({"prompt": MAX_CONTEXT, "prefix": 1}, "prefix must be a whole number from 0 to 0, not 1"),
        ({"prompt": 2.5}, "prompt must be a whole number"),
    ],
)
def test_an_impossible_prompt_is_an_error(asked: Data, words: str) -> None:
    with pytest.raises(InputError, match=words):
        llmarch.profile("gpt2", **asked)


def test_the_measured_engine_refuses_a_prompt_that_does_not_fit_in_memory() -> None:
    found = llmarch.profile("gpt2", prompt=2**24 + 1)
    with pytest.raises(InputError, match=r"prompts of at most 16,777,216 tokens .* use --engine closed-form"):
        _ = found.prefill_flops
    assert llmarch.profile("gpt2", prompt=2**40, engine="closed-form").prefill_flops > 0


def test_sweeps_and_budgets_know_prompts_and_training() -> None:
    keys = ["prefill_flops", "training_flops", "training_flops_per_token"]
    vary = {"d_model": [640, 1280], "attention.variants.local.window": [128, 512], "n_layers": [12, 24]}
    found = llmarch.sweep(
        "gemma3-1b", vary, columns=keys, where="training_flops_per_token > 1e9", context=3000, prompt=1000, prefix=24
    )
    assert len(found.rows) == 8
    for row in found.rows:
        spec = llmarch.changed(llmarch.load("gemma3-1b"), {path: row[path] for path in vary})
        one = profile(spec, Workload(3000, prompt=1000, prefix=24), "closed-form")
        assert (row["prefill_flops"], row["training_flops"]) == (one.prefill_flops, one.training_flops)
        assert row["training_flops_per_token"] == pytest.approx(float(one.training_flops_per_token))
    figures = Gauge("closed-form")
    for text in ("prefill_flops@8k", "training_flops_per_token@8k"):
        read = figures.read(llmarch.load("llama3.1-8b"), metric_at(text), Workload(1))
        expected = llmarch.profile("llama3.1-8b", context=8192, engine="closed-form")
        assert read == getattr(expected, text.partition("@")[0])


# --- seeded errors --------------------------------------------------------------------------------------------------


def _without_expansion(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(MultiHeadLatentAttention, "expanded_parts", frozenset())


def _absorbed(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(MultiHeadLatentAttention, "prompt_mixing", MultiHeadLatentAttention.mixing)


def _square(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(View, "pairs", lambda view, start, end: (end - start) * view.rows(end))


def _one_pair_less(patch: pytest.MonkeyPatch) -> None:
    true = View.pairs
    patch.setattr(View, "pairs", lambda view, start, end: true(view, start, end) - 1)


def _whole_units(patch: pytest.MonkeyPatch) -> None:
    true = View.pairs
    patch.setattr(View, "pairs", lambda view, start, end: true(View(view.span, view.stride), start, end))


def _rows_rounded_up(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(cache, "_sum_of_rows", lambda n, stride: sum(-(-token // stride) for token in range(1, n + 1)))


def _shared_rows_too_few(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(View, "reaching", lambda view, start, n_tokens: view.rows(start + n_tokens))


@pytest.mark.parametrize(
    ("seed", "model"),
    [
        (_without_expansion, "deepseek-v3"),
        (_absorbed, "deepseek-v3"),
        (_square, "llama3.1-8b"),
        (_one_pair_less, "llama3.1-8b"),
        (_one_pair_less, "qwen3-next-80b-a3b"),
        (_whole_units, "llama4-scout"),
        (_whole_units, "minimax-m3"),
        (_rows_rounded_up, "deepseek-v4-flash"),
        (_shared_rows_too_few, "gemma-3n-e4b"),
    ],
)
def test_a_seeded_error_is_found(seed: Callable[[pytest.MonkeyPatch], None], model: str) -> None:
    spec = llmarch.load(model)
    assert _prompts(spec).agrees
    with pytest.MonkeyPatch.context() as patch:
        seed(patch)
        assert _prompts(spec).agrees is False
