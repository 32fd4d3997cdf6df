"""Parts shared by families: model-wide fields, attention, layer types and feed-forward layers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from llmarch_cli.errors import shown
from llmarch_cli.huggingface.importing.keys import TIED, Config, one_of
from llmarch_cli.huggingface.importing.layers import Fields, axis
from llmarch_cli.huggingface.importing.rope import FULL, SCALINGS, SLIDING, Scaling, rope

ACTIVATIONS = {
    "silu": "silu",
    "swish": "silu",
    "gelu": "gelu",
    "gelu_python": "gelu",
    "gelu_new": "gelu_tanh",
    "gelu_fast": "gelu_tanh",
    "gelu_pytorch_tanh": "gelu_tanh",
    "gelu_accurate": "gelu_tanh",
    "quick_gelu": "quick_gelu",
    "relu": "relu",
    "relu2": "relu2",
    "xielu": "xielu",
}


def frame(c: Config, norm: Fields, **fields: Any) -> Fields:
    """The model-wide fields, and `fields`: attention, ffn and those specific to a family.

    A family that counts layers otherwise gives `n_layers`.
    """
    return {
        "context_length": c.count("max_position_embeddings"),
        "d_model": c.count("hidden_size"),
        "n_layers": fields["n_layers"] if "n_layers" in fields else c.layers(),
        "vocab_size": c.count("vocab_size"),
        "tie_embeddings": c.flag("tie_word_embeddings"),
        "norm": norm,
        **fields,
    }


def rms(c: Config, **fields: Any) -> Fields:
    """Root-mean-square norms."""
    return {"eps": c.number("rms_norm_eps"), **fields}


def layer_norm(c: Config, eps: str = "layer_norm_eps", **fields: Any) -> Fields:
    """Layer norms. `eps` is the family's key for their epsilon."""
    return {"kind": "layer", "eps": c.number(eps), **fields}


def untied(c: Config) -> None:
    """Refuse a tied head in a family whose class ties none."""
    if c.flag(TIED):
        c.fail(TIED, "true is not supported: the class of this family ties nothing")


def fixed_activation(c: Config, name: str, owner: str) -> str:
    """An activation without learned values. `owner` completes the error that refuses one with them."""
    found = c.choice(name, ACTIVATIONS)
    if found == "xielu":
        c.fail(name, f"{shown(found)} has learned values, which no {owner} has")
    return found


def without_prediction_blocks(c: Config, name: str) -> int:
    """The number of multi-token-prediction blocks under this key; if there are any, a note says that they are left out.

    Use `n_mtp_blocks` of a spec instead where transformers or the authors publish how they are built.
    """
    found = c.optional(c.count, name, least=0) or 0
    if found:
        c.notes.append(f"Multi-token-prediction blocks ({name}) are left out.")
    return found


# --- attention ------------------------------------------------------------------------------------------------------


def divided_width(c: Config) -> int:
    """The head width as hidden_size / num_attention_heads."""
    width = c.count("hidden_size") // c.count("num_attention_heads")
    if not width:
        c.fail("num_attention_heads", f"{c.count('num_attention_heads')}, more than hidden_size")
    return width


def head_dim(c: Config) -> int:
    """`head_dim` if given, else hidden_size / num_attention_heads."""
    return c.optional(c.count, "head_dim") or divided_width(c)


def only_divided(c: Config) -> int:
    """The head width of families without `head_dim`; if given, it must be the same."""
    width = divided_width(c)
    c.expect("head_dim", width, why="hidden_size / num_attention_heads in this family")
    return width


def heads(c: Config, width: int) -> Fields:
    """Grouped-query attention without rotary fields. A family without a default of the key heads requires them."""
    n_heads, name = c.count("num_attention_heads"), "num_key_value_heads"
    n_kv_heads = c.optional(c.count, name) or n_heads if name in c.defaults else c.count(name)
    return {"kind": "gqa", "n_heads": n_heads, "n_kv_heads": n_kv_heads, "head_dim": width}


def gqa(
    c: Config,
    width: int | None = None,
    partial: bool = False,
    scalings: Mapping[str, Scaling] = SCALINGS,
    **fields: Any,
) -> Fields:
    """Grouped-query attention with the same rotary settings in all layers."""
    width = head_dim(c) if width is None else width
    return {**heads(c, width), **rope(c, width, partial, scalings), **fields}


