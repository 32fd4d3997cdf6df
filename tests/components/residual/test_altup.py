"""Alternating updates: the streams' ends, what a block reads, and what a spec may say beside them."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor

import llmarch_cli as llmarch
from llmarch_cli.components.residual.altup import AlternatingUpdates
from llmarch_cli.modules.builder import Block, Model, build
from llmarch_cli.specs.spec import ModelSpec

FFN: dict[str, Any] = {"kind": "dense", "d_ff": 24}
TINY: dict[str, Any] = {
    "name": "tiny",
    "d_model": 16,
    "n_layers": 2,
    "vocab_size": 50,
    "residual": {"kind": "altup", "n_streams": 3, "active": 1},
    "attention": {"kind": "gqa", "n_heads": 2, "n_kv_heads": 1, "head_dim": 8, "rope_theta": 10_000},
    "ffn": FFN,
}


def model(**fields: Any) -> Model:
    return build(ModelSpec.model_validate({**TINY, **fields}), seed=0)


@torch.no_grad()
def test_the_streams_open_as_long_as_the_embedding_and_close_to_one() -> None:
    tiny, x = model(), torch.randn(2, 5, 16)
    assert tiny.opening is not None
    assert tiny.closing is not None
    cache = tiny.new_cache().layers[0]
    streams = tiny.opening(x, cache)
    lengths = streams.square().mean(dim=-1).sqrt()
    torch.testing.assert_close(streams[:, :, 0], x)
    torch.testing.assert_close(lengths, lengths[:, :, :1].expand(-1, -1, 3))
    assert tiny.closing(streams, cache).shape == x.shape


@torch.no_grad()
def test_a_block_that_adds_nothing_predicts_alone() -> None:
    """The difference to what was predicted is 0, and corrects nothing."""
    tiny, x = model(), torch.randn(2, 5, 3, 16)
    block: Any = tiny.layers[0]
    assert isinstance(block, Block)
    connection: Any = block.connections["block"]
    read: list[Tensor] = []

    def run(stream: Tensor) -> Tensor:
        read.append(stream)
        return stream

    out = connection.component.around(connection, x, run)
    torch.testing.assert_close(out[:, :, 1], read[0])
    connection.predict_proj.weight.zero_()
    torch.testing.assert_close(connection.component.around(connection, x, lambda stream: stream), x)


def test_the_router_is_used_twice() -> None:
    """Before the block and behind it, with one matrix."""
    spec = ModelSpec.model_validate(TINY)
    profile = llmarch.profile(spec, context=4)
    found = {item.label: cost for item, cost in profile.rows}["residual: block"]
    assert found.params == 16 + 16 * 3 + 3 * 9 + 3 * 3
    assert found.flops_per_token == 2 * (2 * 16 * 3 + 3 * 9 + 3 * 3)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"residual": {"kind": "altup", "n_streams": 3, "active": 3}}, r"active \(3\) must be below n_streams \(3\)"),
        ({"n_mtp_blocks": 1}, "n_mtp_blocks: must be 0 with altup"),
        ({"laurel_rank": 4, "n_mtp_blocks": 1, "residual": {"kind": "plain"}}, "n_mtp_blocks: must be 0"),
        ({"laurel_rank": 4, "norm_placement": "post_residual"}, "laurel_rank needs norm_placement pre, post or sand"),
        ({"laurel_rank": 4, "parallel_sublayers": True}, "laurel_rank needs .* parallel_sublayers: false"),
        (
            {"laurel_rank": 4, "residual": {"kind": "hyper_connections", "n_streams": 2}},
            "laurel_rank: must be null with hyper_connections",
        ),
        ({"ffn": {**FFN, "gated": False, "activation_sparsity": 0.5}}, "activation_sparsity is set without a gate"),
        ({"ffn": {**FFN, "activation_sparsity": 1.0}}, "less than 1"),
    ],
)
def test_what_does_not_fit_is_refused(fields: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        ModelSpec.model_validate({**TINY, **fields})


def test_streams_are_as_wide_as_their_number() -> None:
    assert AlternatingUpdates(kind="altup", n_streams=4).width == 4
