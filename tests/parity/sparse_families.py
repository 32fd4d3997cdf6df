"""Families whose attention sees what an indexer chooses. They are told as in `families`."""

from __future__ import annotations

from random import Random
from typing import Any

from configs import (
    BIASED,
    ONE_HEAD,
    TIED,
    YARN,
    Config,
    Family,
    Fields,
    dense,
    frame,
    gqa,
    laid,
    latent,
    of_aligned_widths,
    rope,
    rotary,
    sigmoid_moe,
    two_axes,
)


def _latent_attention(c: Config, indexer: Fields) -> Fields:
    widths = ("q_lora_rank", "kv_lora_rank", "qk_nope_head_dim", "qk_rope_head_dim", "v_head_dim")
    return {
        "kind": "mla",
        "n_heads": c.num_attention_heads,
        **{name: getattr(c, name) for name in widths},
        "bias": c.attention_bias,
        "rope_interleaved": True,
        **rope(c.rope_parameters),
        "indexer": indexer,
    }


def _own(c: Config, **fields: Any) -> Fields:
    return {"n_heads": c.index_n_heads, "head_dim": c.index_head_dim, "top_k": c.index_topk, **fields}


def _experts(c: Config) -> Fields:
    return laid([sigmoid_moe(c) if kind == "sparse" else dense(c) for kind in c.mlp_layer_types])


def deepseek_v32(c: Config) -> Fields:
    return {**frame(c), "attention": _latent_attention(c, _own(c)), "ffn": _experts(c)}


def glm_moe_dsa(c: Config) -> Fields:
    variants = {"full": _latent_attention(c, _own(c, rope_interleaved=True))}
    if "shared" in c.indexer_types:
        variants["shared"] = _latent_attention(c, {"indices_from": "full", "top_k": c.index_topk})
    attention = {"first": c.indexer_types, "variants": variants} if len(variants) > 1 else variants["full"]
    return {**frame(c), "attention": attention, "ffn": _experts(c)}


def minimax_m3(c: Config) -> Fields:
    part = c.rope_parameters.get("partial_rotary_factor", 1.0)
    attention = gqa(c, qk_norm="per_head", rotary_dim=int(c.head_dim * part))
    indexer = {
        "n_heads": c.index_n_heads,
        "head_dim": c.index_head_dim,
        "block": c.index_block_size,
        "top_k": c.index_topk_blocks,
        "local": c.index_local_blocks,
    }
    gate = {"activation": "quick_gelu", "clamp": c.swiglu_limit, "up_offset": 1.0}
    moe = {
        "kind": "moe",
        "n_experts": c.num_local_experts,
        "top_k": c.num_experts_per_tok,
        "d_ff": c.intermediate_size,
        "scoring": "sigmoid",
        "selection_bias": True,
        "routed_scale": c.routed_scaling_factor,
        "shared_expert": {"kind": "dense", "d_ff": c.shared_intermediate_size, **gate},
        **gate,
    }
    plain = {"kind": "dense", "d_ff": c.dense_intermediate_size, **gate}
    return {
        **frame(c, unit_offset=True),
        "attention": laid(
            [{**attention, "indexer": indexer} if "sparse" in kind else attention for kind in c.layer_types]
        ),
        "ffn": laid([moe if kind == "sparse" else plain for kind in c.mlp_layer_types]),
    }


def longcat(c: Config) -> Fields:
    """Each layer of theirs is two of ours."""
    widths = ("q_lora_rank", "kv_lora_rank", "qk_nope_head_dim", "qk_rope_head_dim", "v_head_dim")
    moe = {
        "kind": "moe",
        "n_experts": c.n_routed_experts,
        "n_zero_experts": c.zero_expert_num or None,
        "top_k": c.moe_topk,
        "d_ff": c.expert_ffn_hidden_size,
        "renormalize": False,
        "selection_bias": True,
        "routed_scale": c.routed_scaling_factor,
    }
    own = {"kind": "shortcut", "channels": c.hidden_size, "own": {"kind": "dense", "d_ff": c.ffn_hidden_size}}
    return {
        **frame(c),
        "n_layers": 2 * c.num_layers,
        "attention": {
            "kind": "mla",
            "n_heads": c.num_attention_heads,
            **{name: getattr(c, name) for name in widths},
            "bias": c.attention_bias,
            "q_scale": (c.hidden_size / c.q_lora_rank) ** 0.5,
            "latent_scale": (c.hidden_size / c.kv_lora_rank) ** 0.5,
            "rope_interleaved": True,
            **rope(c.rope_parameters),
        },
        "ffn": {
            "repeat": ["lower", "upper"],
            "variants": {"lower": {**own, "deferred": moe}, "upper": {**own, "adds_from": "lower"}},
        },
    }


