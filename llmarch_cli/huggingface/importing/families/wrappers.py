"""Multimodal configs by `model_type`, each with its text decoder. To add one, add an entry to the table.

Sizes of absent text configs, and defaults of `tie_word_embeddings`, are those of transformers; a test holds them equal.
"""

from __future__ import annotations

from typing import Any

from llmarch_cli.huggingface.importing.families.family import Ties, Wrapper, sizes
from llmarch_cli.huggingface.importing.keys import ANY


def _of_any(text: str, **fields: Any) -> Wrapper:
    """A wrapper around a text decoder of any family."""
    return Wrapper(text, any_text=True, **fields)


GOT: dict[str, Any] = sizes(151_860, 1024, 2816, 24, 16, 16, 32_768) | {
    "tie_word_embeddings": True,
    "rope_theta": 1_000_000.0,
    "max_window_layers": 21,
}
SMALL_QWEN: dict[str, Any] = {
    "hidden_size": 1024,
    "intermediate_size": 3072,
    "num_hidden_layers": 28,
    "num_attention_heads": 16,
    "num_key_value_heads": 8,
}
LORA = "The adapter of low rank that its class adds for audio is left out."

WRAPPERS: dict[str, Wrapper] = {
    # The text decoder's family is fixed.
    "aria": Wrapper("aria_text"),
    "emu3": Wrapper("emu3_text_model"),
    "ernie4_5_vl_moe": Wrapper("ernie4_5_vl_moe_text", tied=True),
    "gemma3": Wrapper("gemma3_text", tied=True, null_is_untied=True),
    "gemma3n": Wrapper("gemma3n_text", tied=True),
    "gemma4": Wrapper("gemma4_text", tied=True),
    "gemma4_unified": Wrapper("gemma4_unified_text", tied=True),
    "glm4v": Wrapper("glm4v_text", ties=Ties.EITHER),
    "glm4v_moe": Wrapper("glm4v_moe_text", ties=Ties.EITHER),
    "glm_ocr": Wrapper("glm_ocr_text", ties=Ties.EITHER),
    "granite4_vision": Wrapper("granite4_vision_text"),
    "granite_docling": Wrapper("granite_docling_text", tied=True),
    "hunyuan_vl": Wrapper("hunyuan_vl_text", ties=Ties.EITHER, tied=True, flat=True),
    "llama4": Wrapper("llama4_text", ties=Ties.INNER),
    "minimax_m3_vl": Wrapper("minimax_m3_vl_text", ties=Ties.EITHER),
    "mllama": Wrapper("mllama_text_model", ties=Ties.NEITHER),
    "paddleocr_vl": Wrapper("paddleocr_vl_text", ties=Ties.EITHER, tied=True, flat=True),
    "phi4_multimodal": Wrapper("phi4_multimodal", flat=True),
    "phi4mm": Wrapper(
        "phi4_multimodal",
        flat=True,
        parts=("embd_layer", "img_processor", "audio_processor", "vision_lora", "speech_lora"),
    ),
    "qwen2_5_omni": Wrapper("qwen2_5_omni_thinker", inside="thinker_config", classes=("Qwen2_5OmniModel",)),
    "qwen2_5_omni_thinker": Wrapper("qwen2_5_omni_text"),
    "qwen2_5_vl": Wrapper("qwen2_5_vl_text", ties=Ties.EITHER, flat=True),
    "qwen2_vl": Wrapper("qwen2_vl_text", ties=Ties.EITHER, flat=True),
    "qwen3_5": Wrapper("qwen3_5_text"),
    "qwen3_5_moe": Wrapper("qwen3_5_moe_text"),
    "qwen3_omni_moe": Wrapper("qwen3_omni_moe_thinker", inside="thinker_config"),
    "qwen3_omni_moe_thinker": Wrapper("qwen3_omni_moe_text"),
    "qwen3_vl": Wrapper("qwen3_vl_text"),
    "step3p7": Wrapper("step3p5", null_is_untied=True),
    "qwen3_vl_moe": Wrapper("qwen3_vl_moe_text"),
    "voxtral_realtime": Wrapper("voxtral_realtime_text", tied=True),
    # The text config names its family.
    "aya_vision": _of_any("cohere2", tied=True),
    "cohere2_vision": _of_any("cohere2", tied=True),
    "deepseek_vl": _of_any("llama", tied=True),
    "deepseek_vl_hybrid": _of_any("llama", tied=True),
    "exaone4_5": _of_any("exaone4", renamed={"exaone4_5_text": "exaone4"}),
    "fast_vlm": _of_any(
        "qwen2",
        ties=Ties.EITHER,
        absent={
            "hidden_size": 3584,
            "vocab_size": 152_128,
            "intermediate_size": 18_944,
            "num_attention_heads": 28,
            "num_key_value_heads": 4,
            "num_hidden_layers": 28,
        },
    ),
    "fun_asr_nano": _of_any(
        "qwen3", tied=True, absent=SMALL_QWEN | {"max_position_embeddings": 40_960, "tie_word_embeddings": True}
    ),
    "fuyu": _of_any("persimmon", flat=True),
    "glm46v": _of_any("glm4v_text"),
    "glmasr": _of_any(
        "llama",
        tied=True,
        merged=True,
        absent=sizes(59_264, 2048, 6144, 28, 16, 4, 8192)
        | {"rms_norm_eps": 1e-5, "rope_parameters": {"rope_theta": 10_000.0, "rope_type": "default"}},
    ),
    "glmga": _of_any("glm4v_text"),
    "got_ocr2": _of_any("qwen2", tied=True, absent=GOT),
    "granite_speech": _of_any("granite", tied=True, note=LORA),
    "granite_speech_plus": _of_any("granite", tied=True, note=LORA),
    "hyperclovax_vision_v2": _of_any("hyperclovax", tied=True),
    "idefics2": _of_any("mistral", absent={"max_position_embeddings": 32_768, "rms_norm_eps": 1e-5}),
    "idefics3": _of_any("llama", absent={"rms_norm_eps": 1e-5}),
    "internvl": _of_any("qwen2", tied=True),
    "janus": _of_any("llama", tied=True),
    "kimi_k25": _of_any("deepseek_v3", tied=True, renamed={"kimi_k2": "deepseek_v3"}),
    "lighton_ocr": _of_any(
        "qwen3",
        tied=True,
        absent=sizes(151_936, 1024, 3072, 28, 16, 8, 40_960)
        | {"head_dim": 128, "rms_norm_eps": 1e-6, "rope_theta": 1_000_000, "sliding_window": None},
    ),
    "lfm2_vl": _of_any(
        "lfm2",
        tied=True,
        without_effect=dict.fromkeys(
            """
            do_image_splitting encoder_patch_size max_image_tokens max_pixels_tolerance max_tiles min_image_tokens
            min_tiles projector_use_layernorm tile_size use_image_special_tokens max_num_patches
            """.split(),
            ANY,
        ),
    ),
    "llava": _of_any("llama", ties=Ties.EITHER),
    "llava_next": _of_any("llama"),
    "llava_next_video": _of_any("llama", ties=Ties.EITHER),
    "llava_onevision": _of_any("qwen2", ties=Ties.EITHER),
    "minicpm_ocr": _of_any("qwen3_5_text", tied=True),
    "minicpmv4_6": _of_any("qwen3_5_text"),
    "minicpmv4_7": _of_any("qwen3_5_text"),
    "mistral3": _of_any(
        "mistral",
        tied=True,
        absent={
            "head_dim": 128,
            "rms_norm_eps": 1e-5,
            "rope_theta": 1_000_000_000.0,
            "sliding_window": None,
            **sizes(131_072, 5120, 32_768, 40, 32, 8, 131_072),
        },
    ),
    "moss_transcribe_diarize": _of_any(
        "qwen3",
        tied=True,
        absent=SMALL_QWEN
        | {
            "max_position_embeddings": 131_072,
            "rope_parameters": {"rope_theta": 1_000_000.0, "rope_type": "default"},
        },
    ),
    "ovis2": _of_any("qwen2", tied=True, repeats={"vocab_size": 151_643, "hidden_size": 1536}),
    "paligemma": _of_any(
        "gemma",
        tied=True,
        absent={
            "vocab_size": 257_152,
            "hidden_size": 2048,
            "intermediate_size": 16_384,
            "num_hidden_layers": 18,
            "num_attention_heads": 8,
            "num_key_value_heads": 1,
        },
        note="Its prompts are attended to in both directions; the spec is causal throughout.",
        # Read by the class, and never used; published files have another vocab_size there.
        without_effect=dict.fromkeys(("vocab_size", "_vocab_size", "hidden_size"), ANY),
    ),
    "perception_lm": _of_any("llama", tied=None),
    "pp_chart2table": _of_any("qwen2", tied=True, absent=GOT),
    "qianfan_ocr": _of_any("qwen3"),
    "qwen2_audio": _of_any("qwen2", ties=Ties.NEITHER),
    "qwen3_asr": _of_any(
        "qwen3",
        tied=True,
        absent=SMALL_QWEN
        | {
            "hidden_size": 2048,
            "intermediate_size": 6144,
            "head_dim": 128,
            "max_position_embeddings": 65_536,
            "tie_word_embeddings": True,
        },
    ),
    "shieldgemma2": _of_any("gemma3_text", ties=Ties.EITHER),
    "smolvlm": _of_any("llama", absent={"rms_norm_eps": 1e-5}),
    "vibevoice": _of_any("qwen2", ties=Ties.INNER),
    "vibevoice_asr": _of_any("qwen2", ties=Ties.NEITHER),
    "video_llama_3": _of_any("qwen2", ties=Ties.EITHER),
    "video_llava": _of_any("llama"),
    "vipllava": _of_any("llama"),
    "voxtral": _of_any(
        "llama",
        ties=Ties.NEITHER,
        merged=True,
        absent={
            "vocab_size": 131_072,
            "hidden_size": 3072,
            "intermediate_size": 8192,
            "num_hidden_layers": 30,
            "num_key_value_heads": 8,
            "max_position_embeddings": 131_072,
            "rms_norm_eps": 1e-5,
            "rope_theta": 100_000_000.0,
            "head_dim": 128,
        },
    ),
}
