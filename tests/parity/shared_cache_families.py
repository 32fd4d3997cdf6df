"""Families whose upper layers read keys and values of layers below: tiny configs, and what a spec of ours says."""

from __future__ import annotations

from random import Random

from configs import EPS, THETA, TIED, Config, Family, Fields, biased, decoder, frame

FULL, SLIDING = "full_attention", "sliding_attention"


def gemma4(c: Config) -> Fields:
    first_shared = c.num_hidden_layers - c.num_kv_shared_layers
    shared = [layer >= first_shared for layer in range(c.num_hidden_layers)]
    variants = {}
    for kind, name in ((SLIDING, "local"), (FULL, "global")):
        settings = c.per_layer_config[c.layer_types.index(kind)]
        rotary = c.rope_parameters[kind]
        width = settings.head_dim
        pairs = int(rotary.get("partial_rotary_factor", 1.0) * width // 2)
        own = {
            "kind": "gqa",
            "n_heads": c.num_attention_heads,
            "n_kv_heads": settings.num_key_value_heads,
            "head_dim": width,
            "qk_norm": "per_head",
            "score_scale": 1.0,
            "window": c.sliding_window if kind == SLIDING else None,
            "rope_theta": rotary["rope_theta"],
            "rotary_pairs": pairs if 2 * pairs < width else None,
            **biased(c),
        }
        alike = c.attention_k_eq_v and kind == FULL
        variants[name] = {**own, "v_norm": True, "values_from_keys": alike}
        variants[f"{name}_shared"] = {**own, "kv_from": name}
    laid = [
        ("local" if kind == SLIDING else "global") + "_shared" * above
        for kind, above in zip(c.layer_types, shared, strict=True)
    ]
    dim = getattr(c, "hidden_size_per_layer_input", 0)
    rows = getattr(c, "vocab_size_per_layer_input", None)
    layer_inputs = {"dim": dim, "vocab_size": rows, "activation": "gelu_tanh"}
    return {
        **frame(c),
        "norm_placement": "sandwich",
        "embedding_scale": "sqrt_d_model",
        "logit_softcap": c.final_logit_softcapping,
        "per_layer_embedding": layer_inputs if dim else None,
        "layer_scale": True,
        "attention": {"first": laid, "variants": {name: variants[name] for name in dict.fromkeys(laid)}},
        "ffn": feed_forward(c, shared),
    }


def gemma3n(c: Config) -> Fields:
    first_shared = c.num_hidden_layers - c.num_kv_shared_layers
    variants = {}
    for kind, name in ((SLIDING, "local"), (FULL, "global")):
        own = {
            "kind": "gqa",
            "n_heads": c.num_attention_heads,
            "n_kv_heads": c.num_key_value_heads,
            "head_dim": c.head_dim,
            "qk_norm": "per_head",
            "score_scale": 1.0,
            "window": c.sliding_window if kind == SLIDING else None,
            "rope_theta": c.rope_parameters[kind]["rope_theta"],
            **biased(c),
        }
        variants[name] = {**own, "v_norm": True}
        variants[f"{name}_shared"] = {**own, "kv_from": name}
    laid = [
        ("local" if kind == SLIDING else "global") + "_shared" * (layer >= first_shared)
        for layer, kind in enumerate(c.layer_types)
    ]
    ffns = {
        f"ffn_{layer}": {
            "kind": "dense",
            "d_ff": c.intermediate_size[layer],
            "activation": "gelu_tanh",
            "activation_sparsity": c.activation_sparsity_pattern[layer] or None,
        }
        for layer in range(c.num_hidden_layers)
    }
    return {
        **frame(c),
        "norm_placement": "sandwich",
        "embedding_scale": "sqrt_d_model",
        "logit_softcap": c.final_logit_softcapping,
        "residual": {"kind": "altup", "n_streams": c.altup_num_inputs, "active": c.altup_active_idx},
        "laurel_rank": c.laurel_rank,
        "per_layer_embedding": {
            "dim": c.hidden_size_per_layer_input,
            "vocab_size": c.vocab_size_per_layer_input,
            "activation": "gelu_tanh",
            "input_scale": True,
        },
        "attention": {"first": laid, "variants": {name: variants[name] for name in dict.fromkeys(laid)}},
        "ffn": {"first": list(ffns), "variants": ffns},
    }


def feed_forward(c: Config, shared: list[bool]) -> Fields:
    wide = c.use_double_wide_mlp

    def layer(above: bool) -> Fields:
        plain = {
            "kind": "dense",
            "d_ff": c.intermediate_size * (2 if wide and above else 1),
            "activation": "gelu_tanh",
        }
        if not getattr(c, "enable_moe_block", False):
            return plain
        moe = {
            "kind": "moe",
            "n_experts": c.num_experts,
            "top_k": c.top_k_experts,
            "d_ff": c.moe_intermediate_size,
            "activation": "gelu_tanh",
            **dict.fromkeys(("input_norm", "router_norm", "expert_scales", "output_norm"), True),
        }
        branches = {"dense": {**plain, "input_norm": True, "output_norm": True}, "moe": moe}
        return {"kind": "parallel", "branches": branches, "output_norm": True, "block_norms": False}

    names = ["upper" if above and wide else "lower" for above in shared]
    return {"first": names, "variants": {name: layer(name == "upper") for name in dict.fromkeys(names)}}


def shape(rng: Random) -> Fields:
    fields = decoder(rng)
    return {
        **fields,
        "num_hidden_layers": 5,
        "layer_types": [SLIDING, FULL, SLIDING, SLIDING, FULL],
        "sliding_window": 5,
        "head_dim": 8,
        "global_head_dim": 12,
        "hidden_size_per_layer_input": 6,
        "vocab_size_per_layer_input": fields["vocab_size"],
        "rms_norm_eps": EPS,
        "rope_parameters": {
            SLIDING: {"rope_type": "default", "rope_theta": THETA},
            FULL: {"rope_type": "proportional", "rope_theta": 3 * THETA, "partial_rotary_factor": 0.5},
        },
    }


def without_rows(rng: Random) -> Fields:
    return {name: value for name, value in shape(rng).items() if "per_layer_input" not in name}


def shape_3n(rng: Random) -> Fields:
    """Some tokens have no row for each layer; transformers gives them that of the first token."""
    fields = decoder(rng)
    return {
        **fields,
        "num_hidden_layers": 5,
        "layer_types": [SLIDING, FULL, SLIDING, SLIDING, FULL],
        "sliding_window": 5,
        "head_dim": 8,
        "hidden_size_per_layer_input": 6,
        "vocab_size_per_layer_input": fields["vocab_size"] - 20,
        "laurel_rank": 3,
        "rms_norm_eps": EPS,
        "rope_parameters": {
            SLIDING: {"rope_type": "default", "rope_theta": THETA},
            FULL: {"rope_type": "default", "rope_theta": 3 * THETA},
        },
        "num_kv_shared_layers": 2,
    }


SHARED_CACHES = {
    family.model_type: family
    for family in (
        Family(
            "gemma3n_text",
            gemma3n,
            shape_3n,
            (
                {"activation_sparsity_pattern": [0.9, 0.5, 0.0, 0.3, 0.0], **TIED},
                {
                    "altup_num_inputs": 3,
                    "altup_active_idx": 1,
                    "num_kv_shared_layers": 3,
                    "intermediate_size": [24, 40, 24, 8, 16],
                    "tie_word_embeddings": False,
                },
                {"attention_bias": True, "num_kv_shared_layers": 0, "final_logit_softcapping": 3.0},
            ),
        ),
        Family(
            "gemma4_unified_text",
            gemma4,
            without_rows,
            (
                {"num_kv_shared_layers": 3, "use_double_wide_mlp": True, **TIED},
                {"attention_k_eq_v": True, "num_global_key_value_heads": 1, "final_logit_softcapping": 3.0},
            ),
        ),
        Family(
            "gemma4_text",
            gemma4,
            shape,
            (
                {"num_kv_shared_layers": 3, "use_double_wide_mlp": True, "final_logit_softcapping": 3.0, **TIED},
                {
                    "num_hidden_layers": 3,
                    "layer_types": [SLIDING, SLIDING, FULL],
                    "hidden_size_per_layer_input": 0,
                    "attention_k_eq_v": True,
                    "num_attention_heads": 6,
                    "num_key_value_heads": 3,
                    "num_global_key_value_heads": 2,
                    "enable_moe_block": True,
                    "num_experts": 5,
                    "top_k_experts": 2,
                    "moe_intermediate_size": 9,
                    "tie_word_embeddings": False,
                },
                {"attention_bias": True, "num_kv_shared_layers": 2},
            ),
        ),
    )
}
