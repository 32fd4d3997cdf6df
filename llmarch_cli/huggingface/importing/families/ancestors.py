"""Older decoders with layer norms: those of fairseq, and those that rotate a part of each head."""

from __future__ import annotations

from llmarch_cli.huggingface.importing.families.family import Family, basic_sizes, sizes
from llmarch_cli.huggingface.importing.families.layer_normed import LAYERED
from llmarch_cli.huggingface.importing.keys import ANY, Accepted, Config
from llmarch_cli.huggingface.importing.layers import Fields, axis
from llmarch_cli.huggingface.importing.pieces import (
    ACTIVATIONS,
    BIASED,
    biased,
    dense,
    frame,
    gqa,
    heads,
    layer_norm,
    layer_types,
    multi_head,
    only_divided,
    ungated,
)
from llmarch_cli.huggingface.importing.rope import FULL, SLIDING, rope, rope_by_layer_type

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
        c.fail("d_model", f"must be even for sinusoidal positions, not {2 * half + 1}")
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


TRAINING: dict[str, Accepted] = dict.fromkeys(("activation_dropout", "dropout", "init_std", "layerdrop"), ANY)

FAMILIES = (
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
        "gpt_neox_japanese",
        gpt_neox_japanese,
        {"hidden_act": "gelu", "layer_norm_eps": 1e-5, "intermediate_multiple_size": 4, "tie_word_embeddings": True}
        | {"rotary_emb_base": 10_000.0, "rotary_pct": 1.0, "rope_parameters": None}
        | basic_sizes(32_000, 2560, 32, 32, 2048),
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
    Family(
        "jais2",
        jais2,
        LAYERED
        | {"hidden_act": "relu2", "attention_bias": True, "mlp_bias": True}
        | sizes(150_272, 3328, 26_624, 32, 26, None, 8192),
    ),
)
