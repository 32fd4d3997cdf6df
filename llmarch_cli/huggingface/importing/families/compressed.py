"""Attention to windows and compressed rows, hyper-connections, and experts that a token's id fixes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llmarch_cli.errors import shown
from llmarch_cli.huggingface.importing.families.family import USUAL, Family, sizes
from llmarch_cli.huggingface.importing.keys import Config, one_of, same
from llmarch_cli.huggingface.importing.layers import Fields, axis
from llmarch_cli.huggingface.importing.pieces import frame, moe, rms, shared, without_prediction_blocks
from llmarch_cli.huggingface.importing.rope import SCALINGS, rope, rope_of_layer_types

NEAR, CHOSEN, FAR = "sliding_attention", "compressed_sparse_attention", "heavily_compressed_attention"
OF_RATIO = {0: NEAR, 4: CHOSEN, 128: FAR}
HASHED, ROUTED = "hash_moe", "moe"


def deepseek_v4(c: Config) -> Fields:
    without_prediction_blocks(c, "num_nextn_predict_layers")
    for name in ("attention_bias", "mlp_bias"):
        c.expect(name, False)
    residual: Fields = {
        "kind": "hyper_connections",
        "n_streams": c.count("hc_mult"),
        "iterations": c.count("hc_sinkhorn_iters"),
        "eps": c.number("hc_eps"),
    }
    if residual["n_streams"] < 2:
        c.fail("hc_mult", "must be at least 2")
    return frame(c, rms(c), residual=residual, attention=_attention(c), ffn=_experts(c))


def _attention(c: Config) -> Fields:
    c.expect("num_key_value_heads", 1, why="all heads share one key in this family")
    width = c.count("head_dim")
    c.expect("rope_interleave", True, why="this family rotates pairs")
    for name in ("kv_lora_rank", "v_head_dim"):  # of its predecessors
        c.expect(name, None)
    near: Fields = {
        "kind": "compressed",
        "n_heads": c.count("num_attention_heads"),
        "head_dim": width,
        "q_lora_rank": c.count("q_lora_rank"),
        "o_lora_rank": c.count("o_lora_rank"),
        "o_groups": c.count("o_groups"),
        "window": c.count("sliding_window"),
        "rope_interleaved": True,
    }
    of_near, of_far = _nested(c, width) if _is_nested(c) else _flat(c, width)
    c.expect("qk_nope_head_dim", width - of_near["rotary_dim"], why="the values of a head that are not rotated")
    near |= of_near
    far, strides = {**near, **of_far}, _strides(c)
    indexer = {
        "n_heads": c.count("index_n_heads"),
        "head_dim": c.count("index_head_dim"),
        "top_k": c.count("index_topk"),
    }
    of_kind = {
        NEAR: near,
        FAR: {**far, "stride": strides[FAR]},
        CHOSEN: {**far, "stride": strides[CHOSEN], "overlap": True, "indexer": indexer},
    }
    return axis(_kinds(c), lambda kind: of_kind[kind])


def _rotary_dim(c: Config, width: int) -> int:
    """The rotated values of a head, from either key for them."""
    values, part = c.optional(c.count, "qk_rope_head_dim"), c.optional(c.number, "partial_rotary_factor")
    if part is not None:
        found = int(width * part)
        if values is not None and values != found:
            c.fail("qk_rope_head_dim", f"{values}, but partial_rotary_factor gives {found}")
    else:
        found = values or int(width * 64 / 512)
    if found < 2 or found % 2 or found > width:
        c.fail("qk_rope_head_dim", f"rotates {found} of {width} values of a head; must be an even number of them")
    return found


def _is_nested(c: Config) -> bool:
    given = c.data.get("rope_parameters")
    return isinstance(given, Mapping) and bool({"main", "compress"} & set(given))


def _nested(c: Config, width: int) -> tuple[Fields, Fields]:
    """Rotary settings of both sorts of layers, as transformers writes them; older keys may only repeat them."""
    inner = c.inner("rope_parameters")
    settings = {name: inner.inner(name) for name in ("main", "compress")}
    for name, each in settings.items():
        if not each.data:
            inner.fail(name, "required, but missing")
    inner.finish({})
    found = rope_of_layer_types(c, settings, width, share=64 / 512)
    near, far = found["main"], found["compress"]
    if near["rope_scaling"] is not None:
        inner.fail("main", "must not be scaled: layers without compressed rows are not")
    for name, fields, theta_name in (("main", near, "rope_theta"), ("compress", far, "compress_rope_theta")):
        fields["rotary_dim"] = fields.get("rotary_dim") or width
        if fields["rotary_dim"] % 2 or fields["rotary_dim"] < 2:
            inner.fail(name, "must turn an even number of values")
        c.expect(theta_name, fields["rope_theta"], why=f"rope_parameters.{name}, which transformers reads")
    if near["rotary_dim"] != far["rotary_dim"]:
        inner.fail("compress", "must turn as many values as main")
    c.expect("qk_rope_head_dim", near["rotary_dim"], why="the values that rope_parameters turns")
    c.read.add("partial_rotary_factor")
    if far["rope_scaling"] is not None:
        far["rope_scaling"].setdefault("attention_factor", 1.0)
    return near, far


def _flat(c: Config, width: int) -> tuple[Fields, Fields]:
    """Rotary settings for both sorts of layers, which differ in their base and in that one sort is not scaled."""
    for name in ("rope_parameters", "rope_scaling"):
        given = c.data.get(name)
        if isinstance(given, Mapping) and "rope_theta" in given and same(given["rope_theta"], c.value("rope_theta")):
            # The class overwrites this base with compress_rope_theta.
            c.data = {**c.data, name: {key: value for key, value in given.items() if key != "rope_theta"}}
    near: Fields = {"rotary_dim": _rotary_dim(c, width), "rope_theta": c.number("rope_theta")}
    _repeated(c, "compress_rope_parameters")
    return near, _rotary(c, width)


def _repeated(c: Config, name: str) -> None:
    """Settings of the layers with compressed rows that some files repeat, and transformers does not read."""
    given = next((found.data for key in ("rope_parameters", "rope_scaling") if (found := c.inner(key)).data), {})
    c.expect(name, {**given, "rope_theta": c.value("compress_rope_theta")}, given, why="rope_parameters decides")


def _rotary(c: Config, width: int) -> Fields:
    """The rotary settings of layers with compressed rows; those of the others are never scaled."""
    scalings = {name: SCALINGS[name] for name in ("default", "yarn")}
    found = rope(c, width, scalings=scalings, partial=True, theta_name="compress_rope_theta")
    scaling = found["rope_scaling"]
    if scaling is not None:
        scaling.setdefault("attention_factor", 1.0)
    return {"rope_theta": found["rope_theta"], "rope_scaling": scaling}


def _strides(c: Config) -> dict[str, int]:
    """The tokens of a compressed row, by sort of layer."""
    inner = c.inner("compress_rates")
    found = {}
    for kind, name, usual in ((CHOSEN, "compress_rate_csa", 4), (FAR, "compress_rate_hca", 128)):
        inside, beside = inner.optional(inner.count, kind), c.optional(c.count, name)
        if inside is not None and beside is not None and inside != beside:
            c.fail(name, f"{beside}, but it is {inside} in compress_rates")
        found[kind] = inside or beside or usual
        if found[kind] < 2:
            c.fail(name, "must be at least 2")
    inner.finish({})
    return found


def _kinds(c: Config) -> list[str]:
    """The sort of each layer. A list of ratios may go on with those of blocks that predict."""
    n_layers, ratios = c.layers(), None
    if c.given("compress_ratios"):
        ratios = c.items(
            "compress_ratios", lambda value: OF_RATIO.get(value) if type(value) is int else None, "0, 4 or 128", None
        )
        if len(ratios) < n_layers:
            c.fail("compress_ratios", f"has {len(ratios)} entries for {n_layers} layers")
        ratios = ratios[:n_layers]
    c.read.add("compress_ratios")
    kinds = ratios or [FAR if layer < 2 or layer % 2 == 0 else CHOSEN for layer in range(n_layers)]
    if c.given("layer_types"):
        kinds = c.items("layer_types", one_of((NEAR, CHOSEN, FAR)), f"{NEAR}, {CHOSEN} or {FAR}", n_layers)
        if ratios not in (None, kinds):
            c.fail("compress_ratios", "says other layers than layer_types, which alone transformers reads")
    c.read.add("layer_types")
    return kinds


def _experts(c: Config) -> Fields:
    c.expect("topk_method", "noaux_tc")
    c.expect("norm_topk_prob", True, why="this family always divides by the sum")
    c.expect("n_shared_experts", 1, why="this family always has one")
    for name in ("first_k_dense_replace", "n_group", "topk_group"):  # of its predecessors
        c.expect(name, None)
    limit = c.number("swiglu_limit")
    scoring = c.choice("scoring_func", {"sqrtsoftplus": "sqrt_softplus", "softmax": "softmax", "sigmoid": "sigmoid"})
    routed = moe(
        c,
        "n_routed_experts",
        "moe_intermediate_size",
        scoring=scoring,
        selection_bias=True,
        routed_scale=c.number("routed_scaling_factor"),
        clamp=limit,
        shared_expert=shared(c, c.count("moe_intermediate_size"), clamp=limit),
    )
    hashed = {**routed, "selection_bias": False, "hashed_tokens": c.count("vocab_size")}
    n_layers, n_hashed = c.layers(), c.optional(c.count, "num_hash_layers", least=0)
    kinds = [HASHED if layer < (3 if n_hashed is None else n_hashed) else ROUTED for layer in range(n_layers)]
    if c.given("mlp_layer_types"):
        listed = c.items("mlp_layer_types", one_of((HASHED, ROUTED)), f"{HASHED} or {ROUTED}", n_layers)
        if n_hashed is not None and listed != kinds:
            c.fail("num_hash_layers", f"{shown(n_hashed)}, but mlp_layer_types says other layers")
        kinds = listed
    c.read.add("mlp_layer_types")
    return axis(kinds, lambda kind: hashed if kind == HASHED else routed)


V4: dict[str, Any] = (
    USUAL
    | {"moe_intermediate_size": 2048, "head_dim": 512, "q_lora_rank": 1024, "o_groups": 8, "o_lora_rank": 1024}
    | {"num_experts_per_tok": 6, "n_routed_experts": 256, "routed_scaling_factor": 1.5, "swiglu_limit": 10.0}
    | {"scoring_func": "sqrtsoftplus", "rope_theta": 10_000.0, "compress_rope_theta": 160_000.0}
    | {"hc_mult": 4, "hc_sinkhorn_iters": 20, "hc_eps": 1e-6, "sliding_window": 128}
    | {"index_n_heads": 64, "index_head_dim": 128, "index_topk": 512, "num_nextn_predict_layers": 1}
    | {"partial_rotary_factor": None, "mlp_layer_types": None}
    | {
        name: value
        for name, value in sizes(129_280, 4096, 2048, 43, 64, 1, 1_048_576).items()
        if name != "intermediate_size"
    }
)

FAMILIES = (
    Family(
        "deepseek_v4",
        deepseek_v4,
        V4,
        {"num_local_experts": "n_routed_experts", "intermediate_size": "moe_intermediate_size"},
        without_effect={"expert_dtype": lambda value: isinstance(value, str)},
    ),
)
