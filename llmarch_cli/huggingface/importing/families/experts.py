"""Mixture-of-experts decoders without a shared expert."""

from __future__ import annotations

from typing import Any

from llmarch_cli.huggingface.importing.families.dense import MULTIPLIERS, granite_attention, multipliers
from llmarch_cli.huggingface.importing.families.family import USUAL, Family, sizes
from llmarch_cli.huggingface.importing.keys import ANY, Accepted, Config
from llmarch_cli.huggingface.importing.layers import Fields
from llmarch_cli.huggingface.importing.pieces import (
    ACTIVATIONS,
    biased,
    dense,
    frame,
    gqa,
    head_dim,
    layer_norm,
    mixed,
    moe,
    only_divided,
    rms,
    shared,
    switched_window,
    without_prediction_blocks,
)
from llmarch_cli.huggingface.importing.rope import SCALINGS, longrope, rope
from llmarch_cli.huggingface.importing.without_effect import WITHOUT_EFFECT


def mixtral(c: Config) -> Fields:
    attention = gqa(c, window=c.optional(c.count, "sliding_window"))
    return frame(c, rms(c), attention=attention, ffn=moe(c, "num_local_experts", "intermediate_size"))


def sparse_layers(c: Config) -> list[bool]:
    """Which layers of Qwen have experts: every `decoder_sparse_step`-th, except `mlp_only_layers`."""
    step = c.count("decoder_sparse_step")
    plain = set(c.optional(c.whole_numbers, "mlp_only_layers") or ())
    return [layer not in plain and (layer + 1) % step == 0 for layer in range(c.layers())]


def qwen3_moe(c: Config) -> Fields:
    attention = gqa(c, qk_norm="per_head", window=switched_window(c), **biased(c))
    experts = moe(c, "num_experts", "moe_intermediate_size", renormalize=c.flag("norm_topk_prob"))
    return frame(c, rms(c), attention=attention, ffn=mixed(sparse_layers(c), experts, dense(c)))


def olmoe(c: Config) -> Fields:
    if c.count("hidden_size") % c.count("num_attention_heads"):
        c.fail("num_attention_heads", "must divide hidden_size, over which this family normalises queries")
    clip = c.optional(c.number, "clip_qkv")
    attention = gqa(c, only_divided(c), qk_norm="full", clip_qkv=clip, **biased(c))
    experts = moe(c, "num_experts", "intermediate_size", renormalize=c.flag("norm_topk_prob"))
    return frame(c, rms(c), attention=attention, ffn=experts)


def granite_experts(c: Config, attention: Fields, shared_width: int = 0) -> Fields:
    """Granite's mixtures; some have a shared expert."""
    experts = moe(c, "num_local_experts", "intermediate_size", shared_expert=shared(c, shared_width))
    return frame(c, rms(c), attention=attention, ffn=experts, **multipliers(c))


def granitemoe(c: Config) -> Fields:
    return granite_experts(c, granite_attention(c))


def minimax_m2(c: Config) -> Fields:
    width, rotated = head_dim(c), c.optional(c.count, "rotary_dim")
    attention = gqa(c, width, partial=True, qk_norm="full")
    if rotated is not None:
        if attention.get("rotary_dim", rotated) != rotated:
            c.fail("rotary_dim", f"{rotated}, but partial_rotary_factor gives {attention['rotary_dim']}")
        attention["rotary_dim"] = None if rotated == width else rotated
    without_prediction_blocks(c, "num_mtp_modules")
    experts = moe(c, "num_local_experts", "intermediate_size", scoring="sigmoid", selection_bias=True)
    return frame(c, rms(c), attention=attention, ffn=experts)


def flex_olmo(c: Config) -> Fields:
    experts = moe(c, "num_experts", "intermediate_size", renormalize=c.flag("norm_topk_prob"))
    return frame(c, rms(c), norm_placement="post", attention=gqa(c, qk_norm="full", **biased(c)), ffn=experts)


