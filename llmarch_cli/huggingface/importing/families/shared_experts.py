"""Mixture-of-experts decoders with a shared expert, which every token uses."""

from __future__ import annotations

from typing import Any

from llmarch_cli.huggingface.importing.families.dense import QWEN, granite_attention
from llmarch_cli.huggingface.importing.families.experts import GRANITE_EXPERTS, MOE_QWEN, granite_experts, sparse_layers
from llmarch_cli.huggingface.importing.families.family import BIASES, USUAL, Family, sizes
from llmarch_cli.huggingface.importing.keys import ANY, Accepted, Config
from llmarch_cli.huggingface.importing.layers import Fields
from llmarch_cli.huggingface.importing.pieces import (
    biased,
    dense,
    dense_below,
    experts_if_any,
    frame,
    gqa,
    grouped_sigmoid_moe,
    layer_types,
    listed_sparse,
    mixed,
    moe,
    rms,
    shared,
    sigmoid_moe,
    switched_window,
    windowed,
    windows_above,
    windows_by_type,
    without_prediction_blocks,
)
from llmarch_cli.huggingface.importing.rope import FULL, SLIDING


def qwen2_moe(c: Config) -> Fields:
    attention = gqa(c, qkv_bias=c.flag("qkv_bias"))
    span = switched_window(c)
    below = c.count("max_window_layers", least=0)
    types = layer_types(c, lambda layer: SLIDING if span and layer % 2 == 0 and layer < below else FULL)
    experts = moe(
        c,
        "num_experts",
        "moe_intermediate_size",
        renormalize=c.flag("norm_topk_prob"),
        shared_expert=shared(c, c.count("shared_expert_intermediate_size")),
        shared_expert_gate=True,
    )
    return frame(
        c,
        rms(c),
        attention=windowed(attention, windows_by_type(c, span, types)),
        ffn=mixed(sparse_layers(c), experts, dense(c)),
    )


def ernie4_5_moe(c: Config) -> Fields:
    n_layers = c.layers()
    bias = c.flag("use_bias")
    step = c.count("moe_layer_interval")
    first = c.count("moe_layer_start_index", least=0)
    last = c.optional(c.count, "moe_layer_end_index", least=-1)
    n_shared = c.count("moe_num_shared_experts", least=0)
    without_prediction_blocks(c, "num_nextn_predict_layers")
    experts = moe(
        c,
        "moe_num_experts",
        "moe_intermediate_size",
        "moe_k",
        selection_bias=True,
        shared_expert=shared(c, n_shared * c.count("moe_intermediate_size"), bias=bias and n_shared > 0),
    )
    last = n_layers - 1 if last in (None, -1) else last
    sparse = [(layer + 1) % step == 0 and first <= layer <= last for layer in range(n_layers)]
    return frame(
        c,
        rms(c),
        head_bias=bias,
        attention=gqa(c, rope_interleaved=True, **biased(c, "use_bias")),
        ffn=mixed(sparse, experts, dense(c, bias=bias)),
    )


def dots1(c: Config) -> Fields:
    attention = gqa(c, qk_norm="per_head", **biased(c))
    windows = windows_above(c, c.optional(c.count, "sliding_window"))
    sparse = dense_below(c)
    return frame(
        c,
        rms(c),
        attention=windowed(attention, windows),
        ffn=mixed(sparse, experts_if_any(c, sparse, grouped_sigmoid_moe), dense(c)),
    )


def glm4_moe(c: Config) -> Fields:
    qk_norm = "per_head" if c.flag("use_qk_norm") else None
    return frame(
        c,
        rms(c),
        n_mtp_blocks=c.count("num_mtp_layers", least=0),
        attention=gqa(c, partial=True, qkv_bias=c.flag("attention_bias"), qk_norm=qk_norm),
        ffn=mixed(dense_below(c), grouped_sigmoid_moe(c), dense(c)),
    )


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


def granitemoeshared(c: Config) -> Fields:
    return granite_experts(c, granite_attention(c), c.count("shared_intermediate_size", least=0))


