"""Wiring errors, one a test: each must show in the logits far above the tolerance, or the other tests prove little.

To add one: a line in `IN_THE_SPEC` for what a field says, or in `IN_THE_CODE` for what a forward does.
"""

from __future__ import annotations

import copy
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from configs import EPS, Fields
from mutations import GROK, Alteration, Patch, components, each, every, norm, shows_in_the_code, shows_in_the_spec, top
from pairs import Case
from torch import Tensor

from llmarch_cli.components.attention import GroupedQueryAttention, MultiHeadLatentAttention, gqa, mla, scores
from llmarch_cli.components.attention.rope_scaling import YarnScaling
from llmarch_cli.components.attention.rotary import RotaryComponent
from llmarch_cli.components.ffn import MixtureOfExperts, gate
from llmarch_cli.components.ffn.gate import GatedComponent
from llmarch_cli.components.frame import PositionEmbedding, StreamNorm
from llmarch_cli.modules import builder
from llmarch_cli.modules.builder import Block, Normalization
from llmarch_cli.modules.cache import TensorCache

# --- what the spec says ---------------------------------------------------------------------------------------------


def wider(by: int) -> Alteration:
    return each("attention", lambda c: {"window": c["window"] + by} if c["window"] else {})


def rescaled(**fields: Any) -> Alteration:
    """Fields of the rotary scaling, where there is one."""
    return each("attention", lambda c: {"rope_scaling": {**c["rope_scaling"], **fields}} if c["rope_scaling"] else {})


def swapped_thetas(spec: Fields) -> None:
    first, second = components(spec, "attention")
    first["rope_theta"], second["rope_theta"] = second["rope_theta"], first["rope_theta"]


def upside_down(axis: str) -> Alteration:
    def alter(spec: Fields) -> None:
        spec[axis]["first"] = spec[axis]["first"][::-1]

    return alter


NO_ROTARY: Fields = {"rope_theta": None, "rope_scaling": None, "rope_interleaved": False, "rotary_dim": None}

SHORT = (1.0, 1.2, 1.4, 1.6, 1.8)  # phi3's factors of short prompts

