"""Random valid specs over all kinds and all fields, for laws that hold for every model."""

from __future__ import annotations

from functools import cache, lru_cache
from itertools import cycle, islice
from math import gcd
from typing import Any, get_args

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from llmarch_cli.components.cache import Rows
from llmarch_cli.components.component import cache_entries, views
from llmarch_cli.components.ffn.gate import Activation
from llmarch_cli.components.frame import NormPlacement
from llmarch_cli.profilers.cost import ROW_ENCODINGS, KvDtype, Workload
from llmarch_cli.specs.encodings import group_of
from llmarch_cli.specs.spec import NONE, ModelSpec

Data = dict[str, Any]

LONG_CONTEXT = 1_048_576

UNLEARNED = tuple(name for name in get_args(Activation) if name != "xielu")

booleans = st.booleans()
factors = st.floats(0.01, 100.0, allow_nan=False)


# Strategies are cached where they are asked for at each draw: hypothesis checks every new one.
@cache
def widths(aligned: bool) -> SearchStrategy[int]:
    """Small and large widths; `aligned` ones are multiples of 8, as torch's grouped product needs them."""
    any_width = st.integers(1, 24) | st.sampled_from((64, 255, 1000, 7168, 18_432))
    return any_width.map(lambda width: 8 * width) if aligned else any_width


def weight_formats() -> SearchStrategy[str]:
    """Formats that store a matrix of any width."""
    return st.sampled_from(("bf16", "fp32", "fp8", "fp8-channel", "fp8-block", "int8", "bnb-nf4", "q4_k", "q6_k"))


@lru_cache
def optional(strategy: SearchStrategy[Any]) -> SearchStrategy[Any]:
    return st.none() | strategy


@st.composite
def rope_scalings(draw: DrawFn, n_pairs: int) -> Data | None:
    kind = draw(st.sampled_from((None, "linear", "dynamic_ntk", "stepped_ntk", "ntk_by_parts", "yarn", "longrope")))
    if kind is None:
        return None
    data: Data = {"kind": kind} if kind == "stepped_ntk" else {"kind": kind, "factor": draw(factors)}
    if kind != "linear":
        data["original_context_length"] = draw(st.sampled_from((16, 4096)))
    if kind == "ntk_by_parts":
        low, high = sorted((draw(factors), draw(factors)))
        data |= {"low_freq_factor": low, "high_freq_factor": draw(st.sampled_from((low, high)))}
    if kind == "yarn":
        data["beta_slow"], data["beta_fast"] = sorted((draw(factors), draw(factors)))
        for name in ("mscale", "mscale_all_dim", "attention_factor"):
            data[name] = draw(optional(factors))
        data["truncate"] = draw(booleans)
    if kind == "longrope":
        for name in ("short_factor", "long_factor"):
            few = draw(st.lists(factors, min_size=1, max_size=2))
            data[name] = [few[i % len(few)] for i in range(n_pairs)]
        data["attention_factor"] = draw(optional(factors))
    return data


@st.composite
def rotary(draw: DrawFn, n_pairs: int) -> Data:
    """Rotary settings for heads with `n_pairs` rotated pairs."""
    if draw(booleans):
        return {"rope_theta": draw(st.sampled_from((1.5, 10_000, 1e6)))} | {
            "rope_scaling": draw(rope_scalings(n_pairs)),
            **{name: draw(booleans) for name in ("rope_interleaved", "rope_reversed")},
        }
    return {}


@st.composite
def block_indexers(draw: DrawFn, n_kv_heads: int, least: int) -> Data:
    """An indexer of blocks for `n_kv_heads` key heads, of keys with `least` values or more."""
    top_k = draw(st.integers(1, 4))
    return {
        "n_heads": draw(st.sampled_from([n for n in range(1, n_kv_heads + 1) if n_kv_heads % n == 0])),
        "head_dim": least + draw(st.integers(0, 3)),
        "block": draw(st.sampled_from((1, 2, 3, 128))),
        "top_k": top_k,
        "local": draw(st.integers(0, min(top_k, 2))),
    }


