"""Families of the catalogue: tiny configs of random shapes, and what a spec of ours says of such a config.

To add a family: a function from its config to our spec's fields, and a `Family` with the settings worth telling apart.
"""

from __future__ import annotations

from random import Random
from typing import Any

from compressed_families import COMPRESSED
from configs import (
    BIASED,
    EPS,
    LINEAR,
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
from delta_families import DELTA
from further_families import FURTHER
from shared_block_families import SHARED_BLOCKS
from shared_cache_families import SHARED_CACHES
from sparse_families import SPARSE
from state_families import STATES
from state_space_families import STATE_SPACES


def gpt2(c: Config) -> Fields:
    attention = {"kind": "gqa", "n_heads": c.n_head, "n_kv_heads": c.n_head, "head_dim": c.n_embd // c.n_head}
    return {
        "name": c.model_type,
        "d_model": c.n_embd,
        "n_layers": c.n_layer,
        "vocab_size": c.vocab_size,
        "tie_embeddings": c.tie_word_embeddings,
        "learned_positions": c.n_positions,
        "norm": {"kind": "layer", "eps": c.layer_norm_epsilon, "bias": True},
        "attention": {**attention, "qkv_bias": True, "o_bias": True},
        "ffn": {
            "kind": "dense",
            "d_ff": c.n_inner or 4 * c.n_embd,
            "activation": {"gelu_new": "gelu_tanh", "gelu": "gelu", "relu": "relu"}[c.activation_function],
            "gated": False,
            "bias": True,
        },
    }


def llama(c: Config) -> Fields:
    return {**frame(c), "attention": gqa(c, **biased(c)), "ffn": dense(c, bias=c.mlp_bias)}


def mistral(c: Config) -> Fields:
    return {**frame(c), "attention": gqa(c, window=c.sliding_window), "ffn": dense(c)}


def mixtral(c: Config) -> Fields:
    moe = {"kind": "moe", "n_experts": c.num_local_experts, "top_k": c.num_experts_per_tok, "d_ff": c.intermediate_size}
    return {**frame(c), "attention": gqa(c, window=c.sliding_window), "ffn": moe}


def mla(c: Config, **fields: Any) -> Fields:
    widths = ("q_lora_rank", "kv_lora_rank", "qk_nope_head_dim", "qk_rope_head_dim", "v_head_dim")
    return {
        "kind": "mla",
        "n_heads": c.num_attention_heads,
        **{name: getattr(c, name) for name in widths},
        "bias": c.attention_bias,
        **rope(c.rope_parameters),
        **fields,
    }


def deepseek_v2(c: Config) -> Fields:
    limited = c.topk_method == "group_limited_greedy"
    groups = {"n_groups": c.n_group, "top_k_groups": c.topk_group, "group_score": "max"} if limited else {}
    moe = deepseek_moe(c, renormalize=False, **groups)
    moe["shared_expert"]["bias"] = c.mlp_bias
    return {
        **frame(c),
        "attention": mla(c, rope_interleaved=True),
        "ffn": dense_then_moe(c, dense(c, bias=c.mlp_bias), moe),
    }


def deepseek_v3(c: Config) -> Fields:
    return {
        **frame(c),
        "attention": mla(c, rope_interleaved=c.rope_interleave),
        "ffn": dense_then_moe(c, dense(c), sigmoid_moe(c)),
    }


def glm4_moe(c: Config) -> Fields:
    attention = gqa(c, qkv_bias=c.attention_bias, qk_norm="per_head" if c.use_qk_norm else None)
    attention["rotary_dim"] = int(attention["head_dim"] * c.rope_parameters["partial_rotary_factor"])
    return {**frame(c), "attention": attention, "ffn": dense_then_moe(c, dense(c), sigmoid_moe(c))}


def olmo2(c: Config) -> Fields:
    attention = gqa(c, qk_norm="full", **biased(c))
    return {**frame(c), "norm_placement": "post", "attention": attention, "ffn": dense(c)}


def scaled_in_full_view(scaling: Fields, sliding_theta: float = THETA) -> Fields:
    """Rotary settings of a config by the sort of layer: those with a window have none of the scaling."""
    return {
        "rope_parameters": {
            "sliding_attention": {"rope_type": "default", "rope_theta": sliding_theta},
            "full_attention": {**scaling, "rope_theta": THETA},
        }
    }


def olmo3(c: Config) -> Fields:
    def attention(layer_type: str) -> Fields:
        window = c.sliding_window if layer_type == "sliding_attention" else None
        rotation = rope(c.rope_parameters[layer_type])
        heads = {"n_heads": c.num_attention_heads, "n_kv_heads": c.num_key_value_heads}
        head_dim = c.hidden_size // c.num_attention_heads
        return {"kind": "gqa", **heads, "head_dim": head_dim, "qk_norm": "full", "window": window, **rotation}

    layers = [{**attention(layer_type), **biased(c)} for layer_type in c.layer_types]
    return {**frame(c), "norm_placement": "post", "attention": laid(layers), "ffn": dense(c)}


def gemma3_text(c: Config) -> Fields:
    def attention(layer_type: str) -> Fields:
        return {
            "kind": "gqa",
            "n_heads": c.num_attention_heads,
            "n_kv_heads": c.num_key_value_heads,
            "head_dim": c.head_dim,
            "window": c.sliding_window if layer_type == "sliding_attention" else None,
            "qk_norm": "per_head",
            "score_scale": c.query_pre_attn_scalar**-0.5,
            **rope(c.rope_parameters[layer_type]),
            **biased(c),
        }

    return {
        **frame(c, unit_offset=True),
        "norm_placement": "sandwich",
        "embedding_scale": "sqrt_d_model",
        "logit_softcap": c.final_logit_softcapping,
        "attention": laid([attention(layer_type) for layer_type in c.layer_types]),
        "ffn": dense(c, activation="gelu_tanh"),
    }


def llama4_text(c: Config) -> Fields:
    def attention(rotary: int) -> Fields:
        if rotary:
            norm = "weightless" if c.use_qk_norm else None
            scaled = c.rope_parameters["rope_type"] in ("yarn", "longrope")  # changes the magnitude that is normalised
            settings = {"rope_interleaved": True, "qk_norm": norm, "qk_norm_after_rope": bool(norm) and scaled}
            return gqa(c, chunk=c.attention_chunk_size, **settings, **biased(c))
        temperature = {"kind": "log_floor", "floor_scale": float(c.floor_scale), "attn_scale": c.attn_scale}
        nope = {"rope_theta": None, "rope_scaling": None}
        return gqa(c, temperature=temperature if c.attn_temperature_tuning else None, **nope, **biased(c))

    moe = {
        "kind": "moe",
        "n_experts": c.num_local_experts,
        "top_k": c.num_experts_per_tok,
        "d_ff": c.intermediate_size,
        "scoring": "sigmoid",
        "renormalize": False,
        "scale_input": True,
        "shared_expert": {"kind": "dense", "d_ff": c.intermediate_size},
    }
    plain = {"kind": "dense", "d_ff": c.intermediate_size_mlp}
    return {
        **frame(c),
        "attention": laid([attention(rotary) for rotary in c.no_rope_layers]),
        "ffn": laid([moe if layer in c.moe_layers else plain for layer in range(c.num_hidden_layers)]),
    }


def qwen3(c: Config) -> Fields:
    def attention(layer_type: str) -> Fields:
        window = c.sliding_window if layer_type == "sliding_attention" else None
        return gqa(c, qk_norm="per_head", window=window, **biased(c))

    return {**frame(c), "attention": laid([attention(layer_type) for layer_type in c.layer_types]), "ffn": dense(c)}


def qwen3_moe(c: Config) -> Fields:
    moe = {
        "kind": "moe",
        "n_experts": c.num_experts,
        "top_k": c.num_experts_per_tok,
        "d_ff": c.moe_intermediate_size,
        "renormalize": c.norm_topk_prob,
    }

    def is_sparse(layer: int) -> bool:
        return layer not in c.mlp_only_layers and (layer + 1) % c.decoder_sparse_step == 0

    return {
        **frame(c),
        "attention": gqa(c, qk_norm="per_head", window=c.sliding_window, **biased(c)),
        "ffn": laid([moe if is_sparse(layer) else dense(c) for layer in range(c.num_hidden_layers)]),
    }


def smollm3(c: Config) -> Fields:
    def attention(rotary: int, layer_type: str) -> Fields:
        nope = {} if rotary else {"rope_theta": None, "rope_scaling": None}
        return gqa(c, window=c.sliding_window if layer_type == "sliding_attention" else None, **biased(c), **nope)

    layers = zip(c.no_rope_layers, c.layer_types, strict=True)
    return {**frame(c), "attention": laid([attention(*layer) for layer in layers]), "ffn": dense(c, bias=c.mlp_bias)}


def gpt_oss(c: Config) -> Fields:
    def attention(layer_type: str) -> Fields:
        return gqa(c, sinks=True, window=c.sliding_window if layer_type == "sliding_attention" else None, **biased(c))

    moe = {
        "kind": "moe",
        "n_experts": c.num_local_experts,
        "top_k": c.num_experts_per_tok,
        "d_ff": c.intermediate_size,
        "activation": "quick_gelu",
        "clamp": c.swiglu_limit,
        "up_offset": 1.0,
        "bias": True,
        "router_bias": True,
    }
    return {**frame(c), "attention": laid([attention(layer_type) for layer_type in c.layer_types]), "ffn": moe}


def positions_learned(rng: Random) -> Fields:
    n_heads = rng.choice((1, 2, 3))
    return {
        "vocab_size": rng.randrange(41, 90),
        "n_embd": n_heads * rng.randrange(11, 15),
        "n_layer": rng.choice((2, 3)),
        "n_head": n_heads,
        "n_inner": rng.randrange(11, 40),
        "n_positions": 32,
        "layer_norm_epsilon": EPS,
        "bos_token_id": None,
        "eos_token_id": None,
    }


FAMILIES = {
    family.model_type: family
    for family in (
        Family(
            "gpt2",
            gpt2,
            positions_learned,
            (
                {"tie_word_embeddings": True},
                {"tie_word_embeddings": False, "activation_function": "gelu", "n_inner": None},
                {"n_head": 1, "n_embd": 17, "activation_function": "relu"},
            ),
        ),
        Family(
            "llama",
            llama,
            decoder,
            (
                {},
                {**BIASED, "mlp_bias": True, **TIED},
                rotary(LINEAR),
                rotary(LLAMA3),
                {**rotary(YARN), **ONE_HEAD},
                rotary(YARN, truncate=False, attention_factor=0.7, beta_slow=0.5),
            ),
        ),
        Family(
            "mistral",
            mistral,
            decoder,
            ({"sliding_window": None}, {"sliding_window": 5}, {"sliding_window": 1, **TIED}, {"sliding_window": 100}),
        ),
        Family(
            "mixtral",
            mixtral,
            lambda rng: {**without_head_dim(rng), **experts(rng)},
            (
                {},
                of_aligned_widths(num_experts_per_tok=2),
                {"sliding_window": 4, "num_experts_per_tok": 1},
                {"num_local_experts": 4, "num_experts_per_tok": 4, **TIED},
            ),
        ),
        Family(
            "deepseek_v2",
            deepseek_v2,
            # Their rotation reads pairs as complex numbers, and torch wants even strides for that.
            lambda rng: {**latent(rng), "kv_lora_rank": 2 * rng.randrange(3, 6), "qk_nope_head_dim": 6},
            (
                {"topk_method": "greedy", "q_lora_rank": None},
                {"topk_method": "group_limited_greedy", **BIASED, "mlp_bias": True},
                {
                    "topk_method": "group_limited_greedy",
                    "num_experts_per_tok": 4,
                    **rotary(YARN, mscale=0.707, mscale_all_dim=0.6),
                },
                of_aligned_widths(num_key_value_heads=2, moe_intermediate_size=8, first_k_dense_replace=0),
            ),
        ),
        Family(
            "deepseek_v3",
            deepseek_v3,
            latent,
            (
                {},
                {"rope_interleave": False, "q_lora_rank": None, "norm_topk_prob": False},
                {**rotary(YARN, mscale=1.0, mscale_all_dim=1.0), **BIASED, **TIED},
                rotary(YARN, mscale=0.9, mscale_all_dim=0.5),
                {"n_group": 1, "topk_group": 1, "num_experts_per_tok": 8},
                of_aligned_widths(num_key_value_heads=2, moe_intermediate_size=8, n_group=2, topk_group=1),
                {**ONE_HEAD, "first_k_dense_replace": 0},
            ),
        ),
        Family(
            "olmo2",
            olmo2,
            without_head_dim,
            ({}, {**BIASED, **TIED}, rotary(YARN), {**ONE_HEAD, "hidden_size": 14}),
        ),
        Family(
            "olmo3",
            olmo3,
            lambda rng: {
                **without_head_dim(rng),
                "num_hidden_layers": 3,
                "sliding_window": 5,
                "layer_types": layer_types(True, False, True),
                **scaled_in_full_view(LINEAR),
            },
            ({}, BIASED, scaled_in_full_view({**YARN, "attention_factor": 1.2})),
        ),
        Family(
            "gemma3_text",
            gemma3_text,
            lambda rng: {
                **decoder(rng),
                "num_hidden_layers": 4,
                "sliding_window": 5,
                "layer_types": layer_types(True, True, False, True),
                "query_pre_attn_scalar": rng.randrange(5, 30),
                **scaled_in_full_view({"rope_type": "default"}, 12.0),
            },
            (
                TIED,
                {**scaled_in_full_view(LINEAR, 12.0), "final_logit_softcapping": 3.0},
                {**BIASED, **ONE_HEAD, "sliding_window": 2},
            ),
        ),
        Family(
            "llama4_text",
            llama4_text,
            lambda rng: {
                **two_axes(rng),
                "num_hidden_layers": 4,
                "intermediate_size_mlp": rng.randrange(11, 40),
                "num_experts_per_tok": 1,
                "attention_chunk_size": 6,
                "no_rope_layers": [1, 0, 1, 1],
                "interleave_moe_layer_step": 2,
                "floor_scale": 4,
                "attn_scale": 0.3,
            },
            (
                {},
                {"use_qk_norm": False, "num_experts_per_tok": 2, **BIASED},
                {**rotary(LLAMA3), "interleave_moe_layer_step": 1, "attention_chunk_size": 5, **TIED},
                {"attn_temperature_tuning": False, "attention_chunk_size": 1, **ONE_HEAD},
                rotary(YARN),
                {**rotary(YARN), "use_qk_norm": False},
                of_aligned_widths(head_dim=6),
            ),
        ),
        Family(
            "qwen3",
            qwen3,
            decoder,
            (
                TIED,
                {**BIASED, "use_sliding_window": True, "sliding_window": 4, "max_window_layers": 1},
                {**rotary(YARN), **ONE_HEAD},
            ),
        ),
        Family(
            "qwen3_moe",
            qwen3_moe,
            lambda rng: {**two_axes(rng), "moe_intermediate_size": rng.randrange(5, 14), "norm_topk_prob": True},
            (
                {},
                {"norm_topk_prob": False, "mlp_only_layers": [0], **BIASED},
                {"decoder_sparse_step": 2, "use_sliding_window": True, "sliding_window": 7, **TIED},
                of_aligned_widths(moe_intermediate_size=8),
            ),
        ),
        Family(
            "smollm3",
            smollm3,
            lambda rng: {**without_head_dim(rng), "num_hidden_layers": 4, "no_rope_layers": [1, 1, 0, 1]},
            (
                TIED,
                {"use_sliding_window": True, "sliding_window": 5, **BIASED, "mlp_bias": True},
                rotary(YARN),
            ),
        ),
        Family(
            "gpt_oss",
            gpt_oss,
            lambda rng: {
                **two_axes(rng),
                "num_hidden_layers": 3,
                "layer_types": layer_types(True, False, True),
                "sliding_window": 5,
                "swiglu_limit": 0.8,
                **rotary(YARN, truncate=False),
            },
            (
                {},
                {"attention_bias": False, "sliding_window": 1},
                of_aligned_widths(num_experts_per_tok=2, **TIED),
                ONE_HEAD,
            ),
        ),
        Family(
            "glm4_moe",
            glm4_moe,
            lambda rng: {
                **latent(rng),
                "num_attention_heads": 4,
                "num_key_value_heads": 2,
                "hidden_size": 18,
                "head_dim": 4 * rng.randrange(1, 4),
                **rotary({"rope_type": "default"}, partial_rotary_factor=0.5),
            },
            (
                {"use_qk_norm": True, **BIASED},
                {"use_qk_norm": False, "n_group": 1, "topk_group": 1},
                of_aligned_widths(moe_intermediate_size=8, use_qk_norm=True, **TIED),
                {**rotary(YARN, partial_rotary_factor=0.5), "norm_topk_prob": False, "first_k_dense_replace": 0},
            ),
        ),
    )
}
FAMILIES |= DELTA | FURTHER | SHARED_BLOCKS | SHARED_CACHES | SPARSE | COMPRESSED | STATES | STATE_SPACES
