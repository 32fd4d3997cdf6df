"""Multi-head latent attention: shapes, cache and cost against values worked out by hand; both forms agree."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from pydantic import ValidationError
from sublayers import component, module, run, values

from llmarch_cli.components.cache import Mixing, Rows
from llmarch_cli.modules.cache import TensorCache

MLA = {"kind": "mla", "n_heads": 3, "kv_lora_rank": 10, "qk_nope_head_dim": 4, "qk_rope_head_dim": 6, "v_head_dim": 5}
ROTATED = MLA | {"rope_theta": 1e4}


def shapes(**fields: Any) -> dict[str, tuple[int, ...]]:
    return {name: tuple(weight.shape) for name, weight in module(MLA | fields).named_parameters()}


def test_parameters() -> None:
    compressed = {
        "kv_a_proj.weight": (10 + 6, 16),
        "kv_a_norm.weight": (10,),
        "kv_b_proj.weight": (3 * (4 + 5), 10),
        "o_proj.weight": (16, 3 * 5),
    }
    assert shapes() == {"q_b_proj.weight": (3 * (4 + 6), 16)} | compressed
    assert (
        shapes(q_lora_rank=7)
        == {
            "q_a_proj.weight": (7, 16),
            "q_a_norm.weight": (7,),
            "q_b_proj.weight": (3 * (4 + 6), 7),
        }
        | compressed
    )
    biases = {"q_a_proj.bias", "kv_a_proj.bias", "o_proj.bias"}
    assert set(shapes(q_lora_rank=7, bias=True)) - set(shapes(q_lora_rank=7)) == biases


def test_cache_and_cost() -> None:
    mla = component(MLA)
    assert list(mla.cache()) == [Rows("latent", 10), Rows("k_rope", 6)]
    assert mla.multi_head_width == 3 * ((4 + 6) + 5)
    assert list(mla.mixing()) == [Mixing(3 * 2 * ((10 + 6) + 10))]


@pytest.mark.parametrize("fields", [{}, {"q_lora_rank": 7, "bias": True}, {"rope_theta": None}])
@pytest.mark.parametrize(
    "scaling",
    [None, {"kind": "yarn", "factor": 4.0, "original_context_length": 8, "mscale": 0.7, "mscale_all_dim": 0.7}],
)
def test_the_absorbed_form_is_the_expanded_one(fields: dict[str, Any], scaling: dict[str, Any] | None) -> None:
    data = ROTATED | fields
    if data["rope_theta"] is not None:
        data["rope_scaling"] = scaling
    built, x = module(data), values(2, 6, 16)
    cache = TensorCache.of(built.component)
    run(built, x[:, :-1], cache)
    absorbed = run(built, x[:, -1:], cache)
    torch.testing.assert_close(absorbed, run(built, x)[:, -1:], rtol=1e-4, atol=1e-5)


def test_rotated_widths_are_even() -> None:
    with pytest.raises(ValidationError, match="multiple of 2"):
        component(MLA | {"qk_rope_head_dim": 5})