TEMPERATURES = st.fixed_dictionaries(
    {
        "kind": st.just("log_floor"),
        "floor_scale": factors,
        "attn_scale": factors,
        "offset": st.sampled_from((0, 1)),
    }
) | st.fixed_dictionaries({"kind": st.just("log_ratio"), "length": st.integers(2, 8192), "offset": st.integers(0, 1)})


@st.composite
def gqa(draw: DrawFn) -> Data:
    n_kv_heads = draw(st.sampled_from((1, 2, 3, 8)))
    head_pairs = draw(st.sampled_from((1, 3, 4, 32, 64)))
    rotary_pairs = draw(optional(st.integers(1, head_pairs)))
    gate = draw(st.sampled_from((None, "elementwise", "per_head")))
    data: Data = {
        "kind": "gqa",
        "n_heads": n_kv_heads * draw(st.sampled_from((1, 2, 3, 8))),
        "n_kv_heads": n_kv_heads,
        "head_dim": 2 * head_pairs,
        "v_head_dim": draw(optional(st.integers(1, 9))),
        "output_gate": gate,
        "output_gate_activation": draw(st.sampled_from(("sigmoid", "softplus"))) if gate else "sigmoid",
        "qk_norm": draw(st.sampled_from((None, "per_head", "per_head_weights", "full", "weightless"))),
        "softcap": draw(optional(factors)),
        "score_scale": draw(optional(factors)),
        "temperature": draw(optional(TEMPERATURES)),
        "value_scale": draw(factors),
        **{name: draw(booleans) for name in ("qkv_bias", "o_bias", "sinks", "sub_norm", "block_norms")},
        **draw(rotary(rotary_pairs or head_pairs)),
    }
    if "rope_theta" in data:
        if rotary_pairs is not None:
            if (data["rope_scaling"] or {}).get("kind") != "longrope" and draw(booleans):
                data["rotary_pairs"] = rotary_pairs
            else:
                data["rotary_dim"] = 2 * rotary_pairs
        data["qk_norm_after_rope"] = data["qk_norm"] not in (None, "full") and draw(booleans)
        data["k_norm_after_cache"] = data["qk_norm_after_rope"] and draw(booleans)
    else:
        data["alibi"] = draw(st.sampled_from((False, True, "unscaled")))
    if data["qk_norm"] in (None, "full"):
        data["clip_qkv"] = draw(optional(factors))
    data["v_norm"] = draw(booleans)
    if data["v_head_dim"] is None and data["qk_norm"] != "full":
        data["values_from_keys"] = draw(booleans)
    span = draw(st.sampled_from((None, "window", "chunk", "indexer")))
    if span == "indexer":
        data["indexer"] = draw(block_indexers(n_kv_heads, data.get("rotary_dim") or 2 * head_pairs))
        data.pop("alibi", None)
        return data
    return data if span is None else {**data, span: draw(st.integers(1, 9) | st.sampled_from((128, 8192)))}


@st.composite
def indexers(draw: DrawFn, least: int) -> Data:
    """An indexer of keys with `least` values or more."""
    return {
        "n_heads": draw(st.sampled_from((1, 2, 7, 64))),
        "head_dim": least + draw(st.integers(0, 3)),
        "top_k": draw(st.integers(1, 9) | st.sampled_from((128, 2048))),
        "rope_interleaved": draw(booleans),
    }


