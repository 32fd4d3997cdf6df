"""Dense feed-forward layers, plain or gated (arXiv 2002.05202)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Literal

from llmarch_cli.components.component import LayerCache, Modules, Part
from llmarch_cli.components.ffn.gate import GatedComponent
from llmarch_cli.components.fields import Limits, Positive
from llmarch_cli.components.inside import Inside, Step
from llmarch_cli.components.mechanism import SUB_NORM, Mechanism, Telling
from llmarch_cli.components.parts import Linear, Norm, Vector
from llmarch_cli.components.record import rule
from llmarch_cli.components.shards import Shard, Units, column_parallel, row_parallel

if TYPE_CHECKING:
    from torch import Tensor


Share = Annotated[float, Limits(gt=0, lt=1)]


class DenseFeedForward(GatedComponent):
    """A feed-forward layer that every token uses whole."""

    kind: Literal["dense"]
    gate_scale: Positive = 1.0  # multiplies the gate before its activation
    activation_sparsity: Share | None = None  # of gate values, those below it are cut off (Gaussian top-k)
    output_scale: Positive = 1.0
    sub_norm: bool = False  # normalises the hidden values before the down projection (SubLN, arXiv 2210.06423)

    input_norm: bool = False  # normalises what it reads
    output_norm: bool = False

    @rule
    def _has_what_is_scaled(self) -> None:
        for field, usual in (("gate_scale", 1), ("activation_sparsity", None)):
            if getattr(self, field) != usual and not self.gated:
                raise ValueError(f"{field} is set without a gate; set gated, or remove it")

    @property
    def title(self) -> str:
        return "Feed-forward"

    @property
    def label(self) -> str:
        return f"dense {self.d_ff:,}"

    def mechanisms(self) -> Iterator[Mechanism]:
        yield Mechanism(self.kind, self.title, "dense", Telling.PLAIN)
        yield from self.gate_mechanisms()
        if self.activation_sparsity is not None:
            phrase = f"{self.activation_sparsity:.0%} of hidden values cut off"
            yield Mechanism("activation_sparsity", "Sparse hidden values", phrase)
        if self.sub_norm:
            yield SUB_NORM

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

    def inside(self) -> Inside:
        *hidden, down = super().inside()
        before, within, behind = (
            (Step(name, sort="norm"),) * there
            for name, there in (
                ("input_norm", self.input_norm),
                ("sub_norm", self.sub_norm),
                ("output_norm", self.output_norm),
            )
        )
        return *before, *hidden, *within, down, *behind

    def shards(self) -> Mapping[str, Shard]:
        hidden = Units(self.d_ff)
        return {**column_parallel(hidden, "gate_proj", "up_proj", "sub_norm"), **row_parallel(hidden, "down_proj")}

    def forward(self, m: Modules, x: Tensor, cache: LayerCache) -> Tensor:
        if self.input_norm:
            x = m.input_norm(x)
        alphas = (m.alpha_p, m.alpha_n) if self.activation == "xielu" else None
        gate = m.gate_proj(x) if self.gated else None
        if gate is not None and self.gate_scale != 1:
            gate = gate * self.gate_scale
        if gate is not None and self.activation_sparsity is not None:
            gate = _above(gate, self.activation_sparsity)
        hidden = self.hidden(m.up_proj(x), gate, alphas)
        out = m.down_proj(m.sub_norm(hidden) if self.sub_norm else hidden)
        if self.output_scale != 1:
            out = out * self.output_scale
        return m.output_norm(out) if self.output_norm else out


def _above(gate: Tensor, share: float) -> Tensor:
    """By how much each value (..., d_ff) exceeds the quantile `share` of a normal distribution; 0 below it.

    The distribution has the values' mean and variance, so that nothing is sorted (arXiv 2506.06644, section 3.1).
    """
    import torch

    # As a tensor: torch.compile cannot trace statistics.NormalDist.
    center = torch.zeros((1,), dtype=torch.float32, device=gate.device) + (2 * share - 1)
    quantile = (center.erfinv() * 2**0.5).to(gate.dtype)
    cutoff = gate.mean(dim=-1, keepdim=True) + gate.std(dim=-1, keepdim=True, correction=0) * quantile
    return (gate - cutoff).relu()