def hy_v3(c: Config) -> Fields:
    bias = c.flag("mlp_bias")
    sparse = listed_sparse(c)
    if not c.given("mlp_layer_types"):
        c.expect("first_k_dense_replace", 1, why="transformers reads mlp_layer_types only")
    c.expect("expert_hidden_dim", c.count("moe_intermediate_size"), why="equal to moe_intermediate_size")
    experts = sigmoid_moe(
        c,
        "num_experts",
        "router_scaling_factor",
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


# The lower bound of the divisor of routing weights, which is never that small.
NORM_MIN: dict[str, Accepted] = {"moe_norm_min": lambda value: isinstance(value, float) and 0 <= value <= 1e-6}

GROUPED: dict[str, Any] = {"n_group": 1, "topk_group": 1, "norm_topk_prob": True, "num_experts_per_tok": 8}

FAMILIES = (
    Family(
        "qwen2_moe",
        qwen2_moe,
        USUAL
        | QWEN
        | MOE_QWEN
        | {"moe_intermediate_size": 1408, "shared_expert_intermediate_size": 5632, "qkv_bias": True}
        | {"num_experts_per_tok": 4, "num_experts": 60}
        | sizes(151_936, 2048, 5632, 24, 16, 16, 32_768),
        without_effect={"use_mrope": (False,)},
    ),
    Family("granitemoeshared", granitemoeshared, GRANITE_EXPERTS | {"shared_intermediate_size": 0}),
    Family(
        "ernie4_5_moe",
        ernie4_5_moe,
        USUAL
        | {"rms_norm_eps": 1e-5, "rope_theta": 500_000.0, "tie_word_embeddings": True, "use_bias": False}
        | {"moe_intermediate_size": 1536, "moe_k": 6, "moe_num_experts": 64, "moe_num_shared_experts": 2}
        | {"moe_layer_start_index": 1, "moe_layer_end_index": -1, "moe_layer_interval": 1}
        | sizes(103_424, 2560, 12_288, 28, 20, 4, 131_072),
        aliases={"num_experts": "moe_num_experts", "num_experts_per_tok": "moe_k"},
        without_effect={
            **dict.fromkeys(("moe_capacity", "multi_token_pred_lambda", "sinkhorn_2gate", "sinkhorn_temp"), ANY),
            **dict.fromkeys(("use_recompute", "ignored_index"), ANY),
            "compression_ratio": (1.0,),
            "moe_gate": ("topk",),
            "moe_gate_act": (None, "softmax"),
            **NORM_MIN,
            "moe_use_aux_free": (True,),
            "use_rmsnorm": (True,),
            "weight_share_add_bias": ANY,
        },
    ),
    Family(
        "dots1",
        dots1,
        USUAL
        | {"moe_intermediate_size": 1408, "n_shared_experts": None, "n_routed_experts": None, "n_group": 1}
        | {"topk_group": 1, "num_experts_per_tok": None, "first_k_dense_replace": 0, "norm_topk_prob": False}
        | {"attention_bias": False, "routed_scaling_factor": 1.0, "sliding_window": 4096, "max_window_layers": 62}
        | {"layer_types": None}
        | sizes(152_064, 4608, 10_944, 62, 32, 32, 2048),
        aliases={"num_local_experts": "n_routed_experts"},
    ),
    Family(
        "glm4_moe",
        glm4_moe,
        USUAL
        | {"rms_norm_eps": 1e-5, "attention_bias": False, "use_qk_norm": False, "partial_rotary_factor": 0.5}
        | {"moe_intermediate_size": 1408, "num_experts_per_tok": 8, "n_shared_experts": 1}
        | {"n_routed_experts": 128, "routed_scaling_factor": 1.0, "n_group": 1, "topk_group": 1}
        | {"first_k_dense_replace": 1, "norm_topk_prob": True, "num_mtp_layers": 1}
        | sizes(151_552, 4096, 10_944, 46, 96, 8, 131_072),
        aliases={"num_local_experts": "n_routed_experts", "num_nextn_predict_layers": "num_mtp_layers"},
    ),
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
        | GROUPED
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
)
