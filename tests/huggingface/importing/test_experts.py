"""Keys of mixtures and of latent attention that are refused by name, and published configs by their totals."""

from __future__ import annotations

from typing import Any

import pytest

import llmarch_cli as llmarch
from llmarch_cli.errors import InputError
from llmarch_cli.huggingface.importing import import_config, imported
from llmarch_cli.huggingface.importing.check import count

FACTORS = {"short_factor": [1.0] * 64, "long_factor": [2.0] * 64}
LONG = {"rope_type": "longrope", **FACTORS, "short_mscale": 1.0, "long_mscale": 1.5}
DBRX = {"attn_config": {"rope_theta": 500_000}}


@pytest.mark.parametrize(
    ("family", "keys", "named"),
    [
        ("phimoe", {"num_experts_per_tok": 3}, "num_experts_per_tok: 3, but the router of this family always picks 2"),
        ("phimoe", {"rope_scaling": LONG}, "rope_scaling.long_mscale: 1.5, but short_mscale is 1"),
        ("phimoe", {"rope_scaling": {"type": "linear", "factor": 2.0}}, "'linear' is not supported"),
        ("dbrx", {}, "attn_config.rope_theta: required"),
        ("dbrx", {**DBRX, "rope_theta": 10_000}, "attn_config.rope_theta: 500,000.0, but transformers rotates by"),
        (
            "dbrx",
            {**DBRX, "ffn_config": {"moe_normalize_expert_weights": 2}},
            "ffn_config.moe_normalize_expert_weights",
        ),
        ("dbrx", {**DBRX, "ffn_config": {"ffn_act_fn": {"name": "gelu", "approximate": "tanh"}}}, "approximate"),
        ("dbrx", {**DBRX, "tie_word_embeddings": True}, "tie_word_embeddings"),
        ("dbrx", {**DBRX, "n_heads": 15}, "n_heads: 15 does not divide d_model"),
        ("cohere2_moe", {"rope_scaling": {"type": "linear", "factor": 2.0}}, "rope_scaling"),
        ("cohere2_moe", {"sliding_window": None}, "sliding_window"),
        ("exaone_moe", {"is_moe_layer": [True] * 32}, "is_moe_layer"),
        ("exaone_moe", {"mlp_layer_types": ["dense"]}, "mlp_layer_types: must have 32 entries"),
        ("granitemoe_swa", {"layer_rope_theta": [10_000.0] * 31 + [-1]}, "layer_rope_theta: entry 31"),
        ("hy_v3", {"num_shared_experts": 0}, "num_shared_experts"),
        ("hy_v3", {"first_k_dense_replace": 2}, "first_k_dense_replace"),
        ("hy_v3", {"route_norm": False}, "route_norm"),
        ("aria_text", {"mlp_bias": True, "moe_num_shared_experts": 0}, "mlp_bias: true without shared experts"),
        ("solar_open", {"partial_rotary_factor": 0.5}, "partial_rotary_factor"),
        ("axk1", {"q_lora_rank": None}, "q_lora_rank"),
        ("glm4_moe_lite", {"head_dim": 192}, "head_dim"),
        ("dots1", {}, "n_routed_experts: required"),
        ("deepseek_v2", {}, "num_experts_per_tok: required"),
    ],
    ids=str,
)
def test_refused(family: str, keys: dict[str, Any], named: str) -> None:
    with pytest.raises(InputError, match=named):
        import_config({"model_type": family, **keys})


@pytest.mark.parametrize("family", ["dots1", "deepseek_v2"])
def test_experts_are_required_only_where_a_layer_has_some(family: str) -> None:
    config = {"num_hidden_layers": 3, "first_k_dense_replace": 3, "norm_topk_prob": True}
    spec = import_config({"model_type": family, **config})
    assert llmarch.profile(spec, context=100, engine="closed-form").params == count(family, config)


def test_dbrx_is_rotated_by_its_own_theta() -> None:
    found = imported({"model_type": "dbrx", **DBRX})
    assert next(iter(found.spec.variants("attention").values())).model_dump()["rope_theta"] == 500_000.0
    assert found.notes == ("Rotated by attn_config.rope_theta; transformers rotates by 10,000.0 instead.",)


# As published, without what has no effect in any family; total and active parameters are the authors', in billions.
PUBLISHED: dict[str, tuple[dict[str, Any], float, float]] = {
    "DBRX": (
        {
            "model_type": "dbrx",
            "attn_config": {
                "model_type": "",
                "tie_word_embeddings": True,
                "clip_qkv": 8,
                "kv_n_heads": 8,
                **DBRX["attn_config"],
            },
            "ffn_config": {
                "ffn_hidden_size": 10_752,
                "moe_num_experts": 16,
                "moe_top_k": 4,
                "moe_jitter_eps": 0.01,
                "moe_loss_weight": 0.05,
                "uniform_expert_assignment": False,
            },
            "d_model": 6144,
            "emb_pdrop": 0.0,
            "max_seq_len": 32_768,
            "n_heads": 48,
            "n_layers": 40,
            "router_aux_loss_coef": 0.05,
            "vocab_size": 100_352,
        },
        132,
        36,
    ),
    "K-EXAONE": (
        {
            "model_type": "exaone_moe",
            "first_last_k_dense_replace": 1,
            "head_dim": 128,
            "hidden_size": 6144,
            "intermediate_size": 18_432,
            "is_moe_layer": [False] + [True] * 47,
            "max_position_embeddings": 262_144,
            "moe_intermediate_size": 2048,
            "num_attention_heads": 64,
            "num_experts": 128,
            "num_hidden_layers": 48,
            "num_key_value_heads": 8,
            "rope_theta": 1_000_000,
            "scoring_func": "sigmoid",
            "sliding_window": 128,
            "sliding_window_pattern": "LLLG",
            "topk_method": "noaux_tc",
            "vocab_size": 153_600,
        },
        236,
        23,
    ),
    "Hy3": (
        {
            "model_type": "hy_v3",
            "num_nextn_predict_layers": 1,
            "max_position_embeddings": 262_144,
            "qk_norm": True,
            "first_k_dense_replace": 1,
            "expert_hidden_dim": 1536,
            "rope_parameters": {"rope_type": "default", "rope_theta": 11_158_840.0},
        },
        295,
        21,
    ),
    "Solar Open": (
        {
            "model_type": "solar_open",
            "partial_rotary_factor": 1.0,
            "intermediate_size": 10_240,
            "first_k_dense_replace": 0,
            "rope_scaling": {"type": "yarn", "factor": 2.0, "original_max_position_embeddings": 65_536},
        },
        102.6,
        12,
    ),
    "Phi-3.5-MoE": ({"model_type": "phimoe", "lm_head_bias": True, "attention_bias": True}, 41.9, 6.6),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_configs(name: str) -> None:
    config, params, active = PUBLISHED[name]
    found = llmarch.profile(import_config(config), context=100, engine="closed-form")
    assert found.params / 1e9 == pytest.approx(params, rel=0.005)
    assert found.active_params / 1e9 == pytest.approx(active, rel=0.03)


def test_a_guess_takes_no_sizes_inside_inner_configs() -> None:
    sizes = {"d_model": 64, "n_heads": 4, "n_layers": 2, "vocab_size": 100, "max_seq_len": 64}
    with pytest.raises(InputError, match=r"attn_config.kv_n_heads, ffn_config.moe_num_experts"):
        import_config({"model_type": "mine", **sizes, **DBRX}, as_="dbrx")
