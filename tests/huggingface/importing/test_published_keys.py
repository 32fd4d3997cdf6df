"""Keys of published files that change nothing: read as without them, and refused with a value that would."""

from __future__ import annotations

from typing import Any

import pytest

from llmarch_cli.errors import InputError
from llmarch_cli.huggingface.importing import import_config

Settings = dict[str, Any]

SIZES: Settings = {
    "vocab_size": 96,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 64,
}

REQUIRED: dict[str, Settings] = {
    "deepseek_v2": {"num_experts_per_tok": 2, "num_key_value_heads": 4},
    "glm_moe_dsa": {"num_key_value_heads": 4},
    "deepseek_v4": {"num_key_value_heads": 1, "o_groups": 4},
    "bamba": {"mamba_n_heads": 4, "mamba_d_state": 8, "attn_layer_indices": [1]},
    "nemotron_h": {"hybrid_override_pattern": "M*", "mamba_num_heads": 8, "mamba_head_dim": 8, "ssm_state_size": 8},
    "zamba2": {"layers_block_type": ["mamba", "hybrid"], "n_mamba_heads": 4, "num_key_value_heads": 4},
    "granitemoehybrid": {"mamba_n_heads": 4, "mamba_d_state": 8, "layer_types": ["mamba", "attention"]},
    "falcon_h1": {"mamba_n_heads": 4, "mamba_d_state": 8, "mamba_d_ssm": 64, "mamba_d_head": 16},
}

MROPE: Settings = {"mrope_section": [1, 1, 2], "interleaved": True, "mrope_interleaved": True, "rope_type": "default"}

# A family, keys beside its sizes, and one of them with a value that would change the model.
KEYS: dict[str, tuple[str, Settings, Settings | None]] = {
    "idefics3": (
        "llama",
        {
            "_vocab_size": 90,
            "additional_vocab_size": 6,
            "neftune_noise_alpha": 0.0,
            "perceiver_config": {},
            "pixel_shuffle_factor": 2,
            "qk_layer_norms": False,
            "use_resampler": False,
        },
        {"qk_layer_norms": True},
    ),
    "deepseek_vl2": ("deepseek_v2", {"lm_head": True, "rm_head": False, "use_mla": True}, {"use_mla": False}),
    "paligemma": ("gemma", {"num_image_tokens": 256}, None),
    "mimo_vl": ("qwen2_5_vl_text", {"attention_bias": True}, None),
    "hunyuan_a13b": ("hunyuan_v1_moe", {"num_media_embeds": 257, "vit_patch": 1, "vit_type": None}, {"vit_type": "x"}),
    "paddleocr_vl": (
        "paddleocr_vl_text",
        {"rope_is_neox_style": True, "use_3d_rope": True, "compression_ratio": 1.0, "ignored_index": -100},
        {"rope_is_neox_style": False},
    ),
    "qwen2_5_omni": ("qwen2_5_omni_text", {"init_std": 0.02}, None),
    "granite_code": ("llama", {"max_sequence_length": 4096}, None),
    "pixtral": ("mistral", {"is_composition": True}, None),
    "internvl": ("qwen2", {"moe_config": None}, {"moe_config": {"num_experts": 4}}),
    "qwen3_omni": (
        "qwen3_omni_moe_text",
        {"shared_expert_intermediate_size": 0, "use_qk_norm": True, "rope_scaling": MROPE},
        {"shared_expert_intermediate_size": 16},
    ),
    "minimax_m2": (
        "minimax_m2",
        {"attn_window_size": None, "max_model_len": None, "num_expert_group": None, "attn_type_list": [1, 1]},
        {"attn_window_size": 16},
    ),
    "exaone_4_5": (
        "exaone4",
        {
            "num_nextn_predict_layers": 1,
            "_num_mtp_layers": 1,
            "mtp_share_layers": True,
            "mtp_loss_scaling_factor": 0.05,
        },
        None,
    ),
    "glm_5_3": (
        "glm_moe_dsa",
        {
            "layer_types": ["deepseek_sparse_attention"] * 2,
            "head_dim": 192,
            "index_share_for_mtp_iteration": True,
        },
        {"layer_types": ["deepseek_sparse_attention", "full_attention"]},
    ),
    "glm_5_2": ("glm_moe_dsa", {"head_dim": 192}, {"head_dim": 128}),
    "qwen3_8": ("qwen3_5_text", {"output_gate_type": "swish"}, {"output_gate_type": "sigmoid"}),
    "intellect_3": ("glm4_moe", {"use_grouped_mm": True}, None),
    "laguna_s_norm": ("laguna", {"norm_topk_prob": True, "decoder_sparse_step": 1}, {"norm_topk_prob": False}),
    "laguna_s_lists": (
        "laguna",
        {"mlp_only_layers": [0], "gating_types": ["per_head"] * 2, "use_bidirectional_attention": False},
        {"mlp_only_layers": [1]},
    ),
    "laguna_s_gates": ("laguna", {"gating_types": ["per_head"] * 2}, {"gating_types": ["per_head", "per_element"]}),
    "deepseek_v4_saved": (
        "deepseek_v4",
        {
            **dict.fromkeys(("first_k_dense_replace", "kv_lora_rank", "n_group", "topk_group", "v_head_dim")),
            "rope_interleave": True,
            "qk_nope_head_dim": 448,
            "qk_rope_head_dim": 64,
        },
        {"n_group": 4},
    ),
    "granite_4_h": (
        "granitemoehybrid",
        {"init_method": "mup", "normalization_function": "rmsnorm", "model_name": "granite"},
        {"normalization_function": "layernorm"},
    ),
    "falcon_h1": (
        "falcon_h1",
        {
            "add_bos_token": False,
            "attn_layer_indices": None,
            "mlp_expansion_factor": 8,
            "expansion_factor": 1.5,
            "time_step_min": 0.001,
            "time_step_rank": "auto",
        },
        {"attn_layer_indices": [0]},
    ),
    "falcon_h1_mlp": ("falcon_h1", {"mamba_use_mlp": True}, {"mamba_use_mlp": False}),
    "jamba": (
        "jamba",
        {"calc_logits_for_entire_prompt": False, "mamba_inner_layernorms": True, "n_ctx": 262_144},
        {"mamba_inner_layernorms": False},
    ),
    "nemotron_nano_2": ("nemotron_h", {"num_query_groups": 2}, {"num_query_groups": 4}),
    "bamba": ("bamba", {"attn_rotary_emb": 4}, {"attn_rotary_emb": 8}),
    "hunyuan_a13b_off": (
        "hunyuan_v1_moe",
        {"n_group": False, "topk_group": False, "routed_scaling_factor": False, "group_limited_greedy": False},
        {"n_group": 2},
    ),
    "allam": ("llama", {"internal_version": "7b-alpha"}, None),
    "zamba2": (
        "zamba2",
        {"ffn_hidden_size": 48, "lora_rank": 128, "gated_linear_unit": True, "use_shared_mlp_adapter": True},
        {"ffn_hidden_size": 64},
    ),
    "k_exaone": ("exaone_moe", {"mtp_share_layers": False, "mtp_loss_scaling_factor": 0.05}, None),
    "hunyuan_7b": ("hunyuan_v1_dense", {"enable_lm_head_fp32": True}, None),
    "step_3_7": (
        "step3p5",
        {"first_k_dense_replace": 2, "num_experts": 288, "n_shared_experts": 1, "scoring_func": "sigmoid"},
        {"first_k_dense_replace": 1},
    ),
    "phi4mm": ("phi4_multimodal", {"full_attn_mod": 1, "interpolate_factor": 1}, {"full_attn_mod": 2}),
}


