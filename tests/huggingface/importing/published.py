"""What the config.json of each bundled model says that matters, written down from what its authors state."""

from __future__ import annotations

from typing import Any

from published_earlier import EARLIER, Settings, sized


def gpt2(d_model: int, n_layers: int, n_heads: int) -> Settings:
    return {"model_type": "gpt2", "n_embd": d_model, "n_layer": n_layers, "n_head": n_heads}


def llama3(factor: float | None, context: int, **shape: Any) -> Settings:
    scaling = {"rope_type": "llama3", "factor": factor, "low_freq_factor": 1.0, "high_freq_factor": 4.0}
    return {
        "model_type": "llama",
        "rms_norm_eps": 1e-5,
        "rope_theta": 500_000.0,
        "rope_scaling": scaling | {"original_max_position_embeddings": 8192} if factor else None,
        **shape,
        "max_position_embeddings": context,
    }


LLAMA_8B = sized(4096, 14_336, 32, 32, 8, 128_256, 0)
LLAMA_70B = sized(8192, 28_672, 80, 64, 8, 128_256, 0)
LLAMA_405B = sized(16_384, 53_248, 126, 128, 8, 128_256, 0)
LLAMA_1B = sized(2048, 8192, 16, 32, 8, 128_256, 0) | {"head_dim": 64, "tie_word_embeddings": True}
LLAMA_3B = sized(3072, 8192, 28, 24, 8, 128_256, 0) | {"head_dim": 128, "tie_word_embeddings": True}


def qwen3(*shape: int, **more: Any) -> Settings:
    return {
        "model_type": "qwen3",
        **sized(*shape, 151_936, 40_960),
        "head_dim": 128,
        "rope_theta": 1_000_000,
        "sliding_window": None,
        "use_sliding_window": False,
        **more,
    }


def qwen3_moe(*shape: int, **more: Any) -> Settings:
    routed = {"num_experts": 128, "num_experts_per_tok": 8, "norm_topk_prob": True, "mlp_only_layers": []}
    return qwen3(*shape) | routed | {"model_type": "qwen3_moe", **more}


def olmo2(*shape: int) -> Settings:
    sizes = sized(*shape, 100_352, 4096)
    return {"model_type": "olmo2", **sizes, "rms_norm_eps": 1e-6, "rope_theta": 500_000.0, "torch_dtype": "float32"}


def olmo3(*shape: int) -> Settings:
    return {
        "model_type": "olmo3",
        **sized(*shape, 100_278, 65_536),
        "layer_types": every_nth_full(4, shape[2]),
        "sliding_window": 4096,
        "rms_norm_eps": 1e-6,
        "rope_theta": 500_000,
        "rope_scaling": {
            "rope_type": "yarn",
            "factor": 8.0,
            "original_max_position_embeddings": 8192,
            "attention_factor": 1.2079441541679836,
            "beta_fast": 32,
            "beta_slow": 1,
        },
    }


def gemma3(*shape: int, **more: Any) -> Settings:
    return {"model_type": "gemma3_text", **sized(*shape), "sliding_window_pattern": 6, **more}


def gemma3_seeing(*shape: int, **more: Any) -> Settings:
    """With a vision tower, and most keys left to their class."""
    text = gemma3(*shape, 262_208, 131_072, sliding_window=1024, rope_scaling={"rope_type": "linear", "factor": 8.0})
    return {"model_type": "gemma3", "vision_config": {"hidden_size": 1152}, "text_config": text | more}


def yarn(factor: int, mscale: float, **more: Any) -> Settings:
    return {
        "type": "yarn",
        "factor": factor,
        "original_max_position_embeddings": 4096,
        "mscale": mscale,
        "mscale_all_dim": mscale,
        **more,
    }


def deepseek_v2(*shape: int, **more: Any) -> Settings:
    return {
        "model_type": "deepseek_v2",
        **sized(*shape, 102_400, 163_840),
        "first_k_dense_replace": 1,
        "num_experts_per_tok": 6,
        "scoring_func": "softmax",
        "norm_topk_prob": False,
        "moe_layer_freq": 1,
        "rope_scaling": yarn(40, 0.707, rope_theta=10_000, rope_type="yarn"),
        "rope_theta": 10_000,
        **more,
    }


FP8_BLOCKS = {
    "activation_scheme": "dynamic",
    "fmt": "e4m3",
    "quant_method": "fp8",
    "weight_block_size": [128, 128],
}

DEEPSEEK_V3: Settings = {
    "model_type": "deepseek_v3",
    **sized(7168, 18_432, 61, 128, 128, 129_280, 163_840),
    "num_nextn_predict_layers": 1,
    "topk_method": "noaux_tc",
    "scoring_func": "sigmoid",
    "rope_scaling": yarn(40, 1.0, beta_fast=32, beta_slow=1),
    "quantization_config": FP8_BLOCKS,
}


def glm4(*shape: int, **more: Any) -> Settings:
    return {
        "model_type": "glm4_moe",
        **sized(*shape, 151_552, 131_072),
        "head_dim": 128,
        "attention_bias": True,
        "rope_theta": 1_000_000.0,
        "partial_rotary_factor": 0.5,
        "num_nextn_predict_layers": 1,
        **more,
    }


def deepseek_v4(ratios: list[int], **settings: Any) -> Settings:
    """Its class's defaults are those of Flash; `ratios` goes on for the prediction block."""
    return {
        "model_type": "deepseek_v4",
        "compress_ratios": ratios,
        "num_hash_layers": 3,
        "qk_rope_head_dim": 64,
        "quantization_config": FP8_BLOCKS | {"scale_fmt": "ue8m0"},
        "expert_dtype": "fp4",
        "rope_scaling": {
            "type": "yarn",
            "factor": 16,
            "original_max_position_embeddings": 65_536,
            "beta_fast": 32,
            "beta_slow": 1,
        },
        "num_nextn_predict_layers": 1,
        **settings,
    }


KIMI_K2: Settings = (
    DEEPSEEK_V3
    | {"model_type": "kimi_k2", "vocab_size": 163_840, "max_position_embeddings": 131_072, "rope_theta": 50_000.0}
    | {"num_attention_heads": 64, "num_key_value_heads": 64, "n_routed_experts": 384, "first_k_dense_replace": 1}
    | {"n_group": 1, "topk_group": 1, "routed_scaling_factor": 2.827, "num_nextn_predict_layers": 0}
    | {"rope_scaling": yarn(32, 1.0, beta_fast=1.0)}
)

