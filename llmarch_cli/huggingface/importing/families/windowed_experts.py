"""Mixture-of-experts decoders whose layers differ in attention: windows, chunks or no positions in some."""

from __future__ import annotations

from typing import Any

from llmarch_cli.errors import shown
from llmarch_cli.huggingface.importing.families.experts import GRANITE_EXPERTS, granite_experts
from llmarch_cli.huggingface.importing.families.family import USUAL, Family, sizes
from llmarch_cli.huggingface.importing.families.layer_norms import IN_COHERE2
from llmarch_cli.huggingface.importing.families.shared_experts import GROUPED
from llmarch_cli.huggingface.importing.families.windows import granite_windows, hybrid, rotated_layers
from llmarch_cli.huggingface.importing.keys import ANY, Config, above_zero
from llmarch_cli.huggingface.importing.layers import Fields, axis
from llmarch_cli.huggingface.importing.pieces import (
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
    sigmoid_moe,
    sparse_from,
    window,
    without_prediction_blocks,
)
from llmarch_cli.huggingface.importing.rope import FULL, SLIDING, rope, rotary_by_type

CHUNKED = "chunked_attention"


def gpt_oss(c: Config) -> Fields:
    attention = gqa(c, sinks=True, **biased(c))
    c.expect("experts_per_token", c.count("num_experts_per_tok"), why="equal to num_experts_per_tok")
    c.expect("swiglu_alpha", 1.702)
    c.expect("hidden_act", "silu")
    experts = {
        "kind": "moe",
        "n_experts": c.count("num_local_experts"),
        "top_k": c.count("num_experts_per_tok"),
        "d_ff": c.count("intermediate_size"),
        "activation": "quick_gelu",  # x * sigmoid(1.702 * x)
        "clamp": c.number("swiglu_limit"),
        "up_offset": 1.0,
        "bias": True,
        "router_bias": True,
    }
    return frame(
        c,
        rms(c),
        attention=by_type(c, attention, layer_types(c, every(2))),
        ffn=experts,
    )


def llama4(c: Config) -> Fields:
    n_layers = c.layers()
    attention = gqa(c, rope_interleaved=True, **biased(c))
    norms: Fields = {"qk_norm": "weightless"} if c.flag("use_qk_norm") else {}
    if norms and (attention["rope_scaling"] or {}).get("kind") in ("yarn", "longrope"):
        # Rotated values are normalised. Only these two scalings change their magnitude; with others the order is free.
        norms["qk_norm_after_rope"] = True
    rotated = rotated_layers(c, n_layers)
    types = layer_types(c, lambda layer: CHUNKED if rotated[layer] else FULL, (FULL, CHUNKED))
    chunk = c.optional(c.count, "attention_chunk_size")
    tuned = c.value("attn_temperature_tuning")  # early configs have a number
    if type(tuned) not in (bool, int):
        c.fail("attn_temperature_tuning", f"must be true or false, not {tuned!r}")
    temperature = {"kind": "log_floor", "floor_scale": c.number("floor_scale"), "attn_scale": c.number("attn_scale")}

    def layer(setting: tuple[bool, str]) -> Fields:
        has_rope, kind = setting
        if kind == CHUNKED and chunk is None:
            c.fail("attention_chunk_size", "required, but missing: some layers use chunked attention")
        seen = {**attention, "chunk": chunk if kind == CHUNKED else None}
        if has_rope:
            return {**seen, **norms}
        return {**seen, **NOPE, "temperature": temperature if tuned else None}

    experts = moe(
        c,
        "num_local_experts",
        "intermediate_size",
        scoring="sigmoid",
        renormalize=False,
        scale_input=True,
        shared_expert=shared(c, c.count("intermediate_size")),
    )
    plain = {**dense(c), "d_ff": c.count("intermediate_size_mlp")}
    step = c.count("interleave_moe_layer_step", least=0)
    if c.given("moe_layers"):
        listed = set(c.whole_numbers("moe_layers"))
        sparse = [layer in listed for layer in range(n_layers)]
    else:
        c.optional(c.whole_numbers, "moe_layers")
        sparse = [bool(step) and (layer + 1) % step == 0 for layer in range(n_layers)]
    return frame(
        c,
        rms(c),
        attention=axis(list(zip(rotated, types, strict=True)), layer),
        ffn=mixed(sparse, experts, plain),
    )


