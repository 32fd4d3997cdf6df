"""The configs of earlier models, from GPT-J to those of 2024: the rest of `published.py`."""

from __future__ import annotations

from typing import Any

Settings = dict[str, Any]


SIZES = (
    "hidden_size",
    "intermediate_size",
    "num_hidden_layers",
    "num_attention_heads",
    "num_key_value_heads",
    "vocab_size",
    "max_position_embeddings",
)


def sized(*sizes: int) -> Settings:
    return dict(zip(SIZES, sizes, strict=True))


def gpt_neox(d_model: int, n_layers: int, n_heads: int, activation: str) -> Settings:
    return {
        "model_type": "gpt_neox",
        "hidden_act": activation,
        "hidden_size": d_model,
        "intermediate_size": 4 * d_model,
        "layer_norm_eps": 1e-5,
        "max_position_embeddings": 2048,
        "num_attention_heads": n_heads,
        "num_hidden_layers": n_layers,
        "rotary_emb_base": 10_000,
        "rotary_pct": 0.25,
        "tie_word_embeddings": False,
        "torch_dtype": "float16",
        "vocab_size": 50_432,
    }


def falcon(d_model: int, n_layers: int, n_heads: int, n_kv_heads: int, newer: bool) -> Settings:
    return {
        "model_type": "falcon",
        "alibi": False,
        "apply_residual_connection_post_layernorm": False,
        "bias": False,
        "hidden_size": d_model,
        "layer_norm_epsilon": 1e-5,
        "multi_query": True,
        "new_decoder_architecture": newer,
        "num_attention_heads": n_heads,
        "num_hidden_layers": n_layers,
        "num_kv_heads": n_kv_heads,
        "parallel_attn": True,
        "torch_dtype": "bfloat16",
        "vocab_size": 65_024,
    }


def llama(eps: float, *shape: int, **more: Any) -> Settings:
    """In float16, as Meta published the first two generations."""
    return {
        "model_type": "llama",
        **sized(*shape),
        "rms_norm_eps": eps,
        "tie_word_embeddings": False,
        "torch_dtype": "float16",
        **more,
    }


def mistral(*shape: int, **more: Any) -> Settings:
    return {
        "model_type": "mistral",
        **sized(*shape),
        "head_dim": 128,
        "rms_norm_eps": 1e-5,
        "rope_theta": 1_000_000.0,
        "sliding_window": None,
        "tie_word_embeddings": False,
        "torch_dtype": "bfloat16",
        **more,
    }


def qwen2(eps: float, *shape: int) -> Settings:
    return {
        "model_type": "qwen2",
        **sized(*shape, 152_064, 131_072),
        "max_window_layers": shape[2],
        "rms_norm_eps": eps,
        "rope_theta": 1_000_000.0,
        "sliding_window": 131_072,
        "tie_word_embeddings": False,
        "torch_dtype": "bfloat16",
        "use_sliding_window": False,
    }


def gemma(*shape: int, **more: Any) -> Settings:
    return {
        "model_type": "gemma",
        **sized(*shape, 256_000, 8192),
        "attention_bias": False,
        "head_dim": 256,
        "hidden_act": "gelu_pytorch_tanh",
        "hidden_activation": "gelu_pytorch_tanh",
        "rms_norm_eps": 1e-6,
        "rope_theta": 10_000.0,
        "torch_dtype": "bfloat16",
        **more,
    }


def gemma2(*shape: int, **more: Any) -> Settings:
    more = {
        "model_type": "gemma2",
        "attn_logit_softcapping": 50.0,
        "cache_implementation": "hybrid",
        "final_logit_softcapping": 30.0,
        "sliding_window": 4096,
        "sliding_window_size": 4096,
        **more,
    }
    return gemma(*shape, **more)


def phi3(*shape: int, **more: Any) -> Settings:
    return {
        "model_type": "phi3",
        **sized(*shape),
        "attention_bias": False,
        "original_max_position_embeddings": shape[-1],
        "rms_norm_eps": 1e-5,
        "rope_scaling": None,
        "tie_word_embeddings": False,
        "torch_dtype": "bfloat16",
        **more,
    }


