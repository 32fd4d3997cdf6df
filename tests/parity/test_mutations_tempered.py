"""Wiring errors of latent attention whose queries are scaled by their position: each must show in the logits."""

from __future__ import annotations

from typing import Any

import pytest
from mutations import Alteration, Patch, components, each, every, shows_in_the_code, shows_in_the_spec
from pairs import Case
from torch import Tensor

from llmarch_cli.components.attention import MultiHeadLatentAttention
from llmarch_cli.components.attention.scores import FloorTemperature

PLAIN, UNGROUPED, STRETCHED, LONG = (Case("mistral4", variant) for variant in range(4))


def temperature(**fields: Any) -> Alteration:
    """Fields of the factor of queries."""

    def alter(spec: Any) -> None:
        for component in components(spec, "attention"):
            component["temperature"].update(fields)

    return alter


IN_THE_SPEC: dict[str, tuple[Case, Alteration]] = {
    "queries not scaled": (PLAIN, each("attention", lambda found: {"temperature": None})),
    "counted from 1": (PLAIN, temperature(offset=1)),
    "steps too long": (PLAIN, temperature(floor_scale=6)),
    "scaled too much": (PLAIN, temperature(attn_scale=0.5)),
    "pairs as halves": (PLAIN, each("attention", lambda found: {"rope_interleaved": False})),
    "halves as pairs": (UNGROUPED, each("attention", lambda found: {"rope_interleaved": True})),
    "frequencies not scaled": (STRETCHED, each("attention", lambda found: {"rope_scaling": None})),
    "magnitude of scores forgotten": (
        LONG,
        each("attention", lambda found: {"rope_scaling": {**found["rope_scaling"], "mscale_all_dim": None}}),
    ),
    "scores by a sigmoid": (PLAIN, every("ffn", scoring="sigmoid")),
    "groups by their best": (PLAIN, every("ffn", group_score="max")),
    "weights renormalised": (UNGROUPED, every("ffn", renormalize=True)),
}


@pytest.mark.parametrize("name", IN_THE_SPEC)
def test_an_error_in_the_spec_shows(name: str) -> None:
    shows_in_the_spec(*IN_THE_SPEC[name], "prompt")


scale, rows = FloorTemperature.at, MultiHeadLatentAttention._rows


def not_rounded(self: Any, positions: Tensor) -> Any:
    return ((positions + self.offset) / self.floor_scale).log1p() * self.attn_scale + 1


def of_the_step(self: Any, positions: Tensor) -> Tensor:
    """Positions count from the first token of a step."""
    return scale(self, positions - positions[0])


def scaled_keys(self: Any, m: Any, x: Tensor, cache: Any) -> Any:
    """Rotary keys are scaled as queries are, before they are cached."""
    factors = self.temperature.at(cache.positions(cache.length, x))
    latent, k_rope = rows(self, m, x, cache)
    n_tokens = x.shape[1]
    k_rope = k_rope.clone()
    k_rope[:, -n_tokens:] *= factors.unsqueeze(-1)
    return latent, k_rope


IN_THE_CODE: dict[str, Patch] = {
    "steps not rounded": Patch(PLAIN, FloorTemperature, "at", not_rounded),
    "positions of a step": Patch(PLAIN, FloorTemperature, "at", of_the_step, "token by token"),
    "keys scaled too": Patch(PLAIN, MultiHeadLatentAttention, "_rows", scaled_keys),
}


@pytest.mark.parametrize("name", IN_THE_CODE)
def test_an_error_in_the_code_shows(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    shows_in_the_code(IN_THE_CODE[name], monkeypatch)
