"""Decoders whose upper layers read keys and values of layers below, with per-layer embeddings: Gemma 4."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llmarch_cli.huggingface.importing.families.family import USUAL, Family, sizes
from llmarch_cli.huggingface.importing.keys import ANY, Config
from llmarch_cli.huggingface.importing.layers import Fields, axis
from llmarch_cli.huggingface.importing.pieces import biased, every, fixed_activation, frame, layer_types, rms
from llmarch_cli.huggingface.importing.rope import FULL, SLIDING

OVERRIDES = "per_layer_config"


def gemma4(c: Config) -> Fields:
    types = layer_types(c, every(6))
    types[-1] = FULL  # as the class does
    n_shared = c.count("num_kv_shared_layers", least=0)
    first_shared = len(types) - n_shared
    if first_shared < 1 or not set(types) <= set(types[:first_shared]):
        c.fail("num_kv_shared_layers", f"{n_shared}: each type of layer needs one below with keys and values")
    shared = [layer >= first_shared for layer in range(len(types))]
    if (
        c.optional(lambda name: c.choice(name, {"vision": "vision", "all": "all"}), "use_bidirectional_attention")
        == "all"
    ):
        c.fail("use_bidirectional_attention", "all: tokens would attend to those that follow")
    dim = c.optional(c.count, "hidden_size_per_layer_input", least=0) or 0
    rows = c.count("vocab_size_per_layer_input")
    activation = fixed_activation(c, "hidden_activation", "layer of this family")
    layer_inputs = {"dim": dim, "vocab_size": rows, "activation": activation} if dim else None
    return frame(
        c,
        rms(c),
        norm_placement="sandwich",
        embedding_scale="sqrt_d_model",
        logit_softcap=c.optional(c.number, "final_logit_softcapping"),
        per_layer_embedding=layer_inputs,
        layer_scale=True,
        attention=_attention(c, types, shared),
        ffn=_feed_forward(c, shared, activation),
    )


# --- attention ------------------------------------------------------------------------------------------------------


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
    names = {SLIDING: "local", FULL: "global"}
    variants: dict[str, Fields] = {}
    for kind in (SLIDING, FULL):
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
        variants[names[kind]] = own
        reads = {"v_norm": False, "values_from_keys": False, "kv_from": names[kind]}
        variants[f"{names[kind]}_shared"] = {**own, **reads}
    laid = [names[kind] + "_shared" * is_shared for kind, is_shared in zip(types, shared, strict=True)]
    if len(set(laid)) == 1:
        return variants[laid[0]]
    found = axis(laid, lambda name: {"kind": name})
    return {**found, "variants": {name: variants[name] for name in found["variants"]}}


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


def _feed_forward(c: Config, shared: list[bool], activation: str) -> Fields:
    """Dense layers, twice as wide where keys and values are shared; or experts beside a dense layer."""
    wide = c.flag("use_double_wide_mlp")
    widths = [c.count("intermediate_size") * (2 if wide and is_shared else 1) for is_shared in shared]

    def dense(width: int) -> Fields:
        return {"kind": "dense", "d_ff": width, "activation": activation}

    if not c.flag("enable_moe_block"):
        for name in ("num_experts", "top_k_experts", "moe_intermediate_size"):
            c.optional(c.count, name, least=0)
        return axis(widths, dense)
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
        plain = {**dense(width), "input_norm": True, "output_norm": True}
        branches = {"dense": plain, "moe": experts}
        return {"kind": "parallel", "branches": branches, "output_norm": True, "block_norms": False}

    return axis(widths, beside)


DEFAULT_ROPE: dict[str, dict[str, Any]] = {
    SLIDING: {"rope_type": "default", "rope_theta": 10_000.0},
    FULL: {"rope_type": "proportional", "partial_rotary_factor": 0.25, "rope_theta": 1_000_000.0},
}

FAMILIES = (
    Family(
        "gemma4_text",
        gemma4,
        {key: value for key, value in USUAL.items() if key != "hidden_act"}
        | {"hidden_activation": "gelu_pytorch_tanh", "tie_word_embeddings": True, "attention_bias": False}
        | {"head_dim": 256, "sliding_window": 512, "layer_types": None, "final_logit_softcapping": None}
        | {"vocab_size_per_layer_input": 262_144, "hidden_size_per_layer_input": 256, "attention_k_eq_v": False}
        | {"num_kv_shared_layers": 0, "enable_moe_block": False, "use_double_wide_mlp": False}
        | {"num_experts": None, "top_k_experts": None, "moe_intermediate_size": None}
        | {"use_bidirectional_attention": None}
        | sizes(262_144, 2304, 9216, 30, 8, 4, 131_072),
        without_effect={"hidden_act": ANY},
    ),
)
