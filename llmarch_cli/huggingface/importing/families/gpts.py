"""Older decoders with GPT's names of keys: multi-head attention and feed-forward layers without a gate."""

from __future__ import annotations

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
        c.fail("n_head", f"{n_heads} must be a multiple of 4, because the weights are stored for 4 devices")
    return gptj(c)


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
    attention = {
        **multi_head_or_query(c),
        "score_scale": None if c.flag("scale_attn_weights") else 1.0,
        **BIASED,
    }
    return frame(
        c,
        layer_norm(c, "layer_norm_epsilon", bias=True),
        learned_positions=c.count("max_position_embeddings"),
        attention=attention,
        ffn=ungated(c, inner_width(c)),
    )


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
        c.fail("n_embd", f"must be even for sinusoidal positions, not {c.count('hidden_size')}")
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


GPTJ = GPT_USUAL | {"rotary_dim": 64, "tie_word_embeddings": False} | basic_sizes(50_400, 4096, 28, 16, 2048)

ROTATED: dict[str, Accepted] = {"n_ctx": ANY, "rotary": (True,), "scale_attn_weights": (True,)}

FAMILIES = (
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
    Family("gptj", gptj, GPTJ, GPT_NAMES, ROTATED),
    Family("codegen", codegen, GPTJ, GPT_NAMES, ROTATED),
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
            **dict.fromkeys(("inference_runner", "max_batch_size", "max_sequence_length", "pad_key_length"), ANY),
            **dict.fromkeys(("pre_allocate_kv_cache", "validate_runner_input"), ANY),
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
)
