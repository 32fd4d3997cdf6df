"""Further families: each puts mechanisms together in a way that none in `families` does.

They are told as there.
"""

from __future__ import annotations

from random import Random

from configs import (
    BIASED,
    EPS,
    LLAMA3,
    ONE_HEAD,
    THETA,
    TIED,
    YARN,
    Config,
    Family,
    Fields,
    biased,
    decoder,
    deepseek_moe,
    dense,
    dense_then_moe,
    experts,
    frame,
    gqa,
    laid,
    latent,
    layer_types,
    of_aligned_widths,
    rope,
    rotary,
    sigmoid_moe,
    two_axes,
    without_head_dim,
)

NOPE: Fields = {"rope_theta": None, "rope_scaling": None}
SHARED_NORM: Fields = {"parallel_sublayers": True, "norm_placement": "pre_shared"}

# --- from a config to our spec --------------------------------------------------------------------------------------


def layered(c: Config, **fields: object) -> Fields:
    """Attention of which some layers slide."""
    return laid(
        [gqa(c, window=c.sliding_window if each == "sliding_attention" else None, **fields) for each in c.layer_types]
    )


def part_of_head(c: Config) -> int:
    head_dim = getattr(c, "head_dim", None) or c.hidden_size // c.num_attention_heads
    return int(head_dim * c.rope_parameters["partial_rotary_factor"])


def layer_norm(eps: float, **fields: bool) -> Fields:
    return {"norm": {"kind": "layer", "eps": eps, **fields}}


def plain(c: Config, **fields: object) -> Fields:
    """The sizes that every family has."""
    return {
        "name": c.model_type,
        "d_model": c.hidden_size,
        "n_layers": c.num_hidden_layers,
        "vocab_size": c.vocab_size,
        "tie_embeddings": c.tie_word_embeddings,
        **fields,
    }


def olmo(c: Config) -> Fields:
    norm = layer_norm(1e-5, weight=False)
    return plain(c, **norm, attention=gqa(c, clip_qkv=c.clip_qkv, **biased(c)), ffn=dense(c))


def routed(c: Config, n_experts: int, top_k: int, d_ff: int, **fields: object) -> Fields:
    return {"kind": "moe", "n_experts": n_experts, "top_k": top_k, "d_ff": d_ff, **fields}


def olmoe(c: Config) -> Fields:
    attention = gqa(c, qk_norm="full", clip_qkv=c.clip_qkv, **biased(c))
    moe = routed(c, c.num_experts, c.num_experts_per_tok, c.intermediate_size, renormalize=c.norm_topk_prob)
    return {**frame(c), "attention": attention, "ffn": moe}


def cohere(c: Config) -> Fields:
    norm = "per_head_weights" if c.use_qk_norm else None
    attention = gqa(c, rope_interleaved=True, qk_norm=norm, **biased(c))
    around = {**layer_norm(c.layer_norm_eps), **SHARED_NORM, "logit_scale": c.logit_scale}
    return plain(c, **around, attention=attention, ffn=dense(c))


def cohere2(c: Config) -> Fields:
    def attention(layer_type: str) -> Fields:
        if layer_type == "sliding_attention":
            return gqa(c, rope_interleaved=True, window=c.sliding_window, **biased(c))
        return gqa(c, **NOPE, **biased(c))

    layers = laid([attention(layer_type) for layer_type in c.layer_types])
    around = {**layer_norm(c.layer_norm_eps), **SHARED_NORM, "logit_scale": c.logit_scale}
    return plain(c, **around, attention=layers, ffn=dense(c))


def granite(c: Config) -> Fields:
    return {
        **frame(c),
        "embedding_scale": c.embedding_multiplier,
        "logit_scale": 1 / c.logits_scaling,
        "residual_scale": c.residual_multiplier,
        "attention": gqa(c, score_scale=c.attention_multiplier, **biased(c)),
        "ffn": dense(c, bias=getattr(c, "mlp_bias", False)),
    }