INT4_EXPERTS = {
    "quant_method": "compressed-tensors",
    "format": "pack-quantized",
    "config_groups": {
        "group_0": {
            "targets": ["Linear"],
            "weights": {"type": "int", "num_bits": 4, "strategy": "group", "group_size": 32, "symmetric": True},
        }
    },
    "ignore": ["lm_head", r"re:.*self_attn.*", r"re:.*shared_experts.*", r"re:.*mlp\.(gate|up|gate_up|down)_proj.*"],
}


GLM_4 = glm4(
    *(5120, 12_288, 92, 96, 8),
    first_k_dense_replace=3,
    moe_intermediate_size=1536,
    n_routed_experts=160,
    routed_scaling_factor=2.5,
    use_qk_norm=True,
)


GLM_5: Settings = {
    "model_type": "glm_moe_dsa",
    **sized(6144, 12_288, 78, 64, 64, 154_880, 202_752),
    "head_dim": 64,
    "qk_head_dim": 256,
    "index_n_heads": 32,
    "indexer_rope_interleave": True,
    "num_nextn_predict_layers": 1,
    "rope_parameters": {"rope_theta": 1_000_000, "rope_type": "default"},
}


def llama4(context: int, **more: Any) -> Settings:
    text = {
        "model_type": "llama4_text",
        **sized(5120, 8192, 48, 40, 8, 202_048, context),
        "intermediate_size_mlp": 16_384,
        "rope_theta": 500_000.0,
        **more,
    }
    return {"model_type": "llama4", "text_config": text, "vision_config": {}}


