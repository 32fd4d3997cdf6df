"""Dense decoders with RMS norms, and windows or positional encoding in some layers only."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llmarch_cli.huggingface.importing.families.dense import (
    MULTIPLIERS,
    granite_attention,
    multipliers,
    stretched,
)
from llmarch_cli.huggingface.importing.families.family import BIASES, USUAL, Family, sizes
from llmarch_cli.huggingface.importing.keys import ANY, Accepted, Config, a_number
from llmarch_cli.huggingface.importing.layers import Fields, axis
from llmarch_cli.huggingface.importing.pieces import (
    NOPE,
    biased,
    by_type,
    dense,
    every,
    frame,
    gqa,
    head_dim,
    heads,
    layer_types,
    rms,
    window,
    without_prediction_blocks,
)
from llmarch_cli.huggingface.importing.rope import FULL, SLIDING, rope, rope_by_layer_type


def layered(c: Config, usual: Callable[[int], str]) -> Fields:
    """Layers with and without a window, alike in all else."""
    return by_type(c, gqa(c, c.count("head_dim")), layer_types(c, usual))


def cwm(c: Config) -> Fields:
    attention = layered(c, lambda layer: SLIDING if layer % 4 else FULL)
    return frame(c, rms(c), attention=attention, ffn=dense(c, bias=c.flag("mlp_bias")))


def ministral(c: Config) -> Fields:
    usual = SLIDING if c.optional(c.count, "sliding_window") else FULL
    return frame(c, rms(c), attention=layered(c, lambda _layer: usual), ffn=dense(c))


def gemma(c: Config) -> Fields:
    # transformers reads `gelu` in early configs as the tanh approximation.
    ffn = dense(c)
    if ffn["activation"] == "gelu":
        ffn["activation"] = "gelu_tanh"
    return frame(c, rms(c, unit_offset=True), embedding_scale="sqrt_d_model", attention=gqa(c, **biased(c)), ffn=ffn)


def gemma_sandwich(c: Config, attention: Fields) -> Fields:
    """The fields shared by Gemma 2 and 3."""
    return frame(
        c,
        rms(c, unit_offset=True),
        norm_placement="sandwich",
        embedding_scale="sqrt_d_model",
        logit_softcap=c.optional(c.number, "final_logit_softcapping"),
        attention=attention,
        ffn=dense(c, "hidden_activation"),
    )


def _score_scale(c: Config, width: int) -> float | None:
    """The factor of the scores; None if it is the usual one of this head width."""
    scalar = c.number("query_pre_attn_scalar")
    if scalar <= 0:
        c.fail("query_pre_attn_scalar", f"must be above 0, not {scalar:g}")
    return None if scalar == width else scalar**-0.5


def gemma2(c: Config) -> Fields:
    width = head_dim(c)
    softcap = c.optional(c.number, "attn_logit_softcapping")
    attention = gqa(c, width, score_scale=_score_scale(c, width), softcap=softcap, **biased(c))
    types = layer_types(c, every(2))
    return gemma_sandwich(c, by_type(c, attention, types))


def gemma3(c: Config) -> Fields:
    width = head_dim(c)
    attention = {**heads(c, width), "qk_norm": "per_head", "score_scale": _score_scale(c, width), **biased(c)}
    rotary = rope_by_layer_type(c, "rope_local_base_freq")
    types = layer_types(c, every(c.count("sliding_window_pattern")))
    return gemma_sandwich(c, by_type(c, attention, types, rotary))


def olmo2(c: Config) -> Fields:
    attention = gqa(c, qk_norm="full", **biased(c))
    return frame(c, rms(c), norm_placement="post", attention=attention, ffn=dense(c))


def olmo3(c: Config) -> Fields:
    attention = {**heads(c, head_dim(c)), "qk_norm": "full", **biased(c)}
    layers = by_type(c, attention, layer_types(c, every(4)), rope_by_layer_type(c))
    return frame(c, rms(c), norm_placement="post", attention=layers, ffn=dense(c))


def hybrid(c: Config, usual: Callable[[int], str] | None = None) -> Fields:
    """EXAONE's attention: rotary in layers with a window only, if there are any windows.

    `usual` gives the type of each layer; None reads it from `sliding_window_pattern`.
    """
    attention = gqa(c, qk_norm="per_head")
    sliding = c.optional(c.count, "sliding_window")
    types = layer_types(c, usual or (_exaone_pattern(c) if sliding else every(1)))
    c.read.add("sliding_window_pattern")
    if sliding is None and SLIDING in types:
        c.fail("layer_types", "names sliding_attention, but sliding_window is absent")

    def layer(kind: str) -> Fields:
        if sliding is None:
            return attention
        return {**attention, "window": sliding} if kind == SLIDING else {**attention, **NOPE}

    return axis(types, layer)


def exaone4(c: Config) -> Fields:
    without_prediction_blocks(c, "num_nextn_predict_layers")
    return frame(c, rms(c), norm_placement="post", attention=hybrid(c), ffn=dense(c))


def _exaone_pattern(c: Config) -> Any:
    """Read the pattern: a number n for full attention in every n-th layer, or letters L and G that repeat."""
    letters = c.value("sliding_window_pattern")
    if isinstance(letters, str):
        if not letters or set(letters) - set("LG"):
            c.fail("sliding_window_pattern", "must be a number, or a string of the letters L and G")
        return lambda layer: SLIDING if letters[layer % len(letters)] == "L" else FULL
    return every(c.count("sliding_window_pattern"))


def smollm3(c: Config) -> Fields:
    width = head_dim(c)
    attention, rotary = {**heads(c, width), **biased(c)}, rope(c, width)
    n_layers = c.layers()
    rotated = rotated_layers(c, n_layers)
    on = c.flag("use_sliding_window")
    sliding = c.optional(c.count, "sliding_window")
    types = layer_types(c, lambda layer: SLIDING if on and sliding and not rotated[layer] else FULL)
    layers = list(zip(rotated, types, strict=True))

    def layer(setting: tuple[bool, str]) -> Fields:
        has_rope, kind = setting
        return {**attention, **(rotary if has_rope else NOPE), "window": window(c, kind)}

    return frame(c, rms(c), attention=axis(layers, layer), ffn=dense(c, bias=c.flag("mlp_bias")))


def rotated_layers(c: Config, n_layers: int) -> list[bool]:
    """Whether each layer has rotary embeddings: 1 in `no_rope_layers` means yes, 0 no."""
    step = c.count("no_rope_layer_interval")
    if not c.given("no_rope_layers") or c.value("no_rope_layers") == []:
        c.read.add("no_rope_layers")
        return [(layer + 1) % step != 0 for layer in range(n_layers)]
    return c.items("no_rope_layers", _rotated, "0 or 1", n_layers)


def _rotated(value: Any) -> bool | None:
    return bool(value) if type(value) in (int, bool) and value in (0, 1) else None


def vaultgemma(c: Config) -> Fields:
    return {**gemma2(c), "norm_placement": "pre"}


def granite_windows(c: Config) -> Fields:
    """Granite's attention with a window and a base of rotary frequencies by layer; a base of 0 means no positions."""
    attention = granite_attention(c, sinks=True)
    types = layer_types(c, lambda layer: SLIDING if layer % 4 else FULL)
    thetas = c.optional(lambda name: c.items(name, _theta, "a number of at least 0", c.layers()), "layer_rope_theta")

    def layer(setting: tuple[str, float]) -> Fields:
        kind, theta = setting
        return {**attention, **({"rope_theta": theta} if theta else NOPE), "window": window(c, kind)}

    settings = list(zip(types, thetas or [attention["rope_theta"]] * len(types), strict=True))
    return axis(settings, layer)


