"""Multi-head latent attention, with or without experts: DeepSeek V2, V3 and their descendants."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llmarch_cli.huggingface.importing.families.dense import stretched, tempered
from llmarch_cli.huggingface.importing.families.family import USUAL, Family, sizes
from llmarch_cli.huggingface.importing.keys import ANY, Config
from llmarch_cli.huggingface.importing.layers import Fields
from llmarch_cli.huggingface.importing.pieces import (
    dense,
    dense_below,
    divided_width,
    expert_groups,
    experts_if_any,
    frame,
    grouped_sigmoid_moe,
    listed_sparse,
    mixed,
    moe,
    rms,
    shared,
    sparse_from,
)
from llmarch_cli.huggingface.importing.rope import rope


def mla(
    c: Config,
    rope_interleaved: bool,
    v_head_dim: int | None = None,
    repeats_head_dim: bool = True,
    rotary: Fields | None = None,
) -> Fields:
    """Latent attention.

    Args:
        c: the config.
        rope_interleaved: whether rotary pairs are neighbours.
        v_head_dim: replaces the config's key of this name.
        repeats_head_dim: whether `head_dim` must repeat `qk_rope_head_dim`; otherwise the class ignores it.
        rotary: the rotary fields, if the family has its own settings for them.
    """
    n_heads, rotated, plain = (
        c.count(name) for name in ("num_attention_heads", "qk_rope_head_dim", "qk_nope_head_dim")
    )
    # Latent attention has no groups of heads: this key only repeats the number of heads.
    c.expect("num_key_value_heads", n_heads, why="latent attention has no groups of heads")
    if repeats_head_dim:
        c.expect("head_dim", rotated, why="equal to qk_rope_head_dim")
    c.expect("qk_head_dim", rotated + plain, why="the sum of qk_nope_head_dim and qk_rope_head_dim")
    return {
        "kind": "mla",
        "n_heads": n_heads,
        "q_lora_rank": c.optional(c.count, "q_lora_rank"),
        "kv_lora_rank": c.count("kv_lora_rank"),
        "qk_nope_head_dim": plain,
        "qk_rope_head_dim": rotated,
        "v_head_dim": v_head_dim or c.count("v_head_dim"),
        "bias": c.flag("attention_bias"),
        **(rotary or rope(c, rotated)),
        "rope_interleaved": rope_interleaved,
    }


def deepseek_v2(c: Config) -> Fields:
    sparse = dense_below(c)
    return frame(
        c,
        rms(c),
        attention=mla(c, rope_interleaved=True),
        ffn=mixed(sparse, experts_if_any(c, sparse, _grouped_softmax_moe), dense(c, bias=c.flag("mlp_bias"))),
    )


def _grouped_softmax_moe(c: Config) -> Fields:
    """Experts as in DeepSeek-V2 (arXiv 2405.04434, section 2.2)."""
    c.expect("scoring_func", "softmax")
    limited = c.choice("topk_method", {"greedy": False, "group_limited_greedy": True})
    n_groups, kept = (c.optional(c.count, name) for name in ("n_group", "topk_group"))
    groups: Fields = {}
    if limited:
        if n_groups is None or kept is None:
            c.fail("n_group", "required with topk_group, but missing: topk_method is group_limited_greedy")
        groups = {"n_groups": n_groups, "top_k_groups": kept, "group_score": "max"}
    if c.optional(c.flag, "norm_topk_prob"):
        c.fail("norm_topk_prob", "true renormalises in the authors' code and does nothing in transformers")
    n_shared = c.optional(c.count, "n_shared_experts", least=0) or 0
    return moe(
        c,
        "n_routed_experts",
        "moe_intermediate_size",
        renormalize=False,
        routed_scale=c.number("routed_scaling_factor"),
        shared_expert=shared(c, n_shared * c.count("moe_intermediate_size"), bias=c.flag("mlp_bias")),
        **groups,
    )


def deepseek_v3(c: Config) -> Fields:
    return frame(
        c,
        rms(c),
        n_mtp_blocks=c.count("num_mtp_layers", least=0),
        attention=mla(c, rope_interleaved=c.flag("rope_interleave")),
        ffn=mixed(dense_below(c), grouped_sigmoid_moe(c), dense(c)),
    )


def axk1(c: Config) -> Fields:
    n_dense, step = c.count("first_k_dense_replace", least=0), c.count("moe_layer_freq")
    sparse = listed_sparse(c, [layer >= n_dense and layer % step == 0 for layer in range(c.layers())])
    c.count("q_lora_rank")  # always compressed
    attention = mla(c, rope_interleaved=c.flag("rope_interleave"))
    experts = grouped_sigmoid_moe(c, output_norm=True)
    return frame(c, rms(c), attention=attention, ffn=mixed(sparse, experts, dense(c)))


def mistral4(c: Config) -> Fields:
    rotated, width = c.count("qk_rope_head_dim"), c.count("qk_rope_head_dim") + c.count("qk_nope_head_dim")
    c.expect("head_dim", width, why="the sum of qk_nope_head_dim and qk_rope_head_dim")
    scalings, temperature = tempered()
    # Of the kinds of scaling, the class can run this one alone with a part of a head.
    rotary = rope(c, width, partial=True, scalings={"yarn": scalings["yarn"]})
    found = rotary.pop("rotary_dim", None)
    if found is None and any(_says_whole_heads(c.data.get(name)) for name in ("rope_parameters", "rope_scaling")):
        found = width
    if found not in (None, rotated):  # absent: the class takes the share of qk_rope_head_dim
        c.fail("rope_parameters", f"rotates {found} values of a head, but qk_rope_head_dim is {rotated}")
    attention = mla(c, c.flag("rope_interleave"), repeats_head_dim=False, rotary=rotary)
    experts = moe(
        c,
        "n_routed_experts",
        "moe_intermediate_size",
        renormalize=c.flag("norm_topk_prob"),
        routed_scale=c.number("routed_scaling_factor"),
        shared_expert=shared(c, c.count("n_shared_experts") * c.count("moe_intermediate_size")),
        **expert_groups(c),
    )
    return frame(
        c,
        rms(c),
        attention={**attention, "temperature": temperature or None},
        ffn=mixed(sparse_from(c, c.count("first_k_dense_replace", least=0)), experts, dense(c)),
    )


def _says_whole_heads(settings: Any) -> bool:
    return isinstance(settings, Mapping) and settings.get("partial_rotary_factor") is not None


def longcat_flash(c: Config) -> Fields:
    """Each of the config's layers is two of ours, with experts that read the first one and are added to the second."""
    n_pairs, d_model, width = c.layers("num_layers"), c.count("hidden_size"), c.count("expert_ffn_hidden_size")
    c.expect("num_hidden_layers", 2 * n_pairs, why="twice num_layers")
    q_rank, kv_rank = c.count("q_lora_rank"), c.count("kv_lora_rank")
    scales = {"q_scale": (d_model / q_rank) ** 0.5, "latent_scale": (d_model / kv_rank) ** 0.5}
    n_zero = c.optional(c.count, "zero_expert_num", least=0) or None
    experts = moe(
        c,
        "n_routed_experts",
        "expert_ffn_hidden_size",
        "moe_topk",
        n_zero_experts=n_zero,
        renormalize=False,
        selection_bias=True,
        routed_scale=c.number("routed_scaling_factor"),
    )
    if n_zero is not None:
        c.leave_out(
            "matrices of zero-computation experts, which the class of transformers holds and never reads",
            n_pairs * n_zero * 2 * width * d_model,
        )
    own = {"kind": "dense", "d_ff": c.count("ffn_hidden_size"), "activation": experts["activation"]}
    both = {"kind": "shortcut", "channels": d_model, "own": own}
    return frame(
        c,
        rms(c),
        n_layers=2 * n_pairs,
        attention={**mla(c, rope_interleaved=True), **scales},
        ffn={
            "repeat": ["lower", "upper"],
            "variants": {"lower": {**both, "deferred": experts}, "upper": {**both, "adds_from": "lower"}},
        },
    )


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


