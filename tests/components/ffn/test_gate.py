"""Activations against their definitions, clamps and offsets."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from sublayers import component, values

from llmarch_cli.components.ffn.gate import GatedComponent

DEFINITIONS = {
    "silu": lambda x: x / (1 + math.exp(-x)),
    "gelu": lambda x: x * 0.5 * (1 + math.erf(x / math.sqrt(2))),
    "gelu_tanh": lambda x: 0.5 * x * (1 + math.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))),
    "quick_gelu": lambda x: x / (1 + math.exp(-1.702 * x)),
    "relu": lambda x: max(x, 0.0),
    "relu2": lambda x: max(x, 0.0) ** 2,
}


def layer(**fields: Any) -> GatedComponent:
    built = component({"kind": "dense", "d_ff": 8, **fields})
    assert isinstance(built, GatedComponent)
    return built


@pytest.mark.parametrize("activation", DEFINITIONS)
def test_activations(activation: str) -> None:
    up, gate = values(50) * 3, values(50, seed=2) * 3
    expected = torch.tensor([DEFINITIONS[activation](float(x)) for x in up])
    torch.testing.assert_close(
        layer(activation=activation, gated=False).hidden(up, None), expected, atol=1e-5, rtol=1e-5
    )
    expected = torch.tensor([DEFINITIONS[activation](float(x)) for x in gate]) * up
    torch.testing.assert_close(layer(activation=activation).hidden(up, gate), expected, atol=1e-5, rtol=1e-5)


def test_xielu() -> None:
    """By its definition, arXiv 2411.13010, with its two curvatures behind a softplus."""
    p, n = 0.3, -0.7
    right, left = math.log1p(math.exp(p)), 0.5 + math.log1p(math.exp(n))
    up = values(50) * 3
    expected = [right * x * x + 0.5 * x if x > 0 else left * (math.expm1(x) - x) + 0.5 * x for x in up.tolist()]
    hidden = layer(activation="xielu", gated=False).hidden(up, None, (torch.tensor([p]), torch.tensor([n])))
    torch.testing.assert_close(hidden, torch.tensor(expected), atol=1e-5, rtol=1e-5)


def test_xielu_has_no_gate() -> None:
    with pytest.raises(ValidationError, match="activation xielu has no gated form"):
        layer(activation="xielu")


def test_a_clamp_bounds_the_gate_above_and_up_on_both_sides() -> None:
    up, gate = torch.tensor([-9.0, 9.0, 1.0]), torch.tensor([-9.0, 9.0, 1.0])
    clamped = layer(clamp=7.0, activation="relu", up_offset=1.0).hidden(up, gate)
    assert clamped.tolist() == [0.0, 7.0 * (7.0 + 1.0), 1.0 * (1.0 + 1.0)]
    assert layer(clamp=7.0).hidden(up, gate)[0] == layer().hidden(torch.tensor([-7.0]), torch.tensor([-9.0]))


def test_a_clamp_after_the_activation_bounds_the_activated_gate() -> None:
    up, gate = torch.tensor([-9.0, 1.0]), torch.tensor([3.0, 3.0])
    squared = layer(clamp=7.0, clamp_after_activation=True, activation="relu2").hidden(up, gate)
    assert squared.tolist() == [7.0 * -7.0, 7.0 * 1.0]
    with pytest.raises(ValidationError, match="clamp_after_activation is set without clamp"):
        layer(clamp_after_activation=True)


@pytest.mark.parametrize("fields", [{"clamp": 1.0}, {"up_offset": 1.0}])
def test_what_a_gate_is_multiplied_with_needs_a_gate(fields: dict[str, float]) -> None:
    (name,) = fields
    with pytest.raises(ValidationError, match=f"{name} needs a gate, but gated is false"):
        layer(gated=False, **fields)
