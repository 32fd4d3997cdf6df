"""Decoders whose upper layers read keys and values of layers below, with per-layer embeddings: Gemma 3n and 4."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llmarch_cli.huggingface.importing.families.family import USUAL, Family, sizes
from llmarch_cli.huggingface.importing.keys import ANY, Config, a_number, above_zero
from llmarch_cli.huggingface.importing.layers import Fields, axis
from llmarch_cli.huggingface.importing.pieces import (
    biased,
    every,
    fixed_activation,
    frame,
    heads,
    layer_types,
    rms,
    window,
)
from llmarch_cli.huggingface.importing.rope import FULL, SLIDING, rope_by_layer_type

OVERRIDES = "per_layer_config"


def gemma4(c: Config) -> Fields:
    dim = c.optional(c.count, "hidden_size_per_layer_input", least=0) or 0
    rows = c.count("vocab_size_per_layer_input")
    inputs = {"dim": dim, "vocab_size": rows, "activation": _activation(c)} if dim else None
    types, shared = _layers(c)
    return _gemma4(c, types, shared, per_layer_embedding=inputs, ffn=_feed_forward(c, shared, _activation(c)))


def gemma4_unified(c: Config) -> Fields:
    """Without per-layer embeddings and experts."""
    types, shared = _layers(c)
    return _gemma4(c, types, shared, ffn=_dense_layers(c, shared, _activation(c)))


def _activation(c: Config) -> str:
    return fixed_activation(c, "hidden_activation", "layer of this family")


def _layers(c: Config) -> tuple[list[str], list[bool]]:
    """The type of each layer, and whether it reads the keys and values of one below."""
    types = layer_types(c, every(6))
    types[-1] = FULL  # as the class does
    return types, _shared(c, types)


def _gemma4(c: Config, types: list[str], shared: list[bool], **fields: Any) -> Fields:
    if (
        c.optional(lambda name: c.choice(name, {"vision": "vision", "all": "all"}), "use_bidirectional_attention")
        == "all"
    ):
        c.fail("use_bidirectional_attention", "all: tokens would attend to those that follow")
    return frame(
        c,
        rms(c),
        norm_placement="sandwich",
        embedding_scale="sqrt_d_model",
        logit_softcap=c.optional(c.number, "final_logit_softcapping"),
        layer_scale=True,
        attention=_attention(c, types, shared),
        **fields,
    )


def gemma3n(c: Config) -> Fields:
    types = layer_types(c, every(5))
    shared = _shared(c, types)
    activation = fixed_activation(c, "hidden_activation", "layer of this family")
    c.expect("altup_correct_scale", True, why="without it, its factors are stored and not used")
    n_streams = c.count("altup_num_inputs", least=2)
    rotary = rope_by_layer_type(c, "rope_local_base_freq")
    variants: dict[str, Fields] = {}
    for kind, name in NAMES.items():
        own = {
            **heads(c, c.count("head_dim")),
            **rotary[kind],
            "qk_norm": "per_head",
            "v_norm": True,
            "score_scale": 1.0,
            "window": window(c, kind),
            **biased(c),
        }
        variants[name] = own
        variants[f"{name}_shared"] = {**own, "v_norm": False, "kv_from": name}
    return frame(
        c,
        rms(c),
        norm_placement="sandwich",
        embedding_scale="sqrt_d_model",
        logit_softcap=c.number("final_logit_softcapping"),
        residual={"kind": "altup", "n_streams": n_streams, "active": c.count("altup_active_idx", 0, n_streams - 1)},
        laurel_rank=c.count("laurel_rank"),
        per_layer_embedding={
            "dim": c.count("hidden_size_per_layer_input"),
            "vocab_size": c.count("vocab_size_per_layer_input"),
            "activation": activation,
            "input_scale": True,
        },
        attention=_laid(types, shared, variants),
        ffn=axis(
            list(zip(_widths(c), _sparsity(c), strict=True)),
            lambda layer: {
                "kind": "dense",
                "d_ff": layer[0],
                "activation": activation,
                "activation_sparsity": layer[1] or None,
            },
        ),
    )


def _widths(c: Config) -> list[int]:
    """The width of each feed-forward layer: one for all, or a list."""
    name, n_layers = "intermediate_size", c.layers()
    if isinstance(c.value(name), list):
        return c.items(name, above_zero, "a whole number above 0", n_layers)
    return [c.count(name)] * n_layers


def _sparsity(c: Config) -> list[float]:
    """The share of gate values that each feed-forward layer cuts off; by default 0.95 in the first ten of many."""
    name, n_layers = "activation_sparsity_pattern", c.layers()
    if c.value(name) is None:
        n_sparse = 10 if n_layers > 10 else 0
        return [0.95] * n_sparse + [0.0] * (n_layers - n_sparse)
    return c.items(name, _share, "a number from 0 to below 1", n_layers)


def _share(value: object) -> float | None:
    number = a_number(value)
    return number if number is not None and 0 <= number < 1 else None


# --- attention ------------------------------------------------------------------------------------------------------

NAMES = {SLIDING: "local", FULL: "global"}


def _shared(c: Config, types: list[str]) -> list[bool]:
    """Whether each layer reads the keys and values of the last layer of its type that has its own."""
    n_shared = c.count("num_kv_shared_layers", least=0)
    first = len(types) - n_shared
    if first < 1 or not set(types) <= set(types[:first]):
        c.fail("num_kv_shared_layers", f"{n_shared}: each type of layer needs one below with keys and values")
    return [layer >= first for layer in range(len(types))]


def _laid(types: list[str], shared: list[bool], variants: Mapping[str, Fields]) -> Fields:
    """The layers with those of `variants` that they need: each type's own, and one that reads it."""
    laid = [NAMES[kind] + "_shared" * is_shared for kind, is_shared in zip(types, shared, strict=True)]
    if len(set(laid)) == 1:
        return variants[laid[0]]
    found = axis(laid, lambda name: {"kind": name})
    return {**found, "variants": {name: variants[name] for name in found["variants"]}}


