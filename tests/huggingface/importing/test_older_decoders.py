"""Older decoders: what their published configs say, and what is refused because its class ignores or lacks it."""

from __future__ import annotations

from typing import Any

import pytest

import llmarch_cli as llmarch
from llmarch_cli.errors import InputError
from llmarch_cli.huggingface.importing import import_config
from llmarch_cli.huggingface.importing.check import count

SMALL: dict[str, dict[str, Any]] = {
    "bloom": {"n_layer": 2, "n_head": 2, "hidden_size": 8, "vocab_size": 50},
    "codegen": {"n_layer": 2, "n_head": 4, "n_embd": 16, "vocab_size": 50, "rotary_dim": 4},
    "ctrl": {"n_layer": 2, "n_head": 2, "n_embd": 8, "vocab_size": 50},
    "gpt_neo": {"num_layers": 2, "num_heads": 2, "hidden_size": 8, "attention_types": [[["global", "local"], 1]]},
    "gpt_neox_japanese": {"hidden_size": 64, "num_attention_heads": 2, "num_hidden_layers": 3},
    "modernbert-decoder": {"hidden_size": 8, "num_attention_heads": 2, "num_hidden_layers": 3},
    "mpt": {"n_layers": 2, "n_heads": 2, "d_model": 8, "vocab_size": 50},
    "opt": {"num_hidden_layers": 2, "num_attention_heads": 2, "hidden_size": 8, "vocab_size": 50},
    "phi": {"num_hidden_layers": 2, "num_attention_heads": 2, "hidden_size": 16, "vocab_size": 50},
    "xglm": {"num_layers": 2, "attention_heads": 2, "d_model": 8, "vocab_size": 50},
}

REFUSED: tuple[tuple[str, dict[str, Any], str], ...] = (
    ("bloom", {"apply_residual_connection_post_layernorm": True}, "apply_residual_connection_post_layernorm: true"),
    ("bloom", {"n_inner": 40}, "n_inner: 40"),
    ("bloom", {"hidden_size": 9}, "hidden_size: 9 must be a multiple of the number of heads, 2"),
    ("codegen", {"n_head": 2}, "n_head: 2 must be a multiple of 4"),
    ("codegen", {"rotary_dim": None}, "rotary_dim: must be a whole number"),
    ("ctrl", {"layer_norm_epsilon": 1e-5}, "layer_norm_epsilon: 1e-05"),
    ("ctrl", {"n_embd": 9, "n_head": 1}, "n_embd: must be even for sinusoidal positions, not 9"),
    ("gpt_neo", {"attention_types": [[["global", "far"], 1]]}, "attention_types: must be a list of lists"),
    ("gpt_neo", {"attention_types": [[["global"], 10**15]]}, "attention_types: must name 2 layers"),
    ("gpt_neo", {"attention_types": None}, "attention_types: must name 2 layers, as num_layers does, not 24"),
    ("gpt_neo", {"attention_layers": ["local", "local"]}, "attention_layers"),
    ("gpt_neox_japanese", {"rope_theta": 30.0}, "rope_theta: 30.0 is not supported: must be 10000.0"),
    ("gpt_neox_japanese", {"rotary_pct": 0.1}, "rotary_pct: rotates 3 of 32 values of a head"),
    ("modernbert-decoder", {"local_attention": None}, "local_attention: null, but some layers have a window"),
    ("modernbert-decoder", {"rope_theta": 20.0}, "rope_theta: 20.0 is not supported: must be 160000.0"),
    ("modernbert-decoder", {"sliding_window": 9}, "sliding_window: 9 is not supported: must be 64"),
    ("modernbert-decoder", {"rope_scaling": {"type": "linear"}}, "rope_scaling"),
    ("mpt", {"attn_config": {"alibi": False}}, "attn_config.alibi: false"),
    ("mpt", {"attn_config": {"alibi_bias_max": 16}}, "attn_config.alibi_bias_max: 16"),
    ("mpt", {"attn_config": {"attn_type": "multiquery_attention"}}, "attn_config.attn_type"),
    ("mpt", {"attn_config": {"qk_ln": True}}, "attn_config.qk_ln: true"),
    ("mpt", {"expansion_ratio": 2}, "expansion_ratio: 2"),
    ("mpt", {"logit_scale": 0.5}, "logit_scale: 0.5"),
    ("mpt", {"no_bias": False}, "no_bias: false"),
    ("opt", {"word_embed_proj_dim": 4}, "word_embed_proj_dim: 4 is not supported: must be 8 (embeddings of another"),
    ("opt", {"scale_embeddings": True}, "scale_embeddings: true"),
    ("phi", {"head_dim": 6}, "head_dim: 6 is not supported: must be 8"),
    ("phi", {"partial_rotary_factor": 0.4}, "partial_rotary_factor: rotates 3 of 8 values"),
    ("xglm", {"pad_token_id": 5}, "pad_token_id: 5 is not supported: must be 0 or 1"),
    ("xglm", {"d_model": 9, "attention_heads": 1}, "d_model: must be even for sinusoidal positions, not 9"),
    ("xglm", {"add_cross_attention": True}, "add_cross_attention: true"),
)


