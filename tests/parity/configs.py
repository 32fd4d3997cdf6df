"""What the families of transformers share: how their configs become fields of a spec, and random shapes."""

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
    """Rotary fields from a config's `rope_parameters`; with a null base, nothing is rotated."""
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
        case "longrope":
            lists = ("short_factor", "long_factor", "factor", "attention_factor")
            scaling = {
                "kind": "longrope",
                "original_context_length": parameters["original_max_position_embeddings"],
                **{name: parameters[name] for name in lists if parameters.get(name) is not None},
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


def deepseek_moe(c: Config, **fields: Any) -> Fields:
    """Routed and shared experts of DeepSeek's shape, which other families took over."""
    return {
        "kind": "moe",
        "n_experts": getattr(c, "n_routed_experts", None) or c.num_local_experts,
        "top_k": c.num_experts_per_tok,
        "d_ff": c.moe_intermediate_size,
        "routed_scale": c.routed_scaling_factor,
        "shared_expert": {"kind": "dense", "d_ff": c.n_shared_experts * c.moe_intermediate_size},
        **fields,
    }


def dense_then_moe(c: Config, dense_layer: Fields, moe_layer: Fields) -> Fields:
    n_dense = min(c.first_k_dense_replace, c.num_hidden_layers)
    return laid([dense_layer] * n_dense + [moe_layer] * (c.num_hidden_layers - n_dense))


def sigmoid_moe(c: Config) -> Fields:
    groups = {"n_groups": c.n_group, "top_k_groups": c.topk_group} if c.n_group > 1 else {}  # one group limits nothing
    return deepseek_moe(c, scoring="sigmoid", selection_bias=True, renormalize=c.norm_topk_prob, **groups)


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
