"""Wiring errors of the gated delta rule, by head and by channel, as in `test_mutations`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from mutations import (
    Alteration,
    Patch,
    Renamed,
    each,
    every,
    filter_in_reverse,
    inputs_forgotten,
    norm,
    shows_in_the_code,
    shows_in_the_spec,
    state_not_kept,
    top,
)
from pairs import Case
from torch import Tensor

from llmarch_cli.components.attention import GatedDeltaNet, KimiDeltaAttention, gated_deltanet, kda
from llmarch_cli.components.attention.recurrence import recur
from llmarch_cli.modules.builder import Block, DepthwiseConvolution
from llmarch_cli.modules.cache import TensorCache

GROUPS, DENSE, CHANNELS = Case("qwen3_next", 0), Case("qwen3_5_text", 0), Case("kimi_linear", 0)
PLACED, NOT_ROTATED = Case("olmo_hybrid", 0), Case("olmo_hybrid", 1)


def of_kind(kind: str, **fields: Any) -> Alteration:
    return each("attention", lambda c: fields if c["kind"] == kind else {})


def of_delta(**fields: Any) -> Alteration:
    return of_kind("gated_deltanet", **fields)


IN_THE_SPEC: dict[str, tuple[Case, Alteration]] = {
    "negative eigenvalues invented": (GROUPS, of_delta(negative_eigenvalues=True)),
    "another epsilon behind the recurrence": (GROUPS, of_delta(norm_eps=0.5)),
    "unit offset of the other norms forgotten": (DENSE, norm(unit_offset=False)),
    "gate of full attention dropped": (GROUPS, every("attention", output_gate=None)),
    "all of a head rotated": (GROUPS, every("attention", rotary_dim=None)),
    "gate of the shared expert dropped": (GROUPS, every("ffn", shared_expert_gate=False)),
    "latent attention rotated": (
        CHANNELS,
        each("attention", lambda c: {"rope_theta": 30.0} if "kv_lora_rank" in c else {}),
    ),
    "residual scaled": (CHANNELS, top(residual_scale=1.1)),
    "negative eigenvalues dropped": (PLACED, of_delta(negative_eigenvalues=False)),
    "negative eigenvalues where the config has none": (NOT_ROTATED, of_delta(negative_eigenvalues=True)),
    "the model's epsilon behind the recurrence": (PLACED, of_delta(norm_eps=None)),
    "norms of queries and keys by head": (PLACED, of_kind("gqa", qk_norm=None)),
    "nothing rotated": (PLACED, of_kind("gqa", rope_theta=None)),
    "rotated where nothing is": (NOT_ROTATED, of_kind("gqa", rope_theta=30.0)),
    "norms behind the sum in layers with attention": (PLACED, top(norm_placement={"v0": "pre", "v1": "post_residual"})),
}


@pytest.mark.parametrize("name", IN_THE_SPEC)
def test_an_error_in_the_spec_shows(name: str) -> None:
    shows_in_the_spec(*IN_THE_SPEC[name])


# --- the recurrence -------------------------------------------------------------------------------------------------


def no_decay(q: Tensor, k: Tensor, v: Tensor, decay: Tensor, **rest: Any) -> Any:
    return recur(q, k, v, decay=torch.zeros_like(decay), **rest)


def no_delta_rule(q: Tensor, k: Tensor, v: Tensor, beta: Tensor, **rest: Any) -> Any:
    """Values are scaled, but what their keys recall is not taken off."""
    return recur(q, k, v * beta.unsqueeze(-1), **rest)


def full_corrections(q: Tensor, k: Tensor, v: Tensor, beta: Tensor, **rest: Any) -> Any:
    return recur(q, k, v, beta=torch.ones_like(beta), **rest)


def decay_of_the_next_token(q: Tensor, k: Tensor, v: Tensor, decay: Tensor, **rest: Any) -> Any:
    return recur(q, k, v, decay=decay.roll(-1, dims=2), **rest)


def one_decay_a_head(q: Tensor, k: Tensor, v: Tensor, decay: Tensor, **rest: Any) -> Any:
    return recur(q, k, v, decay=decay.mean(dim=-1, keepdim=True), **rest)


def channels_in_reverse(q: Tensor, k: Tensor, v: Tensor, decay: Tensor, **rest: Any) -> Any:
    return recur(q, k, v, decay=decay.flip(-1), **rest)


def queries_as_keys(q: Tensor, k: Tensor, v: Tensor, **rest: Any) -> Any:
    return recur(k, q, v, **rest)


def recalled_before_the_decay(
    q: Tensor, k: Tensor, v: Tensor, decay: Tensor, state: Tensor, beta: Tensor
) -> tuple[Tensor, Tensor]:
    """What a key recalls is read from the state as the token before left it."""
    out = []
    for t in range(q.shape[2]):
        key, strength = k[:, :, t].unsqueeze(-2), beta[:, :, t, None, None]
        correction = (v[:, :, t].unsqueeze(-2) - key @ state) * strength
        state = state * decay[:, :, t].unsqueeze(-1).exp() + key.transpose(-1, -2) @ correction
        out.append((q[:, :, t].unsqueeze(-2) @ state).squeeze(-2))
    return torch.stack(out, dim=2), state


def heads_in_turn(x: Tensor, n_heads: int) -> Tensor:
    """Value head i shares key head i modulo their number, not those of its group."""
    return x.repeat(1, n_heads // x.shape[1], 1, 1)


def of_any_length(x: Tensor) -> Tensor:
    return x.float()


# --- what stands around it ------------------------------------------------------------------------------------------

SILU_IS_1 = 1.278464543
delta_net, by_channel = GatedDeltaNet.forward, KimiDeltaAttention.forward


def with_parts(forward: Callable[..., Any], change: Callable[[Any, Tensor], dict[str, Any]]) -> Any:
    """`forward` with some of its parts replaced by what `change` makes of all and of the layer's input."""

    def mutated(self: Any, m: Any, x: Tensor, cache: TensorCache) -> Any:
        return forward(self, Renamed(m, **change(m, x)), x, cache)

    return mutated


