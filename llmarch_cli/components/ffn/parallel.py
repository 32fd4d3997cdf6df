"""Parallel feed-forward layers on the same input (the dense-MoE hybrid), with their outputs summed and scaled."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Literal

from llmarch_cli.components.branches import Branched
from llmarch_cli.components.component import Component, LayerCache, Modules, Part
from llmarch_cli.components.ffn.dense import DenseFeedForward
from llmarch_cli.components.ffn.moe import MixtureOfExperts
from llmarch_cli.components.fields import BY_KIND, Limits, Name, Positive
from llmarch_cli.components.parts import Norm

if TYPE_CHECKING:
    from torch import Tensor


Branch = Annotated[DenseFeedForward | MixtureOfExperts, BY_KIND]


class ParallelFeedForward(Branched):
    """The sum of two or more branches, times `scale`."""

    kind: Literal["parallel"]
    branches: Annotated[dict[Name, Branch], Limits(min_length=2)]
    scale: Positive = 1.0
    output_norm: bool = False  # normalises the scaled sum
    block_norms: bool = True  # false: none of the block's norms is there for this sublayer

    @property
    def title(self) -> str:
        return "Parallel feed-forward"

    @property
    def inner(self) -> Mapping[str, Component]:
        return self.branches

    def parts(self, d_model: int) -> Iterator[Part]:
        yield from super().parts(d_model)
        if self.output_norm:
            yield Norm("output_norm", d_model)

    @property
    def has_block_norms(self) -> bool:
        return self.block_norms

    def forward(self, m: Modules, x: Tensor, cache: LayerCache) -> Tensor:
        out = self.summed(m, x, cache, {}, {}) * self.scale
        return m.output_norm(out) if self.output_norm else out