def gpt_oss(n_layers: int, n_experts: int) -> Settings:
    return {
        "model_type": "gpt_oss",
        **sized(2880, 2880, n_layers, 64, 8, 201_088, 131_072),
        "head_dim": 64,
        "num_local_experts": n_experts,
        "experts_per_token": 4,
        "layer_types": ["sliding_attention", "full_attention"] * (n_layers // 2),
        "rope_scaling": {
            "rope_type": "yarn",
            "factor": 32.0,
            "original_max_position_embeddings": 4096,
            "truncate": False,
        },
        "rope_theta": 150_000,
        "swiglu_limit": 7.0,
        "quantization_config": {
            "modules_to_not_convert": [
                *("model.layers.*.self_attn", "model.layers.*.mlp.router", "model.embed_tokens", "lm_head"),
            ],
            "quant_method": "mxfp4",
        },
    }


def minimax(model_type: str) -> Settings:
    """Alike but for the name of the family."""
    return sized(6144, 9216, 80, 64, 8, 200_064, 10_240_000) | {
        "model_type": model_type,
        "attn_type_list": [0, 0, 0, 0, 0, 0, 0, 1] * 10,
        "head_dim": 128,
        "hidden_act": "silu",
        **{
            f"layernorm_{sublayer}_{factor}": value
            for sublayer in ("full_attention", "linear_attention", "mlp")
            for factor, value in (("alpha", 3.5565588200778455), ("beta", 1.0))
        },
        "num_experts_per_tok": 2,
        "num_local_experts": 32,
        "postnorm": True,
        "rms_norm_eps": 1e-5,
        "rope_theta": 10_000_000,
        "rotary_dim": 64,
        "shared_intermediate_size": 0,
        "shared_moe_mode": "sigmoid",
        "sliding_window": None,
        "tie_word_embeddings": False,
    }


def nemotron_h(d_model: int, n_heads: int, n_kv_heads: int, letters: str, **settings: Any) -> Settings:
    """One letter a layer: `M` is Mamba-2, `*` attention, `E` experts and `-` a dense layer."""
    return {
        "model_type": "nemotron_h",
        "hybrid_override_pattern": letters,
        "hidden_size": d_model,
        "num_hidden_layers": len(letters),
        "num_attention_heads": n_heads,
        "num_key_value_heads": n_kv_heads,
        "mamba_head_dim": 64,
        "mamba_hidden_act": "silu",
        "mlp_hidden_act": "relu2",
        "n_groups": 8,
        "time_step_min": 0.001,
        "vocab_size": 131_072,
        **settings,
    }


def nemotron_3(d_model: int, n_heads: int, n_kv_heads: int, letters: str, **settings: Any) -> Settings:
    return {
        **nemotron_h(d_model, n_heads, n_kv_heads, letters),
        "head_dim": 128,
        "ssm_state_size": 128,
        "max_position_embeddings": 262_144,
        "n_group": 1,
        "topk_group": 1,
        "n_shared_experts": 1,
        "norm_eps": 1e-5,
        "norm_topk_prob": True,
        **settings,
    }


def qwen3_5(model_type: str, *shape: int, **settings: Any) -> Settings:
    """A multimodal config with a text decoder of three layers of the delta rule for one of attention."""
    text = {
        "model_type": f"{model_type}_text",
        **sized(*shape),
        "full_attention_interval": 4,
        "rope_parameters": {
            "rope_type": "default",
            "rope_theta": 10_000_000,
            "partial_rotary_factor": 0.25,
            "mrope_interleaved": True,
            "mrope_section": [11, 11, 10],
        },
        "mtp_num_hidden_layers": 1,
        "attn_output_gate": True,
        **settings,
    }
    return {"model_type": model_type, "text_config": text, "vision_config": {"hidden_size": 1152}}


QWEN3_5_27B = qwen3_5("qwen3_5", *(5120, 17_408, 64, 24, 4, 248_320, 262_144), linear_num_value_heads=48)


def qwen3_5_moe(d_model: int, d_ff: int, n_layers: int, n_heads: int, n_kv_heads: int, *more: int) -> Settings:
    """`more`: the number of experts, how many a token has, and the number of value heads of the delta rule."""
    n_experts, top_k, n_v_heads = more
    return qwen3_5(
        "qwen3_5_moe",
        *(d_model, d_ff, n_layers, n_heads, n_kv_heads, 248_320, 262_144),
        linear_num_value_heads=n_v_heads,
        moe_intermediate_size=d_ff,
        shared_expert_intermediate_size=d_ff,
        num_experts=n_experts,
        num_experts_per_tok=top_k,
    )


def gemma4(types: list[str], *shape: int, **settings: Any) -> Settings:
    text = {
        "model_type": "gemma4_text",
        **sized(*shape),
        "layer_types": types,
        "final_logit_softcapping": 30.0,
        "head_dim": 256,
        "global_head_dim": 512,
        **settings,
    }
    return {"model_type": "gemma4", "text_config": text, "vision_config": {"hidden_size": 768}}


def granite_4_h(*shape: int, **settings: Any) -> Settings:
    return {
        "model_type": "granitemoehybrid",
        **sized(*shape, 100_352, 131_072),
        "attention_multiplier": 0.0078125,
        "embedding_multiplier": 12,
        "layer_types": [*["mamba"] * 5, "attention", *(["mamba"] * 9 + ["attention"]) * 3, *["mamba"] * 4],
        "mamba_d_head": 64,
        "mamba_d_state": 128,
        "position_embedding_type": "nope",
        "residual_multiplier": 0.22,
        "rms_norm_eps": 1e-5,
        "tie_word_embeddings": True,
        **settings,
    }


def gemma3n(n_layers: int, d_ff: int, n_shared: int) -> Settings:
    text = {
        "model_type": "gemma3n_text",
        **sized(2048, 0, n_layers, 8, 2, 262_400, 32_768),
        "intermediate_size": [d_ff] * n_layers,
        "layer_types": every_nth_full(5, n_layers),
        "activation_sparsity_pattern": [0.95] * 10 + [0.0] * (n_layers - 10),
        "altup_active_idx": 0,
        "altup_coef_clip": 120.0,
        "altup_correct_scale": True,
        "altup_lr_multiplier": 1.0,
        "altup_num_inputs": 4,
        "final_logit_softcapping": 30.0,
        "head_dim": 256,
        "hidden_size_per_layer_input": 256,
        "laurel_rank": 64,
        "num_kv_shared_layers": n_shared,
        "query_pre_attn_scalar": 256,
        "rope_local_base_freq": 10_000.0,
        "rope_scaling": None,
        "rope_theta": 1_000_000.0,
        "sliding_window": 512,
        "vocab_size_per_layer_input": 262_144,
    }
    return {"model_type": "gemma3n", "text_config": text, "vision_config": {"hidden_size": 2048}}


def every_nth_full(n: int, n_layers: int) -> list[str]:
    return ["sliding_attention" if (layer + 1) % n else "full_attention" for layer in range(n_layers)]


# Nemotron Super 49B: one letter a layer, which says what multiplies the width of its feed-forward layer. Layers with a
# small letter have no attention.
SUPER_LAYERS = "HWWWWWhhWWWe" + "W" * 30 + "qhhqwqhqqqWqnnqnnnqqttnnttntt" + "W" * 9
SUPER_WIDTHS = {"w": 5.25, "e": 3.28125, "h": 2.625, "q": 1.3125, "n": 1.0, "t": 0.5}

# The layers of Zamba2 7B that have one of the shared blocks.
ZAMBA2_SHARED = [6, *range(11, 81, 6)]

PUBLISHED: dict[str, Settings] = {
    **EARLIER,
    "apertus-8b": {
        "model_type": "apertus",
        **sized(4096, 21_504, 32, 32, 8, 131_072, 65_536),
        "hidden_act": "xielu",
        "post_norm": False,
        "qk_norm": True,
        "rms_norm_eps": 1e-5,
        "rope_scaling": {
            "rope_type": "llama3",
            "factor": 8.0,
            "low_freq_factor": 1.0,
            "high_freq_factor": 4.0,
            "original_max_position_embeddings": 8192,
        },
        "rope_theta": 12_000_000,
        "tie_word_embeddings": False,
    },
    "deepseek-r1": DEEPSEEK_V3,
    "deepseek-v2": deepseek_v2(
        *(5120, 12_288, 60, 128, 128),
        moe_intermediate_size=1536,
        n_routed_experts=160,
        topk_method="group_limited_greedy",
        n_group=8,
        topk_group=3,
        routed_scaling_factor=16.0,
    ),
    "deepseek-v2-lite": deepseek_v2(
        *(2048, 10_944, 27, 16, 16), moe_intermediate_size=1408, q_lora_rank=None, topk_method="greedy", n_group=1
    ),
    "deepseek-v3": DEEPSEEK_V3,
    "deepseek-v3.1": DEEPSEEK_V3 | {"quantization_config": FP8_BLOCKS | {"scale_fmt": "ue8m0"}},
    "deepseek-v3.2": DEEPSEEK_V3
    | {"model_type": "deepseek_v32", "index_n_heads": 64, "index_head_dim": 128, "index_topk": 2048},
    "deepseek-v4-flash": deepseek_v4([0, 0, *[4, 128] * 20, 4, 0]),
    "deepseek-v4-pro": deepseek_v4(
        [128, *[128, 4] * 30, 0],
        hidden_size=7168,
        num_hidden_layers=61,
        num_attention_heads=128,
        q_lora_rank=1536,
        o_groups=16,
        index_topk=1024,
        n_routed_experts=384,
        moe_intermediate_size=3072,
        routed_scaling_factor=2.5,
    ),
    "devstral-2-123b": {
        "model_type": "ministral3",
        **sized(12_288, 28_672, 88, 96, 8, 131_072, 262_144),
        "head_dim": 128,
        "rms_norm_eps": 1e-5,
        "rope_parameters": {
            "rope_type": "yarn",
            "rope_theta": 1_000_000.0,
            "factor": 64.0,
            "original_max_position_embeddings": 4096,
            "beta_fast": 4.0,
            "beta_slow": 1.0,
            "mscale": 1.0,
            "mscale_all_dim": 0.0,
            "llama_4_scaling_beta": 0.0,
        },
        "sliding_window": None,
        "tie_word_embeddings": False,
        "quantization_config": {
            "quant_method": "fp8",
            "activation_scheme": "static",
            "modules_to_not_convert": ["model.vision_tower", "model.multi_modal_projector", "lm_head"],
            "weight_block_size": None,
        },
    },
    "exaone-4.0-32b": {
        "model_type": "exaone4",
        **sized(5120, 27_392, 64, 40, 8, 102_400, 131_072),
        "head_dim": 128,
        "layer_types": every_nth_full(4, 64),
        "rms_norm_eps": 1e-5,
        "rope_scaling": {
            "rope_type": "llama3",
            "factor": 16.0,
            "low_freq_factor": 1.0,
            "high_freq_factor": 4.0,
            "original_max_position_embeddings": 8192,
        },
        "rope_theta": 1_000_000,
        "sliding_window": 4096,
        "sliding_window_pattern": "LLLG",
        "tie_word_embeddings": False,
    },
    "falcon-h1-0.5b": {
        "model_type": "falcon_h1",
        **sized(1024, 2048, 36, 8, 2, 32_784, 16_384),
        "attention_in_multiplier": 1.0,
        "attention_out_multiplier": 0.9375,
        "embedding_multiplier": 5.656854249492381,
        "head_dim": 64,
        "key_multiplier": 0.390625,
        "lm_head_multiplier": 0.0390625,
        "mamba_d_head": 64,
        "mamba_d_ssm": 1536,
        "mamba_d_state": 128,
        "mamba_n_heads": 24,
        "mlp_multipliers": [0.8838834764831844, 0.5859375],
        "rope_theta": 100_000_000_000.0,
        "ssm_in_multiplier": 1.25,
        "ssm_multipliers": [0.3535533905932738, 0.25, 0.3535533905932738, 0.5, 0.3535533905932738],
        "ssm_out_multiplier": 0.23570226039551587,
    },
    "gemma3-12b": gemma3_seeing(3840, 15_360, 48, 16, 8),
    "gemma-3n-e2b": gemma3n(30, 8192, 10),
    "gemma-3n-e4b": gemma3n(35, 16_384, 15),
    "gemma-4-26b-a4b": gemma4(
        every_nth_full(6, 30),
        *(2816, 2112, 30, 16, 8, 262_144, 262_144),
        hidden_size_per_layer_input=0,
        attention_k_eq_v=True,
        num_global_key_value_heads=2,
        sliding_window=1024,
        enable_moe_block=True,
        num_experts=128,
        top_k_experts=8,
        moe_intermediate_size=704,
        use_bidirectional_attention="vision",
    ),
    "gemma-4-31b": gemma4(
        every_nth_full(6, 60),
        *(5376, 21_504, 60, 32, 16, 262_144, 262_144),
        hidden_size_per_layer_input=0,
        attention_k_eq_v=True,
        num_global_key_value_heads=4,
        num_kv_shared_layers=0,
        sliding_window=1024,
        enable_moe_block=False,
        use_double_wide_mlp=False,
        use_bidirectional_attention="vision",
    ),
    "gemma-4-e2b": gemma4(
        every_nth_full(5, 35),
        *(1536, 6144, 35, 8, 1, 262_144, 131_072),
        num_kv_shared_layers=20,
        use_double_wide_mlp=True,
    ),
    "gemma-4-e4b": gemma4(
        every_nth_full(6, 42),
        *(2560, 10_240, 42, 8, 2, 262_144, 131_072),
        num_kv_shared_layers=18,
        use_double_wide_mlp=False,
    ),
    "gemma3-1b": gemma3(1152, 6912, 26, 4, 1, 262_144, 32_768, sliding_window=512, rope_scaling=None),
    "gemma3-270m": gemma3(640, 2048, 18, 4, 1, 262_144, 32_768, sliding_window=512, rope_local_base_freq=10_000),
    "gemma3-27b": gemma3_seeing(5376, 21_504, 62, 32, 16, head_dim=128, query_pre_attn_scalar=168),
    "gemma3-4b": gemma3_seeing(2560, 10_240, 34, 8, 4),
    "glm-4.5": GLM_4,
    "glm-4.5-air": glm4(4096, 10_944, 46, 96, 8),
    "glm-4.6": GLM_4 | {"max_position_embeddings": 202_752},
    "glm-4.7": GLM_4 | {"max_position_embeddings": 202_752},
    "glm-4.7-flash": {
        "model_type": "glm4_moe_lite",
        **sized(2048, 10_240, 47, 20, 20, 154_880, 202_752),
        "n_routed_experts": 64,
        "num_experts_per_tok": 4,
        "moe_intermediate_size": 1536,
        "first_k_dense_replace": 1,
        "q_lora_rank": 768,
        "topk_method": "noaux_tc",
        "norm_topk_prob": True,
        "partial_rotary_factor": 1.0,
        "rope_scaling": None,
        "rope_theta": 1_000_000,
        "num_nextn_predict_layers": 1,
    },
    "glm-5": GLM_5,
    "glm-5.2": GLM_5
    | {"max_position_embeddings": 1_048_576, "rope_parameters": {"rope_theta": 8_000_000, "rope_type": "default"}}
    | {"head_dim": 192, "index_topk_freq": 4, "index_skip_topk_offset": 3, "index_share_for_mtp_iteration": True}
    | {"indexer_types": ["full", "full", *["full", "shared", "shared", "shared"] * 19]},
    "gpt-oss-120b": gpt_oss(36, 128),
    "gpt-oss-20b": gpt_oss(24, 32),
    "gpt2": gpt2(768, 12, 12),
    "gpt2-large": gpt2(1280, 36, 20),
    "gpt2-medium": gpt2(1024, 24, 16),
    "gpt2-xl": gpt2(1600, 48, 25),
    "granite-4.0-h-small": granite_4_h(
        *(4096, 768, 40, 32, 8),
        logits_scaling=16,
        mamba_n_heads=128,
        num_local_experts=72,
        num_experts_per_tok=10,
        shared_intermediate_size=1536,
    ),
    "granite-4.0-h-tiny": granite_4_h(
        *(1536, 512, 40, 12, 4),
        logits_scaling=6,
        mamba_n_heads=48,
        num_local_experts=64,
        num_experts_per_tok=6,
        shared_intermediate_size=1024,
    ),
    "grok-2.5": {
        "model_type": "git",
        "architectures": ["Grok1ForCausalLM"],
        **sized(8192, 32_768, 64, 64, 8, 131_072, 131_072),
        "head_dim": 128,
        "moe_intermediate_size": 16_384,
        "num_local_experts": 8,
        "num_experts_per_tok": 2,
        "residual_moe": True,
        "rms_norm_eps": 1e-5,
        "rope_theta": 208_533_496,
        "rope_type": "original",
        "embedding_multiplier_scale": 90.50966799187809,
        "output_multiplier_scale": 0.5,
        "final_logit_softcapping": 50,
        "attn_logit_softcapping": 30.0,
        "router_logit_softcapping": 30.0,
        "attn_temperature_len": 1024,
        "sliding_window_size": -1,
    },
    "jamba-v0.1": {
        "model_type": "jamba",
        **sized(4096, 14_336, 32, 32, 8, 65_536, 262_144),
        "attn_layer_offset": 4,
        "attn_layer_period": 8,
        "expert_layer_offset": 1,
        "expert_layer_period": 2,
        "mamba_d_conv": 4,
        "mamba_d_state": 16,
        "mamba_dt_rank": 256,
        "mamba_expand": 2,
        "num_experts": 16,
        "num_experts_per_tok": 2,
        "sliding_window": None,
        "tie_word_embeddings": False,
    },
    "k-exaone-236b-a23b": {
        "model_type": "exaone_moe",
        **sized(6144, 18_432, 48, 64, 8, 153_600, 262_144),
        "head_dim": 128,
        "first_k_dense_replace": 1,
        "layer_types": every_nth_full(4, 48),
        "mlp_layer_types": ["dense", *["sparse"] * 47],
        "moe_intermediate_size": 2048,
        "n_group": 1,
        "norm_topk_prob": True,
        "num_experts": 128,
        "num_experts_per_tok": 8,
        "num_nextn_predict_layers": 1,
        "num_shared_experts": 1,
        "rms_norm_eps": 1e-5,
        "rope_parameters": {"rope_theta": 1_000_000, "rope_type": "default"},
        "routed_scaling_factor": 2.5,
        "scoring_func": "sigmoid",
        "sliding_window": 128,
        "sliding_window_pattern": "LLLG",
        "topk_group": 1,
        "topk_method": "noaux_tc",
    },
    "kimi-k2": KIMI_K2,
    "kimi-k2.5": {
        "model_type": "kimi_k25",
        "text_config": KIMI_K2
        | {"max_position_embeddings": 262_144, "rms_norm_eps": 1e-5, "rope_scaling": yarn(64, 1.0, beta_fast=32.0)}
        | {"quantization_config": INT4_EXPERTS},
        "vision_config": {"vt_hidden_size": 1152},
        "tie_word_embeddings": False,
    },
    "lfm2-1.2b": {
        "model_type": "lfm2",
        "block_auto_adjust_ff_dim": True,
        "block_dim": 2048,
        "block_ff_dim": 12_288,
        "block_ffn_dim_multiplier": 1.0,
        "block_mlp_init_scale": 1.0,
        "block_multiple_of": 256,
        "block_norm_eps": 1e-5,
        "block_out_init_scale": 1.0,
        "block_use_swiglu": True,
        "block_use_xavier_init": True,
        "conv_L_cache": 3,
        "conv_bias": False,
        "conv_dim": 2048,
        "conv_dim_out": 2048,
        "conv_use_xavier_init": True,
        "full_attn_idxs": [2, 5, 8, 10, 12, 14],
        "hidden_size": 2048,
        "max_position_embeddings": 128_000,
        "norm_eps": 1e-5,
        "num_attention_heads": 32,
        "num_heads": 32,
        "num_hidden_layers": 16,
        "num_key_value_heads": 8,
        "rope_theta": 1_000_000.0,
        "theta": 1_000_000.0,
        "use_pos_enc": True,
        "vocab_size": 65_536,
    },
    "hy3-295b-a21b": {
        "model_type": "hy_v3",
        **sized(4096, 13_312, 80, 64, 8, 120_832, 262_144),
        "head_dim": 128,
        "first_k_dense_replace": 1,
        "num_experts": 192,
        "num_experts_per_tok": 8,
        "num_shared_experts": 1,
        "moe_intermediate_size": 1536,
        "moe_router_enable_expert_bias": True,
        "moe_router_use_sigmoid": True,
        "route_norm": True,
        "router_scaling_factor": 2.826,
        "qk_norm": True,
        "rms_norm_eps": 1e-5,
        "rope_parameters": {"rope_theta": 11_158_840.0, "rope_type": "default"},
        "num_nextn_predict_layers": 1,
    },
    "laguna-xs.2": {
        "model_type": "laguna",
        **sized(2048, 8192, 40, 48, 8, 100_352, 262_144),
        "head_dim": 128,
        "gating": True,
        "layer_types": ["full_attention", *["sliding_attention"] * 3] * 10,
        "mlp_layer_types": ["dense", *["sparse"] * 39],
        "num_attention_heads_per_layer": [48, 64, 64, 64] * 10,
        "num_experts": 256,
        "num_experts_per_tok": 8,
        "moe_intermediate_size": 512,
        "shared_expert_intermediate_size": 512,
        "moe_routed_scaling_factor": 2.5,
        "sliding_window": 512,
        "rope_parameters": {
            "full_attention": {
                "rope_type": "yarn",
                "rope_theta": 500_000.0,
                "factor": 64.0,
                "original_max_position_embeddings": 4096,
                "beta_slow": 1.0,
                "beta_fast": 64.0,
                "attention_factor": 1.4158883083359672,
                "partial_rotary_factor": 0.5,
            },
            "sliding_attention": {"rope_type": "default", "rope_theta": 10_000.0, "partial_rotary_factor": 1.0},
        },
    },
    "lfm2-8b-a1b": {
        "model_type": "lfm2_moe",
        **sized(2048, 7168, 24, 32, 8, 65_536, 128_000),
        "conv_L_cache": 3,
        "conv_bias": False,
        "layer_types": [*["conv", "conv", "full_attention", "conv"] * 5, "conv", "full_attention", "conv", "conv"],
        "moe_intermediate_size": 1792,
        "norm_eps": 1e-5,
        "norm_topk_prob": True,
        "num_dense_layers": 2,
        "num_experts": 32,
        "num_experts_per_tok": 4,
        "rope_parameters": {"rope_theta": 1_000_000.0, "rope_type": "default"},
        "routed_scaling_factor": 1.0,
        "tie_word_embeddings": True,
        "use_expert_bias": True,
    },
    "ling-mini-2.0": {
        "model_type": "bailing_moe",
        **sized(2048, 5120, 20, 16, 4, 157_184, 32_768),
        "first_k_dense_replace": 1,
        "head_dim": 128,
        "hidden_act": "silu",
        "moe_intermediate_size": 512,
        "moe_router_enable_expert_bias": True,
        "moe_shared_expert_intermediate_size": 512,
        "n_group": 8,
        "norm_topk_prob": True,
        "num_experts": 256,
        "num_experts_per_tok": 8,
        "num_shared_experts": 1,
        "partial_rotary_factor": 0.5,
        "rms_norm_eps": 1e-6,
        "rope_scaling": None,
        "rope_theta": 600_000,
        "routed_scaling_factor": 2.5,
        "score_function": "sigmoid",
        "tie_word_embeddings": False,
        "topk_group": 4,
        "use_bias": False,
        "use_qk_norm": True,
        "use_qkv_bias": False,
    },
    "llama3-8b": llama3(None, 8192, **LLAMA_8B),
    "llama3.1-405b": llama3(8.0, 131_072, **LLAMA_405B),
    "llama3.1-70b": llama3(8.0, 131_072, **LLAMA_70B),
    "llama3.1-8b": llama3(8.0, 131_072, **LLAMA_8B),
    "llama3.2-1b": llama3(32.0, 131_072, **LLAMA_1B),
    "llama3.2-3b": llama3(32.0, 131_072, **LLAMA_3B),
    "llama3.3-70b": llama3(8.0, 131_072, **LLAMA_70B),
    "llama4-maverick": llama4(1_048_576, num_local_experts=128, interleave_moe_layer_step=2, use_qk_norm=False),
    "llama4-scout": llama4(
        10_485_760,
        rope_scaling={
            "rope_type": "llama3",
            "factor": 16.0,
            "low_freq_factor": 1.0,
            "high_freq_factor": 1.0,
            "original_max_position_embeddings": 8192,
        },
    ),
    "longcat-flash": {
        "model_type": "longcat_flash",
        "attention_method": "MLA",
        "mla_scale_kv_lora": True,
        "mla_scale_q_lora": True,
        "router_bias": False,
        "rope_theta": 10_000_000.0,
        "zero_expert_type": "identity",
    },
    "mimo-v2-flash": {
        "model_type": "mimo_v2_flash",
        **sized(4096, 16_384, 48, 64, 4, 152_576, 262_144),
        "head_dim": 192,
        "v_head_dim": 128,
        "swa_num_attention_heads": 64,
        "swa_num_key_value_heads": 8,
        "swa_head_dim": 192,
        "swa_v_head_dim": 128,
        "hybrid_layer_pattern": [0, *[1] * 4, *[0, *[1] * 5] * 7, 0],
        "moe_layer_freq": [0, *[1] * 47],
        "n_routed_experts": 256,
        "num_experts_per_tok": 8,
        "moe_intermediate_size": 2048,
        "n_shared_experts": None,
        "norm_topk_prob": True,
        "scoring_func": "sigmoid",
        "routed_scaling_factor": None,
        "attention_value_scale": 0.707,
        "add_swa_attention_sink_bias": True,
        "add_full_attention_sink_bias": False,
        "sliding_window": 128,
        "sliding_window_size": 128,
        "attention_chunk_size": 128,
        "partial_rotary_factor": 0.334,
        "rope_theta": 5_000_000,
        "swa_rope_theta": 10_000,
        "layernorm_epsilon": 1e-5,
        "quantization_config": FP8_BLOCKS
        | {"ignored_layers": [f"model.layers.{layer}.self_attn.o_proj" for layer in range(48)]},
    },
    "minimax-m1": minimax("minimax_m1"),
    "minimax-m2": {
        "model_type": "minimax_m2",
        **sized(3072, 1536, 62, 48, 8, 200_064, 196_608),
        "head_dim": 128,
        "attn_type_list": [1] * 62,
        "num_local_experts": 256,
        "num_experts_per_tok": 8,
        "scoring_func": "sigmoid",
        "use_routing_bias": True,
        "use_qk_norm": True,
        "qk_norm_type": "per_layer",
        "rope_theta": 5_000_000,
        "rotary_dim": 64,
        "shared_intermediate_size": 0,
        "use_mtp": True,
        "num_mtp_modules": 3,
        "mtp_transformer_layers": 1,
        "quantization_config": FP8_BLOCKS
        | {"fmt": "float8_e4m3fn", "modules_to_not_convert": ["gate", "e_score_correction_bias", "lm_head"]},
    },
    "minimax-text-01": minimax("minimax_text_01"),
    "mistral-7b-v0.1": {"model_type": "mistral", "rms_norm_eps": 1e-5, "max_position_embeddings": 32_768},
    "minimax-m3": {
        "model_type": "minimax_m3_vl",
        "text_config": {
            **sized(6144, 3072, 60, 64, 4, 200_064, 1_048_576),
            "hidden_act": "swigluoai",
            "partial_rotary_factor": 0.5,
            "rotary_dim": 64,
            "rope_theta": 5_000_000,
            "moe_layer_freq": [0, 0, 0, *[1] * 57],
            "sparse_attention_config": {
                "use_sparse_attention": True,
                "sparse_attention_freq": [0, 0, 0, *[1] * 57],
                "sparse_disable_index_value": [0, 0, 0, *[1] * 57],
                "sparse_block_size": 128,
                "sparse_topk_blocks": 16,
            },
            "num_mtp_modules": 1,
        },
        "vision_config": {"hidden_size": 1280},
        "projector_hidden_size": 6144,
    },
    "mistral-large-3": {  # its params.json
        "dim": 7168,
        "hidden_dim": 16_384,
        "n_layers": 61,
        "n_heads": 128,
        "n_kv_heads": 128,
        "head_dim": 192,
        "q_lora_rank": 1536,
        "kv_lora_rank": 512,
        "qk_nope_head_dim": 128,
        "qk_rope_head_dim": 64,
        "v_head_dim": 128,
        "vocab_size": 131_072,
        "max_position_embeddings": 294_912,
        "norm_eps": 1e-6,
        "rope_theta": 10_000.0,
        "tied_embeddings": False,
        "moe": {
            "num_experts": 128,
            "num_experts_per_tok": 4,
            "expert_hidden_dim": 4096,
            "num_shared_experts": 1,
            "first_k_dense_replace": 3,
            "route_every_n": 1,
            "routed_scale": 1.0,
            "num_expert_groups": 1,
            "num_expert_groups_per_tok": 1,
        },
        "llama_4_scaling": {"beta": 0.1, "original_max_position_embeddings": 8192},
        "yarn": {
            "factor": 36,
            "original_max_position_embeddings": 8192,
            "beta": 32,
            "alpha": 1,
            "apply_scale": False,
        },
        "quantization_config": {
            "quant_method": "compressed-tensors",
            "format": "float-quantized",
            "config_groups": {
                "FP8_BLOCK": {
                    "targets": ["Linear"],
                    "weights": {"type": "float", "num_bits": 8, "strategy": "block", "block_structure": [128, 128]},
                }
            },
            "ignore": ["model.embed_tokens"],
        },
        "vision_encoder": {"hidden_size": 1664},
    },
    "mistral-small-3.1-24b": {
        "model_type": "mistral3",
        "text_config": {
            "model_type": "mistral",
            **sized(5120, 32_768, 40, 32, 8, 131_072, 131_072),
            "head_dim": 128,
            "rms_norm_eps": 1e-5,
            "rope_theta": 1_000_000_000.0,
            "sliding_window": None,
        },
        "vision_config": {},
        "tie_word_embeddings": False,
    },
    "mixtral-8x7b": {"model_type": "mixtral", "rope_theta": 1e6, "max_position_embeddings": 32_768},
    "nemotron-3-nano-30b-a3b": nemotron_3(
        *(2688, 32, 2, "MEMEM*E" * 5 + "MEMEMEM*EMEMEMEME"),
        intermediate_size=1856,
        mamba_num_heads=64,
        n_routed_experts=128,
        num_experts_per_tok=6,
        moe_intermediate_size=1856,
        moe_shared_expert_intermediate_size=3712,
        routed_scaling_factor=2.5,
    ),
    "nemotron-3-super-120b-a12b": nemotron_3(
        *(4096, 32, 2, "MEMEMEM*E" + "MEMEMEM*E" + "MEMEMEM*E" + "MEMEMEMEM*E" * 4 + "MEMEMEM*EMEMEMEME"),
        intermediate_size=2688,
        mamba_num_heads=128,
        n_routed_experts=512,
        num_experts_per_tok=22,
        moe_intermediate_size=2688,
        moe_shared_expert_intermediate_size=5376,
        routed_scaling_factor=5.0,
        moe_latent_size=1024,
        mtp_hybrid_override_pattern="*E",
        num_nextn_predict_layers=1,
        time_step_limit=[0.0, float("inf")],
    ),
    "nemotron-h-56b": nemotron_h(
        *(8192, 64, 8, "M-M-M-M*-" + "M-M-M-M-M*-" * 9 + "M-M-M-M-M-"),
        attention_head_dim=128,
        intermediate_size=32_768,
        mamba_num_heads=256,
        ssm_state_size=256,
        max_position_embeddings=8192,
        time_step_limit=[0.0, float("inf")],
        time_step_rank=512,
    ),
    "nemotron-nano-9b-v2": nemotron_h(
        *(4480, 40, 8, "M-M-M-MM-M-M-M*-M-M-M*-M-M-M-M*-M-M-M-M*-M-MM-M-M-M-M-M-"),
        head_dim=128,
        intermediate_size=15_680,
        mamba_head_dim=80,
        mamba_num_heads=128,
        ssm_state_size=128,
        max_position_embeddings=131_072,
        time_step_limit=[0.0, float("inf")],
        time_step_rank=256,
    ),
    "nemotron-super-49b": {
        "model_type": "nemotron-nas",
        "architectures": ["DeciLMForCausalLM"],
        **LLAMA_70B,
        "num_key_value_heads": None,
        "intermediate_size": None,
        "max_position_embeddings": 131_072,
        "attention_bias": False,
        "hidden_act": "silu",
        "mlp_bias": False,
        "tie_word_embeddings": False,
        "rms_norm_eps": 1e-5,
        "rope_theta": 500_000.0,
        "rope_scaling": {
            "rope_type": "llama3",
            "factor": 8.0,
            "low_freq_factor": 1.0,
            "high_freq_factor": 4.0,
            "original_max_position_embeddings": 8192,
        },
        "block_configs": [
            {
                "attention": {"n_heads_in_group": 8, "no_op": False} if layer.isupper() else {"no_op": True},
                "ffn": {"ffn_mult": SUPER_WIDTHS[layer.lower()], "no_op": False},
            }
            for layer in SUPER_LAYERS
        ],
    },
    "olmo2-13b": olmo2(5120, 13_824, 40, 40, 40),
    "olmo2-1b": olmo2(2048, 8192, 16, 16, 16),
    "olmo2-32b": olmo2(5120, 27_648, 64, 40, 8),
    "olmo2-7b": olmo2(4096, 11_008, 32, 32, 32),
    "olmo3-32b": olmo3(5120, 27_648, 64, 40, 8),
    "olmo3-7b": olmo3(4096, 11_008, 32, 32, 32),
    "qwen3-0.6b": qwen3(1024, 3072, 28, 16, 8, tie_word_embeddings=True),
    "qwen3-1.7b": qwen3(2048, 6144, 28, 16, 8, tie_word_embeddings=True),
    "qwen3-14b": qwen3(5120, 17_408, 40, 40, 8),
    "qwen3-235b-a22b": qwen3_moe(4096, 12_288, 94, 64, 4, moe_intermediate_size=1536),
    "qwen3-30b-a3b": qwen3_moe(2048, 6144, 48, 32, 4, moe_intermediate_size=768),
    "qwen3-32b": qwen3(5120, 25_600, 64, 64, 8),
    "qwen3-4b": qwen3(2560, 9728, 36, 32, 8, tie_word_embeddings=True),
    "kimi-linear-48b-a3b": {
        "model_type": "kimi_linear",
        **sized(2304, 9216, 27, 32, 32, 163_840, 1_048_576),
        "head_dim": 72,
        "linear_attn_config": {
            "full_attn_layers": [4, 8, 12, 16, 20, 24, 27],
            "kda_layers": [layer for layer in range(1, 27) if layer % 4],
            "head_dim": 128,
            "num_heads": 32,
            "short_conv_kernel_size": 4,
        },
        "mla_use_nope": True,
        "moe_router_activation_func": "sigmoid",
        "num_expert_group": 1,
        "use_grouped_topk": True,
        "rope_theta": 10_000.0,
    },
    "qwen3-next-80b-a3b": {
        "model_type": "qwen3_next",
        "full_attention_interval": 4,
        "max_position_embeddings": 262_144,
        "rope_theta": 10_000_000,
    },
    "qwen3.5-27b": QWEN3_5_27B,
    "qwen3.5-35b-a3b": qwen3_5_moe(*(2048, 512, 40, 16, 2), 256, 8, 32),
    "qwen3.5-122b-a10b": qwen3_5_moe(*(3072, 1024, 48, 32, 2), 256, 8, 64),
    "qwen3.5-397b-a17b": qwen3_5_moe(*(4096, 1024, 60, 32, 2), 512, 10, 64),
    "qwen3.6-27b": QWEN3_5_27B,
    "qwen3-8b": qwen3(4096, 12_288, 36, 32, 8),
    "qwen3-coder-480b-a35b": qwen3_moe(6144, 8192, 62, 96, 8, moe_intermediate_size=2560, num_experts=160)
    | {"rope_theta": 10_000_000, "max_position_embeddings": 262_144, "use_qk_norm": True, "qkv_bias": False},
    "recurrentgemma-2b": {
        "model_type": "recurrent_gemma",
        "_block_types": ["recurrent", "recurrent", "attention"],
        "attention_window_size": 2048,
        "conv1d_width": 4,
        "embeddings_scale_by_sqrt_dim": True,
        "head_dim": 256,
        "hidden_activation": "gelu_pytorch_tanh",
        "hidden_size": 2560,
        "intermediate_size": 15_360,
        "logits_soft_cap": 30.0,
        "lru_width": 2560,
        "num_attention_heads": 10,
        "num_hidden_layers": 26,
        "num_key_value_heads": 1,
        "partial_rotary_factor": 0.5,
        "rms_norm_eps": 1e-6,
        "rope_theta": 10_000.0,
        "vocab_size": 256_000,
        "max_position_embeddings": 8192,  # not in the file; the paper's length of training
    },
    "step-3.5-flash": {
        "model_type": "step3p5",
        "hidden_size": 4096,
        "intermediate_size": 11_264,
        "num_hidden_layers": 45,
        "num_attention_heads": 64,
        "num_attention_groups": 8,
        "attention_other_setting": {
            "attention_type": "sliding_attention",
            "num_attention_heads": 96,
            "num_attention_groups": 8,
            "head_dim": 128,
            "true_head_dim": 128,
        },
        "head_dim": 128,
        "vocab_size": 128_896,
        "max_seq_len": 262_144,
        "max_position_embeddings": 262_144,
        # The lists go on for the three prediction blocks.
        "layer_types": ["full_attention", *["sliding_attention"] * 3] * 12,
        "rope_theta": [5_000_000.0, *[10_000.0] * 3] * 12,
        "partial_rotary_factors": [0.5, *[1.0] * 3] * 12,
        "swiglu_limits": [*[0.0] * 43, 7.0, 7.0, *[0.0] * 3],
        "swiglu_limits_shared": [*[0.0] * 44, 16.0, *[0.0] * 3],
        "rope_scaling": {
            "rope_type": "llama3",
            "factor": 2.0,
            "original_max_position_embeddings": 131_072,
            "low_freq_factor": 1.0,
            "high_freq_factor": 32.0,
        },
        "yarn_only_types": ["full_attention"],
        "sliding_window": 512,
        "use_head_wise_attn_gate": True,
        "use_qk_norm": True,
        "zero_centered": True,
        "moe_layers_enum": ",".join(map(str, range(3, 45))),
        "moe_num_experts": 288,
        "moe_top_k": 8,
        "moe_intermediate_size": 1280,
        "share_expert_dim": 1280,
        "moe_router_activation": "sigmoid",
        "moe_router_scaling_factor": 3.0,
        "norm_expert_weight": True,
        "use_moe_router_bias": True,
        "num_nextn_predict_layers": 3,
    },
    "seed-oss-36b": {
        "model_type": "seed_oss",
        **sized(5120, 27_648, 64, 80, 8, 155_136, 524_288),
        "head_dim": 128,
        "attention_bias": True,
        "attention_out_bias": False,
        "rope_scaling": {"rope_type": "default"},
        "rope_theta": 10_000_000.0,
        "tie_word_embeddings": False,
    },
    "smollm3-3b": {
        "model_type": "smollm3",
        "rope_theta": 5_000_000.0,
        "max_position_embeddings": 65_536,
        "no_rope_layers": [1, 1, 1, 0] * 9,
    },
    "trinity-large": {
        "model_type": "afmoe",
        **sized(3072, 12_288, 60, 48, 8, 200_192, 262_144),
        "head_dim": 128,
        "global_attn_every_n_layers": 4,
        "layer_types": every_nth_full(4, 60),
        "moe_intermediate_size": 3072,
        "mup_enabled": True,
        "n_group": 1,
        "num_dense_layers": 6,
        "num_experts": 256,
        "num_experts_per_tok": 4,
        "num_shared_experts": 1,
        "rms_norm_eps": 1e-5,
        "rope_scaling": None,
        "rope_theta": 10_000.0,
        "route_norm": True,
        "route_scale": 2.448,
        "score_func": "sigmoid",
        "sliding_window": 4096,
        "tie_word_embeddings": False,
        "topk_group": 1,
    },
    "zamba2-7b": {
        "model_type": "zamba2",
        **sized(3584, 14_336, 81, 32, 32, 32_000, 4096),
        "attention_head_dim": 224,
        "attention_hidden_size": 7168,
        "adapter_rank": 128,
        "hybrid_layer_ids": ZAMBA2_SHARED,
        "layers_block_type": ["hybrid" if layer in ZAMBA2_SHARED else "mamba" for layer in range(81)],
        "mamba_d_conv": 4,
        "mamba_d_state": 64,
        "mamba_expand": 2,
        "mamba_headdim": 64,
        "mamba_ngroups": 2,
        "n_mamba_heads": 112,
        "num_mem_blocks": 2,
        "rms_norm_eps": 1e-5,
        "rope_theta": 10_000,
        "time_step_limit": None,
        "use_conv_bias": True,
        "use_mem_rope": True,
        "use_shared_attention_adapter": False,
        "use_shared_mlp_adapter": True,
    },
}
