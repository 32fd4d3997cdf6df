"""A new kind is one class: all that it does not say has a default that fits."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

from llmarch_cli.components.component import CacheEntry, Component, LayerCache, Modules, Part
from llmarch_cli.components.parts import Linear

if TYPE_CHECKING:
    from torch import Tensor


class RunningMean(Component):
    kind: Literal["running_mean"] = "running_mean"
    width: int = 4
    steps: int = 1
    normed: bool = False

    def parts(self, d_model: int) -> Iterator[Part]:
        yield Linear("proj", d_model, self.width)

    def cache(self) -> Iterator[CacheEntry]:
        yield CacheEntry("sum", self.width)
        yield CacheEntry("count", 1)

    def forward(self, m: Modules, x: Tensor, cache: LayerCache) -> Tensor:
        return x


def test_a_kind_is_described_without_words_of_its_own() -> None:
    component = RunningMean(steps=2000, normed=True)
    assert (component.title, component.label) == ("Running mean", "running_mean")
    assert (component.heads, component.positions) == ("", "")
    assert component.settings == {"steps": "steps 2,000", "normed": "normed"}
    assert component.details == "steps 2,000, normed"


def test_a_kind_sees_all_tokens_and_is_no_larger_than_itself_by_default() -> None:
    component = RunningMean()
    assert (component.span, component.tokens_in_view(10**6), component.mixing_flops(10**6)) == (None, 10**6, 0)
    assert component.multi_head_width == 5  # what it caches: nothing to compare with
