"""Small configs of the families in `families/mixtures.py`, and of the experts that they share."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

Settings = dict[str, Any]

# transformers' DBRX has no base of its rotary frequencies, and rotates by that of the outer config.
NEEDED: dict[str, Settings] = {"dbrx": {"attn_config": {"rope_theta": 10_000.0}}}

flags = st.booleans()
widths = st.integers(3, 40)
scales = st.sampled_from((0.5, 1.0, 12.0))
types = st.sampled_from(("full_attention", "sliding_attention"))

CHOICE = {"num_experts_per_tok": st.integers(1, 3), "num_experts": st.integers(3, 6)}
SCALED = ("embedding_multiplier", "logits_scaling", "residual_multiplier", "attention_multiplier")
GRANITE = {
    **dict.fromkeys(SCALED, scales),
    "attention_bias": flags,
    "num_experts_per_tok": st.integers(1, 3),
    "num_local_experts": st.integers(3, 6),
    "shared_intermediate_size": st.just(0) | widths,
}
GROUPED = {
    "num_experts_per_tok": st.integers(1, 2),
    "moe_intermediate_size": widths,
    "norm_topk_prob": flags,
    "routed_scaling_factor": scales,
    "n_group": st.sampled_from((1, 2)),
}

OPTIONS: dict[str, dict[str, st.SearchStrategy[Any]]] = {
    "aria_text": {
        "attention_bias": flags,
        "mlp_bias": flags,
        "head_dim": st.sampled_from((None, 6)),
        "hidden_act": st.sampled_from(("silu", "gelu")),
        "moe_num_experts": st.integers(3, 6),
        "moe_topk": st.integers(1, 3),
        "moe_num_shared_experts": st.integers(1, 2),
    },
    "flex_olmo": {**CHOICE, "norm_topk_prob": flags, "attention_bias": flags},
    "granitemoeshared": GRANITE,
    "granitemoe_swa": {**GRANITE, "sliding_window": st.just(9)},
    "granite_swa": {
        **dict.fromkeys(SCALED, scales),
        "attention_bias": flags,
        "mlp_bias": flags,
        "sliding_window": st.just(9),
    },
    "flint": {
        **CHOICE,
        "head_dim": st.sampled_from((4, 6)),
        "attention_bias": flags,
        "moe_intermediate_size": widths,
        "shared_expert_intermediate_size": widths,
        "norm_topk_prob": flags,
        "decoder_sparse_step": st.integers(1, 2),
        "mlp_only_layers": st.sampled_from((None, [], [0, 3])),
        "sliding_window": st.just(9),
    },
    "mellum": {
        **CHOICE,
        "head_dim": st.sampled_from((4, 6)),
        "attention_bias": flags,
        "moe_intermediate_size": widths,
        "norm_topk_prob": flags,
        "sliding_window": st.just(9),
    },
    "exaone_moe": {
        **GROUPED,
        "head_dim": st.just(6),
        "sliding_window": st.just(9),
        "sliding_window_pattern": st.integers(1, 4),
        "first_k_dense_replace": st.integers(0, 4),
        "num_experts": st.sampled_from((4, 8)),
        "num_shared_experts": st.integers(1, 2),
    },
    "kolibri1": {
        **CHOICE,
        "head_dim": st.just(6),
        "sliding_window": st.just(9),
        "norm_topk_prob": flags,
        "moe_intermediate_size": widths,
        "shared_expert_intermediate_size": widths,
    },
    "hy_v3": {
        **CHOICE,
        "head_dim": st.just(6),
        "attention_bias": flags,
        "mlp_bias": flags,
        "num_shared_experts": st.integers(1, 2),
        "moe_intermediate_size": widths,
        "router_scaling_factor": scales,
    },
    "solar_open": {
        **GROUPED,
        "head_dim": st.just(6),
        "attention_bias": flags,
        "n_routed_experts": st.sampled_from((4, 8)),
        "n_shared_experts": st.integers(1, 2),
    },
    "cohere2_moe": {
        **CHOICE,
        "head_dim": st.just(6),
        "attention_bias": flags,
        "rms_norm_eps": st.sampled_from((None, 1e-5)),
        "logit_scale": scales,
        "sliding_window": st.just(9),
        "sliding_window_pattern": st.integers(1, 3),
        "first_k_dense_replace": st.integers(0, 3),
        "prefix_dense_sliding_window_pattern": st.integers(1, 2),
        "prefix_dense_intermediate_size": st.none() | widths,
        "norm_topk_prob": flags,
        "expert_selection_fn": st.sampled_from(("softmax", "sigmoid")),
        "num_shared_experts": st.integers(0, 2),
        "shared_expert_combination_strategy": st.sampled_from(("sum", "average")),
    },
    "phimoe": {
        "num_local_experts": st.integers(3, 6),
        "router_jitter_noise": st.sampled_from((0.0, 0.01, 0.4)),
        "attention_bias": flags,
        "lm_head_bias": flags,
        "sliding_window": st.sampled_from((None, 1, 7, 4096)),
    },
    "dbrx": {},
}

ALWAYS: dict[str, tuple[str, ...]] = {
    "aria_text": ("moe_topk", "moe_num_experts"),
    "flex_olmo": ("num_experts", "num_experts_per_tok"),
    **dict.fromkeys(("exaone_moe", "flint", "mellum"), ("num_experts", "num_experts_per_tok")),
    "hy_v3": ("num_experts", "num_experts_per_tok"),
    "kolibri1": ("num_experts", "num_experts_per_tok"),
    "solar_open": ("n_routed_experts", "num_experts_per_tok"),
}

# Families with rotary settings of their own.
OWN_ROPE = ("phimoe", "mellum")
LAYERED = ("exaone_moe", "granite_swa", "granitemoe_swa", "cohere2_moe", "kolibri1", "flint", "mellum")


def of_family(draw: st.DrawFn, family: str, config: Settings) -> None:
    """What follows from other settings, and what a family calls otherwise."""
    n_layers = config["num_hidden_layers"]
    if config.get("n_group", 1) > 1:
        config["topk_group"] = 1
    if family in ("exaone_moe", "hy_v3", "cohere2_moe", "mellum") and draw(flags):
        kinds = st.sampled_from(("dense", "sparse"))
        config["mlp_layer_types"] = draw(st.lists(kinds, min_size=n_layers, max_size=n_layers))
    if family in LAYERED and draw(flags):
        config["layer_types"] = draw(st.lists(types, min_size=n_layers, max_size=n_layers))
    match family:
        case "mellum" if draw(flags):
            scaled = {"rope_type": "linear", "factor": 2.0, "rope_theta": 30.0}
            config["rope_parameters"] = {
                "full_attention": scaled,
                "sliding_attention": {"rope_type": "default", "rope_theta": 100.0},
            }
        case "granite_swa" | "granitemoe_swa" if draw(flags):
            thetas = st.sampled_from((0, 30.0, 10_000))
            config["layer_rope_theta"] = draw(st.lists(thetas, min_size=n_layers, max_size=n_layers))
        case "solar_open" | "kolibri1":
            del config["intermediate_size"]
        case "cohere2_moe":
            config.pop("rope_scaling", None)  # which its class does not read
            if config.get("first_k_dense_replace", 0) > n_layers:
                config["first_k_dense_replace"] = n_layers
        case "phimoe" if draw(flags):
            factors = st.lists(st.floats(1.0, 4.0), min_size=1, max_size=1)
            n_pairs = config["hidden_size"] // config["num_attention_heads"] // 2
            config["rope_scaling"] = {
                "type": "longrope",
                "short_factor": draw(factors) * n_pairs,
                "long_factor": draw(factors) * n_pairs,
                "short_mscale": 1.25,
                "long_mscale": 1.25,
                "original_max_position_embeddings": 64,
            }
        case "dbrx":
            _dbrx(draw, config)
        case _:
            pass


def _dbrx(draw: st.DrawFn, config: Settings) -> None:
    for usual, own in (
        ("hidden_size", "d_model"),
        ("num_hidden_layers", "n_layers"),
        ("num_attention_heads", "n_heads"),
        ("max_position_embeddings", "max_seq_len"),
    ):
        config[own] = config.pop(usual)
    del config["intermediate_size"], config["tie_word_embeddings"]
    settings = config.get("rope_parameters") or config.get("rope_scaling") or {}
    config["attn_config"] = {
        "kv_n_heads": config.pop("num_key_value_heads"),
        "rope_theta": settings.get("rope_theta", config.get("rope_theta", 10_000.0)),
        "clip_qkv": draw(st.sampled_from((0.5, 8))),
    }
    config["ffn_config"] = {
        "ffn_hidden_size": draw(widths),
        "moe_num_experts": draw(st.integers(3, 6)),
        "moe_top_k": draw(st.integers(1, 3)),
        "moe_normalize_expert_weights": draw(st.sampled_from((None, 1.0))),
    }