LATENT: dict[str, Any] = {
    "kv_lora_rank": 512,
    "q_lora_rank": 1536,
    "qk_nope_head_dim": 128,
    "qk_rope_head_dim": 64,
    "v_head_dim": 128,
    "attention_bias": False,
}

V3_DEFAULTS: dict[str, Any] = (
    USUAL
    | LATENT
    | {"moe_intermediate_size": 2048, "n_shared_experts": 1, "n_routed_experts": 256}
    | {"routed_scaling_factor": 2.5, "n_group": 8, "topk_group": 4, "num_experts_per_tok": 8}
    | {"first_k_dense_replace": 3, "norm_topk_prob": True, "rope_interleave": True, "num_mtp_layers": 1}
    | sizes(129_280, 7168, 18_432, 61, 128, 128, 4096)
)

V3_ALIASES = {"num_local_experts": "n_routed_experts", "num_nextn_predict_layers": "num_mtp_layers"}

LISTED: dict[str, Any] = {"rope_interleave": True, "mlp_layer_types": None, "norm_topk_prob": True}

FAMILIES = (
    Family(
        "deepseek_v2",
        deepseek_v2,
        USUAL
        | LATENT
        | {"mlp_bias": False, "moe_intermediate_size": 1407, "n_shared_experts": 2, "n_routed_experts": 64}
        | {"routed_scaling_factor": 1.0, "n_group": None, "topk_group": None, "topk_method": "greedy"}
        | {"num_experts_per_tok": None, "first_k_dense_replace": 0, "norm_topk_prob": False}
        | sizes(102_400, 4096, 11_008, 32, 32, None, 2048),
        aliases={"num_experts": "n_routed_experts"},
        without_effect={"lm_head": (True,), "rm_head": (False,), "use_mla": (True,)},  # in DeepSeek-VL2
    ),
    Family("deepseek_v3", deepseek_v3, V3_DEFAULTS, V3_ALIASES),
    Family("kimi_k2", deepseek_v3, V3_DEFAULTS, V3_ALIASES),
    Family(
        "axk1",
        axk1,
        USUAL
        | LATENT
        | LISTED
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
        | LISTED
        | {"q_lora_rank": 768, "qk_nope_head_dim": 192, "v_head_dim": 256, "rms_norm_eps": 1e-5}
        | {"moe_intermediate_size": 1536, "n_shared_experts": 1, "n_routed_experts": 64, "num_experts_per_tok": 4}
        | {"routed_scaling_factor": 1.8, "n_group": 1, "topk_group": 1, "num_nextn_predict_layers": 0}
        | sizes(154_880, 2048, 10_240, 47, 20, 20, 202_752),
        aliases={"num_local_experts": "n_routed_experts"},
    ),
    Family(
        "mistral4",
        mistral4,
        USUAL
        | LATENT
        | {"kv_lora_rank": 256, "q_lora_rank": 1024, "qk_nope_head_dim": 64}
        | {"moe_intermediate_size": 2048, "n_shared_experts": 1, "n_routed_experts": 128, "num_experts_per_tok": 4}
        | {"routed_scaling_factor": 1.0, "n_group": 1, "topk_group": 1, "first_k_dense_replace": 0}
        | {"norm_topk_prob": True, "rope_interleave": True}
        | {
            "rope_parameters": {
                **stretched("yarn", 128.0, 8192, beta_fast=32.0, beta_slow=1.0, mscale=1.0, mscale_all_dim=1.0),
                "llama_4_scaling_beta": 0.1,
                "rope_theta": 10_000.0,
            }
        }
        | sizes(131_072, 4096, 12_288, 36, 32, 32, 1_048_576),
        aliases={"num_local_experts": "n_routed_experts"},
    ),
    Family(
        "longcat_flash",
        longcat_flash,
        USUAL
        | LATENT
        | {"rms_norm_eps": 1e-5, "rope_theta": 10_000_000.0, "num_layers": 28, "ffn_hidden_size": 12_288}
        | {"n_routed_experts": 512, "zero_expert_num": 256, "moe_topk": 12, "expert_ffn_hidden_size": 2048}
        | {"routed_scaling_factor": 6.0, "head_dim": 64}
        | {"vocab_size": 131_072, "hidden_size": 6144, "num_attention_heads": 64, "num_key_value_heads": None}
        | {"max_position_embeddings": 131_072},
        aliases={
            "intermediate_size": "ffn_hidden_size",
            "moe_intermediate_size": "expert_ffn_hidden_size",
            "num_experts_per_tok": "moe_topk",
            "num_local_experts": "n_routed_experts",
        },
        without_effect={
            **dict.fromkeys(("mla_scale_kv_lora", "mla_scale_q_lora"), (True,)),
            "attention_method": ("MLA",),
            "router_bias": (False,),
            "zero_expert_type": ("identity",),
        },
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