def _attention(c: Config, types: list[str], shared: list[bool]) -> Fields:
    """Layers with a window and without one, each with keys and values of their own or of the layer below of its type.

    Layers without a window may have wider heads, fewer key heads, and values that are their keys.
    """
    rotary = _rotary(c, types)
    alike = c.flag("attention_k_eq_v")
    widths = {SLIDING: c.count("head_dim"), FULL: c.optional(c.count, "global_head_dim") or 512}
    n_heads, n_kv_heads = c.count("num_attention_heads"), c.count("num_key_value_heads")
    n_full = c.optional(c.count, "num_global_key_value_heads") if alike else None
    c.read.add("num_global_key_value_heads")
    key_heads = {SLIDING: n_kv_heads, FULL: n_full or n_kv_heads}
    if c.given(OVERRIDES):
        widths[FULL], key_heads[FULL] = _overridden(c, types, widths[SLIDING], n_kv_heads)
    variants: dict[str, Fields] = {}
    for kind, name in NAMES.items():
        if n_heads % key_heads[kind]:
            c.fail("num_attention_heads", f"{n_heads} must be a multiple of the {key_heads[kind]} key heads")
        width = widths[kind]
        own = {
            "kind": "gqa",
            "n_heads": n_heads,
            "n_kv_heads": key_heads[kind],
            "head_dim": width,
            "qk_norm": "per_head",
            "v_norm": True,
            "values_from_keys": alike and kind == FULL,
            "score_scale": 1.0,
            "window": c.count("sliding_window") if kind == SLIDING else None,
            **biased(c),
        }
        if kind in rotary:
            own |= _turned(c, rotary[kind], width)
        variants[name] = own
        variants[f"{name}_shared"] = {**own, "v_norm": False, "values_from_keys": False, "kv_from": name}
    return _laid(types, shared, variants)


def _overridden(c: Config, types: list[str], width: int, n_kv_heads: int) -> tuple[int, int]:
    """The width and the number of key heads of the layers without a window, from overrides of each layer."""
    inner = c.inner(OVERRIDES)
    full = {layer for layer, kind in enumerate(types) if kind == FULL}
    given = {int(name): name for name in inner.data if name.isdecimal() and len(name) < 7}
    for name in inner.data:
        if name not in given.values() or int(name) not in full:
            inner.fail(name, "is no layer with full attention, the only ones that this family overrides")
    found = set()
    for layer in sorted(full):
        name = given.get(layer, str(layer))
        override = inner.inner(name, {"head_dim": width, "num_key_value_heads": n_kv_heads})
        found.add((override.count("head_dim"), override.count("num_key_value_heads")))
        override.finish({})
    inner.finish({})
    if len(found) != 1:
        c.fail(OVERRIDES, "must give all layers with full attention the same heads")
    return found.pop()


def _rotary(c: Config, types: list[str]) -> Mapping[str, Config]:
    """The rotary settings of each type of layer."""
    settings = c.inner("rope_parameters")
    if not settings.data:
        return {kind: Config(DEFAULT_ROPE[kind], c.origin, {}, reading=c.reading) for kind in (SLIDING, FULL)}
    found = {kind: settings.inner(kind) for kind in (SLIDING, FULL)}
    for kind in set(types):
        if not found[kind].data:
            settings.fail(kind, "required, but missing: some layers are of this type")
    settings.finish({})
    return {kind: each for kind, each in found.items() if each.data}


