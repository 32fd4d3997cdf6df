"""Selective recomputation: fewer tensors are kept, and results stay the same."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from llmarch_cli.components.recomputation import mixes_tokens, selective_recomputation

calls: list[int] = []


@mixes_tokens
def mixed(x: Tensor, scale: float = 2.0, *, shift: Tensor) -> Tensor:
    """A function with every way to give an argument."""
    calls.append(1)
    return (x * scale + shift).exp().exp()


def gradient(scale: float) -> Tensor:
    """The gradient of `mixed`."""
    x = torch.linspace(-1, 1, 5, requires_grad=True)
    mixed(x, scale=scale, shift=torch.ones(5)).sum().backward()
    assert x.grad is not None
    return x.grad


def test_a_function_runs_again_only_inside() -> None:
    for around, expected in ((False, 1), (True, 2)):
        calls.clear()
        if around:
            with selective_recomputation():
                gradient(0.5)
        else:
            gradient(0.5)
        assert len(calls) == expected
    calls.clear()
    gradient(0.5)
    assert len(calls) == 1


def test_gradients_stay_the_same() -> None:
    usual = gradient(0.25)
    with selective_recomputation():
        assert torch.equal(gradient(0.25), usual)


def test_it_ends_with_an_error() -> None:
    with pytest.raises(ValueError, match="stop"), selective_recomputation():
        raise ValueError("stop")
    calls.clear()
    gradient(1.0)
    assert len(calls) == 1
