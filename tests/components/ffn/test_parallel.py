"""Parallel layers: the scaled sum of their outputs."""

from __future__ import annotations

import pytest
import torch
from pydantic import ValidationError
from sublayers import component, module, run, values

DENSE = {"kind": "dense", "d_ff": 8}
MOE = {"kind": "moe", "n_experts": 4, "top_k": 2, "d_ff": 8}


def test_branches_are_summed_and_scaled() -> None:
    built = module({"kind": "parallel", "branches": {"dense": DENSE, "moe": MOE, "forward": DENSE}, "scale": 0.5})
    x = values(2, 3, 16)
    branches = [run(getattr(built, f"{name}_branch"), x) for name in ("dense", "moe", "forward")]
    torch.testing.assert_close(run(built, x), 0.5 * (branches[0] + branches[1] + branches[2]))


@pytest.mark.parametrize("branches", [{}, {"dense": DENSE}])
def test_there_are_two_or_more(branches: dict[str, object]) -> None:
    with pytest.raises(ValidationError, match="at least 2 items"):
        component({"kind": "parallel", "branches": branches})


@pytest.mark.parametrize("name", ["Dense", "a-b", "a.b", "1", "", "é", "x" * 101])
def test_names_are_those_of_modules(name: str) -> None:
    with pytest.raises(ValidationError):
        component({"kind": "parallel", "branches": {name: DENSE, "moe": MOE}})