@st.composite
def mla(draw: DrawFn) -> Data:
    ranks = st.integers(1, 16) | st.sampled_from((64, 512))
    rotary_pairs = draw(st.integers(1, 16))
    q_lora_rank = draw(optional(ranks))
    return {
        "kind": "mla",
        "n_heads": draw(st.sampled_from((1, 2, 5, 16))),
        "q_lora_rank": q_lora_rank,
        "indexer": None if q_lora_rank is None else draw(optional(indexers(2 * rotary_pairs))),
        "kv_lora_rank": draw(ranks),
        "qk_nope_head_dim": draw(st.integers(1, 16)),
        "qk_rope_head_dim": 2 * rotary_pairs,
        "v_head_dim": draw(st.integers(1, 16)),
        "bias": draw(booleans),
        "q_scale": draw(st.sampled_from((1.0, 2.0))),
        "latent_scale": draw(st.sampled_from((1.0, 3.5))),
        "temperature": draw(optional(TEMPERATURES)),
        **draw(rotary(rotary_pairs)),
    }


@st.composite
def dense(draw: DrawFn, aligned: bool) -> Data:
    gated = draw(booleans)
    activations = get_args(Activation)
    data = {
        "kind": "dense",
        "d_ff": draw(widths(aligned)),
        "activation": draw(st.sampled_from([each for each in activations if not gated or each != "xielu"])),
        "gated": gated,
        "bias": draw(booleans),
    }
    data["output_scale"] = draw(st.sampled_from((1.0, 0.5)))
    if gated:
        data |= {"clamp": draw(optional(factors)), "up_offset": draw(st.sampled_from((0.0, -0.5, 1.0)))}
        data["clamp_after_activation"] = data["clamp"] is not None and draw(booleans)
        data["gate_scale"] = draw(st.sampled_from((1.0, 0.5)))
        data["activation_sparsity"] = draw(st.sampled_from((None, 0.5, 0.95)))
    return data | {name: draw(booleans) for name in ("sub_norm", "input_norm", "output_norm")}


@st.composite
def moe(draw: DrawFn, aligned: bool) -> Data:
    n_groups, group_size = draw(st.integers(1, 6)), draw(st.integers(1, 6))
    expert = draw(dense(aligned).filter(lambda data: data["activation"] != "xielu"))
    for name in ("sub_norm", "output_scale", "gate_scale", "activation_sparsity"):
        expert.pop(name, None)
    data = expert | {
        "kind": "moe",
        "n_experts": n_groups * group_size,
        "n_zero_experts": None,
        "top_k": draw(st.integers(1, n_groups * group_size)),
        "scoring": draw(st.sampled_from(("softmax", "sigmoid", "sqrt_softplus", "sparsemixer"))),
        "routed_scale": draw(factors),
        "router_softcap": draw(optional(factors)),
        "shared_expert": draw(optional(dense(aligned))),
        "latent": draw(optional(widths(aligned))),
        **{name: draw(booleans) for name in ("input_norm", "router_norm", "expert_scales")},
        **{name: draw(booleans) for name in ("renormalize", "scale_input", "router_bias", "output_norm")},
    }
    data["shared_expert_gate"] = data["shared_expert"] is not None and draw(booleans)
    if data["scoring"] != "sparsemixer" and draw(st.sampled_from((False, False, True))):
        return data | {"hashed_tokens": draw(st.integers(1, 300_000))}
    if data["scoring"] == "sparsemixer":
        return data | {"router_jitter": draw(st.sampled_from((0.01, 0.5)))}
    data["n_zero_experts"] = draw(optional(st.integers(1, 9)))
    data["selection_bias"] = draw(booleans)
    if data["selection_bias"]:
        data["selection_from"] = draw(st.sampled_from(("scores", "logits")))
    if data["n_zero_experts"] is None and draw(booleans):
        top_k_groups = draw(st.integers(1, n_groups))
        score = "max" if group_size == 1 else draw(st.sampled_from(("max", "top2_sum")))
        data |= {"n_groups": n_groups, "top_k_groups": top_k_groups, "group_score": score}
        data["top_k"] = min(data["top_k"], top_k_groups * group_size)
    return data


@st.composite
def parallel(draw: DrawFn, aligned: bool) -> Data:
    names = draw(st.lists(st.sampled_from(("dense", "moe", "wide", "b_1")), min_size=2, max_size=3, unique=True))
    branches = {name: draw(dense(aligned) | moe(aligned)) for name in names}
    norms = {name: draw(booleans) for name in ("output_norm", "block_norms")}
    return {"kind": "parallel", "branches": branches, "scale": draw(factors), **norms}


