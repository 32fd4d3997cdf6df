"""Small configs of the families in `families/delta.py`."""

from __future__ import annotations

from typing import Any

from drawn import CHOICE, FULL, Settings, flags, listed, scales, widths
from hypothesis import strategies as st

LINEAR = "linear_attention"

MIXERS = {
    "head_dim": st.sampled_from((8, 12)),
    "linear_conv_kernel_dim": st.integers(2, 5),
    "linear_key_head_dim": widths,
    "linear_value_head_dim": widths,
    "linear_num_key_heads": st.just(2),
    "linear_num_value_heads": st.sampled_from((2, 6)),
    "full_attention_interval": st.integers(1, 4),
}
SHARED = {"moe_intermediate_size": widths, "shared_expert_intermediate_size": widths}

OPTIONS: dict[str, dict[str, st.SearchStrategy[Any]]] = {
    "qwen3_next": {
        **CHOICE,
        **MIXERS,
        **SHARED,
        "norm_topk_prob": flags,
        "decoder_sparse_step": st.integers(1, 3),
        "mlp_only_layers": st.lists(st.integers(0, 3), max_size=2),
    },
    "qwen3_5_text": MIXERS,
    "qwen3_5_moe_text": {**CHOICE, **MIXERS, **SHARED},
    "kimi_linear": {
        **CHOICE,
        "moe_intermediate_size": widths,
        "moe_renormalize": flags,
        "routed_scaling_factor": scales,
        "attention_bias": flags,
        "linear_num_heads": st.integers(1, 3),
        "linear_head_dim": widths,
        "linear_conv_kernel_dim": st.integers(2, 5),
        "q_lora_rank": st.none() | widths,
        "kv_lora_rank": widths,
        "qk_nope_head_dim": widths,
        "qk_rope_head_dim": st.sampled_from((2, 4)),
        "v_head_dim": widths,
        "first_k_dense_replace": st.integers(0, 3),
        "num_shared_experts": st.integers(1, 3),
    },
    "olmo_hybrid": {
        "attention_bias": flags,
        "linear_conv_kernel_dim": st.integers(2, 5),
        "linear_key_head_dim": st.none() | widths,
        "linear_value_head_dim": st.none() | widths,
        "linear_num_key_heads": st.integers(1, 2),
        "linear_num_value_heads": st.sampled_from((2, 4)),
        "linear_allow_neg_eigval": flags,
        "rope_parameters": st.sampled_from((None, {"rope_type": "default", "rope_theta": None})),
    },
}

NEEDED: dict[str, Settings] = {}

HEADS = ("linear_num_key_heads", "linear_num_value_heads")
CHOSEN = ("num_experts", "num_experts_per_tok")
ALWAYS: dict[str, tuple[str, ...]] = {
    "qwen3_next": (*CHOSEN, *HEADS),
    "qwen3_5_text": HEADS,
    "qwen3_5_moe_text": (*CHOSEN, *HEADS),
    "kimi_linear": CHOSEN,
    "olmo_hybrid": (*HEADS, "rope_parameters"),
}

OWN_ROPE: tuple[str, ...] = ("kimi_linear", "olmo_hybrid")


def of_family(draw: st.DrawFn, family: str, config: Settings) -> None:
    """What follows from other settings."""
    n_layers = config["num_hidden_layers"]
    if family == "olmo_hybrid":
        n_layers = config["num_hidden_layers"] = n_layers + 1  # the class needs both types
        if draw(flags):
            config["layer_types"] = draw(st.permutations([LINEAR, FULL, *listed(draw, n_layers - 2, FULL, LINEAR)]))
        if config["rope_parameters"] is None:
            config.update(draw(st.sampled_from(({}, {"rope_theta": 30.0}, {"rope_theta": None}))))
        return
    if draw(flags) and "full_attention_interval" not in config:
        config["layer_types"] = listed(draw, n_layers, FULL, LINEAR)
    if family == "qwen3_5_moe_text":
        config.pop("intermediate_size", None)
    if family == "kimi_linear":
        del config["tie_word_embeddings"]
        config["num_key_value_heads"] = config["num_attention_heads"]