IN_THE_SPEC: dict[str, tuple[Case, Alteration]] = {
    "epsilon at its default": (Case("llama", 0), norm(eps=1e-6)),
    "unit offset of norms forgotten": (Case("gemma3_text", 0), norm(unit_offset=False)),
    "unit offset of norms invented": (Case("llama", 0), norm(unit_offset=True)),
    "rms for layer norm": (Case("gpt2", 0), norm(kind="rms", bias=False)),
    "rms for layer norm, without weights": (Case("olmo", 0), norm(kind="rms")),
    "weights of norms dropped": (Case("llama", 0), norm(weight=False)),
    "unit offset forgotten beside a bias": (Case("nemotron", 0), norm(unit_offset=False)),
    "residual scale forgotten": (Case("granite", 0), top(residual_scale=1.0)),
    "parallel sublayers one after the other": (Case("gpt_neox", 0), top(parallel_sublayers=False)),
    "sublayers in parallel": (Case("gpt_neox", 1), top(parallel_sublayers=True)),
    "embedding scale dropped": (Case("gemma3_text", 0), top(embedding_scale=1.0)),
    "final soft-cap dropped": (Case("gemma3_text", 1), top(logit_softcap=None)),
    "logit scale dropped": (GROK, top(logit_scale=1.0)),
    "factors by pair dropped": (Case("phi3", 0), every("attention", rope_scaling=None)),
    "short factors on a long prompt": (Case("phi3", 1), rescaled(original_context_length=12, long_factor=SHORT)),
    "long factors on a short prompt": (Case("phi3", 0), rescaled(short_factor=(2.3, 2.76, 3.22, 3.68, 4.14))),
    "magnitude by factor forgotten": (Case("phi3", 0), rescaled(factor=None)),
    "attention factor by pair dropped": (Case("phi3", 2), rescaled(attention_factor=None)),
    "linear biases forgotten": (Case("falcon", 4), every("attention", alibi=False)),
    "rotary on a layer without": (Case("smollm3", 0), each("attention", lambda c: {"rope_theta": 30.0})),
    "no rotary on a layer with": (Case("llama", 0), each("attention", lambda c: NO_ROTARY)),
    "pairs as halves": (Case("deepseek_v3", 0), every("attention", rope_interleaved=False)),
    "pairs as halves, chunked": (Case("llama4_text", 0), every("attention", rope_interleaved=False)),
    "pairs as neighbours": (Case("llama", 0), every("attention", rope_interleaved=True)),
    "partial rotary ignored": (Case("glm4_moe", 0), every("attention", rotary_dim=None)),
    "local and global theta swapped": (Case("gemma3_text", 0), swapped_thetas),
    "linear scaling dropped": (Case("llama", 2), every("attention", rope_scaling=None)),
    "scaling by parts dropped": (Case("llama", 3), every("attention", rope_scaling=None)),
    "scaling by parts as linear": (
        Case("llama", 3),
        every("attention", rope_scaling={"kind": "linear", "factor": 4.0}),
    ),
    "yarn dropped": (Case("llama", 4), every("attention", rope_scaling=None)),
    "yarn's bounds truncated": (Case("gpt_oss", 0), rescaled(truncate=True)),
    "yarn's attention factor dropped": (Case("llama", 5), rescaled(attention_factor=None)),
    "yarn's mscale forgotten": (Case("deepseek_v3", 3), rescaled(mscale=None, mscale_all_dim=None)),
    "window one too wide": (Case("mistral", 1), wider(1)),
    "window one too narrow": (Case("gpt_oss", 0), wider(-1)),
    "window ignored": (Case("qwen3", 1), every("attention", window=None)),
    "window on the wrong layers": (Case("qwen3", 1), upside_down("attention")),
    "chunk as a window": (Case("llama4_text", 0), each("attention", lambda c: {"chunk": None, "window": c["chunk"]})),
    "chunk one too long": (
        Case("llama4_text", 0),
        each("attention", lambda c: {"chunk": c["chunk"] + 1} if c["chunk"] else {}),
    ),
    "bias of q, k and v dropped": (Case("qwen3", 1), every("attention", qkv_bias=False)),
    "bias of the output dropped": (Case("llama", 1), every("attention", o_bias=False)),
    "bias of latent attention dropped": (Case("deepseek_v3", 2), every("attention", bias=False)),
    "query and key norms dropped": (Case("qwen3", 0), every("attention", qk_norm=None)),
    "norms of heads dropped": (Case("cohere", 0), every("attention", qk_norm=None)),
    "query and key norms before the rotation": (
        Case("hunyuan_v1_dense", 0),
        every("attention", qk_norm_after_rope=False),
    ),
    "query and key norms behind the rotation": (
        Case("qwen3", 0),
        each("attention", lambda c: {"qk_norm_after_rope": True}),
    ),
    "clamp of projections dropped": (Case("olmo", 0), every("attention", clip_qkv=None)),
    "clamp of normalised projections dropped": (Case("olmoe", 0), every("attention", clip_qkv=None)),
    "weightless norms dropped": (Case("llama4_text", 0), every("attention", qk_norm=None)),
    "sinks forgotten": (Case("gpt_oss", 0), every("attention", sinks=False)),
    "attention's soft-cap dropped": (GROK, every("attention", softcap=None)),
    "score scale by head width": (Case("gemma3_text", 0), every("attention", score_scale=None)),
    "temperature by floor dropped": (Case("llama4_text", 0), every("attention", temperature=None)),
    "temperature by ratio dropped": (GROK, every("attention", temperature=None)),
    "exact GELU for its tanh form": (Case("gemma3_text", 0), every("ffn", activation="gelu")),
    "tanh form for exact GELU": (GROK, every("ffn", activation="gelu_tanh")),
    "SiLU for quick GELU": (Case("gpt_oss", 0), every("ffn", activation="silu")),
    "squared ReLU for xIELU": (Case("apertus", 0), every("ffn", activation="relu2")),
    "bias of a dense layer dropped": (Case("llama", 1), every("ffn", bias=False)),
    "bias of experts dropped": (Case("gpt_oss", 0), every("ffn", bias=False)),
    "bias of the router dropped": (Case("gpt_oss", 0), every("ffn", router_bias=False)),
    "clamp forgotten": (Case("gpt_oss", 0), every("ffn", clamp=None)),
    "offset of up forgotten": (Case("gpt_oss", 0), every("ffn", up_offset=0.0)),
    "scores not renormalised": (Case("mixtral", 1), every("ffn", renormalize=False)),
    "softmax before the choice": (Case("gpt_oss", 0), every("ffn", renormalize=False)),
    "scores renormalised": (Case("qwen3_moe", 1), every("ffn", renormalize=True)),
    "softmax for sigmoid": (Case("deepseek_v3", 0), every("ffn", scoring="softmax")),
    "one expert too few": (
        Case("deepseek_v3", 0),
        each("ffn", lambda c: {"top_k": c["top_k"] - 1} if "top_k" in c else {}),
    ),
    "routed scale dropped": (Case("deepseek_v3", 0), every("ffn", routed_scale=1.0)),
    "group limit ignored": (Case("deepseek_v3", 0), every("ffn", n_groups=None, top_k_groups=None)),
    "groups by their best expert": (Case("deepseek_v3", 0), every("ffn", group_score="max")),
    "groups by their best two": (Case("deepseek_v2", 1), every("ffn", group_score="top2_sum")),
    "selection bias forgotten": (Case("deepseek_v3", 0), every("ffn", selection_bias=False)),
    "shared expert forgotten": (Case("glm4_moe", 0), every("ffn", shared_expert=None)),
    "shared expert's gate forgotten": (Case("qwen2_moe", 0), every("ffn", shared_expert_gate=False)),
    "weights on the output": (Case("llama4_text", 0), every("ffn", scale_input=False)),
    "router's soft-cap dropped": (GROK, every("ffn", router_softcap=None)),
    "branches not scaled": (GROK, every("ffn", scale=1.0)),
}