def granitemoe_swa(c: Config) -> Fields:
    return granite_experts(c, granite_windows(c), c.count("shared_intermediate_size", least=0))


def flint(c: Config) -> Fields:
    last = c.layers() - 1
    types = layer_types(c, lambda layer: FULL if layer < 2 or layer % 4 == 1 or layer == last else SLIDING)
    attention = gqa(c, c.count("head_dim"), qk_norm="per_head", sinks=True, **biased(c))
    listed = c.optional(c.whole_numbers, "mlp_only_layers")
    plain = c.filled_in("mlp_only_layers", {0, 1}) if listed is None else set(listed)
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


HEADS = "num_attention_heads_per_layer"


def afmoe(c: Config) -> Fields:
    width = c.count("head_dim")
    attention = {**heads(c, width), "output_gate": "elementwise", "qk_norm": "per_head", **biased(c)}
    rotary = {SLIDING: rope(c, width), FULL: NOPE}
    types = layer_types(c, every(c.count("global_attn_every_n_layers")))
    n_shared, n_dense = c.count("num_shared_experts", least=0), c.count("num_dense_layers", least=0)
    experts = sigmoid_moe(
        c,
        "num_experts",
        "route_scale",
        shared_expert=shared(c, n_shared * c.count("moe_intermediate_size")),
    )
    return frame(
        c,
        rms(c),
        norm_placement="sandwich",
        embedding_scale="sqrt_d_model" if c.flag("mup_enabled") else 1.0,
        attention=by_type(c, attention, types, rotary),
        ffn=mixed(sparse_from(c, n_dense), experts, dense(c)),
    )


def laguna(c: Config) -> Fields:
    width, usual = c.count("head_dim"), c.count("num_attention_heads")
    types = layer_types(c, every(1))
    listed = c.given(HEADS) and c.items(HEADS, above_zero, "a whole number above 0", c.layers())
    c.read.add(HEADS)
    n_heads = listed or [usual] * c.layers()
    rotary = rotary_by_type(c, width, types, {"rope_theta": FULL}, beside=("original_max_position_embeddings",))
    attention = {**heads(c, width), **_gate_of_laguna(c), "qk_norm": "per_head", **biased(c)}
    softcap = c.number("moe_router_logit_softcapping")
    experts = sigmoid_moe(
        c,
        "num_experts",
        "moe_routed_scaling_factor",
        router_softcap=softcap if softcap > 0 else None,
        shared_expert=shared(c, c.count("shared_expert_intermediate_size")),
    )
    sparse = listed_sparse(c)
    c.expect("mlp_only_layers", [layer for layer, on in enumerate(sparse) if not on], why="mlp_layer_types decides")
    return frame(
        c,
        rms(c),
        attention=axis(
            list(zip(n_heads, types, strict=True)),
            lambda of: {**attention, "n_heads": of[0], **rotary[of[1]], "window": window(c, of[1])},
        ),
        ffn=mixed(sparse, experts, dense(c)),
    )


def _gate_of_laguna(c: Config) -> Fields:
    value = c.value("gating")
    if value is not True and value not in ("per-head", "per-element"):
        c.fail("gating", f"{shown(value)} is not supported: must be true, per-head or per-element")
    of = "elementwise" if value == "per-element" else "per_head"
    repeated = "per_element" if of == "elementwise" else of
    c.expect("gating_types", [repeated] * c.layers(), why="gating, which alone transformers reads")
    return {"output_gate": of, "output_gate_activation": "softplus"}