# Enough heads that no two tokens score zero: which of them is chosen would be left to chance.
def _indexed(rng: Random) -> Fields:
    rotated = 2 * rng.randrange(2, 4)  # pairs and halves are the same of two values
    return {
        **latent(rng),
        "num_hidden_layers": 3,
        "qk_rope_head_dim": rotated,
        "index_n_heads": rng.randrange(20, 30),
        "index_head_dim": rotated + rng.randrange(1, 5),
        "index_topk": 6,
    }


def _in_blocks(rng: Random) -> Fields:
    return {
        **two_axes(rng),
        "num_hidden_layers": 3,
        "head_dim": 8,
        "dense_intermediate_size": rng.randrange(11, 40),
        "shared_intermediate_size": rng.randrange(11, 40),
        "routed_scaling_factor": 1.7,
        "swiglu_limit": 0.9,
        "index_n_heads": 1,
        "index_head_dim": rng.randrange(5, 12),
        "index_block_size": 4,
        "index_topk_blocks": 3,
        "index_local_blocks": 1,
        "layer_types": ["full_attention", "minimax_m3_sparse", "minimax_m3_sparse"],
        "mlp_layer_types": ["dense", "sparse", "sparse"],
        **rotary({"rope_type": "default"}, partial_rotary_factor=0.5),
    }


def _in_pairs(rng: Random) -> Fields:
    fields = latent(rng)
    for name in ("num_hidden_layers", "intermediate_size", "moe_intermediate_size", "num_experts_per_tok"):
        del fields[name]
    for name in ("n_group", "topk_group", "first_k_dense_replace", "n_shared_experts", "num_key_value_heads"):
        del fields[name]
    return {
        **fields,
        "q_lora_rank": rng.randrange(12, 20),  # narrow ones are scaled so much that the reference is inexact
        "kv_lora_rank": rng.randrange(12, 20),
        "num_layers": 2,
        "ffn_hidden_size": rng.randrange(11, 40),
        "expert_ffn_hidden_size": rng.randrange(5, 14),
        "moe_topk": 3,
        "zero_expert_num": rng.randrange(3, 6),
        "head_dim": fields["qk_rope_head_dim"],
    }


SPARSE = {
    family.model_type: family
    for family in (
        Family(
            "longcat_flash",
            longcat,
            _in_pairs,
            (
                {},
                {**BIASED, **TIED, **rotary(YARN, mscale=1.0, mscale_all_dim=1.0)},
                {"zero_expert_num": 0, "moe_topk": 2, "num_layers": 1},
            ),
        ),
        Family(
            "deepseek_v32",
            deepseek_v32,
            _indexed,
            (
                {},
                {"index_topk": 1, **BIASED, **TIED},
                {**rotary(YARN, mscale=1.0, mscale_all_dim=1.0), "index_topk": 100},
                of_aligned_widths(num_key_value_heads=2, moe_intermediate_size=8, norm_topk_prob=False),
            ),
        ),
        Family(
            "glm_moe_dsa",
            glm_moe_dsa,
            lambda rng: {**_indexed(rng), "num_hidden_layers": 4},
            (
                {"indexer_types": ["full", "shared", "shared", "full"]},
                {"indexer_types": ["full", "full", "shared", "shared"], "index_topk": 3, **TIED},
                {"n_group": 1, "topk_group": 1, "first_k_dense_replace": 0},
            ),
        ),
        Family(
            "minimax_m3_vl_text",
            minimax_m3,
            _in_blocks,
            (
                {},
                {"num_attention_heads": 6, "num_key_value_heads": 2, "hidden_size": 18, "index_n_heads": 2, **TIED},
                {"index_local_blocks": 0, "index_topk_blocks": 2, "index_block_size": 3},
                {"index_local_blocks": 2, "index_topk_blocks": 2, **ONE_HEAD},
                of_aligned_widths(shared_intermediate_size=12, dense_intermediate_size=12),
            ),
        ),
    )
}
