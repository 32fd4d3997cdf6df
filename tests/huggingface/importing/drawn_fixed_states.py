"""Small configs of the families in `families/fixed_states.py`."""

from __future__ import annotations

from typing import Any

from drawn import CHOICE, EXPERTS, FULL, Settings, flags, listed, scales, widths, windows
from hypothesis import strategies as st

LINEAR, CONV = "linear_attention", "conv"

CONVOLUTION = {"conv_bias": flags, "conv_L_cache": st.integers(2, 5)}

OPTIONS: dict[str, dict[str, st.SearchStrategy[Any]]] = {
    "minimax": {
        **EXPERTS,
        "head_dim": st.sampled_from((4, 6)),
        "sliding_window": windows,
        "block_size": st.sampled_from((3, 256)),
        "hidden_act": st.sampled_from(("silu", "gelu", "relu")),
    },
    "lfm2": {
        **CONVOLUTION,
        "block_multiple_of": st.sampled_from((1, 8)),
        "block_ffn_dim_multiplier": st.sampled_from((1.0, 1.3)),
        "block_auto_adjust_ff_dim": flags,
        "full_attn_idxs": st.sampled_from((None, [], [0], [1, 3])),
        "tie_embedding": flags,
        "head_dim": st.just(6),
    },
    "lfm2_moe": {
        **CONVOLUTION,
        **CHOICE,
        "moe_intermediate_size": widths,
        "num_dense_layers": st.integers(0, 3),
        "norm_topk_prob": flags,
        "use_expert_bias": flags,
        "routed_scaling_factor": scales,
    },
    "rwkv": {"attention_hidden_size": st.none() | st.integers(2, 40)},
    "recurrent_gemma": {
        "lru_width": st.none() | st.integers(1, 5).map(lambda width: 36 * width),
        "attention_window_size": st.just(9),
        "conv1d_width": st.integers(2, 5),
        "logits_soft_cap": scales,
        "hidden_activation": st.sampled_from(("gelu_pytorch_tanh", "gelu", "silu")),
        "block_types": st.lists(st.sampled_from(("recurrent", "attention")), min_size=1, max_size=4),
        "attention_bias": flags,
        "num_key_value_heads": st.just(1),
    },
}

NEEDED: dict[str, Settings] = {"lfm2_moe": {"layer_types": [CONV, FULL] * 16}}

ALWAYS: dict[str, tuple[str, ...]] = {
    "minimax": (
        "num_local_experts",
        "num_experts_per_tok",
        "head_dim",
    ),  # without a width, its class cannot be stretched
    "lfm2_moe": ("num_experts", "num_experts_per_tok"),
}

OWN_ROPE = ("recurrent_gemma", "rwkv")


def of_family(draw: st.DrawFn, family: str, config: Settings) -> None:
    """What follows from other settings, and what a family calls otherwise."""
    n_layers = config["num_hidden_layers"]
    match family:
        case "minimax":
            if draw(flags):
                config["layer_types"] = listed(draw, n_layers, FULL, LINEAR)
            for factor in ("alpha", "beta"):
                if draw(flags):
                    value = draw(scales)
                    config.update({f"{name}_{factor}_factor": value for name in ("full_attn", "linear_attn", "mlp")})
        case "lfm2":
            config["full_attn_idxs"] = [i for i in config.get("full_attn_idxs") or () if i < n_layers] or None
            if config["full_attn_idxs"] is None and draw(flags):
                config["layer_types"] = listed(draw, n_layers, FULL, CONV)
            if "tie_embedding" in config:
                del config["tie_word_embeddings"]
            if draw(flags):
                config["block_ff_dim"] = config.pop("intermediate_size")
        case "lfm2_moe":
            config["layer_types"] = listed(draw, n_layers, FULL, CONV)
        case "rwkv":
            del config["num_attention_heads"], config["num_key_value_heads"]
            if draw(flags):
                config["context_length"] = config.pop("max_position_embeddings")
            config["num_hidden_layers"] = max(2, min(5, n_layers))  # of one layer its class cannot begin
        case "recurrent_gemma":
            del config["max_position_embeddings"]
            if (config.get("lru_width") or 0) % config["num_attention_heads"]:
                del config["lru_width"]
            if draw(flags):
                config["rope_theta"] = 30.0
        case _:
            pass
