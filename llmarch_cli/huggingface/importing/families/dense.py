"""Dense decoders with RMS norms."""

from __future__ import annotations

from collections.abc import Mapping

from llmarch_cli.huggingface.importing.families.family import USUAL, Family, sizes
from llmarch_cli.huggingface.importing.keys import ANY, Config
from llmarch_cli.huggingface.importing.layers import Fields, axis
from llmarch_cli.huggingface.importing.pieces import (
    biased,
    dense,
    frame,
    gqa,
    rms,
    switched_window,
    windows_above,
)
from llmarch_cli.huggingface.importing.rope import FULL, SCALINGS, SLIDING, Scaling, longrope


def llama(c: Config) -> Fields:
    return frame(c, rms(c), attention=gqa(c, **biased(c)), ffn=dense(c, bias=c.flag("mlp_bias")))


def mistral(c: Config) -> Fields:
    window = c.optional(c.count, "sliding_window")
    c.expect("layer_types", [SLIDING if window else FULL] * c.layers(), why="all layers of this family are alike")
    return frame(c, rms(c), attention=gqa(c, window=window), ffn=dense(c))


def arcee(c: Config) -> Fields:
    return frame(c, rms(c), attention=gqa(c, **biased(c)), ffn=dense(c, gated=False, bias=c.flag("mlp_bias")))


def seed_oss(c: Config) -> Fields:
    attention = gqa(c, qkv_bias=c.flag("attention_bias"), o_bias=c.flag("attention_out_bias"))
    return frame(c, rms(c), attention=attention, ffn=dense(c, bias=c.flag("mlp_bias")))


def ernie4_5(c: Config) -> Fields:
    attention = gqa(c, rope_interleaved=True, **biased(c, "use_bias"))
    return frame(c, rms(c), attention=attention, ffn=dense(c, bias=c.flag("use_bias")))


def phi3(c: Config) -> Fields:
    # Early configs call it su; transformers also reads yarn as longrope.
    scalings = {"default": SCALINGS["default"], "longrope": longrope, "su": longrope, "yarn": longrope}
    c.optional(c.count, "original_max_position_embeddings")
    attention = gqa(c, partial=True, scalings=scalings, window=c.optional(c.count, "sliding_window"))
    return frame(c, rms(c), attention=attention, ffn=dense(c))


def qwen2(c: Config, scalings: Mapping[str, Scaling] = SCALINGS) -> Fields:
    attention = gqa(c, scalings=scalings, qkv_bias=True)
    windows = windows_above(c, switched_window(c))
    return frame(c, rms(c), attention=axis(windows, lambda window: {**attention, "window": window}), ffn=dense(c))


def qwen3(c: Config) -> Fields:
    attention = gqa(c, qk_norm="per_head", **biased(c))
    windows = windows_above(c, switched_window(c))
    return frame(c, rms(c), attention=axis(windows, lambda window: {**attention, "window": window}), ffn=dense(c))


def multipliers(c: Config) -> Fields:
    """Three of Granite's four multipliers; the fourth is the `score_scale` of attention."""
    return {
        "embedding_scale": c.number("embedding_multiplier"),
        "residual_scale": c.number("residual_multiplier"),
        "logit_scale": c.inverse("logits_scaling"),
    }


def granite(c: Config) -> Fields:
    attention = gqa(c, score_scale=c.number("attention_multiplier"), **biased(c))
    return frame(c, rms(c), attention=attention, ffn=dense(c, bias=c.flag("mlp_bias")), **multipliers(c))


def glm4(c: Config) -> Fields:
    attention = gqa(c, partial=True, rope_interleaved=True, qkv_bias=c.flag("attention_bias"))
    return frame(c, rms(c), norm_placement="sandwich", attention=attention, ffn=dense(c))


def apertus(c: Config) -> Fields:
    attention = gqa(c, qk_norm="per_head", **biased(c))
    return frame(c, rms(c), attention=attention, ffn=dense(c, gated=False))


