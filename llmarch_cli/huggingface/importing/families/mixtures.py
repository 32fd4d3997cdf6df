"""Further mixture-of-experts decoders, most of them with the attention of another family."""

from __future__ import annotations

from typing import Any

from llmarch_cli.huggingface.importing.families.dense import BIASES, MULTIPLIERS, granite_attention, multipliers
from llmarch_cli.huggingface.importing.families.experts import GRANITE_EXPERTS, granite_experts
from llmarch_cli.huggingface.importing.families.family import USUAL, Family, sizes
from llmarch_cli.huggingface.importing.families.layer_normed import IN_COHERE2
from llmarch_cli.huggingface.importing.families.windows import hybrid
from llmarch_cli.huggingface.importing.keys import ANY, Accepted, Config, a_number
from llmarch_cli.huggingface.importing.layers import Fields, axis
from llmarch_cli.huggingface.importing.pieces import (
    ACTIVATIONS,
    NOPE,
    biased,
    by_type,
    dense,
    dense_below,
    every,
    frame,
    gqa,
    grouped_sigmoid_moe,
    head_dim,
    heads,
    layer_norm,
    layer_types,
    listed_sparse,
    mixed,
    moe,
    rms,
    shared,
    sparse_from,
    window,
    without_prediction_blocks,
)
from llmarch_cli.huggingface.importing.rope import FULL, SCALINGS, SLIDING, longrope, rope, rotary_by_type
from llmarch_cli.huggingface.importing.without_effect import WITHOUT_EFFECT


def aria_text(c: Config) -> Fields:
    width = c.count("moe_num_shared_experts", least=0) * c.count("intermediate_size")
    experts = moe(
        c,
        "moe_num_experts",
        "intermediate_size",
        "moe_topk",
        activation="silu",  # only the shared experts use `hidden_act`
        shared_expert=shared(c, width, bias=c.flag("mlp_bias")),
    )
    return frame(c, rms(c), attention=gqa(c, **biased(c)), ffn=experts)


def flex_olmo(c: Config) -> Fields:
    experts = moe(c, "num_experts", "intermediate_size", renormalize=c.flag("norm_topk_prob"))
    return frame(c, rms(c), norm_placement="post", attention=gqa(c, qk_norm="full", **biased(c)), ffn=experts)


def granitemoeshared(c: Config) -> Fields:
    return granite_experts(c, granite_attention(c), c.count("shared_intermediate_size", least=0))


def granite_windows(c: Config) -> Fields:
    """Granite's attention with a window and a base of rotary frequencies by layer; a base of 0 means no positions."""
    attention = granite_attention(c, sinks=True)
    types = layer_types(c, lambda layer: SLIDING if layer % 4 else FULL)
    thetas = c.optional(lambda name: c.items(name, _theta, "a number of at least 0", c.layers()), "layer_rope_theta")

    def layer(setting: tuple[str, float]) -> Fields:
        kind, theta = setting
        return {**attention, **({"rope_theta": theta} if theta else NOPE), "window": window(c, kind)}

    settings = list(zip(types, thetas or [attention["rope_theta"]] * len(types), strict=True))
    return axis(settings, layer)


def granitemoe_swa(c: Config) -> Fields:
    return granite_experts(c, granite_windows(c), c.count("shared_intermediate_size", least=0))


def granite_swa(c: Config) -> Fields:
    ffn = dense(c, bias=c.flag("mlp_bias"))
    return frame(c, rms(c), attention=granite_windows(c), ffn=ffn, **multipliers(c))


def flint(c: Config) -> Fields:
    last = c.layers() - 1
    types = layer_types(c, lambda layer: FULL if layer < 2 or layer % 4 == 1 or layer == last else SLIDING)
    attention = gqa(c, c.count("head_dim"), qk_norm="per_head", sinks=True, **biased(c))
    plain = {0, 1} if c.value("mlp_only_layers") is None else set(c.whole_numbers("mlp_only_layers"))
    step = c.count("decoder_sparse_step")
    experts = moe(
        c,
        "num_experts",
        "moe_intermediate_size",
        scoring="sigmoid",
        renormalize=c.flag("norm_topk_prob"),
        shared_expert=shared(c, c.count("shared_expert_intermediate_size")),
    )
    sparse = [layer not in plain and (layer + 1) % step == 0 for layer in range(c.layers())]
    return frame(
        c,
        rms(c),
        attention=by_type(c, attention, types, {FULL: NOPE}),
        ffn=mixed(sparse, experts, dense(c)),
    )


