"""Activations on the meta device are those of real runs on the CPU, and those of published formulas, to the byte."""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import replace
from itertools import pairwise

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from pairs import CASES, Case
from strategies import specs
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

import llmarch_cli as llmarch
from llmarch_cli.components.recomputation import selective_recomputation
from llmarch_cli.errors import CheckError, InputError
from llmarch_cli.modules.builder import Model, build
from llmarch_cli.profilers import activations as measuring
from llmarch_cli.profilers.activations import activations, freeze
from llmarch_cli.profilers.lora import Lora, targets
from llmarch_cli.profilers.training import TrainedTensor, Training
from llmarch_cli.specs.spec import ModelSpec

BATCH, N_TOKENS = 2, 26
TINY = Training(N_TOKENS, BATCH, precision="bf16")

# One of each sort of layer.
FAMILIES = (
    "gpt2 llama gemma2 gemma3n_text gpt_oss mixtral deepseek_v32 deepseek_v4 minimax_m3_vl_text longcat_flash"
    " qwen3_next kimi_linear nemotron_h jamba recurrent_gemma rwkv lfm2 zamba2 falcon_h1"
).split()
ONE_OF_EACH = [next(case for case in CASES if case.family == family) for family in FAMILIES]


class Saved:
    """A tensor that autograd keeps."""

    def __init__(self, tensor: Tensor) -> None:
        self.tensor = tensor


def kept_on_the_cpu(model: Model, selective: bool) -> int:
    """The bytes that autograd keeps of a real run: of each storage once, without parameters and masks."""
    saved = weakref.WeakSet[Saved]()

    def keep(tensor: Tensor) -> Saved:
        found = Saved(tensor)
        saved.add(found)
        return found

    tokens = torch.randint(0, model.spec.vocab_size, (BATCH, N_TOKENS))
    with (
        sdpa_kernel(SDPBackend.MATH),
        selective_recomputation() if selective else nullcontext(),
        torch.autograd.graph.saved_tensors_hooks(keep, lambda found: found.tensor),
    ):
        loss = F.cross_entropy(model(tokens).float().flatten(0, 1), tokens.flatten())
    own = {each.data_ptr() for each in (*model.parameters(), *model.buffers())}
    sizes = {
        storage.data_ptr(): storage.nbytes()
        for storage in (each.tensor.untyped_storage() for each in saved if each.tensor.dtype != torch.bool)
    }
    assert loss.grad_fn is not None  # it keeps the graph alive until here
    return sum(size for address, size in sizes.items() if address not in own)


@pytest.mark.filterwarnings("ignore")  # of transformers, about its own configs
@pytest.mark.parametrize("case", ONE_OF_EACH, ids=str)
def test_they_are_those_of_a_real_run(case: Case) -> None:
    spec = case.spec()
    told = activations(spec, TINY)
    model = build(spec, dtype=torch.bfloat16, seed=0)
    assert [kept_on_the_cpu(model, selective) for selective in (False, True)] == [told.all_kept, told.selective]


@pytest.mark.parametrize("precision", ["bf16", "fp32"])
@pytest.mark.parametrize("targets", [("all-linear",), ("o_proj",), ("gate_proj", "tokens", "lm_head")])
@pytest.mark.parametrize("name", ["llama-0", "qwen3_moe-3", "deepseek_v32-0", "recurrent_gemma-0", "zamba2-0"])
def test_so_they_are_with_adapters(name: str, targets: tuple[str, ...], precision: str) -> None:
    spec = next(case for case in CASES if str(case) == name).spec()
    lora = Lora(3, targets)
    told = activations(spec, replace(TINY, precision=precision, lora=lora))
    model = build(spec, dtype=torch.float32 if precision == "fp32" else torch.bfloat16, seed=0)
    freeze(model, lora)
    assert [kept_on_the_cpu(model, selective) for selective in (False, True)] == [told.all_kept, told.selective]


def gpt(n_layers: int) -> ModelSpec:
    """GPT-2 with other depths: the layer that arXiv 2205.05198 counts, without dropout."""
    return llmarch.changed(llmarch.load("gpt2"), {"n_layers": n_layers})


@pytest.mark.parametrize(("n_tokens", "batch"), [(256, 1), (512, 3)])
def test_a_layer_of_gpt_is_that_of_the_published_formula_but_for_dtypes_and_dropout(n_tokens: int, batch: int) -> None:
    d_model, n_heads, read = 768, 12, batch * n_tokens
    (layer,) = activations(gpt(2), Training(n_tokens, batch)).layers
    published = read * d_model * 34  # arXiv 2205.05198, section 4.1: without the scores of attention
    dropout = read * d_model * 2  # masks behind attention and feed-forward layer
    norms = read * d_model * 4  # both read float32, not 16 bits
    statistics = read * 16 + 16 * d_model  # mean and deviation of both norms; their weights and biases in float32
    assert layer.selective == 2 * (published - dropout + norms + statistics)
    # Scores: there 5 bytes, of softmax, dropout and its mask; here those of softmax, in float32.
    scores = batch * n_heads * n_tokens**2
    copies = read * d_model * 6  # queries, keys and values in float32 instead of 16 bits
    assert layer.all_kept == layer.selective + 2 * (4 * scores + copies)
    assert layer.inputs == 2 * (read * d_model * 2)


