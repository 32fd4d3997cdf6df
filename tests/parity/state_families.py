"""Families with layers that keep a state of fixed size: tiny configs, and what a spec of ours says of them."""

from __future__ import annotations

from random import Random

import torch
from configs import (
    EPS,
    THETA,
    TIED,
    Config,
    Family,
    Fields,
    decoder,
    dense,
    experts,
    frame,
    gqa,
    laid,
    of_aligned_widths,
    without_head_dim,
)


def minimax(c: Config) -> Fields:
    full = gqa(c, window=c.sliding_window)
    lightning = {"kind": "lightning", "n_heads": c.num_attention_heads, "head_dim": full["head_dim"]}
    return {
        **frame(c),
        "norm_placement": "post_residual",
        "embedding_norm": True,
        "final_norm": False,
        "stream_scale": c.mlp_alpha_factor,
        "residual_scale": c.mlp_beta_factor,
        "attention": laid([lightning if kind == "linear_attention" else full for kind in c.layer_types]),
        "ffn": {
            "kind": "moe",
            "n_experts": c.num_local_experts,
            "top_k": c.num_experts_per_tok,
            "d_ff": c.intermediate_size,
        },
    }


def convolutions(c: Config, ffn: Fields) -> Fields:
    conv = {
        "kind": "short_conv",
        "channels": c.hidden_size,
        "conv_kernel": c.conv_L_cache,
        "bias": c.conv_bias,
    }
    full = gqa(c, qk_norm="per_head")
    return {
        "name": c.model_type,
        "d_model": c.hidden_size,
        "n_layers": c.num_hidden_layers,
        "vocab_size": c.vocab_size,
        "tie_embeddings": c.tie_word_embeddings,
        "norm": {"eps": c.norm_eps},
        "attention": laid([conv if kind == "conv" else full for kind in c.layer_types]),
        "ffn": ffn,
    }


def lfm2(c: Config) -> Fields:
    d_ff = c.intermediate_size
    if c.block_auto_adjust_ff_dim:
        d_ff = int(c.block_ffn_dim_multiplier * int(2 * d_ff / 3))
        d_ff += -d_ff % c.block_multiple_of
    return convolutions(c, {"kind": "dense", "d_ff": d_ff})


def lfm2_moe(c: Config) -> Fields:
    moe = {
        "kind": "moe",
        "n_experts": c.num_experts,
        "top_k": c.num_experts_per_tok,
        "d_ff": c.moe_intermediate_size,
        "scoring": "sigmoid",
        "selection_bias": c.use_expert_bias,
        "renormalize": c.norm_topk_prob,
        "routed_scale": c.routed_scaling_factor,
    }
    layers = [dense(c) if layer < c.num_dense_layers else moe for layer in range(c.num_hidden_layers)]
    return convolutions(c, laid(layers))


