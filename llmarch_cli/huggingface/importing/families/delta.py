"""Decoders with the gated delta rule in most layers: Qwen3-Next, Qwen3.5, Kimi Linear and OLMo Hybrid."""

from __future__ import annotations

from typing import Any

from llmarch_cli.huggingface.importing.families.experts import sparse_layers
from llmarch_cli.huggingface.importing.families.family import USUAL, Family, sizes
from llmarch_cli.huggingface.importing.families.latent import LATENT, mla
from llmarch_cli.huggingface.importing.keys import ANY, Accepted, Config
from llmarch_cli.huggingface.importing.layers import Fields, axis
from llmarch_cli.huggingface.importing.pieces import (
    NOPE,
    biased,
    dense,
    every,
    frame,
    gqa,
    grouped_sigmoid_moe,
    head_dim,
    heads,
    layer_types,
    listed_sparse,
    mixed,
    moe,
    rms,
    shared,
    sparse_from,
    untied,
)
from llmarch_cli.huggingface.importing.rope import FULL, MROPE, SCALINGS, rope, unrotated

LINEAR = "linear_attention"

# --- Qwen -----------------------------------------------------------------------------------------------------------


def qwen3_next(c: Config) -> Fields:
    return frame(
        c, rms(c, unit_offset=True), attention=_qwen_attention(c), ffn=mixed(sparse_layers(c), _experts(c), dense(c))
    )


def qwen3_5(c: Config) -> Fields:
    return _qwen3_5(c, dense(c))


def qwen3_5_moe(c: Config) -> Fields:
    c.expect("norm_topk_prob", True)
    c.expect("mlp_only_layers", [], None)
    return _qwen3_5(c, _experts(c))


def _qwen3_5(c: Config, ffn: Fields) -> Fields:
    c.expect("mtp_use_dedicated_embeddings", False)
    return frame(
        c,
        rms(c, unit_offset=True),
        n_mtp_blocks=c.optional(c.count, "mtp_num_hidden_layers", least=0) or 0,
        attention=_qwen_attention(c),
        ffn=ffn,
    )


def _experts(c: Config) -> Fields:
    return moe(
        c,
        "num_experts",
        "moe_intermediate_size",
        renormalize=c.flag("norm_topk_prob") if "norm_topk_prob" in c.defaults else True,
        shared_expert=shared(c, c.count("shared_expert_intermediate_size")),
        shared_expert_gate=True,
    )


def _qwen_attention(c: Config) -> Fields:
    """The delta rule, with gated attention in every fourth layer."""
    scalings = MROPE if "norm_topk_prob" not in c.defaults else SCALINGS
    full = gqa(c, partial=True, scalings=scalings, qk_norm="per_head", output_gate="elementwise")
    c.expect("attention_bias", False, why="queries and their gates would share one bias")
    c.expect("attn_output_gate", True)
    n_k_heads, n_v_heads = (c.count(f"linear_num_{name}_heads") for name in ("key", "value"))
    step = c.count("full_attention_interval")
    types = layer_types(c, every(step, otherwise=LINEAR), (FULL, LINEAR))
    if LINEAR in types:
        c.expect("hidden_act", "silu", why="the activation behind the convolutions, which has no field")
    if LINEAR in types and n_v_heads % n_k_heads:
        c.fail("linear_num_value_heads", f"{n_v_heads} must be a multiple of linear_num_key_heads, {n_k_heads}")
    linear = {
        "kind": "gated_deltanet",
        "n_k_heads": n_k_heads,
        "n_v_heads": n_v_heads,
        "k_head_dim": c.count("linear_key_head_dim"),
        "v_head_dim": c.count("linear_value_head_dim"),
        "conv_kernel": c.count("linear_conv_kernel_dim", least=2),
    }
    return axis(types, lambda kind: linear if kind == LINEAR else full)


# --- Kimi Linear ----------------------------------------------------------------------------------------------------


