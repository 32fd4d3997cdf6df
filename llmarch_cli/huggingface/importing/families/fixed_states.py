"""Decoders with layers that keep a state of fixed size: lightning attention, short convolutions, RG-LRU, RWKV."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

from llmarch_cli.huggingface.importing.families.family import USUAL, Family, sizes
from llmarch_cli.huggingface.importing.keys import ANY, Accepted, Config, one_of
from llmarch_cli.huggingface.importing.layers import Fields, axis
from llmarch_cli.huggingface.importing.pieces import (
    ACTIVATIONS,
    dense,
    fixed_activation,
    frame,
    gqa,
    head_dim,
    heads,
    layer_norm,
    layer_types,
    mixed,
    moe,
    only_divided,
    rms,
    sigmoid_moe,
    sparse_from,
)
from llmarch_cli.huggingface.importing.rope import FULL, SCALINGS, rope

# --- lightning attention --------------------------------------------------------------------------------------------

LINEAR = "linear_attention"

# The factors of residual streams and of what is added to them, as transformers and as the authors call them.
FACTORS = {
    f"{short}_{factor}_factor": f"layernorm_{long}_{factor}"
    for short, long in (("full_attn", "full_attention"), ("linear_attn", "linear_attention"), ("mlp", "mlp"))
    for factor in ("alpha", "beta")
}


def minimax(c: Config) -> Fields:
    """Norms stand behind each sum, so that the first one of all layers normalises the embeddings."""
    types = layer_types(c, lambda layer: LINEAR if layer % 2 else FULL, (FULL, LINEAR))
    return _minimax(c, types)


def minimax_01(c: Config) -> Fields:
    """As its authors publish it: the type of each layer is a number."""
    kinds = {0: LINEAR, 1: FULL}
    n_layers = c.layers()

    def listed() -> list[str]:
        return c.items(
            "attn_type_list", lambda value: kinds.get(value) if type(value) is int else None, "0 or 1", n_layers
        )

    return _minimax(c, _required(c, "attn_type_list", listed))


def _required(c: Config, name: str, listed: Callable[[], list[str]]) -> list[str]:
    """The listed type of each layer, for which the family has no default."""
    if c.given(name) or not c.is_guess:
        return listed()
    c.miss(name)
    return [FULL] * c.layers()


def _minimax(c: Config, types: list[str]) -> Fields:
    width = head_dim(c)
    full = gqa(c, width, window=c.optional(c.count, "sliding_window"))
    if (rotated := c.optional(c.count, "rotary_dim")) is not None and rotated != width:
        if rotated > width or rotated % 2:
            c.fail("rotary_dim", f"{rotated}, but must be even and at most the {width} values of a head")
        full["rotary_dim"] = rotated
        if c.defaults.get("block_size"):
            c.notes.append(
                f"Rotates {rotated} of {width} values of a head, as its authors do; transformers rotates all."
            )
    linear = {
        "kind": "lightning",
        "n_heads": c.count("num_attention_heads"),
        "head_dim": width,
        "activation": c.choice("hidden_act", ACTIVATIONS),
    }
    if linear["activation"] == "xielu" and LINEAR in types:
        c.fail("hidden_act", "has learned values, which lightning attention does not have")
    return frame(
        c,
        rms(c),
        norm_placement="post_residual",
        embedding_norm=True,
        final_norm=False,  # it is the last layer's norm behind its feed-forward layer
        stream_scale=_factor(c, types, "alpha"),
        residual_scale=_factor(c, types, "beta"),
        attention=axis(types, lambda kind: linear if kind == LINEAR else full),
        ffn=moe(c, "num_local_experts", "intermediate_size"),
    )


def _factor(c: Config, types: list[str], name: str) -> float:
    """The one factor of all sublayers that there are."""
    of_type = {FULL: f"full_attn_{name}_factor", LINEAR: f"linear_attn_{name}_factor"}
    factor_name = f"mlp_{name}_factor"
    factor = c.number(factor_name)
    if factor <= 0:
        c.fail(factor_name, f"must be above 0, not {factor:g}")
    for kind, other_name in of_type.items():
        other = c.number(other_name)
        if kind in types and other != factor:
            c.fail(other_name, f"{other:g}, but {factor_name} is {factor:g}: no field expresses a factor by sublayer")
    return factor


# --- short convolutions ---------------------------------------------------------------------------------------------

CONV = "conv"


def short_convolutions(c: Config, types: list[str]) -> Fields:
    """Short convolutions, with attention in some layers."""
    d_model, n_heads = c.count("hidden_size"), c.count("num_attention_heads")
    for name in ("block_dim", "conv_dim", "conv_dim_out"):
        c.expect(name, d_model, why="hidden_size")
    c.expect("num_heads", n_heads, why="num_attention_heads")
    attention = gqa(c, qk_norm="per_head")
    c.expect("theta", attention["rope_theta"], why="rope_theta")
    kernel = c.count("conv_L_cache")
    if kernel < 2:
        c.fail("conv_L_cache", "must be at least 2: a convolution over one token has no state")
    conv = {"kind": "short_conv", "channels": d_model, "conv_kernel": kernel, "bias": c.flag("conv_bias")}
    return axis(types, lambda kind: conv if kind == CONV else attention)


def _norm(c: Config) -> Fields:
    eps = c.number("norm_eps")
    c.expect("block_norm_eps", eps, why="norm_eps")
    return {"eps": eps}


def lfm2(c: Config) -> Fields:
    n_layers = c.layers()
    listed = c.optional(c.whole_numbers, "full_attn_idxs")
    types = layer_types(c, lambda layer: CONV if listed is not None and layer not in listed else FULL, (FULL, CONV))
    if listed is not None and [FULL if layer in listed else CONV for layer in range(n_layers)] != types:
        c.fail("full_attn_idxs", "names other layers than layer_types, which alone transformers reads")
    ffn = {"kind": "dense", "d_ff": _adjusted_width(c)}
    return frame(c, _norm(c), attention=short_convolutions(c, types), ffn=ffn)


def _adjusted_width(c: Config) -> int:
    """The width of a feed-forward layer: by default two thirds of the given one, times a factor, rounded up."""
    width, adjusts = c.count("intermediate_size"), c.flag("block_auto_adjust_ff_dim")
    factor = c.optional(c.number, "block_ffn_dim_multiplier")
    multiple = c.count("block_multiple_of")
    if not adjusts:
        return width
    width = int(2 * width / 3)
    if factor is not None:
        width = -(-int(factor * width) // multiple) * multiple
    if width < 1:
        c.fail("intermediate_size", f"gives a feed-forward layer of {width} values")
    return width


def lfm2_moe(c: Config) -> Fields:
    def listed() -> list[str]:
        return c.items("layer_types", one_of((FULL, CONV)), f"{FULL} or {CONV}", n_layers)

    n_layers = c.layers()
    types = _required(c, "layer_types", listed)
    experts = sigmoid_moe(c, "num_experts", "routed_scaling_factor", renormalize=c.flag("norm_topk_prob"))
    experts["selection_bias"] = c.flag("use_expert_bias")
    ffn = mixed(sparse_from(c, c.count("num_dense_layers", least=0)), experts, dense(c))
    return frame(c, _norm(c), attention=short_convolutions(c, types), ffn=ffn)


# --- RG-LRU ---------------------------------------------------------------------------------------------------------


BLOCKS = ("recurrent", "recurrent", "attention")  # where a file names none


def recurrent_gemma(c: Config) -> Fields:
    d_model, n_heads, n_layers = c.count("hidden_size"), c.count("num_attention_heads"), c.layers()
    width = only_divided(c)
    given = c.given("block_types")
    kinds = (
        c.items("block_types", one_of(BLOCKS), "recurrent or attention")
        if given
        else c.filled_in("block_types", [*BLOCKS])
    )
    if not kinds:
        c.fail("block_types", "must not be empty")
    if len(kinds) * 100 < n_layers:
        c.fail("block_types", f"repeated 100 times, as transformers does, they are fewer than {n_layers} layers")
    types = [kinds[layer % len(kinds)] for layer in range(n_layers)]
    attention = {
        **heads(c, width),
        **rope(c, width, partial=True, scalings={"default": SCALINGS["default"]}),
        "window": c.count("attention_window_size"),
        "qkv_bias": c.flag("attention_bias"),
        "o_bias": True,
    }
    activation = fixed_activation(c, "hidden_activation", "layer of this family")
    lru_width = c.optional(c.count, "lru_width") or d_model
    if lru_width % n_heads:
        c.fail("lru_width", f"{lru_width} must be a multiple of num_attention_heads, {n_heads}")
    recurrent = {
        "kind": "rg_lru",
        "width": lru_width,
        "n_blocks": n_heads,
        "conv_kernel": c.count("conv1d_width", least=2),
        "activation": activation,
    }
    d_ff = c.count("intermediate_size") // 2
    if not d_ff:
        c.fail("intermediate_size", "must be at least 2: it is twice the width of a feed-forward layer")
    length = c.optional(c.count, "max_position_embeddings")
    return {
        **({} if length is None else {"context_length": length}),
        "d_model": d_model,
        "n_layers": n_layers,
        "vocab_size": c.count("vocab_size"),
        "tie_embeddings": c.flag("tie_word_embeddings"),
        "norm": rms(c, unit_offset=True),
        "embedding_scale": _in_bfloat16(d_model**0.5, "sqrt_d_model"),
        "logit_softcap": c.number("logits_soft_cap"),
        "attention": axis(types, lambda kind: attention if kind == "attention" else recurrent),
        "ffn": {"kind": "dense", "d_ff": d_ff, "activation": activation, "bias": True},
    }


def _in_bfloat16(value: float, exact: str) -> float | str:
    """The value that bfloat16 rounds to, which is how transformers keeps it; `exact` if it is the same."""
    (bits,) = struct.unpack("<I", struct.pack("<f", value))
    bits = (bits + 0x7FFF + (bits >> 16 & 1)) >> 16 << 16  # to the nearest, ties to even
    (rounded,) = struct.unpack("<f", struct.pack("<I", bits))
    return exact if rounded == value else float(rounded)


# --- RWKV -----------------------------------------------------------------------------------------------------------

FINAL_EPS = 1e-5  # of the last norm, whatever the others' epsilon is


def rwkv(c: Config) -> Fields:
    """RWKV-4. Halving the residual stream from time to time changes no logit, but for the norms' epsilon."""
    d_model = c.count("hidden_size")
    norm = layer_norm(c, "layer_norm_epsilon", bias=True)
    if norm["eps"] != FINAL_EPS:
        c.fail("layer_norm_epsilon", f"{norm['eps']:g}, but the class gives the last norm {FINAL_EPS:g}")
    return {
        "context_length": c.count("context_length"),
        "d_model": d_model,
        "n_layers": c.layers(),
        "vocab_size": c.count("vocab_size"),
        "tie_embeddings": c.flag("tie_word_embeddings"),
        "norm": norm,
        "embedding_norm": True,
        "attention": {
            "kind": "rwkv4",
            "channels": d_model,
            "width": c.optional(c.count, "attention_hidden_size") or d_model,
        },
        "ffn": {
            "kind": "channel_mixing",
            "channels": d_model,
            "d_ff": c.optional(c.count, "intermediate_size") or 4 * d_model,
        },
    }


