"""Wiring errors of the kinds that keep a state of fixed size, one a test, as in `test_mutations.py`."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from configs import EPS
from mutations import (
    Alteration,
    Patch,
    Renamed,
    convolve,
    each,
    every,
    filter_in_reverse,
    inputs_forgotten,
    keep,
    shows_in_the_code,
    shows_in_the_spec,
    top,
)
from pairs import Case
from torch import Tensor

from llmarch_cli.components.attention import (
    LightningAttention,
    RealGatedLinearRecurrentUnit,
    ShortConvolution,
    TimeMixing,
    lightning,
    rg_lru,
    rwkv,
)
from llmarch_cli.components.attention.recurrence import recur
from llmarch_cli.components.attention.rwkv import mixed
from llmarch_cli.components.attention.scan import accumulated
from llmarch_cli.components.ffn import ChannelMixing, channel_mixing
from llmarch_cli.modules.builder import Block, BlockProjection, DepthwiseConvolution
from llmarch_cli.modules.cache import TensorCache

LIGHTNING, CONVOLUTION, BIASED, GRIFFIN = (
    Case("minimax", 0),
    Case("lfm2", 0),
    Case("lfm2", 1),
    Case("recurrent_gemma", 0),
)

IN_THE_SPEC: dict[str, tuple[Case, Alteration]] = {
    "factor of the stream dropped": (LIGHTNING, top(stream_scale=1.0)),
    "factor of the stream on the outputs": (LIGHTNING, top(stream_scale=1.0, residual_scale=0.6 * 1.7)),
    "norm of the embeddings dropped": (LIGHTNING, top(embedding_norm=False)),
    "queries, keys and values not activated": (LIGHTNING, every("attention", activation="relu")),
    "biases of convolutions dropped": (BIASED, every("attention", bias=False)),
    "exact GELU in the gating branch": (GRIFFIN, every("attention", activation="gelu")),
    "embeddings scaled exactly": (Case("recurrent_gemma", 1), top(embedding_scale="sqrt_d_model")),
    "window of local attention one too wide": (
        GRIFFIN,
        each("attention", lambda c: {"window": c["window"] + 1} if c.get("window") else {}),
    ),
}


@pytest.mark.parametrize("name", IN_THE_SPEC)
def test_an_error_in_the_spec_shows(name: str) -> None:
    shows_in_the_spec(*IN_THE_SPEC[name])


# --- lightning attention --------------------------------------------------------------------------------------------

decay = LightningAttention._decay


def decay_of_the_bottom_layer(self: LightningAttention, layer: int, n_layers: int, device: torch.device) -> Tensor:
    return decay(self, 0, n_layers, device)


def decay_of_layers_from_1(self: LightningAttention, layer: int, n_layers: int, device: torch.device) -> Tensor:
    return decay(self, layer + 1, n_layers + 1, device)


def decay_in_reverse(self: LightningAttention, layer: int, n_layers: int, device: torch.device) -> Tensor:
    return decay(self, layer, n_layers, device).flip(0)


def state_before_the_token(q: Tensor, k: Tensor, v: Tensor, by: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
    """Each token reads what those before it left, and not what it adds itself."""
    out, after = recur(q, k, v, by, state)
    return out - (q * k).sum(-1, keepdim=True) * v, after


def no_decay(q: Tensor, k: Tensor, v: Tensor, by: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
    return recur(q, k, v, torch.zeros_like(by), state)


def scaled_queries(q: Tensor, k: Tensor, v: Tensor, by: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
    """As in softmax attention. The norm behind it would hide one factor for all heads."""
    return recur(torch.cat((q[:, :1] * 0.5, q[:, 1:]), dim=1), k, v, by, state)


def state_not_kept(self: TensorCache, **states: Tensor) -> None:
    """Of a recurrence; a convolution keeps its inputs."""
    keep(self, **{name: state for name, state in states.items() if name in ("inputs", "previous")})


def output_gated_before_the_norm(self: LightningAttention, m: Any, x: Tensor, cache: TensorCache) -> Any:
    q, k, v = (
        F.silu(projection(x)).unflatten(-1, (self.n_heads, -1)).transpose(1, 2)
        for projection in (m.q_proj, m.k_proj, m.v_proj)
    )
    by = self._decay(cache.layer, cache.n_layers, x.device).expand(q.shape[0], -1, q.shape[2], 1)
    mixed, _ = recur(q, k, v, by, cache.state("kv", x))
    return m.o_proj(m.norm(mixed.transpose(1, 2).flatten(2) * m.gate_proj(x).sigmoid()))


def stream_scaled_behind_the_sum(self: Block, x: Tensor, cache: TensorCache) -> Any:
    norms: Any = self.norms
    assert self.attention is not None
    assert self.ffn is not None
    for name, sublayer in (("attention", self.attention), ("ffn", self.ffn)):
        x = getattr(norms, f"{name}_post")((x + sublayer(x, cache) * self.residual_scale) * self.stream_scale)
    return x


# --- short convolutions and RG-LRU ----------------------------------------------------------------------------------

project = BlockProjection.forward
unit = RealGatedLinearRecurrentUnit.forward


def one_filter_for_all(self: DepthwiseConvolution, x: Tensor) -> Tensor:
    shared = DepthwiseConvolution(self.weight.shape[0], self.weight.shape[1], False)
    shared.weight.copy_(self.weight[:1].expand_as(self.weight))
    return convolve(shared, x)


def gates_swapped(self: ShortConvolution, m: Any, x: Tensor, cache: TensorCache) -> Any:
    return m.o_proj(m.in_gate_proj(x) * m.conv(cache.extended("inputs", m.out_gate_proj(x) * m.x_proj(x))))


def gate_behind_the_convolution(self: ShortConvolution, m: Any, x: Tensor, cache: TensorCache) -> Any:
    return m.o_proj(m.in_gate_proj(x) * m.out_gate_proj(x) * m.conv(cache.extended("inputs", m.x_proj(x))))


def gates_between_0_and_1(self: ShortConvolution, m: Any, x: Tensor, cache: TensorCache) -> Any:
    mixed = m.conv(cache.extended("inputs", m.in_gate_proj(x).sigmoid() * m.x_proj(x)))
    return m.o_proj(m.out_gate_proj(x).sigmoid() * mixed)


def blocks_transposed(self: BlockProjection, x: Tensor) -> Tensor:
    turned = BlockProjection(self.weight.shape[0], self.weight.shape[2], self.weight.shape[1], False)
    turned.weight.copy_(self.weight.transpose(1, 2))
    turned.bias = self.bias
    return project(turned, x)


def inputs_not_scaled(by: Tensor, added: Tensor, before: Tensor) -> Tensor:
    """Without the factor sqrt(1 - a ** 2)."""
    return accumulated(by, added / (1 - by.square()).sqrt(), before)


def first_token_scaled(by: Tensor, added: Tensor, before: Tensor) -> Tensor:
    first = added[:, :1] * (1 - by[:, :1].square()).sqrt()
    return accumulated(by, torch.cat((first, added[:, 1:]), dim=1), before)


def gates_of_the_unit_swapped(self: Any, m: Any, x: Tensor, cache: TensorCache) -> Any:
    class Swapped:
        input_gate, decay_gate = m.decay_gate, m.input_gate

        def __getattr__(self, name: str) -> Any:
            return getattr(m, name)

    return unit(self, Swapped(), x, cache)


def each_piece_begins_anew(self: Any, m: Any, x: Tensor, cache: TensorCache) -> Any:
    """A piece's first token is added whole, as only the first of all is."""

    class Begun:
        length = 0

        def __getattr__(self, name: str) -> Any:
            return getattr(cache, name)

    return unit(self, m, x, Begun())


