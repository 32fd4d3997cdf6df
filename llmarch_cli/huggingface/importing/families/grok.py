"""Grok 1 and 2: norms around both sublayers, and scaled embeddings, scores and logits."""

from __future__ import annotations

from llmarch_cli.huggingface.importing.families.family import Family
from llmarch_cli.huggingface.importing.keys import ANY, Config
from llmarch_cli.huggingface.importing.layers import Fields
from llmarch_cli.huggingface.importing.pieces import frame, head_dim, heads, only_divided, rms


def grok(c: Config) -> Fields:
    c.expect("residual_moe", True)
    c.expect("rope_type", "original", why="RoPE without scaling")
    temperature = c.optional(c.count, "attn_temperature_len")
    attention = {
        **heads(c, head_dim(c)),
        "softcap": c.optional(c.number, "attn_logit_softcapping"),
        "rope_theta": c.number("rope_theta"),
        "temperature": {"kind": "log_ratio", "length": temperature} if temperature else None,
    }
    # Exact GELU in both branches, as in SGLang, for which the weights were released.
    plain = {"kind": "dense", "d_ff": c.count("intermediate_size"), "activation": "gelu"}
    experts = {
        "kind": "moe",
        "n_experts": c.count("num_local_experts"),
        "top_k": c.count("num_experts_per_tok"),
        "d_ff": c.count("moe_intermediate_size"),
        "activation": "gelu",
        "renormalize": False,
        "router_softcap": c.optional(c.number, "router_logit_softcapping"),
    }
    return frame(
        c,
        rms(c),
        norm_placement="sandwich",
        embedding_scale=c.number("embedding_multiplier_scale"),
        logit_scale=c.number("output_multiplier_scale"),
        logit_softcap=c.optional(c.number, "final_logit_softcapping"),
        attention=attention,
        ffn={"kind": "parallel", "branches": {"dense": plain, "moe": experts}, "scale": 2**-0.5},
    )


def grok_1(c: Config) -> Fields:
    """Grok 1, from its port to PyTorch: the published weights are for JAX and have no config."""
    attention = {
        **heads(c, only_divided(c)),
        "rope_theta": 10_000.0,
        "score_scale": c.number("attn_output_multiplier"),
        "softcap": c.number("max_attn_value"),
    }
    experts = {
        "kind": "moe",
        "n_experts": c.count("num_experts"),
        "top_k": c.count("num_experts_per_tok"),
        "d_ff": c.count("intermediate_size"),
        "activation": "gelu",
        "renormalize": False,
    }
    return frame(
        c,
        rms(c),
        norm_placement="sandwich",
        embedding_scale=c.number("embedding_multiplier_scale"),
        logit_scale=c.number("output_multiplier_scale"),
        attention=attention,
        ffn=experts,
    )


FAMILIES = (
    Family(
        "grok-2",
        grok,
        {"tie_word_embeddings": False},
        without_effect={
            **dict.fromkeys(("scaling_factor", "extrapolation_factor", "attn_factor", "beta_fast", "beta_slow"), ANY),
            "original_max_position_embeddings": ANY,  # unused without RoPE scaling, like those above
            "sliding_window_size": (-1,),
            "global_attn_every_n": (1,),
            "hidden_act": ("gelu",),
        },
        remote=True,
    ),
    Family(
        "grok-1",
        grok_1,
        {"tie_word_embeddings": True},
        aliases={"num_local_experts": "num_experts"},
        without_effect={"rope_theta": (10_000,), "rope_scaling": (None,), "hidden_act": ("gelu",)},
        remote=True,
    ),
)