def granitemoe(c: Config) -> Fields:
    moe = routed(c, c.num_local_experts, c.num_experts_per_tok, c.intermediate_size)
    return {**granite(c), "ffn": moe}


def stablelm(c: Config) -> Fields:
    norm = "per_head_weights" if c.qk_layernorm else None
    attention = gqa(c, rotary_dim=part_of_head(c), qkv_bias=c.use_qkv_bias, qk_norm=norm)
    sublayers = SHARED_NORM if c.use_parallel_residual else {}
    return plain(c, **layer_norm(c.layer_norm_eps, bias=True), **sublayers, attention=attention, ffn=dense(c))


def qwen2(c: Config) -> Fields:
    return {**frame(c), "attention": layered(c, qkv_bias=True), "ffn": dense(c)}


def qwen2_moe(c: Config) -> Fields:
    shared = {"kind": "dense", "d_ff": c.shared_expert_intermediate_size}
    moe = routed(
        c,
        c.num_experts,
        c.num_experts_per_tok,
        c.moe_intermediate_size,
        renormalize=c.norm_topk_prob,
        shared_expert=shared,
        shared_expert_gate=True,
    )
    layers = [dense(c) if layer in c.mlp_only_layers else moe for layer in range(c.num_hidden_layers)]
    return {**frame(c), "attention": layered(c, qkv_bias=c.qkv_bias), "ffn": laid(layers)}


def falcon(c: Config) -> Fields:
    n_kv_heads = 1 if c.multi_query and not c.new_decoder_architecture else c.num_kv_heads
    positions = {"alibi": True} if c.alibi else rope(c.rope_parameters)
    attention = {"kind": "gqa", "n_heads": c.num_attention_heads, "n_kv_heads": n_kv_heads, "head_dim": c.head_dim}
    sublayers: Fields = {"parallel_sublayers": c.parallel_attn}
    if c.parallel_attn and (c.num_ln_in_parallel_attn or (2 if c.new_decoder_architecture else 1)) == 1:
        sublayers = SHARED_NORM
    ffn = {"kind": "dense", "d_ff": c.ffn_hidden_size, "activation": "gelu", "gated": False, "bias": c.bias}
    return plain(
        c,
        **layer_norm(c.layer_norm_epsilon, bias=True),
        **sublayers,
        attention={**attention, **positions, "qkv_bias": c.bias, "o_bias": c.bias},
        ffn=ffn,
    )


