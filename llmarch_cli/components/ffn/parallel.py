"""Parallel feed-forward layers on the same input (the dense-MoE hybrid), with their outputs summed and scaled."""

from __future__ import annotations

from collections.abc import Iterator
from functools import reduce
from operator import add
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from llmarch_cli.components.component import Child, Component, LayerCache, Modules, Name, Part, Positive
from llmarch_cli.components.ffn.dense import DenseFeedForward
from llmarch_cli.components.ffn.moe import MixtureOfExperts
from llmarch_cli.components.parts import Norm

if TYPE_CHECKING:
    from torch import Tensor


Branch = Annotated[DenseFeedForward | MixtureOfExperts, Field(discriminator="kind")]


class ParallelFeedForward(Component):
    """The sum of two or more branches, times `scale`."""

    kind: Literal["parallel"]
    branches: dict[Name, Branch] = Field(min_length=2)
    scale: Positive = 1.0
    output_norm: bool = False  # normalises the scaled sum
    block_norms: bool = True  # false: none of the block's norms is there for this sublayer

    summarized: ClassVar[frozenset[str]] = Component.summarized | {"branches"}

    @property
    def title(self) -> str:
        return "Parallel feed-forward"

    @property
    def label(self) -> str:
        return " beside ".join(branch.label for branch in self.branches.values())

    @property
    def settings(self) -> dict[str, str]:
        inside = (f"{name} ({branch.details})" for name, branch in self.branches.items())
        return {"branches": ", ".join(inside), **super().settings}

    def parts(self, d_model: int) -> Iterator[Part]:
        for name, branch in self.branches.items():
            yield Child(f"{name}_branch", branch)  # the suffix avoids clashes with attributes of nn.Module
        if self.output_norm:
            yield Norm("output_norm", d_model)

    @property
    def has_block_norms(self) -> bool:
        return self.block_norms

    def forward(self, m: Modules, x: Tensor, cache: LayerCache) -> Tensor:
        out = reduce(add, (m.get_submodule(f"{name}_branch")(x, cache) for name in self.branches)) * self.scale
        return m.output_norm(out) if self.output_norm else out
