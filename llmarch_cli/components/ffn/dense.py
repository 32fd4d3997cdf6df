"""Dense feed-forward layers, plain or gated (arXiv 2002.05202)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

from pydantic import model_validator

from llmarch_cli.components.component import LayerCache, Modules, Part, Positive
from llmarch_cli.components.ffn.gate import GatedComponent
from llmarch_cli.components.parts import Linear, Norm, Vector

if TYPE_CHECKING:
    from typing import Self

    from torch import Tensor


class DenseFeedForward(GatedComponent):
    """A feed-forward layer that every token uses whole."""

    kind: Literal["dense"]
    gate_scale: Positive = 1.0  # multiplies the gate before its activation
    output_scale: Positive = 1.0
    sub_norm: bool = False  # normalises the hidden values before the down projection (SubLN, arXiv 2210.06423)

    input_norm: bool = False  # normalises what it reads
    output_norm: bool = False

    @model_validator(mode="after")
    def _has_what_is_scaled(self) -> Self:
        if self.gate_scale != 1 and not self.gated:
            raise ValueError("gate_scale is set without a gate; set gated, or remove it")
        return self

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
        gate = m.gate_proj(x) if self.gated else None
        if gate is not None and self.gate_scale != 1:
            gate = gate * self.gate_scale
        hidden = self.hidden(m.up_proj(x), gate, alphas)
        out = m.down_proj(m.sub_norm(hidden) if self.sub_norm else hidden)
        if self.output_scale != 1:
            out = out * self.output_scale
        return m.output_norm(out) if self.output_norm else out