def recurrent_gemma(c: Config) -> Fields:
    full = gqa(c, window=c.attention_window_size, qkv_bias=c.attention_bias, o_bias=True)
    full["rotary_dim"] = full["head_dim"] // 2
    recurrent = {
        "kind": "rg_lru",
        "width": c.lru_width,
        "n_blocks": c.num_attention_heads,
        "conv_kernel": c.conv1d_width,
        "activation": "gelu_tanh",
    }
    kinds = (c.block_types * c.num_hidden_layers)[: c.num_hidden_layers]
    scale = torch.tensor(c.hidden_size**0.5, dtype=torch.bfloat16).item()
    return {
        **frame(c, unit_offset=True),
        "embedding_scale": "sqrt_d_model" if scale**2 == c.hidden_size else scale,
        "logit_softcap": c.logits_soft_cap,
        "attention": laid([recurrent if kind == "recurrent" else full for kind in kinds]),
        "ffn": {"kind": "dense", "d_ff": c.intermediate_size // 2, "activation": "gelu_tanh", "bias": True},
    }


def rwkv(c: Config) -> Fields:
    return {
        "name": c.model_type,
        "d_model": c.hidden_size,
        "n_layers": c.num_hidden_layers,
        "vocab_size": c.vocab_size,
        "tie_embeddings": c.tie_word_embeddings,
        "norm": {"kind": "layer", "eps": c.layer_norm_epsilon, "bias": True},
        "embedding_norm": True,
        "attention": {"kind": "rwkv4", "channels": c.hidden_size, "width": c.attention_hidden_size},
        "ffn": {"kind": "channel_mixing", "channels": c.hidden_size, "d_ff": c.intermediate_size},
    }


def mixers(rng: Random) -> Fields:
    return {
        "vocab_size": rng.randrange(41, 90),
        "hidden_size": rng.randrange(13, 40),
        "num_hidden_layers": 3,
        "context_length": 64,
        "bos_token_id": None,
        "eos_token_id": None,
    }


def with_layers(rng: Random, *types: str) -> Fields:
    """A decoder with a layer of each of these types, and the norms of LFM2."""
    fields = without_head_dim(rng)
    fields["norm_eps"] = fields.pop("rms_norm_eps")
    return {**fields, "num_hidden_layers": len(types), "layer_types": list(types)}


def griffin(rng: Random) -> Fields:
    fields = without_head_dim(rng)
    del fields["max_position_embeddings"]
    n_heads = fields["num_attention_heads"]
    return {
        **fields,
        "hidden_size": n_heads * 4 * rng.randrange(2, 5),
        "num_hidden_layers": 3,
        "rope_parameters": {"rope_type": "default", "rope_theta": THETA, "partial_rotary_factor": 0.5},
        "logits_soft_cap": 3.0,
        "attention_window_size": 5,
    }


LINEAR, FULL, CONV = "linear_attention", "full_attention", "conv"

DEEP = {f"{name}_alpha_factor": 1.7 for name in ("full_attn", "linear_attn", "mlp")}
DAMPED = {f"{name}_beta_factor": 0.6 for name in ("full_attn", "linear_attn", "mlp")}

STATES = {
    family.model_type: family
    for family in (
        Family(
            "minimax",
            minimax,
            lambda rng: {**decoder(rng), **experts(rng), "num_hidden_layers": 3, "layer_types": [LINEAR, FULL, LINEAR]},
            (
                {**DEEP, **DAMPED, "block_size": 5},
                of_aligned_widths(head_dim=12, sliding_window=5, block_size=64, **TIED),
                {**DEEP, "num_hidden_layers": 1, "layer_types": [LINEAR]},
            ),
        ),
        Family(
            "lfm2",
            lfm2,
            lambda rng: {**with_layers(rng, CONV, FULL, CONV), "block_multiple_of": 8},
            (
                {"block_ffn_dim_multiplier": 1.3, **TIED},
                {"conv_bias": True, "conv_L_cache": 4, "block_auto_adjust_ff_dim": False, "norm_eps": EPS},
            ),
        ),
        Family(
            "lfm2_moe",
            lfm2_moe,
            lambda rng: {
                **with_layers(rng, CONV, FULL, CONV),
                "num_experts": 5,
                "num_experts_per_tok": rng.choice((2, 3)),
                "moe_intermediate_size": rng.randrange(5, 14),
                "num_dense_layers": 1,
            },
            (
                {"routed_scaling_factor": 1.7, **TIED},
                {"use_expert_bias": False, "norm_topk_prob": False, "num_dense_layers": 0, "conv_L_cache": 2},
            ),
        ),
        Family(
            "rwkv",
            rwkv,
            mixers,
            ({}, {"attention_hidden_size": 22, "intermediate_size": 19, **TIED}),
        ),
        Family(
            "recurrent_gemma",
            recurrent_gemma,
            griffin,
            (
                TIED,
                {"lru_width": 36, "num_attention_heads": 3, "num_key_value_heads": 1, "hidden_size": 24}
                | {"attention_bias": True, "conv1d_width": 3, "block_types": ["attention", "recurrent"]}
                | {"tie_word_embeddings": False},
            ),
        ),
    )
}
