"""Keys that transformers ignores, or reads in an unexpected way: no effect here either, or an error that names them."""

from __future__ import annotations

from typing import Any

import pytest

import llmarch_cli as llmarch
from llmarch_cli.errors import InputError
from llmarch_cli.huggingface.importing import import_config
from llmarch_cli.huggingface.importing.check import count

SIZES = {
    "vocab_size": 50,
    "hidden_size": 48,
    "intermediate_size": 20,
    "num_hidden_layers": 12,
    "num_attention_heads": 6,
    "num_key_value_heads": 2,
}
LATENT = {"q_lora_rank": 12, "kv_lora_rank": 10, "qk_nope_head_dim": 6, "qk_rope_head_dim": 4, "v_head_dim": 6}
ROUTED = {"n_routed_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 12, "num_key_value_heads": 6}
LONG = {"rope_type": "longrope", "short_factor": [1.0] * 4, "long_factor": [2.0] * 4}

IGNORED: tuple[tuple[str, dict[str, Any]], ...] = (
    ("gemma3_text", {"_sliding_window_pattern": 3}),
    ("gemma3_text", {"attn_logit_softcapping": 1.5}),
    ("gemma3_text", {"hidden_act": "gelu"}),
    ("cohere2", {"_sliding_window_pattern": 2}),
    ("starcoder2", {"activation_function": "relu", "layer_norm_epsilon": 0.3}),
    ("llama4_text", {"for_llm_compressor": True}),
    ("gpt_oss", {"initial_context_length": 8, "head_dim": 8}),
)


def params(config: dict[str, Any]) -> int:
    return llmarch.profile(import_config(config), context=100, engine="closed-form").params


@pytest.mark.parametrize(("family", "keys"), IGNORED, ids=str)
def test_ignored_keys_change_nothing(family: str, keys: dict[str, Any]) -> None:
    kept = {name: keys[name] for name in ("head_dim",) if name in keys}
    config = {"model_type": family, **SIZES, **kept}
    assert import_config({**config, **keys}) == import_config(config)
    assert params({**config, **keys}) == count(family, {**config, **keys})


def test_the_pattern_that_is_read() -> None:
    for family in ("gemma3_text", "cohere2"):
        config = {"model_type": family, **SIZES, "sliding_window": 64}
        caches = {llmarch.profile(import_config({**config, **more}), context=4096).kv_cache_bytes for more in PATTERNS}
        assert len(caches) == len(PATTERNS)


PATTERNS: tuple[dict[str, int], ...] = ({}, {"sliding_window_pattern": 2}, {"sliding_window_pattern": 12})


@pytest.mark.parametrize("head_dim", [4, 8, 12])
def test_cohere2_reads_an_explicit_head_dim(head_dim: int) -> None:
    config = {"model_type": "cohere2", **SIZES, "head_dim": head_dim}
    assert params(config) == count("cohere2", config)


@pytest.mark.parametrize("n_shared", [0, 1, 2])
@pytest.mark.parametrize("bias", [True, False])
def test_biases_of_absent_shared_experts(n_shared: int, bias: bool) -> None:
    config = {"model_type": "deepseek_v2", **SIZES, **LATENT, **ROUTED, "n_shared_experts": n_shared, "mlp_bias": bias}
    if bias and not n_shared:
        with pytest.raises(InputError, match="mlp_bias: true without shared experts"):
            import_config(config)
    else:
        assert params(config) == count("deepseek_v2", config)


@pytest.mark.parametrize(
    ("family", "keys", "named"),
    [
        ("deepseek_v2", {**LATENT, **ROUTED, "norm_topk_prob": True}, "norm_topk_prob"),
        ("olmo3", {"rope_theta": 30.0}, "rope_theta"),
        ("olmo3", {"rope_scaling": {"type": "linear", "factor": 2.0}}, "rope_scaling.type"),
        ("gemma3_text", {"rope_scaling": {"type": "linear", "factor": 2.0}}, "rope_scaling.type"),
        (
            "phi3",
            {"rope_scaling": {**LONG, "original_max_position_embeddings": 16}},
            "original_max_position_embeddings",
        ),
        (
            "llama",
            {"rope_scaling": {"rope_type": "yarn", "factor": 4.0}, "original_max_position_embeddings": 16},
            "original_max_position_embeddings",
        ),
        ("stablelm", {"partial_rotary_factor": 0.125}, "partial_rotary_factor"),
    ],
)
def test_what_transformers_reads_in_an_unexpected_way_is_refused(family: str, keys: dict[str, Any], named: str) -> None:
    with pytest.raises(InputError, match=f"{named}: "):
        import_config({"model_type": family, **SIZES, **keys})


@pytest.mark.parametrize("kind", ["yarn", "linear", "llama3", "longrope", None])
@pytest.mark.parametrize("normed", [True, False])
def test_llama4_normalises_after_a_rotation_that_changes_magnitudes(kind: str | None, normed: bool) -> None:
    scaling: dict[str, Any] = {"rope_type": kind, "factor": 4.0}
    if kind != "linear":
        scaling["original_max_position_embeddings"] = 64
    if kind == "llama3":
        scaling |= {"low_freq_factor": 1.0, "high_freq_factor": 4.0}
    if kind == "longrope":
        scaling |= {"short_factor": [1.0] * 4, "long_factor": [2.0] * 4}
    config = {**SIZES, "head_dim": 8, "rope_scaling": scaling if kind else None, "use_qk_norm": normed}
    spec = import_config({"model_type": "llama4_text", **config})
    after = {getattr(each, "qk_norm_after_rope", None) for each in spec.variants("attention").values()}
    assert (True in after) == (normed and kind in ("yarn", "longrope"))