# --- RWKV -----------------------------------------------------------------------------------------------------------

MIXER = Case("rwkv", 0)
time_mixing = TimeMixing.forward


def shares_swapped(x: Tensor, before: Tensor, share: Tensor) -> Tensor:
    return mixed(before, x, share)


def not_mixed(x: Tensor, before: Tensor, share: Tensor) -> Tensor:
    return x


def no_bonus(self: TimeMixing, m: Any, x: Tensor, cache: TensorCache) -> Any:
    return time_mixing(self, Renamed(m, bonus=torch.zeros_like(m.bonus)), x, cache)


def decay_without_exponential(self: TimeMixing, m: Any, x: Tensor, cache: TensorCache) -> Any:
    return time_mixing(self, Renamed(m, decay=F.softplus(m.decay).log()), x, cache)


def gate_without_sigmoid(self: TimeMixing, m: Any, x: Tensor, cache: TensorCache) -> Any:
    class Open(Renamed):
        def gate_proj(self, x: Tensor) -> Any:
            return m.gate_proj(x) * 4  # a sharper one

    return time_mixing(self, Open(m), x, cache)


def without_the_square(self: ChannelMixing, m: Any, x: Tensor, cache: TensorCache) -> Any:
    before = cache.extended("previous", x)[:, :-1]
    hidden = F.relu(m.up_proj(mixed(x, before, m.up_mix)))
    return m.gate_proj(mixed(x, before, m.gate_mix)).sigmoid() * m.down_proj(hidden)


