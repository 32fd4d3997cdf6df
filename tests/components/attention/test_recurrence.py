"""The recurrence: its chunk form and its step form are what a loop in float64 gives, and gradients flow."""

from __future__ import annotations

from typing import NamedTuple

import pytest
import torch
from sublayers import values
from torch import Tensor

from llmarch_cli.components.attention.recurrence import CHUNK, CHUNK_BY_CHANNEL, recur, spread, unit

BATCH, HEADS, K_DIM, V_DIM = 2, 3, 5, 4
WIDTHS = {"by head": 1, "by channel": K_DIM}
RULES = {"sum": False, "delta rule": True}

by_width = pytest.mark.parametrize("width", WIDTHS.values(), ids=WIDTHS)
by_rule = pytest.mark.parametrize("delta", RULES.values(), ids=RULES)


class Drawn(NamedTuple):
    q: Tensor
    k: Tensor
    v: Tensor
    decay: Tensor
    state: Tensor
    beta: Tensor | None


def drawn(n_tokens: int, width: int, delta: bool, strength: float = 1.0) -> Drawn:
    """Keys of unit length, and strengths of corrections up to 2."""

    def heads(width: int, seed: int) -> Tensor:
        return values(BATCH, HEADS, n_tokens, width, seed=seed)

    return Drawn(
        heads(K_DIM, 1),
        unit(heads(K_DIM, 2)),
        heads(V_DIM, 3),
        heads(width, 4).abs() * -strength,
        values(BATCH, HEADS, K_DIM, V_DIM, seed=5),
        heads(1, 6).squeeze(-1).sigmoid() * 2 if delta else None,
    )


def looped(x: Drawn) -> tuple[Tensor, Tensor]:
    """The definition, a token and a head at a time, in float64."""
    state, out = x.state.double(), []
    for t in range(x.q.shape[2]):
        q, k, v, decay = (values[:, :, t].double() for values in (x.q, x.k, x.v, x.decay))
        state = torch.einsum("bhkv,bhk->bhkv", state, decay.exp().expand_as(k))
        if x.beta is not None:
            recalled = torch.einsum("bhkv,bhk->bhv", state, k)
            v = (v - recalled) * x.beta[:, :, t, None].double()
        state = state + torch.einsum("bhk,bhv->bhkv", k, v)
        out.append(torch.einsum("bhkv,bhk->bhv", state, q))
    return torch.stack(out, dim=2), state


def close(found: tuple[Tensor, Tensor], expected: tuple[Tensor, Tensor]) -> None:
    for ours, theirs in zip(found, expected, strict=True):
        assert ours.dtype == torch.float32
        assert float((ours.double() - theirs).norm() / theirs.norm()) < 2e-6


@by_rule
@by_width
@pytest.mark.parametrize("n_tokens", [1, 2, CHUNK_BY_CHANNEL, CHUNK_BY_CHANNEL + 1, CHUNK, CHUNK + 1, 150])
def test_chunks_are_the_definition(n_tokens: int, width: int, delta: bool) -> None:
    x = drawn(n_tokens, width, delta, strength=0.1)
    close(recur(*x), looped(x))


@by_rule
@by_width
@pytest.mark.parametrize("sizes", [(1,) * 20, (19, 1), (1, 19), (7, 13)])
def test_pieces_are_the_whole(sizes: tuple[int, ...], width: int, delta: bool) -> None:
    x = drawn(20, width, delta)
    state, out, start = x.state, [], 0
    for size in sizes:
        now = slice(start, start + size)
        q, k, v, decay = (values[:, :, now] for values in x[:4])
        mixed, state = recur(q, k, v, decay, state, None if x.beta is None else x.beta[:, :, now])
        out.append(mixed)
        start += size
    close((torch.cat(out, dim=2), state), looped(x))


@by_rule
@by_width
@pytest.mark.parametrize("strength", [0.0, 30.0, 1e4, 1e30])
def test_decays_of_any_strength(strength: float, width: int, delta: bool) -> None:
    x = drawn(70, width, delta, strength)
    close(recur(*x), looped(x))


@by_rule
@by_width
@pytest.mark.parametrize("strength", [1e3, 1e6, torch.inf])
def test_weak_decays_behind_strong_ones(strength: float, width: int, delta: bool) -> None:
    """A token that clears the state leaves those behind it exact."""
    x = drawn(70, width, delta, strength=0.01)
    x.decay[:, :, 20:24] = -strength
    close(recur(*x), looped(x))


@by_rule
@by_width
def test_later_tokens_change_nothing(width: int, delta: bool) -> None:
    x = drawn(40, width, delta)
    before = recur(*x)[0][:, :, :25]
    for each in (x.q, x.k, x.v, x.decay):
        each[:, :, 25:] *= 3
    torch.testing.assert_close(recur(*x)[0][:, :, :25], before)


@by_rule
@by_width
@pytest.mark.parametrize("strength", [0.1, 1e4])
def test_gradients_are_those_of_the_definition(strength: float, width: int, delta: bool) -> None:
    x = drawn(20, width, delta, strength)
    inputs = [each.requires_grad_() for each in x if each is not None]
    weight = values(BATCH, HEADS, 20, V_DIM, seed=7)

    def gradients(result: tuple[Tensor, Tensor]) -> tuple[Tensor, ...]:
        out, state = result
        return torch.autograd.grad((out * weight).sum() + state.square().sum(), inputs)

    for ours, theirs in zip(gradients(recur(*x)), gradients(looped(x)), strict=True):
        assert bool(ours.isfinite().all())
        torch.testing.assert_close(ours, theirs.to(ours.dtype), atol=2e-4, rtol=2e-4)


def test_a_key_recalls_what_was_stored_under_it() -> None:
    """With the delta rule in full strength a second value replaces the first; without, both add up."""
    k = torch.tensor([1.0, 0.0]).expand(1, 1, 2, 2)
    v, decay, state = torch.tensor([[[[2.0], [5.0]]]]), torch.zeros(1, 1, 2, 1), torch.zeros(1, 1, 2, 1)
    replaced, _ = recur(k, k, v, decay, state, torch.ones(1, 1, 2))
    added, _ = recur(k, k, v, decay, state)
    assert replaced.flatten().tolist() == [2.0, 5.0]
    assert added.flatten().tolist() == [2.0, 7.0]


def test_units_and_shared_heads() -> None:
    x = values(2, 3, 4, 5)
    torch.testing.assert_close(unit(x).norm(dim=-1), torch.ones(2, 3, 4), atol=1e-5, rtol=0.0)
    assert unit(torch.zeros(1, 5)).tolist() == [[0.0] * 5]
    torch.testing.assert_close(spread(x, 6), x.repeat_interleave(2, dim=1))
    assert spread(x, 3) is x
