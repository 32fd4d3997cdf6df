"""Wiring errors of shortcuts, zero-computation experts and scaled latents: each must show in the logits."""

from __future__ import annotations

from typing import Any

import pytest
from mutations import Alteration, Patch, each, shows_in_the_code, shows_in_the_spec
from pairs import Case
from torch import Tensor

from llmarch_cli.components.attention import MultiHeadLatentAttention
from llmarch_cli.components.ffn import MixtureOfExperts, ShortcutFeedForward

PLAIN, STRETCHED = Case("longcat_flash", 0), Case("longcat_flash", 1)


def deferred(**fields: Any) -> Alteration:
    """Fields of the deferred experts."""
    return lambda spec: spec["ffn"]["variants"]["lower"]["deferred"].update(fields)


IN_THE_SPEC: dict[str, tuple[Case, Alteration]] = {
    "queries not scaled": (PLAIN, each("attention", lambda found: {"q_scale": 1.0})),
    "latents not scaled": (PLAIN, each("attention", lambda found: {"latent_scale": 1.0})),
    "pairs as halves": (PLAIN, each("attention", lambda found: {"rope_interleaved": False})),
    "scaling forgotten": (STRETCHED, each("attention", lambda found: {"rope_scaling": None})),
    "weights renormalised": (PLAIN, deferred(renormalize=True)),
    "scores by a sigmoid": (PLAIN, deferred(scoring="sigmoid")),
    "one expert fewer": (PLAIN, deferred(top_k=2)),
    "experts not scaled": (PLAIN, deferred(routed_scale=1.0)),
}


@pytest.mark.parametrize("name", IN_THE_SPEC)
def test_an_error_in_the_spec_shows(name: str) -> None:
    shows_in_the_spec(*IN_THE_SPEC[name], "prompt")


def in_the_same_layer(self: Any, m: Any, x: Tensor, cache: Any) -> Any:
    """The experts' output is added where they stand."""
    out = m.own(x, cache)
    return out if self.deferred is None else out + m.deferred(x, cache)


def never_added(self: Any, m: Any, x: Tensor, cache: Any) -> Any:
    return m.own(x, cache)


def of_the_own_output(self: Any, m: Any, x: Tensor, cache: Any) -> Any:
    """The experts read what the dense layer gives."""
    out = m.own(x, cache)
    if self.adds_from is not None:
        out = out + cache.read("shortcut")
    if self.deferred is not None:
        cache.leave(shortcut=m.deferred(out, cache))
    return out


route, rows = MixtureOfExperts.route, MultiHeadLatentAttention._rows


def unbiased(self: Any, m: Any, preference: Tensor) -> Any:
    return preference.topk(self.top_k, dim=-1).indices


def zero_is_nothing(self: Any, m: Any, tokens: Tensor, fixed: Tensor | None = None) -> Any:
    """Zero-computation experts give zeros."""
    weights, chosen = route(self, m, tokens, fixed)
    return weights * (chosen < self.n_experts), chosen


def none_is_zero(self: Any, routed_ids: Tensor) -> Any:
    """Zero-computation experts compute as the last expert does."""
    return (routed_ids >= 0).unsqueeze(-1)


def scaled_keys(self: Any, m: Any, x: Tensor, cache: Any) -> Any:
    """Rotary keys are scaled with the latents."""
    latent, k_rope = rows(self, m, x, cache)
    return latent, k_rope * self.latent_scale


IN_THE_CODE: dict[str, Patch] = {
    "experts added in the same layer": Patch(PLAIN, ShortcutFeedForward, "forward", in_the_same_layer),
    "experts never added": Patch(PLAIN, ShortcutFeedForward, "forward", never_added),
    "experts of the layer's output": Patch(PLAIN, ShortcutFeedForward, "forward", of_the_own_output),
    "a choice without its bias": Patch(PLAIN, MixtureOfExperts, "_picked_at_once", unbiased),
    "zero experts give zeros": Patch(PLAIN, MixtureOfExperts, "route", zero_is_nothing),
    "zero experts compute": Patch(PLAIN, MixtureOfExperts, "_computes", none_is_zero),
    "rotary keys scaled": Patch(PLAIN, MultiHeadLatentAttention, "_rows", scaled_keys),
}


@pytest.mark.parametrize("name", IN_THE_CODE)
def test_an_error_in_the_code_shows(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    shows_in_the_code(IN_THE_CODE[name], monkeypatch)
