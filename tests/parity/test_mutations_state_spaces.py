"""Wiring errors of state spaces and of experts of a latent width, one a test, as in `test_mutations.py`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from mutations import (
    Alteration,
    Patch,
    Renamed,
    each,
    every,
    filter_in_reverse,
    inputs_forgotten,
    shows_in_the_code,
    shows_in_the_spec,
    state_not_kept,
)
from pairs import Case
from torch import Tensor

from llmarch_cli.components.attention import Mamba, Mamba2, ParallelMixers, mamba, mamba2
from llmarch_cli.components.attention.recurrence import recur, spread
from llmarch_cli.components.ffn import MixtureOfExperts
from llmarch_cli.modules.builder import DepthwiseConvolution, Normalization
from llmarch_cli.modules.cache import TensorCache

CHANNELS, BIASED, NORMED = Case("mamba", 1), Case("mamba", 0), Case("jamba", 0)
LIMITED, ONE_GROUP, HYBRID = Case("mamba2", 0), Case("mamba2", 1), Case("bamba", 0)
LATENT, PLAIN = Case("nemotron_h", 0), Case("nemotron_h", 1)

BESIDE = Case("falcon_h1", 0)
SCALES = ("gate_scale", "x_scale", "write_scale", "read_scale", "step_scale")


def scale_swapped(field: str) -> Alteration:
    """Each branch has the scale of the other."""

    def swapped(c: dict[str, Any]) -> dict[str, Any]:
        if field not in c:
            return {}
        (a, first), (b, second) = c[field].items()
        return {field: {a: second, b: first}}

    return each("attention", swapped)


IN_THE_SPEC: dict[str, tuple[Case, Alteration]] = {
    "lower limit of steps dropped": (LATENT, every("attention", step_min=0.0)),
    "lower limit of steps dropped, with an upper one": (LIMITED, every("attention", step_min=0.0)),
    "upper limit of steps dropped": (LIMITED, every("attention", step_max=None)),
    "one norm for all groups": (HYBRID, each("attention", lambda c: {"norm_groups": 1} if "norm_groups" in c else {})),
    "output gated behind its norm": (
        HYBRID,
        each("attention", lambda c: {"norm_before_gate": True} if "norm_groups" in c else {}),
    ),
    "output not normalised": (
        HYBRID,
        each("attention", lambda c: {"norm_groups": None} if "norm_groups" in c else {}),
    ),
    "biases of Mamba's projections dropped": (BIASED, every("attention", bias=False)),
    "biases of Mamba-2's projections dropped": (LIMITED, every("attention", bias=False)),
    "biases of Mamba's convolution dropped": (CHANNELS, every("attention", conv_bias=False)),
    "biases of Mamba-2's convolution dropped": (LIMITED, every("attention", conv_bias=False)),
    "another activation behind the convolution": (ONE_GROUP, every("attention", activation="gelu")),
    "another activation behind Mamba's convolution": (CHANNELS, every("attention", activation="gelu")),
    "inner norms dropped": (NORMED, every("attention", inner_norms=False)),
    "inner norms without their weights": (NORMED, every("attention", inner_norms="weightless")),
    "inner norms with the model's epsilon": (Case("falcon_mamba", 0), every("attention", inner_eps=None)),
    **{f"{name} of Mamba-2 swapped for 1": (BESIDE, every("attention", **{name: 1.0})) for name in SCALES},
    "scales of what branches read swapped": (BESIDE, scale_swapped("input_scales")),
    "scales of what branches give swapped": (BESIDE, scale_swapped("output_scales")),
    "scale of the gate dropped": (BESIDE, every("ffn", gate_scale=1.0)),
    "scale of the feed-forward layer dropped": (BESIDE, every("ffn", output_scale=1.0)),
    "scale of keys dropped": (
        BESIDE,
        each("attention", lambda c: {"score_scale": None} if c["kind"] == "gqa" else {}),
    ),
    "relu not squared": (PLAIN, every("ffn", activation="relu")),
    "weights of experts not scaled": (LATENT, every("ffn", routed_scale=1.0)),
    "selection bias dropped": (LATENT, every("ffn", selection_bias=False)),
    "rotary in attention beside Mamba-2": (
        PLAIN,
        each("attention", lambda c: {"rope_theta": 10_000.0} if c["kind"] == "gqa" else {}),
    ),
}


@pytest.mark.parametrize("name", IN_THE_SPEC)
def test_an_error_in_the_spec_shows(name: str) -> None:
    shows_in_the_spec(*IN_THE_SPEC[name])


Scales = dict[str, float]
Replaced = Callable[[Any], dict[str, Any]]


def with_modules(kind: type[Any], others: Replaced) -> Any:
    """The forward of `kind` with other modules."""
    forward = kind.forward

    def altered(self: Any, m: Any, x: Tensor, cache: TensorCache) -> Any:
        return forward(self, Renamed(m, **others(m)), x, cache)

    return altered


def exchanged(a: str, b: str) -> Replaced:
    return lambda m: {a: getattr(m, b), b: getattr(m, a)}


def zero(name: str) -> Replaced:
    return lambda m: {name: torch.zeros_like(getattr(m, name))}


def rate_without_exponential(m: Any) -> dict[str, Any]:
    return {"log_rate": F.softplus(m.log_rate.float()).log()}


def without_bias_of_steps(m: Any) -> dict[str, Any]:
    return {"step_b_proj": lambda x: F.linear(x, m.step_b_proj.weight)}


def no_decay(q: Tensor, k: Tensor, v: Tensor, decay: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
    return recur(q, k, v, torch.zeros_like(decay), state)


def scaled_reads(q: Tensor, k: Tensor, v: Tensor, decay: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
    """As in softmax attention."""
    return recur(q * q.shape[-1] ** -0.5, k, v, decay, state)


def read_before_written(q: Tensor, k: Tensor, v: Tensor, decay: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
    """Each token reads what those before it left, and not what it adds itself."""
    out, after = recur(q, k, v, decay, state)
    return out - (q * k).sum(-1, keepdim=True) * v, after


def next_decay(q: Tensor, k: Tensor, v: Tensor, decay: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
    return recur(q, k, v, decay.roll(-1, dims=2), state)


def groups_dealt_in_turn(x: Tensor, n_heads: int) -> Tensor:
    """Head h reads group h mod n_groups, and not its block's."""
    return x.repeat(1, n_heads // x.shape[1], 1, 1)


def steps_of_one(m: Any) -> dict[str, Any]:
    """All steps are of one size, about softplus(0)."""
    return {"step_proj": lambda x: m.step_proj(x) * 0, "step_bias": torch.zeros_like(m.step_bias)}


route = MixtureOfExperts.route
normed = Normalization.forward


def groups_of_the_norm_interleaved(self: Normalization, x: Tensor) -> Any:
    """Channel c is of group c mod n_groups."""
    if self.groups == 1:
        return normed(self, x)
    mixed = x.float().unflatten(-1, (-1, self.groups))
    mixed = mixed * (mixed.square().mean(-2, keepdim=True) + self.eps).rsqrt()
    return (mixed.flatten(-2) * self.weight).to(x.dtype)


def router_reads_latents(self: MixtureOfExperts, m: Any, tokens: Tensor, fixed: Tensor | None) -> tuple[Tensor, Tensor]:
    """What the experts see of a token, brought back to its width."""
    return route(self, m, m.latent_up_proj(m.latent_down_proj(tokens)))


def shared_expert_reads_latents(self: MixtureOfExperts, m: Any, x: Tensor, cache: TensorCache) -> Any:
    def shared(x: Tensor, cache: TensorCache) -> Any:
        return m.shared_expert(m.latent_up_proj(m.latent_down_proj(x)), cache)

    return moe_forward(self, Renamed(m, shared_expert=shared), x, cache)


moe_forward = MixtureOfExperts.forward


def latents_activated(self: MixtureOfExperts, m: Any, x: Tensor, cache: TensorCache) -> Any:
    return moe_forward(self, Renamed(m, latent_down_proj=lambda x: F.relu(m.latent_down_proj(x)).square()), x, cache)


summed = ParallelMixers.summed


def one_after_the_other(self: Any, m: Any, x: Tensor, cache: TensorCache, before: Scales, behind: Scales) -> Any:
    total = torch.zeros_like(x)
    for name in self.branches:
        branch = m.get_submodule(f"{name}_branch")
        total = total + branch((x + total) * before[name], cache) * behind[name]
    return total


def first_alone(self: Any, m: Any, x: Tensor, cache: TensorCache, before: Scales, behind: Scales) -> Any:
    name = next(iter(self.branches))
    return m.get_submodule(f"{name}_branch")(x * before[name], cache) * behind[name]


def scales_exchanged(self: Any, m: Any, x: Tensor, cache: TensorCache, before: Scales, behind: Scales) -> Any:
    return summed(self, m, x, cache, behind, before)


def of_mamba(others: Replaced) -> Patch:
    return Patch(CHANNELS, Mamba, "forward", with_modules(Mamba, others))


def of_mamba2(others: Replaced, case: Case = HYBRID) -> Patch:
    return Patch(case, Mamba2, "forward", with_modules(Mamba2, others))


IN_THE_CODE: dict[str, Patch] = {
    "Mamba: input and gate swapped": of_mamba(exchanged("x_proj", "gate_proj")),
    "Mamba: writes and reads swapped": of_mamba(exchanged("write_proj", "read_proj")),
    "Mamba: nothing past the recurrence": of_mamba(zero("skip")),
    "Mamba: rates by another function": of_mamba(rate_without_exponential),
    "Mamba: no bias of steps": of_mamba(without_bias_of_steps),
    "Mamba: no decay": Patch(CHANNELS, mamba, "recur", no_decay),
    "Mamba: reads scaled": Patch(CHANNELS, mamba, "recur", scaled_reads),
    "Mamba: a token does not read itself": Patch(CHANNELS, mamba, "recur", read_before_written),
    "Mamba: decay of the next token": Patch(CHANNELS, mamba, "recur", next_decay),
    "Mamba: reads not normalised": Patch(
        NORMED, Mamba, "forward", with_modules(Mamba, lambda m: {"read_norm": lambda x: x * m.read_norm.weight})
    ),
    "Mamba: filters in reverse": Patch(CHANNELS, DepthwiseConvolution, "forward", filter_in_reverse),
    "Mamba: state not kept": Patch(CHANNELS, TensorCache, "keep", state_not_kept, "token by token"),
    "Mamba: inputs forgotten": Patch(CHANNELS, TensorCache, "extended", inputs_forgotten, "chunks of a prompt"),
    "Mamba-2: input and gate swapped": of_mamba2(exchanged("x_proj", "gate_proj")),
    "Mamba-2: writes and reads swapped": of_mamba2(exchanged("write_proj", "read_proj")),
    "Mamba-2: nothing past the recurrence": of_mamba2(zero("skip")),
    "Mamba-2: no bias of steps": of_mamba2(zero("step_bias")),
    "Mamba-2: rates by another function": of_mamba2(rate_without_exponential),
    "Mamba-2: no decay": Patch(HYBRID, mamba2, "recur", no_decay),
    "Mamba-2: reads scaled": Patch(HYBRID, mamba2, "recur", scaled_reads),
    "Mamba-2: a token does not read itself": Patch(HYBRID, mamba2, "recur", read_before_written),
    "Mamba-2: groups dealt in turn": Patch(HYBRID, mamba2, "spread", groups_dealt_in_turn),
    "Mamba-2: steps of one size": of_mamba2(steps_of_one),
    "Mamba-2: groups of the norm interleaved": Patch(HYBRID, Normalization, "forward", groups_of_the_norm_interleaved),
    "Mamba-2: filters in reverse": Patch(HYBRID, DepthwiseConvolution, "forward", filter_in_reverse),
    "Mamba-2: state not kept": Patch(HYBRID, TensorCache, "keep", state_not_kept, "a prompt, then tokens"),
    "Mamba-2: inputs forgotten": Patch(HYBRID, TensorCache, "extended", inputs_forgotten, "token by token"),
    "branches: one after the other": Patch(BESIDE, ParallelMixers, "summed", one_after_the_other),
    "branches: the first one alone": Patch(BESIDE, ParallelMixers, "summed", first_alone),
    "branches: scales of inputs behind": Patch(BESIDE, ParallelMixers, "summed", scales_exchanged),
    "latents: router reads them": Patch(LATENT, MixtureOfExperts, "route", router_reads_latents),
    "latents: shared expert reads them": Patch(LATENT, MixtureOfExperts, "forward", shared_expert_reads_latents),
    "latents: activated": Patch(LATENT, MixtureOfExperts, "forward", latents_activated),
}


@pytest.mark.parametrize("name", IN_THE_CODE)
def test_an_error_in_the_code_shows(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    shows_in_the_code(IN_THE_CODE[name], monkeypatch)


def test_heads_of_a_group_are_neighbours() -> None:
    x = torch.arange(2.0).view(1, 2, 1, 1)
    assert spread(x, 6).flatten().tolist() == [0, 0, 0, 1, 1, 1]