@pytest.mark.parametrize("name", IN_THE_SPEC)
def test_an_error_in_the_spec_shows(name: str) -> None:
    shows_in_the_spec(*IN_THE_SPEC[name])


# --- what the code does ---------------------------------------------------------------------------------------------


def norms_after_the_residual(self: Block, x: Tensor, cache: TensorCache) -> Any:
    for name, sublayer in (("attention", self.attention), ("ffn", self.ffn)):
        assert sublayer is not None
        x = getattr(self.norms, f"{name}_post")(x + sublayer(x, cache))
    return x


def one_residual_for_both(self: Block, x: Tensor, cache: TensorCache) -> Any:
    assert self.attention is not None
    assert self.ffn is not None
    norms: Any = self.norms
    return x + self.attention(norms.attention_pre(x), cache) + self.ffn(norms.ffn_pre(x), cache)


def shared_norm_twice(self: Block, x: Tensor, cache: TensorCache) -> Any:
    """Behind attention, for the feed-forward layer, as where sublayers stand one after the other."""
    assert self.attention is not None
    assert self.ffn is not None
    norms: Any = self.norms
    x = x + self.attention(norms.shared_pre(x), cache)
    return x + self.ffn(norms.shared_pre(x), cache)


def shared_norm_forgotten_by_one(self: Block, x: Tensor, cache: TensorCache) -> Any:
    assert self.attention is not None
    assert self.ffn is not None
    norms: Any = self.norms
    return x + self.attention(norms.shared_pre(x), cache) + self.ffn(x, cache)