def mimo_v2_flash(c: Config) -> Fields:
    if "routed_scaling_factor" in c.data and c.data["routed_scaling_factor"] is None:
        c.data = {**c.data, "routed_scaling_factor": 1.0}  # as transformers reads it
    width, n_heads, n_kv_heads = c.count("head_dim"), c.count("num_attention_heads"), c.count("num_key_value_heads")
    types = layer_types(c, lambda layer: FULL if layer == 0 else every(6)(layer))
    sparse = listed_sparse(c)
    rotary = rotary_by_type(c, width, types, {"rope_theta": FULL, "swa_rope_theta": SLIDING}, share=0.334)
    scale = c.optional(c.number, "attention_value_scale")
    attention = {
        **heads(c, width),
        "v_head_dim": c.count("v_head_dim"),
        "value_scale": 1.0 if scale is None else scale,
        "qkv_bias": c.flag("attention_bias"),
    }
    sliding = {"n_kv_heads": 2 * n_kv_heads, "sinks": True, "window": _window_of_mimo(c)}
    # What the authors' code reads, and transformers takes from other keys or for granted.
    repeated = {
        "layernorm_epsilon": c.number("rms_norm_eps"),
        "hybrid_layer_pattern": [int(kind == SLIDING) for kind in types],
        "moe_layer_freq": [int(each) for each in sparse],
        "swa_num_attention_heads": n_heads,
        "swa_num_key_value_heads": 2 * n_kv_heads,
        "swa_head_dim": width,
        "swa_v_head_dim": attention["v_head_dim"],
        "add_swa_attention_sink_bias": True,
        "add_full_attention_sink_bias": False,
        "n_shared_experts": 0,
    }
    for name, implied in repeated.items():
        c.expect(name, implied, why="as other keys say, which transformers reads")
    experts = {**grouped_sigmoid_moe(c), "shared_expert": None}
    return frame(
        c,
        rms(c),
        attention=axis(types, lambda kind: {**attention, **rotary[kind], **(sliding if kind == SLIDING else {})}),
        ffn=mixed(sparse, experts, dense(c)),
    )


def _window_of_mimo(c: Config) -> int:
    """The window, which `sliding_window_size` states without the query."""
    before = c.optional(c.count, "sliding_window_size")
    if before is None:
        return c.count("sliding_window")
    c.expect("sliding_window", before, before + 1, why="sliding_window_size without or with the query")
    c.expect("attention_chunk_size", before, why="sliding_window_size")
    return before + 1


def thetas(full: float, sliding: float, full_share: float, sliding_share: float) -> dict[str, Fields]:
    """The default rotary settings of a family with settings for each layer type."""
    return {
        kind: {"rope_type": "default", "rope_theta": theta, "partial_rotary_factor": share}
        for kind, theta, share in ((FULL, full, full_share), (SLIDING, sliding, sliding_share))
    }


EXPERTS: dict[str, Any] = {"layer_types": None, "mlp_layer_types": None, "attention_bias": False}

