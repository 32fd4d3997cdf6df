"""A mixer behind a shared block: weights that are stored once, caches of each layer, and what does not fit."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from pydantic import ValidationError

import llmarch_cli as llmarch
from llmarch_cli.modules.builder import build
from llmarch_cli.specs.spec import ModelSpec

MAMBA: dict[str, Any] = {"kind": "mamba2", "n_heads": 2, "head_dim": 8, "d_state": 4}
BLOCK: dict[str, Any] = {
    "kind": "shared_block",
    "channels": 16,
    "n_heads": 2,
    "head_dim": 16,
    "d_ff": 24,
    "adapter_rank": 3,
    "mixer": MAMBA,
}
TINY: dict[str, Any] = {
    "name": "tiny",
    "d_model": 16,
    "n_layers": 6,
    "vocab_size": 50,
    "attention": {"repeat": ["mamba", "one", "two"], "variants": {"mamba": MAMBA, "one": BLOCK, "two": BLOCK}},
    "ffn": {"repeat": ["none"]},
}


def spec(**fields: Any) -> ModelSpec:
    return ModelSpec.model_validate({**TINY, **fields})


def test_the_layers_of_a_variant_have_one_block() -> None:
    """And adapters, projection and mixer of their own."""
    layers: Any = [layer.attention for layer in build(spec(), seed=0).layers]
    assert layers[1].gate_proj is layers[4].gate_proj
    assert layers[1].gate_proj is not layers[2].gate_proj
    for name in ("adapter_down", "block_proj", "mixer_norm", "mixer"):
        assert getattr(layers[1], name) is not getattr(layers[4], name)


def test_a_layer_more_costs_no_block_more() -> None:
    """Its FLOPs and its cache are those of every other layer."""
    few, many = (llmarch.profile(spec(n_layers=n), context=8) for n in (3, 6))
    shared = {item.label: cost.params for item, cost in few.rows if "shared weights" in item.label}
    (per_block,) = set(shared.values())
    assert [*shared] == ["attention: one, shared weights", "attention: two, shared weights"]
    assert per_block == 2 * 16 + 3 * 32 * 32 + 32 * 16 + 16 + 3 * 16 * 24  # norm, attention, norm, feed-forward
    embedding = 2 * 50 * 16 + 16
    layers = few.params - embedding - 2 * per_block
    assert many.params == embedding + 2 * per_block + 2 * layers
    assert sum(weight.numel() for weight in build(spec(), device="meta").parameters()) == many.params
    assert many.kv_cache_bytes == 2 * few.kv_cache_bytes
    head = 2 * 50 * 16
    assert many.flops_per_token - head == 2 * (few.flops_per_token - head)


@torch.no_grad()
def test_each_layer_has_its_own_cache() -> None:
    model, tokens = build(spec(), seed=0), torch.randint(50, (2, 7))
    cache = model.new_cache()
    steps = torch.cat([model(each, cache) for each in tokens.split(1, dim=1)], dim=1)
    torch.testing.assert_close(steps, model(tokens))


def test_embeddings_stay_in_memory_only_where_a_layer_reads_them() -> None:
    assert build(spec(), device="meta").new_cache().step.wanted == {"embeddings"}
    assert build(spec(attention=MAMBA), device="meta").new_cache().step.wanted == set()


def test_a_step_of_training_moves_a_shared_weight_once() -> None:
    model = build(spec(), seed=0)
    model(torch.randint(50, (2, 7))).square().sum().backward()
    gradients = {name: weight.grad for name, weight in model.named_parameters()}
    assert "layers.1.attention.gate_proj.weight" in gradients
    assert "layers.4.attention.gate_proj.weight" not in gradients
    assert all(gradient is not None and gradient.isfinite().all() for gradient in gradients.values())


@pytest.mark.parametrize(
    ("attention", "fields", "said"),
    [
        ({**BLOCK, "channels": 8}, {}, r"channels: must be d_model \(16\), not 8"),
        ({**BLOCK, "head_dim": 5, "rope_theta": 1e4}, {}, r"head_dim \(5\) must be even with rope_theta"),
        ({**BLOCK, "activation": "xielu"}, {}, "xielu has learned values"),
        (BLOCK, {"n_mtp_blocks": 1}, "n_mtp_blocks: must be 0 with a last layer that shares weights"),
        (BLOCK, {"norm_placement": "pre_shared", "parallel_sublayers": True}, "norm"),
    ],
)
def test_what_does_not_fit_is_refused(attention: dict[str, Any], fields: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        spec(attention=attention, **fields)
