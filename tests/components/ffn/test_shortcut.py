"""Feed-forward layers with a shortcut: what is left and added, and what does not fit."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from pydantic import ValidationError

import llmarch_cli as llmarch
from llmarch_cli.modules.builder import build
from llmarch_cli.specs.spec import ModelSpec

DENSE: dict[str, Any] = {"kind": "dense", "d_ff": 24}
LOWER: dict[str, Any] = {"kind": "shortcut", "channels": 16, "own": DENSE, "deferred": {**DENSE, "d_ff": 8}}
UPPER: dict[str, Any] = {"kind": "shortcut", "channels": 16, "own": DENSE, "adds_from": "lower"}
TINY: dict[str, Any] = {
    "name": "tiny",
    "d_model": 16,
    "n_layers": 4,
    "vocab_size": 50,
    "attention": {"kind": "gqa", "n_heads": 2, "n_kv_heads": 1, "head_dim": 8, "rope_theta": 10_000},
    "ffn": {"repeat": ["lower", "upper"], "variants": {"lower": LOWER, "upper": UPPER}},
}


def spec(lower: dict[str, Any] = LOWER, upper: dict[str, Any] = UPPER, **fields: Any) -> ModelSpec:
    layout = {**TINY["ffn"], "variants": {"lower": lower, "upper": upper}}
    return ModelSpec.model_validate({**TINY, "ffn": layout, **fields})


@torch.no_grad()
def test_what_a_layer_defers_is_added_by_the_nearest_one_above() -> None:
    """Token by token as in a prompt; without it, the logits are others."""
    model, tokens = build(spec(), seed=0), torch.randint(50, (2, 5))
    logits, cache = model(tokens), model.new_cache()
    torch.testing.assert_close(torch.cat([model(each, cache) for each in tokens.split(1, dim=1)], dim=1), logits)
    ffn: Any = model.layers[0].ffn
    ffn.deferred.down_proj.weight.zero_()
    assert (model(tokens) - logits).abs().max() > 1e-4


def test_a_deferred_layer_costs_what_it_would_cost_in_its_place() -> None:
    """Weights and FLOPs of both, in one component."""
    beside = {"kind": "parallel", "branches": {"own": DENSE, "deferred": LOWER["deferred"]}}
    shortcut, parallel = (llmarch.profile(spec(*both), context=8) for both in ((LOWER, UPPER), (beside, DENSE)))
    assert (shortcut.params, shortcut.flops_per_token) == (parallel.params, parallel.flops_per_token)


@pytest.mark.parametrize(
    ("lower", "upper", "said"),
    [
        ({**LOWER, "deferred": None}, UPPER, "a shortcut needs deferred, adds_from or both"),
        (LOWER, {**UPPER, "adds_from": "nobody"}, "reads shortcut of the variant 'nobody', which is no other variant"),
        (DENSE, UPPER, "reads shortcut of the variant 'lower', which has none"),
        ({**LOWER, "channels": 8}, UPPER, r"channels: must be d_model \(16\), not 8"),
        ({**LOWER, "adds_from": "upper"}, {**UPPER, "deferred": DENSE}, "no layer below the first one"),
    ],
)
def test_what_does_not_fit_is_refused(lower: dict[str, Any], upper: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        spec(lower, upper)


def test_a_prediction_block_has_no_layer_below() -> None:
    with pytest.raises(ValidationError, match="n_mtp_blocks: must be 0 with a last layer that reads another one"):
        spec(n_mtp_blocks=1)


@pytest.mark.parametrize(
    "more", [{"n_groups": 2, "top_k_groups": 1}, {"scoring": "sparsemixer", "router_jitter": 0.1}], ids=str
)
def test_zero_experts_have_no_groups(more: dict[str, Any]) -> None:
    moe = {"kind": "moe", "n_experts": 4, "n_zero_experts": 2, "top_k": 2, "d_ff": 8, **more}
    with pytest.raises(ValidationError, match="n_zero_experts excludes n_groups and scoring sparsemixer"):
        ModelSpec.model_validate({**TINY, "ffn": moe})


@torch.no_grad()
def test_zero_experts_alone_return_what_they_read() -> None:
    moe = {"kind": "moe", "n_experts": 4, "n_zero_experts": 4, "top_k": 2, "d_ff": 8, "selection_bias": True}
    layer: Any = build(ModelSpec.model_validate({**TINY, "n_layers": 1, "ffn": moe}), seed=0).layers[0].ffn
    layer.selection_bias[4:] = 9.0
    x = torch.randn(2, 5, 16)
    torch.testing.assert_close(layer(x, None), x)
