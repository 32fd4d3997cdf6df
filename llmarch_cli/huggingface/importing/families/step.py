"""Step 3.5 and 3.7: layers with a window have query heads, rotary settings and clamps of their own."""

from __future__ import annotations

from typing import Any

from llmarch_cli.errors import shown
from llmarch_cli.huggingface.importing.families.family import USUAL, Family, sizes
from llmarch_cli.huggingface.importing.keys import ANY, Config, a_number
from llmarch_cli.huggingface.importing.layers import Fields, axis
from llmarch_cli.huggingface.importing.pieces import (
    biased,
    by_type,
    dense,
    every,
    frame,
    heads,
    layer_types,
    listed_sparse,
    rms,
    shared,
    sigmoid_moe,
    without_prediction_blocks,
)
from llmarch_cli.huggingface.importing.rope import FULL, SLIDING, rope_of_layer_types, settings_by_layer_type

PER_LAYER = (
    *("layer_types", "mlp_layer_types", "swiglu_limits", "swiglu_limits_shared"),
    *("rope_theta", "partial_rotary_factors"),
)


def _rotated_everywhere(value: Any) -> bool:
    return isinstance(value, list) and all(each in (True, 1) for each in value)


def step3p5(c: Config) -> Fields:
    n_layers, width, n_heads = c.layers(), c.count("head_dim"), c.count("num_attention_heads")
    _cut(c, n_layers, without_prediction_blocks(c, "num_nextn_predict_layers"))
    types = layer_types(c, every(1))
    of_type = {FULL: n_heads, SLIDING: _sliding_heads(c, n_heads, width)}
    _check_overrides(c, n_heads, [of_type[kind] for kind in types])
    c.expect("num_local_experts", c.count("n_routed_experts"), why="n_routed_experts, which transformers reads")
    c.expect("hidden_act", "silu", why="transformers takes it for that")
    scalar = c.optional(c.number, "query_pre_attn_scalar")
    if scalar is not None and scalar <= 0:
        c.fail("query_pre_attn_scalar", f"must be above 0, not {scalar:g}")
    attention = {
        **heads(c, width),
        "output_gate": "per_head",
        **biased(c),
        "qk_norm": "per_head",
        "score_scale": None if scalar in (None, width) else scalar**-0.5,
    }
    rotary = _rotary(c, width, types)
    sparse = _sparse(c)
    c.expect("first_k_dense_replace", [*sparse, True].index(True), why="as other keys or the class have it")
    limits, shared_limits = _limits(c, "swiglu_limits"), _limits(c, "swiglu_limits_shared")
    plain, bias = dense(c), {"bias": c.flag("mlp_bias")}
    experts = sigmoid_moe(
        c,
        "n_routed_experts",
        "moe_router_scaling_factor",
    )
    width_shared = c.count("share_expert_dim")

    def ffn(setting: tuple[bool, float | None, float | None]) -> Fields:
        is_sparse, limit, shared_limit = setting
        beside = {**bias, **clamped(shared_limit)}
        if not is_sparse:
            return {**plain, **beside}
        return {**experts, **clamped(limit), "shared_expert": shared(c, width_shared, **beside)}

    return frame(
        c,
        rms(c, unit_offset=True),
        attention=by_type(c, attention, types, {kind: {**rotary[kind], "n_heads": of_type[kind]} for kind in rotary}),
        ffn=axis(list(zip(sparse, limits, shared_limits, strict=True)), ffn),
    )


def clamped(limit: float | None) -> Fields:
    """A SwiGLU whose activated gate is clamped; None or 0 means it is not."""
    return {"clamp": limit, "clamp_after_activation": True} if limit else {}


def _cut(c: Config, n_layers: int, n_further: int) -> None:
    """Cut the entries of multi-token-prediction blocks off lists with an entry for each layer."""
    c.data = {
        name: value[:n_layers]
        if name in PER_LAYER and isinstance(value, list) and len(value) == n_layers + n_further
        else value
        for name, value in c.data.items()
    }


def _sliding_heads(c: Config, n_heads: int, width: int) -> int:
    """The number of query heads of layers with a window."""
    other = c.inner("attention_other_setting")
    found = other.optional(other.count, "num_attention_heads") or n_heads
    other.expect("attention_type", SLIDING)
    for name in ("num_attention_groups", "num_key_value_heads"):
        other.expect(name, c.count("num_key_value_heads"), why="the same in all layers")
    for name in ("head_dim", "true_head_dim"):
        other.expect(name, width, why="the same in all layers")
    other.finish({})
    stated = c.optional(c.count, "num_sliding_attention_heads")
    if stated is None and not other.data:
        return c.filled_in("num_sliding_attention_heads", found)
    if stated is not None and other.data and stated != found:
        c.fail("num_sliding_attention_heads", f"{stated}, but it is {found} inside attention_other_setting")
    return found if stated is None else stated


def _check_overrides(c: Config, n_heads: int, implied: list[int]) -> None:
    """Check that `per_layer_config`, as saved by transformers, repeats the query heads that other keys imply."""
    if "per_layer_config" not in c.data:
        return
    overrides = c.inner("per_layer_config")
    for layer, expected in enumerate(implied):
        inner = overrides.inner(f"{layer}")
        inner.defaults = {"num_attention_heads": n_heads}
        if inner.count("num_attention_heads") != expected:
            inner.fail("num_attention_heads", f"must be {expected} by other keys")
        inner.finish({})
    overrides.finish({})