def gated_before_the_norm(m: Any, x: Tensor) -> dict[str, Any]:
    gate = F.silu(m.gate_proj(x))
    return {
        "gate_proj": lambda x: torch.full_like(m.gate_proj(x), SILU_IS_1),
        "head_norm": lambda out: m.head_norm(out * gate.view(out.shape)),
    }


def norm_with_an_offset(m: Any, x: Tensor) -> dict[str, Any]:
    weight = m.head_norm.weight
    return {"head_norm": lambda out: m.head_norm(out) * (weight + 1) / weight}


def without_parts(*names: str) -> Callable[[Any, Tensor], dict[str, Any]]:
    return lambda m, x: {name: torch.zeros_like(getattr(m, name)) for name in names}


def strengths_as_decays(m: Any, x: Tensor) -> dict[str, Any]:
    return {"beta_proj": m.decay_proj, "decay_proj": m.beta_proj}


def sharper_gate(m: Any, x: Tensor) -> dict[str, Any]:
    return {"gate_b_proj": lambda x: m.gate_b_proj(x) * 2}


def gates_as_decays(m: Any, x: Tensor) -> dict[str, Any]:
    return {"gate_a_proj": m.decay_a_proj, "decay_a_proj": m.gate_a_proj}


def heads_of_the_mean(m: Any, x: Tensor) -> dict[str, Any]:
    """One norm for all heads' values, not one a head."""
    weight, eps = m.head_norm.weight, 1e-6
    return {
        "head_norm": lambda out: (
            F.rms_norm(out.flatten(2), (out.shape[2] * out.shape[3],), eps=eps).view(out.shape) * weight
        )
    }


def of_net(change: Callable[[Any, Tensor], dict[str, Any]], way: str = "batch") -> Patch:
    return Patch(GROUPS, GatedDeltaNet, "forward", with_parts(delta_net, change), way)


