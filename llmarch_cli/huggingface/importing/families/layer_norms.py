"""Decoders with layer norms and rotary embeddings, sequential or with parallel sublayers."""

from __future__ import annotations

from typing import Any

from llmarch_cli.huggingface.importing.families.family import GPT_NAMES, GPT_USUAL, USUAL, Family, basic_sizes, sizes
from llmarch_cli.huggingface.importing.keys import ANY, Accepted, Config
from llmarch_cli.huggingface.importing.layers import Fields, axis
from llmarch_cli.huggingface.importing.pieces import (
    ACTIVATIONS,
    BIASED,
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
    multi_head,
    only_divided,
    ungated,
)
from llmarch_cli.huggingface.importing.rope import FULL, SLIDING, rope, rope_by_layer_type


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


def gptj(c: Config) -> Fields:
    attention = multi_head(c, rope_theta=10_000.0, rope_interleaved=True, rotary_dim=c.count("rotary_dim"))
    return frame(
        c,
        layer_norm(c, "layer_norm_epsilon", bias=True),
        parallel_sublayers=True,
        norm_placement="pre_shared",
        head_bias=True,
        attention=attention,
        ffn=ungated(c, inner_width(c)),
    )


def codegen(c: Config) -> Fields:
    n_heads = c.count("num_attention_heads")
    if n_heads % 4:
        c.fail(
            "num_attention_heads", f"{n_heads} must be a multiple of 4, because the weights are stored for 4 devices"
        )
    return gptj(c)


def phi(c: Config) -> Fields:
    qk_norm = "per_head" if c.flag("qk_layernorm") else None
    return frame(
        c,
        layer_norm(c, bias=True),
        parallel_sublayers=True,
        norm_placement="pre_shared",
        head_bias=True,
        attention={**heads(c, only_divided(c)), **_partly_rotated(c), "qk_norm": qk_norm, **BIASED},
        ffn=dense(c, gated=False, bias=True),
    )


def _partly_rotated(c: Config, theta: str = "rope_theta", factor: str = "partial_rotary_factor") -> Fields:
    return rope(c, only_divided(c), partial=True, odd=False, theta_name=theta, partial_name=factor)


def persimmon(c: Config) -> Fields:
    qk_norm = "per_head" if c.flag("qk_layernorm") else None
    attention = multi_head(c, qk_norm=qk_norm, **_partly_rotated(c), **BIASED)
    return frame(c, layer_norm(c, bias=True), attention=attention, ffn=dense(c, gated=False, bias=True))


def gpt_neox_japanese(c: Config) -> Fields:
    c.expect("rope_theta", c.number("rotary_emb_base"))  # its newer name
    c.expect("partial_rotary_factor", c.number("rotary_pct"))
    attention = multi_head(c, **_partly_rotated(c, "rotary_emb_base", "rotary_pct"))
    last = c.layers() - 1
    return frame(
        c,
        layer_norm(c, bias=True),
        attention=axis(range(last + 1), lambda layer: {**attention, "o_bias": layer == last}),
        ffn=ungated(c, c.count("intermediate_multiple_size") * c.count("hidden_size"), "hidden_act", bias=False),
    )


def jais2(c: Config) -> Fields:
    ffn = dense(c, gated=False, bias=c.flag("mlp_bias"))
    return frame(c, layer_norm(c, bias=True), attention=gqa(c, **biased(c)), ffn=ffn)


