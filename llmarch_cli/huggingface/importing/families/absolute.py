"""Decoders without rotary embeddings: positions are learned, sinusoidal, or linear biases (ALiBi)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from llmarch_cli.huggingface.importing.families.family import GPT_NAMES, GPT_USUAL, Family, basic_sizes
from llmarch_cli.huggingface.importing.keys import ANY, Accepted, Config
from llmarch_cli.huggingface.importing.layers import Fields, axis
from llmarch_cli.huggingface.importing.pieces import (
    BIASED,
    frame,
    inner_width,
    layer_norm,
    multi_head,
    only_divided,
    ungated,
)
from llmarch_cli.huggingface.importing.without_effect import WITHOUT_EFFECT


def gpt2(c: Config) -> Fields:
    return _learned(c, multi_head(c))


def _learned(c: Config, attention: Fields) -> Fields:
    """Layers of GPT-2 around this attention, and learned positions."""
    score_scale = None if c.flag("scale_attn_weights") else 1.0
    return frame(
        c,
        layer_norm(c, "layer_norm_epsilon", bias=True),
        learned_positions=c.count("max_position_embeddings"),
        attention={**attention, "score_scale": score_scale, **BIASED},
        ffn=ungated(c, inner_width(c)),
    )


def bloom(c: Config) -> Fields:
    d_ff = 4 * c.count("hidden_size")
    c.expect("n_inner", d_ff)
    return {
        "context_length": c.optional(c.count, "seq_length"),
        "d_model": c.count("hidden_size"),
        "n_layers": c.layers(),
        "vocab_size": c.count("vocab_size"),
        "tie_embeddings": c.flag("tie_word_embeddings"),
        "norm": layer_norm(c, "layer_norm_epsilon", bias=True),
        "embedding_norm": True,
        "attention": multi_head(c, alibi="unscaled", **BIASED),
        "ffn": {"kind": "dense", "d_ff": d_ff, "activation": "gelu_tanh", "gated": False, "bias": True},
    }


def gpt_neo(c: Config) -> Fields:
    window, attention = c.count("window_size"), multi_head(c, o_bias=True, score_scale=1.0)
    kinds = _global_and_local(c)
    c.expect("attention_layers", kinds, why="attention_types says the same")
    return frame(
        c,
        layer_norm(c, "layer_norm_epsilon", bias=True),
        learned_positions=c.count("max_position_embeddings"),
        attention=axis(kinds, lambda kind: {**attention, "window": window if kind == "local" else None}),
        ffn=ungated(c, inner_width(c, "intermediate_size")),
    )


def _global_and_local(c: Config) -> list[str]:
    """The kind of each layer, from kinds and how often each list of them repeats."""
    name, n_layers = "attention_types", c.layers()
    given = c.value(name) if c.given(name) else [[["global", "local"], 12]]
    c.read.add(name)
    kinds: list[str] = []
    n_named = 0
    words: Any
    for entry in given if isinstance(given, list) else [None]:
        words, times = entry if isinstance(entry, list) and len(entry) == 2 else ([None], None)
        known = isinstance(words, list) and all(word in ("global", "local") for word in words)
        if not known or type(times) is not int or times < 0:
            c.fail(name, "must be a list of lists of global and local, each with how often it repeats")
        n_named = len(kinds) + len(words) * times
        if n_named > n_layers:
            break
        kinds += words * times
    if n_named != n_layers:
        c.fail(name, f"must name {n_layers:,} layers, as num_layers does, not {n_named:,}")
    return kinds


def gpt_bigcode(c: Config) -> Fields:
    return _learned(c, multi_head_or_query(c))


def multi_head_or_query(c: Config) -> Fields:
    """One key head for all query heads if `multi_query` is true."""
    if not c.flag("multi_query"):
        return multi_head(c)
    c.expect("num_key_value_heads", 1, why="multi_query is true")
    n_heads = c.count("num_attention_heads")
    return {"kind": "gqa", "n_heads": n_heads, "n_kv_heads": 1, "head_dim": only_divided(c)}


def mpt(c: Config) -> Fields:
    settings = c.inner("attn_config", {"softmax_scale": None, "clip_qkv": None})
    clip = settings.optional(settings.number, "clip_qkv")
    attention = multi_head(
        c,
        alibi="unscaled",
        score_scale=settings.optional(settings.number, "softmax_scale"),
        clip_qkv=clip or None,  # transformers reads 0 as absent
    )
    settings.finish({**WITHOUT_EFFECT, **MPT_ATTENTION})
    c.expect("expansion_ratio", 4)
    d_ff = 4 * c.count("hidden_size")
    ffn = {"kind": "dense", "d_ff": d_ff, "activation": "gelu", "gated": False}
    return frame(c, layer_norm(c, "layer_norm_epsilon"), attention=attention, ffn=ffn)


# transformers builds these values only, and ignores others, which would change the model.
MPT_ATTENTION: dict[str, Accepted] = {
    "alibi": (True,),
    "alibi_bias_max": (8,),
    "attn_impl": ANY,
    "attn_type": ("multihead_attention",),
    **dict.fromkeys(("prefix_lm", "qk_ln", "attn_uses_sequence_id", "rope", "qk_gn"), (False,)),
}


def openai_gpt(c: Config) -> Fields:
    # What its class calls gelu is the tanh approximation.
    activation = c.choice("afn", {"gelu": "gelu_tanh", "relu": "relu", "silu": "silu", "swish": "silu"})
    d_ff = 4 * c.count("hidden_size")
    return frame(
        c,
        layer_norm(c, "layer_norm_epsilon", bias=True),
        learned_positions=c.count("max_position_embeddings"),
        norm_placement="post_residual",
        final_norm=False,
        attention=multi_head(c, **BIASED),
        ffn={"kind": "dense", "d_ff": d_ff, "activation": activation, "gated": False, "bias": True},
    )


def ctrl(c: Config) -> Fields:
    if c.count("hidden_size") % 2:
        c.fail("hidden_size", f"must be even for sinusoidal positions, not {c.count('hidden_size')}")
    c.expect("layer_norm_epsilon", 1e-6, why="the norms inside layers have no other")
    return frame(
        c,
        {"kind": "layer", "eps": 1e-6, "bias": True},
        embedding_scale="sqrt_d_model",
        sinusoidal_theta=10_000.0,
        head_bias=True,
        attention=multi_head(c, **BIASED),
        ffn={"kind": "dense", "d_ff": c.count("dff"), "activation": "relu", "gated": False, "bias": True},
    )


FIXED_EPS: Fields = {"kind": "layer", "eps": 1e-5, "bias": True}  # PyTorch's own, whatever the config says


def scaled(c: Config) -> float | str:
    return "sqrt_d_model" if c.flag("scale_embedding") else 1.0


def opt(c: Config) -> Fields:
    before, bias = c.flag("do_layer_norm_before"), c.flag("enable_bias")
    affine = c.flag("layer_norm_elementwise_affine")
    c.expect("word_embed_proj_dim", c.count("hidden_size"), why="embeddings of another width are not supported")
    return frame(
        c,
        {**FIXED_EPS, "weight": affine, "bias": affine},
        norm_placement="pre" if before else "post_residual",
        final_norm=not c.flag("_remove_final_layer_norm") and before,
        attention=multi_head(c, qkv_bias=bias, o_bias=bias),
        ffn=ungated(c, c.count("ffn_dim"), bias=bias),
        **_learned_from_2(c),
    )


def _learned_from_2(c: Config) -> Fields:
    return {"learned_positions": c.count("max_position_embeddings"), "position_offset": 2}


def biogpt(c: Config) -> Fields:
    ffn = ungated(c, c.count("intermediate_size"), "hidden_act")
    attention, positions = multi_head(c, **BIASED), _learned_from_2(c)
    return frame(c, FIXED_EPS, embedding_scale=scaled(c), attention=attention, ffn=ffn, **positions)


def xglm(c: Config) -> Fields:
    half, odd = divmod(c.count("hidden_size", least=4), 2)
    if odd:
        c.fail("hidden_size", f"must be even for sinusoidal positions, not {2 * half + 1}")
    c.expect("pad_token_id", 0, 1, why="transformers leaves the position of any other row without a value")
    return frame(
        c,
        FIXED_EPS,
        embedding_scale=scaled(c),
        sinusoidal_theta=10_000.0 ** (half / (half - 1)),  # the last of the frequencies is 1 / 10,000 itself
        position_offset=2,
        attention=multi_head(c, **BIASED),
        ffn=ungated(c, c.count("ffn_dim")),
    )


GPT2 = Family(
    "gpt2",
    gpt2,
    GPT_USUAL | {"scale_attn_weights": True, "tie_word_embeddings": True} | basic_sizes(50_257, 768, 12, 12, 1024),
    aliases=GPT_NAMES,
    without_effect={
        **dict.fromkeys(("n_ctx", "n_special", "predict_special_tokens", "reorder_and_upcast_attn"), ANY),
        "scale_attn_by_inverse_layer_idx": (False,),
    },
)

TRAINING: dict[str, Accepted] = dict.fromkeys(("activation_dropout", "dropout", "layerdrop"), ANY)

FAMILIES = (
    GPT2,
    replace(GPT2, model_type="gpt-sw3"),
    Family(
        "gpt_neo",
        gpt_neo,
        {"activation_function": "gelu_new", "layer_norm_epsilon": 1e-5, "intermediate_size": None}
        | {"attention_types": None, "window_size": 256, "tie_word_embeddings": True}
        | basic_sizes(50_257, 2048, 24, 16, 2048),
        aliases={"num_heads": "num_attention_heads", "num_layers": "num_hidden_layers"},
        without_effect={"resid_dropout": ANY},
    ),
    Family(
        "gpt_bigcode",
        gpt_bigcode,
        GPT_USUAL
        | {"activation_function": "gelu_pytorch_tanh", "scale_attn_weights": True, "multi_query": True}
        | {"tie_word_embeddings": True}
        | basic_sizes(50_257, 768, 12, 12, 1024),
        aliases=GPT_NAMES,
        without_effect={
            **dict.fromkeys(("inference_runner", "max_batch_size", "pad_key_length"), ANY),
            **dict.fromkeys(("pre_allocate_kv_cache", "validate_runner_input"), ANY),
        },
    ),
    Family(
        "openai-gpt",
        openai_gpt,
        {"afn": "gelu", "layer_norm_epsilon": 1e-5, "tie_word_embeddings": True}
        | basic_sizes(40_478, 768, 12, 12, 512),
        aliases=GPT_NAMES,
        without_effect=dict.fromkeys(("n_ctx", "n_special", "predict_special_tokens"), ANY),
    ),
    Family(
        "ctrl",
        ctrl,
        {"dff": 8192, "tie_word_embeddings": True} | basic_sizes(246_534, 1280, 48, 16, 256),
        aliases=GPT_NAMES,
        without_effect=dict.fromkeys(("from_tf", "n_ctx"), ANY),
    ),
    Family(
        "opt",
        opt,
        {"activation_function": "relu", "ffn_dim": 3072, "do_layer_norm_before": True, "enable_bias": True}
        | {"_remove_final_layer_norm": False, "layer_norm_elementwise_affine": True, "tie_word_embeddings": True}
        | basic_sizes(50_272, 768, 12, 12, 2048),
        without_effect={**TRAINING, "learned_embeddings": (True,), "scale_embeddings": (False,)},
    ),
    Family(
        "biogpt",
        biogpt,
        {"hidden_act": "gelu", "scale_embedding": True, "tie_word_embeddings": True, "intermediate_size": 4096}
        | basic_sizes(42_384, 1024, 24, 16, 1024),
        without_effect={**TRAINING, "layer_norm_eps": ANY},  # its class has PyTorch's own
    ),
    Family(
        "xglm",
        xglm,
        {"activation_function": "gelu", "scale_embedding": True, "tie_word_embeddings": True, "ffn_dim": 4096}
        | basic_sizes(256_008, 1024, 24, 16, 2048),
        aliases={"d_model": "hidden_size", "attention_heads": "num_attention_heads", "num_layers": "num_hidden_layers"},
        without_effect=TRAINING,
    ),
    Family(
        "bloom",
        bloom,
        {"vocab_size": 250_880, "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 8}
        | {"layer_norm_epsilon": 1e-5, "tie_word_embeddings": True},
        aliases={"n_embed": "hidden_size", "n_head": "num_attention_heads", "n_layer": "num_hidden_layers"},
        without_effect={
            "apply_residual_connection_post_layernorm": (False,),
            **dict.fromkeys(("masked_softmax_fusion", "offset_alibi", "slow_but_exact"), ANY),
            **dict.fromkeys(("skip_bias_add", "skip_bias_add_qkv"), ANY),
        },
    ),
    Family(
        "mpt",
        mpt,
        {"layer_norm_epsilon": 1e-5, "tie_word_embeddings": True} | basic_sizes(50_368, 2048, 24, 16, 2048),
        aliases={
            "d_model": "hidden_size",
            "n_heads": "num_attention_heads",
            "n_layers": "num_hidden_layers",
            "max_seq_len": "max_position_embeddings",
        },
        without_effect={
            **dict.fromkeys(("embedding_fraction", "init_config", "init_device", "tokenizer_name", "verbose"), ANY),
            "learned_pos_emb": ANY,  # ALiBi takes their place
            "logit_scale": (None,),
            "no_bias": (True,),
            "norm_type": ("low_precision_layernorm", "layernorm"),
        },
    ),
)