def lightning() -> SearchStrategy[Data]:
    return st.fixed_dictionaries(
        {
            "kind": st.just("lightning"),
            "n_heads": st.integers(1, 9),
            "head_dim": st.integers(1, 9) | st.just(128),
            "activation": st.sampled_from(UNLEARNED),
        }
    )


def short_conv() -> SearchStrategy[Data]:
    return st.fixed_dictionaries(
        {
            "kind": st.just("short_conv"),
            "channels": st.integers(1, 24) | st.just(2048),
            "conv_kernel": st.integers(2, 5),
            "bias": booleans,
        }
    )


@st.composite
def rg_lru(draw: DrawFn) -> Data:
    n_blocks = draw(st.integers(1, 10))
    return {
        "kind": "rg_lru",
        "width": n_blocks * draw(st.integers(1, 9)),
        "n_blocks": n_blocks,
        "conv_kernel": draw(st.integers(2, 5)),
        "activation": draw(st.sampled_from(UNLEARNED)),
        "bias": draw(booleans),
    }


@st.composite
def rwkv4(draw: DrawFn) -> Data:
    return {"kind": "rwkv4", "channels": 1, "width": draw(st.integers(1, 24) | st.just(2048))}


@st.composite
def channel_mixing(draw: DrawFn, aligned: bool) -> Data:
    return {"kind": "channel_mixing", "channels": 1, "d_ff": draw(widths(aligned))}


@st.composite
def gated_deltanet(draw: DrawFn) -> Data:
    n_k_heads = draw(st.sampled_from((1, 2, 3)))
    return {
        "kind": "gated_deltanet",
        "n_k_heads": n_k_heads,
        "n_v_heads": n_k_heads * draw(st.sampled_from((1, 2, 3))),
        "k_head_dim": draw(st.integers(1, 9) | st.just(128)),
        "v_head_dim": draw(st.integers(1, 9) | st.just(128)),
        "conv_kernel": draw(st.integers(2, 5)),
        "negative_eigenvalues": draw(booleans),
        "norm_eps": draw(optional(st.just(1e-5))),
    }


@st.composite
def kda(draw: DrawFn) -> Data:
    return {
        "kind": "kda",
        "n_heads": draw(st.integers(1, 3)),
        "head_dim": draw(st.integers(1, 9) | st.just(128)),
        "conv_kernel": draw(st.integers(2, 5)),
    }


@st.composite
def mamba(draw: DrawFn) -> Data:
    inner_norms = draw(st.sampled_from((True, False, "weightless")))
    return {
        "kind": "mamba",
        "width": draw(st.integers(1, 24) | st.just(2048)),
        "d_state": draw(st.integers(1, 9)),
        "step_rank": draw(st.integers(1, 9)),
        "conv_kernel": draw(st.integers(2, 5)),
        "inner_norms": inner_norms,
        "inner_eps": draw(st.sampled_from((None, 1e-4))) if inner_norms else None,
        "activation": draw(st.sampled_from(("silu", "gelu"))),
        **{name: draw(booleans) for name in ("conv_bias", "bias")},
    }


@st.composite
def mamba2(draw: DrawFn) -> Data:
    n_groups, width = draw(st.sampled_from((1, 2, 3))), draw(st.integers(1, 9) | st.just(64))
    n_heads = n_groups * draw(st.sampled_from((1, 2)))
    norm_groups = draw(st.sampled_from((None, 1, n_groups)))
    return {
        "kind": "mamba2",
        "n_heads": n_heads,
        "head_dim": width,
        "d_state": draw(st.integers(1, 9) | st.just(128)),
        "n_groups": n_groups,
        "conv_kernel": draw(st.integers(2, 5)),
        "norm_groups": norm_groups,
        "norm_before_gate": norm_groups is not None and draw(booleans),
        "norm_eps": draw(optional(st.just(1e-5))),
        "activation": draw(st.sampled_from(("silu", "gelu"))),
        "step_min": draw(st.sampled_from((0.0, 0.5))),
        "step_max": draw(st.sampled_from((None, 0.75))),
        **{f"{name}_scale": draw(st.sampled_from((1.0, 0.5))) for name in ("gate", "x", "write", "read", "step")},
        **{name: draw(booleans) for name in ("conv_bias", "bias")},
    }