def modernbert_decoder(c: Config) -> Fields:
    c.expect("rope_theta", c.number("global_rope_theta"), why="global_rope_theta and local_rope_theta are read")
    c.expect("rope_scaling", None, why="rope_parameters are read")
    rotary = rope_by_layer_type(c, "local_rope_theta", "global_rope_theta")
    step = c.count("global_attn_every_n_layers")
    types = layer_types(c, lambda layer: SLIDING if layer % step else FULL)
    half = (c.optional(c.count, "local_attention", least=2) or 0) // 2
    if not half and SLIDING in types:
        c.fail("local_attention", "null, but some layers have a window")
    c.expect("sliding_window", half or -1, why="half of local_attention")
    attention = {**multi_head(c), **biased(c)}

    def layer(setting: tuple[bool, str]) -> Fields:
        first, kind = setting
        normed = {"block_norms": False} if first else {}  # the embedding's norm stands there already
        return {**attention, **rotary[kind], **normed, "window": half if kind == SLIDING else None}

    return frame(
        c,
        layer_norm(c, "norm_eps", bias=c.flag("norm_bias")),
        embedding_norm=True,
        head_bias=c.flag("decoder_bias"),
        head_transform={
            "activation": c.choice("classifier_activation", ACTIVATIONS),
            "bias": c.flag("classifier_bias"),
        },
        attention=axis([(i == 0, kind) for i, kind in enumerate(types)], layer),
        ffn=dense(c, "hidden_activation", bias=c.flag("mlp_bias")),
    )


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

GPTJ = GPT_USUAL | {"rotary_dim": 64, "tie_word_embeddings": False} | basic_sizes(50_400, 4096, 28, 16, 2048)

ROTATED: dict[str, Accepted] = {"n_ctx": ANY, "rotary": (True,), "scale_attn_weights": (True,)}

FAMILIES = (
    Family(
        "gpt_neox",
        gpt_neox,
        LAYERED
        | {"hidden_act": "gelu", "attention_bias": True, "use_parallel_residual": True}
        | {"rotary_emb_base": 10_000.0, "rotary_pct": 0.25}
        | sizes(50_432, 6144, 24_576, 44, 64, None, 2048),
    ),
    Family(
        "gpt_neox_japanese",
        gpt_neox_japanese,
        {"hidden_act": "gelu", "layer_norm_eps": 1e-5, "intermediate_multiple_size": 4, "tie_word_embeddings": True}
        | {"rotary_emb_base": 10_000.0, "rotary_pct": 1.0, "rope_parameters": None}
        | basic_sizes(32_000, 2560, 32, 32, 2048),
    ),
    Family("gptj", gptj, GPTJ, GPT_NAMES, ROTATED),
    Family("codegen", codegen, GPTJ, GPT_NAMES, ROTATED),
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
    Family(
        "phi",
        phi,
        LAYERED
        | {"hidden_act": "gelu_new", "qk_layernorm": False, "partial_rotary_factor": 0.5}
        | sizes(51_200, 2048, 8192, 24, 32, None, 2048),
    ),
    Family(
        "persimmon",
        persimmon,
        LAYERED
        | {"hidden_act": "relu2", "qk_layernorm": True, "partial_rotary_factor": 0.5, "intermediate_size": 16_384}
        | basic_sizes(262_144, 4096, 36, 64, 16_384),
    ),
    Family(
        "jais2",
        jais2,
        LAYERED
        | {"hidden_act": "relu2", "attention_bias": True, "mlp_bias": True}
        | sizes(150_272, 3328, 26_624, 32, 26, None, 8192),
    ),
    Family(
        "modernbert-decoder",
        modernbert_decoder,
        {"hidden_activation": "gelu", "norm_eps": 1e-5, "intermediate_size": 1152, "tie_word_embeddings": True}
        | dict.fromkeys(("norm_bias", "attention_bias", "mlp_bias", "classifier_bias"), False)
        | {"decoder_bias": True, "classifier_activation": "gelu", "local_attention": 128, "layer_types": None}
        | {"global_attn_every_n_layers": 3, "global_rope_theta": 160_000.0, "local_rope_theta": 10_000.0}
        | basic_sizes(50_368, 768, 22, 12, 8192),
        without_effect={
            **dict.fromkeys(("classifier_pooling", "deterministic_flash_attn"), ANY),
            **dict.fromkeys(("initializer_cutoff_factor", "mlp_dropout", "reference_compile"), ANY),
            **dict.fromkeys(("repad_logits_with_grad", "sparse_pred_ignore_index", "sparse_prediction"), ANY),
            "causal_mask": (True,),
            "layer_norm_eps": ANY,  # norm_eps decides
            "position_embedding_type": ANY,  # always rotary
        },
    ),
)
