"""HunYuan, dense and mixture-of-experts: queries and keys are normalised after rotation."""

from __future__ import annotations

from collections.abc import Mapping

from llmarch_cli.huggingface.importing.families.family import USUAL, Family, sizes
from llmarch_cli.huggingface.importing.keys import ANY, Accepted, Config, above_zero
from llmarch_cli.huggingface.importing.layers import Fields, axis
from llmarch_cli.huggingface.importing.pieces import biased, dense, frame, gqa, head_dim, moe, rms, shared
from llmarch_cli.huggingface.importing.rope import SCALINGS, Scaling

ALPHA = "alpha"


def _dynamic(c: Config, settings: Config) -> Fields:
    """Read `dynamic` scaling with a fixed alpha. It equals a larger theta, which `attention` computes."""
    alpha = settings.optional(settings.number, ALPHA)
    if alpha is None or alpha <= 0:
        settings.fail(
            "rope_type", "dynamic without a fixed alpha depends on the prompt length, which no field expresses"
        )
    for name in ("factor", "mscale", "mscale_all_dim"):
        settings.expect(name, 1.0)
    for name in ("beta_fast", "beta_slow"):
        settings.optional(settings.number, name)
    return {ALPHA: alpha}


def attention(c: Config, scalings: Mapping[str, Scaling] = SCALINGS) -> Fields:
    width = head_dim(c)
    c.expect("attention_head_dim", width)
    found = gqa(c, width, scalings={**scalings, "dynamic": _dynamic}, qk_norm="per_head", **biased(c))
    found["qk_norm_after_rope"] = True
    if found["rope_scaling"] and ALPHA in found["rope_scaling"]:
        alpha = found.pop("rope_scaling")[ALPHA]
        try:
            found["rope_theta"] *= alpha ** (width / (width - 2))
        except (OverflowError, ZeroDivisionError):
            c.fail("head_dim", f"{width} with alpha {alpha:g} gives no rope_theta")
    return found


def hunyuan_dense(c: Config, scalings: Mapping[str, Scaling] = SCALINGS) -> Fields:
    return frame(c, rms(c), attention=attention(c, scalings), ffn=dense(c))


# Its own name for multimodal rotary embeddings, with the same key for their angles.
XDROPE: Mapping[str, Scaling] = {**SCALINGS, "xdrope": _dynamic}


def hunyuan_moe(c: Config) -> Fields:
    n_layers, d_ff = c.layers(), c.count("intermediate_size")
    c.expect("moe_intermediate_size", d_ff, [d_ff] * n_layers)
    c.expect("num_shared_expert", 1, [1] * n_layers)
    one_for_all = not isinstance(c.value("moe_topk"), list)
    taken = [c.count("moe_topk")] * n_layers if one_for_all else _taken(c, n_layers)
    experts = axis(
        taken, lambda top_k: moe(c, "num_experts", "intermediate_size", top_k, shared_expert=shared(c, d_ff))
    )
    return frame(c, rms(c), attention=attention(c), ffn=experts)


def _taken(c: Config, n_layers: int) -> list[int]:
    return c.items("moe_topk", above_zero, "a whole number above 0", n_layers)


def hunyuan(c: Config) -> Fields:
    shared = c.optional(c.flag, "use_cla") or False
    every = c.count("cla_share_factor") if shared else c.optional(c.count, "cla_share_factor") or 1
    if c.count("num_experts") > 1:
        found = hunyuan_moe(c)
    else:
        for name in ("moe_topk", "num_shared_expert"):
            c.expect(name, 1, [1] * c.layers(), why="there are no experts")
        found = hunyuan_dense(c)
    if shared:
        found["attention"] = _shared_between_layers(found["attention"], c.layers(), every)
    return found


def _shared_between_layers(own: Fields, n_layers: int, every: int) -> Fields:
    """Cross-layer attention (arXiv 2405.12981): one layer of `every` has keys and values, which those above it read.

    The keys are shared before their norm, of which each layer has its own.
    """
    own = {**own, "k_norm_after_cache": True}
    variants = {"own": own, "shared": {**own, "kv_from": "own"}}
    found = axis(["shared" if layer % every else "own" for layer in range(n_layers)], lambda name: {"kind": name})
    return {**found, "variants": variants} if "variants" in found else own


DEFAULTS = (
    USUAL
    | {"attention_bias": False, "head_dim": None, "rms_norm_eps": 1e-5}
    | sizes(290_943, 4096, 11_008, 32, 32, None, 2048)
)

# Keys and values that layers share: in the published code alone, not in transformers' classes.
NOT_SHARED: dict[str, Accepted] = {"use_cla": (False,), "cla_share_factor": ANY}

# Other features of the published code, turned off.
TURNED_OFF: dict[str, Accepted] = {
    **dict.fromkeys(
        (
            "add_classification_head",
            "group_limited_greedy",
            "moe_drop_tokens",
            "moe_random_routing_dropped_token",
            "position_embedding_xdrope",
            "skip_cls_token",
            "use_mla",
        ),
        (False,),
    ),
    **dict.fromkeys(("norm_topk_prob", "use_mixed_mlp_moe", "use_qk_norm", "use_rotary_pos_emb"), (True,)),
    **dict.fromkeys(("kv_lora_rank", "q_lora_rank", "qk_nope_head_dim", "qk_rope_head_dim", "v_head_dim"), (None,)),
    "xdrope_section": (None,),
    **dict.fromkeys(("n_group", "topk_group"), (None, False)),
    **dict.fromkeys(("enable_lm_head_fp32", "capacity_factor", "class_num", "dense_list", "pool_type"), ANY),
    **dict.fromkeys(("mask_init_id", "org_vocab_size", "pad_id", "anyres_pooling_size"), ANY),
    **dict.fromkeys(("im_start_id", "im_end_id", "im_newline_id", "text_start_id", "text_end_id"), ANY),
    **dict.fromkeys(("video_start_id", "video_end_id"), ANY),
    # Of an image encoder that these files do not have.
    **dict.fromkeys(("num_media_embeds", "vit_add_patchemb_bias", "vit_input_resolution", "vit_mapping_type"), ANY),
    **dict.fromkeys(("vit_norm_type", "vit_patch", "vit_remove_prenorm", "vit_token", "vit_used_rms_norm"), ANY),
    **dict.fromkeys(("vit_path", "vit_type"), (None,)),
    "moe_layer_num_skipped": (0,),
    "norm_type": ("rms",),
    "routed_scaling_factor": (1.0, False),
}

FAMILIES = (
    Family("hunyuan_v1_dense", hunyuan_dense, DEFAULTS, without_effect=TURNED_OFF | NOT_SHARED),
    Family(
        "hunyuan_v1_moe",
        hunyuan_moe,
        DEFAULTS | {"num_experts": 1, "moe_topk": 1},
        aliases={"num_experts_per_tok": "moe_topk", "num_local_experts": "num_experts"},
        without_effect=TURNED_OFF | NOT_SHARED,
    ),
    Family(
        "hunyuan",
        hunyuan,
        {"attention_bias": False, "num_key_value_heads": None},
        without_effect=TURNED_OFF | {"use_mixed_mlp_moe": ANY},
        remote=True,
    ),
)
