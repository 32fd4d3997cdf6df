"""Decoders with state spaces: Mamba, Mamba-2, and the hybrids with attention in some layers."""

from __future__ import annotations

import math
from typing import Any

from llmarch_cli.errors import shown
from llmarch_cli.huggingface.importing.families.dense import MULTIPLIERS, granite_attention, multipliers
from llmarch_cli.huggingface.importing.families.family import BIASES, USUAL, Family, sizes
from llmarch_cli.huggingface.importing.keys import ANY, Accepted, Config
from llmarch_cli.huggingface.importing.layers import Fields, axis
from llmarch_cli.huggingface.importing.pieces import (
    ACTIVATIONS,
    NOPE,
    biased,
    dense,
    experts_if_any,
    fixed_activation,
    frame,
    gqa,
    grouped_sigmoid_moe,
    head_dim,
    heads,
    layer_types,
    mixed,
    moe,
    only_divided,
    rms,
    shared,
    untied,
    without_prediction_blocks,
)
from llmarch_cli.huggingface.importing.rope import FULL
from llmarch_cli.specs.spec import NONE

LINEAR, EXPERTS, DENSE = "linear_attention", "moe", "mlp"

# --- Mamba and Mamba-2 alone ----------------------------------------------------------------------------------------


def _mixers_only(c: Config, mixer: Fields) -> Fields:
    """A decoder whose layers are one mixer each."""
    length = c.optional(c.count, "max_position_embeddings")
    return {
        **({} if length is None else {"context_length": length}),
        "d_model": c.count("hidden_size"),
        "n_layers": c.layers(),
        "vocab_size": c.count("vocab_size"),
        "tie_embeddings": c.flag("tie_word_embeddings"),
        "norm": {"eps": c.number("layer_norm_epsilon")},
        "attention": mixer,
        "ffn": {"repeat": [NONE]},
    }


def mamba(c: Config, **fields: Any) -> Fields:
    width = _expanded(c, "expand")
    c.expect("intermediate_size", width, why="expand * hidden_size")
    keys = ("state_size", "conv_kernel", "time_step_rank", "use_conv_bias", "use_bias")
    return _mixers_only(c, _mamba(c, width, *keys, **fields))


def falcon_mamba(c: Config) -> Fields:
    return mamba(c, inner_norms="weightless", inner_eps=c.number("mixer_rms_eps"))


def _mamba(
    c: Config, width: int, d_state: str, kernel: str, rank: str, conv_bias: str, bias: str, **fields: Any
) -> Fields:
    """Mamba of that width; the other arguments are the config's keys."""
    step_rank = math.ceil(c.count("hidden_size") / 16) if c.value(rank) == "auto" else c.count(rank)
    return {
        "kind": "mamba",
        "width": width,
        "d_state": c.count(d_state),
        "step_rank": step_rank,
        "conv_kernel": c.count(kernel, least=2),
        "conv_bias": c.flag(conv_bias),
        "bias": c.flag(bias),
        "activation": fixed_activation(c, "hidden_act", "state space"),
        **fields,
    }


def _expanded(c: Config, name: str) -> int:
    return c.count(name) * c.count("hidden_size")


def mamba2(c: Config) -> Fields:
    width = _expanded(c, "expand")
    c.expect("intermediate_size", width, why="expand * hidden_size")
    n_heads, head_width = c.count("num_heads"), c.count("head_dim")
    if n_heads * head_width != width:
        c.fail("num_heads", f"{n_heads} of {head_width} values must make expand * hidden_size, {width}")
    mixer = mamba2_mixer(
        c,
        *(n_heads, head_width),
        *("state_size", "n_groups", "conv_kernel"),
        conv_bias=c.flag("use_conv_bias"),
        bias=c.flag("use_bias"),
        activation=fixed_activation(c, "hidden_act", "state space"),
        **_step_limits(c),
    )
    return _mixers_only(c, mixer)


