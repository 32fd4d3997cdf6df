"""Gated DeltaNet and Kimi delta attention: parts, states and costs; every way to run a prompt agrees."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from pydantic import ValidationError
from sublayers import component, module, run, values

from llmarch_cli.components.cache import ONCE, Mixing, State
from llmarch_cli.modules.cache import TensorCache

NET = {"kind": "gated_deltanet", "n_k_heads": 2, "n_v_heads": 6, "k_head_dim": 3, "v_head_dim": 4, "conv_kernel": 3}
CHANNELS = {"kind": "kda", "n_heads": 3, "head_dim": 4}
KINDS = {"gated_deltanet": NET, "negative": NET | {"negative_eigenvalues": True}, "kda": CHANNELS}


def shapes(data: dict[str, Any]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(weight.shape) for name, weight in module(data).named_parameters()}


def test_parameters() -> None:
    assert shapes(NET) == {
        **dict.fromkeys(("q_proj.weight", "k_proj.weight"), (6, 16)),
        **dict.fromkeys(("v_proj.weight", "gate_proj.weight"), (24, 16)),
        **dict.fromkeys(("beta_proj.weight", "decay_proj.weight"), (6, 16)),
        **dict.fromkeys(("decay_bias", "log_rate"), (6,)),
        "conv.weight": (36, 3),
        "head_norm.weight": (4,),
        "o_proj.weight": (16, 24),
    }
    assert shapes(CHANNELS) == {
        **dict.fromkeys(("q_proj.weight", "k_proj.weight", "v_proj.weight"), (12, 16)),
        **dict.fromkeys(("decay_a_proj.weight", "gate_a_proj.weight"), (4, 16)),
        **dict.fromkeys(("decay_b_proj.weight", "gate_b_proj.weight"), (12, 4)),
        "beta_proj.weight": (3, 16),
        "conv.weight": (36, 4),
        "decay_bias": (12,),
        "log_rate": (3,),
        "head_norm.weight": (4,),
        "o_proj.weight": (16, 12),
    }


def test_states_and_costs() -> None:
    net, channels = component(NET), component(CHANNELS)
    assert list(net.cache()) == [State("recurrence", (6, 3, 4)), State("conv_inputs", (2, 36), "bf16")]
    assert list(net.mixing()) == [Mixing(6 * 6 * 3 * 4, ONCE, "state")]
    assert list(channels.cache()) == [State("recurrence", (3, 4, 4)), State("conv_inputs", (3, 36), "bf16")]
    assert list(channels.mixing()) == [Mixing(6 * 3 * 4 * 4, ONCE, "state")]


def test_fields_that_do_not_fit() -> None:
    with pytest.raises(ValidationError, match=r"n_v_heads \(5\) must be a multiple of n_k_heads \(2\)"):
        component(NET | {"n_v_heads": 5})
    for data in (NET, CHANNELS):
        with pytest.raises(ValidationError, match="greater than 1"):
            component(data | {"conv_kernel": 1})


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("sizes", [(1,) * 9, (4, 5), (2, 1, 6), (8, 1), (1, 8)])
def test_pieces_of_a_prompt_give_what_it_gives_whole(kind: str, sizes: tuple[int, ...]) -> None:
    built, x = module(KINDS[kind]), values(2, 9, 16)
    cache, whole = TensorCache.of(built.component), TensorCache.of(built.component)
    pieces = torch.cat([run(built, piece, cache) for piece in x.split(sizes, dim=1)], dim=1)
    torch.testing.assert_close(pieces, run(built, x, whole))
    for name, kept in cache.stored.items():
        torch.testing.assert_close(kept, whole.stored[name])


@pytest.mark.parametrize("kind", KINDS)
def test_a_recurrence_stays_in_float32(kind: str) -> None:
    built, x = module(KINDS[kind]).bfloat16(), values(1, 5, 16).bfloat16()
    cache = TensorCache.of(built.component)
    assert run(built, x, cache).dtype == torch.bfloat16
    assert cache.stored["recurrence"].dtype == torch.float32
    assert cache.stored["conv_inputs"].dtype == torch.bfloat16


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_reach_every_weight(kind: str) -> None:
    built = module(KINDS[kind]).requires_grad_()
    out = built(values(1, 9, 16), TensorCache.of(built.component))
    out.square().sum().backward()
    for name, weight in built.named_parameters():
        assert weight.grad is not None, name
        assert bool(weight.grad.isfinite().all()), name
        assert bool(weight.grad.any()), name