QWEN = {"use_sliding_window": False, "sliding_window": 4096, "max_window_layers": 28, "layer_types": None}
BIASES = {"attention_bias": False, "mlp_bias": False}

SCALED = ("embedding_multiplier", "residual_multiplier", "logits_scaling", "attention_multiplier")
MULTIPLIERS = dict.fromkeys(SCALED, 1.0)

FAMILIES = (
    Family(
        "llama",
        llama,
        USUAL | BIASES | sizes(32_000, 4096, 11_008, 32, 32, None, 2048),
        without_effect={"is_llama_config": ANY, "rope_interleaved": (False,), "max_sequence_length": ANY},
    ),
    Family(
        "mistral",
        mistral,
        USUAL | {"sliding_window": 4096} | sizes(32_000, 4096, 14_336, 32, 32, 8, 131_072),
    ),
    Family(
        "arcee",
        arcee,
        USUAL
        | BIASES
        | {"hidden_act": "relu2", "rms_norm_eps": 1e-5}
        | sizes(32_000, 2560, 18_432, 32, 32, None, 4096),
    ),
    Family(
        "seed_oss",
        seed_oss,
        USUAL
        | {"attention_bias": True, "attention_out_bias": False, "mlp_bias": False, "head_dim": 128}
        | sizes(155_136, 4096, 27_648, 64, 80, 8, 524_288),
    ),
    Family(
        "ernie4_5",
        ernie4_5,
        USUAL
        | {"use_bias": False, "head_dim": 128, "tie_word_embeddings": True}
        | {"rms_norm_eps": 1e-5, "rope_theta": 500_000.0}
        | sizes(103_424, 1024, 3072, 18, 16, 2, 131_072),
        without_effect={"compression_ratio": (1.0,), "use_flash_attention": ANY, "use_rmsnorm": (True,)},
    ),
    Family(
        "phi3",
        phi3,
        USUAL
        | {"sliding_window": None, "original_max_position_embeddings": 4096, "rms_norm_eps": 1e-5}
        | {"partial_rotary_factor": 1.0}
        | sizes(32_064, 3072, 8192, 32, 32, None, 4096),
        without_effect={
            **dict.fromkeys(("attention_bias", "mlp_bias", "lm_head_bias"), (False,)),
            **dict.fromkeys(("interpolate_factor", "full_attn_mod"), (1,)),
        },
    ),
    Family(
        "qwen2",
        qwen2,
        USUAL | QWEN | sizes(151_936, 4096, 22_016, 32, 32, 32, 32_768),
        without_effect={"use_mrope": (False,)},
    ),
    Family(
        "qwen3",
        qwen3,
        USUAL | QWEN | {"attention_bias": False, "head_dim": 128} | sizes(151_936, 4096, 22_016, 32, 32, 32, 32_768),
    ),
    Family("granite", granite, USUAL | BIASES | MULTIPLIERS | sizes(32_000, 4096, 11_008, 32, 32, None, 2048)),
    Family(
        "glm4",
        glm4,
        USUAL
        | {"attention_bias": True, "head_dim": 128, "partial_rotary_factor": 0.5, "rms_norm_eps": 1.5625e-07}
        | sizes(151_552, 4096, 13_696, 40, 32, 2, 131_072),
    ),
    Family(
        "apertus",
        apertus,
        USUAL
        | {"attention_bias": False, "hidden_act": "xielu", "rms_norm_eps": 1e-5, "rope_theta": 12_000_000.0}
        | {
            "rope_parameters": {
                "rope_type": "llama3",
                "rope_theta": 12_000_000.0,
                "factor": 8.0,
                "original_max_position_embeddings": 8192,
                "low_freq_factor": 1.0,
                "high_freq_factor": 4.0,
            }
        }
        | sizes(131_072, 4096, 14_336, 32, 32, None, 65_536),
        without_effect={"qk_norm": (True,), "post_norm": (False,), "mlp_bias": (False,)},
    ),
)