def attention_alone_scaled(self: Block, x: Tensor, cache: TensorCache) -> Any:
    assert self.attention is not None
    assert self.ffn is not None
    norms: Any = self.norms
    x = x + self.attention(norms.attention_pre(x), cache) * self.residual_scale
    return x + self.ffn(norms.ffn_pre(x), cache)


def weights_of_the_first_head(self: Normalization, x: Tensor, original: Any = Normalization.forward) -> Any:
    if not self.of_heads:
        return original(self, x)
    assert self.weight is not None
    mutated = copy.deepcopy(self)
    assert mutated.weight is not None
    mutated.weight.copy_(self.weight[:1].expand_as(self.weight))
    return original(mutated, x)


def norm_of_all_heads(self: Normalization, x: Tensor, original: Any = Normalization.forward) -> Any:
    """One root mean square, or one mean and variance, over the values of all heads."""
    if not self.of_heads:
        return original(self, x)
    assert self.weight is not None
    full = torch.nn.functional.layer_norm(x.transpose(1, 2).flatten(2), (x.shape[1] * x.shape[3],), eps=self.eps)
    return full.unflatten(-1, (x.shape[1], -1)).transpose(1, 2) * self.weight.unsqueeze(-2)


def norm_of_the_mean(self: Normalization, x: Tensor) -> Tensor:
    assert self.weight is not None
    return (x - x.mean(-1, keepdim=True)) * (x.var(-1, keepdim=True) + self.eps).rsqrt() * self.weight


rotate = GroupedQueryAttention.rotate_first
attend: Any = scores.attend
visible = scores.visible
linear_biases = scores.linear_biases
xielu = gate._xielu
route = MixtureOfExperts.route
hidden = GatedComponent.hidden


def rotated_before_the_norm(self: GroupedQueryAttention, m: Any, x: Tensor, cache: TensorCache) -> Any:
    start = cache.length
    q, k = (rotate(self, self._heads(projection(x)), start) for projection in (m.q_proj, m.k_proj))
    q, k = m.q_norm(q), m.k_norm(k)
    keys, values = cache.append(k=k.transpose(1, 2).flatten(2), v=m.v_proj(x))
    mask = visible(start, x.shape[1], keys.shape[1], self.window, self.chunk, x.device)
    return m.o_proj(attend(q, self._heads(keys), self._heads(values), mask, self.head_dim**-0.5))


def clamped_before_the_norm(
    self: GroupedQueryAttention, m: Any, x: Tensor, cache: TensorCache, original: Any = GroupedQueryAttention.forward
) -> Any:
    bound = self.clip_qkv
    assert bound is not None
    clamped = SimpleNamespace(q_norm=m.q_norm, k_norm=m.k_norm, o_proj=m.o_proj)
    clamped.q_proj = lambda x: m.q_proj(x).clamp(-bound, bound)
    clamped.k_proj = lambda x: m.k_proj(x).clamp(-bound, bound)
    clamped.v_proj = lambda x: m.v_proj(x).clamp(-bound, bound)
    return original(self.model_copy(update={"clip_qkv": None}), clamped, x, cache)


def slopes_in_reverse(*args: Any, **rounding: Any) -> Any:
    return linear_biases(*args, **rounding).flip(0)


def slopes_of_a_power_of_2(n_heads: int, *args: Any, **rounding: Any) -> Any:
    return linear_biases(1 << (n_heads - 1).bit_length(), *args, **rounding)[:n_heads]


def slopes_of_the_whole_series(n_heads: int, end: int, n_keys: int, device: torch.device, **rounding: bool) -> Any:
    """Exact, as the paper has them."""
    slopes = torch.tensor([2.0 ** (-8 * (i + 1) / n_heads) for i in range(n_heads)])
    return slopes.view(-1, 1, 1) * torch.arange(end - n_keys, end)


def biases_not_scaled(q: Tensor, *args: Any, biases: Tensor, **options: Any) -> Any:
    return attend(q, *args, biases=biases * q.shape[-1] ** 0.5, **options)


