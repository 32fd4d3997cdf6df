"""`verify`: every check runs, and none passes a wrong figure."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

import llmarch_cli as llmarch
from llmarch_cli.components.attention import GroupedQueryAttention
from llmarch_cli.components.ffn import DenseFeedForward
from llmarch_cli.profilers.verification import Verdict, verify
from llmarch_cli.specs.spec import ModelSpec


def verdicts(spec: ModelSpec) -> dict[str, Verdict]:
    return {verdict.check: verdict for verdict in verify(spec)}


@pytest.mark.parametrize("name", ["deepseek-v2-lite", "gemma3-1b", "gpt2", "gpt-oss-20b", "grok-2.5"])
def test_no_check_disagrees(name: str) -> None:
    said = verdicts(llmarch.load(name))
    assert not [verdict for verdict in said.values() if verdict.agrees is False]
    assert all(said[check].agrees for check in ("both engines", "torch's counter", "fvcore"))


def with_published(**figures: object) -> ModelSpec:
    data = llmarch.load("llama3.2-1b").model_dump(exclude_defaults=True)
    return ModelSpec.model_validate({**data, "published": figures})


@pytest.mark.parametrize(
    ("figures", "agrees"),
    [
        ({"params": 1_235_814_400}, True),
        ({"params": 1_235_800_000}, True),  # cut off
        ({"params": 1_240_000_000}, True),  # rounded
        ({"params": 1_200_000_000}, True),
        ({"params": 1_300_000_000}, True),  # rounded up
        ({"params": 1_400_000_000}, False),
        ({"params": 1_235_814_399}, False),
        ({"params": 1_500_000_000, "params_convention": "with_vision"}, None),
        ({"params": 1_000_000_000, "params_convention": "with_vision"}, None),
        ({"params": 1_100_000_000, "params_convention": "with_vision"}, False),  # less than the text decoder alone
        ({"params": 973_000_000, "params_convention": "without_embeddings"}, True),
        ({"params": 1_235_814_400, "params_convention": "without_embeddings"}, False),
    ],
)
def test_published_figures_count_as_far_as_they_are_printed(figures: dict[str, object], agrees: bool | None) -> None:
    assert verdicts(with_published(**figures))["published params"].agrees is agrees


def test_a_wrong_formula_is_caught_by_every_counter(monkeypatch: pytest.MonkeyPatch) -> None:
    right = GroupedQueryAttention.mixing
    halved = lambda self: (replace(mixing, flops=mixing.flops // 2) for mixing in right(self))  # noqa: E731
    monkeypatch.setattr(GroupedQueryAttention, "mixing", halved)
    said = verdicts(llmarch.load("llama3.2-1b"))
    for check in ("both engines", "torch's counter", "fvcore"):
        assert said[check].agrees is False
        assert "attention" in said[check].detail


def test_a_component_that_a_counter_cannot_count_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def convolution(self: DenseFeedForward, m: Any, x: Tensor, cache: Any) -> Tensor:
        return torch.nn.functional.conv1d(
            x.transpose(1, 2), torch.ones((8, x.shape[-1], 1), device=x.device, dtype=x.dtype)
        )

    monkeypatch.setattr(DenseFeedForward, "forward", convolution)
    said = verdicts(llmarch.load("llama3.2-1b"))["fvcore"]
    assert said.agrees  # of all other components
    assert "; cannot count ffn: fvcore failed with TypeError" in said.detail


def test_fvcore_cannot_count_convolutions_and_says_so() -> None:
    said = verdicts(llmarch.load("lfm2-1.2b"))
    assert said["both engines"].agrees
    assert said["torch's counter"].agrees
    assert "cannot count" not in said["torch's counter"].detail
    assert said["fvcore"].agrees  # of all other components
    assert "; cannot count attention: conv: fvcore" in said["fvcore"].detail
