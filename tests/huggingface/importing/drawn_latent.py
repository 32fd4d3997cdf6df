"""Small configs of the families in `families/latent.py`."""

from __future__ import annotations

from typing import Any

from drawn import ROUTED, Settings, flags, mlp_layer_types, scales, widths
from hypothesis import strategies as st

LATENT = {
    "q_lora_rank": st.none() | widths,
    "kv_lora_rank": widths,
    "qk_nope_head_dim": widths,
    "qk_rope_head_dim": st.sampled_from((2, 6)),
    "v_head_dim": widths,
    "attention_bias": flags,
}
INTERLEAVED = {
    "n_routed_experts": st.sampled_from((4, 8)),
    "n_shared_experts": st.integers(1, 2),
    "num_experts_per_tok": st.integers(1, 2),
    "moe_intermediate_size": widths,
    "norm_topk_prob": flags,
    "routed_scaling_factor": scales,
    "rope_interleave": flags,
    "n_group": st.just(2),
    "topk_group": st.just(1),
}

OPTIONS: dict[str, dict[str, st.SearchStrategy[Any]]] = {
    "deepseek_v2": {**LATENT, **ROUTED, "mlp_bias": flags, "norm_topk_prob": st.just(False)},
    "deepseek_v3": {**LATENT, **ROUTED, "rope_interleave": flags, "n_group": st.just(2), "topk_group": st.just(1)},
    "axk1": {
        **LATENT,
        **INTERLEAVED,
        "q_lora_rank": widths,
        "first_k_dense_replace": st.integers(0, 4),
        "moe_layer_freq": st.integers(1, 3),
    },
    "glm4_moe_lite": {**LATENT, **INTERLEAVED, "n_group": st.sampled_from((1, 2))},
    "mistral4": {
        **LATENT,
        **INTERLEAVED,
        "n_group": st.sampled_from((1, 2)),
        "first_k_dense_replace": st.integers(0, 4),
    },
    "youtu": {**LATENT, "rope_interleave": flags},
    "minicpm3": {
        **LATENT,
        "v_head_dim": st.none() | widths,
        "mlp_bias": flags,
        "scale_emb": scales,
        "scale_depth": st.none() | scales,
        "dim_model_base": st.none() | widths,
    },
}

NEEDED: dict[str, Settings] = {
    "deepseek_v2": {"num_experts_per_tok": 6},
}

ALWAYS: dict[str, tuple[str, ...]] = {
    "deepseek_v2": ("num_experts_per_tok",),
    **dict.fromkeys(("deepseek_v3", "axk1"), ("n_routed_experts", "num_experts_per_tok", "n_group", "topk_group")),
    **dict.fromkeys(("glm4_moe_lite", "mistral4"), ("n_routed_experts", "num_experts_per_tok")),
}

OWN_ROPE = ("mistral4",)


def of_family(draw: st.DrawFn, family: str, config: Settings) -> None:
    """What follows from other settings, and what a family calls otherwise."""
    config["num_key_value_heads"] = config["num_attention_heads"]
    if family == "deepseek_v2" and draw(flags):
        config.update(topk_method="group_limited_greedy", n_group=2, topk_group=1)
        config["n_routed_experts"] = 8
    if family in ("glm4_moe_lite", "mistral4") and config.get("n_group", 1) > 1:
        config["topk_group"] = 1
    if family == "mistral4" and draw(flags):
        config["rope_parameters"] = {
            "rope_type": "yarn",
            "factor": 4.0,
            "rope_theta": 30.0,
            "original_max_position_embeddings": draw(st.sampled_from((5, 64))),
            "llama_4_scaling_beta": draw(scales),
        }
    if family in ("axk1", "glm4_moe_lite") and draw(flags):
        config["mlp_layer_types"] = mlp_layer_types(draw, config["num_hidden_layers"])