def xielu_without_softplus(x: Tensor, alpha_p: Tensor, alpha_n: Tensor) -> Tensor:
    return xielu(x, alpha_p.exp(), alpha_n.exp())


def heads_dealt_out_in_turn(q: Tensor, k: Tensor, v: Tensor, *args: Any, **options: Any) -> Any:
    repeats = q.shape[1] // k.shape[1]
    return attend(q, k.repeat(1, repeats, 1, 1), v.repeat(1, repeats, 1, 1), *args, **options)


def temperature_before_the_cap(q: Tensor, *args: Any, temperature: Tensor, **options: Any) -> Any:
    return attend(q * temperature.unsqueeze(-1), *args, **options)


def a_sink_that_is_read(
    q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, scale: float, sinks: Tensor, **options: Any
) -> Any:
    without = attend(q, k, v, mask, scale, **options)
    return without * sinks.sigmoid().repeat_interleave(v.shape[-1])


def weights_with_the_selection_bias(
    self: MixtureOfExperts, m: Any, tokens: Tensor, fixed: Tensor | None
) -> tuple[Tensor, Tensor]:
    weights, chosen = route(self, m, tokens)
    if not self.selection_bias:
        return weights, chosen
    biased = (m.router(tokens).sigmoid() + m.selection_bias).gather(-1, chosen)
    return biased / biased.sum(-1, keepdim=True) * self.routed_scale, chosen


def chosen_weighted_alike(
    self: MixtureOfExperts, m: Any, tokens: Tensor, fixed: Tensor | None
) -> tuple[Tensor, Tensor]:
    weights, chosen = route(self, m, tokens)
    return weights[:, :1].expand_as(weights), chosen


turned: Any = RotaryComponent.rotate


def start_forgotten(self: RotaryComponent, x: Tensor, start: int, interleaved: bool | None = None) -> Any:
    return turned(self, x, 0, interleaved)


def first_position_again(self: PositionEmbedding, m: Any, x: Tensor, cache: TensorCache) -> Any:
    return x + m.positions(torch.arange(x.shape[1]))


def chunk_reaches_back(
    start: int, n_tokens: int, n_keys: int, window: int | None, chunk: int | None, device: torch.device
) -> Tensor | None:
    return None if n_tokens == 1 else visible(start, n_tokens, n_keys, window, chunk, device)


def no_mask_behind_a_cache(
    start: int, n_tokens: int, n_keys: int, window: int | None, chunk: int | None, device: torch.device
) -> Tensor | None:
    return None if start else visible(start, n_tokens, n_keys, window, chunk, device)


class ForgetfulCache(TensorCache):
    """Keeps one token too few between steps."""

    def append(self, **new: Tensor) -> tuple[Tensor, ...]:
        out = super().append(**new)
        for name, rows in self.stored.items():
            span = self.entries[name].view.span  # type: ignore[union-attr]
            if span is not None:
                self.stored[name] = rows[:, 1 - span :][:, 1:]
        return out


