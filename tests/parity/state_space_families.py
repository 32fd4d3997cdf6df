"""Families with state spaces: tiny configs, and what a spec of ours says of them."""

from __future__ import annotations

from random import Random
from typing import Any

from configs import EPS, TIED, Config, Family, Fields, biased, decoder, dense, frame, gqa, laid, sigmoid_moe

LINEAR, FULL = "linear_attention", "full_attention"


def alone(c: Config, mixer: Fields) -> Fields:
    return {
        "name": c.model_type,
        "d_model": c.hidden_size,
        "n_layers": c.num_hidden_layers,
        "vocab_size": c.vocab_size,
        "tie_embeddings": c.tie_word_embeddings,
        "norm": {"eps": c.layer_norm_epsilon},
        "attention": mixer,
        "ffn": {"repeat": ["none"]},
    }


def mamba(c: Config) -> Fields:
    return alone(
        c,
        {
            "kind": "mamba",
            "width": c.intermediate_size,
            "d_state": c.state_size,
            "step_rank": c.time_step_rank,
            "conv_kernel": c.conv_kernel,
            "conv_bias": c.use_conv_bias,
            "bias": c.use_bias,
        },
    )


def falcon_mamba(c: Config) -> Fields:
    spec = mamba(c)
    spec["attention"] |= {"inner_norms": "weightless", "inner_eps": c.mixer_rms_eps}
    return spec


def mamba2(c: Config) -> Fields:
    low, high = c.time_step_limit
    return alone(
        c,
        {
            "kind": "mamba2",
            "n_heads": c.num_heads,
            "head_dim": c.head_dim,
            "d_state": c.state_size,
            "n_groups": c.n_groups,
            "norm_groups": c.n_groups,
            "conv_kernel": c.conv_kernel,
            "conv_bias": c.use_conv_bias,
            "bias": c.use_bias,
            "step_min": low,
            "step_max": None if high == float("inf") else high,
        },
    )


def of_hybrid(c: Config) -> Fields:
    return {
        "kind": "mamba2",
        "n_heads": c.mamba_n_heads,
        "head_dim": c.mamba_d_head,
        "d_state": c.mamba_d_state,
        "n_groups": c.mamba_n_groups,
        "norm_groups": c.mamba_n_groups,
        "conv_kernel": c.mamba_d_conv,
        "conv_bias": c.mamba_conv_bias,
        "bias": c.mamba_proj_bias,
    }


def hybrid(c: Config, types: list[str], mixer: Fields, attention: Fields) -> Fields:
    return laid([mixer if kind in (LINEAR, "mamba") else attention for kind in types])


def granitemoehybrid(c: Config) -> Fields:
    attention = gqa(c, score_scale=c.attention_multiplier, **biased(c))
    if c.position_embedding_type != "rope":
        attention |= {"rope_theta": None, "rope_scaling": None}
    ffn = {"kind": "dense", "d_ff": c.shared_intermediate_size}
    if c.num_local_experts:
        ffn = {
            "kind": "moe",
            "n_experts": c.num_local_experts,
            "top_k": c.num_experts_per_tok,
            "d_ff": c.intermediate_size,
            "shared_expert": ffn,
        }
    return {
        **frame(c),
        "embedding_scale": c.embedding_multiplier,
        "residual_scale": c.residual_multiplier,
        "logit_scale": 1 / c.logits_scaling,
        "attention": hybrid(c, c.layer_types, of_hybrid(c), attention),
        "ffn": ffn,
    }


def bamba(c: Config) -> Fields:
    attention = gqa(c, **biased(c))
    attention["rotary_dim"] = attention["head_dim"] // 2
    types = [FULL if layer in c.attn_layer_indices else LINEAR for layer in range(c.num_hidden_layers)]
    return {
        **frame(c),
        "attention": hybrid(c, types, of_hybrid(c), attention),
        "ffn": dense(c, bias=c.mlp_bias),
    }


