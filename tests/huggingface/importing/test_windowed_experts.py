"""Families whose configs say a thing twice, or leave it to their class: read as transformers does, or refused."""

from __future__ import annotations

from typing import Any

import pytest

import llmarch_cli as llmarch
from llmarch_cli.errors import InputError

Settings = dict[str, Any]

FULL, SLIDING = "full_attention", "sliding_attention"

# MiMo-V2-Flash as its authors publish it, in the words of their code.
MIMO: Settings = {
    "model_type": "mimo_v2_flash",
    "max_position_embeddings": 262_144,
    "rope_theta": 5_000_000,
    "swa_rope_theta": 10_000,
    "partial_rotary_factor": 0.334,
    "sliding_window": 128,
    "sliding_window_size": 128,
    "attention_chunk_size": 128,
    "swa_num_attention_heads": 64,
    "swa_num_key_value_heads": 8,
    "swa_head_dim": 192,
    "swa_v_head_dim": 128,
    "hybrid_layer_pattern": [0, 1, 1, 1, 1, *[0, 1, 1, 1, 1, 1] * 7, 0],
    "moe_layer_freq": [0, *[1] * 47],
    "n_shared_experts": None,
    "scoring_func": "sigmoid",
    "topk_method": "noaux_tc",
    "routed_scaling_factor": None,
    "layernorm_epsilon": 1e-5,
    "add_swa_attention_sink_bias": True,
    "add_full_attention_sink_bias": False,
}

# Step 3.5 Flash, with three multi-token-prediction blocks at the end of each list.
TYPES = [*[FULL, SLIDING, SLIDING, SLIDING] * 11, FULL, *[SLIDING] * 3]
STEP: Settings = {
    "model_type": "step3p5",
    "vocab_size": 128_896,
    "layer_types": TYPES,
    "sliding_window": 512,
    "num_nextn_predict_layers": 3,
    "attention_other_setting": {
        "attention_type": SLIDING,
        "num_attention_heads": 96,
        "num_attention_groups": 8,
        "head_dim": 128,
        "true_head_dim": 128,
    },
    "moe_layers_enum": ",".join(map(str, range(3, 45))),
    "rope_theta": [{FULL: 5_000_000.0, SLIDING: 10_000.0}[kind] for kind in TYPES],
    "partial_rotary_factors": [{FULL: 0.5, SLIDING: 1.0}[kind] for kind in TYPES],
    "swiglu_limits": [*[0.0] * 43, 7, 7, *[0.0] * 3],
    "swiglu_limits_shared": [*[0.0] * 44, 16, *[0.0] * 3],
}


@pytest.mark.parametrize(
    ("config", "figures"),
    [
        (MIMO, (308_778_768_832, 15_445_924_288, 12_032, 3_045_657_600)),
        (STEP, (196_956_118_272, 11_987_311_872, 12_096, 6_511_656_960)),
    ],
    ids=["MiMo-V2-Flash", "Step-3.5-Flash"],
)
def test_published_models(config: Settings, figures: tuple[int, ...]) -> None:
    """Parameters, those active, router biases, and bytes of the cache at 131,072 tokens."""
    for engine in ("closed-form", "measured"):
        found = llmarch.profile(llmarch.import_config(config), context=131_072, engine=engine)
        assert (found.params, found.active_params, found.total.buffers, found.kv_cache_bytes) == figures


def test_heads_of_layers_with_a_window_are_not_guessed() -> None:
    config = {name: value for name, value in STEP.items() if name not in ("model_type", "attention_other_setting")}
    with pytest.raises(InputError, match=r"lacks .*\bnum_sliding_attention_heads\b"):
        llmarch.import_config({"model_type": "mine", **config}, as_="step3p5")


SETTINGS: Settings = {"rope_type": "default", "rope_theta": 10_000.0}


@pytest.mark.parametrize(
    ("config", "change", "message"),
    [
        (MIMO, {"rope_theta": 10_000}, "rope_theta: 10000 is not supported: must be 5000000.0"),
        (MIMO, {"swa_rope_theta": 5}, "swa_rope_theta: 5 is not supported: must be 10000.0"),
        (MIMO, {"partial_rotary_factor": 0.5}, "partial_rotary_factor: 0.5 is not supported"),
        (MIMO, {"rope_scaling": {"type": "linear", "factor": 2}}, "rope_scaling: .* is not supported"),
        (MIMO, {"sliding_window": 127}, "sliding_window: 127 is not supported: must be 128 or 129"),
        (MIMO, {"attention_chunk_size": 64}, "attention_chunk_size: 64 is not supported"),
        (MIMO, {"swa_num_key_value_heads": 4}, "swa_num_key_value_heads: 4 is not supported: must be 8"),
        (MIMO, {"swa_head_dim": 128}, "swa_head_dim: 128 is not supported: must be 192"),
        (MIMO, {"hybrid_layer_pattern": [0] * 48}, "hybrid_layer_pattern: .* is not supported"),
        (MIMO, {"moe_layer_freq": [1] * 48}, "moe_layer_freq: .* is not supported"),
        (MIMO, {"n_shared_experts": 1}, "n_shared_experts: 1 is not supported: must be 0"),
        (MIMO, {"layernorm_epsilon": 1e-6}, "layernorm_epsilon: 1e-06 is not supported: must be 1e-05"),
        (MIMO, {"add_full_attention_sink_bias": True}, "add_full_attention_sink_bias: true is not supported"),
        (MIMO, {"rope_parameters": {FULL: SETTINGS}}, "rope_parameters.sliding_attention: required, but missing"),
        (
            MIMO,
            {"rope_parameters": {FULL: SETTINGS | {"rope_type": "linear", "factor": 2}, SLIDING: SETTINGS}},
            "full_attention.partial_rotary_factor: required, but missing",
        ),
        ({"model_type": "laguna"}, {"gating": False}, "gating: false is not supported"),
        ({"model_type": "laguna"}, {"rope_theta": 10_000.0}, "rope_theta: 10000.0 is not supported"),
        (STEP, {"num_local_experts": 128}, "num_local_experts: 128 is not supported: must be 288"),
        (STEP, {"num_sliding_attention_heads": 64}, "num_sliding_attention_heads: 64, but it is 96 inside"),
        (STEP, {"per_layer_config": {}}, r"per_layer_config.1.num_attention_heads: must be 96 by other keys"),
        (STEP, {"mlp_layer_types": ["sparse"] * 45}, "moe_layers_enum: differs from mlp_layer_types"),
        (STEP, {"moe_layers_enum": "3-44"}, "moe_layers_enum: must be numbers of layers with commas between"),
        (STEP, {"rope_theta": [1e4, *[1e6] * 47]}, "rope_theta: layer 4 differs"),
        (STEP, {"rope_parameters": {FULL: SETTINGS, SLIDING: SETTINGS}}, "rope_theta: given together with"),
        (STEP, {"rope_scaling": {"type": "yarn", "factor": 2}}, "rope_scaling.type: 'yarn' is not supported"),
        (STEP, {"hidden_act": "gelu"}, "hidden_act: 'gelu' is not supported: must be 'silu'"),
        (STEP, {"swiglu_limits": [-1.0] * 45}, "swiglu_limits: must not have numbers below 0"),
        ({"model_type": "bitnet"}, {"num_attention_heads": 15}, "hidden_size: must be a multiple of"),
    ],
)
def test_keys_that_contradict_others_are_refused(config: Settings, change: Settings, message: str) -> None:
    llmarch.import_config(config)
    with pytest.raises(InputError, match=message):
        llmarch.import_config(config | change)
