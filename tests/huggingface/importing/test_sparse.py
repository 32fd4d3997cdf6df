"""Configs of sparse attention: which layers have an indexer, in all words for it, and what is refused by name."""

from __future__ import annotations

from typing import Any

import pytest

import llmarch_cli as llmarch
from llmarch_cli.errors import InputError
from llmarch_cli.huggingface.importing import import_config, imported
from llmarch_cli.huggingface.importing.check import count

GLM: dict[str, Any] = {"model_type": "glm_moe_dsa", "num_hidden_layers": 6}
FROM_THIRD = ["full", "full", "full", "shared", "shared", "full"]

ON, OFF = [0, 0, 1, 1], [1, 1, 0, 0]
INSIDE = {"sparse_attention_freq": ON, "sparse_block_size": 64, "sparse_topk_blocks": 8, "sparse_num_index_heads": 4}
M3: dict[str, Any] = {"num_hidden_layers": 4, "partial_rotary_factor": 0.5, "moe_layer_freq": ON}


@pytest.mark.parametrize(
    "keys",
    [
        {"indexer_types": FROM_THIRD},
        {"index_topk_pattern": "FFFSSF"},
        {"index_topk_pattern": FROM_THIRD},
        {"index_topk_freq": 3, "index_skip_topk_offset": 3},
        {"indexer_types": FROM_THIRD, "index_topk_freq": 3, "index_skip_topk_offset": 3},
    ],
    ids=str,
)
def test_layers_that_reuse_a_choice(keys: dict[str, Any]) -> None:
    spec = import_config(GLM | keys)
    assert spec.names("attention", 6) == FROM_THIRD
    profile = llmarch.profile(spec, context=4096, engine="measured")
    assert profile.params == count("glm_moe_dsa", {"num_hidden_layers": 6, **keys})
    assert profile.index_bytes == 4 * 4096 * 128 * 2


def test_one_indexer_for_four_layers() -> None:
    spec = import_config({"model_type": "glm_moe_dsa", "index_topk_freq": 4})
    assert spec.variant_counts("attention") == {"full": 21, "shared": 57}
    assert spec.names("attention", 78)[:7] == ["full", "full", "shared", "shared", "shared", "full", "shared"]


def test_a_last_layer_that_reuses_a_choice_has_no_block_that_predicts() -> None:
    found = imported(GLM | {"index_topk_pattern": "FFFSSS", "num_nextn_predict_layers": 1})
    assert found.spec.n_mtp_blocks == 0
    assert found.notes == ("Multi-token-prediction blocks (num_nextn_predict_layers) are left out.",)
    assert import_config(GLM | {"num_nextn_predict_layers": 1}).n_mtp_blocks == 1


@pytest.mark.parametrize(
    "keys",
    [
        {"model_type": "minimax_m3", "sparse_attention_config": INSIDE},
        {"model_type": "minimax_m3_vl_text", "sparse_attention_config": INSIDE},
        {
            "model_type": "minimax_m3_vl_text",
            "layer_types": ["full_attention"] * 2 + ["minimax_m3_sparse"] * 2,
            "index_block_size": 64,
            "index_topk_blocks": 8,
        },
    ],
    ids=str,
)
def test_blocks_in_all_words_for_them(keys: dict[str, Any]) -> None:
    spec = import_config(M3 | keys)
    *_, attention = spec.variants("attention").values()
    indexer = attention.model_dump()["indexer"]
    assert indexer == {"n_heads": 4, "head_dim": 128, "block": 64, "top_k": 8, "local": 1}
    assert spec.variant_counts("attention").total() == 4
    assert llmarch.profile(spec, context=4096).index_bytes == 2 * 4096 * 128 * 2


def test_a_rotary_width_that_transformers_does_not_read() -> None:
    config = {"model_type": "minimax_m3_vl_text", "rotary_dim": 64}
    found = imported(config)
    assert found.notes == ("rotary_dim is 64; read as 128, as by transformers, which reads the share alone.",)
    with pytest.raises(InputError, match="rotary_dim: 64, but partial_rotary_factor gives 128"):
        import_config(config | {"model_type": "minimax_m3"})