@pytest.mark.parametrize("model", KEYS)
def test_keys_without_effect(model: str) -> None:
    family, keys, changing = KEYS[model]
    config = {**SIZES, **REQUIRED.get(family, {}), "model_type": family}
    assert import_config({**config, **keys}) == import_config(config)
    if changing is not None:
        with pytest.raises(InputError, match=next(iter(changing))):
            import_config({**config, **keys, **changing})


@pytest.mark.parametrize(
    "key",
    [
        "audio_soft_tokens_per_image",
        "language_model_only",
        "use_image_newline_parameter",
        "system_message",
        "tile_tag",
        "image_seq_len",
    ],
)
def test_keys_of_a_wrapper(key: str) -> None:
    config = {"model_type": "llava_next", "text_config": {**SIZES, "model_type": "llama"}}
    assert import_config({**config, key: None}) == import_config(config)


def test_interleaved_is_unknown_beside_other_rotary_settings() -> None:
    with pytest.raises(InputError, match=r"rope_scaling\.interleaved: unknown key"):
        import_config({**SIZES, "model_type": "llama", "rope_scaling": {"rope_type": "default", "interleaved": True}})


def test_minicpm_without_a_base() -> None:
    """Its config class has 10,000, and the published files of the first generation do not say it."""
    scales = {"scale_emb": 12, "scale_depth": 1.4, "dim_model_base": 8, "hidden_act": "silu", "rms_norm_eps": 1e-5}
    config = {**SIZES, **scales, "model_type": "minicpm"}
    assert import_config(config) == import_config({**config, "rope_theta": 10_000.0})