def kimi_linear(c: Config) -> Fields:
    """Latent attention without positions; the numbers of layers count from 1."""
    c.expect("mla_use_nope", True, why="the class rotates nothing")
    untied(c)
    inside = c.inner("linear_attn_config", {"head_dim": None, "num_heads": None, "short_conv_kernel_size": None})
    linear = {
        "kind": "kda",
        "n_heads": inside.optional(inside.count, "num_heads") or c.count("linear_num_heads"),
        "head_dim": inside.optional(inside.count, "head_dim") or c.count("linear_head_dim"),
        "conv_kernel": inside.optional(inside.count, "short_conv_kernel_size", least=2)
        or c.count("linear_conv_kernel_dim", least=2),
    }
    types = _numbered_types(c, inside)
    inside.finish({})
    if LINEAR in types:
        c.expect("hidden_act", "silu", why="the activation behind the convolutions, which has no field")
    latent = {**mla(c, rope_interleaved=False, repeats_head_dim=False), **NOPE}
    c.expect("moe_router_activation_func", "sigmoid")
    c.expect("use_grouped_topk", True, why="the class always limits the choice to groups")
    sparse = listed_sparse(c, sparse_from(c, c.count("first_k_dense_replace", least=0)))
    c.expect("moe_layer_freq", 1)
    c.expect("num_nextn_predict_layers", 0, None)
    return frame(
        c,
        rms(c),
        attention=axis(types, lambda kind: linear if kind == LINEAR else latent),
        ffn=mixed(sparse, grouped_sigmoid_moe(c, "num_experts"), dense(c)),
    )


def _numbered_types(c: Config, inside: Config) -> list[str]:
    """The type of each layer: `layer_types`, else two lists of numbers from 1, else the class's own pattern."""
    n_layers = c.layers()
    names = ("full_attn_layers", "kda_layers")
    full, linear = (inside.optional(inside.whole_numbers, name) for name in names)
    if (full is None) != (linear is None):
        inside.fail("kda_layers", "and full_attn_layers need each other; give both or neither")
    if full is None or linear is None or c.given("layer_types"):
        # From the number 1 on the first of four layers attends; the layer 0 does not.
        types = layer_types(c, lambda layer: LINEAR if layer == 0 or layer % 4 else FULL, (FULL, LINEAR))
        if full is not None and [layer + 1 for layer, kind in enumerate(types) if kind == FULL] != sorted(full):
            inside.fail("full_attn_layers", "names other layers than layer_types, which transformers reads first")
        return types
    c.read.add("layer_types")
    if sorted([*full, *linear]) != list(range(1, n_layers + 1)):
        inside.fail("kda_layers", f"and full_attn_layers must name each layer from 1 to {n_layers} once")
    return [FULL if layer + 1 in full else LINEAR for layer in range(n_layers)]


# --- OLMo Hybrid ----------------------------------------------------------------------------------------------------


def olmo_hybrid(c: Config) -> Fields:
    """Norms before the sublayers of a layer with the delta rule, and behind those of a layer with attention."""
    n_layers, width = c.layers(), head_dim(c)
    rotary = NOPE if unrotated(c) else rope(c, width)
    full = {**heads(c, width), **rotary, "qk_norm": "full", **biased(c)}

    def usual(layer: int) -> str:
        return FULL if layer % 4 == 3 or (layer == n_layers - 1 and n_layers < 4) else LINEAR

    types = layer_types(c, usual, (FULL, LINEAR))
    if len(set(types)) < 2:
        c.fail("layer_types", f"must name {FULL} and {LINEAR}: the class builds no model of one of them alone")
    c.expect("hidden_act", "silu", why="the activation behind the convolutions, which has no field")
    return frame(
        c,
        rms(c),
        norm_placement={"gqa": "post", "gated_deltanet": "pre"},
        attention=axis(types, lambda kind: _olmo_delta(c) if kind == LINEAR else full),
        ffn=dense(c),
    )


def _olmo_delta(c: Config) -> Fields:
    n_heads = c.count("num_attention_heads")
    n_k_heads, n_v_heads = (c.optional(c.count, f"linear_num_{name}_heads") or n_heads for name in ("key", "value"))
    if n_v_heads % n_k_heads:
        c.fail("linear_num_value_heads", f"{n_v_heads} must be a multiple of the {n_k_heads} key heads")
    k_head_dim = c.optional(c.count, "linear_key_head_dim") or int(0.75 * c.count("hidden_size") / n_k_heads)
    if not k_head_dim:
        c.fail("linear_num_key_heads", f"{n_k_heads}, more than three quarters of hidden_size")
    return {
        "kind": "gated_deltanet",
        "n_k_heads": n_k_heads,
        "n_v_heads": n_v_heads,
        "k_head_dim": k_head_dim,
        "v_head_dim": c.optional(c.count, "linear_value_head_dim") or 2 * k_head_dim,
        "conv_kernel": c.count("linear_conv_kernel_dim", least=2),
        "negative_eigenvalues": c.flag("linear_allow_neg_eigval"),
        "norm_eps": 1e-5,  # fixed in the class
    }


