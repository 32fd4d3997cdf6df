"""Small configs of the families in `families/sparse.py`."""

from __future__ import annotations

from typing import Any

from drawn import FULL, Settings, flags, listed, mlp_layer_types, scales, widths
from hypothesis import strategies as st

# Enough heads that no two tokens score zero: which of them is chosen would be left to chance.
INDEXER = {
    "index_n_heads": st.sampled_from((24, 31)),
    "index_head_dim": st.sampled_from((6, 9)),
    "index_topk": st.sampled_from((1, 4, 9, 2048)),
}
LATENT = {
    "q_lora_rank": widths,
    "kv_lora_rank": widths,
    "qk_nope_head_dim": widths,
    "qk_rope_head_dim": st.sampled_from((2, 6)),
    "v_head_dim": widths,
    "attention_bias": flags,
    "n_routed_experts": st.sampled_from((4, 8)),
    "n_shared_experts": st.integers(1, 2),
    "num_experts_per_tok": st.integers(1, 2),
    "moe_intermediate_size": widths,
    "norm_topk_prob": flags,
    "routed_scaling_factor": scales,
    "n_group": st.sampled_from((1, 2)),
    "topk_group": st.just(1),
    "first_k_dense_replace": st.integers(0, 4),
}

OPTIONS: dict[str, dict[str, st.SearchStrategy[Any]]] = {
    "longcat_flash": {
        **{name: LATENT[name] for name in ("q_lora_rank", "kv_lora_rank", "qk_nope_head_dim", "v_head_dim")},
        "attention_bias": flags,
        "n_routed_experts": st.sampled_from((4, 8)),
        "zero_expert_num": st.integers(0, 5),
        "moe_topk": st.integers(2, 3),  # its class cannot run a single one
        "expert_ffn_hidden_size": widths,
        "routed_scaling_factor": scales,
    },
    "deepseek_v32": {**LATENT, **INDEXER},
    "glm_moe_dsa": {
        **LATENT,
        **INDEXER,
        "index_topk_freq": st.integers(0, 3),
        "index_skip_topk_offset": st.integers(0, 3),
    },
    "minimax_m3_vl_text": {
        "head_dim": st.just(8),
        "partial_rotary_factor": st.sampled_from((0.5, 0.75, 1.0)),
        "dense_intermediate_size": widths,
        "shared_intermediate_size": widths,
        "num_local_experts": st.integers(3, 6),
        "num_experts_per_tok": st.integers(1, 3),
        "routed_scaling_factor": scales,
        "swiglu_limit": st.sampled_from((0.7, 7.0)),
        "index_n_heads": st.just(1),
        "index_head_dim": st.sampled_from((8, 11)),
        "index_block_size": st.sampled_from((1, 3, 8)),
        "index_topk_blocks": st.integers(2, 3),
        "index_local_blocks": st.integers(0, 2),
    },
}

NEEDED: dict[str, Settings] = {}

ALWAYS: dict[str, tuple[str, ...]] = {
    "longcat_flash": ("n_routed_experts", "moe_topk"),
    **dict.fromkeys(
        ("deepseek_v32", "glm_moe_dsa"),
        ("n_routed_experts", "num_experts_per_tok", "n_group", "topk_group", "qk_rope_head_dim", "index_head_dim"),
    ),
    "minimax_m3_vl_text": (
        *("num_local_experts", "num_experts_per_tok", "head_dim", "partial_rotary_factor"),
        *("index_n_heads", "index_head_dim"),
    ),
}


def of_family(draw: st.DrawFn, family: str, config: Settings) -> None:
    """What follows from other settings, and what a family calls otherwise."""
    n_layers = config["num_hidden_layers"]
    if family == "longcat_flash":
        config |= {"num_layers": config.pop("num_hidden_layers"), "ffn_hidden_size": config.pop("intermediate_size")}
        del config["num_key_value_heads"]
        config["qk_rope_head_dim"] = config["head_dim"] = draw(st.sampled_from((2, 6)))
        return
    if draw(flags):
        config["mlp_layer_types"] = mlp_layer_types(draw, n_layers)
    if family == "minimax_m3_vl_text":
        _minimax_m3(draw, config)
        return
    config["num_key_value_heads"] = config["num_attention_heads"]
    if family == "glm_moe_dsa":
        if config.get("index_skip_topk_offset") == 0:
            config["index_skip_topk_offset"] = 1  # else the first layer may have no indexer
        kinds = ["full", *listed(draw, n_layers - 1, "full", "shared")]
        form = draw(st.sampled_from((None, "listed", "letters")))
        if form is not None:
            for name in ("index_topk_freq", "index_skip_topk_offset"):
                config.pop(name, None)
        if form == "listed":
            config["indexer_types"] = kinds
        elif form == "letters":
            config["index_topk_pattern"] = "".join(kind[0].upper() for kind in kinds)


def _minimax_m3(draw: st.DrawFn, config: Settings) -> None:
    n_layers = config["num_hidden_layers"]
    config["index_n_heads"] = draw(st.sampled_from((1, config["num_key_value_heads"])))
    if draw(flags):
        config["layer_types"] = listed(draw, n_layers, FULL, "minimax_m3_sparse")
    elif draw(flags):
        config["sparse_attention_config"] = {
            "sparse_attention_freq": listed(draw, n_layers, 0, 1),
            "sparse_block_size": draw(st.sampled_from((1, 3, 8))),
            "use_sparse_attention": True,
            "sparse_score_type": "max",
        }
        config.pop("index_block_size", None)
