"""A new kind is one class with few methods: the defaults of the others fit."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

from llmarch_cli.components.cache import Rows, State
from llmarch_cli.components.component import Component, LayerCache, Modules, Part
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

    def cache(self) -> Iterator[Rows | State]:
        yield Rows("sums", self.width)
        yield Rows("counts", 1)
        yield State("total", (self.width,))

    def forward(self, m: Modules, x: Tensor, cache: LayerCache) -> Tensor:
        return x


def test_a_kind_is_described_by_its_class_name_kind_and_fields() -> None:
    component = RunningMean(steps=2000, normed=True)
    assert (component.title, component.label) == ("Running mean", "running_mean")
    assert (component.heads, component.positions) == ("", "")
    assert component.settings == {"steps": "steps 2,000", "normed": "normed"}
    assert component.details == "steps 2,000, normed"


def test_a_kind_by_default_computes_and_reads_nothing_and_is_compared_with_its_own_rows() -> None:
    component = RunningMean()
    assert [*component.mixing(), *component.reads(), *component.leaves()] == []
    assert component.multi_head_width == 5