def _turned(c: Config, settings: Config, width: int) -> Fields:
    """Proportional rotary embedding turns some pairs of a head, by the angles of a whole one."""
    proportional = settings.choice("rope_type", {"default": False, "proportional": True})
    share = settings.optional(settings.number, "partial_rotary_factor")
    fields: Fields = {"rope_theta": settings.number("rope_theta"), "rotary_pairs": None}
    if fields["rope_theta"] <= 1:
        settings.fail("rope_theta", "must be above 1")
    if width % 2:
        c.fail("head_dim", f"{width} must be even")
    if proportional and share is not None and share != 1:
        pairs = int(share * width // 2)
        if not 0 < pairs <= width // 2:
            settings.fail("partial_rotary_factor", f"{share} turns {pairs} of {width // 2} pairs of a head")
        fields["rotary_pairs"] = pairs if 2 * pairs < width else None
    elif share not in (None, 1):
        settings.fail("partial_rotary_factor", f"{share} is not supported with rope_type default")
    settings.expect("factor", 1.0, None)
    settings.finish({})
    return fields


# --- feed-forward ---------------------------------------------------------------------------------------------------


def _double_widths(c: Config, shared: list[bool]) -> list[int]:
    """The width of each feed-forward layer, perhaps twice as much where keys and values are shared."""
    wide = c.flag("use_double_wide_mlp")
    return [c.count("intermediate_size") * (2 if wide and is_shared else 1) for is_shared in shared]


def _dense_layers(c: Config, shared: list[bool], activation: str) -> Fields:
    widths = _double_widths(c, shared)
    return axis(widths, lambda width: {"kind": "dense", "d_ff": width, "activation": activation})


def _feed_forward(c: Config, shared: list[bool], activation: str) -> Fields:
    """Dense layers, or experts beside a dense layer."""
    if not c.flag("enable_moe_block"):
        for name in ("num_experts", "top_k_experts", "moe_intermediate_size"):
            c.optional(c.count, name, least=0)
        return _dense_layers(c, shared, activation)
    experts = {
        "kind": "moe",
        "n_experts": c.count("num_experts"),
        "top_k": c.count("top_k_experts"),
        "d_ff": c.count("moe_intermediate_size"),
        "activation": activation,
        "input_norm": True,
        "router_norm": True,
        "expert_scales": True,
        "output_norm": True,
    }

    def beside(width: int) -> Fields:
        plain = {"kind": "dense", "d_ff": width, "activation": activation, "input_norm": True, "output_norm": True}
        branches = {"dense": plain, "moe": experts}
        return {"kind": "parallel", "branches": branches, "output_norm": True, "block_norms": False}

    return axis(_double_widths(c, shared), beside)


DEFAULT_ROPE: dict[str, dict[str, Any]] = {
    SLIDING: {"rope_type": "default", "rope_theta": 10_000.0},
    FULL: {"rope_type": "proportional", "partial_rotary_factor": 0.25, "rope_theta": 1_000_000.0},
}

SOFTCAPPED: dict[str, Any] = {
    **{key: value for key, value in USUAL.items() if key != "hidden_act"},
    "hidden_activation": "gelu_pytorch_tanh",
    "tie_word_embeddings": True,
    "attention_bias": False,
}

FAMILIES = (
    Family(
        "gemma3n_text",
        gemma3n,
        SOFTCAPPED
        | {"head_dim": 256, "sliding_window": 512, "layer_types": None, "final_logit_softcapping": 30.0}
        | {"vocab_size_per_layer_input": 262_144, "hidden_size_per_layer_input": 256}
        | {"rope_theta": 1_000_000.0, "rope_local_base_freq": 10_000.0}
        | {"num_kv_shared_layers": 15, "laurel_rank": 64, "activation_sparsity_pattern": None}
        | {"altup_active_idx": 0, "altup_num_inputs": 4, "altup_correct_scale": True}
        | sizes(262_400, 2048, 16_384, 35, 8, 2, 32_768),
        without_effect=dict.fromkeys(
            # Attention is unscaled in this family, and coefficients are clipped in training alone.
            ("hidden_act", "query_pre_attn_scalar", "altup_coef_clip", "altup_lr_multiplier"),
            ANY,
        ),
    ),
    Family(
        "gemma4_unified_text",
        gemma4_unified,
        SOFTCAPPED
        | {"head_dim": 256, "sliding_window": 1024, "layer_types": None, "final_logit_softcapping": None}
        | {"attention_k_eq_v": False, "num_kv_shared_layers": 0, "use_double_wide_mlp": False}
        | {"use_bidirectional_attention": "vision"}
        | sizes(262_144, 2304, 9216, 30, 8, 4, 262_144),
        without_effect={"hidden_act": ANY},
    ),
    Family(
        "gemma4_text",
        gemma4,
        SOFTCAPPED
        | {"head_dim": 256, "sliding_window": 512, "layer_types": None, "final_logit_softcapping": None}
        | {"vocab_size_per_layer_input": 262_144, "hidden_size_per_layer_input": 256, "attention_k_eq_v": False}
        | {"num_kv_shared_layers": 0, "enable_moe_block": False, "use_double_wide_mlp": False}
        | {"num_experts": None, "top_k_experts": None, "moe_intermediate_size": None}
        | {"use_bidirectional_attention": None}
        | sizes(262_144, 2304, 9216, 30, 8, 4, 131_072),
        without_effect={"hidden_act": ANY},
    ),
)
