"""A learned branch of low rank beside attention (LAuReL, arXiv 2411.07501, section 3.2)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from llmarch_cli.components.component import Component, LayerCache, Modules, Part
from llmarch_cli.components.fields import Count
from llmarch_cli.components.parts import Linear, Norm

if TYPE_CHECKING:
    from torch import Tensor

SHARE = 2**-0.5  # of the sum of the two branches, in the published code


class LowRankBranch(Component):
    """What it reads, plus a normalised projection of it through `rank` values."""

    rank: Count

    def parts(self, d_model: int) -> Iterator[Part]:
        yield Linear("down_proj", d_model, self.rank)
        yield Linear("up_proj", self.rank, d_model)
        yield Norm("norm", d_model)

    def beside(self, m: Modules, x: Tensor, read: Tensor) -> Tensor:
        """The stream `x` behind attention, joined with the branch, which reads what attention read."""
        return (x + self._branch(m, read)) * SHARE

    def _branch(self, m: Modules, x: Tensor) -> Tensor:
        branch: Tensor = x + m.norm(m.up_proj(m.down_proj(x)))
        return branch

    def forward(self, m: Modules, x: Tensor, cache: LayerCache) -> Tensor:
        return self._branch(m, x)
