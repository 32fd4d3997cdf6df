"""Families with compressed rows and several residual streams. They are told as in `families`."""

from __future__ import annotations

from random import Random

from configs import Config, Family, Fields, frame, laid

NEAR, CHOSEN, FAR = "sliding_attention", "compressed_sparse_attention", "heavily_compressed_attention"
YARN: Fields = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 16}


def _attention(c: Config, kind: str) -> Fields:
    rope = c.rope_parameters["main" if kind == NEAR else "compress"]
    found: Fields = {
        "kind": "compressed",
        "n_heads": c.num_attention_heads,
        "head_dim": c.head_dim,
        "q_lora_rank": c.q_lora_rank,
        "o_lora_rank": c.o_lora_rank,
        "o_groups": c.o_groups,
        "window": c.sliding_window,
        "rotary_dim": int(c.head_dim * rope["partial_rotary_factor"]),
        "rope_theta": float(rope["rope_theta"]),
        "rope_interleaved": True,
    }
    if rope["rope_type"] == "yarn":
        found["rope_scaling"] = {
            "kind": "yarn",
            "factor": rope["factor"],
            "original_context_length": rope["original_max_position_embeddings"],
            "attention_factor": 1.0,
        }
    if kind != NEAR:
        found["stride"] = c.compress_rates[kind]
    if kind == CHOSEN:
        indexer = {"n_heads": c.index_n_heads, "head_dim": c.index_head_dim, "top_k": c.index_topk}
        found |= {"overlap": True, "indexer": indexer}
    return found


def _experts(c: Config, kind: str) -> Fields:
    choice: Fields = {"hashed_tokens": c.vocab_size} if kind == "hash_moe" else {"selection_bias": True}
    shared = {"kind": "dense", "d_ff": c.moe_intermediate_size, "clamp": c.swiglu_limit}
    return {
        "kind": "moe",
        "n_experts": c.n_routed_experts,
        "top_k": c.num_experts_per_tok,
        "d_ff": c.moe_intermediate_size,
        "clamp": c.swiglu_limit,
        "scoring": "sqrt_softplus",
        "routed_scale": c.routed_scaling_factor,
        "shared_expert": shared,
        **choice,
    }


def deepseek_v4(c: Config) -> Fields:
    return {
        **frame(c),
        "residual": {
            "kind": "hyper_connections",
            "n_streams": c.hc_mult,
            "iterations": c.hc_sinkhorn_iters,
            "eps": c.hc_eps,
        },
        "attention": laid([_attention(c, kind) for kind in c.layer_types]),
        "ffn": laid([_experts(c, kind) for kind in c.mlp_layer_types]),
    }


# Enough heads of the indexer that no two rows score zero.
def _shape(rng: Random) -> Fields:
    return {
        "vocab_size": rng.randrange(41, 90),
        "hidden_size": rng.randrange(13, 40),
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "head_dim": 16,
        "partial_rotary_factor": 0.5,
        "q_lora_rank": rng.randrange(5, 12),
        "o_lora_rank": rng.randrange(3, 9),
        "o_groups": 2,
        "moe_intermediate_size": rng.randrange(11, 30),
        "n_routed_experts": 5,
        "num_experts_per_tok": 2,
        "layer_types": [NEAR, CHOSEN, FAR],
        "compress_rates": {CHOSEN: 3, FAR: 5},
        "mlp_layer_types": ["hash_moe", "moe", "moe"],
        "sliding_window": 4,
        "swiglu_limit": 0.7,
        "index_n_heads": rng.randrange(20, 30),
        "index_head_dim": rng.randrange(9, 14),
        "index_topk": 2,
        "hc_mult": 3,
        "hc_sinkhorn_iters": 3,
        "max_position_embeddings": 64,
    }


COMPRESSED = {
    "deepseek_v4": Family(
        "deepseek_v4",
        deepseek_v4,
        _shape,
        (
            {},
            {"rope_parameters": YARN, "hc_mult": 2, "hc_sinkhorn_iters": 1, "index_topk": 100},
            {"layer_types": [FAR, CHOSEN, CHOSEN], "mlp_layer_types": ["moe", "hash_moe", "hash_moe"], "o_groups": 4},
        ),
    )
}