def mamba2_mixer(
    c: Config, n_heads: int, head_dim: int, d_state: str, n_groups: str, kernel: str, **fields: Any
) -> Fields:
    """Mamba-2 with as many heads of that width; the arguments after them are the config's keys."""
    groups = c.count(n_groups)
    if n_heads % groups:
        c.fail(n_groups, f"{groups} must divide the number of heads, {n_heads}")
    return {
        "kind": "mamba2",
        "n_heads": n_heads,
        "head_dim": head_dim,
        "d_state": c.count(d_state),
        "n_groups": groups,
        "conv_kernel": c.count(kernel, least=2),
        "norm_groups": groups,
        **fields,
    }


def _step_limits(c: Config) -> Fields:
    """The limits of a step's size; by default any size."""

    def limit(value: Any) -> float | None:
        if value == {"__float__": "Infinity"}:  # as transformers writes it
            return math.inf
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        return float(value) if number and value >= 0 else None

    if not c.given("time_step_limit"):
        c.read.add("time_step_limit")
        return {}
    low, high = c.items("time_step_limit", limit, "a number of at least 0", 2)
    if high < low or not high:
        c.fail("time_step_limit", f"[{low}, {high}] must be ascending")
    return {"step_min": low, "step_max": None if math.isinf(high) else high}


# --- Mamba-2 with attention in some layers --------------------------------------------------------------------------