@st.composite
def compressed(draw: DrawFn) -> Data:
    pairs, o_groups = draw(st.sampled_from((1, 2, 32))), draw(st.sampled_from((1, 2)))
    data: Data = {
        "kind": "compressed",
        "n_heads": o_groups * draw(st.sampled_from((1, 2, 3))),
        "head_dim": 2 * pairs + draw(st.integers(0, 5)),
        "q_lora_rank": draw(st.integers(1, 9)),
        "o_lora_rank": draw(st.integers(1, 9)),
        "o_groups": o_groups,
        "window": draw(st.integers(1, 9) | st.just(128)),
        "rotary_dim": 2 * pairs,
        "rope_theta": 10_000.0,
        "rope_interleaved": draw(booleans),
        "rope_reversed": draw(booleans),
        "rope_scaling": draw(optional(st.just({"kind": "linear", "factor": 2.0}))),
        "stride": draw(optional(st.integers(2, 5))),
    }
    if data["stride"] is not None:
        data["overlap"] = draw(booleans)
        data["indexer"] = draw(
            optional(
                st.fixed_dictionaries(
                    {
                        "n_heads": st.integers(20, 24),
                        "head_dim": st.just(2 * pairs + 3),
                        "top_k": st.integers(1, 9) | st.just(512),
                    }
                )
            )
        )
    return data


@cache
def recurrences() -> tuple[SearchStrategy[Data], ...]:
    return gated_deltanet(), kda(), lightning(), mamba(), mamba2(), short_conv(), rg_lru(), rwkv4()


@st.composite
def parallel_mixers(draw: DrawFn) -> Data:
    names = draw(st.lists(st.sampled_from(("dense", "moe", "wide", "b_1")), min_size=2, max_size=3, unique=True))
    branches = {name: draw(gqa() | mamba2() | short_conv()) for name in names}
    for branch in branches.values():
        branch.pop("block_norms", None)
    scales = st.dictionaries(st.sampled_from(names), factors)
    return {
        "kind": "parallel",
        "branches": branches,
        "input_scales": draw(scales),
        "output_scales": draw(scales),
    }


@st.composite
def shared_block(draw: DrawFn) -> Data:
    pairs = draw(st.integers(1, 4))
    return {
        "kind": "shared_block",
        **draw(rotary(pairs)),
        "channels": 1,
        "n_heads": draw(st.integers(1, 4)),
        "head_dim": 2 * pairs,
        "d_ff": draw(st.integers(1, 24) | st.just(2048)),
        "adapter_rank": draw(st.integers(1, 9)),
        "attention_adapters": draw(booleans),
        "activation": draw(st.sampled_from(UNLEARNED)),
        "bias": draw(booleans),
        "score_scale": draw(optional(factors)),
        "mixer": draw(mamba() | mamba2()),
    }


@cache
def attention_kinds() -> tuple[SearchStrategy[Data], ...]:
    """Every kind but the recurrences."""
    return compressed(), gqa(), mla(), parallel_mixers(), shared_block()


@cache
def attentions() -> SearchStrategy[Data]:
    """Any kind. The recurrences together are drawn as often as one other kind; `st.one_of` would flatten them."""
    return st.integers(0, len(attention_kinds())).flatmap(
        lambda number: st.one_of(recurrences()) if number == 0 else attention_kinds()[number - 1]
    )


