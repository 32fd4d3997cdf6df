"""Grok 2.5, which transformers lacks, as its published serving code computes it: slow, one token and head at a time.

Written from the behaviour of sgl-project/sglang, `python/sglang/srt/models/grok.py` (`Grok1DecoderLayer`,
`Grok1Attention`, `Grok1MoE`), `layers/attention/triton_ops/decode_attention.py` (scale, then soft-cap, then
temperature), `layers/moe/router.py` (soft-cap, softmax over all experts, the best two as they are) and
`layers/elementwise.py` (the erf form of GELU). Weights go by the names of the checkpoint, `xai-org/grok-2`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class GrokConfig:
    """The fields of the published config.json that change a logit, at tiny sizes and telling values."""

    vocab_size: int = 61
    hidden_size: int = 20
    intermediate_size: int = 15
    moe_intermediate_size: int = 9
    num_hidden_layers: int = 3
    num_attention_heads: int = 6
    num_key_value_heads: int = 2
    head_dim: int = 8
    num_local_experts: int = 5
    num_experts_per_tok: int = 2
    rms_norm_eps: float = 2e-3
    rope_theta: float = 30.0
    embedding_multiplier_scale: float = 1.9
    output_multiplier_scale: float = 0.4
    attn_logit_softcapping: float = 1.5
    router_logit_softcapping: float = 1.2
    final_logit_softcapping: float = 2.5
    attn_temperature_len: int = 5


def random_weights(c: GrokConfig, seed: int) -> dict[str, Tensor]:
    """A checkpoint of random values, norms included."""
    generator = torch.Generator().manual_seed(seed)

    def matrix(d_out: int, d_in: int) -> Tensor:
        return torch.randn(d_out, d_in, generator=generator) * 1.4 / math.sqrt(d_in)

    def norm() -> Tensor:
        return 1 + 0.3 * torch.randn(c.hidden_size, generator=generator)

    weights = {
        "model.embed_tokens.weight": torch.randn(c.vocab_size, c.hidden_size, generator=generator),
        "model.norm.weight": norm(),
        "lm_head.weight": 4 * matrix(c.vocab_size, c.hidden_size),
    }
    for i in range(c.num_hidden_layers):
        layer = f"model.layers.{i}"
        for name in ("pre_attn_norm", "post_attn_norm", "pre_moe_norm", "post_moe_norm"):
            weights[f"{layer}.{name}.weight"] = norm()
        q_width, kv_width = c.num_attention_heads * c.head_dim, c.num_key_value_heads * c.head_dim
        for name, width in (("q_proj", q_width), ("k_proj", kv_width), ("v_proj", kv_width)):
            weights[f"{layer}.self_attn.{name}.weight"] = matrix(width, c.hidden_size)
        weights[f"{layer}.self_attn.o_proj.weight"] = matrix(c.hidden_size, q_width)
        weights[f"{layer}.block_sparse_moe.gate.weight"] = matrix(c.num_local_experts, c.hidden_size)
        branches = {"mlp": ("gate_proj", "down_proj", "up_proj", c.intermediate_size)}
        for expert in range(c.num_local_experts):
            branches[f"block_sparse_moe.experts.{expert}"] = ("w1", "w2", "w3", c.moe_intermediate_size)
        for branch, (gate, down, up, width) in branches.items():
            weights[f"{layer}.{branch}.{gate}.weight"] = matrix(width, c.hidden_size)
            weights[f"{layer}.{branch}.{down}.weight"] = matrix(c.hidden_size, width)
            weights[f"{layer}.{branch}.{up}.weight"] = matrix(width, c.hidden_size)
    return weights


def grok_logits(c: GrokConfig, w: Mapping[str, Tensor], tokens: list[int]) -> Tensor:
    """Logits (n_tokens, vocab_size) of one prompt."""
    x = [w["model.embed_tokens.weight"][token] * c.embedding_multiplier_scale for token in tokens]
    for i in range(c.num_hidden_layers):
        layer = {name.removeprefix(f"model.layers.{i}."): v for name, v in w.items() if f"layers.{i}." in name}

        def normed(name: str, values: Tensor, layer: dict[str, Tensor] = layer) -> Tensor:
            return _rms(values, layer[f"{name}.weight"], c.rms_norm_eps)

        mixed = _attention(c, layer, [normed("pre_attn_norm", each) for each in x])
        x = [each + normed("post_attn_norm", update) for each, update in zip(x, mixed, strict=True)]
        fed = [_feed_forward(c, layer, normed("pre_moe_norm", each)) for each in x]
        x = [each + normed("post_moe_norm", update) for each, update in zip(x, fed, strict=True)]
    last = torch.stack([_rms(each, w["model.norm.weight"], c.rms_norm_eps) for each in x])
    logits = last @ (w["lm_head.weight"] * c.output_multiplier_scale).T
    return _capped(logits, c.final_logit_softcapping)


def _rms(x: Tensor, weight: Tensor, eps: float) -> Tensor:
    return x / math.sqrt(float(x.pow(2).mean()) + eps) * weight


def _capped(x: Tensor, cap: float) -> Tensor:
    return cap * torch.tanh(x / cap)


def _turned(head: Tensor, position: int, theta: float) -> Tensor:
    """One head (head_dim,) rotated to its position; value i pairs with value i + head_dim / 2."""
    half = head.shape[0] // 2
    out = head.clone()
    for i in range(half):
        angle = position * theta ** (-2 * i / head.shape[0])
        cos, sin = math.cos(angle), math.sin(angle)
        out[i] = head[i] * cos - head[i + half] * sin
        out[i + half] = head[i + half] * cos + head[i] * sin
    return out


def _attention(c: GrokConfig, layer: Mapping[str, Tensor], x: list[Tensor]) -> list[Tensor]:
    group = c.num_attention_heads // c.num_key_value_heads
    keys: list[list[Tensor]] = []  # by position, then by head
    values: list[list[Tensor]] = []
    outputs = []
    for position, token in enumerate(x):
        q, k, v = ((layer[f"self_attn.{n}_proj.weight"] @ token).split(c.head_dim) for n in "qkv")
        keys.append([_turned(head, position, c.rope_theta) for head in k])
        values.append(list(v))
        temperature = 1.0
        if position > c.attn_temperature_len:
            temperature = math.log2(position) / math.log2(c.attn_temperature_len)
        heads = []
        for h, head in enumerate(q):
            turned = _turned(head, position, c.rope_theta)
            scores = torch.stack([turned @ key[h // group] for key in keys]) * c.head_dim**-0.5
            shares = (_capped(scores, c.attn_logit_softcapping) * temperature).softmax(0)
            heads.append(sum((s * value[h // group] for s, value in zip(shares, values, strict=True)), torch.zeros(())))
        outputs.append(layer["self_attn.o_proj.weight"] @ torch.cat(heads))
    return outputs


def _feed_forward(c: GrokConfig, layer: Mapping[str, Tensor], x: Tensor) -> Tensor:
    """The dense branch and the best two experts, weighted by their shares of all of them, over the root of two."""
    logits = _capped(layer["block_sparse_moe.gate.weight"] @ x, c.router_logit_softcapping)
    shares = logits.exp() / logits.exp().sum()
    out = _gelu_gated(layer, "mlp", ("gate_proj", "up_proj", "down_proj"), x)
    for expert in sorted(range(c.num_local_experts), key=lambda e: -float(shares[e]))[: c.num_experts_per_tok]:
        out = out + shares[expert] * _gelu_gated(layer, f"block_sparse_moe.experts.{expert}", ("w1", "w3", "w2"), x)
    return out / math.sqrt(2)


def _gelu_gated(layer: Mapping[str, Tensor], branch: str, names: tuple[str, str, str], x: Tensor) -> Tensor:
    gate, up, down = (layer[f"{branch}.{name}.weight"] for name in names)
    hidden = gate @ x
    return down @ (0.5 * hidden * (1 + torch.erf(hidden / math.sqrt(2))) * (up @ x))
