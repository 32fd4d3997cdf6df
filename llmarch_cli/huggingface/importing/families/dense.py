"""Dense decoders with RMS norms, alike in all layers unless a file says otherwise."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llmarch_cli.huggingface.importing.families.family import BIASES, USUAL, Family, sizes
from llmarch_cli.huggingface.importing.keys import ANY, Accepted, Config
from llmarch_cli.huggingface.importing.layers import Fields
from llmarch_cli.huggingface.importing.pieces import (
    biased,
    dense,
    frame,
    gqa,
    head_dim,
    only_divided,
    rms,
    switched_window,
    windowed,
    windows_above,
)
from llmarch_cli.huggingface.importing.rope import FULL, SCALINGS, SLIDING, Scaling, longrope


def llama(c: Config) -> Fields:
    return frame(c, rms(c), attention=gqa(c, **biased(c)), ffn=dense(c, bias=c.flag("mlp_bias")))


def mistral(c: Config) -> Fields:
    window = c.optional(c.count, "sliding_window")
    c.expect("layer_types", [SLIDING if window else FULL] * c.layers(), why="all layers of this family are alike")
    return frame(c, rms(c), attention=gqa(c, window=window), ffn=dense(c))


def internlm3(c: Config) -> Fields:
    if c.flag("attention_bias") != c.flag("mlp_bias"):
        c.fail("mlp_bias", "differs from attention_bias, which transformers does not build")
    return llama(c)


def tempered() -> tuple[dict[str, Scaling], Fields]:
    """Kinds of rotary scaling, and the factor of queries by position that is filled in when its settings are read."""
    temperature: Fields = {}

    def noted(scaling: Scaling) -> Scaling:
        def read(c: Config, settings: Config) -> Fields | None:
            settings.expect("max_position_embeddings", c.count("max_position_embeddings"))
            floor = settings.count("original_max_position_embeddings")
            scale = settings.number("llama_4_scaling_beta")
            if scale:
                temperature.update(kind="log_floor", floor_scale=floor, attn_scale=scale, offset=0)
            return scaling(c, settings)

        return read

    return {name: noted(scaling) for name, scaling in SCALINGS.items()}, temperature


def ministral3(c: Config) -> Fields:
    scalings, temperature = tempered()
    attention = gqa(c, scalings=scalings, window=c.optional(c.count, "sliding_window"))
    return frame(c, rms(c), attention={**attention, "temperature": temperature or None}, ffn=dense(c))


def helium(c: Config) -> Fields:
    width = head_dim(c)
    if width * c.count("num_attention_heads") != c.count("hidden_size"):
        c.fail("head_dim", f"{width}, but the output projection of this family is hidden_size x hidden_size")
    attention = gqa(c, width, rope_interleaved=True, qkv_bias=c.flag("attention_bias"))
    return frame(c, rms(c), attention=attention, ffn=dense(c, bias=c.flag("mlp_bias")))


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
    return frame(c, rms(c), attention=windowed(attention, windows), ffn=dense(c))


def qwen3(c: Config) -> Fields:
    attention = gqa(c, qk_norm="per_head", **biased(c))
    windows = windows_above(c, switched_window(c))
    return frame(c, rms(c), attention=windowed(attention, windows), ffn=dense(c))


def multipliers(c: Config) -> Fields:
    """Three of Granite's four multipliers; the fourth is the `score_scale` of attention."""
    return {
        "embedding_scale": c.number("embedding_multiplier"),
        "residual_scale": c.number("residual_multiplier"),
        "logit_scale": c.inverse("logits_scaling"),
    }


def granite_attention(c: Config, **fields: Any) -> Fields:
    """Granite's attention, which scales scores by `attention_multiplier`."""
    return gqa(c, score_scale=c.number("attention_multiplier"), **biased(c), **fields)


