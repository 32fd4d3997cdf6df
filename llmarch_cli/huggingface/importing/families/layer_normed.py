"""Decoders with layer norms, sequential or with parallel sublayers."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from llmarch_cli.huggingface.importing.families.family import USUAL, Family, sizes
from llmarch_cli.huggingface.importing.keys import ANY, Accepted, Config
from llmarch_cli.huggingface.importing.layers import Fields
from llmarch_cli.huggingface.importing.pieces import (
    ACTIVATIONS,
    NOPE,
    biased,
    by_type,
    dense,
    every,
    frame,
    gqa,
    heads,
    inner_width,
    layer_norm,
    layer_types,
    only_divided,
)
from llmarch_cli.huggingface.importing.rope import FULL, rope


def gpt2(c: Config) -> Fields:
    d_model, n_heads = c.count("n_embd"), c.count("n_head")
    attention = {"kind": "gqa", "n_heads": n_heads, "n_kv_heads": n_heads, "head_dim": d_model // n_heads}
    return {
        "context_length": c.count("n_positions"),
        "d_model": d_model,
        "n_layers": c.layers("n_layer"),
        "vocab_size": c.count("vocab_size"),
        "tie_embeddings": c.flag("tie_word_embeddings"),
        "learned_positions": c.count("n_positions"),
        "norm": layer_norm(c, "layer_norm_epsilon", bias=True),
        "attention": {
            **attention,
            "qkv_bias": True,
            "o_bias": True,
            "score_scale": None if c.flag("scale_attn_weights") else 1.0,
        },
        "ffn": {
            "kind": "dense",
            "d_ff": c.optional(c.count, "n_inner") or 4 * d_model,
            "activation": c.choice("activation_function", ACTIVATIONS),
            "gated": False,
            "bias": True,
        },
    }


def gpt_neox(c: Config) -> Fields:
    width = only_divided(c)
    c.expect("num_key_value_heads", c.count("num_attention_heads"))
    c.expect("rope_theta", c.number("rotary_emb_base"))  # its newer name
    c.expect("partial_rotary_factor", c.number("rotary_pct"))
    rotary = rope(c, width, partial=True, theta_name="rotary_emb_base", partial_name="rotary_pct")
    return frame(
        c,
        layer_norm(c, bias=True),
        parallel_sublayers=c.flag("use_parallel_residual"),
        attention={**heads(c, width), **rotary, **biased(c)},
        ffn=dense(c, gated=False, bias=True),
    )


def starcoder2(c: Config) -> Fields:
    attention = gqa(c, window=c.optional(c.count, "sliding_window"), **biased(c, "use_bias"))
    ffn = dense(c, gated=False, bias=c.flag("use_bias"))
    return frame(c, layer_norm(c, "norm_epsilon", bias=True), attention=attention, ffn=ffn)


def nemotron(c: Config) -> Fields:
    attention = gqa(c, partial=True, **biased(c))
    c.expect("kv_channels", attention["head_dim"])
    ffn = dense(c, gated=False, bias=c.flag("mlp_bias"))
    return frame(c, layer_norm(c, "norm_eps", bias=True, unit_offset=True), attention=attention, ffn=ffn)


def olmo(c: Config) -> Fields:
    attention = gqa(c, clip_qkv=c.optional(c.number, "clip_qkv"), **biased(c))
    return frame(c, {"kind": "layer", "eps": 1e-5, "weight": False}, attention=attention, ffn=dense(c))


def stablelm(c: Config) -> Fields:
    width = only_divided(c)
    c.expect("norm_eps", c.number("layer_norm_eps"))
    qk_norm = "per_head_weights" if c.flag("qk_layernorm") else None
    rotary = rope(c, width, partial=True, odd=False)
    attention = {**heads(c, width), **rotary, "qkv_bias": c.flag("use_qkv_bias"), "qk_norm": qk_norm}
    placed = {"parallel_sublayers": True, "norm_placement": "pre_shared"} if c.flag("use_parallel_residual") else {}
    return frame(c, layer_norm(c, bias=True), attention=attention, ffn=dense(c), **placed)


def beside(c: Config, attention: Fields) -> Fields:
    """The fields shared by Cohere and Cohere 2."""
    return frame(
        c,
        layer_norm(c),
        parallel_sublayers=True,
        norm_placement="pre_shared",
        logit_scale=c.number("logit_scale"),
        attention=attention,
        ffn=dense(c),
    )


def cohere(c: Config) -> Fields:
    qk_norm = "per_head_weights" if c.flag("use_qk_norm") else None
    return beside(c, gqa(c, qk_norm=qk_norm, rope_interleaved=True, **biased(c)))


def cohere2(c: Config) -> Fields:
    attention = gqa(c, rope_interleaved=True, **biased(c))
    return beside(c, by_type(c, attention, layer_types(c, every(c.count("sliding_window_pattern"))), {FULL: NOPE}))


def falcon(c: Config) -> Fields:
    n_heads, width = c.count("num_attention_heads"), only_divided(c)
    bias, newer, alibi = c.flag("bias"), c.flag("new_decoder_architecture"), c.flag("alibi")
    n_kv_heads, one_for_all = c.optional(c.count, "num_kv_heads") or n_heads, c.flag("multi_query")
    if not newer:
        if one_for_all:
            n_kv_heads = 1
        elif n_kv_heads != n_heads:
            c.fail(
                "num_kv_heads",
                f"{n_kv_heads}, but without new_decoder_architecture it must be 1 or the number of heads",
            )
    rotary: Fields = {"alibi": True} if alibi else rope(c, width)
    if alibi:
        for name in ("rope_scaling", "rope_parameters", "rope_theta"):
            c.read.add(name)
    attention = {"kind": "gqa", "n_heads": n_heads, "n_kv_heads": n_kv_heads, "head_dim": width}
    ffn = {
        "kind": "dense",
        "d_ff": inner_width(c, "ffn_hidden_size"),
        "activation": c.choice("activation", ACTIVATIONS),
        "gated": False,
        "bias": bias,
    }
    return frame(
        c,
        layer_norm(c, "layer_norm_epsilon", bias=True),
        **_falcon_placement(c, newer),
        attention={**attention, **rotary, "qkv_bias": bias, "o_bias": bias},
        ffn=ffn,
    )


def _falcon_placement(c: Config, newer: bool) -> Fields:
    """The placement of norms: sequential sublayers, or parallel ones with a norm each or a shared norm."""
    parallel, n_norms = c.flag("parallel_attn"), c.optional(c.count, "num_ln_in_parallel_attn")
    if not parallel:
        if newer:
            c.fail("parallel_attn", "false, but new_decoder_architecture requires parallel sublayers")
        return {}
    if n_norms not in (None, 1, 2) or (n_norms == 2 and not newer):
        c.fail("num_ln_in_parallel_attn", f"{n_norms} norms are not supported here")
    two = newer and n_norms != 1
    return {"parallel_sublayers": True, "norm_placement": "pre" if two else "pre_shared"}


LAYERED: dict[str, Any] = USUAL | {"layer_norm_eps": 1e-5}
COHERE: dict[str, Any] = LAYERED | {
    "attention_bias": False,
    "logit_scale": 0.0625,
    "tie_word_embeddings": True,
}

IN_COHERE2: dict[str, Accepted] = {
    "_sliding_window_pattern": ANY,  # the class reads only sliding_window_pattern
    **dict.fromkeys(("use_embedding_sharing", "use_gated_activation", "use_parallel_block"), (True,)),
    **dict.fromkeys(("use_parallel_embedding", "model_max_length"), ANY),
    "layer_switch": ANY,
    "order_of_interleaved_layers": ("local_attn_first",),
    "position_embedding_type": ("rope_gptj",),
    "rotary_pct": (1.0,),
    "use_qk_norm": (False,),
}

GPT2 = Family(
    "gpt2",
    gpt2,
    {
        "vocab_size": 50_257,
        "n_positions": 1024,
        "n_embd": 768,
        "n_layer": 12,
        "n_head": 12,
        "n_inner": None,
        "activation_function": "gelu_new",
        "layer_norm_epsilon": 1e-5,
        "scale_attn_weights": True,
        "tie_word_embeddings": True,
    },
    aliases={
        "hidden_size": "n_embd",
        "max_position_embeddings": "n_positions",
        "num_attention_heads": "n_head",
        "num_hidden_layers": "n_layer",
    },
    without_effect={
        "n_ctx": ANY,
        "n_special": ANY,
        "predict_special_tokens": ANY,
        "reorder_and_upcast_attn": ANY,
        "scale_attn_by_inverse_layer_idx": (False,),
    },
)

FAMILIES = (
    GPT2,
    replace(GPT2, model_type="gpt-sw3"),
    Family(
        "gpt_neox",
        gpt_neox,
        LAYERED
        | {"hidden_act": "gelu", "attention_bias": True, "use_parallel_residual": True}
        | {"rotary_emb_base": 10_000.0, "rotary_pct": 0.25}
        | sizes(50_432, 6144, 24_576, 44, 64, None, 2048),
    ),
    Family(
        "starcoder2",
        starcoder2,
        USUAL
        | {"hidden_act": "gelu_pytorch_tanh", "norm_epsilon": 1e-5, "use_bias": True, "sliding_window": None}
        | {"tie_word_embeddings": True}
        | sizes(49_152, 3072, 12_288, 30, 24, 2, 4096),
        without_effect={
            "activation_function": ANY,  # hidden_act decides
            "layer_norm_epsilon": ANY,  # norm_epsilon decides
            "mlp_type": ("default",),
            "norm_type": ("layer_norm",),
            "scale_attn_weights": (True,),
        },
    ),
    Family(
        "nemotron",
        nemotron,
        USUAL
        | {"hidden_act": "relu2", "norm_eps": 1e-5, "attention_bias": False, "mlp_bias": False, "head_dim": None}
        | {"partial_rotary_factor": 0.5}
        | sizes(256_000, 6144, 24_576, 32, 48, None, 4096),
    ),
    Family(
        "olmo",
        olmo,
        USUAL | {"attention_bias": False, "clip_qkv": None} | sizes(50_304, 4096, 11_008, 32, 32, None, 2048),
    ),
    Family(
        "stablelm",
        stablelm,
        LAYERED
        | {"use_qkv_bias": False, "qk_layernorm": False, "use_parallel_residual": False}
        | {"partial_rotary_factor": 0.25}
        | sizes(50_304, 2560, 6912, 32, 32, 32, 4096),
        without_effect={"rotary_scaling_factor": (1.0,)},
    ),
    Family(
        "cohere",
        cohere,
        COHERE | {"use_qk_norm": False, "rope_theta": 500_000.0} | sizes(256_000, 8192, 22_528, 40, 64, None, 8192),
        without_effect={"model_max_length": ANY},
    ),
    Family(
        "cohere2",
        cohere2,
        COHERE
        | {"sliding_window": 4096, "sliding_window_pattern": 4, "layer_types": None}
        | sizes(256_000, 8192, 22_528, 40, 64, None, 8192),
        without_effect=IN_COHERE2,
    ),
    Family(
        "falcon",
        falcon,
        USUAL
        | {"layer_norm_epsilon": 1e-5, "num_ln_in_parallel_attn": None, "num_kv_heads": None, "alibi": False}
        | {"new_decoder_architecture": False, "multi_query": True, "parallel_attn": True, "bias": False}
        | {"ffn_hidden_size": None, "activation": "gelu", "tie_word_embeddings": True}
        | {"vocab_size": 65_024, "hidden_size": 4544, "num_hidden_layers": 32, "num_attention_heads": 71}
        | {"max_position_embeddings": 2048},
        aliases={"n_embed": "hidden_size", "n_head": "num_attention_heads", "n_layer": "num_hidden_layers"},
        without_effect={"apply_residual_connection_post_layernorm": (False,), "ff_factor": (4,)},
    ),
)
