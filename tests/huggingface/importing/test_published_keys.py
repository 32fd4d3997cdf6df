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

REQUIRED: dict[str, Settings] = {"deepseek_v2": {"num_experts_per_tok": 2, "num_key_value_heads": 4}}

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


@pytest.mark.parametrize("key", ["use_image_newline_parameter", "system_message", "tile_tag", "image_seq_len"])
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


@pytest.mark.parametrize("name", ["MultiModalityCausalLM", "InternVLChatModel", "Ovis"])
def test_the_class_of_a_wrapper_need_not_say_that_it_generates(name: str) -> None:
    config = {"model_type": "other", "text_config": {**SIZES, "model_type": "llama"}}
    assert import_config({**config, "architectures": [name]}) == import_config(config)
    with pytest.raises(InputError, match="no language-model head"):
        import_config({**config, "architectures": ["OtherForSequenceClassification"]})
