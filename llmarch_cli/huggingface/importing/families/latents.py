"""Further decoders with multi-head latent attention."""

from __future__ import annotations

from typing import Any

from llmarch_cli.huggingface.importing.families.family import USUAL, Family, sizes
from llmarch_cli.huggingface.importing.families.latent import LATENT, mla
from llmarch_cli.huggingface.importing.keys import ANY, Config
from llmarch_cli.huggingface.importing.layers import Fields
from llmarch_cli.huggingface.importing.pieces import (
    dense,
    divided_width,
    frame,
    grouped_sigmoid_moe,
    listed_sparse,
    mixed,
    rms,
)


def axk1(c: Config) -> Fields:
    n_dense, step = c.count("first_k_dense_replace", least=0), c.count("moe_layer_freq")
    sparse = listed_sparse(c, [layer >= n_dense and layer % step == 0 for layer in range(c.layers())])
    c.count("q_lora_rank")  # always compressed
    attention = mla(c, rope_interleaved=c.flag("rope_interleave"))
    experts = grouped_sigmoid_moe(c, output_norm=True)
    return frame(c, rms(c), attention=attention, ffn=mixed(sparse, experts, dense(c)))


def glm4_moe_lite(c: Config) -> Fields:
    sparse = listed_sparse(c)
    if not c.given("mlp_layer_types"):
        c.expect("first_k_dense_replace", 1, why="transformers reads mlp_layer_types only")
    return frame(
        c,
        rms(c),
        n_mtp_blocks=c.count("num_nextn_predict_layers", least=0),
        attention=mla(c, rope_interleaved=c.flag("rope_interleave")),
        ffn=mixed(sparse, grouped_sigmoid_moe(c), dense(c)),
    )


def youtu(c: Config) -> Fields:
    return frame(c, rms(c), attention=mla(c, rope_interleaved=c.flag("rope_interleave")), ffn=dense(c))


def minicpm3(c: Config) -> Fields:
    n_layers, d_model = c.layers(), c.count("hidden_size")
    depth, base = c.optional(c.number, "scale_depth"), c.optional(c.count, "dim_model_base")
    attention = mla(c, rope_interleaved=False, v_head_dim=c.optional(c.count, "v_head_dim") or divided_width(c))
    return frame(
        c,
        rms(c),
        embedding_scale=c.number("scale_emb"),
        residual_scale=1.0 if depth is None else depth / n_layers**0.5,
        logit_scale=1.0 if base is None else base / d_model,
        attention=attention,
        ffn=dense(c, bias=c.flag("mlp_bias")),
    )


ROUTED: dict[str, Any] = {"rope_interleave": True, "mlp_layer_types": None, "norm_topk_prob": True}

FAMILIES = (
    Family(
        "axk1",
        axk1,
        USUAL
        | LATENT
        | ROUTED
        | {"moe_intermediate_size": 2048, "n_shared_experts": 1, "n_routed_experts": 192, "num_experts_per_tok": 8}
        | {"routed_scaling_factor": 2.5, "n_group": 8, "topk_group": 4}
        | {"first_k_dense_replace": 1, "moe_layer_freq": 1}
        | sizes(163_840, 7168, 18_432, 61, 64, 64, 32_768),
        aliases={"num_local_experts": "n_routed_experts"},
    ),
    Family(
        "glm4_moe_lite",
        glm4_moe_lite,
        USUAL
        | LATENT
        | ROUTED
        | {"q_lora_rank": 768, "qk_nope_head_dim": 192, "v_head_dim": 256, "rms_norm_eps": 1e-5}
        | {"moe_intermediate_size": 1536, "n_shared_experts": 1, "n_routed_experts": 64, "num_experts_per_tok": 4}
        | {"routed_scaling_factor": 1.8, "n_group": 1, "topk_group": 1, "num_nextn_predict_layers": 0}
        | sizes(154_880, 2048, 10_240, 47, 20, 20, 202_752),
        aliases={"num_local_experts": "n_routed_experts"},
    ),
    Family(
        "youtu",
        youtu,
        USUAL
        | LATENT
        | {"rope_interleave": True, "tie_word_embeddings": True}
        | sizes(128_256, 2048, 6144, 32, 16, 16, 131_072),
        without_effect={"embedding_initializer_range": ANY},
    ),
    Family(
        "minicpm3",
        minicpm3,
        USUAL
        | LATENT
        | {"kv_lora_rank": 256, "q_lora_rank": 768, "qk_nope_head_dim": 64, "qk_rope_head_dim": 32, "v_head_dim": None}
        | {"mlp_bias": False, "rms_norm_eps": 1e-5, "tie_word_embeddings": True}
        | {"scale_emb": 12, "scale_depth": 1.4, "dim_model_base": 256}
        | sizes(73_448, 2560, 6400, 62, 40, 40, 32_768),
    ),
)