EARLIER: dict[str, Settings] = {
    "bloom-176b": {
        "model_type": "bloom",
        "apply_residual_connection_post_layernorm": False,
        "layer_norm_epsilon": 1e-5,
        "masked_softmax_fusion": True,
        "n_embed": 14_336,
        "n_layer": 70,
        "num_attention_heads": 112,
        "pretraining_tp": 4,
        "seq_length": 2048,
        "skip_bias_add": True,
        "skip_bias_add_qkv": False,
        "slow_but_exact": False,
        "vocab_size": 250_880,
    },
    "falcon-180b": falcon(14_848, 80, 232, 8, newer=True),
    "falcon-40b": falcon(8192, 60, 128, 8, newer=True),
    "falcon-7b": falcon(4544, 32, 71, 71, newer=False),
    "gemma-7b": gemma(3072, 24_576, 28, 16, 16),
    "gemma2-27b": gemma2(4608, 36_864, 46, 32, 16, head_dim=128, query_pre_attn_scalar=144),
    "gemma2-9b": gemma2(3584, 14_336, 42, 16, 8, query_pre_attn_scalar=256),
    "gpt-j-6b": {
        "model_type": "gptj",
        "activation_function": "gelu_new",
        "layer_norm_epsilon": 1e-5,
        "n_embd": 4096,
        "n_head": 16,
        "n_inner": None,
        "n_layer": 28,
        "n_positions": 2048,
        "rotary": True,
        "rotary_dim": 64,
        "scale_attn_weights": True,
        "tie_word_embeddings": False,
        "vocab_size": 50_400,
    },
    "gpt-neox-20b": gpt_neox(6144, 44, 64, "gelu_fast"),
    "granite-3.3-8b": {
        "model_type": "granite",
        **sized(4096, 12_800, 40, 32, 8, 49_159, 131_072),
        "attention_bias": False,
        "attention_multiplier": 0.0078125,
        "embedding_multiplier": 12.0,
        "logits_scaling": 16.0,
        "mlp_bias": False,
        "residual_multiplier": 0.22,
        "rms_norm_eps": 1e-5,
        "rope_scaling": None,
        "rope_theta": 10_000_000.0,
        "tie_word_embeddings": True,
        "torch_dtype": "bfloat16",
    },
    "llama-65b": llama(1e-5, 8192, 22_016, 80, 64, 64, 32_000, 2048),
    "llama-7b": llama(1e-6, 4096, 11_008, 32, 32, 32, 32_000, 2048),
    "llama2-70b": llama(1e-5, 8192, 28_672, 80, 64, 8, 32_000, 4096, pretraining_tp=1, rope_scaling=None),
    "llama2-7b": llama(1e-5, 4096, 11_008, 32, 32, 32, 32_000, 4096, pretraining_tp=1, rope_scaling=None),
    # Its file has the names of the authors' own code, whose defaults are the other values.
    "mamba2-2.7b": {
        "model_type": "mamba2",
        "hidden_size": 2560,
        "num_hidden_layers": 64,
        "vocab_size": 50_288,
        "tie_word_embeddings": True,
        "num_heads": 80,
        "head_dim": 64,
        "state_size": 128,
        "n_groups": 1,
        "rms_norm": True,
        "residual_in_fp32": True,
        "max_position_embeddings": 2048,  # not in the file; the paper's length of training
    },
    "mistral-large-2": mistral(12_288, 28_672, 88, 96, 8, 32_768, 131_072),
    "mistral-nemo-12b": mistral(5120, 14_336, 40, 32, 8, 131_072, 128_000),
    "mixtral-8x22b": {
        "model_type": "mixtral",
        **sized(6144, 16_384, 56, 48, 8, 32_000, 65_536),
        "num_experts_per_tok": 2,
        "num_local_experts": 8,
        "rms_norm_eps": 1e-5,
        "rope_theta": 1_000_000,
        "sliding_window": None,
        "tie_word_embeddings": False,
        "torch_dtype": "bfloat16",
    },
    "olmoe-1b-7b": {
        "model_type": "olmoe",
        **sized(2048, 1024, 16, 16, 16, 50_304, 4096),
        "attention_bias": False,
        "clip_qkv": None,
        "norm_topk_prob": False,
        "num_experts": 64,
        "num_experts_per_tok": 8,
        "rms_norm_eps": 1e-5,
        "rope_scaling": None,
        "rope_theta": 10_000.0,
        "tie_word_embeddings": False,
        "torch_dtype": "bfloat16",
    },
    "opt-66b": {
        "model_type": "opt",
        "_remove_final_layer_norm": False,
        "activation_function": "relu",
        "do_layer_norm_before": True,
        "ffn_dim": 36_864,
        "hidden_size": 9216,
        "max_position_embeddings": 2048,
        "num_attention_heads": 72,
        "num_hidden_layers": 64,
        "torch_dtype": "float16",
        "vocab_size": 50_272,
        "word_embed_proj_dim": 9216,
    },
    "phi-3-mini": phi3(3072, 8192, 32, 32, 32, 32_064, 4096, rope_theta=10_000.0, sliding_window=2047),
    "phi-4": phi3(5120, 17_920, 40, 40, 10, 100_352, 16_384, rope_theta=250_000, sliding_window=None),
    "pythia-6.9b": gpt_neox(4096, 32, 32, "gelu") | {"use_parallel_residual": True},
    "qwen2-72b": qwen2(1e-5, 8192, 29_568, 80, 64, 8),
    "qwen2.5-72b": qwen2(1e-5, 8192, 29_568, 80, 64, 8),
    "qwen2.5-7b": qwen2(1e-6, 3584, 18_944, 28, 28, 4),
    "smollm2-1.7b": {
        "model_type": "llama",
        **sized(2048, 8192, 24, 32, 32, 49_152, 8192),
        "attention_bias": False,
        "mlp_bias": False,
        "rms_norm_eps": 1e-5,
        "rope_theta": 130_000,
        "tie_word_embeddings": True,
        "torch_dtype": "bfloat16",
    },
}
