"""Real-gated linear recurrent units (Griffin, arXiv 2402.19427, sections 2.3 and 2.4)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, ClassVar, Literal

from llmarch_cli.components.attention.scan import accumulated
from llmarch_cli.components.attention.short_conv import Kernel
from llmarch_cli.components.cache import State
from llmarch_cli.components.component import Component, LayerCache, Modules, Part
from llmarch_cli.components.ffn.gate import Activation, activate, require_fixed
from llmarch_cli.components.fields import Count
from llmarch_cli.components.parts import BlockDiagonal, Convolution, Linear, Vector
from llmarch_cli.components.record import rule
from llmarch_cli.components.shards import Shard, Units, column_parallel, row_parallel

if TYPE_CHECKING:
    from torch import Tensor

SHARPNESS = 8.0  # the constant c of section 2.4: a channel forgets at most exp(-c * softplus(decay)) a token


class RealGatedLinearRecurrentUnit(Component):
    """Each channel keeps one number, which decays by an input-dependent gate; a second branch gates the output."""

    kind: Literal["rg_lru"]
    width: Count
    n_blocks: Count  # of the two gates' matrices, which are block-diagonal
    conv_kernel: Kernel = 4
    activation: Activation = "gelu_tanh"  # of the gating branch
    bias: bool = True  # of the three projections and the convolution; the gates always have one

    summarized: ClassVar[frozenset[str]] = Component.summarized | {"width", "n_blocks"}
    concept: ClassVar[str] = "linear-attention"
    abbreviation: ClassVar[str] = "RG-LRU"

    @rule
    def _consistent(self) -> None:
        if self.width % self.n_blocks:
            raise ValueError(f"width ({self.width}) must be a multiple of n_blocks ({self.n_blocks})")
        require_fixed(self.activation)

    def parts(self, d_model: int) -> Iterator[Part]:
        block = self.width // self.n_blocks
        yield Linear("gate_proj", d_model, self.width, self.bias)
        yield Linear("x_proj", d_model, self.width, self.bias)
        yield Convolution("conv", self.width, self.conv_kernel, self.bias)
        yield BlockDiagonal("input_gate", self.n_blocks, block, block, bias=True)
        yield BlockDiagonal("decay_gate", self.n_blocks, block, block, bias=True)
        yield Vector("decay", self.width)
        yield Linear("o_proj", self.width, d_model, self.bias)

    def cache(self) -> Iterator[State]:
        yield State("inputs", (self.conv_kernel - 1, self.width), "bf16")
        yield State("hidden", (self.width,))

    @property
    def label(self) -> str:
        return "RG-LRU"

    @property
    def heads(self) -> str:
        return f"RG-LRU {self.n_blocks:,} x {self.width // self.n_blocks:,}"

    def shards(self) -> Mapping[str, Shard]:
        blocks = Units(self.n_blocks)
        by_block = ("gate_proj", "x_proj", "conv", "input_gate", "decay_gate", "decay", "hidden")
        return {**column_parallel(blocks, *by_block), **row_parallel(blocks, "o_proj", "inputs")}

    def forward(self, m: Modules, x: Tensor, cache: LayerCache) -> Tensor:
        import torch
        import torch.nn.functional as F

        gate = activate(self.activation, m.gate_proj(x))
        x = m.conv(cache.extended("inputs", m.x_proj(x)))
        blocks = x.unflatten(-1, (self.n_blocks, -1))
        opened, kept = (m.input_gate(blocks).flatten(2).sigmoid(), m.decay_gate(blocks).flatten(2).sigmoid())
        decay = kept.float() * F.softplus(m.decay.float()) * -SHARPNESS  # log(a), (batch, n_tokens, width)
        added = ((decay * 2).expm1() * -1).sqrt()  # sqrt(1 - a ** 2)
        if not cache.length:  # nothing is kept before the first token, which is added whole
            added = torch.cat((torch.ones_like(added[:, :1]), added[:, 1:]), dim=1)
        hidden = accumulated(decay.exp(), x.float() * opened.float() * added, cache.state("hidden", x))
        cache.keep(hidden=hidden[:, -1].clone())
        return m.o_proj(hidden.to(x.dtype) * gate)