@pytest.mark.parametrize(
    ("family", "keys", "named"),
    [
        ("deepseek_v32", {"indexer_rope_interleave": True}, "indexer_rope_interleave"),
        ("deepseek_v32", {"rope_interleave": False}, "rope_interleave"),
        ("deepseek_v32", {"q_lora_rank": None}, "q_lora_rank"),
        ("deepseek_v32", {"index_topk": 0}, "index_topk: must be a whole number of at least 1"),
        ("deepseek_v32", {"index_head_dim": 32}, "head_dim"),
        ("deepseek_v32", {"moe_layer_freq": 2}, "moe_layer_freq"),
        ("deepseek_v32", {"layer_types": ["full_attention"] * 61}, "layer_types"),
        ("deepseek_v32", {"indexer_types": ["full"] * 61}, "indexer_types: unknown key"),
        ("deepseek_v32", {"head_dim": 128}, "head_dim"),
        ("glm_moe_dsa", {"indexer_rope_interleave": False}, "indexer_rope_interleave"),
        ("glm_moe_dsa", {"indexer_types": ["full"]}, "indexer_types: must have 78 entries"),
        ("glm_moe_dsa", {"indexer_types": ["none"] * 78}, "indexer_types: entry 0 must be full or shared"),
        ("glm_moe_dsa", {"indexer_types": ["shared"] + ["full"] * 77}, "the first layer is shared"),
        ("glm_moe_dsa", {"index_topk_pattern": "FX" * 39}, "index_topk_pattern: must be 78 letters F or S"),
        (
            "glm_moe_dsa",
            {"indexer_types": ["full"] * 78, "index_topk_freq": 4},
            "index_topk_freq: says other layers than indexer_types",
        ),
        ("minimax_m3", {"hidden_act": "gelu"}, "hidden_act"),
        ("minimax_m3", {"swiglu_alpha": 1.0}, "swiglu_alpha"),
        ("minimax_m3", {"use_gemma_norm": False}, "use_gemma_norm"),
        ("minimax_m3", {"use_qk_norm": False}, "use_qk_norm"),
        ("minimax_m3", {"attention_output_gate": True}, "attention_output_gate"),
        ("minimax_m3", {"moe_intermediate_size": 1}, "moe_intermediate_size"),
        ("minimax_m3", {"n_shared_experts": 2}, "n_shared_experts"),
        ("minimax_m3", {"rotary_dim": 32}, "rotary_dim: 32, but partial_rotary_factor gives 64"),
        ("minimax_m3", {"first_k_dense_replace": 3}, "first_k_dense_replace"),
        ("minimax_m3", {"moe_layer_freq": [0, 1, 2, 1]}, "moe_layer_freq: entry 2 must be 0 or 1"),
        (
            "minimax_m3",
            {"mlp_layer_types": ["sparse"] * 4},
            "mlp_layer_types: says other layers than moe_layer_freq",
        ),
        (
            "minimax_m3",
            {"sparse_attention_config": INSIDE, "layer_types": ["full_attention"] * 4},
            "layer_types: says other layers than sparse_attention_config.sparse_attention_freq",
        ),
        ("minimax_m3", {"sparse_attention_config": {**INSIDE, "sparse_init_block": 1}}, "sparse_init_block"),
        ("minimax_m3", {"sparse_attention_config": {**INSIDE, "sparse_score_type": "mean"}}, "sparse_score_type"),
        ("minimax_m3", {"sparse_attention_config": {**INSIDE, "use_sparse_attention": False}}, "use_sparse_attention"),
        ("minimax_m3", {"sparse_attention_config": {**INSIDE, "other": 1}}, "sparse_attention_config.other"),
        (
            "minimax_m3",
            {"sparse_attention_config": {**INSIDE, "sparse_disable_index_value": OFF}},
            "sparse_disable_index_value: must be 1 in every sparse layer",
        ),
        (
            "minimax_m3",
            {"sparse_attention_config": INSIDE, "index_block_size": 128},
            "index_block_size: 128, but sparse_attention_config.sparse_block_size, which counts, is 64",
        ),
    ],
    ids=str,
)
def test_refused(family: str, keys: dict[str, Any], named: str) -> None:
    with pytest.raises(InputError, match=named):
        import_config({"model_type": family, **(M3 if family == "minimax_m3" else {}), **keys})
