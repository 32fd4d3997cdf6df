"""Mixture-of-experts decoders with a gate on attention's output, or values of another width than keys."""

from __future__ import annotations

from typing import Any

from llmarch_cli.errors import shown
from llmarch_cli.huggingface.importing.families.family import USUAL, Family, sizes
from llmarch_cli.huggingface.importing.keys import ANY, Config, above_zero
from llmarch_cli.huggingface.importing.layers import Fields, axis
from llmarch_cli.huggingface.importing.pieces import (
    NOPE,
    biased,
    by_type,
    dense,
    every,
    frame,
    grouped_sigmoid_moe,
    heads,
    layer_types,
    listed_sparse,
    mixed,
    moe,
    rms,
    shared,
    sparse_from,
    window,
)
from llmarch_cli.huggingface.importing.rope import (
    FULL,
    SLIDING,
    rope,
    rotary_by_type,
)

HEADS = "num_attention_heads_per_layer"


def afmoe(c: Config) -> Fields:
    width = c.count("head_dim")
    attention = {**heads(c, width), "output_gate": "elementwise", "qk_norm": "per_head", **biased(c)}
    rotary = {SLIDING: rope(c, width), FULL: NOPE}
    types = layer_types(c, every(c.count("global_attn_every_n_layers")))
    n_shared, n_dense = c.count("num_shared_experts", least=0), c.count("num_dense_layers", least=0)
    experts = moe(
        c,
        "num_experts",
        "moe_intermediate_size",
        scoring="sigmoid",
        selection_bias=True,
        routed_scale=c.number("route_scale"),
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
    rotary = rotary_by_type(c, width, types, {"rope_theta": FULL})
    attention = {**heads(c, width), **_gate_of_laguna(c), "qk_norm": "per_head", **biased(c)}
    softcap = c.number("moe_router_logit_softcapping")
    experts = moe(
        c,
        "num_experts",
        "moe_intermediate_size",
        scoring="sigmoid",
        selection_bias=True,
        router_softcap=softcap if softcap > 0 else None,
        routed_scale=c.number("moe_routed_scaling_factor"),
        shared_expert=shared(c, c.count("shared_expert_intermediate_size")),
    )
    return frame(
        c,
        rms(c),
        attention=axis(
            list(zip(n_heads, types, strict=True)),
            lambda of: {**attention, "n_heads": of[0], **rotary[of[1]], "window": window(c, of[1])},
        ),
        ffn=mixed(listed_sparse(c), experts, dense(c)),
    )


def _gate_of_laguna(c: Config) -> Fields:
    value = c.value("gating")
    if value is not True and value not in ("per-head", "per-element"):
        c.fail("gating", f"{shown(value)} is not supported: must be true, per-head or per-element")
    of = "elementwise" if value == "per-element" else "per_head"
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
            **dict.fromkeys(("load_balance_coeff", "use_grouped_mm"), ANY),
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
        without_effect={"moe_apply_router_weight_on_input": (False,)},
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