def _mamba2_of_hybrids(c: Config, width: int | None = None) -> Fields:
    """Mamba-2 by the keys that hybrids give it, of a `width` that one gives by itself."""
    says = "mamba_expand * hidden_size" if width is None else "mamba_d_ssm"
    width, n_heads = _expanded(c, "mamba_expand") if width is None else width, c.count("mamba_n_heads")
    if width % n_heads:
        c.fail("mamba_n_heads", f"{n_heads} must divide {says}, {width}")
    if c.value("mamba_d_head") != "auto" and c.count("mamba_d_head") * n_heads != width:
        c.fail("mamba_d_head", f"must be {width // n_heads}: {says} / mamba_n_heads")
    return mamba2_mixer(
        c,
        *(n_heads, width // n_heads),
        *("mamba_d_state", "mamba_n_groups", "mamba_d_conv"),
        conv_bias=c.flag("mamba_conv_bias"),
        bias=c.flag("mamba_proj_bias"),
        activation=fixed_activation(c, "hidden_act", "state space"),
        **_step_limits(c),
    )


def _hybrid(types: list[str], mixer: Fields, attention: Fields) -> Fields:
    return axis(types, lambda kind: mixer if kind == LINEAR else attention)


TYPES = {"mamba": LINEAR, "attention": FULL, LINEAR: LINEAR, FULL: FULL}


def granitemoehybrid(c: Config) -> Fields:
    types = (
        c.items("layer_types", lambda kind: TYPES.get(kind) if isinstance(kind, str) else None, "a type", c.layers())
        if c.given("layer_types")
        else layer_types(c, lambda _: LINEAR, (LINEAR,))
    )
    attention = granite_attention(c)
    positions = c.optional(lambda name: c.choice(name, {"rope": "rope", "nope": "nope"}), "position_embedding_type")
    if positions != "rope":
        attention |= NOPE
    expert_sum = shared(c, c.count("shared_intermediate_size"))
    if not (n_experts := c.count("num_local_experts", least=0)):
        c.read.update(("num_experts_per_tok", "intermediate_size"))
        ffn: Fields = expert_sum or {}
    else:
        ffn = moe(c, "num_local_experts", "intermediate_size", shared_expert=expert_sum)
        assert ffn["n_experts"] == n_experts
    return frame(c, rms(c), attention=_hybrid(types, _mamba2_of_hybrids(c), attention), ffn=ffn, **multipliers(c))


def bamba(c: Config) -> Fields:
    attending = set(c.optional(c.whole_numbers, "attn_layer_indices") or ())
    types = [FULL if layer in attending else LINEAR for layer in range(c.layers())]
    width = only_divided(c)
    attention = gqa(c, width, partial=True, **biased(c))
    c.expect("attn_rotary_emb", attention.get("rotary_dim", width), why="the width times partial_rotary_factor")
    return frame(
        c,
        rms(c),
        attention=_hybrid(types, _mamba2_of_hybrids(c), attention),
        ffn=dense(c, bias=c.flag("mlp_bias")),
    )


# --- Mamba-2 beside attention -----------------------------------------------------------------------------------------


def falcon_h1(c: Config) -> Fields:
    """Attention and Mamba-2 read the same values; their scaled outputs are added."""
    mixer = _mamba2_of_hybrids(c, c.optional(c.count, "mamba_d_ssm"))
    c.read.update(("mamba_expand", "mamba_norm_before_gate"))
    if c.flag("mamba_rms_norm"):
        mixer["norm_before_gate"] = c.flag("mamba_norm_before_gate")
    else:
        mixer["norm_groups"] = None
    if mixer["bias"] != c.flag("projectors_bias"):
        c.fail("projectors_bias", "must equal mamba_proj_bias: one field has the biases of both projections")
    scales = _scales(c, "ssm_multipliers", 5)
    mixer |= {
        f"{name}_scale": scale for name, scale in zip(("gate", "x", "write", "read", "step"), scales, strict=True)
    }
    width = head_dim(c)
    attention = gqa(c, width, score_scale=c.number("key_multiplier") * width**-0.5, **biased(c))
    gate_scale, output_scale = _scales(c, "mlp_multipliers", 2)
    return frame(
        c,
        rms(c),
        embedding_scale=c.number("embedding_multiplier"),
        logit_scale=c.number("lm_head_multiplier"),
        attention={
            "kind": "parallel",
            "branches": {"attention": attention, "mamba": mixer},
            "input_scales": _other_than_1(
                attention=c.number("attention_in_multiplier"), mamba=c.number("ssm_in_multiplier")
            ),
            "output_scales": _other_than_1(
                attention=c.number("attention_out_multiplier"), mamba=c.number("ssm_out_multiplier")
            ),
        },
        ffn=dense(c, bias=c.flag("mlp_bias"), gate_scale=gate_scale, output_scale=output_scale),
    )


def _scales(c: Config, name: str, n: int) -> list[float]:
    """A list of positive numbers; null is 1 for each."""

    def positive(value: Any) -> float | None:
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        return float(value) if number and value > 0 else None

    if not c.given(name):
        c.read.add(name)
        return [1.0] * n
    return c.items(name, positive, "a number above 0", n)


def _other_than_1(**scales: float) -> dict[str, float]:
    return {name: scale for name, scale in scales.items() if scale != 1}


# --- layers of one sublayer each ------------------------------------------------------------------------------------

LETTERS = {"M": LINEAR, "*": FULL, "E": EXPERTS, "-": DENSE}
SUBLAYERS = {**TYPES, EXPERTS: EXPERTS, DENSE: DENSE}


def nemotron_h(c: Config) -> Fields:
    """Each layer is Mamba-2, attention without positions, experts or a dense layer."""
    untied(c)
    types = _sublayers(c)
    bias = c.flag("use_bias")
    c.expect("mamba_proj_bias", *dict.fromkeys((bias, False)), why="use_bias, which alone the class reads")
    mixer = mamba2_mixer(
        c,
        *(c.count("mamba_num_heads"), c.count("mamba_head_dim")),
        *("ssm_state_size", "n_groups", "conv_kernel"),
        conv_bias=c.flag("use_conv_bias"),
        bias=bias,
        activation=fixed_activation(c, "mamba_hidden_act", "state space"),
        step_min=c.number("time_step_min"),
    )
    limits = _step_limits(c)
    if limits.get("step_min", 0.0) > mixer["step_min"] or limits.get("step_max") is not None:
        c.fail("time_step_limit", "is not read by the class, which limits steps by time_step_min alone")
    c.expect("attention_bias", False, why="the class has none")
    c.expect("sliding_window", None, why="the class attends to all tokens")
    width_of_heads = head_dim(c)
    c.expect("attention_head_dim", width_of_heads, why="head_dim, which alone the class reads")
    attention = {**heads(c, width_of_heads), **NOPE}
    c.expect("num_query_groups", attention["n_kv_heads"], why="num_key_value_heads, which alone the class reads")
    eps = c.number("layer_norm_epsilon")
    c.expect("norm_eps", eps, why="layer_norm_epsilon")
    c.expect("rms_norm_eps", eps, why="layer_norm_epsilon")
    plain = {
        "kind": "dense",
        "d_ff": c.count("intermediate_size"),
        "gated": False,
        "activation": c.choice("mlp_hidden_act", ACTIVATIONS),
        "bias": c.flag("mlp_bias"),
    }
    without_prediction_blocks(c, "num_nextn_predict_layers")
    mixers = {LINEAR: mixer, FULL: attention}
    experts = experts_if_any(c, [kind == EXPERTS for kind in types], lambda c: _latent_experts(c, plain))
    c.read.update(("moe_latent_size", "moe_shared_expert_intermediate_size"))
    layers = {DENSE: plain, EXPERTS: experts}
    return {
        "context_length": c.count("max_position_embeddings"),
        "d_model": c.count("hidden_size"),
        "n_layers": len(types),
        "vocab_size": c.count("vocab_size"),
        "norm": {"eps": eps},
        "attention": axis(types, mixers.get),
        "ffn": axis(types, layers.get),
    }


def _latent_experts(c: Config, plain: Fields) -> Fields:
    latent = c.optional(c.count, "moe_latent_size")
    if latent is not None and plain["bias"]:
        c.fail("mlp_bias", "true with moe_latent_size: the biases of the matrices around the experts have no field")
    c.expect("n_shared_experts", 1, why="one shared expert of moe_shared_expert_intermediate_size")
    shared_expert = {**plain, "d_ff": c.count("moe_shared_expert_intermediate_size")}
    if plain["activation"] == "xielu":
        c.fail("mlp_hidden_act", "has learned values, which experts do not have")
    c.read.add("n_shared_experts")
    found = grouped_sigmoid_moe(c, n_shared_experts="no_shared_experts", gated=False, latent=latent)
    return {**found, "activation": plain["activation"], "shared_expert": shared_expert}


def _sublayers(c: Config) -> list[str]:
    """The type of each layer: a list, or a letter for each in the older form."""
    listed = next((name for name in ("layers_block_type", "layer_types") if c.given(name)), None)
    letters = c.data.get("hybrid_override_pattern")
    c.read.update(("hybrid_override_pattern", "layers_block_type", "layer_types"))
    if listed is not None:
        types = c.items(listed, lambda kind: SUBLAYERS.get(kind) if isinstance(kind, str) else None, "a layer's type")
    elif letters is not None:
        if not isinstance(letters, str) or not letters or set(letters) - set(LETTERS):
            c.fail("hybrid_override_pattern", f"must be of the letters {' '.join(LETTERS)}, not {shown(letters)}")
        types = [LETTERS[letter] for letter in letters]
    else:
        types = c.filled_in("layers_block_type", [LINEAR, EXPERTS, FULL, DENSE])
    if not types:
        c.fail("layers_block_type", "must not be empty")
    if listed is not None and letters is not None and types != [LETTERS.get(letter) for letter in str(letters)]:
        c.fail("hybrid_override_pattern", "says something else than the list of layers; keep one")
    c.expect("num_hidden_layers", len(types), None, why="the number of layers in the pattern")
    return types


# --- Jamba ----------------------------------------------------------------------------------------------------------


def jamba(c: Config) -> Fields:
    n_layers = c.layers()

    def every_nth(what: str) -> list[bool]:
        period, offset = c.count(f"{what}_layer_period"), c.count(f"{what}_layer_offset", least=0)
        if offset >= period:
            c.fail(f"{what}_layer_offset", f"{offset} must be below {what}_layer_period, {period}")
        return [layer % period == offset for layer in range(n_layers)]

    mixer = _mamba(
        c,
        _expanded(c, "mamba_expand"),
        *("mamba_d_state", "mamba_d_conv", "mamba_dt_rank", "mamba_conv_bias", "mamba_proj_bias"),
        inner_norms=True,
    )
    attention = {**heads(c, only_divided(c)), **NOPE}
    types = [FULL if attends else LINEAR for attends in every_nth("attn")]
    sparse = every_nth("expert") if c.count("num_experts") > 1 else [False] * n_layers
    c.read.update(("expert_layer_period", "expert_layer_offset"))
    plain = dense(c)
    ffn = mixed(sparse, moe(c, "num_experts", "intermediate_size", renormalize=False), plain) if any(sparse) else plain
    c.read.add("num_experts_per_tok")
    return frame(c, rms(c), attention=_hybrid(types, mixer, attention), ffn=ffn)


# --- tables ---------------------------------------------------------------------------------------------------------

# How weights are drawn, and how a class computes.
IN_MIXERS: dict[str, Accepted] = {
    **dict.fromkeys(
        "time_step_floor time_step_init_scheme time_step_max time_step_scale rescale_prenorm_residual residual_in_fp32"
        " use_mambapy use_associative_scan use_mamba_kernels chunk_size mamba_chunk_size mamba_ssm_cache_dtype".split(),
        ANY,
    ),
}
ALONE: dict[str, Any] = {
    "hidden_act": "silu",
    "layer_norm_epsilon": 1e-5,
    "expand": 2,
    "conv_kernel": 4,
    "use_bias": False,
    "use_conv_bias": True,
}
HYBRID: dict[str, Any] = {
    "mamba_n_heads": 128,
    "mamba_n_groups": 1,
    "mamba_d_state": 256,
    "mamba_d_head": "auto",
    "mamba_d_conv": 4,
    "mamba_expand": 2,
    "mamba_conv_bias": True,
    "mamba_proj_bias": False,
}

SCALED_IN_H1 = ("lm_head", "embedding", "key", "attention_in", "attention_out", "ssm_in", "ssm_out")

FAMILIES = (
    Family(
        "mamba",
        mamba,
        ALONE
        | {"vocab_size": 50_280, "hidden_size": 768, "state_size": 16, "num_hidden_layers": 32}
        | {"time_step_rank": "auto", "tie_word_embeddings": True},
        without_effect=IN_MIXERS | {"time_step_min": ANY},
    ),
    Family(
        "falcon_mamba",
        falcon_mamba,
        ALONE
        | {"vocab_size": 50_280, "hidden_size": 768, "state_size": 16, "num_hidden_layers": 32}
        | {"time_step_rank": "auto", "tie_word_embeddings": True, "mixer_rms_eps": 1e-6},
        without_effect=IN_MIXERS | {"time_step_min": ANY},
    ),
    Family(
        "mamba2",
        mamba2,
        ALONE
        | {"vocab_size": 32_768, "hidden_size": 4096, "state_size": 128, "num_hidden_layers": 64, "num_heads": 128}
        | {"head_dim": 64, "n_groups": 8, "tie_word_embeddings": False},
        without_effect=IN_MIXERS
        | {"time_step_min": ANY, "time_step_rank": ANY}
        | {"rms_norm": (True,), "norm_before_gate": ANY},  # the class gates first, whatever this says
    ),
    Family(
        "granitemoehybrid",
        granitemoehybrid,
        USUAL
        | BIASES
        | MULTIPLIERS
        | HYBRID
        | {"shared_intermediate_size": 1024, "num_local_experts": 8, "num_experts_per_tok": 2, "layer_types": None}
        | sizes(32_000, 4096, 11_008, 32, 32, None, 2048),
        aliases={"layers_block_type": "layer_types"},
        without_effect=IN_MIXERS | {"init_method": ANY, "normalization_function": ("rmsnorm",)},
    ),
    Family(
        "bamba",
        bamba,
        USUAL
        | BIASES
        | HYBRID
        | {"rms_norm_eps": 1e-5, "partial_rotary_factor": 0.5, "attn_layer_indices": None}
        | sizes(128_000, 4096, 14_336, 32, 32, 8, 262_144),
        without_effect=IN_MIXERS | {"z_loss_coefficient": ANY, "num_logits_to_keep": ANY},
    ),
    Family(
        "falcon_h1",
        falcon_h1,
        USUAL
        | BIASES
        | HYBRID
        | {f"{name}_multiplier": 1.0 for name in SCALED_IN_H1}
        | {"rms_norm_eps": 1e-5, "mamba_d_ssm": 1024, "mamba_norm_before_gate": True, "mamba_rms_norm": False}
        | {"projectors_bias": False, "mlp_multipliers": None, "ssm_multipliers": None}
        | sizes(128_000, 4096, 14_336, 32, 32, 8, 8192),
        without_effect=IN_MIXERS
        | {
            **dict.fromkeys("num_logits_to_keep layer_types layers_block_type add_bos_token".split(), ANY),
            # Of the authors' code: the class always has all sublayers, and intermediate_size is the width.
            "attn_layer_indices": (None,),
            "mamba_use_mlp": (True,),
            **dict.fromkeys(("mlp_expansion_factor", "expansion_factor"), ANY),
            **dict.fromkeys(("time_step_min", "time_step_rank"), ANY),
        },
    ),
    Family(
        "nemotron_h",
        nemotron_h,
        {
            "vocab_size": 131_072,
            "hidden_size": 4096,
            "tie_word_embeddings": False,
            "num_attention_heads": 32,
            "num_key_value_heads": 8,
            "head_dim": 128,
            "max_position_embeddings": 4096,
            "intermediate_size": 21_504,
            "mlp_hidden_act": "relu2",
            "mlp_bias": False,
            "ssm_state_size": 128,
            "mamba_num_heads": 128,
            "mamba_head_dim": 64,
            "mamba_hidden_act": "silu",
            "n_groups": 8,
            "conv_kernel": 4,
            "time_step_min": 0.001,
            "use_conv_bias": True,
            "use_bias": False,
            "layer_norm_epsilon": 1e-5,
            "n_routed_experts": 8,
            "n_shared_experts": 1,
            "moe_intermediate_size": 7688,
            "moe_shared_expert_intermediate_size": 7688,
            "moe_latent_size": None,
            "num_experts_per_tok": 2,
            "routed_scaling_factor": 1.0,
            "n_group": 1,
            "topk_group": 1,
            "norm_topk_prob": True,
            "hidden_act": "silu",
        },
        aliases={
            "mamba_n_groups": "n_groups",
            "mamba_d_conv": "conv_kernel",
            "mamba_dt_min": "time_step_min",
            "mamba_dt_limit": "time_step_limit",
            "mamba_conv_bias": "use_conv_bias",
        },
        without_effect=IN_MIXERS
        | {
            **dict.fromkeys("expand partial_rotary_factor rope_theta hidden_dropout".split(), ANY),
            **dict.fromkeys("mtp_hybrid_override_pattern mtp_layers_block_type num_logits_to_keep".split(), ANY),
            **dict.fromkeys("moe_shared_expert_overlap hidden_act time_step_rank".split(), ANY),
        },
    ),
    Family(
        "jamba",
        jamba,
        {key: value for key, value in USUAL.items() if not key.startswith("rope")}
        | {"num_experts_per_tok": 2, "num_experts": 16, "expert_layer_period": 2, "expert_layer_offset": 1}
        | {"attn_layer_period": 8, "attn_layer_offset": 4, "mamba_d_state": 16, "mamba_d_conv": 4, "mamba_expand": 2}
        | {"mamba_dt_rank": "auto", "mamba_conv_bias": True, "mamba_proj_bias": False}
        | sizes(65_536, 4096, 14_336, 32, 32, 8, 262_144),
        without_effect=IN_MIXERS
        | {
            **dict.fromkeys(("num_logits_to_keep", "calc_logits_for_entire_prompt"), ANY),
            "mamba_inner_layernorms": (True,),
            "n_ctx": (262_144,),  # nothing has positions
            "sliding_window": (None,),
        },
    ),
)
