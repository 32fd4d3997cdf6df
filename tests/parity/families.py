"""Families that transformers has: tiny configs of random shapes, and what a spec of ours says of such a config.

To add a family: a function from its config to our spec's fields, and a `Family` with the settings worth telling apart.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import Random
from typing import Any

Fields = dict[str, Any]
Config = Any  # a transformers config: what it holds differs by family

EPS = 2e-3  # far from every default, so that a forgotten epsilon shows
THETA = 30.0  # few tokens turn through many angles
YARN: Fields = {"rope_type": "yarn", "factor": 8.0, "original_max_position_embeddings": 64, "beta_fast": 4.0}
LLAMA3: Fields = {
    "rope_type": "llama3",
    "factor": 4.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 3.0,
    "original_max_position_embeddings": 16,
}
LINEAR: Fields = {"rope_type": "linear", "factor": 2.5}


@dataclass(frozen=True)
class Family:
    """How configs of one family are drawn, and what our spec says of them.

    model_type: as transformers registers it.
    spec: the spec's fields that a config amounts to.
    shape: random widths and counts, as config fields.
    variants: config fields laid over a random shape, one case each.
    """

    model_type: str
    spec: Callable[[Config], Fields]
    shape: Callable[[Random], Fields]
    variants: tuple[Fields, ...]


# --- from a config to our spec --------------------------------------------------------------------------------------


def rope(parameters: Mapping[str, Any]) -> Fields:
    """Rotary fields from a config's `rope_parameters`."""
    match parameters["rope_type"]:
        case "default":
            scaling = None
        case "linear":
            scaling = {"kind": "linear", "factor": parameters["factor"]}
        case "llama3":
            scaling = {
                "kind": "ntk_by_parts",
                "factor": parameters["factor"],
                "low_freq_factor": parameters["low_freq_factor"],
                "high_freq_factor": parameters["high_freq_factor"],
                "original_context_length": parameters["original_max_position_embeddings"],
            }
        case "yarn":
            same = ("factor", "beta_fast", "beta_slow", "mscale", "mscale_all_dim", "attention_factor", "truncate")
            scaling = {
                "kind": "yarn",
                "original_context_length": parameters["original_max_position_embeddings"],
                **{name: parameters[name] for name in same if parameters.get(name) is not None},
            }
        case other:
            raise NotImplementedError(other)
    return {"rope_theta": parameters["rope_theta"], "rope_scaling": scaling}


def laid(components: list[Fields]) -> Fields:
    """One component for each layer, as an axis of a spec: a component where they are all the same, else a layout."""
    distinct = [component for i, component in enumerate(components) if component not in components[:i]]
    if len(distinct) == 1:
        return distinct[0]
    return {
        "first": [f"v{distinct.index(component)}" for component in components],
        "variants": {f"v{i}": component for i, component in enumerate(distinct)},
    }


def frame(c: Config, **norm: Any) -> Fields:
    """What is around the layers."""
    return {
        "name": c.model_type,
        "d_model": c.hidden_size,
        "n_layers": c.num_hidden_layers,
        "vocab_size": c.vocab_size,
        "tie_embeddings": c.tie_word_embeddings,
        "norm": {"eps": c.rms_norm_eps, **norm},
    }


def gqa(c: Config, **fields: Any) -> Fields:
    """Grouped-query attention with the config's one rotary setting."""
    return {
        "kind": "gqa",
        "n_heads": c.num_attention_heads,
        "n_kv_heads": c.num_key_value_heads,
        "head_dim": getattr(c, "head_dim", None) or c.hidden_size // c.num_attention_heads,
        **rope(c.rope_parameters),
        **fields,
    }


def biased(c: Config) -> Fields:
    return {"qkv_bias": c.attention_bias, "o_bias": c.attention_bias}


def dense(c: Config, **fields: Any) -> Fields:
    return {"kind": "dense", "d_ff": c.intermediate_size, **fields}