def gpt_neox(c: Config) -> Fields:
    attention = {"kind": "gqa", **dict.fromkeys(("n_heads", "n_kv_heads"), c.num_attention_heads)}
    attention |= {"head_dim": c.hidden_size // c.num_attention_heads, "rotary_dim": part_of_head(c)}
    return plain(
        c,
        **layer_norm(c.layer_norm_eps, bias=True),
        parallel_sublayers=c.use_parallel_residual,
        attention={**attention, **rope(c.rope_parameters), **biased(c)},
        ffn=dense(c, activation="gelu", gated=False, bias=True),
    )


def apertus(c: Config) -> Fields:
    ffn = dense(c, activation="xielu", gated=False)
    return {**frame(c), "attention": gqa(c, qk_norm="per_head", **biased(c)), "ffn": ffn}


def nemotron(c: Config) -> Fields:
    attention = gqa(c, rotary_dim=part_of_head(c), **biased(c))
    norm = layer_norm(c.norm_eps, bias=True, unit_offset=True)
    return plain(c, **norm, attention=attention, ffn=dense(c, activation="relu2", gated=False, bias=c.mlp_bias))


def phi3(c: Config) -> Fields:
    attention = gqa(c, rotary_dim=part_of_head(c), window=c.sliding_window)
    if scaling := attention["rope_scaling"]:
        stretched = c.max_position_embeddings / scaling["original_context_length"]
        attention["rope_scaling"] = {"factor": stretched, **scaling}
    return {**frame(c), "attention": attention, "ffn": dense(c)}


def hunyuan(c: Config) -> Fields:
    attention = gqa(c, qk_norm="per_head", qk_norm_after_rope=True, **biased(c))
    return {**frame(c), "attention": attention, "ffn": dense(c)}


def hunyuan_moe(c: Config) -> Fields:
    moe = routed(c, c.num_experts, c.moe_topk, c.intermediate_size, shared_expert=dense(c))
    return {**hunyuan(c), "ffn": moe}


def gemma(c: Config) -> Fields:
    return {
        **frame(c, unit_offset=True),
        "embedding_scale": "sqrt_d_model",
        "attention": gqa(c, **biased(c)),
        "ffn": dense(c, activation="gelu_tanh"),
    }


def gemma2(c: Config) -> Fields:
    attention = layered(c, softcap=c.attn_logit_softcapping, score_scale=c.query_pre_attn_scalar**-0.5, **biased(c))
    sandwich = {"norm_placement": "sandwich", "logit_softcap": c.final_logit_softcapping}
    return {**gemma(c), **sandwich, "attention": attention}


def starcoder2(c: Config) -> Fields:
    return plain(
        c,
        **layer_norm(c.norm_epsilon, bias=True),
        attention=gqa(c, window=c.sliding_window, qkv_bias=c.use_bias, o_bias=c.use_bias),
        ffn=dense(c, activation="gelu_tanh", gated=False, bias=c.use_bias),
    )


def minimax_m2(c: Config) -> Fields:
    attention = gqa(c, qk_norm="full", rotary_dim=part_of_head(c))
    moe = routed(
        c, c.num_local_experts, c.num_experts_per_tok, c.intermediate_size, scoring="sigmoid", selection_bias=True
    )
    return {**frame(c), "attention": attention, "ffn": moe}


def ernie4_5(c: Config) -> Fields:
    attention = gqa(c, rope_interleaved=True, qkv_bias=c.use_bias, o_bias=c.use_bias)
    return {**frame(c), "attention": attention, "ffn": dense(c, bias=c.use_bias)}


def ernie4_5_moe(c: Config) -> Fields:
    n_shared = c.moe_num_shared_experts
    shared = dense(c, bias=c.use_bias) | {"d_ff": n_shared * c.moe_intermediate_size} if n_shared else None
    moe = routed(c, c.moe_num_experts, c.moe_k, c.moe_intermediate_size, selection_bias=True, shared_expert=shared)

    sparse = range(c.moe_layer_start_index, c.moe_layer_end_index + 1)
    layers = [
        moe if layer in sparse and (layer + 1) % c.moe_layer_interval == 0 else dense(c, bias=c.use_bias)
        for layer in range(c.num_hidden_layers)
    ]
    return {**ernie4_5(c), "ffn": laid(layers)}


def exaone4(c: Config) -> Fields:
    def attention(layer_type: str) -> Fields:
        if layer_type == "sliding_attention":
            return gqa(c, qk_norm="per_head", window=c.sliding_window)
        return gqa(c, qk_norm="per_head", **({} if c.sliding_window is None else NOPE))

    layers = laid([attention(layer_type) for layer_type in c.layer_types])
    return {**frame(c), "norm_placement": "post", "attention": layers, "ffn": dense(c)}


def arcee(c: Config) -> Fields:
    return {**frame(c), "attention": gqa(c, **biased(c)), "ffn": dense(c, activation="relu2", gated=False)}


def glm4(c: Config) -> Fields:
    attention = gqa(c, rope_interleaved=True, rotary_dim=part_of_head(c), qkv_bias=c.attention_bias)
    return {**frame(c), "norm_placement": "sandwich", "attention": attention, "ffn": dense(c)}


def dots1(c: Config) -> Fields:
    attention = layered(c, qk_norm="per_head", **biased(c))
    return {**frame(c), "attention": attention, "ffn": dense_then_moe(c, dense(c), sigmoid_moe(c))}


def seed_oss(c: Config) -> Fields:
    attention = gqa(c, qkv_bias=c.attention_bias, o_bias=c.attention_out_bias)
    return {**frame(c), "attention": attention, "ffn": dense(c, bias=c.mlp_bias)}


# --- random shapes --------------------------------------------------------------------------------------------------


def with_eps(name: str, shape: Fields) -> Fields:
    """The same, with the norm's epsilon under the name that the family has for it."""
    return {name: EPS, **{key: value for key, value in shape.items() if key != "rms_norm_eps"}}


def half_rotated(rng: Random) -> Fields:
    """Heads that share the hidden width out, and are rotated in one half."""
    fields = without_head_dim(rng)
    width = fields["num_attention_heads"] * 4 * rng.randrange(1, 4)
    return {**fields, "hidden_size": max(width, 12), **rotary({"rope_type": "default"}, partial_rotary_factor=0.5)}


def few_experts(rng: Random) -> Fields:
    return {
        **without_head_dim(rng),
        "num_experts": rng.choice((4, 5, 6)),
        "num_experts_per_tok": rng.choice((1, 2, 3)),
    }


def without_latent(rng: Random) -> Fields:
    """Grouped experts beside plain attention."""
    fields = latent(rng)
    ranks = ("q_lora_rank", "kv_lora_rank", "qk_nope_head_dim", "qk_rope_head_dim", "v_head_dim")
    return {name: value for name, value in fields.items() if name not in ranks} | {"head_dim": 6}


def multiplied(rng: Random) -> Fields:
    names = ("embedding_multiplier", "logits_scaling", "residual_multiplier", "attention_multiplier")
    return {name: rng.choice((0.3, 0.7, 1.9)) for name in names}


def shared_out(rng: Random) -> Fields:
    """Heads without a number of key heads in the config."""
    fields = half_rotated(rng)
    del fields["num_key_value_heads"]
    return with_eps("layer_norm_eps", fields)


def falcon_shape(rng: Random) -> Fields:
    fields = with_eps("layer_norm_epsilon", without_head_dim(rng))
    fields["num_kv_heads"] = fields.pop("num_key_value_heads")
    fields["ffn_hidden_size"] = fields.pop("intermediate_size")
    return fields


def longrope(n_pairs: int, original: int, **fields: object) -> Fields:
    """Phi-3's lists, which differ from pair to pair."""
    short = [1.0 + 0.2 * pair for pair in range(n_pairs)]
    scaling: Fields = {"rope_type": "longrope", "short_factor": short, "long_factor": [2.3 * each for each in short]}
    scaling |= {"original_max_position_embeddings": original, "rope_theta": THETA, "partial_rotary_factor": 1.0}
    return {
        "hidden_size": 20,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "original_max_position_embeddings": original,
        "rope_parameters": scaling | fields,
    }


ALIBI: Fields = {"alibi": True, "parallel_attn": False, "multi_query": False, "bias": True}
OLD_HEADS: Fields = {"multi_query": False, "num_kv_heads": 2, "num_attention_heads": 2, "hidden_size": 20}


def mistral4(c: Config) -> Fields:
    """Queries are scaled by the position that they stand at."""
    widths = ("q_lora_rank", "kv_lora_rank", "qk_nope_head_dim", "qk_rope_head_dim", "v_head_dim")
    said = c.rope_parameters
    groups = {"n_groups": c.n_group, "top_k_groups": c.topk_group} if c.n_group > 1 else {}
    moe = deepseek_moe(c, renormalize=c.norm_topk_prob, **groups)
    return {
        **frame(c),
        "attention": {
            "kind": "mla",
            "n_heads": c.num_attention_heads,
            **{name: getattr(c, name) for name in widths},
            "bias": c.attention_bias,
            "rope_interleaved": c.rope_interleave,
            "temperature": {
                "kind": "log_floor",
                "floor_scale": said["original_max_position_embeddings"],
                "attn_scale": said["llama_4_scaling_beta"],
                "offset": 0,
            },
            **rope(said),
        },
        "ffn": dense_then_moe(c, dense(c), moe),
    }


SCALED_QUERIES: Fields = {**YARN, "original_max_position_embeddings": 5, "llama_4_scaling_beta": 0.4}

FURTHER = {
    family.model_type: family
    for family in (
        Family(
            "mistral4",
            mistral4,
            lambda rng: {**latent(rng), **rotary(SCALED_QUERIES), "routed_scaling_factor": 1.7},
            (
                {},
                {"rope_interleave": False, "norm_topk_prob": False, "n_group": 1, "topk_group": 1, **BIASED, **TIED},
                {**rotary(SCALED_QUERIES, attention_factor=1.0), "first_k_dense_replace": 0},
                {
                    **rotary(SCALED_QUERIES, mscale=1.0, mscale_all_dim=0.7),
                    "q_lora_rank": None,
                    "num_experts_per_tok": 1,
                },
            ),
        ),
        Family("olmo", olmo, without_head_dim, ({"clip_qkv": 0.8}, {**TIED, **BIASED})),
        Family("olmoe", olmoe, few_experts, ({"clip_qkv": 0.8}, {"norm_topk_prob": True, **TIED})),
        Family(
            "cohere",
            cohere,
            lambda rng: with_eps("layer_norm_eps", {**without_head_dim(rng), "logit_scale": 0.3}),
            ({"use_qk_norm": True, **BIASED}, {"use_qk_norm": True, **ONE_HEAD, "hidden_size": 14}, TIED),
        ),
        Family(
            "cohere2",
            cohere2,
            lambda rng: {
                **with_eps("layer_norm_eps", without_head_dim(rng)),
                "num_hidden_layers": 3,
                "sliding_window": 5,
                "layer_types": layer_types(True, False, True),
            },
            (TIED, BIASED),
        ),
        Family("granite", granite, lambda rng: {**without_head_dim(rng), **multiplied(rng)}, ({}, {**BIASED, **TIED})),
        Family(
            "granitemoe",
            granitemoe,
            lambda rng: {**without_head_dim(rng), **experts(rng), **multiplied(rng)},
            ({}, of_aligned_widths(**TIED)),
        ),
        Family(
            "stablelm",
            stablelm,
            lambda rng: with_eps("layer_norm_eps", half_rotated(rng)),
            (
                {"qk_layernorm": True, "num_attention_heads": 4, "num_key_value_heads": 2, "hidden_size": 32},
                {"use_parallel_residual": True, "qk_layernorm": True},
                {"use_parallel_residual": True, "use_qkv_bias": True, **TIED},
                {"use_qkv_bias": True},
            ),
        ),
        Family(
            "qwen2",
            qwen2,
            without_head_dim,
            (TIED, {"use_sliding_window": True, "sliding_window": 4, "max_window_layers": 1}),
        ),
        Family(
            "qwen2_moe",
            qwen2_moe,
            lambda rng: {
                **few_experts(rng),
                "moe_intermediate_size": rng.randrange(5, 14),
                "shared_expert_intermediate_size": rng.randrange(5, 20),
            },
            ({}, {"mlp_only_layers": [0], "norm_topk_prob": True, "qkv_bias": False}),
        ),
        Family(
            "falcon",
            falcon,
            falcon_shape,
            (
                {"new_decoder_architecture": True, "num_kv_heads": 2, "num_attention_heads": 6, "hidden_size": 36},
                {"new_decoder_architecture": True, "num_ln_in_parallel_attn": 1, "bias": True},
                {"multi_query": True, "parallel_attn": True, "tie_word_embeddings": True},
                {"parallel_attn": False, **OLD_HEADS},
                {**ALIBI, "num_attention_heads": 16, "num_kv_heads": 16, "hidden_size": 64},
                {**ALIBI, "num_attention_heads": 6, "num_kv_heads": 6, "hidden_size": 36},
            ),
        ),
        Family(
            "gpt_neox", gpt_neox, shared_out, ({}, {"use_parallel_residual": False, "attention_bias": False, **TIED})
        ),
        Family("apertus", apertus, without_head_dim, ({}, {**rotary(LLAMA3), **BIASED, **TIED})),
        Family(
            "nemotron",
            nemotron,
            lambda rng: with_eps("norm_eps", half_rotated(rng)),
            ({}, {**BIASED, "mlp_bias": True, **TIED}),
        ),
        Family(
            "phi3",
            phi3,
            without_head_dim,
            (
                longrope(5, 64, factor=3.0),
                longrope(5, 11),
                {**longrope(5, 11, attention_factor=0.7), "max_position_embeddings": 44, **TIED},
                {"sliding_window": 5},
            ),
        ),
        Family("hunyuan_v1_dense", hunyuan, decoder, ({}, {**BIASED, **TIED})),
        Family(
            "hunyuan_v1_moe",
            hunyuan_moe,
            lambda rng: {**decoder(rng), "num_experts": 5, "moe_topk": rng.choice((1, 2, 3))},
            ({}, {**BIASED, **TIED}),
        ),
        Family("gemma", gemma, decoder, (TIED, BIASED)),
        Family(
            "gemma2",
            gemma2,
            lambda rng: {
                **without_head_dim(rng),
                "head_dim": 6,
                "num_hidden_layers": 3,
                "sliding_window": 5,
                "layer_types": layer_types(True, False, True),
                "query_pre_attn_scalar": rng.randrange(5, 30),
                "attn_logit_softcapping": 1.3,
                "final_logit_softcapping": 3.0,
            },
            (TIED, {**BIASED, "final_logit_softcapping": None}),
        ),
        Family(
            "starcoder2",
            starcoder2,
            lambda rng: with_eps("norm_epsilon", without_head_dim(rng)),
            (TIED, {"use_bias": False, "sliding_window": 5, "tie_word_embeddings": False}),
        ),
        Family(
            "minimax_m2",
            minimax_m2,
            lambda rng: {**two_axes(rng), "head_dim": 8, **rotary({"rope_type": "default"}, partial_rotary_factor=0.5)},
            ({}, of_aligned_widths(**TIED)),
        ),
        Family("ernie4_5", ernie4_5, decoder, (TIED, {"use_bias": True})),
        Family(
            "ernie4_5_moe",
            ernie4_5_moe,
            lambda rng: {
                **without_head_dim(rng),
                "moe_num_experts": 5,
                "moe_k": rng.choice((1, 2, 3)),
                "moe_intermediate_size": rng.randrange(5, 14),
            },
            ({}, {"moe_num_shared_experts": 0, "moe_layer_interval": 2, **TIED}),
        ),
        Family(
            "exaone4",
            exaone4,
            lambda rng: {**decoder(rng), "num_hidden_layers": 3, "layer_types": layer_types(True, False, True)},
            (
                {"sliding_window": 5, "sliding_window_pattern": "LGL"},
                {"sliding_window": None, "layer_types": layer_types(False, False, False), **TIED},
            ),
        ),
        Family("arcee", arcee, decoder, ({"hidden_size": 24}, {"hidden_size": 12, **BIASED, **TIED})),
        Family(
            "glm4",
            glm4,
            lambda rng: {**decoder(rng), "head_dim": 8, **rotary({"rope_type": "default"}, partial_rotary_factor=0.5)},
            ({}, {"attention_bias": False, **TIED}),
        ),
        Family(
            "dots1",
            dots1,
            lambda rng: {**without_latent(rng), "norm_topk_prob": True},
            ({}, {"sliding_window": 5, "max_window_layers": 1, **BIASED, **TIED}),
        ),
        Family("seed_oss", seed_oss, decoder, ({}, {"attention_out_bias": True, "mlp_bias": True, **TIED})),
    )
}
