"""Bytes of training: totals that papers state, real optimizers of torch, and laws of sharding."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import specs

import llmarch_cli as llmarch
from llmarch_cli.errors import InputError
from llmarch_cli.modules.builder import build
from llmarch_cli.profilers.lora import Lora
from llmarch_cli.profilers.training import (
    OPTIMIZERS,
    PRECISIONS,
    Training,
    require,
    stored,
    tensors,
    trained_params,
)
from llmarch_cli.profilers.training_cost import training_cost
from llmarch_cli.specs.spec import ModelSpec

LLAMA = "llama3.1-8b"
PARAMS = 8_030_261_248


def sizes(spec: ModelSpec, training: Training) -> list[int]:
    """Bytes on a device: of parameters, gradients and optimizer states."""
    return [each.per_device for each in stored(spec, training)]


def test_adam_in_mixed_precision_takes_16_bytes_a_parameter() -> None:
    # arXiv 1910.02054, section 3.1: 2 + 2 + 12
    assert sizes(llmarch.load(LLAMA), Training(8192)) == [2 * PARAMS, 2 * PARAMS, 12 * PARAMS]


@pytest.mark.parametrize(
    ("stage", "expected"),
    # arXiv 1910.02054, figure 1: 7.5 billion parameters on 64 devices take 120, 31.4, 16.6 and 1.9 GB
    [(0, 120.0), (1, 31.4), (2, 16.6), (3, 1.9)],
)
def test_the_stages_of_zero(stage: int, expected: float) -> None:
    kept = sum(sizes(llmarch.load(LLAMA), Training(8192, zero=stage, devices=64)))
    assert round(kept / PARAMS * 7.5, 1) == expected


def test_every_model_trains_its_parameters() -> None:
    for name in llmarch.names():
        assert trained_params(llmarch.load(name), None) == llmarch.profile(name, engine="closed-form").params


MIXTURE = {"kind": "moe", "n_experts": 4, "top_k": 2, "d_ff": 96}


def tiny(ffn: Any = MIXTURE) -> ModelSpec:
    """A small model whose head is tied."""
    attention = {"kind": "gqa", "n_heads": 4, "n_kv_heads": 2, "head_dim": 16, "qkv_bias": True, "rope_theta": 1e4}
    shape = {"d_model": 64, "n_layers": 3, "vocab_size": 500, "tie_embeddings": True}
    return ModelSpec.model_validate(
        {"name": "Tiny", "attention": attention, "ffn": ffn, **shape, "norm": {"kind": "layer", "bias": True}}
    )


def moments_of(optimizer: torch.optim.Optimizer) -> int:
    """Bytes of what an optimizer keeps of every value."""
    kept = (value for state in optimizer.state.values() for value in state.values())
    return sum(tensor.numel() * tensor.element_size() for tensor in kept if tensor.dim())


@pytest.mark.parametrize("precision", ["bf16", "fp32"])
def test_the_moments_are_those_of_real_optimizers(precision: str) -> None:
    spec = tiny()
    model = build(spec, dtype=torch.bfloat16 if precision == "bf16" else torch.float32)
    real = {
        "adamw": torch.optim.AdamW(model.parameters()),
        "sgd": torch.optim.SGD(model.parameters()),
        "sgd-momentum": torch.optim.SGD(model.parameters(), momentum=0.9),
    }
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    for name, optimizer in real.items():
        optimizer.step()
        assert sizes(spec, Training(64, optimizer=name, precision=precision))[2] == moments_of(optimizer), name


def test_muon_keeps_one_moment_of_what_it_updates() -> None:
    spec = tiny({"kind": "dense", "d_ff": 96})
    model = build(spec)
    matrices = [each for each in model.layers.parameters() if each.dim() == 2]
    rest = [each for each in model.parameters() if not any(each is matrix for matrix in matrices)]
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    muon, adam = torch.optim.Muon(matrices), torch.optim.AdamW(rest)
    muon.step()
    adam.step()
    told = sizes(spec, Training(64, optimizer="muon", precision="fp32"))[2]
    assert told == moments_of(muon) + moments_of(adam)


def test_moments_of_8_bits_have_a_scale_for_256_values() -> None:
    spec = tiny()
    expected = 0
    for parameter in build(spec, "meta").parameters():
        values = parameter.numel()
        expected += 2 * (4 * values if values < 4096 else values + 4 * -(-values // 256))
    assert sizes(spec, Training(64, optimizer="adamw-8bit"))[2] - 4 * trained_params(spec, None) == expected


def test_adapters_leave_the_model_without_gradients_and_moments() -> None:
    adapters = Lora(16, ("q_proj",))
    added = 32 * 16 * (4096 + 4096)
    assert sizes(llmarch.load(LLAMA), Training(8192, lora=adapters)) == [
        2 * (PARAMS + added),
        2 * added,
        12 * added,
    ]
    cost = training_cost(llmarch.load(LLAMA), Training(8192, lora=adapters), "closed-form")
    assert (cost.trained_params, cost.all_params, cost.activations) == (added, PARAMS + added, None)


trainings = st.builds(
    Training,
    n_tokens=st.just(8),
    optimizer=st.sampled_from(sorted(OPTIMIZERS)),
    precision=st.sampled_from(sorted(PRECISIONS)),
    devices=st.integers(1, 100),
    lora=st.none() | st.builds(Lora, st.integers(1, 9)),
)


@given(specs(), trainings)
def test_sharding_divides_and_never_adds(spec: ModelSpec, training: Training) -> None:
    if training.lora is not None and not any(layer.ffn != "none" for layer in spec.layers):
        training = replace(training, lora=None)
    stages = [stored(spec, replace(training, zero=stage)) for stage in range(4)]
    for before, after in pairwise(stages):
        assert [each.whole for each in before] == [each.whole for each in after]
        assert all(more.per_device >= less.per_device for more, less in zip(before, after, strict=True))
    for whole, divided in zip(stages[0], stages[3], strict=True):
        assert whole.per_device == whole.whole
        assert 0 <= divided.per_device * training.devices - whole.whole < training.devices


@given(specs())
@settings(max_examples=5)
def test_tensors_are_those_of_the_built_model(spec: ModelSpec) -> None:
    model = build(spec, "meta")
    apart = set(model.mtp.parameters())
    told = Counter[int]()
    for tensor in tensors(spec):
        told[tensor.values] += tensor.count
    assert told == Counter(each.numel() for each in model.parameters() if each not in apart)


@pytest.mark.parametrize(
    ("training", "message"),
    [
        (Training(0), "the sequence length must be a whole number from 1 .*, not 0"),
        (Training(8, micro_batch=0), "the micro-batch"),
        (Training(8, devices=0), "the number of devices"),
        (Training(8, run_tokens=0), "the number of tokens"),
        (Training(8, optimizer="adam"), "unknown optimizer 'adam'; known: adamw, .*; did you mean adamw"),
        (Training(8, precision="fp8"), "unknown precision 'fp8'"),
        (Training(8, zero=4), "must be 0, 1, 2 or 3, not 4"),
        (Training(8, zero=-1), "not -1"),
        (Training(8, lora=Lora(0)), "the rank of adapters"),
    ],
)
def test_an_impossible_training_is_an_error(training: Training, message: str) -> None:
    with pytest.raises(InputError, match=message):
        require(training)
