"""Wiring errors of shared blocks: each must show in the logits far above the tolerance."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from mutations import Alteration, Patch, each, shows_in_the_code, shows_in_the_spec
from pairs import Case
from torch import Tensor

from llmarch_cli.components.attention.shared_block import SharedBlockMixer

ADAPTED, ROTATED = Case("zamba2", 0), Case("zamba2", 1)


def of_blocks(**fields: Any) -> Alteration:
    return each("attention", lambda found: fields if found["kind"] == "shared_block" else {})


def of_mixers(**fields: Any) -> Alteration:
    """Of all Mamba-2 mixers, behind a block or not."""

    def alter(spec: Any) -> None:
        for found in spec["attention"]["variants"].values():
            (found["mixer"] if found["kind"] == "shared_block" else found).update(fields)

    return alter


IN_THE_SPEC: dict[str, tuple[Case, Alteration]] = {
    "scores of whole heads": (ADAPTED, of_blocks(score_scale=None)),
    "no positions": (ROTATED, of_blocks(rope_theta=None)),
    "pairs for halves": (ROTATED, of_blocks(rope_interleaved=True)),
    "another activation": (ADAPTED, of_blocks(activation="silu")),
    "no adapters of attention": (ADAPTED, of_blocks(attention_adapters=False)),
    "steps of any size": (ADAPTED, of_mixers(step_min=0.0)),
    "a mixer's norm as the others": (ADAPTED, of_mixers(norm_eps=0.5)),
}


@pytest.mark.parametrize("name", IN_THE_SPEC)
def test_an_error_in_the_spec_shows(name: str) -> None:
    shows_in_the_spec(*IN_THE_SPEC[name], "prompt")


def block_of(self: Any, m: Any, x: Tensor, cache: Any, embeddings: Tensor) -> Any:
    joined = m.input_norm(torch.cat((x, embeddings), dim=-1))
    return m.block_proj(self._feed_forward(m, m.ffn_norm(self._attention(m, joined, cache))))


def added_to_the_stream(self: Any, m: Any, x: Tensor, cache: Any) -> Any:
    """The block's output is added behind the mixer too."""
    block = block_of(self, m, x, cache, cache.read("embeddings"))
    return m.mixer(m.mixer_norm(x + block), cache) + block


def of_the_stream_alone(self: Any, m: Any, x: Tensor, cache: Any) -> Any:
    return m.mixer(m.mixer_norm(x + block_of(self, m, x, cache, x)), cache)


def instead_of_the_stream(self: Any, m: Any, x: Tensor, cache: Any) -> Any:
    return m.mixer(m.mixer_norm(block_of(self, m, x, cache, cache.read("embeddings"))), cache)


def the_other_way_round(self: Any, m: Any, x: Tensor, cache: Any) -> Any:
    joined = m.input_norm(torch.cat((cache.read("embeddings"), x), dim=-1))
    block = m.block_proj(self._feed_forward(m, m.ffn_norm(self._attention(m, joined, cache))))
    return m.mixer(m.mixer_norm(x + block), cache)


def unadapted(self: Any, m: Any, x: Tensor) -> Any:
    return m.down_proj(torch.nn.functional.gelu(m.gate_proj(x)) * m.up_proj(x))


def gate_alone_adapted(self: Any, m: Any, x: Tensor) -> Any:
    gate = m.gate_proj(x) + m.gate_adapter_up(m.adapter_down(x))
    return m.down_proj(torch.nn.functional.gelu(gate) * m.up_proj(x))


IN_THE_CODE: dict[str, Patch] = {
    "the block added to the stream": Patch(ADAPTED, SharedBlockMixer, "forward", added_to_the_stream),
    "the block without the embedding": Patch(ADAPTED, SharedBlockMixer, "forward", of_the_stream_alone),
    "the block instead of the stream": Patch(ADAPTED, SharedBlockMixer, "forward", instead_of_the_stream),
    "the embedding before the stream": Patch(ADAPTED, SharedBlockMixer, "forward", the_other_way_round),
    "no adapters": Patch(ADAPTED, SharedBlockMixer, "_feed_forward", unadapted),
    "an adapter of the gate alone": Patch(ROTATED, SharedBlockMixer, "_feed_forward", gate_alone_adapted),
}


@pytest.mark.parametrize("name", IN_THE_CODE)
def test_an_error_in_the_code_shows(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    shows_in_the_code(IN_THE_CODE[name], monkeypatch)