def phimoe(c: Config) -> Fields:
    scalings = {"default": SCALINGS["default"], "longrope": _constant_longrope}
    attention = gqa(c, scalings=scalings, window=c.optional(c.count, "sliding_window"), **biased(c))
    experts = moe(
        c,
        "num_local_experts",
        "intermediate_size",
        scoring="sparsemixer",
        router_jitter=c.number("router_jitter_noise"),
        renormalize=False,
    )
    if experts["top_k"] != 2:
        c.fail("num_experts_per_tok", f"{experts['top_k']}, but the router of this family always picks 2 experts")
    norm = layer_norm(c, "rms_norm_eps", bias=True)
    return frame(c, norm, head_bias=c.flag("lm_head_bias"), attention=attention, ffn=experts)


def _constant_longrope(c: Config, settings: Config) -> Fields:
    """LongRoPE with the same magnitude in short and long contexts."""
    short, long = (settings.number(f"{length}_mscale") for length in ("short", "long"))
    if short != long:
        settings.fail("long_mscale", f"{long:g}, but short_mscale is {short:g}: no field expresses two magnitudes")
    return {**longrope(c, settings), "attention_factor": short}


def dbrx(c: Config) -> Fields:
    d_model, n_heads = c.count("d_model"), c.count("n_heads")
    if d_model % n_heads:
        c.fail("n_heads", f"{n_heads} does not divide d_model ({d_model})")
    c.expect("tie_word_embeddings", False)
    inner = c.inner("attn_config", {"kv_n_heads": 1, "clip_qkv": None})
    theta = inner.number("rope_theta")
    rotary = rope(c, d_model // n_heads)
    if rotary["rope_theta"] != theta:
        if any(c.given(name) for name in ("rope_theta", "rope_parameters")):
            inner.fail("rope_theta", f"{theta:,}, but transformers rotates by the outer one, {rotary['rope_theta']:,}")
        c.notes.append(f"Rotated by attn_config.rope_theta; transformers rotates by {rotary['rope_theta']:,} instead.")
    attention = {
        "kind": "gqa",
        "n_heads": n_heads,
        "n_kv_heads": inner.count("kv_n_heads"),
        "head_dim": d_model // n_heads,
        **rotary,
        "rope_theta": theta,
        "clip_qkv": inner.optional(inner.number, "clip_qkv"),
    }
    inner.finish(IN_DBRX)
    c.expect("num_key_value_heads", attention["n_kv_heads"], why="equal to attn_config.kv_n_heads")
    return {
        "context_length": c.count("max_seq_len"),
        "d_model": d_model,
        "n_layers": c.layers("n_layers"),
        "vocab_size": c.count("vocab_size"),
        "norm": {"kind": "layer", "eps": 1e-5},
        "attention": attention,
        "ffn": _dbrx_experts(c),
    }


def _dbrx_experts(c: Config) -> Fields:
    counts = {"ffn_hidden_size": 3584, "moe_num_experts": 4, "moe_top_k": 1}
    inner = c.inner("ffn_config", {**counts, "moe_normalize_expert_weights": 1.0})
    act = inner.inner("ffn_act_fn", {"name": "silu"})  # its name, and arguments that none of ours takes
    power = inner.optional(inner.number, "moe_normalize_expert_weights")
    if power not in (None, 1):
        inner.fail("moe_normalize_expert_weights", f"{power:g}: weights are divided by their sum only")
    found = {
        "kind": "moe",
        "n_experts": inner.count("moe_num_experts"),
        "top_k": inner.count("moe_top_k"),
        "d_ff": inner.count("ffn_hidden_size"),
        "activation": act.choice("name", ACTIVATIONS),
        "renormalize": power is not None,
    }
    act.finish({})
    inner.finish(IN_DBRX)
    return found


GRANITE_EXPERTS: dict[str, Any] = (
    USUAL
    | MULTIPLIERS
    | {"attention_bias": False, "num_local_experts": 8, "num_experts_per_tok": 2}
    | sizes(32_000, 4096, 11_008, 32, 32, None, 2048)
)

MOE_QWEN: dict[str, Any] = {"decoder_sparse_step": 1, "mlp_only_layers": None, "norm_topk_prob": False}

# In DBRX's inner configs: the outer one decides on ties and hidden_size, and the others are for training.
IN_DBRX: dict[str, Accepted] = {
    **WITHOUT_EFFECT,
    **dict.fromkeys(("tie_word_embeddings", "hidden_size", "moe_jitter_eps", "moe_loss_weight"), ANY),
    "uniform_expert_assignment": (False,),
}

FAMILIES = (
    Family(
        "mixtral",
        mixtral,
        USUAL
        | {"rms_norm_eps": 1e-5, "rope_theta": 1_000_000.0, "sliding_window": None}
        | {"num_experts_per_tok": 2, "num_local_experts": 8}
        | sizes(32_000, 4096, 14_336, 32, 32, 8, 131_072),
        aliases={"num_experts": "num_local_experts"},
    ),
    Family(
        "qwen3_moe",
        qwen3_moe,
        USUAL
        | MOE_QWEN
        | {"use_sliding_window": False, "sliding_window": 4096, "attention_bias": False}
        | {"moe_intermediate_size": 768, "num_experts_per_tok": 8, "num_experts": 128}
        | sizes(151_936, 2048, 6144, 24, 32, 4, 32_768),
        aliases={"num_local_experts": "num_experts"},
        without_effect={
            "qkv_bias": (False,),
            "shared_expert_intermediate_size": (0,),
            "use_qk_norm": (True,),
        },
    ),
    Family(
        "olmoe",
        olmoe,
        USUAL
        | {"rms_norm_eps": 1e-5, "attention_bias": False, "clip_qkv": None}
        | {"num_experts_per_tok": 8, "num_experts": 64, "norm_topk_prob": False}
        | sizes(50_304, 2048, 2048, 16, 16, None, 4096),
        aliases={"num_local_experts": "num_experts"},
    ),
    Family(
        "flex_olmo",
        flex_olmo,
        USUAL
        | {"rope_theta": 500_000.0, "attention_bias": False}
        | {"num_experts_per_tok": 5, "num_experts": 7, "norm_topk_prob": False}
        | sizes(100_352, 4096, 11_008, 32, 32, None, 4096),
        aliases={"num_local_experts": "num_experts"},
    ),
    Family("granitemoe", granitemoe, GRANITE_EXPERTS),
    Family(
        "minimax_m2",
        minimax_m2,
        USUAL
        | {"head_dim": 128, "rope_theta": 5_000_000.0, "num_experts_per_tok": 8, "num_local_experts": 256}
        | sizes(200_064, 3072, 1536, 62, 48, 8, 196_608),
        aliases={"num_experts": "num_local_experts"},
        without_effect={
            **dict.fromkeys(
                (
                    "layernorm_full_attention_beta",
                    "layernorm_linear_attention_beta",
                    "layernorm_mlp_beta",
                ),
                (1.0,),
            ),
            **dict.fromkeys(("mlp_intermediate_size", "mtp_transformer_layers", "use_mtp"), ANY),
            **dict.fromkeys(("use_qk_norm", "use_routing_bias"), (True,)),
            **dict.fromkeys(("attn_window_size", "max_model_len", "num_expert_group"), (None,)),
            "attn_type_list": lambda value: isinstance(value, list) and all(each == 1 for each in value),
            "qk_norm_type": ("per_layer",),
            "scoring_func": ("sigmoid",),
            "shared_intermediate_size": (0,),
            "shared_moe_mode": ANY,
        },
    ),
    Family(
        "phimoe",
        phimoe,
        USUAL
        | {"rms_norm_eps": 1e-5, "rope_theta": 1_000_000.0, "sliding_window": None}
        | {"num_experts_per_tok": 2, "num_local_experts": 16, "router_jitter_noise": 0.01}
        | {"attention_bias": False, "lm_head_bias": False}
        | sizes(32_064, 4096, 6400, 32, 32, 8, 131_072),
        without_effect={"input_jitter_noise": ANY},  # for training
    ),
    Family(
        "dbrx",
        dbrx,
        {"d_model": 2048, "n_heads": 16, "n_layers": 24, "max_seq_len": 2048, "vocab_size": 32_000}
        | {"rope_parameters": None, "rope_theta": 10_000.0},
        aliases={
            "num_attention_heads": "n_heads",
            "hidden_size": "d_model",
            "num_hidden_layers": "n_layers",
            "max_position_embeddings": "max_seq_len",
        },
    ),
)