def test_what_stands_outside_of_layers_is_the_logits_most_of_all() -> None:
    kept = activations(gpt(1), Training(512, 2))
    tokens, logits = 8 * 1024, 4 * 1024 * 50_257
    final_norm = 1024 * 768 * (4 + 2) + 1024 * 8 + 2 * 4 * 768
    position_rows = 8 * 512
    scalar = 4  # the number of tokens that the loss is divided by
    assert kept.outside == tokens + logits + final_norm + position_rows + scalar


def test_full_recomputation_keeps_what_layers_read_and_one_layer_at_a_time() -> None:
    spec = llmarch.load("gemma3-1b")
    kept = activations(spec, Training(1024))
    read = spec.n_layers * 1024 * spec.d_model * 2
    assert sum(layer.inputs for layer in kept.layers) == read
    assert kept.largest == max(layer.selective // layer.count for layer in kept.layers)
    assert kept.full == kept.outside + read + kept.largest


def test_they_grow_with_the_batch_and_with_the_square_of_the_tokens() -> None:
    def kept(n_tokens: int, batch: int) -> int:
        return activations(gpt(1), Training(n_tokens, batch)).all_kept

    assert kept(64, 3) - kept(64, 2) == kept(64, 2) - kept(64, 1)
    steps = [after - before for before, after in pairwise(kept(n, 1) for n in (64, 128, 192, 256, 320))]
    (growth,) = {after - before for before, after in pairwise(steps)}
    assert growth == 2 * 12 * 4 * 64**2  # of the scores


small = specs().filter(lambda spec: spec.n_layers < 8)


@given(small, st.integers(2, 70), st.none() | st.builds(Lora, st.integers(1, 5)), st.sampled_from(("bf16", "fp32")))
@settings(max_examples=6)
def test_every_model_can_be_counted_and_grows_by_as_much_for_each_sequence(
    spec: ModelSpec, n_tokens: int, lora: Lora | None, precision: str
) -> None:
    n_tokens = min(n_tokens, spec.learned_positions or n_tokens)
    if lora is not None and not any(target.by_default for target in targets(spec)):
        lora = None
    # Not from one sequence on: without a batch, fewer heads must be copied to stand side by side.
    counts = [activations(spec, Training(n_tokens, batch, precision=precision, lora=lora)) for batch in (2, 3, 4)]
    for way in ("all_kept", "selective", "full"):
        two, three, four = (getattr(count, way) for count in counts)
        assert four - three == three - two > 0


@pytest.mark.parametrize("family", ["deepseek_v3", "gemma3n_text", "minimax", "qwen3_next"])
def test_layers_that_are_alike_need_not_run(family: str, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = next(case for case in CASES if case.family == family).spec()
    for lora in (None, Lora(4)):
        training = Training(64, lora=lora)
        told = activations(spec, training)
        with monkeypatch.context() as patch:
            patch.setattr(measuring, "_alike", lambda _: {})
            assert activations(spec, training) == told


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("family", ["gpt_oss", "deepseek_v4", "kimi_linear", "recurrent_gemma", "rwkv"])
def test_selective_recomputation_changes_no_gradient(family: str) -> None:
    model = build(next(case for case in CASES if case.family == family).spec(), seed=0)
    tokens = torch.randint(0, model.spec.vocab_size, (BATCH, N_TOKENS), generator=torch.Generator().manual_seed(1))
    gradients = []
    for around in (nullcontext(), selective_recomputation()):
        model.zero_grad()
        with around:
            loss = F.cross_entropy(model(tokens).flatten(0, 1), tokens.flatten())
        loss.backward()
        gradients.append({name: each.grad for name, each in model.named_parameters()})
    torch.testing.assert_close(*gradients)


def test_a_wrong_closed_form_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(spec: ModelSpec, lora: Lora | None) -> Iterator[TrainedTensor]:
        yield TrainedTensor(spec.d_model, 1, is_layer_matrix=False)

    monkeypatch.setattr(measuring, "trained_tensors", wrong)
    with pytest.raises(CheckError, match=r"disagree on what is trained: measured 196 .* closed form 1 of 768"):
        activations(llmarch.load("gpt2"), Training(8))


def test_more_tokens_than_learned_positions_are_an_error() -> None:
    with pytest.raises(InputError, match="learned positions for 1024 tokens, not for 2000"):
        activations(llmarch.load("gpt2"), Training(2000))