def falcon_h1(c: Config) -> Fields:
    attention = gqa(c, score_scale=c.key_multiplier * (c.hidden_size // c.num_attention_heads) ** -0.5, **biased(c))
    mixer = of_hybrid(c) | {"norm_groups": None}
    if c.mamba_rms_norm:
        mixer |= {"norm_groups": c.mamba_n_groups, "norm_before_gate": c.mamba_norm_before_gate}
    for name, scale in zip(("gate", "x", "write", "read", "step"), c.ssm_multipliers, strict=True):
        mixer[f"{name}_scale"] = scale
    gate_scale, output_scale = c.mlp_multipliers
    return {
        **frame(c),
        "embedding_scale": c.embedding_multiplier,
        "logit_scale": c.lm_head_multiplier,
        "attention": {
            "kind": "parallel",
            "branches": {"attention": attention, "mamba": mixer},
            "input_scales": {"attention": c.attention_in_multiplier, "mamba": c.ssm_in_multiplier},
            "output_scales": {"attention": c.attention_out_multiplier, "mamba": c.ssm_out_multiplier},
        },
        "ffn": dense(c, bias=c.mlp_bias, gate_scale=gate_scale, output_scale=output_scale),
    }


def nemotron_h(c: Config) -> Fields:
    mixer = {
        "kind": "mamba2",
        "n_heads": c.mamba_num_heads,
        "head_dim": c.mamba_head_dim,
        "d_state": c.ssm_state_size,
        "n_groups": c.n_groups,
        "norm_groups": c.n_groups,
        "conv_kernel": c.conv_kernel,
        "conv_bias": c.use_conv_bias,
        "bias": c.use_bias,
        "step_min": c.time_step_min,
    }
    attention = {
        "kind": "gqa",
        "n_heads": c.num_attention_heads,
        "n_kv_heads": c.num_key_value_heads,
        "head_dim": c.head_dim,
    }
    squared: Fields = {"gated": False, "activation": "relu2", "bias": c.mlp_bias}
    moe = {
        **sigmoid_moe(c),
        "gated": False,
        "activation": "relu2",
        "latent": c.moe_latent_size,
        "shared_expert": {"kind": "dense", "d_ff": c.moe_shared_expert_intermediate_size, **squared},
    }
    plain = {"kind": "dense", "d_ff": c.intermediate_size, **squared}
    types = c.layers_block_type
    return {
        "name": c.model_type,
        "d_model": c.hidden_size,
        "n_layers": len(types),
        "vocab_size": c.vocab_size,
        "tie_embeddings": c.tie_word_embeddings,
        "norm": {"eps": c.layer_norm_epsilon},
        "attention": sparse_axis(types, {LINEAR: mixer, FULL: attention}),
        "ffn": sparse_axis(types, {"moe": moe, "mlp": plain}),
    }


def sparse_axis(types: list[str], variants: dict[str, Fields]) -> Fields:
    used = {kind: fields for kind, fields in variants.items() if kind in types}
    return {"first": [kind if kind in used else "none" for kind in types], "variants": used}


def jamba(c: Config) -> Fields:
    mixer = {
        "kind": "mamba",
        "width": c.mamba_expand * c.hidden_size,
        "d_state": c.mamba_d_state,
        "step_rank": c.mamba_dt_rank,
        "conv_kernel": c.mamba_d_conv,
        "conv_bias": c.mamba_conv_bias,
        "bias": c.mamba_proj_bias,
        "inner_norms": True,
    }
    attention = {
        "kind": "gqa",
        "n_heads": c.num_attention_heads,
        "n_kv_heads": c.num_key_value_heads,
        "head_dim": c.hidden_size // c.num_attention_heads,
    }
    moe = {
        "kind": "moe",
        "n_experts": c.num_experts,
        "top_k": c.num_experts_per_tok,
        "d_ff": c.intermediate_size,
        "renormalize": False,
    }
    layers = [moe if n > 1 else dense(c) for n in c.layers_num_experts]
    return {
        **frame(c),
        "attention": hybrid(c, c.layers_block_type, mixer, attention),
        "ffn": laid(layers),
    }


def mixers(rng: Random) -> Fields:
    return {
        "vocab_size": rng.randrange(41, 90),
        "hidden_size": 2 * rng.randrange(7, 16),
        "num_hidden_layers": 2,
        "state_size": rng.randrange(3, 9),
        "layer_norm_epsilon": EPS,
        "pad_token_id": None,
        "bos_token_id": None,
        "eos_token_id": None,
    }


def mixers2(rng: Random) -> Fields:
    fields = mixers(rng)
    n_heads, width = rng.choice((2, 4)), rng.randrange(3, 9)
    return {
        **fields,
        "hidden_size": n_heads * width,
        "expand": 1,
        "num_heads": n_heads,
        "head_dim": width,
        "n_groups": 2,
    }


def of_attention(rng: Random, **fields: Any) -> Fields:
    """A decoder with attention in one of three layers, whose heads divide its width."""
    found = decoder(rng)
    del found["head_dim"]
    return {
        **found,
        "hidden_size": 24,
        "num_attention_heads": 3,
        "num_key_value_heads": rng.choice((1, 3)),
        "num_hidden_layers": 3,
        **fields,
    }


def with_mamba2(rng: Random, **fields: Any) -> Fields:
    return of_attention(
        rng, mamba_n_heads=rng.choice((4, 6)), mamba_d_state=rng.randrange(3, 9), mamba_n_groups=2, **fields
    )


def one_sublayer(rng: Random) -> Fields:
    found = decoder(rng)
    for name in ("rms_norm_eps", "rope_parameters", "num_hidden_layers"):
        del found[name]
    return {
        **found,
        "layers_block_type": [LINEAR, "moe", FULL, "mlp", LINEAR],
        "layer_norm_epsilon": EPS,
        "ssm_state_size": rng.randrange(3, 9),
        "mamba_num_heads": 4,
        "mamba_head_dim": rng.randrange(3, 9),
        "n_groups": 2,
        "n_routed_experts": 8,
        "n_group": 4,
        "topk_group": 2,
        "moe_intermediate_size": rng.randrange(5, 14),
        "moe_shared_expert_intermediate_size": rng.randrange(5, 14),
        "routed_scaling_factor": 1.7,
        "num_experts_per_tok": 3,
    }


STATE_SPACES = {
    family.model_type: family
    for family in (
        Family("mamba", mamba, mixers, ({"use_bias": True}, {"tie_word_embeddings": False, "time_step_rank": 3})),
        Family(
            "falcon_mamba",
            falcon_mamba,
            mixers,
            ({"use_bias": True, "mixer_rms_eps": 0.3}, {"tie_word_embeddings": False, "use_conv_bias": False}),
        ),
        Family(
            "mamba2",
            mamba2,
            mixers2,
            (
                {"time_step_limit": (0.3, 0.9), "use_bias": True},
                {"n_groups": 1, "use_conv_bias": False, "conv_kernel": 3, **TIED},
            ),
        ),
        Family(
            "granitemoehybrid",
            granitemoehybrid,
            lambda rng: with_mamba2(
                rng,
                layer_types=["mamba", "attention", "mamba"],
                num_local_experts=4,
                num_experts_per_tok=2,
                shared_intermediate_size=rng.randrange(5, 14),
                embedding_multiplier=2.0,
                residual_multiplier=0.7,
                logits_scaling=1.5,
                attention_multiplier=0.3,
            ),
            (
                {"position_embedding_type": "rope", "mamba_proj_bias": True, **TIED},
                {"num_local_experts": 0, "mamba_n_groups": 1, "mamba_conv_bias": False},
            ),
        ),
        Family(
            "bamba",
            bamba,
            lambda rng: with_mamba2(rng, attn_layer_indices=[1]),
            ({"attention_bias": True, "mlp_bias": True}, {"mamba_d_conv": 2, **TIED}),
        ),
        Family(
            "falcon_h1",
            falcon_h1,
            lambda rng: with_mamba2(
                rng,
                mamba_d_ssm=48,
                lm_head_multiplier=0.4,
                embedding_multiplier=2.5,
                key_multiplier=0.7,
                attention_in_multiplier=1.3,
                attention_out_multiplier=0.6,
                ssm_in_multiplier=1.4,
                ssm_out_multiplier=0.8,
                mlp_multipliers=[0.9, 0.6],
                ssm_multipliers=[0.4, 0.9, 0.5, 1.5, 0.7],
            ),
            (
                {"mamba_proj_bias": True, "projectors_bias": True, "attention_bias": True, "mlp_bias": True},
                {"mamba_d_ssm": None, "mamba_n_groups": 1, "mamba_conv_bias": False, "mamba_d_conv": 3, **TIED},
            ),
        ),
        Family(
            "nemotron_h",
            nemotron_h,
            one_sublayer,
            (
                {"moe_latent_size": 8, "time_step_min": 0.4},
                {"mlp_bias": False, "use_bias": True, "use_conv_bias": False, "norm_topk_prob": False},
            ),
        ),
        Family(
            "jamba",
            jamba,
            lambda rng: {
                key: value
                for key, value in of_attention(
                    rng,
                    num_experts=4,
                    num_experts_per_tok=2,
                    attn_layer_period=3,
                    attn_layer_offset=1,
                    mamba_d_state=rng.randrange(3, 9),
                ).items()
                if key != "rope_parameters"
            },
            ({"mamba_proj_bias": True}, {"mamba_dt_rank": 5, "mamba_conv_bias": False, "mamba_d_conv": 3, **TIED}),
        ),
    )
}