# --- tables ---------------------------------------------------------------------------------------------------------

DELTA: dict[str, Any] = {
    "head_dim": 256,
    "linear_conv_kernel_dim": 4,
    "linear_key_head_dim": 128,
    "linear_value_head_dim": 128,
    "linear_num_key_heads": 16,
    "linear_num_value_heads": 32,
    "layer_types": None,
    "full_attention_interval": 4,
    "partial_rotary_factor": 0.25,
    "attention_bias": False,
}
IN_QWEN: dict[str, Accepted] = {
    "mamba_ssm_dtype": ANY,
    "attn_output_gate": (True,),
    # Of the norm behind the delta rule, which the class fixes; gates of attention are sigmoids whatever it says.
    "output_gate_type": ("swish", "silu"),
}

FAMILIES = (
    Family(
        "qwen3_next",
        qwen3_next,
        USUAL
        | DELTA
        | {"decoder_sparse_step": 1, "mlp_only_layers": None, "norm_topk_prob": True, "num_experts": 512}
        | {"num_experts_per_tok": 10, "moe_intermediate_size": 512, "shared_expert_intermediate_size": 512}
        | sizes(151_936, 2048, 5632, 48, 16, 2, 32_768),
        without_effect=IN_QWEN,
    ),
    Family(
        "qwen3_5_text",
        qwen3_5,
        USUAL | DELTA | sizes(248_320, 4096, 12_288, 32, 16, 4, 32_768),
        without_effect=IN_QWEN | {"mlp_only_layers": ([], None)},
    ),
    Family(
        "qwen3_5_moe_text",
        qwen3_5_moe,
        USUAL
        | DELTA
        | {"num_experts": 256, "num_experts_per_tok": 8, "moe_intermediate_size": 512}
        | {"shared_expert_intermediate_size": 512}
        | {
            key: value
            for key, value in sizes(248_320, 2048, 1, 40, 16, 2, 32_768).items()
            if key != "intermediate_size"
        },
        without_effect=IN_QWEN | {"intermediate_size": ANY},
    ),
    Family(
        "kimi_linear",
        kimi_linear,
        USUAL
        | LATENT
        | {"q_lora_rank": None, "rms_norm_eps": 1e-5, "num_experts": 256, "num_experts_per_tok": 8}
        | {"n_shared_experts": 1, "norm_topk_prob": True, "n_group": 1, "topk_group": 1}
        | {"moe_intermediate_size": 1024, "routed_scaling_factor": 2.446, "first_k_dense_replace": 1}
        | {"linear_num_heads": 32, "linear_head_dim": 128, "linear_conv_kernel_dim": 4, "layer_types": None}
        | {"mlp_layer_types": None}
        | sizes(163_840, 2304, 9216, 27, 32, 32, 1_048_576),
        aliases={
            "num_expert_group": "n_group",
            "moe_renormalize": "norm_topk_prob",
            "num_experts_per_token": "num_experts_per_tok",
            "num_shared_experts": "n_shared_experts",
            "num_local_experts": "num_experts",
            "model_max_length": "max_position_embeddings",
        },
        without_effect={"head_dim": ANY},
    ),
    Family(
        "olmo_hybrid",
        olmo_hybrid,
        USUAL
        | {"attention_bias": False, "layer_types": None, "linear_conv_kernel_dim": 4, "linear_allow_neg_eigval": True}
        | dict.fromkeys(("linear_num_key_heads", "linear_num_value_heads"))
        | dict.fromkeys(("linear_key_head_dim", "linear_value_head_dim"))
        | sizes(100_352, 3840, 11_008, 32, 30, None, 65_536),
        without_effect=dict.fromkeys(
            ("linear_a_log_min", "linear_a_log_max", "linear_dt_min", "linear_dt_max", "linear_dt_init_floor"), ANY
        ),
    ),
)