# --- tables ---------------------------------------------------------------------------------------------------------

MINIMAX: dict[str, Any] = (
    USUAL
    | {"head_dim": None, "rms_norm_eps": 1e-5, "rope_theta": 1_000_000.0, "sliding_window": None, "rotary_dim": None}
    | dict.fromkeys(FACTORS, 1)
)

IN_MINIMAX: dict[str, Accepted] = {
    "block_size": ANY,  # tokens that are computed at once
    "postnorm": (True,),
    "shared_intermediate_size": (0,),
    "shared_moe_mode": ANY,
}

IN_LFM2: dict[str, Accepted] = {
    **dict.fromkeys(
        "block_mlp_init_scale block_out_init_scale block_use_xavier_init conv_use_xavier_init".split(), ANY
    ),
    **dict.fromkeys(("block_use_swiglu", "use_pos_enc"), (True,)),
}

LFM2: dict[str, Any] = (
    USUAL
    | {"head_dim": None, "norm_eps": 1e-5, "rope_theta": 1_000_000.0, "tie_word_embeddings": True}
    | {"conv_bias": False, "conv_L_cache": 3, "layer_types": None}
)

FAMILIES = (
    Family(
        "minimax",
        minimax,
        MINIMAX
        | {"layer_types": None, "block_size": 256, "num_experts_per_tok": 2, "num_local_experts": 8}
        | sizes(32_000, 4096, 14_336, 32, 32, 8, 131_072),
        aliases={"num_experts": "num_local_experts"},
        without_effect=IN_MINIMAX,
    ),
    *(
        Family(
            name,
            minimax_01,
            MINIMAX,
            aliases={theirs: ours for ours, theirs in FACTORS.items()},
            without_effect=IN_MINIMAX,
            remote=True,
        )
        for name in ("minimax_text_01", "minimax_m1")
    ),
    Family(
        "lfm2",
        lfm2,
        LFM2
        | {"block_multiple_of": 256, "block_ffn_dim_multiplier": 1.0, "block_auto_adjust_ff_dim": True}
        | {"full_attn_idxs": None}
        | sizes(65_536, 2560, 12_288, 32, 32, 8, 128_000),
        aliases={"block_ff_dim": "intermediate_size", "tie_embedding": "tie_word_embeddings"},
        without_effect=IN_LFM2,
    ),
    Family(
        "lfm2_moe",
        lfm2_moe,
        {key: value for key, value in LFM2.items() if key != "layer_types"}
        | {"moe_intermediate_size": 1792, "num_dense_layers": 2, "num_experts_per_tok": 4, "num_experts": 32}
        | {"use_expert_bias": True, "routed_scaling_factor": 1.0, "norm_topk_prob": True}
        | sizes(65_536, 2048, 7168, 32, 32, 8, 128_000),
        aliases={"tie_embedding": "tie_word_embeddings"},
        without_effect=IN_LFM2,
    ),
    Family(
        "recurrent_gemma",
        recurrent_gemma,
        {key: value for key, value in USUAL.items() if key != "hidden_act"}
        | {"vocab_size": 256_000, "hidden_size": 2560, "intermediate_size": 7680, "num_hidden_layers": 26}
        | {"num_attention_heads": 10, "num_key_value_heads": None, "lru_width": None, "attention_window_size": 2048}
        | {"conv1d_width": 4, "logits_soft_cap": 30.0, "hidden_activation": "gelu_pytorch_tanh"}
        | {"attention_bias": False}
        | {"tie_word_embeddings": True, "partial_rotary_factor": 0.5},
        aliases={"sliding_window": "attention_window_size", "_block_types": "block_types"},
        without_effect={
            **dict.fromkeys(("w_init_variance_scale", "final_w_init_variance_scale"), ANY),
            "embeddings_scale_by_sqrt_dim": (True,),
        },
    ),
    Family(
        "rwkv",
        rwkv,
        {"vocab_size": 50_277, "context_length": 1024, "hidden_size": 4096, "num_hidden_layers": 32}
        | {"attention_hidden_size": None, "intermediate_size": None, "layer_norm_epsilon": 1e-5}
        | {"tie_word_embeddings": False},
        aliases={"max_position_embeddings": "context_length"},
        without_effect={"rescale_every": ANY},  # halves values to keep them in range, and weights with them
    ),
)
