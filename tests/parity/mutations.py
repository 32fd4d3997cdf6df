"""What the tests of wiring errors share: running a case with an error, altering a spec, and replacing a forward."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import pytest
import torch
from configs import Fields
from pairs import TOLERANCE, WAYS, Case, deviation, pair
from test_grok import models as grok_models
from torch import Tensor

from llmarch_cli.modules.builder import DepthwiseConvolution, Model, build
from llmarch_cli.modules.cache import TensorCache
from llmarch_cli.specs.spec import ModelSpec

GROK = Case("grok", 0)
CLEARLY = 10 * TOLERANCE


def subject(case: Case) -> tuple[Model, Tensor, Tensor]:
    """Our model of a case, tokens, and the reference's logits of them."""
    if case == GROK:
        return grok_models(0)
    models = pair(case)
    return models.ours, models.tokens, models.logits


@torch.no_grad()
def rebuilt(case: Case, fields: Fields, way: str) -> float:
    """How far a model of these spec fields, with the weights of the case, is from the reference."""
    original, tokens, logits = subject(case)
    model = build(ModelSpec.model_validate(fields))
    missing, _ = model.load_state_dict(original.state_dict(), strict=False)
    assert not missing, "a mutation may drop weights, but not ask for new ones"
    return deviation(WAYS[way](model, tokens), logits)


@cache
def faithful(case: Case, way: str) -> float:
    """The same without a mutation."""
    return rebuilt(case, subject(case)[0].spec.model_dump(), way)


Component = Fields
Alteration = Callable[[Fields], None]


def components(spec: Fields, axis: str) -> list[Component]:
    """Every component of an axis, those inside another one too."""
    value = spec[axis]
    found = list(value["variants"].values()) if "variants" in value else [value]
    inside = [branch for each in found for branch in each.get("branches", {}).values()]
    return found + inside


def top(**fields: Any) -> Alteration:
    """Fields of the model itself."""
    return lambda spec: spec.update(fields)


def norm(**fields: Any) -> Alteration:
    return lambda spec: spec["norm"].update(fields)


def every(axis: str, **fields: Any) -> Alteration:
    """Fields of the components of an axis that set them at all; None stands for not setting it."""

    def alter(spec: Fields) -> None:
        for component in components(spec, axis):
            component.update({name: value for name, value in fields.items() if component.get(name) is not None})

    return alter


def each(axis: str, change: Callable[[Component], Fields]) -> Alteration:
    """What `change` says of each component of an axis."""

    def alter(spec: Fields) -> None:
        for component in components(spec, axis):
            component.update(change(component))

    return alter


@dataclass(frozen=True)
class Patch:
    """One thing replaced, and the way of running a case in which that shows."""

    case: Case
    owner: Any
    name: str
    value: Any
    way: str = "batch"


def shows_in_the_spec(case: Case, alter: Alteration, way: str = "batch") -> None:
    """The case is right as it is, and clearly wrong with its spec altered."""
    assert faithful(case, way) < TOLERANCE
    fields = subject(case)[0].spec.model_dump()
    alter(fields)
    assert rebuilt(case, fields, way) > CLEARLY


def shows_in_the_code(patch: Patch, monkeypatch: pytest.MonkeyPatch) -> None:
    """The patch's case is right without it, and clearly wrong with it."""
    assert faithful(patch.case, patch.way) < TOLERANCE
    fields = subject(patch.case)[0].spec.model_dump()
    monkeypatch.setattr(patch.owner, patch.name, patch.value)
    assert rebuilt(patch.case, fields, patch.way) > CLEARLY


class Renamed:
    """The modules of a component, with some replaced."""

    def __init__(self, m: Any, **others: Any) -> None:
        self.m = m
        self.__dict__.update(others)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.m, name)


keep, convolve = TensorCache.keep, DepthwiseConvolution.forward


def state_not_kept(self: TensorCache, **states: Tensor) -> None:
    """Of a recurrence; a convolution keeps its inputs."""
    keep(self, **{name: state for name, state in states.items() if name != "recurrence"})


def inputs_forgotten(self: TensorCache, name: str, x: Tensor) -> Tensor:
    return torch.cat((torch.zeros_like(self.state(name, x)), x), dim=1)


def filter_in_reverse(self: DepthwiseConvolution, x: Tensor) -> Tensor:
    mirrored = DepthwiseConvolution(self.weight.shape[0], self.weight.shape[1], self.bias is not None)
    mirrored.weight.copy_(self.weight.flip(1))
    if self.bias is not None:
        assert mirrored.bias is not None
        mirrored.bias.copy_(self.bias)
    return convolve(mirrored, x)