def granite(c: Config) -> Fields:
    ffn = dense(c, bias=c.flag("mlp_bias"))
    return frame(c, rms(c), attention=granite_attention(c), ffn=ffn, **multipliers(c))


def glm(c: Config, **placed: Any) -> Fields:
    attention = gqa(c, partial=True, rope_interleaved=True, qkv_bias=c.flag("attention_bias"))
    return frame(c, rms(c), **placed, attention=attention, ffn=dense(c))


def glm4(c: Config) -> Fields:
    return glm(c, norm_placement="sandwich")


def apertus(c: Config) -> Fields:
    attention = gqa(c, qk_norm="per_head", **biased(c))
    return frame(c, rms(c), attention=attention, ffn=dense(c, gated=False))


QWEN = {"use_sliding_window": False, "sliding_window": 4096, "max_window_layers": 28, "layer_types": None}


PHI: dict[str, Any] = USUAL | {
    "sliding_window": None,
    "original_max_position_embeddings": 4096,
    "rms_norm_eps": 1e-5,
    "partial_rotary_factor": 1.0,
}


GLM: dict[str, Any] = (
    USUAL
    | {"attention_bias": True, "head_dim": 128, "partial_rotary_factor": 0.5, "rms_norm_eps": 1.5625e-07}
    | sizes(151_552, 4096, 13_696, 40, 32, 2, 131_072)
)


SCALED = ("embedding_multiplier", "residual_multiplier", "logits_scaling", "attention_multiplier")


MULTIPLIERS = dict.fromkeys(SCALED, 1.0)


# In the text configs of Idefics and SmolVLM, of the wrapper's other parts.
IN_IDEFICS: dict[str, Accepted] = {
    **dict.fromkeys(("is_llama_config", "_vocab_size", "additional_vocab_size"), ANY),  # vocab_size has both
    **dict.fromkeys(("perceiver_config", "pixel_shuffle_factor", "use_resampler"), ANY),
    **dict.fromkeys(("qk_layer_norms", "rope_interleaved"), (False,)),
}
IN_PHI3: dict[str, Accepted] = dict.fromkeys(("interpolate_factor", "full_attn_mod"), (1,))


def stretched(rope_type: str, factor: float, original: int, **more: Any) -> dict[str, Any]:
    """The default rotary settings of a family that stretches its original context."""
    return {"rope_type": rope_type, "factor": factor, "original_max_position_embeddings": original, **more}


def bitnet(c: Config) -> Fields:
    width = only_divided(c)
    if width * c.count("num_attention_heads") != c.count("hidden_size"):
        c.fail(
            "hidden_size", "must be a multiple of num_attention_heads: the norm before the output projection spans it"
        )
    attention = gqa(c, width, sub_norm=True, **biased(c))
    return frame(c, rms(c), attention=attention, ffn=dense(c, sub_norm=True))


def nanochat(c: Config) -> Fields:
    attention = gqa(c, qk_norm="weightless", qk_norm_after_rope=True, rope_reversed=True, **biased(c))
    return frame(
        c,
        rms(c, weight=False),
        embedding_norm=True,
        logit_softcap=c.optional(c.number, "final_logit_softcapping"),
        attention=attention,
        ffn=dense(c, gated=False),
    )


def hyperclovax(c: Config) -> Fields:
    width, scale = head_dim(c), c.optional(c.number, "attention_multiplier")
    attention = gqa(c, width, score_scale=None if scale == width**-0.5 else scale, **biased(c))
    return frame(
        c,
        rms(c),
        norm_placement="sandwich" if c.flag("use_post_norm") else "pre",
        embedding_scale=c.number("embedding_multiplier"),
        residual_scale=c.number("residual_multiplier"),
        logit_scale=c.number("logits_scaling"),
        attention=attention,
        ffn=dense(c, bias=c.flag("mlp_bias")),
    )