def _sparse(c: Config) -> list[bool]:
    """Which layers have experts: by `mlp_layer_types`, or those in `moe_layers_enum`, or all from the fourth on."""
    listed = _listed(c)
    usual = [layer >= 3 if listed is None else layer in listed for layer in range(c.layers())]
    found = listed_sparse(c, usual)
    if listed is not None and found != usual:
        c.fail("moe_layers_enum", "differs from mlp_layer_types, its newer form")
    return found


def _listed(c: Config) -> list[int] | None:
    """The numbers in `moe_layers_enum`, which is a list, or a text with commas between."""
    value = c.data.get("moe_layers_enum")
    if not isinstance(value, str):
        return c.optional(c.whole_numbers, "moe_layers_enum")
    c.read.add("moe_layers_enum")
    texts = [text.strip() for text in value.split(",") if text.strip()]
    if not all(text.isdecimal() and len(text) < 10 for text in texts):
        c.fail("moe_layers_enum", f"must be numbers of layers with commas between, not {shown(value)}")
    return [int(text) for text in texts]


def _limits(c: Config, name: str) -> list[float | None]:
    """The clamp of each layer; 0 and null for none."""
    n_layers = c.layers()
    if not c.given(name) or c.value(name) == []:
        c.read.add(name)
        return [None] * n_layers
    values = c.items(
        name, lambda value: (value,) if value is None or a_number(value) is not None else None, "a number", n_layers
    )
    if any(value is not None and value < 0 for (value,) in values):
        c.fail(name, "must not have numbers below 0")
    return [float(value) if value else None for (value,) in values]


def _rotary(c: Config, width: int, types: list[str]) -> dict[str, Fields]:
    """The rotary fields by layer type: from `rope_parameters`, or from lists with an entry for each layer."""
    settings = c.inner("rope_parameters")
    if settings.data:
        for name in ("rope_theta", "partial_rotary_factors", "rope_scaling"):
            if c.given(name):
                c.fail(name, "given together with rope_parameters, its newer form; keep one")
            c.read.add(name)
        return rope_of_layer_types(c, settings_by_layer_type(settings, types), width)
    thetas, shares = _of_each_layer(c, "rope_theta"), _of_each_layer(c, "partial_rotary_factors")
    scaling = c.inner("rope_scaling")
    if "rope_type" not in scaling.data:
        scaling.expect("type", "default", why="transformers reads rope_type here, and not its older name")
    built: dict[str, Fields] = {}
    for layer, kind in enumerate(types):
        fields: Fields = {"rope_theta": c.default("rope_theta") if thetas is None else thetas[layer]}
        if shares is not None:
            fields["partial_rotary_factor"] = shares[layer]
        if built.setdefault(kind, fields) != fields:
            c.fail("rope_theta", f"layer {layer} differs in it or its partial_rotary_factors from its layer type")
    by_type = {kind: Config(fields, c.origin, {}, reading=c.reading) for kind, fields in built.items()}
    if FULL in built and scaling.data:
        scaling.data = {**built[FULL], **scaling.data}
        by_type[FULL] = scaling
    return rope_of_layer_types(c, by_type, width)


def _of_each_layer(c: Config, name: str) -> list[float] | None:
    """A number for each layer: a list, or one number for all."""
    if not c.given(name):
        c.read.add(name)
        return None
    if not isinstance(c.data[name], list):
        return [c.number(name)] * c.layers()
    return c.items(name, a_number, "a number", c.layers())


FAMILIES = (
    Family(
        "step3p5",
        step3p5,
        USUAL
        | {"layer_types": None, "mlp_layer_types": None, "attention_bias": False}
        | {"head_dim": 128, "rms_norm_eps": 1e-5, "sliding_window": None, "num_sliding_attention_heads": None}
        | {"moe_intermediate_size": 1280, "share_expert_dim": 1280, "n_routed_experts": 288}
        | {"num_experts_per_tok": 8, "moe_router_scaling_factor": 1.0, "query_pre_attn_scalar": None}
        | {"mlp_bias": False, "swiglu_limits": None, "swiglu_limits_shared": None}
        | sizes(128_815, 4096, 11_264, 45, 64, 8, 128_000),
        aliases={
            "num_attention_groups": "num_key_value_heads",
            "moe_num_experts": "n_routed_experts",
            "num_experts": "n_routed_experts",
            "moe_top_k": "num_experts_per_tok",
            "share_expert_dims": "share_expert_dim",
            "num_mtp_layers": "num_nextn_predict_layers",
        },
        without_effect={
            **dict.fromkeys(("mtp_layer_types", "mtp_mlp_layer_types", "max_seq_len", "need_fp32_gate"), ANY),
            **dict.fromkeys(
                ("use_head_wise_attn_gate", "use_moe", "use_moe_router_bias", "zero_centered", "use_qk_norm"), (True,)
            ),
            **dict.fromkeys(("gating", "norm_expert_weight"), (True,)),
            **dict.fromkeys(("sink", "use_bidirectional_attention"), (False,)),
            "att_impl_type": ("GQA",),
            "moe_every_n_layer": (1,),
            "moe_layer_offset": (0,),
            **dict.fromkeys(("moe_router_activation", "scoring_func"), ("sigmoid",)),
            "n_shared_experts": (1,),
            "use_rope_layers": _rotated_everywhere,
            "yarn_only_types": (None, [FULL]),
        },
    ),
)