@st.composite
def shortcut(draw: DrawFn, aligned: bool) -> Data:
    """Without a variant to read: `share` gives it one."""
    inner = st.one_of(dense(aligned), moe(aligned))
    return {"kind": "shortcut", "channels": 1, "own": draw(inner), "deferred": draw(inner), "adds_from": None}


@cache
def feed_forward_kinds(aligned: bool = False) -> tuple[SearchStrategy[Data], ...]:
    return dense(aligned), moe(aligned), parallel(aligned), channel_mixing(aligned), shortcut(aligned)


@cache
def feed_forwards(aligned: bool = False) -> SearchStrategy[Data]:
    return st.one_of(feed_forward_kinds(aligned))


@st.composite
def axes(draw: DrawFn, n_layers: int, components: SearchStrategy[Data], with_none: bool) -> Data:
    """One component for all layers, or variants with a pattern over them."""
    if not with_none and draw(booleans):
        return draw(components)
    names = st.sampled_from(("a", "b", *(NONE,) * with_none))
    first = draw(st.lists(names, max_size=min(2, n_layers)))
    last = draw(st.lists(names, max_size=min(2, n_layers - len(first))))
    between = n_layers - len(first) - len(last)
    repeat = draw(st.lists(names, min_size=1, max_size=min(4, between))) if between else []
    patterns = {"first": first, "repeat": repeat, "last": last}
    used = sorted({*first, *repeat, *last} - {NONE})
    if not used:
        return draw(components)
    return patterns | {"variants": {name: draw(components) for name in used}}


