"""Families with the gated delta rule: tiny configs, and what a spec of ours says of them."""

from __future__ import annotations

from random import Random

from configs import (
    BIASED,
    EPS,
    TIED,
    Config,
    Family,
    Fields,
    biased,
    decoder,
    dense,
    frame,
    gqa,
    laid,
    latent,
    sigmoid_moe,
    without_head_dim,
)

LINEAR, FULL = "linear_attention", "full_attention"


def qwen_attention(c: Config) -> Fields:
    full = gqa(c, qk_norm="per_head", output_gate="elementwise")
    full["rotary_dim"] = int(c.head_dim * c.rope_parameters["partial_rotary_factor"])
    delta = {
        "kind": "gated_deltanet",
        "n_k_heads": c.linear_num_key_heads,
        "n_v_heads": c.linear_num_value_heads,
        "k_head_dim": c.linear_key_head_dim,
        "v_head_dim": c.linear_value_head_dim,
        "conv_kernel": c.linear_conv_kernel_dim,
    }
    return laid([delta if kind == LINEAR else full for kind in c.layer_types])


def qwen_experts(c: Config, renormalize: bool = True) -> Fields:
    return {
        "kind": "moe",
        "n_experts": c.num_experts,
        "top_k": c.num_experts_per_tok,
        "d_ff": c.moe_intermediate_size,
        "renormalize": renormalize,
        "shared_expert": {"kind": "dense", "d_ff": c.shared_expert_intermediate_size},
        "shared_expert_gate": True,
    }


def qwen3_next(c: Config) -> Fields:
    experts = qwen_experts(c, c.norm_topk_prob)
    layers = [dense(c) if layer in c.mlp_only_layers else experts for layer in range(c.num_hidden_layers)]
    return {**frame(c, unit_offset=True), "attention": qwen_attention(c), "ffn": laid(layers)}


def qwen3_5(c: Config) -> Fields:
    return {**frame(c, unit_offset=True), "attention": qwen_attention(c), "ffn": dense(c)}


def qwen3_5_moe(c: Config) -> Fields:
    return {**frame(c, unit_offset=True), "attention": qwen_attention(c), "ffn": qwen_experts(c)}


def kimi_linear(c: Config) -> Fields:
    kda = {
        "kind": "kda",
        "n_heads": c.linear_num_heads,
        "head_dim": c.linear_head_dim,
        "conv_kernel": c.linear_conv_kernel_dim,
    }
    widths = ("q_lora_rank", "kv_lora_rank", "qk_nope_head_dim", "qk_rope_head_dim", "v_head_dim")
    full = {
        "kind": "mla",
        "n_heads": c.num_attention_heads,
        "bias": c.attention_bias,
        **{name: getattr(c, name) for name in widths},
    }
    return {
        **frame(c),
        "attention": laid([kda if kind == LINEAR else full for kind in c.layer_types]),
        "ffn": laid([sigmoid_moe(c) if kind == "sparse" else dense(c) for kind in c.mlp_layer_types]),
    }


def olmo_hybrid(c: Config) -> Fields:
    full = gqa(c, qk_norm="full", **biased(c))
    delta = {
        "kind": "gated_deltanet",
        "n_k_heads": c.linear_num_key_heads,
        "n_v_heads": c.linear_num_value_heads,
        "k_head_dim": c.linear_key_head_dim,
        "v_head_dim": c.linear_value_head_dim,
        "conv_kernel": c.linear_conv_kernel_dim,
        "negative_eigenvalues": c.linear_allow_neg_eigval,
        "norm_eps": 1e-5,
    }
    first, second = ("pre" if kind == LINEAR else "post" for kind in dict.fromkeys(c.layer_types))
    return {
        **frame(c),
        "norm_placement": {"v0": first, "v1": second},
        "attention": laid([delta if kind == LINEAR else full for kind in c.layer_types]),
        "ffn": dense(c),
    }


def hybrid(rng: Random) -> Fields:
    """A decoder with the delta rule in two of three layers, and value heads in groups."""
    n_k_heads = rng.choice((1, 2, 3))
    return {
        **decoder(rng),
        "head_dim": 4 * rng.randrange(2, 4),
        "num_hidden_layers": 3,
        "layer_types": [LINEAR, FULL, LINEAR],
        "linear_num_key_heads": n_k_heads,
        "linear_num_value_heads": n_k_heads * rng.choice((1, 2, 3)),
        "linear_key_head_dim": rng.randrange(3, 9),
        "linear_value_head_dim": rng.randrange(3, 9),
        "rope_parameters": {"rope_type": "default", "rope_theta": 30.0, "partial_rotary_factor": 0.5},
    }


def hybrid_experts(rng: Random) -> Fields:
    fields = hybrid(rng)
    return {
        **fields,
        "num_experts": rng.choice((4, 5)),
        "num_experts_per_tok": rng.choice((2, 3)),
        "moe_intermediate_size": rng.randrange(5, 14),
        "shared_expert_intermediate_size": rng.randrange(5, 14),
    }


def kimi(rng: Random) -> Fields:
    fields = latent(rng)
    fields["num_local_experts"] = fields.pop("n_routed_experts")
    return {
        **fields,
        "num_hidden_layers": 3,
        "layer_types": [LINEAR, FULL, LINEAR],
        "linear_num_heads": rng.choice((1, 2, 3)),
        "linear_head_dim": rng.randrange(3, 9),
    }


def olmo(rng: Random) -> Fields:
    fields = without_head_dim(rng)
    return {
        **fields,
        "num_hidden_layers": 4,
        "layer_types": [LINEAR, FULL, FULL, LINEAR],
        "linear_num_key_heads": (n_k_heads := rng.choice((1, 2, 3))),
        "linear_num_value_heads": n_k_heads * rng.choice((1, 2, 3)),
        "linear_key_head_dim": rng.randrange(3, 9),
        "linear_value_head_dim": rng.randrange(3, 9),
        "rms_norm_eps": EPS,
    }


DELTA = {
    family.model_type: family
    for family in (
        Family(
            "qwen3_next",
            qwen3_next,
            hybrid_experts,
            (
                {"linear_num_key_heads": 2, "linear_num_value_heads": 6, **TIED},
                {"norm_topk_prob": False, "mlp_only_layers": [0], "linear_conv_kernel_dim": 2},
            ),
        ),
        Family("qwen3_5_text", qwen3_5, hybrid, ({"linear_num_key_heads": 2, "linear_num_value_heads": 4}, TIED)),
        Family(
            "qwen3_5_moe_text",
            qwen3_5_moe,
            lambda rng: {key: value for key, value in hybrid_experts(rng).items() if key != "intermediate_size"},
            ({"linear_num_key_heads": 1, "linear_num_value_heads": 3},),
        ),
        Family(
            "kimi_linear",
            kimi_linear,
            kimi,
            (
                {"q_lora_rank": None, "rms_norm_eps": EPS},
                {"linear_conv_kernel_dim": 3, "attention_bias": True, "n_group": 1, "topk_group": 1},
            ),
        ),
        Family(
            "olmo_hybrid",
            olmo_hybrid,
            olmo,
            (
                {},
                {"rope_parameters": {"rope_type": "default", "rope_theta": None}, "linear_allow_neg_eigval": False},
                {
                    **BIASED,
                    **TIED,
                    "layer_types": [FULL, LINEAR, LINEAR, FULL],
                    "linear_conv_kernel_dim": 2,
                    **dict.fromkeys(("linear_num_key_heads", "linear_num_value_heads"), 2),
                    **dict.fromkeys(("linear_key_head_dim", "linear_value_head_dim"), 5),
                },
            ),
        ),
    )
}