def multi_head(c: Config, **fields: Any) -> Fields:
    """Multi-head attention of families without `head_dim`, whose heads divide the model's width, without positions."""
    n_heads, d_model, width = c.count("num_attention_heads"), c.count("hidden_size"), only_divided(c)
    if width * n_heads != d_model:
        c.fail("hidden_size", f"{d_model} must be a multiple of the number of heads, {n_heads}")
    c.expect("num_key_value_heads", n_heads, why="each head has keys of its own in this family")
    return {"kind": "gqa", "n_heads": n_heads, "n_kv_heads": n_heads, "head_dim": width, **fields}


BIASED: Fields = {"qkv_bias": True, "o_bias": True}
NOPE: Fields = {"rope_theta": None, "rope_scaling": None, "rope_interleaved": False}


def biased(c: Config, name: str = "attention_bias") -> Fields:
    """The biases of all four projections, from one key."""
    return {"qkv_bias": c.flag(name), "o_bias": c.flag(name)}


def layer_types(c: Config, usual: Callable[[int], str], known: tuple[str, ...] = (FULL, SLIDING)) -> list[str]:
    """The type of each layer: `layer_types` if given, else `usual` of the layer index."""
    n_layers = c.layers()
    if c.given("layer_types"):
        return c.items("layer_types", one_of(known), " or ".join(known), n_layers)
    c.optional(c.whole_numbers, "layer_types")
    return [usual(layer) for layer in range(n_layers)]


def window(c: Config, layer_type: str) -> int | None:
    """The window of a layer of this type; None for full attention."""
    found = c.optional(c.count, "sliding_window", least=0)
    if layer_type != SLIDING:
        return None
    if not found:
        c.fail("sliding_window", f"{shown(found)}, but some layers have a window")
    return found


def every(step: int, otherwise: str = SLIDING) -> Callable[[int], str]:
    """Full attention in every `step`-th layer, `otherwise` in the others."""
    return lambda layer: otherwise if (layer + 1) % step else FULL


def switched_window(c: Config) -> int | None:
    """`sliding_window` if `use_sliding_window` is true."""
    on = c.flag("use_sliding_window")
    if not (on or c.given("sliding_window")):
        c.read.add("sliding_window")
        return None
    found = c.optional(c.count, "sliding_window", least=0)
    if on and found == 0:
        c.fail("sliding_window", "0 with use_sliding_window: transformers then masks every token of such layers")
    return found if on else None


def windows_above(c: Config, span: int | None) -> list[int | None]:
    """The window of each layer; by default, layers from `max_window_layers` on have one."""
    start = None
    if span or c.given("max_window_layers"):
        start = c.optional(c.count, "max_window_layers", least=0)
    c.read.add("max_window_layers")
    types = layer_types(c, lambda layer: SLIDING if span and start is not None and layer >= start else FULL)
    return windows_by_type(c, span, types)


def windows_by_type(c: Config, span: int | None, types: Sequence[str]) -> list[int | None]:
    """The window of each layer: `span`, None if windows are turned off, in layers of type `SLIDING`."""
    if span is None and SLIDING in types:
        c.fail("layer_types", "names sliding_attention, but sliding_window is absent or turned off")
    return [span if layer_type == SLIDING else None for layer_type in types]


def windowed(attention: Fields, windows: Sequence[int | None]) -> Fields:
    """Attention with the window of each layer."""
    return axis(windows, lambda span: {**attention, "window": span})


def by_type(c: Config, attention: Fields, types: Sequence[str], of_type: Mapping[str, Fields] | None = None) -> Fields:
    """Attention with a window in layers of type `SLIDING`. `of_type` has what else differs by type."""
    return axis(types, lambda kind: {**attention, **(of_type or {}).get(kind, {}), "window": window(c, kind)})


# --- feed-forward layers --------------------------------------------------------------------------------------------


def dense(c: Config, act: str = "hidden_act", **fields: Any) -> Fields:
    """A dense layer, gated unless `fields` override it."""
    return {"kind": "dense", "d_ff": c.count("intermediate_size"), "activation": c.choice(act, ACTIVATIONS), **fields}


def ungated(c: Config, d_ff: int, act: str = "activation_function", bias: bool = True) -> Fields:
    """A dense layer of width `d_ff` without a gate."""
    activation = c.choice(act, ACTIVATIONS)
    return {"kind": "dense", "d_ff": d_ff, "activation": activation, "gated": False, "bias": bias}