def granite_swa(c: Config) -> Fields:
    ffn = dense(c, bias=c.flag("mlp_bias"))
    return frame(c, rms(c), attention=granite_windows(c), ffn=ffn, **multipliers(c))


def _theta(value: Any) -> float | None:
    """A base of rotary frequencies; 0 for none."""
    found = a_number(value)
    return None if found is None or found < 0 else found


GEMMA: dict[str, Any] = {
    "head_dim": 256,
    "attention_bias": False,
    "tie_word_embeddings": True,
    "hidden_act": "gelu_pytorch_tanh",
}

GEMMA_2: dict[str, Any] = GEMMA | {
    "hidden_activation": "gelu_pytorch_tanh",
    "query_pre_attn_scalar": 256,
    "sliding_window": 4096,
    "layer_types": None,
}

OLMO: dict[str, Any] = {"attention_bias": False, "rms_norm_eps": 1e-5}

TANH: Accepted = (None, "gelu_pytorch_tanh", "gelu")

FAMILIES = (
    Family(
        "gemma",
        gemma,
        USUAL | GEMMA | sizes(256_000, 3072, 24_576, 28, 16, 16, 8192),
        without_effect={"hidden_activation": TANH, "use_bidirectional_attention": (None, False)},
    ),
    Family(
        "gemma2",
        gemma2,
        USUAL
        | GEMMA_2
        | {"final_logit_softcapping": 30.0, "attn_logit_softcapping": 50.0}
        | sizes(256_000, 2304, 9216, 26, 8, 4, 8192),
        without_effect={
            "hidden_act": TANH,
            "sliding_window_size": ANY,
            "use_bidirectional_attention": (None, False),
        },
    ),
    Family(
        "gemma3_text",
        gemma3,
        USUAL
        | GEMMA_2
        | {"final_logit_softcapping": None}
        | {"sliding_window_pattern": 6, "rope_theta": 1_000_000.0, "rope_local_base_freq": 10_000.0}
        | sizes(262_208, 2304, 9216, 26, 8, 4, 131_072),
        without_effect={
            "_sliding_window_pattern": ANY,  # written by the class, which reads only sliding_window_pattern
            "attn_logit_softcapping": ANY,  # read by the class, and never applied
            "hidden_act": TANH,
            "use_bidirectional_attention": (None, False),
        },
    ),
    Family(
        "vaultgemma",
        vaultgemma,
        USUAL
        | GEMMA_2
        | {"final_logit_softcapping": 30.0, "attn_logit_softcapping": 50.0}
        | sizes(256_000, 2304, 9216, 26, 8, 4, 8192),
        without_effect={"hidden_act": TANH, "use_bidirectional_attention": (None, False)},
    ),
    Family("olmo2", olmo2, USUAL | OLMO | sizes(50_304, 4096, 11_008, 32, 32, None, 2048)),
    Family(
        "olmo3",
        olmo3,
        USUAL
        | OLMO
        | {"sliding_window": 4096, "layer_types": None, "rope_theta": 500_000.0}
        | sizes(50_304, 4096, 11_008, 32, 32, None, 2048),
    ),
    Family(
        "exaone4",
        exaone4,
        USUAL
        | {"sliding_window": 4096, "sliding_window_pattern": 4, "layer_types": None, "rms_norm_eps": 1e-5}
        | sizes(102_400, 4096, 16_384, 32, 32, 32, 2048),
        without_effect=dict.fromkeys(
            ("layer_norm_epsilon", "_num_mtp_layers", "mtp_loss_scaling_factor", "mtp_share_layers"), ANY
        ),
    ),
    Family(
        "smollm3",
        smollm3,
        USUAL
        | {"use_sliding_window": False, "sliding_window": None, "layer_types": None, "rope_theta": 2_000_000.0}
        | {"no_rope_layers": None, "no_rope_layer_interval": 4, "attention_bias": False, "mlp_bias": False}
        | {"tie_word_embeddings": True}
        | sizes(128_256, 2048, 11_008, 36, 16, 4, 32_768),
    ),
    Family(
        "cwm",
        cwm,
        USUAL
        | {"mlp_bias": False, "head_dim": 128, "rms_norm_eps": 1e-5, "rope_theta": 1_000_000.0}
        | {"sliding_window": 8192, "layer_types": None}
        | {"rope_parameters": stretched("llama3", 16.0, 8192, low_freq_factor=1.0, high_freq_factor=4.0)}
        | sizes(128_256, 6144, 21_504, 64, 48, 8, 131_072),
    ),
    Family(
        "ministral",
        ministral,
        USUAL
        | {"head_dim": None, "sliding_window": 4096, "layer_types": None}
        | sizes(32_000, 4096, 14_336, 32, 32, 8, 131_072),
    ),
    Family(
        "granite_swa",
        granite_swa,
        USUAL
        | BIASES
        | MULTIPLIERS
        | {"rms_norm_eps": 1e-5, "tie_word_embeddings": True}
        | {"sliding_window": 128, "layer_types": None, "layer_rope_theta": None}
        | sizes(100_352, 2560, 8192, 24, 20, 4, 8192),
    ),
)