@st.composite
def spec_data(
    draw: DrawFn,
    aligned: bool = False,
    *,
    attention: SearchStrategy[Data] | None = None,
    ffn: SearchStrategy[Data] | None = None,
) -> Data:
    """The data of a valid spec, over all kinds or over those of `attention` and `ffn`."""
    n_layers = draw(st.integers(1, 7) | st.just(126))
    with_none = draw(st.sampled_from((None, None, "attention", "ffn")))
    norm_kind = draw(st.sampled_from(("rms", "layer")))
    placement = draw(st.sampled_from(get_args(NormPlacement)))
    data: Data = {
        "name": "drawn",
        "d_model": draw(widths(aligned)),
        "n_layers": n_layers,
        "vocab_size": draw(st.integers(1, 300_000)),
        "tie_embeddings": draw(booleans),
        "head_bias": draw(booleans),
        "embedding_norm": draw(booleans),
        "learned_positions": draw(optional(st.integers(1, 2048))),
        "norm": {"kind": norm_kind, "eps": draw(st.sampled_from((1e-6, 1e-5)))},
        "norm_placement": placement,
        "parallel_sublayers": placement == "pre_shared" or (placement != "post_residual" and draw(booleans)),
        "residual": {"kind": "plain"},
        "residual_scale": draw(factors),
        "stream_scale": 1.0,
        "embedding_scale": draw(st.just("sqrt_d_model") | factors),
        "logit_scale": draw(factors),
        "logit_softcap": draw(optional(factors)),
        "head_norm": draw(booleans),
        "n_mtp_blocks": draw(st.integers(0, 2)),
        "stored": draw(
            optional(
                st.fixed_dictionaries({"format": weight_formats(), "parts": st.sampled_from(({}, {"head": "fp32"}))})
            )
        ),
        "attention": draw(axes(n_layers, attentions() if attention is None else attention, with_none == "attention")),
        "ffn": draw(axes(n_layers, feed_forwards(aligned) if ffn is None else ffn, with_none == "ffn")),
    }
    if not data["n_mtp_blocks"]:
        data["layer_scale"] = draw(booleans)
        data["per_layer_embedding"] = draw(
            optional(
                st.fixed_dictionaries(
                    {
                        "dim": st.integers(1, 9) | st.just(256),
                        "vocab_size": st.integers(1, 300_000),
                        "activation": st.sampled_from(UNLEARNED),
                        "input_scale": booleans,
                    }
                )
            )
        )
    plain = placement not in ("pre_shared", "post_residual") and not data["parallel_sublayers"]
    if plain and not data["n_mtp_blocks"]:
        data["laurel_rank"] = draw(optional(st.integers(1, 9)))
    if not data["n_mtp_blocks"] and draw(st.sampled_from((False, False, True))):
        n_streams = draw(st.integers(2, 4))
        data["residual"] = {"kind": "altup", "n_streams": n_streams, "active": draw(st.integers(0, n_streams - 1))}
        if not data["parallel_sublayers"]:
            data["stream_scale"] = draw(factors)
    elif (
        plain
        and not data.get("laurel_rank")
        and not data["n_mtp_blocks"]
        and not data.get("per_layer_embedding")
        and draw(booleans)
    ):
        data["residual"] = draw(
            st.fixed_dictionaries(
                {
                    "kind": st.just("hyper_connections"),
                    "n_streams": st.integers(2, 4),
                    "iterations": st.integers(1, 3),
                    "eps": st.sampled_from((1e-6, 1e-5)),
                }
            )
        )
        data["residual_scale"] = 1.0
    elif not data["parallel_sublayers"]:
        data["stream_scale"] = draw(factors)
    data["final_norm"] = data["n_mtp_blocks"] > 0 or draw(booleans)
    if data["learned_positions"] is None and data["d_model"] % 2 == 0:
        data["sinusoidal_theta"] = draw(optional(st.sampled_from((10_000.0, 55.5))))
    if data["learned_positions"] is not None or data.get("sinusoidal_theta") is not None:
        data["position_offset"] = draw(st.integers(0, 3))
    for each in (*components(data["attention"]), *components(data["ffn"])):
        if "channels" in each and each["kind"] in ("rwkv4", "channel_mixing", "shared_block", "shortcut"):
            each["channels"] = data["d_model"]
    if placement == "pre_shared":
        for each in (*components(data["attention"]), *components(data["ffn"])):
            each.pop("block_norms", None)
    if placement == "pre_shared" or data["n_mtp_blocks"]:
        without_shared_blocks(draw, data)
    share(draw, data)
    if ffn is None:
        defer(draw, data, aligned)
    activations = st.sampled_from([name for name in get_args(Activation) if name != "xielu"])
    transforms = st.fixed_dictionaries({"activation": activations, "bias": booleans})
    data["head_transform"] = draw(optional(transforms))
    heads_have_weights = any(each.get("qk_norm") == "per_head_weights" for each in components(data["attention"]))
    data["norm"]["weight"] = heads_have_weights or draw(booleans)
    if data["norm"]["weight"]:
        data["norm"]["unit_offset"] = draw(booleans)
        if norm_kind == "layer":
            data["norm"]["bias"] = draw(booleans)
    if draw(booleans):
        data["norm_placement"] = draw(placements(data["attention"], placement))
    return data


def placements(attention: Data, placement: str) -> SearchStrategy[Data]:
    """Where the norms of each variant's layers stand, in a model for which `placement` is valid."""
    names = {name for part in ("first", "repeat", "last") for name in attention.get(part, ())}
    anywhere = st.sampled_from(sorted({"pre", "post", "sandwich", placement}))
    return st.fixed_dictionaries(dict.fromkeys(sorted(names or {attention["kind"]}), anywhere))


def without_shared_blocks(draw: DrawFn, data: Data) -> None:
    """Other mixers in their place: they have norms of their own, and a prediction block cannot share their weights."""
    axis = data["attention"]
    for name, each in axis.get("variants", {}).items():
        if each["kind"] == "shared_block":
            axis["variants"][name] = draw(mamba2())
    if axis.get("kind") == "shared_block":
        data["attention"] = draw(mamba2())


