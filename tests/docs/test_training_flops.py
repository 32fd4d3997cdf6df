"""The conventions of training FLOPs in `docs/training.md`: known numbers of their projects, and what they differ by."""

from __future__ import annotations

from fractions import Fraction

import pytest
import training_flops
from training_flops import LENGTHS, MODELS, attentions, latent_norms, matrices, ours, table

import llmarch_cli as llmarch
from llmarch_cli.profilers.training import Training
from llmarch_cli.profilers.training_cost import training_cost

LLAMA_2_7B = {
    "d_model": 4096,
    "n_layers": 32,
    "vocab_size": 32_000,
    "attention.n_heads": 32,
    "attention.n_kv_heads": 32,
    "attention.head_dim": 128,
    "ffn.d_ff": 11_008,
}

SHORT, LONG = (512, 1024, 2048), (4096, 4096, 4096)

pairs = pytest.mark.parametrize(("name", "n"), [(name, n) for name in MODELS for n in LENGTHS])


@pytest.mark.parametrize(
    ("name", "short", "long"),
    [  # verl's own tests, tests/utils/test_flops_counter.py
        ("qwen3-8b", 180_997_438_046_208, 648_394_032_807_936),
        ("qwen3-30b-a3b", 78_593_069_678_592, 306_570_470_621_184),
        ("gemma3-12b", 279_084_659_638_272, 963_929_979_224_064),
        ("gpt-oss-20b", 91_780_464_771_072, 323_953_008_574_464),
        ("deepseek-v3", 848_766_538_088_448, 3_145_850_406_567_936),
    ],
)
def test_verl_says_so_in_its_tests(name: str, short: int, long: int) -> None:
    spec = llmarch.load(name)
    for lengths, expected in ((SHORT, short), (LONG, long)):
        assert training_flops.verl(spec, *lengths) * sum(lengths) == expected


def test_verl_says_so_of_llama_2_7b() -> None:
    spec = llmarch.changed(llmarch.load("llama3-8b"), LLAMA_2_7B)
    assert training_flops.verl(spec, *SHORT) * sum(SHORT) == 149_226_491_215_872
    assert training_flops.verl(spec, *LONG) * sum(LONG) == 536_372_695_793_664


def test_torchtitan_says_so_of_gpt_oss() -> None:
    spec = llmarch.load("gpt-oss-120b")
    attention = 12 * 18 * 64 * 64 * (4096 + 128)
    assert training_flops.torchtitan(spec, 4096) == 6 * 5_132_849_472 + attention == 34_534_221_696


@pairs
def test_verl_adds_the_lookup_and_halves_windows(name: str, n: int) -> None:
    spec = llmarch.load(name)
    unseen = sum((each.width * (each.mean(n) - Fraction(each.widest(n), 2)) for each in attentions(spec)), Fraction())
    assert training_flops.verl(spec, n) - ours(spec, n) == 6 * (table(spec) - unseen)


@pairs
def test_megatron_bridge_leaves_routers_out(name: str, n: int) -> None:
    spec = llmarch.load(name)
    routers = matrices(spec) - matrices(spec, without="router")
    padding = -spec.vocab_size % training_flops.PADDED_TO * spec.d_model
    diagonal = sum(Fraction(each.width, 2) for each in attentions(spec) if each.widest(n) == n)
    assert training_flops.megatron_bridge(spec, n) - ours(spec, n) == 6 * (
        latent_norms(spec) + padding - routers - diagonal
    )
    found = llmarch.profile(spec, engine="closed-form")
    assert (routers > 0) == (found.active_params < found.params)


@pairs
def test_torchtitan_adds_other_parameters_and_pairs_that_are_not_visible(name: str, n: int) -> None:
    spec = llmarch.load(name)
    active = llmarch.profile(spec, engine="closed-form").active_params_without_input_embedding
    hidden = sum((each.width * (each.widest(n) - each.mean(n)) for each in attentions(spec)), Fraction())
    others = active - matrices(spec) - table(spec)
    assert training_flops.torchtitan(spec, n) - ours(spec, n) == 6 * (others + hidden)
    assert others > 0


def test_nanochat_is_as_torchtitan_for_what_it_has() -> None:
    for name in MODELS:
        spec = llmarch.load(name)
        found = training_flops.nanochat(spec, 4096)
        assert found == (training_flops.torchtitan(spec, 4096) if name == "llama3.1-8b" else None)


@pairs
def test_ours_is_what_the_command_says(name: str, n: int) -> None:
    flops = training_cost(llmarch.load(name), Training(n), "closed-form").flops
    assert flops is not None
    assert Fraction(flops.total, n) == ours(llmarch.load(name), n)