def mellum(c: Config) -> Fields:
    width = head_dim(c)
    types = layer_types(c, every(1))
    attention = {**heads(c, width), "qk_norm": "per_head", **biased(c)}
    rotary = rotary_by_type(c, width, types, {"rope_theta": FULL})
    experts = moe(c, "num_experts", "moe_intermediate_size", renormalize=c.flag("norm_topk_prob"))
    without_prediction_blocks(c, "num_mtp_layers")
    return frame(
        c,
        rms(c),
        attention=by_type(c, attention, types, rotary),
        ffn=mixed(listed_sparse(c, [True] * c.layers()), experts, dense(c)),
    )


def _theta(value: Any) -> float | None:
    """A base of rotary frequencies; 0 for none."""
    found = a_number(value)
    return None if found is None or found < 0 else found


def exaone_moe(c: Config) -> Fields:
    sparse = listed_sparse(c, dense_below(c))
    c.expect("is_moe_layer", sparse, why="as mlp_layer_types and first_k_dense_replace have it")
    c.expect("first_last_k_dense_replace", c.count("first_k_dense_replace", least=0), why="its newer name")
    without_prediction_blocks(c, "num_nextn_predict_layers")
    experts = grouped_sigmoid_moe(c, "num_experts", "num_shared_experts")
    return frame(c, rms(c), attention=hybrid(c), ffn=mixed(sparse, experts, dense(c)))


def kolibri1(c: Config) -> Fields:
    experts = moe(
        c,
        "num_experts",
        "moe_intermediate_size",
        scoring="sigmoid",
        selection_bias=True,
        selection_from="logits",
        renormalize=c.flag("norm_topk_prob"),
        shared_expert=shared(c, c.count("shared_expert_intermediate_size")),
    )
    return frame(c, rms(c), norm_placement="sandwich", attention=hybrid(c, every(5)), ffn=experts)


def hy_v3(c: Config) -> Fields:
    bias = c.flag("mlp_bias")
    sparse = listed_sparse(c)
    if not c.given("mlp_layer_types"):
        c.expect("first_k_dense_replace", 1, why="transformers reads mlp_layer_types only")
    c.expect("expert_hidden_dim", c.count("moe_intermediate_size"), why="equal to moe_intermediate_size")
    experts = moe(
        c,
        "num_experts",
        "moe_intermediate_size",
        scoring="sigmoid",
        selection_bias=True,
        routed_scale=c.number("router_scaling_factor"),
        # Without any, transformers builds one of intermediate_size.
        shared_expert=shared(c, c.count("num_shared_experts") * c.count("moe_intermediate_size"), bias=bias),
    )
    return frame(
        c,
        rms(c),
        n_mtp_blocks=c.count("num_nextn_predict_layers", least=0),
        attention=gqa(c, qk_norm="per_head", **biased(c)),
        ffn=mixed(sparse, experts, dense(c, bias=bias)),
    )


def solar_open(c: Config) -> Fields:
    attention = gqa(c, qkv_bias=c.flag("attention_bias"))
    return frame(c, rms(c), attention=attention, ffn=grouped_sigmoid_moe(c))


def cohere2_moe(c: Config) -> Fields:
    c.expect("rope_scaling", None, why="transformers reads rope_parameters only")
    attention = gqa(c, rope_interleaved=True, **biased(c))
    n_dense = c.optional(c.count, "first_k_dense_replace", least=0) or 0
    below, above = (every(c.count(f"{where}sliding_window_pattern")) for where in ("prefix_dense_", ""))
    types = layer_types(c, lambda layer: below(layer) if layer < n_dense else above(layer - n_dense))
    sparse = listed_sparse(c, sparse_from(c, n_dense))
    rotated_below = c.count("prefix_dense_sliding_window_pattern") == 1

    def layer(setting: tuple[str, bool]) -> Fields:
        kind, is_sparse = setting
        rotated = kind == SLIDING or (rotated_below and not is_sparse)
        return {**attention, **({} if rotated else NOPE), "window": window(c, kind)}

    width = c.optional(c.count, "prefix_dense_intermediate_size") or c.count("intermediate_size")
    norm = layer_norm(c)
    return frame(
        c,
        norm if c.optional(c.number, "rms_norm_eps") is None else rms(c),
        parallel_sublayers=True,
        norm_placement="pre_shared",
        logit_scale=c.number("logit_scale"),
        attention=axis(list(zip(types, sparse, strict=True)), layer),
        ffn=mixed(sparse, _cohere_experts(c), {**dense(c), "d_ff": width}),
    )


