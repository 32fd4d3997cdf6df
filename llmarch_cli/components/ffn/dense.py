"""Dense feed-forward layers, plain or gated (arXiv 2002.05202)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

from llmarch_cli.components.component import LayerCache, Modules, Part
from llmarch_cli.components.ffn.gate import GatedComponent
from llmarch_cli.components.parts import Linear, Norm, Vector

if TYPE_CHECKING:
    from torch import Tensor


class DenseFeedForward(GatedComponent):
    """A feed-forward layer that every token uses whole."""

    kind: Literal["dense"]
    sub_norm: bool = False  # normalises the hidden values before the down projection (SubLN, arXiv 2210.06423)

    input_norm: bool = False  # normalises what it reads
    output_norm: bool = False

    @property
    def title(self) -> str:
        return "Feed-forward"

    @property
    def label(self) -> str:
        return f"dense {self.d_ff:,}"

    def parts(self, d_model: int) -> Iterator[Part]:
        if self.input_norm:
            yield Norm("input_norm", d_model)
        if self.gated:
            yield Linear("gate_proj", d_model, self.d_ff, bias=self.bias)
        yield Linear("up_proj", d_model, self.d_ff, bias=self.bias)
        if self.activation == "xielu":
            yield Vector("alpha_p", 1)
            yield Vector("alpha_n", 1)
        if self.sub_norm:
            yield Norm("sub_norm", self.d_ff)
        yield Linear("down_proj", self.d_ff, d_model, bias=self.bias)
        if self.output_norm:
            yield Norm("output_norm", d_model)

    def forward(self, m: Modules, x: Tensor, cache: LayerCache) -> Tensor:
        if self.input_norm:
            x = m.input_norm(x)
        alphas = (m.alpha_p, m.alpha_n) if self.activation == "xielu" else None
        hidden = self.hidden(m.up_proj(x), m.gate_proj(x) if self.gated else None, alphas)
        out = m.down_proj(m.sub_norm(hidden) if self.sub_norm else hidden)
        return m.output_norm(out) if self.output_norm else out
