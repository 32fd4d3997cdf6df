"""Sequence mixers side by side on the same input, such as attention beside a state space (arXiv 2507.22448)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from llmarch_cli.components.attention.gated_deltanet import GatedDeltaNet
from llmarch_cli.components.attention.gqa import GroupedQueryAttention
from llmarch_cli.components.attention.kda import KimiDeltaAttention
from llmarch_cli.components.attention.lightning import LightningAttention
from llmarch_cli.components.attention.mamba import Mamba
from llmarch_cli.components.attention.mamba2 import Mamba2
from llmarch_cli.components.attention.mla import MultiHeadLatentAttention
from llmarch_cli.components.attention.short_conv import ShortConvolution
from llmarch_cli.components.branches import Branched
from llmarch_cli.components.component import NOPE, Component, LayerCache, Modules
from llmarch_cli.components.fields import BY_KIND, Limits, Name, Positive
from llmarch_cli.components.record import EMPTY, number, rule

if TYPE_CHECKING:
    from torch import Tensor


Mixer = Annotated[
    GroupedQueryAttention
    | MultiHeadLatentAttention
    | GatedDeltaNet
    | KimiDeltaAttention
    | LightningAttention
    | Mamba
    | Mamba2
    | ShortConvolution,
    BY_KIND,
]


class ParallelMixers(Branched):
    """The sum of two or more branches, each with its own cache.

    `input_scales` multiply what a branch reads, `output_scales` what it gives; a branch without one has 1.
    """

    kind: Literal["parallel"]
    branches: Annotated[dict[Name, Mixer], Limits(min_length=2)]
    input_scales: dict[Name, Positive] = EMPTY
    output_scales: dict[Name, Positive] = EMPTY

    summarized: ClassVar[frozenset[str]] = Branched.summarized | {"input_scales", "output_scales"}

    @rule
    def _scales_fit(self) -> None:
        for field in ("input_scales", "output_scales"):
            if unknown := [name for name in getattr(self, field) if name not in self.branches]:
                raise ValueError(f"{field} names {unknown[0]!r}, which is no branch; known: {', '.join(self.branches)}")
        if len({branch.has_block_norms for branch in self.branches.values()}) > 1:
            raise ValueError("some branches have the block's norms and some do not; make block_norms equal")

    @property
    def inner(self) -> Mapping[str, Component]:
        return self.branches

    @property
    def has_block_norms(self) -> bool:
        return all(branch.has_block_norms for branch in self.branches.values())

    @property
    def settings(self) -> dict[str, str]:
        scales = {
            field: f"{field} {', '.join(f'{name} {number(scale)}' for name, scale in getattr(self, field).items())}"
            for field in ("input_scales", "output_scales")
            if getattr(self, field)
        }
        return super().settings | scales

    @property
    def title(self) -> str:
        return "Parallel mixers"

    @property
    def heads(self) -> str:
        return " + ".join(filter(None, (branch.heads for branch in self.branches.values())))

    @property
    def positions(self) -> str:
        found = dict.fromkeys(branch.positions for branch in self.branches.values() if branch.positions)
        return " and ".join([name for name in found if name != NOPE] or found)

    @property
    def multi_head_width(self) -> int:
        return sum(branch.multi_head_width for branch in self.branches.values())

    def forward(self, m: Modules, x: Tensor, cache: LayerCache) -> Tensor:
        return self.summed(m, x, cache, self.input_scales, self.output_scales)