IN_THE_CODE: dict[str, Patch] = {
    "norm moved behind the residual": Patch(Case("olmo2", 0), Block, "forward", norms_after_the_residual),
    "sublayers side by side": Patch(Case("llama", 0), Block, "forward", one_residual_for_both),
    "shared norm applied twice": Patch(Case("cohere", 0), Block, "forward", shared_norm_twice),
    "shared norm for attention only": Patch(Case("falcon", 2), Block, "forward", shared_norm_forgotten_by_one),
    "residual scale on attention only": Patch(Case("granite", 0), Block, "forward", attention_alone_scaled),
    "norms of heads by the first one's weights": Patch(
        Case("stablelm", 0), Normalization, "forward", weights_of_the_first_head
    ),
    "norms of heads over all of them": Patch(Case("stablelm", 0), Normalization, "forward", norm_of_all_heads),
    "norm takes the mean off": Patch(Case("llama", 0), Normalization, "forward", norm_of_the_mean),
    "final norm skipped": Patch(Case("llama", 0), StreamNorm, "forward", lambda self, m, x, cache: x),
    "query norm behind the rotation": Patch(
        Case("qwen3", 0), GroupedQueryAttention, "forward", rotated_before_the_norm
    ),
    "projections clamped before the norm": Patch(
        Case("olmoe", 0), GroupedQueryAttention, "forward", clamped_before_the_norm
    ),
    "slopes in reverse": Patch(Case("falcon", 4), gqa, "linear_biases", slopes_in_reverse),
    "slopes of heads beyond a power of 2": Patch(Case("falcon", 5), gqa, "linear_biases", slopes_of_a_power_of_2),
    "slopes not rounded": Patch(Case("falcon", 4), gqa, "linear_biases", slopes_of_the_whole_series),
    "linear biases not scaled": Patch(Case("falcon", 4), gqa, "attend", biases_not_scaled),
    "xIELU's curvatures by another function": Patch(Case("apertus", 0), gate, "_xielu", xielu_without_softplus),
    "key heads dealt out in turn": Patch(Case("gemma3_text", 0), gqa, "attend", heads_dealt_out_in_turn),
    "temperature before the soft-cap": Patch(GROK, gqa, "attend", temperature_before_the_cap),
    "sink scales the output": Patch(Case("gpt_oss", 0), gqa, "attend", a_sink_that_is_read),
    "inner norms with the model's epsilon": Patch(Case("deepseek_v3", 0), mla, "INNER_EPS", EPS),
    "mscale of scores forgotten": Patch(Case("deepseek_v3", 2), YarnScaling, "score_magnitude", 1.0),
    "mscale of scores not squared": Patch(
        Case("deepseek_v2", 2), YarnScaling, "score_magnitude", property(lambda self: self._temperature(0.6))
    ),
    "mscale of rotary values forgotten": Patch(Case("deepseek_v3", 3), YarnScaling, "magnitude", 1.0),
    "scores by the latent's width": Patch(
        Case("deepseek_v3", 0),
        MultiHeadLatentAttention,
        "_scale",
        property(lambda self: (self.kv_lora_rank + self.qk_rope_head_dim) ** -0.5),
    ),
    "selection bias in the weights": Patch(
        Case("deepseek_v3", 0), MixtureOfExperts, "route", weights_with_the_selection_bias
    ),
    "chosen experts weighted alike": Patch(Case("mixtral", 1), MixtureOfExperts, "route", chosen_weighted_alike),
    "gate and up swapped": Patch(
        Case("llama", 0), GatedComponent, "hidden", lambda self, up, gate, alphas: hidden(self, gate, up)
    ),
    "decoding starts at position 0, rotary": Patch(
        Case("llama", 0), RotaryComponent, "rotate", start_forgotten, "token by token"
    ),
    "decoding starts at position 0, learned": Patch(
        Case("gpt2", 0), PositionEmbedding, "forward", first_position_again, "token by token"
    ),
    "a chunk reaches back in decoding": Patch(
        Case("llama4_text", 0), gqa, "visible", chunk_reaches_back, "token by token"
    ),
    "no mask in a later piece": Patch(Case("llama", 0), gqa, "visible", no_mask_behind_a_cache, "chunks of a prompt"),
    "no mask in a later piece, latent": Patch(
        Case("deepseek_v3", 0), mla, "visible", no_mask_behind_a_cache, "chunks of a prompt"
    ),
    "a window's cache one token short": Patch(
        Case("mistral", 1), builder, "TensorCache", ForgetfulCache, "token by token"
    ),
    "a chunk's cache one token short": Patch(
        Case("llama4_text", 0), builder, "TensorCache", ForgetfulCache, "token by token"
    ),
}


@pytest.mark.parametrize("name", IN_THE_CODE)
def test_an_error_in_the_code_shows(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    shows_in_the_code(IN_THE_CODE[name], monkeypatch)