def test_outer_keys_repeat_what_an_absent_inner_one_means() -> None:
    config = {"model_type": "llava", "text_config": {**SIZES, "model_type": "llama"}}
    assert import_config({**config, "rms_norm_eps": 1e-6, "hidden_act": "silu"}) == import_config(config)
    with pytest.raises(InputError, match="rms_norm_eps: unknown key"):
        import_config({**config, "rms_norm_eps": 1e-5})


def test_a_text_decoder_without_a_family() -> None:
    """Kimi-VL does not name the family of its text decoder."""
    config: Settings = {"model_type": "kimi_vl", "text_config": SIZES, "tie_word_embeddings": False}
    with pytest.raises(InputError, match=r"`llmarch import --assume text_config\.model_type=FAMILY` says it"):
        import_config(config)
    assert import_config(config, assume={"text_config.model_type": "llama"}).n_layers == 2


@pytest.mark.parametrize("name", ["MultiModalityCausalLM", "InternVLChatModel", "Ovis"])
def test_the_class_of_a_wrapper_need_not_say_that_it_generates(name: str) -> None:
    config = {"model_type": "other", "text_config": {**SIZES, "model_type": "llama"}}
    assert import_config({**config, "architectures": [name]}) == import_config(config)
    with pytest.raises(InputError, match="no language-model head"):
        import_config({**config, "architectures": ["OtherForSequenceClassification"]})


YARN: Settings = {"rope_type": "yarn", "factor": 16, "original_max_position_embeddings": 32}
V4: Settings = {**SIZES, **REQUIRED["deepseek_v4"], "model_type": "deepseek_v4"}


def test_deepseek_v4_repeats_the_base_of_other_layers_inside() -> None:
    """As transformers 5.7 saved it: its class overwrites the base inside with compress_rope_theta."""
    saved = {
        "rope_theta": 10_000,
        "compress_rope_theta": 160_000,
        "rope_parameters": YARN | {"rope_theta": 10_000, "partial_rotary_factor": 0.125},
        "compress_rope_parameters": YARN | {"rope_theta": 160_000, "partial_rotary_factor": 0.125},
    }
    assert import_config(V4 | saved) == import_config(V4 | {"rope_scaling": YARN})
    for changing in (YARN | {"rope_theta": 160_000, "factor": 8}, YARN):
        with pytest.raises(InputError, match="compress_rope_parameters"):
            import_config(V4 | saved | {"compress_rope_parameters": changing})
    with pytest.raises(InputError, match="compress_rope_parameters"):
        import_config(V4 | saved | {"rope_parameters": YARN | {"rope_theta": 500}})


LAGUNA: Settings = {
    **SIZES,
    "model_type": "laguna",
    "layer_types": ["full_attention", "sliding_attention"],
    "rope_parameters": {
        "full_attention": YARN | {"rope_theta": 500_000.0, "partial_rotary_factor": 0.5},
        "sliding_attention": {"rope_type": "default", "rope_theta": 10_000.0, "partial_rotary_factor": 1.0},
    },
}


def test_laguna_repeats_rotary_settings_of_one_layer_type() -> None:
    rotary = LAGUNA["rope_parameters"] | {"original_max_position_embeddings": 32}
    saved = LAGUNA | {"rope_parameters": rotary, "partial_rotary_factor": 0.5}
    assert import_config(saved) == import_config(LAGUNA)
    with pytest.raises(InputError, match=r"rope_parameters\.original_max_position_embeddings: 64 is not supported"):
        import_config(saved | {"rope_parameters": rotary | {"original_max_position_embeddings": 64}})
    with pytest.raises(InputError, match=r"partial_rotary_factor: 0\.25 is not supported"):
        import_config(saved | {"partial_rotary_factor": 0.25})


def test_lfm2_vl_says_how_images_are_cut() -> None:
    config = {"model_type": "lfm2_vl", "text_config": {**SIZES, "model_type": "lfm2"}}
    images = {"do_image_splitting": True, "encoder_patch_size": 16, "max_tiles": 10, "tile_size": 512}
    assert import_config(config | images) == import_config(config)


def test_ling_without_a_shared_expert() -> None:
    """Its code leaves the shared expert out where the number is null."""
    experts = {"head_dim": 8, "num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 16}
    others = {"first_k_dense_replace": 0, "norm_topk_prob": True, "use_qkv_bias": False, "hidden_act": "silu"}
    usual = {"rms_norm_eps": 1e-6, "rope_theta": 10_000, "tie_word_embeddings": False}
    config = {**SIZES, **experts, **others, **usual, "model_type": "bailing_moe"}
    assert import_config({**config, "num_shared_experts": None}) == import_config({**config, "num_shared_experts": 0})