def of_channels(change: Callable[[Any, Tensor], dict[str, Any]]) -> Patch:
    return Patch(CHANNELS, KimiDeltaAttention, "forward", with_parts(by_channel, change))


IN_THE_CODE: dict[str, Patch] = {
    "no decay": Patch(GROUPS, gated_deltanet, "recur", no_decay),
    "nothing taken off": Patch(GROUPS, gated_deltanet, "recur", no_delta_rule),
    "corrections in full strength": Patch(GROUPS, gated_deltanet, "recur", full_corrections),
    "decay of the next token": Patch(GROUPS, gated_deltanet, "recur", decay_of_the_next_token),
    "recalled before the decay": Patch(GROUPS, gated_deltanet, "recur", recalled_before_the_decay),
    "queries as keys": Patch(GROUPS, gated_deltanet, "recur", queries_as_keys),
    "key heads shared in turn": Patch(GROUPS, gated_deltanet, "spread", heads_in_turn),
    "keys of any length": Patch(GROUPS, gated_deltanet, "unit", of_any_length),
    "gated before the norm": of_net(gated_before_the_norm),
    "unit offset in the inner norm": of_net(norm_with_an_offset),
    "one norm for all heads": of_net(heads_of_the_mean),
    "bias of decays dropped": of_net(without_parts("decay_bias")),
    "rates of decay dropped": of_net(without_parts("log_rate")),
    "strengths and decays swapped": of_net(strengths_as_decays),
    "filters in reverse": Patch(GROUPS, DepthwiseConvolution, "forward", filter_in_reverse),
    "state not kept": Patch(GROUPS, TensorCache, "keep", state_not_kept, "token by token"),
    "a convolution's inputs forgotten": Patch(GROUPS, TensorCache, "extended", inputs_forgotten, "chunks of a prompt"),
    "one decay a head": Patch(CHANNELS, kda, "recur", one_decay_a_head),
    "channels decay in reverse": Patch(CHANNELS, kda, "recur", channels_in_reverse),
    "nothing taken off, by channel": Patch(CHANNELS, kda, "recur", no_delta_rule),
    "recalled before the decay, by channel": Patch(CHANNELS, kda, "recur", recalled_before_the_decay),
    "keys of any length, by channel": Patch(CHANNELS, kda, "unit", of_any_length),
    "a sharper gate": of_channels(sharper_gate),
    "gates and decays swapped": of_channels(gates_as_decays),
    "unit offset in the inner norm, by channel": of_channels(norm_with_an_offset),
    "bias of channels' decays dropped": of_channels(without_parts("decay_bias")),
    "rates of heads dropped": of_channels(without_parts("log_rate")),
    "state not kept, by channel": Patch(CHANNELS, TensorCache, "keep", state_not_kept, "a prompt, then tokens"),
}


# --- where norms stand ----------------------------------------------------------------------------------------------


def behind_for_before(self: Block, name: str, x: Tensor) -> Tensor:
    """The norm behind a sublayer before it, and the other way round, in layers of attention."""
    axis, _, place = name.partition("_")
    return normed(self, f"{axis}_{'pre' if place == 'post' else 'post'}", x)


def not_at_all(self: Block, name: str, x: Tensor) -> Tensor:
    return x if name.endswith("post") else normed(self, name, x)


def of_the_other_sublayer(self: Block, name: str, x: Tensor) -> Tensor:
    axis, _, place = name.partition("_")
    return normed(self, f"{'ffn' if axis == 'attention' else 'attention'}_{place}", x)


normed = Block._normed
IN_THE_CODE |= {
    "norms before for behind": Patch(PLACED, Block, "_normed", behind_for_before),
    "no norms behind": Patch(PLACED, Block, "_normed", not_at_all),
    "norms of the other sublayer": Patch(PLACED, Block, "_normed", of_the_other_sublayer, "token by token"),
}


@pytest.mark.parametrize("name", IN_THE_CODE)
def test_an_error_in_the_code_shows(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    shows_in_the_code(IN_THE_CODE[name], monkeypatch)