def gate_of_the_hidden_values(self: ChannelMixing, m: Any, x: Tensor, cache: TensorCache) -> Any:
    """One mixture for both projections."""
    before = cache.extended("previous", x)[:, :-1]
    both = mixed(x, before, m.up_mix)
    return m.gate_proj(both).sigmoid() * m.down_proj(F.relu(m.up_proj(both)).square())


IN_THE_CODE: dict[str, Patch] = {
    "shares of this token and the last swapped": Patch(MIXER, rwkv, "mixed", shares_swapped),
    "tokens not mixed with the last in channels": Patch(MIXER, channel_mixing, "mixed", not_mixed),
    "no bonus of the current token": Patch(MIXER, TimeMixing, "forward", no_bonus),
    "decay by another function": Patch(MIXER, TimeMixing, "forward", decay_without_exponential),
    "a sharper gate of time mixing": Patch(MIXER, TimeMixing, "forward", gate_without_sigmoid),
    "hidden values not squared": Patch(MIXER, ChannelMixing, "forward", without_the_square),
    "one mixture for gate and values": Patch(MIXER, ChannelMixing, "forward", gate_of_the_hidden_values),
    "sums of time mixing not kept": Patch(MIXER, TensorCache, "keep", state_not_kept, "token by token"),
    "last tokens forgotten between pieces": Patch(
        MIXER, TensorCache, "extended", inputs_forgotten, "chunks of a prompt"
    ),
    "decay alike in all layers": Patch(LIGHTNING, LightningAttention, "_decay", decay_of_the_bottom_layer),
    "layers counted from 1": Patch(LIGHTNING, LightningAttention, "_decay", decay_of_layers_from_1),
    "heads decay in reverse": Patch(LIGHTNING, LightningAttention, "_decay", decay_in_reverse),
    "a token does not read itself": Patch(LIGHTNING, lightning, "recur", state_before_the_token),
    "no decay": Patch(LIGHTNING, lightning, "recur", no_decay),
    "one head's queries scaled": Patch(LIGHTNING, lightning, "recur", scaled_queries),
    "inner norm with the model's epsilon": Patch(LIGHTNING, lightning, "INNER_EPS", EPS),
    "output gated before the norm": Patch(LIGHTNING, LightningAttention, "forward", output_gated_before_the_norm),
    "stream scaled behind the sum": Patch(LIGHTNING, Block, "forward", stream_scaled_behind_the_sum),
    "lightning's state not kept": Patch(LIGHTNING, TensorCache, "keep", state_not_kept, "token by token"),
    "filters in reverse": Patch(CONVOLUTION, DepthwiseConvolution, "forward", filter_in_reverse),
    "one filter for all channels": Patch(CONVOLUTION, DepthwiseConvolution, "forward", one_filter_for_all),
    "gates of a convolution swapped": Patch(CONVOLUTION, ShortConvolution, "forward", gates_swapped),
    "both gates behind the convolution": Patch(CONVOLUTION, ShortConvolution, "forward", gate_behind_the_convolution),
    "gates by a sigmoid": Patch(CONVOLUTION, ShortConvolution, "forward", gates_between_0_and_1),
    "a convolution's inputs forgotten": Patch(
        CONVOLUTION, TensorCache, "extended", inputs_forgotten, "chunks of a prompt"
    ),
    "blocks transposed": Patch(GRIFFIN, BlockProjection, "forward", blocks_transposed),
    "another sharpness": Patch(GRIFFIN, rg_lru, "SHARPNESS", 4.0),
    "inputs of the unit not scaled": Patch(GRIFFIN, rg_lru, "accumulated", inputs_not_scaled),
    "first token scaled too": Patch(GRIFFIN, rg_lru, "accumulated", first_token_scaled),
    "gates of the unit swapped": Patch(GRIFFIN, RealGatedLinearRecurrentUnit, "forward", gates_of_the_unit_swapped),
    "each piece begins anew": Patch(
        GRIFFIN, RealGatedLinearRecurrentUnit, "forward", each_piece_begins_anew, "chunks of a prompt"
    ),
    "the unit's state not kept": Patch(GRIFFIN, TensorCache, "keep", state_not_kept, "a prompt, then tokens"),
}


@pytest.mark.parametrize("name", IN_THE_CODE)
def test_an_error_in_the_code_shows(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    shows_in_the_code(IN_THE_CODE[name], monkeypatch)
