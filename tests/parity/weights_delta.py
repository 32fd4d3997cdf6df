"""The names of weights of families in `families/delta.py`."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from configs import Config
from torch import Tensor
from weights import LATENT, MIXTURE, PLAIN, SHARED_EXPERT, Change, Names, Source, linear, of_layer, renamed


def head_halves(c: Config, index: int) -> Change:
    """Queries and their gates stand side by side, head by head."""
    return lambda values: values.unflatten(0, (c.num_attention_heads, 2, -1))[:, index].flatten(0, 1)


def attention(c: Config) -> Names:
    return {
        "attention.q_proj.weight": (Source("self_attn.q_proj.weight", head_halves(c, 0)), DELTA_Q(c)),
        "attention.gate_proj.weight": (Source("self_attn.q_proj.weight", head_halves(c, 1)), DELTA_GATE(c)),
        "attention.k_proj.weight": ("self_attn.k_proj.weight", DELTA_K(c)),
        "attention.v_proj.weight": ("self_attn.v_proj.weight", DELTA_V(c)),
        "attention.o_proj.weight": ("self_attn.o_proj.weight", "linear_attn.out_proj.weight"),
        "attention.conv.weight": Source("linear_attn.conv1d.weight", lambda values: values.squeeze(1)),
        "attention.decay_bias": "linear_attn.dt_bias",
        "attention.log_rate": "linear_attn.A_log",
        "attention.head_norm.weight": "linear_attn.norm.weight",
    }


def grouped(c: Config, index: int, values: Tensor) -> Tensor:
    """Queries, keys, values and gates stand side by side, by groups of a key head."""
    shared = c.linear_num_value_heads // c.linear_num_key_heads * c.linear_value_head_dim
    widths = (c.linear_key_head_dim, c.linear_key_head_dim, shared, shared)
    parts: tuple[Tensor, ...] = values.unflatten(0, (c.linear_num_key_heads, -1)).split(widths, dim=1)
    return parts[index].flatten(0, 1)


def strengths(c: Config, index: int, values: Tensor) -> Tensor:
    """Strengths and decays stand side by side, by groups of a key head."""
    halves: Tensor = values.unflatten(0, (c.linear_num_key_heads, 2, -1))
    return halves[:, index].flatten(0, 1)


def fused(c: Config, index: int, values: Tensor) -> Tensor:
    keys, wide = (
        c.linear_num_key_heads * c.linear_key_head_dim,
        c.linear_num_value_heads * c.linear_value_head_dim,
    )
    parts: tuple[Tensor, ...] = values.split((keys, keys, wide), dim=0)
    return parts[index]


def _of_group(index: int) -> Callable[[Config], Source]:
    return lambda c: Source("linear_attn.in_proj_qkvz.weight", partial(grouped, c, index))


DELTA_Q, DELTA_K, DELTA_V, DELTA_GATE = map(_of_group, range(4))


def qwen3_next(c: Config) -> Names:
    delta: Names = {
        **attention(c),
        "attention.beta_proj.weight": Source("linear_attn.in_proj_ba.weight", partial(strengths, c, 0)),
        "attention.decay_proj.weight": Source("linear_attn.in_proj_ba.weight", partial(strengths, c, 1)),
    }
    return {**MIXTURE, **of_layer({**delta, **EXPERTS})}


EXPERTS = renamed({**SHARED_EXPERT, "ffn.shared_expert_gate": "mlp.shared_expert_gate"})


def qwen3_5(c: Config) -> Names:
    delta = attention(c)
    for index, name in enumerate(("q_proj", "k_proj", "v_proj")):
        full = delta[f"attention.{name}.weight"]
        assert isinstance(full, tuple)
        delta[f"attention.{name}.weight"] = (
            full[0],
            Source("linear_attn.in_proj_qkv.weight", partial(fused, c, index)),
        )
    gate = delta["attention.gate_proj.weight"]
    assert isinstance(gate, tuple)
    delta["attention.gate_proj.weight"] = (gate[0], "linear_attn.in_proj_z.weight")
    delta["attention.beta_proj.weight"] = "linear_attn.in_proj_b.weight"
    delta["attention.decay_proj.weight"] = "linear_attn.in_proj_a.weight"
    return {**MIXTURE, **of_layer({**delta, **EXPERTS})}


KDA: Names = {
    **linear("attention.q_proj", "self_attn.q_proj"),
    **linear("attention.k_proj", "self_attn.k_proj"),
    **linear("attention.v_proj", "self_attn.v_proj"),
    **linear("attention.beta_proj", "self_attn.b_proj"),
    **linear("attention.decay_a_proj", "self_attn.forget_gate.f_a_proj"),
    **linear("attention.decay_b_proj", "self_attn.forget_gate.f_b_proj"),
    **linear("attention.gate_a_proj", "self_attn.g_a_proj"),
    **linear("attention.gate_b_proj", "self_attn.g_b_proj"),
    "attention.conv.weight": Source("self_attn.conv1d.weight", lambda values: values.squeeze(1)),
    "attention.decay_bias": "self_attn.forget_gate.dt_bias",
    "attention.log_rate": Source("self_attn.forget_gate.A_log", torch.flatten),
    "attention.head_norm.weight": "self_attn.o_norm.weight",
}

OLMO: Names = {
    **{
        f"attention.{ours}.weight": (f"self_attn.{theirs}.weight", f"linear_attn.{theirs}.weight")
        for ours, theirs in (("q_proj", "q_proj"), ("k_proj", "k_proj"), ("v_proj", "v_proj"), ("o_proj", "o_proj"))
    },
    "attention.beta_proj.weight": "linear_attn.b_proj.weight",
    "attention.decay_proj.weight": "linear_attn.a_proj.weight",
    "attention.gate_proj.weight": "linear_attn.g_proj.weight",
    "attention.head_norm.weight": "linear_attn.o_norm.weight",
    "attention.decay_bias": "linear_attn.dt_bias",
    "attention.log_rate": "linear_attn.A_log",
    "attention.conv.weight": Source("linear_attn.conv1d.weight", lambda values: values.squeeze(1)),
    "norms.attention_post.weight": "post_attention_layernorm.weight",
    "norms.ffn_post.weight": "post_feedforward_layernorm.weight",
}

NAMES: dict[str, Names] = {
    "kimi_linear": {**LATENT, **of_layer(KDA)},
    "olmo_hybrid": {**PLAIN, **of_layer(OLMO)},
}

NAMES_BY_CONFIG: dict[str, Callable[[Config], Names]] = {
    "qwen3_next": qwen3_next,
    "qwen3_5_text": qwen3_5,
    "qwen3_5_moe_text": qwen3_5,
}

# Their checkpoints fuse what is split here.
UNNAMED: set[str] = set()
