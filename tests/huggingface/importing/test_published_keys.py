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
    config = {**SIZES, "model_type": family}
    assert import_config({**config, **keys}) == import_config(config)
    if changing is not None:
        with pytest.raises(InputError, match=next(iter(changing))):
            import_config({**config, **keys, **changing})


@pytest.mark.parametrize("key", ["use_image_newline_parameter", "system_message"])
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