def gpt2(c: Config) -> Fields:
    attention = {"kind": "gqa", "n_heads": c.n_head, "n_kv_heads": c.n_head, "head_dim": c.n_embd // c.n_head}
    return {
        "name": c.model_type,
        "d_model": c.n_embd,
        "n_layers": c.n_layer,
        "vocab_size": c.vocab_size,
        "tie_embeddings": c.tie_word_embeddings,
        "learned_positions": c.n_positions,
        "norm": {"kind": "layer", "eps": c.layer_norm_epsilon, "bias": True},
        "attention": {**attention, "qkv_bias": True, "o_bias": True},
        "ffn": {
            "kind": "dense",
            "d_ff": c.n_inner or 4 * c.n_embd,
            "activation": {"gelu_new": "gelu_tanh", "gelu": "gelu", "relu": "relu"}[c.activation_function],
            "gated": False,
            "bias": True,
        },
    }


def llama(c: Config) -> Fields:
    return {**frame(c), "attention": gqa(c, **biased(c)), "ffn": dense(c, bias=c.mlp_bias)}


def mistral(c: Config) -> Fields:
    return {**frame(c), "attention": gqa(c, window=c.sliding_window), "ffn": dense(c)}


def mixtral(c: Config) -> Fields:
    moe = {"kind": "moe", "n_experts": c.num_local_experts, "top_k": c.num_experts_per_tok, "d_ff": c.intermediate_size}
    return {**frame(c), "attention": gqa(c, window=c.sliding_window), "ffn": moe}


def mla(c: Config, **fields: Any) -> Fields:
    widths = ("q_lora_rank", "kv_lora_rank", "qk_nope_head_dim", "qk_rope_head_dim", "v_head_dim")
    return {
        "kind": "mla",
        "n_heads": c.num_attention_heads,
        **{name: getattr(c, name) for name in widths},
        "bias": c.attention_bias,
        **rope(c.rope_parameters),
        **fields,
    }


def deepseek_moe(c: Config, **fields: Any) -> Fields:
    """Routed and shared experts of DeepSeek's shape, which other families took over."""
    return {
        "kind": "moe",
        "n_experts": c.n_routed_experts,
        "top_k": c.num_experts_per_tok,
        "d_ff": c.moe_intermediate_size,
        "routed_scale": c.routed_scaling_factor,
        "shared_expert": {"kind": "dense", "d_ff": c.n_shared_experts * c.moe_intermediate_size},
        **fields,
    }


def dense_then_moe(c: Config, dense_layer: Fields, moe_layer: Fields) -> Fields:
    n_dense = min(c.first_k_dense_replace, c.num_hidden_layers)
    return laid([dense_layer] * n_dense + [moe_layer] * (c.num_hidden_layers - n_dense))


def deepseek_v2(c: Config) -> Fields:
    limited = c.topk_method == "group_limited_greedy"
    groups = {"n_groups": c.n_group, "top_k_groups": c.topk_group, "group_score": "max"} if limited else {}
    moe = deepseek_moe(c, renormalize=False, **groups)
    moe["shared_expert"]["bias"] = c.mlp_bias
    return {
        **frame(c),
        "attention": mla(c, rope_interleaved=True),
        "ffn": dense_then_moe(c, dense(c, bias=c.mlp_bias), moe),
    }


def sigmoid_moe(c: Config) -> Fields:
    groups = {"n_groups": c.n_group, "top_k_groups": c.topk_group} if c.n_group > 1 else {}  # one group limits nothing
    return deepseek_moe(c, scoring="sigmoid", selection_bias=True, renormalize=c.norm_topk_prob, **groups)


def deepseek_v3(c: Config) -> Fields:
    return {
        **frame(c),
        "attention": mla(c, rope_interleaved=c.rope_interleave),
        "ffn": dense_then_moe(c, dense(c), sigmoid_moe(c)),
    }


def glm4_moe(c: Config) -> Fields:
    attention = gqa(c, qkv_bias=c.attention_bias, qk_norm="per_head" if c.use_qk_norm else None)
    attention["rotary_dim"] = int(attention["head_dim"] * c.rope_parameters["partial_rotary_factor"])
    return {**frame(c), "attention": attention, "ffn": dense_then_moe(c, dense(c), sigmoid_moe(c))}


def olmo2(c: Config) -> Fields:
    attention = gqa(c, qk_norm="full", **biased(c))
    return {**frame(c), "norm_placement": "post", "attention": attention, "ffn": dense(c)}


def gemma3_text(c: Config) -> Fields:
    def attention(layer_type: str) -> Fields:
        return {
            "kind": "gqa",
            "n_heads": c.num_attention_heads,
            "n_kv_heads": c.num_key_value_heads,
            "head_dim": c.head_dim,
            "window": c.sliding_window if layer_type == "sliding_attention" else None,
            "qk_norm": "per_head",
            "score_scale": c.query_pre_attn_scalar**-0.5,
            **rope(c.rope_parameters[layer_type]),
            **biased(c),
        }

    return {
        **frame(c, unit_offset=True),
        "norm_placement": "sandwich",
        "embedding_scale": "sqrt_d_model",
        "logit_softcap": c.final_logit_softcapping,
        "attention": laid([attention(layer_type) for layer_type in c.layer_types]),
        "ffn": dense(c, activation="gelu_tanh"),
    }


def llama4_text(c: Config) -> Fields:
    def attention(rotary: int) -> Fields:
        if rotary:
            norm = "weightless" if c.use_qk_norm else None
            return gqa(c, chunk=c.attention_chunk_size, rope_interleaved=True, qk_norm=norm, **biased(c))
        temperature = {"kind": "log_floor", "floor_scale": float(c.floor_scale), "attn_scale": c.attn_scale}
        nope = {"rope_theta": None, "rope_scaling": None}
        return gqa(c, temperature=temperature if c.attn_temperature_tuning else None, **nope, **biased(c))

    moe = {
        "kind": "moe",
        "n_experts": c.num_local_experts,
        "top_k": c.num_experts_per_tok,
        "d_ff": c.intermediate_size,
        "scoring": "sigmoid",
        "renormalize": False,
        "scale_input": True,
        "shared_expert": {"kind": "dense", "d_ff": c.intermediate_size},
    }
    plain = {"kind": "dense", "d_ff": c.intermediate_size_mlp}
    return {
        **frame(c),
        "attention": laid([attention(rotary) for rotary in c.no_rope_layers]),
        "ffn": laid([moe if layer in c.moe_layers else plain for layer in range(c.num_hidden_layers)]),
    }


def qwen3(c: Config) -> Fields:
    def attention(layer_type: str) -> Fields:
        window = c.sliding_window if layer_type == "sliding_attention" else None
        return gqa(c, qk_norm="per_head", window=window, **biased(c))

    return {**frame(c), "attention": laid([attention(layer_type) for layer_type in c.layer_types]), "ffn": dense(c)}


def qwen3_moe(c: Config) -> Fields:
    moe = {
        "kind": "moe",
        "n_experts": c.num_experts,
        "top_k": c.num_experts_per_tok,
        "d_ff": c.moe_intermediate_size,
        "renormalize": c.norm_topk_prob,
    }

    def is_sparse(layer: int) -> bool:
        return layer not in c.mlp_only_layers and (layer + 1) % c.decoder_sparse_step == 0

    return {
        **frame(c),
        "attention": gqa(c, qk_norm="per_head", window=c.sliding_window, **biased(c)),
        "ffn": laid([moe if is_sparse(layer) else dense(c) for layer in range(c.num_hidden_layers)]),
    }


def smollm3(c: Config) -> Fields:
    def attention(rotary: int, layer_type: str) -> Fields:
        nope = {} if rotary else {"rope_theta": None, "rope_scaling": None}
        return gqa(c, window=c.sliding_window if layer_type == "sliding_attention" else None, **biased(c), **nope)

    layers = zip(c.no_rope_layers, c.layer_types, strict=True)
    return {**frame(c), "attention": laid([attention(*layer) for layer in layers]), "ffn": dense(c, bias=c.mlp_bias)}


def gpt_oss(c: Config) -> Fields:
    def attention(layer_type: str) -> Fields:
        return gqa(c, sinks=True, window=c.sliding_window if layer_type == "sliding_attention" else None, **biased(c))

    moe = {
        "kind": "moe",
        "n_experts": c.num_local_experts,
        "top_k": c.num_experts_per_tok,
        "d_ff": c.intermediate_size,
        "activation": "quick_gelu",
        "clamp": c.swiglu_limit,
        "up_offset": 1.0,
        "bias": True,
        "router_bias": True,
    }
    return {**frame(c), "attention": laid([attention(layer_type) for layer_type in c.layer_types]), "ffn": moe}


# --- random shapes --------------------------------------------------------------------------------------------------


def decoder(rng: Random) -> Fields:
    """Widths and counts of a plain decoder: odd where they may be, heads shared or not, one head at times."""
    n_kv_heads, group = rng.choice((1, 1, 2, 3)), rng.choice((1, 2, 3))
    n_heads = n_kv_heads * group
    return {
        "vocab_size": rng.randrange(41, 90),
        "hidden_size": n_heads * rng.randrange(-(-13 // n_heads), 20),
        "intermediate_size": rng.randrange(11, 40),
        "num_hidden_layers": rng.choice((2, 3)),
        "num_attention_heads": n_heads,
        "num_key_value_heads": n_kv_heads,
        "head_dim": 2 * rng.randrange(2, 7),
        "max_position_embeddings": 512,
        "rms_norm_eps": EPS,
        "rope_parameters": {"rope_type": "default", "rope_theta": THETA},
        "tie_word_embeddings": False,
        # Nothing is padded: a padding row would be left out of the embedding.
        "pad_token_id": None,
        "bos_token_id": None,
        "eos_token_id": None,
    }


def without_head_dim(rng: Random) -> Fields:
    """For families whose heads share the hidden width out."""
    fields = decoder(rng)
    del fields["head_dim"]
    n_heads = fields["num_attention_heads"]
    return {**fields, "hidden_size": n_heads * 2 * rng.randrange(max(2, -(-7 // n_heads)), 9)}


def positions_learned(rng: Random) -> Fields:
    n_heads = rng.choice((1, 2, 3))
    return {
        "vocab_size": rng.randrange(41, 90),
        "n_embd": n_heads * rng.randrange(11, 15),
        "n_layer": rng.choice((2, 3)),
        "n_head": n_heads,
        "n_inner": rng.randrange(11, 40),
        "n_positions": 32,
        "layer_norm_epsilon": EPS,
        "bos_token_id": None,
        "eos_token_id": None,
    }


def experts(rng: Random) -> Fields:
    return {"num_local_experts": rng.choice((4, 5, 6)), "num_experts_per_tok": rng.choice((1, 2, 3))}


def latent(rng: Random) -> Fields:
    """A decoder of latent attention and grouped experts."""
    fields = decoder(rng)
    del fields["head_dim"]
    return {
        **fields,
        "num_key_value_heads": fields["num_attention_heads"],
        "q_lora_rank": rng.randrange(5, 12),
        "kv_lora_rank": rng.randrange(5, 12),
        "qk_nope_head_dim": rng.randrange(3, 9),
        "qk_rope_head_dim": 2 * rng.randrange(1, 5),
        "v_head_dim": rng.randrange(3, 9),
        "moe_intermediate_size": rng.randrange(5, 14),
        "n_routed_experts": 8,
        "n_shared_experts": rng.choice((1, 2)),
        "num_experts_per_tok": rng.choice((2, 3)),
        "n_group": 4,
        "topk_group": 2,
        "routed_scaling_factor": 1.7,
        "first_k_dense_replace": 1,
    }


def of_aligned_widths(**fields: Any) -> Fields:
    """Widths that torch's grouped product takes in float32: rows of whole 16 bytes."""
    return {"hidden_size": 24, "num_attention_heads": 2, "num_key_value_heads": 1, "intermediate_size": 12, **fields}


def two_axes(rng: Random) -> Fields:
    return {**decoder(rng), **experts(rng)}


def rotary(scaling: Fields, **fields: Any) -> Fields:
    return {"rope_parameters": {"rope_theta": THETA, **scaling, **fields}}


def layer_types(*windowed: bool) -> list[str]:
    return ["sliding_attention" if each else "full_attention" for each in windowed]


ONE_HEAD: Fields = {"num_attention_heads": 1, "num_key_value_heads": 1, "hidden_size": 13}
TIED: Fields = {"tie_word_embeddings": True}
BIASED: Fields = {"attention_bias": True}

FAMILIES = {
    family.model_type: family
    for family in (
        Family(
            "gpt2",
            gpt2,
            positions_learned,
            (
                {"tie_word_embeddings": True},
                {"tie_word_embeddings": False, "activation_function": "gelu", "n_inner": None},
                {"n_head": 1, "n_embd": 17, "activation_function": "relu"},
            ),
        ),
        Family(
            "llama",
            llama,
            decoder,
            (
                {},
                {**BIASED, "mlp_bias": True, **TIED},
                rotary(LINEAR),
                rotary(LLAMA3),
                {**rotary(YARN), **ONE_HEAD},
                rotary(YARN, truncate=False, attention_factor=0.7, beta_slow=0.5),
            ),
        ),
        Family(
            "mistral",
            mistral,
            decoder,
            ({"sliding_window": None}, {"sliding_window": 5}, {"sliding_window": 1, **TIED}, {"sliding_window": 100}),
        ),
        Family(
            "mixtral",
            mixtral,
            lambda rng: {**without_head_dim(rng), **experts(rng)},
            (
                {},
                of_aligned_widths(num_experts_per_tok=2),
                {"sliding_window": 4, "num_experts_per_tok": 1},
                {"num_local_experts": 4, "num_experts_per_tok": 4, **TIED},
            ),
        ),
        Family(
            "deepseek_v2",
            deepseek_v2,
            # Their rotation reads pairs as complex numbers, and torch wants even strides for that.
            lambda rng: {**latent(rng), "kv_lora_rank": 2 * rng.randrange(3, 6), "qk_nope_head_dim": 6},
            (
                {"topk_method": "greedy", "q_lora_rank": None},
                {"topk_method": "group_limited_greedy", **BIASED, "mlp_bias": True},
                {
                    "topk_method": "group_limited_greedy",
                    "num_experts_per_tok": 4,
                    **rotary(YARN, mscale=0.707, mscale_all_dim=0.6),
                },
                of_aligned_widths(num_key_value_heads=2, moe_intermediate_size=8, first_k_dense_replace=0),
            ),
        ),
        Family(
            "deepseek_v3",
            deepseek_v3,
            latent,
            (
                {},
                {"rope_interleave": False, "q_lora_rank": None, "norm_topk_prob": False},
                {**rotary(YARN, mscale=1.0, mscale_all_dim=1.0), **BIASED, **TIED},
                rotary(YARN, mscale=0.9, mscale_all_dim=0.5),
                {"n_group": 1, "topk_group": 1, "num_experts_per_tok": 8},
                of_aligned_widths(num_key_value_heads=2, moe_intermediate_size=8, n_group=2, topk_group=1),
                {**ONE_HEAD, "first_k_dense_replace": 0},
            ),
        ),
        Family(
            "olmo2",
            olmo2,
            without_head_dim,
            ({}, {**BIASED, **TIED}, rotary(YARN), {**ONE_HEAD, "hidden_size": 14}),
        ),
        Family(
            "gemma3_text",
            gemma3_text,
            lambda rng: {
                **decoder(rng),
                "num_hidden_layers": 4,
                "sliding_window": 5,
                "layer_types": layer_types(True, True, False, True),
                "query_pre_attn_scalar": rng.randrange(5, 30),
                "rope_parameters": {
                    "sliding_attention": {"rope_type": "default", "rope_theta": 12.0},
                    "full_attention": {"rope_type": "default", "rope_theta": THETA},
                },
            },
            (
                TIED,
                {
                    "rope_parameters": {
                        "sliding_attention": {"rope_type": "default", "rope_theta": 12.0},
                        "full_attention": {**LINEAR, "rope_theta": THETA},
                    },
                    "final_logit_softcapping": 3.0,
                },
                {**BIASED, **ONE_HEAD, "sliding_window": 2},
            ),
        ),
        Family(
            "llama4_text",
            llama4_text,
            lambda rng: {
                **two_axes(rng),
                "num_hidden_layers": 4,
                "intermediate_size_mlp": rng.randrange(11, 40),
                "num_experts_per_tok": 1,
                "attention_chunk_size": 6,
                "no_rope_layers": [1, 0, 1, 1],
                "interleave_moe_layer_step": 2,
                "floor_scale": 4,
                "attn_scale": 0.3,
            },
            (
                {},
                {"use_qk_norm": False, "num_experts_per_tok": 2, **BIASED},
                {**rotary(LLAMA3), "interleave_moe_layer_step": 1, "attention_chunk_size": 5, **TIED},
                {"attn_temperature_tuning": False, "attention_chunk_size": 1, **ONE_HEAD},
                of_aligned_widths(head_dim=6),
            ),
        ),
        Family(
            "qwen3",
            qwen3,
            decoder,
            (
                TIED,
                {**BIASED, "use_sliding_window": True, "sliding_window": 4, "max_window_layers": 1},
                {**rotary(YARN), **ONE_HEAD},
            ),
        ),
        Family(
            "qwen3_moe",
            qwen3_moe,
            lambda rng: {**two_axes(rng), "moe_intermediate_size": rng.randrange(5, 14), "norm_topk_prob": True},
            (
                {},
                {"norm_topk_prob": False, "mlp_only_layers": [0], **BIASED},
                {"decoder_sparse_step": 2, "use_sliding_window": True, "sliding_window": 7, **TIED},
                of_aligned_widths(moe_intermediate_size=8),
            ),
        ),
        Family(
            "smollm3",
            smollm3,
            lambda rng: {**without_head_dim(rng), "num_hidden_layers": 4, "no_rope_layers": [1, 1, 0, 1]},
            (
                TIED,
                {"use_sliding_window": True, "sliding_window": 5, **BIASED, "mlp_bias": True},
                rotary(YARN),
            ),
        ),
        Family(
            "gpt_oss",
            gpt_oss,
            lambda rng: {
                **two_axes(rng),
                "num_hidden_layers": 3,
                "layer_types": layer_types(True, False, True),
                "sliding_window": 5,
                "swiglu_limit": 0.8,
                **rotary(YARN, truncate=False),
            },
            (
                {},
                {"attention_bias": False, "sliding_window": 1},
                of_aligned_widths(num_experts_per_tok=2, **TIED),
                ONE_HEAD,
            ),
        ),
        Family(
            "glm4_moe",
            glm4_moe,
            lambda rng: {
                **latent(rng),
                "num_attention_heads": 4,
                "num_key_value_heads": 2,
                "hidden_size": 18,
                "head_dim": 4 * rng.randrange(1, 4),
                **rotary({"rope_type": "default"}, partial_rotary_factor=0.5),
            },
            (
                {"use_qk_norm": True, **BIASED},
                {"use_qk_norm": False, "n_group": 1, "topk_group": 1},
                of_aligned_widths(moe_intermediate_size=8, use_qk_norm=True, **TIED),
                {**rotary(YARN, partial_rotary_factor=0.5), "norm_topk_prob": False, "first_k_dense_replace": 0},
            ),
        ),
    )
}