def _cohere_experts(c: Config) -> Fields:
    """The sum of the routed and the shared experts, or their average: that of two branches."""
    scoring = c.choice("expert_selection_fn", {"softmax": "softmax", "sigmoid": "sigmoid"})
    renormalize = c.flag("norm_topk_prob") or scoring == "softmax"  # a softmax is over the chosen experts
    routed = moe(c, "num_experts", "intermediate_size", scoring=scoring, renormalize=renormalize)
    averaged = c.choice("shared_expert_combination_strategy", {"sum": False, "average": True})
    beside = shared(c, c.count("num_shared_experts", least=0) * c.count("intermediate_size"))
    if averaged and beside is not None:
        return {"kind": "parallel", "branches": {"moe": routed, "shared": beside}, "scale": 0.5}
    return {**routed, "shared_expert": beside}


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


# In DBRX's inner configs: the outer one decides on ties and hidden_size, and the others are for training.
IN_DBRX: dict[str, Accepted] = {
    **WITHOUT_EFFECT,
    **dict.fromkeys(("tie_word_embeddings", "hidden_size", "moe_jitter_eps", "moe_loss_weight"), ANY),
    "uniform_expert_assignment": (False,),
}
ROUTED: dict[str, Any] = {"n_group": 1, "topk_group": 1, "norm_topk_prob": True, "num_experts_per_tok": 8}