FAMILIES = (
    Family(
        "llama",
        llama,
        USUAL | BIASES | sizes(32_000, 4096, 11_008, 32, 32, None, 2048),
        without_effect=IN_IDEFICS,
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
        without_effect={"compression_ratio": (1.0,), "use_rmsnorm": (True,)},
    ),
    Family(
        "phi3",
        phi3,
        PHI | sizes(32_064, 3072, 8192, 32, 32, None, 4096),
        without_effect=IN_PHI3,
    ),
    Family(
        "qwen2",
        qwen2,
        USUAL | QWEN | sizes(151_936, 4096, 22_016, 32, 32, 32, 32_768),
        without_effect={"use_mrope": (False,), "moe_config": (None,)},
    ),
    Family(
        "qwen3",
        qwen3,
        USUAL | QWEN | {"attention_bias": False, "head_dim": 128} | sizes(151_936, 4096, 22_016, 32, 32, 32, 32_768),
    ),
    Family(
        "internlm3",
        internlm3,
        USUAL | BIASES | {"head_dim": 128, "rms_norm_eps": 1e-5} | sizes(128_512, 4096, 10_240, 48, 32, 2, 32_768),
        aliases={"qkv_bias": "attention_bias", "bias": "mlp_bias"},
    ),
    Family(
        "iquestcoder",
        llama,
        USUAL | BIASES | {"head_dim": 128, "rms_norm_eps": 1e-5} | sizes(76_800, 5120, 27_648, 80, 40, 8, 131_072),
        without_effect={"clip_qkv": (None,)},
    ),
    Family(
        "ministral3",
        ministral3,
        USUAL
        | {"head_dim": 128, "sliding_window": None, "rms_norm_eps": 1e-5}
        | {
            "rope_parameters": {
                **stretched("yarn", 16.0, 16_384, beta_fast=32.0, beta_slow=1.0, mscale=1.0, mscale_all_dim=1.0),
                "llama_4_scaling_beta": 0.1,
                "rope_theta": 1_000_000.0,
            }
        }
        | sizes(131_072, 4096, 14_336, 34, 32, 8, 262_144),
    ),
    Family(
        "helium",
        helium,
        USUAL
        | BIASES
        | {"head_dim": 128, "rms_norm_eps": 1e-8, "rope_theta": 100_000.0}
        | sizes(48_000, 2560, 7040, 24, 20, 20, 4096),
    ),
    Family("glm", glm, GLM),
    Family("granite", granite, USUAL | BIASES | MULTIPLIERS | sizes(32_000, 4096, 11_008, 32, 32, None, 2048)),
    Family("glm4", glm4, GLM),
    Family(
        "apertus",
        apertus,
        USUAL
        | {"attention_bias": False, "hidden_act": "xielu", "rms_norm_eps": 1e-5, "rope_theta": 12_000_000.0}
        | {"rope_parameters": stretched("llama3", 8.0, 8192, low_freq_factor=1.0, high_freq_factor=4.0)}
        | sizes(131_072, 4096, 14_336, 32, 32, None, 65_536),
        without_effect={"qk_norm": (True,), "post_norm": (False,)},
    ),
    Family(
        "bitnet",
        bitnet,
        USUAL
        | {"hidden_act": "relu2", "rms_norm_eps": 1e-5, "rope_theta": 500_000.0, "attention_bias": False}
        | sizes(128_256, 2560, 6912, 30, 20, 5, 2048),
    ),
    Family(
        "nanochat",
        nanochat,
        USUAL
        | {"hidden_act": "relu2", "attention_bias": False, "final_logit_softcapping": 15.0}
        | sizes(50_304, 768, 8192, 12, 6, None, 2048),
    ),
    Family(
        "hyperclovax",
        hyperclovax,
        USUAL
        | BIASES
        | MULTIPLIERS
        | {"attention_multiplier": None, "head_dim": None, "use_post_norm": True}
        | sizes(32_000, 4096, 11_008, 32, 32, None, 2048),
    ),
)
