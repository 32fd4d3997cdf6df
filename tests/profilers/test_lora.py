"""Adapters: known totals, names of matrices, and the parameters of real adapters in built models."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from strategies import specs

import llmarch_cli as llmarch
from llmarch_cli.errors import InputError
from llmarch_cli.modules.builder import build
from llmarch_cli.profilers.activations import freeze
from llmarch_cli.profilers.lora import ALL_LINEAR, ROUTER, Lora, adapted, targets
from llmarch_cli.specs.spec import ModelSpec

TINY_LLAMA = {
    "d_model": 2048,
    "n_layers": 22,
    "vocab_size": 32_000,
    "attention.n_heads": 32,
    "attention.n_kv_heads": 4,
    "attention.head_dim": 64,
    "ffn.d_ff": 5632,
}

MATRICES = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


def trained(spec: ModelSpec, rank: int, *names: str) -> int:
    """The values of adapters for these targets, or for all linear ones."""
    return sum(target.trained(rank) for target in adapted(spec, Lora(rank, names or (ALL_LINEAR,))))


@pytest.mark.parametrize("names", [(), MATRICES, ("attention", "ffn"), ("attention", *MATRICES[4:])])
def test_the_seven_matrices_of_a_llama_of_1b(names: tuple[str, ...]) -> None:
    spec = llmarch.changed(llmarch.load("llama3.1-8b"), TINY_LLAMA)
    assert trained(spec, 64, *names) == 50_462_720  # as peft 0.21 says of it


def test_a_target_is_a_name_a_longer_name_or_a_part_of_the_model() -> None:
    spec = llmarch.load("deepseek-v3")
    per_rank = {
        "kv_b_proj": 61 * (512 + 128 * 256),
        "shared_expert.up_proj": 58 * (7168 + 2048),
        "dense.up_proj": 3 * (7168 + 18_432),
        "moe.shared_expert.up_proj": 58 * (7168 + 2048),
        "moe.up_proj": 58 * 257 * (7168 + 2048),
        "up_proj": 58 * 257 * (7168 + 2048) + 3 * (7168 + 18_432),
        "router": 58 * (7168 + 256),
        "lm_head": 7168 + 129_280,
        "embedding": 7168 + 129_280,
    }
    for name, values in per_rank.items():
        assert trained(spec, 3, name) == 3 * values, name
    assert trained(spec, 1, "ffn", "attention") == trained(spec, 1)
    assert trained(spec, 1, "ffn", "router") == trained(spec, 1, "ffn") + per_rank["router"]


def test_gates_of_attention_and_of_feed_forward_layers_can_be_told_apart() -> None:
    spec = llmarch.load("qwen3-next-80b-a3b")
    both = trained(spec, 1, "gate_proj")
    assert both == trained(spec, 1, "attention.gate_proj") + trained(spec, 1, "ffn.gate_proj")


@pytest.mark.parametrize(
    ("lora", "message"),
    [
        (Lora(0), "from 1 to 65,536, not 0"),
        (Lora(65_537), "not 65537"),
        (Lora(8, ()), "no target"),
        (Lora(8, ("q_prj",)), "unknown target 'q_prj'; known: tokens, q_proj, .*all-linear; did you mean q_proj"),
        (Lora(8, ("q_proj", "moe.q_proj")), "unknown target 'moe.q_proj'"),
        (Lora(8, ("",)), "unknown target ''"),
    ],
)
def test_what_cannot_be_adapted(lora: Lora, message: str) -> None:
    with pytest.raises(InputError, match=message):
        adapted(llmarch.load("llama3.1-8b"), lora)


@given(specs())
@settings(max_examples=8)
def test_adapters_of_built_models_have_as_many_values(spec: ModelSpec) -> None:
    every = tuple(dict.fromkeys(target.name for target in targets(spec)))
    for lora in (Lora(3), Lora(2, every)):
        model = build(spec, "meta")
        freeze(model, lora)
        seen = sum(each.numel() for each in model.parameters() if each.requires_grad)
        assert seen == sum(target.trained(lora.rank) for target in adapted(spec, lora))


def test_routers_embeddings_and_heads_are_adapted_only_by_name() -> None:
    for name in llmarch.names():
        default: list[Any] = [target for target in targets(llmarch.load(name)) if target.by_default]
        assert {target.path[0] for target in default} <= {"attention", "ffn"}
        assert ROUTER not in {target.path[-1] for target in default}