FAMILIES = (
    Family(
        "aria_text",
        aria_text,
        USUAL
        | BIASES
        | {"head_dim": None}
        | {"moe_num_experts": 8, "moe_topk": 2, "moe_num_shared_experts": 2}
        | sizes(32_000, 4096, 4096, 32, 32, None, 2048),
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
    Family("granitemoeshared", granitemoeshared, GRANITE_EXPERTS | {"shared_intermediate_size": 0}),
    Family(
        "granite_swa",
        granite_swa,
        USUAL
        | BIASES
        | MULTIPLIERS
        | {"rms_norm_eps": 1e-5, "tie_word_embeddings": True}
        | {"sliding_window": 128, "layer_types": None, "layer_rope_theta": None}
        | sizes(100_352, 2560, 8192, 24, 20, 4, 8192),
    ),
    Family(
        "flint",
        flint,
        USUAL
        | {"attention_bias": False, "head_dim": 128, "sliding_window": 513, "layer_types": None}
        | {"moe_intermediate_size": 512, "shared_expert_intermediate_size": 1024, "decoder_sparse_step": 1}
        | {"num_experts_per_tok": 6, "num_experts": 256, "norm_topk_prob": True, "mlp_only_layers": None}
        | sizes(150_144, 2048, 6144, 49, 32, 4, 262_144),
        aliases={"num_local_experts": "num_experts"},
    ),
    Family(
        "mellum",
        mellum,
        USUAL
        | {"attention_bias": False, "head_dim": 128, "sliding_window": 1024, "layer_types": None}
        | {"moe_intermediate_size": 896, "num_experts_per_tok": 8, "num_experts": 64, "norm_topk_prob": True}
        | {"mlp_layer_types": None, "num_mtp_layers": None}
        | {
            "rope_parameters": {
                FULL: {"rope_type": "default", "rope_theta": 500_000.0},
                SLIDING: {"rope_type": "default", "rope_theta": 10_000.0},
            }
        }
        | sizes(98_304, 2304, 7168, 28, 32, 4, 131_072),
        aliases={"num_local_experts": "num_experts", "num_nextn_predict_layers": "num_mtp_layers"},
        without_effect={"mtp_layer_types": ANY, "mtp_mlp_layer_types": ANY},
    ),
    Family(
        "granitemoe_swa",
        granitemoe_swa,
        GRANITE_EXPERTS
        | {"shared_intermediate_size": 0}
        | {"sliding_window": 128, "layer_types": None, "layer_rope_theta": None},
    ),
    Family(
        "exaone_moe",
        exaone_moe,
        USUAL
        | ROUTED
        | {"rms_norm_eps": 1e-5, "sliding_window": 4096, "sliding_window_pattern": 4, "layer_types": None}
        | {"mlp_layer_types": None, "first_k_dense_replace": 1, "moe_intermediate_size": 1024}
        | {"num_experts": 64, "num_shared_experts": 1, "routed_scaling_factor": 2.5}
        | sizes(102_400, 4096, 16_384, 32, 32, 32, 2048),
    ),
    Family(
        "kolibri1",
        kolibri1,
        USUAL
        | {"head_dim": 128, "sliding_window": 513, "layer_types": None, "norm_topk_prob": False}
        | {"moe_intermediate_size": 512, "num_experts_per_tok": 6, "num_experts": 384}
        | {"shared_expert_intermediate_size": 512, "vocab_size": 128_000, "hidden_size": 2560}
        | {"num_hidden_layers": 50, "num_attention_heads": 48, "num_key_value_heads": 4}
        | {"max_position_embeddings": 262_144},
        aliases={"num_local_experts": "num_experts"},
    ),
    Family(
        "hy_v3",
        hy_v3,
        USUAL
        | {"rms_norm_eps": 1e-5, "rope_theta": 11_158_840.0, "head_dim": 128}
        | {"attention_bias": False, "mlp_bias": False, "mlp_layer_types": None}
        | {"num_experts": 192, "num_experts_per_tok": 8, "num_shared_experts": 1, "moe_intermediate_size": 1536}
        | {"router_scaling_factor": 2.826, "num_nextn_predict_layers": 0}
        | sizes(120_832, 4096, 13_312, 80, 64, 8, 131_072),
        aliases={"num_local_experts": "num_experts"},
        without_effect={
            **dict.fromkeys(("enable_moe_fp32_combine", "enable_lm_head_fp32", "enable_attention_fp32_softmax"), ANY),
            **dict.fromkeys(("qk_norm", "route_norm"), (True,)),
            **dict.fromkeys(("moe_router_use_sigmoid", "moe_router_enable_expert_bias"), (True,)),
        },
    ),
    Family(
        "solar_open",
        solar_open,
        USUAL
        | ROUTED
        | {"rms_norm_eps": 1e-5, "rope_theta": 1_000_000.0, "attention_bias": False, "head_dim": 128}
        | {"moe_intermediate_size": 1280, "n_shared_experts": 1, "n_routed_experts": 128}
        | {"routed_scaling_factor": 1.0, "vocab_size": 196_608, "hidden_size": 4096, "num_hidden_layers": 48}
        | {"num_attention_heads": 64, "num_key_value_heads": 8, "max_position_embeddings": 131_072},
        aliases={"num_local_experts": "n_routed_experts"},
        without_effect={
            "intermediate_size": ANY,  # no layer is dense
            "first_k_dense_replace": (0,),
            "moe_layer_freq": (1,),
            "use_qk_norm": (False,),
        },
    ),
    Family(
        "cohere2_moe",
        cohere2_moe,
        USUAL
        | {"layer_norm_eps": 1e-5, "rms_norm_eps": None, "logit_scale": 0.0625, "tie_word_embeddings": True}
        | {"head_dim": 128, "attention_bias": False, "sliding_window": 4096, "sliding_window_pattern": 4}
        | {"layer_types": None, "mlp_layer_types": None, "prefix_dense_sliding_window_pattern": 1}
        | {"prefix_dense_intermediate_size": None, "num_experts_per_tok": 2, "num_experts": 8}
        | {"norm_topk_prob": True, "expert_selection_fn": "softmax", "num_shared_experts": 0}
        | {"shared_expert_combination_strategy": "average"}
        | sizes(256_000, 8192, 22_528, 40, 64, None, 8192),
        without_effect=IN_COHERE2,
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