@pytest.mark.parametrize(("family", "keys", "error"), REFUSED, ids=str)
def test_refused_keys(family: str, keys: dict[str, Any], error: str) -> None:
    config = {"model_type": family, **SMALL[family]}
    assert import_config(config)
    with pytest.raises(InputError) as caught:
        import_config({**config, **keys})
    assert str(caught.value).startswith(f"config: {error}")


# Sizes and settings as published, under the keys of their files.
PUBLISHED: dict[str, dict[str, Any]] = {
    "bloom-7b1": {
        "model_type": "bloom",
        "apply_residual_connection_post_layernorm": False,
        "bias_dropout_fusion": True,
        "hidden_dropout": 0.0,
        "layer_norm_epsilon": 1e-05,
        "masked_softmax_fusion": True,
        "n_embed": 4096,
        "n_inner": None,
        "n_layer": 30,
        "num_attention_heads": 32,
        "offset_alibi": 100,
        "pretraining_tp": 4,
        "seq_length": 2048,
        "skip_bias_add": True,
        "skip_bias_add_qkv": False,
        "slow_but_exact": False,
        "unk_token_id": 0,
        "vocab_size": 250_880,
    },
    "opt-1.3b": {
        "model_type": "opt",
        "_remove_final_layer_norm": False,
        "activation_dropout": 0.0,
        "activation_function": "relu",
        "do_layer_norm_before": True,
        "dropout": 0.1,
        "ffn_dim": 8192,
        "hidden_size": 2048,
        "init_std": 0.02,
        "layerdrop": 0.0,
        "max_position_embeddings": 2048,
        "num_attention_heads": 32,
        "num_hidden_layers": 24,
        "prefix": "</s>",
        "vocab_size": 50_272,
        "word_embed_proj_dim": 2048,
    },
    "starcoderbase": {
        "model_type": "gpt_bigcode",
        "activation_function": "gelu",
        "attention_softmax_in_fp32": True,
        "inference_runner": 0,
        "max_batch_size": None,
        "max_sequence_length": None,
        "multi_query": True,
        "n_embd": 6144,
        "n_head": 48,
        "n_inner": 24_576,
        "n_layer": 40,
        "n_positions": 8192,
        "pad_key_length": True,
        "pre_allocate_kv_cache": False,
        "scale_attention_softmax_in_fp32": True,
        "validate_runner_input": True,
        "vocab_size": 49_152,
    },
    "phi-2": {
        "model_type": "phi",
        "hidden_act": "gelu_new",
        "hidden_size": 2560,
        "intermediate_size": 10_240,
        "num_attention_heads": 32,
        "num_hidden_layers": 32,
        "num_key_value_heads": 32,
        "partial_rotary_factor": 0.4,
        "qk_layernorm": False,
        "rope_scaling": None,
        "rope_theta": 10_000.0,
        "vocab_size": 51_200,
    },
    "ettin-decoder-150m": {
        "model_type": "modernbert-decoder",
        "attention_bias": False,
        "classifier_activation": "gelu",
        "classifier_pooling": "mean",
        "decoder_bias": True,
        "deterministic_flash_attn": False,
        "global_attn_every_n_layers": 3,
        "global_rope_theta": 160_000.0,
        "hidden_activation": "gelu",
        "layer_norm_eps": 1e-05,
        "local_attention": 128,
        "local_rope_theta": 160_000.0,
        "max_position_embeddings": 7999,
        "position_embedding_type": "sans_pos",
        "vocab_size": 50_368,
    },
    "mpt-7b": {
        "model_type": "mpt",
        "attn_config": {"alibi": True, "alibi_bias_max": 8, "attn_impl": "torch", "attn_pdrop": 0, "qk_ln": False},
        "d_model": 4096,
        "embedding_fraction": 1.0,
        "expansion_ratio": 4,
        "init_config": {"name": "kaiming_normal_"},
        "init_device": "cpu",
        "learned_pos_emb": True,
        "max_seq_len": 2048,
        "n_heads": 32,
        "n_layers": 32,
        "no_bias": True,
        "norm_type": "low_precision_layernorm",
        "tokenizer_name": "EleutherAI/gpt-neox-20b",
        "verbose": 0,
        "vocab_size": 50_432,
    },
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_keys_are_read(name: str) -> None:
    config = PUBLISHED[name]
    settings = {key: value for key, value in config.items() if key != "model_type"}
    params = llmarch.profile(import_config(config), context=100, engine="closed-form").params
    assert params == count(config["model_type"], settings)


def test_only_the_last_layer_has_a_bias_in_gpt_neox_japanese() -> None:
    spec = import_config({"model_type": "gpt_neox_japanese", **SMALL["gpt_neox_japanese"]})
    biases = {name: part.o_bias for name, part in spec.variants("attention").items()}  # type: ignore[attr-defined]
    assert [biases[layer.attention] for layer in spec.layers] == [False, False, True]
