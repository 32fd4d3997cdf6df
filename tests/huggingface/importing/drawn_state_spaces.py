"""Small configs of the families in `families/state_spaces.py`."""

from __future__ import annotations

from typing import Any

from drawn import CHOICE, FULL, GRANITE_EXPERTS, Settings, flags, listed, scales, widths
from hypothesis import strategies as st

LINEAR = "linear_attention"

ALONE = {
    "state_size": widths,
    "conv_kernel": st.integers(2, 5),
    "expand": st.integers(1, 3),
    "use_bias": flags,
    "use_conv_bias": flags,
    "hidden_act": st.sampled_from(("silu", "gelu")),
}
HYBRID = {
    "mamba_n_heads": st.just(2),
    "mamba_n_groups": st.sampled_from((1, 2)),
    "mamba_d_state": widths,
    "mamba_d_conv": st.integers(2, 5),
    "mamba_expand": st.sampled_from((2, 4)),
    "mamba_conv_bias": flags,
    "mamba_proj_bias": flags,
}

OPTIONS: dict[str, dict[str, st.SearchStrategy[Any]]] = {
    "mamba": {**ALONE, "time_step_rank": st.just("auto") | st.integers(1, 9)},
    "falcon_mamba": {**ALONE, "time_step_rank": st.just("auto") | st.integers(1, 9), "mixer_rms_eps": st.just(1e-5)},
    "mamba2": {**ALONE, "num_heads": st.just(2), "n_groups": st.sampled_from((1, 2))},
    "granitemoehybrid": {
        **HYBRID,
        **GRANITE_EXPERTS,
        "num_local_experts": st.sampled_from((0, 3, 4)),
        "shared_intermediate_size": widths,
        "position_embedding_type": st.sampled_from(("rope", "nope", None)),
    },
    "bamba": {
        **HYBRID,
        "attention_bias": flags,
        "mlp_bias": flags,
        "attn_layer_indices": st.lists(st.integers(0, 3), max_size=2),
    },
    "falcon_h1": {
        **HYBRID,
        **dict.fromkeys(("attention_bias", "mlp_bias", "mamba_rms_norm", "mamba_norm_before_gate"), flags),
        **{f"{name}_multiplier": scales for name in ("lm_head", "embedding", "key", "attention_in", "ssm_out")},
        "mamba_d_ssm": st.sampled_from((None, 24, 48)),
        "mlp_multipliers": st.none() | st.lists(scales, min_size=2, max_size=2),
        "ssm_multipliers": st.none() | st.lists(scales, min_size=5, max_size=5),
    },
    "nemotron_h": {
        "layers_block_type": st.lists(st.sampled_from((LINEAR, FULL, "moe", "mlp")), min_size=1, max_size=6),
        "head_dim": st.sampled_from((4, 6)),
        "mlp_hidden_act": st.sampled_from(("relu2", "silu")),
        "ssm_state_size": widths,
        "mamba_num_heads": st.sampled_from((2, 6)),
        "mamba_head_dim": widths,
        "n_groups": st.sampled_from((1, 2)),
        "conv_kernel": st.integers(2, 5),
        "time_step_min": scales,
        "use_conv_bias": flags,
        "use_bias": flags,
        "n_routed_experts": st.sampled_from((4, 6)),
        "moe_intermediate_size": widths,
        "moe_shared_expert_intermediate_size": widths,
        "moe_latent_size": st.none() | widths,
        "routed_scaling_factor": scales,
        "norm_topk_prob": flags,
    },
    "jamba": {
        **CHOICE,
        "mamba_d_state": widths,
        "mamba_d_conv": st.integers(2, 5),
        "mamba_expand": st.integers(1, 3),
        "mamba_dt_rank": st.just("auto") | st.integers(1, 9),
        "mamba_conv_bias": flags,
        "mamba_proj_bias": flags,
        "expert_layer_period": st.integers(2, 3),
        "expert_layer_offset": st.integers(0, 1),
        "attn_layer_period": st.integers(5, 8),
        "attn_layer_offset": st.integers(0, 4),
    },
}

NEEDED: dict[str, Settings] = {}

ALWAYS: dict[str, tuple[str, ...]] = {
    "mamba2": ("num_heads", "n_groups"),
    "granitemoehybrid": ("mamba_n_heads", "num_local_experts", "num_experts_per_tok"),
    "bamba": ("mamba_n_heads",),
    "falcon_h1": ("mamba_n_heads", "mamba_d_ssm"),
    "jamba": tuple(CHOICE),
    "nemotron_h": ("layers_block_type", "mamba_num_heads", "n_groups"),
}

OWN_ROPE: tuple[str, ...] = tuple(OPTIONS)


def of_family(draw: st.DrawFn, family: str, config: Settings) -> None:
    """What follows from other settings."""
    if family in ("mamba", "falcon_mamba", "mamba2", "nemotron_h"):
        for name in ("num_attention_heads", "num_key_value_heads", "intermediate_size", "max_position_embeddings"):
            if family != "nemotron_h":
                config.pop(name, None)
    if family == "mamba2":
        config["hidden_size"] += config["hidden_size"] % 2
        config["head_dim"] = config.get("expand", 2) * config["hidden_size"] // 2
    if family == "nemotron_h":
        del config["num_hidden_layers"], config["tie_word_embeddings"]
    if family == "falcon_h1" and config.get("mamba_proj_bias"):
        config["projectors_bias"] = True
    if family == "granitemoehybrid" and draw(flags):
        config["layer_types"] = listed(draw, config["num_hidden_layers"], FULL, LINEAR)
