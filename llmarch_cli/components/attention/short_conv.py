"""Gated short convolutions (LFM2 technical report, arXiv 2511.23404, section 2.1)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from llmarch_cli.components.cache import State
from llmarch_cli.components.component import Component, LayerCache, Modules, Part
from llmarch_cli.components.fields import Count, Limits
from llmarch_cli.components.parts import Convolution, Linear
from llmarch_cli.components.shards import Shard, Units, column_parallel, row_parallel

if TYPE_CHECKING:
    from torch import Tensor

Kernel = Annotated[int, Limits(ge=2, le=1024)]  # tokens that a convolution sees, the current one included


class ShortConvolution(Component):
    """Each channel mixes the last few tokens; one gate multiplies what goes in, another one what comes out."""

    kind: Literal["short_conv"]
    channels: Count
    conv_kernel: Kernel
    bias: bool = False

    summarized: ClassVar[frozenset[str]] = Component.summarized | {"channels", "conv_kernel"}
    concept: ClassVar[str] = "linear-attention"

    def parts(self, d_model: int) -> Iterator[Part]:
        yield Linear("in_gate_proj", d_model, self.channels, self.bias)
        yield Linear("out_gate_proj", d_model, self.channels, self.bias)
        yield Linear("x_proj", d_model, self.channels, self.bias)
        yield Convolution("conv", self.channels, self.conv_kernel, self.bias)
        yield Linear("o_proj", self.channels, d_model, self.bias)

    def cache(self) -> Iterator[State]:
        yield State("inputs", (self.conv_kernel - 1, self.channels), "bf16")

    @property
    def label(self) -> str:
        return "conv"

    @property
    def heads(self) -> str:
        return f"conv {self.conv_kernel:,} x {self.channels:,}"

    def shards(self) -> Mapping[str, Shard]:
        channels = Units(self.channels)
        return {
            **column_parallel(channels, "in_gate_proj", "out_gate_proj", "x_proj", "conv"),
            **row_parallel(channels, "o_proj", "inputs"),
        }

    def forward(self, m: Modules, x: Tensor, cache: LayerCache) -> Tensor:
        mixed = m.conv(cache.extended("inputs", m.in_gate_proj(x) * m.x_proj(x)))
        return m.o_proj(m.out_gate_proj(x) * mixed)
