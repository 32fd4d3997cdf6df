"""The dense layer: its parts and its output."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from sublayers import module, run, values


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("gated", [False, True])
def test_it_is_what_is_written_out(gated: bool, bias: bool) -> None:
    built, x = module({"kind": "dense", "d_ff": 12, "gated": gated, "bias": bias}), values(2, 3, 16)
    weights = built.state_dict()
    names = ["gate_proj", "up_proj", "down_proj"] if gated else ["up_proj", "down_proj"]
    assert list(weights) == [f"{name}.{part}" for name in names for part in ("weight", *("bias",) * bias)]

    def project(name: str, values: torch.Tensor) -> torch.Tensor:
        return F.linear(values, weights[f"{name}.weight"], weights.get(f"{name}.bias"))

    up = project("up_proj", x)
    hidden = F.silu(project("gate_proj", x)) * up if gated else F.silu(up)
    torch.testing.assert_close(run(built, x), project("down_proj", hidden))


def test_a_norm_before_the_down_projection() -> None:
    built, x = module({"kind": "dense", "d_ff": 12, "sub_norm": True}), values(2, 3, 16)
    weights = built.state_dict()
    hidden = F.silu(F.linear(x, weights["gate_proj.weight"])) * F.linear(x, weights["up_proj.weight"])
    normed = hidden / (hidden.square().mean(-1, keepdim=True) + 1e-6).sqrt() * weights["sub_norm.weight"]
    torch.testing.assert_close(run(built, x), F.linear(normed, weights["down_proj.weight"]))