def inner_width(c: Config, name: str = "n_inner") -> int:
    """The width of a feed-forward layer: four times that of the model if not given."""
    return c.optional(c.count, name) or 4 * c.count("hidden_size")


def moe(c: Config, n_experts: str, d_ff: str, top_k: str | int = "num_experts_per_tok", **fields: Any) -> Fields:
    """Routed experts. The arguments are the config's keys for their number, width and how many each token uses."""
    return {
        "kind": "moe",
        "n_experts": c.count(n_experts),
        "top_k": c.count(top_k) if isinstance(top_k, str) else top_k,
        "d_ff": c.count(d_ff),
        "activation": c.choice("hidden_act", ACTIVATIONS),
        **fields,
    }


def sigmoid_moe(c: Config, n_experts: str, scale: str, **fields: Any) -> Fields:
    """Experts scored by a sigmoid and chosen with a bias; `scale` is the key of the factor of their weights."""
    return moe(
        c,
        n_experts,
        "moe_intermediate_size",
        scoring="sigmoid",
        selection_bias=True,
        routed_scale=c.number(scale),
        **fields,
    )


def shared(c: Config, width: int, **fields: Any) -> Fields | None:
    """A shared expert of this width; None if the width is 0."""
    if not width and fields.get("bias"):
        c.fail("mlp_bias", "true without shared experts: the bias that transformers keeps for them has no field")
    activation = c.choice("hidden_act", ACTIVATIONS)
    return {"kind": "dense", "d_ff": width, "activation": activation, **fields} if width else None


def grouped_sigmoid_moe(
    c: Config, n_experts: str = "n_routed_experts", n_shared_experts: str = "n_shared_experts", **fields: Any
) -> Fields:
    """Experts as in DeepSeek-V3, also used by other families (arXiv 2412.19437, section 2.1.2)."""
    c.expect("scoring_func", "sigmoid", "noaux_tc")
    c.expect("topk_method", "noaux_tc")
    n_shared = c.optional(c.count, n_shared_experts, least=0) or 0
    return sigmoid_moe(
        c,
        n_experts,
        "routed_scaling_factor",
        renormalize=c.flag("norm_topk_prob"),
        shared_expert=shared(c, n_shared * c.count("moe_intermediate_size")),
        **expert_groups(c),
        **fields,
    )


def expert_groups(c: Config) -> Fields:
    """The groups of experts, and how many are kept; one group has no effect."""
    n_groups, kept = (c.optional(c.count, name) or 1 for name in ("n_group", "topk_group"))
    if kept > n_groups:
        c.fail("topk_group", f"{kept}, but there are {n_groups} groups (n_group)")
    return {"n_groups": n_groups, "top_k_groups": kept} if n_groups > 1 else {}


def mixed(sparse: list[bool], experts: Fields, plain: Fields) -> Fields:
    """Experts in the layers marked sparse, a dense layer in the others."""
    return axis(sparse, lambda is_sparse: experts if is_sparse else plain)


EXPERT_KEYS = """
    n_routed_experts num_local_experts num_experts num_experts_per_tok moe_intermediate_size n_shared_experts n_group
    topk_group topk_method scoring_func norm_topk_prob routed_scaling_factor
"""


def experts_if_any(c: Config, sparse: list[bool], experts: Callable[[Config], Fields]) -> Fields:
    """The experts, if any layer has some. If none does, no key of theirs has an effect or is required."""
    if any(sparse):
        return experts(c)
    c.read.update(EXPERT_KEYS.split())
    return {}


def sparse_from(c: Config, n_dense: int) -> list[bool]:
    """Whether each layer has experts: all but the first `n_dense`."""
    return [layer >= n_dense for layer in range(c.layers())]


def dense_below(c: Config) -> list[bool]:
    """Whether each layer has experts: the first `first_k_dense_replace` are dense."""
    c.expect("moe_layer_freq", 1)
    return sparse_from(c, c.count("first_k_dense_replace", least=0))


def listed_sparse(c: Config, usual: list[bool] | None = None) -> list[bool]:
    """Whether each layer has experts: `mlp_layer_types` if given, else `usual`; None for all but the first."""
    usual = sparse_from(c, 1) if usual is None else usual
    if not c.given("mlp_layer_types"):
        c.read.add("mlp_layer_types")
        return usual
    kinds = c.items("mlp_layer_types", one_of(("dense", "sparse")), "dense or sparse", c.layers())
    return [kind == "sparse" for kind in kinds]