def share(draw: DrawFn, data: Data) -> None:
    """Perhaps make one variant read what another one leaves: its latents, its choice, or both."""
    variants = data["attention"].get("variants", {})
    pair = source_and_reader(data, "attention")
    if pair is None or draw(booleans):
        return
    source, reader = pair
    if draw(booleans):
        variants[source] = below = draw(gqa())
        for name in ("indexer", "clip_qkv"):
            below[name] = None
        if below["qk_norm"] == "full":
            below["qk_norm"] = None
        if data["norm_placement"] == "pre_shared":
            below.pop("block_norms", None)
        if not data["norm"].get("weight", True) and below["qk_norm"] == "per_head_weights":
            below["qk_norm"] = None
        for name in ("qk_norm_after_rope", "k_norm_after_cache"):
            below[name] = below["qk_norm"] is not None and bool(below.get(name))
        variants[reader] = {**below, "v_norm": False, "values_from_keys": False, "value_scale": 1.0, "kv_from": source}
        return
    latents, choice = draw(st.sampled_from(((True, False), (False, True), (True, True))))
    below = draw(mla())
    if choice and below["indexer"] is None:
        below |= {"q_lora_rank": below["q_lora_rank"] or 5, "indexer": draw(indexers(below["qk_rope_head_dim"]))}
    variants[source], variants[reader] = below, {**below, "kv_from": source if latents else None}
    if latents:
        variants[reader]["latent_scale"] = 1.0
    if choice:
        variants[reader]["indexer"] = {"indices_from": source, "top_k": below["indexer"]["top_k"]}


def source_and_reader(data: Data, axis: str) -> tuple[str, str] | None:
    """Two variants of an axis of which the second may read the first; None if there are none."""
    layout = data[axis]
    if len(variants := layout.get("variants", {})) < 2:
        return None
    n_between = data["n_layers"] - len(layout["first"]) - len(layout["last"])
    names = [*layout["first"], *islice(cycle(layout["repeat"] or [NONE]), n_between), *layout["last"]]
    source, reader = sorted(variants, key=names.index)
    return None if names[-1] == reader and data["n_mtp_blocks"] else (source, reader)


def defer(draw: DrawFn, data: Data, aligned: bool) -> None:
    """Perhaps make one feed-forward variant add what another one defers."""
    pair = source_and_reader(data, "ffn")
    if pair is None or draw(st.sampled_from((True, True, False))):
        return
    source, reader = pair
    variants = data["ffn"]["variants"]
    for name in pair:
        variants[name] = draw(shortcut(aligned)) | {"channels": data["d_model"]}
    variants[reader]["adds_from"] = source
    if draw(booleans):
        variants[reader]["deferred"] = None


def components(axis: Data) -> list[Data]:
    """The components of an axis."""
    return list(axis["variants"].values()) if "variants" in axis else [axis]


def specs(aligned: bool = False, **kinds: SearchStrategy[Data]) -> SearchStrategy[ModelSpec]:
    """Valid specs; `attention` and `ffn` limit the kinds."""
    return spec_data(aligned, **kinds).map(ModelSpec.model_validate)


def spans(spec: ModelSpec) -> set[int]:
    """The sizes of the windows and chunks of `spec`."""
    return {view.span for item in spec.inventory() for view in views(item.component) if view.span is not None}


def kv_dtypes(spec: ModelSpec) -> SearchStrategy[KvDtype]:
    """The formats whose groups divide all cached rows."""
    entries = (entry for item in spec.inventory() for _, entry in cache_entries(item.component))
    widths = gcd(*(entry.width for entry in entries if isinstance(entry, Rows)))
    return st.sampled_from([name for name, each in ROW_ENCODINGS.items() if widths % group_of(each) == 0])


@st.composite
def workloads(draw: DrawFn, spec: ModelSpec) -> Workload:
    """Contexts that reveal mistakes: the first two, the end of each window and one past it, and a long one."""
    edges = spans(spec)
    context = draw(st.sampled_from(sorted({1, 2, LONG_CONTEXT, *edges, *(edge + 1 for edge in edges)})))
    kv_dtype = draw(kv_dtypes(spec))
    weights = draw(st.just("native") | weight_formats())
    return Workload(context, draw(st.integers(1, 4)), kv_dtype, weights=weights)
