"""Mixture-of-experts decoders."""

from __future__ import annotations

from typing import Any

from llmarch_cli.huggingface.importing.families.dense import MULTIPLIERS, QWEN, granite_attention, multipliers
from llmarch_cli.huggingface.importing.families.family import USUAL, Family, sizes
from llmarch_cli.huggingface.importing.families.windows import rotated_layers
from llmarch_cli.huggingface.importing.keys import ANY, Accepted, Config
from llmarch_cli.huggingface.importing.layers import Fields, axis
from llmarch_cli.huggingface.importing.pieces import (
    NOPE,
    biased,
    by_type,
    dense,
    dense_below,
    every,
    experts_if_any,
    frame,
    gqa,
    grouped_sigmoid_moe,
    head_dim,
    layer_types,
    mixed,
    moe,
    only_divided,
    rms,
    shared,
    switched_window,
    windowed,
    windows_above,
    windows_by_type,
    without_prediction_blocks,
)
from llmarch_cli.huggingface.importing.rope import FULL, SLIDING

CHUNKED = "chunked_attention"


def mixtral(c: Config) -> Fields:
    attention = gqa(c, window=c.optional(c.count, "sliding_window"))
    return frame(c, rms(c), attention=attention, ffn=moe(c, "num_local_experts", "intermediate_size"))


def sparse_layers(c: Config) -> list[bool]:
    """Which layers of Qwen have experts: every `decoder_sparse_step`-th, except `mlp_only_layers`."""
    step = c.count("decoder_sparse_step")
    plain = set(c.optional(c.whole_numbers, "mlp_only_layers") or ())
    return [layer not in plain and (layer + 1) % step == 0 for layer in range(c.layers())]


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
        shared_expert=shared(c, n_shared * c.count("moe_intermediate_size"), bias=bias),
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


GRANITE_EXPERTS: dict[str, Any] = (
    USUAL
    | MULTIPLIERS
    | {"attention_bias": False, "num_local_experts": 8, "num_experts_per_tok": 2}
    | sizes(32_000, 4096, 11_008, 32, 32, None, 2048)
)
MOE_QWEN: dict[str, Any] = {"decoder_sparse_step": 1, "mlp_only_layers": None, "norm_topk_prob": False}

# The lower bound of the divisor of routing weights, which is never that small.
NORM_MIN: dict[str, Accepted] = {"moe_norm_min": lambda value: isinstance(value, float) and 0 <= value <= 1e-6}

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
            "attn_type_list": lambda value: isinstance(value, list) and all(each == 1 for each in value),
            "qk_norm_type": ("per_layer",),
            "scoring_func": ("sigmoid",),
            "shared_intermediate_size": (0,),
            "shared_moe_mode": ANY,
        },
    ),
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
        without_effect={"initial_context_length": ANY},
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
)