FAMILIES = (
    Family(
        "gpt_oss",
        gpt_oss,
        USUAL
        | {"rms_norm_eps": 1e-5, "rope_theta": 150_000.0, "head_dim": 64, "sliding_window": 128}
        | {"attention_bias": True, "layer_types": None, "swiglu_limit": 7.0}
        | {"num_experts_per_tok": 4, "num_local_experts": 128}
        | {
            "rope_parameters": {
                "rope_type": "yarn",
                "factor": 32.0,
                "beta_fast": 32.0,
                "beta_slow": 1.0,
                "truncate": False,
                "original_max_position_embeddings": 4096,
            }
        }
        | sizes(201_088, 2880, 2880, 36, 64, 8, 131_072),
        aliases={"num_experts": "num_local_experts"},
        without_effect=dict.fromkeys(("initial_context_length", "debug"), ANY),
    ),
    Family(
        "llama4_text",
        llama4,
        USUAL
        | {"rms_norm_eps": 1e-5, "rope_theta": 500_000.0, "head_dim": 128, "intermediate_size_mlp": 16_384}
        | {"num_experts_per_tok": 1, "num_local_experts": 16, "moe_layers": None, "interleave_moe_layer_step": 1}
        | {"use_qk_norm": True, "no_rope_layers": None, "no_rope_layer_interval": 4, "layer_types": None}
        | {"attention_chunk_size": 8192, "attn_temperature_tuning": True, "floor_scale": 8192, "attn_scale": 0.1}
        | {"attention_bias": False}
        | sizes(202_048, 5120, 8192, 48, 40, 8, 131_072),
        without_effect={"for_llm_compressor": ANY},
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
        | GROUPED
        | {"rms_norm_eps": 1e-5, "sliding_window": 4096, "sliding_window_pattern": 4, "layer_types": None}
        | {"mlp_layer_types": None, "first_k_dense_replace": 1, "moe_intermediate_size": 1024}
        | {"num_experts": 64, "num_shared_experts": 1, "routed_scaling_factor": 2.5}
        | sizes(102_400, 4096, 16_384, 32, 32, 32, 2048),
        without_effect=dict.fromkeys(("mtp_loss_scaling_factor", "mtp_share_layers"), ANY),
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
        "afmoe",
        afmoe,
        USUAL
        | {"head_dim": 128, "rms_norm_eps": 1e-5, "attention_bias": False, "mup_enabled": False}
        | {"moe_intermediate_size": 1408, "num_dense_layers": 1, "num_experts": 64, "num_experts_per_tok": 6}
        | {"num_shared_experts": 2, "route_scale": 1.0}
        | {"global_attn_every_n_layers": 4, "sliding_window": 1024, "layer_types": None}
        | sizes(200_192, 2048, 6144, 32, 16, None, 16_384),
        without_effect={
            **dict.fromkeys(("n_group", "topk_group", "num_expert_groups", "num_limited_groups"), (1,)),
            "load_balance_coeff": ANY,
            "route_norm": (True,),
            "score_func": ("sigmoid",),
        },
    ),
    Family(
        "laguna",
        laguna,
        USUAL
        | EXPERTS
        | {"head_dim": 128, "gating": True, HEADS: None, "sliding_window": 512}
        | {"moe_intermediate_size": 512, "shared_expert_intermediate_size": 512, "num_experts": 256}
        | {"num_experts_per_tok": 8, "moe_routed_scaling_factor": 1.0, "moe_router_logit_softcapping": 0.0}
        | {"rope_parameters": thetas(500_000.0, 10_000.0, 0.5, 1.0)}
        | sizes(100_352, 2048, 8192, 40, 48, 8, 131_072),
        without_effect={
            **dict.fromkeys(("moe_apply_router_weight_on_input", "use_bidirectional_attention"), (False,)),
            "norm_topk_prob": (True,),
            "decoder_sparse_step": (1,),
        },
    ),
    Family(
        "mimo_v2_flash",
        mimo_v2_flash,
        USUAL
        | EXPERTS
        | {"head_dim": 192, "v_head_dim": 128, "attention_value_scale": 0.707, "sliding_window": 129}
        | {"rms_norm_eps": 1e-5, "moe_intermediate_size": 2048, "num_experts_per_tok": 8, "n_routed_experts": 256}
        | {"routed_scaling_factor": 1.0, "n_group": 1, "topk_group": 1, "norm_topk_prob": True}
        | {"rope_parameters": thetas(5_000_000.0, 10_000.0, 0.334, 0.334)}
        | sizes(152_576, 4096, 16_384, 48, 64, 4, 131_072),
        aliases={"num_local_experts": "n_routed_experts"},
    ),
)
