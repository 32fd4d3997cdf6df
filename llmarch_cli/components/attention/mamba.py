"""Mamba (arXiv 2312.00752): a state space model whose channels each keep and forget by themselves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from llmarch_cli.components.attention.recurrence import recur
from llmarch_cli.components.cache import ONCE, Mixing, State
from llmarch_cli.components.component import Component, LayerCache, Modules, Part
from llmarch_cli.components.ffn.gate import Activation, activate, require_fixed
from llmarch_cli.components.fields import Count, Limits, Positive
from llmarch_cli.components.parts import Convolution, Linear, Matrix, Norm, Vector
from llmarch_cli.components.record import rule
from llmarch_cli.components.shards import Shard, Units, column_parallel, row_parallel

if TYPE_CHECKING:
    from torch import Tensor


class Mamba(Component):
    """Each of `width` channels keeps `d_state` values, each with a decay of its own (section 3).

    The size of a step comes from `step_rank` values, and what writes to the states and reads them from the input behind
    a short convolution; all channels share the two.
    """

    kind: Literal["mamba"]
    width: Count
    d_state: Count
    step_rank: Count
    conv_kernel: Annotated[Count, Limits(gt=1)] = 4
    conv_bias: bool = True
    bias: bool = False  # of the projections of the stream and of the output
    activation: Activation = "silu"  # behind the convolution
    inner_norms: bool | Literal["weightless"] = False  # normalises what makes the steps, writes and reads
    inner_eps: Positive | None = None  # of these norms; null takes the model's

    summarized: ClassVar[frozenset[str]] = Component.summarized | {"width", "d_state"}
    concept: ClassVar[str] = "state-spaces"

    @rule
    def _consistent(self) -> None:
        if self.inner_eps is not None and not self.inner_norms:
            raise ValueError("inner_eps is set without inner_norms; set them, or remove it")
        require_fixed(self.activation)

    @property
    def label(self) -> str:
        return f"state space {self.d_state:,}"

    @property
    def heads(self) -> str:
        return f"Mamba {self.width:,} channels"

    def parts(self, d_model: int) -> Iterator[Part]:
        yield Linear("x_proj", d_model, self.width, self.bias)
        yield Linear("gate_proj", d_model, self.width, self.bias)
        yield Convolution("conv", self.width, self.conv_kernel, self.conv_bias)
        yield Linear("step_a_proj", self.width, self.step_rank)
        yield Linear("write_proj", self.width, self.d_state)
        yield Linear("read_proj", self.width, self.d_state)
        if self.inner_norms:
            for name, dim in (("step", self.step_rank), ("write", self.d_state), ("read", self.d_state)):
                weightless = self.inner_norms == "weightless"
                yield Norm(
                    f"{name}_norm",
                    dim,
                    eps=self.inner_eps,
                    weightless=weightless,
                    kind="rms",
                    bias=False,
                    unit_offset=False,
                )
        yield Linear("step_b_proj", self.step_rank, self.width, bias=True)
        yield Matrix("log_rate", self.width, self.d_state)
        yield Vector("skip", self.width)
        yield Linear("o_proj", self.width, d_model, self.bias)

    def cache(self) -> Iterator[State]:
        yield State("recurrence", (self.width, self.d_state, 1))
        yield State("conv_inputs", (self.conv_kernel - 1, self.width), "bf16")

    def shards(self) -> Mapping[str, Shard]:
        """Channels are divided; what all of them share of a token is summed over the devices."""
        channels = Units(self.width)
        by_channel = ("x_proj", "gate_proj", "conv", "step_b_proj", "log_rate", "skip", "recurrence")
        return {
            **column_parallel(channels, *by_channel),
            **row_parallel(channels, "step_a_proj", "write_proj", "read_proj", "o_proj", "conv_inputs"),
        }

    def mixing(self) -> Iterator[Mixing]:
        """Write to the states and read them: d_state multiply-adds each for a channel."""
        yield Mixing(4 * self.width * self.d_state, ONCE, "state")

    def forward(self, m: Modules, x: Tensor, cache: LayerCache) -> Tensor:
        import torch.nn.functional as F

        values = activate(self.activation, m.conv(cache.extended("conv_inputs", m.x_proj(x))))
        step, write, read = m.step_a_proj(values), m.write_proj(values), m.read_proj(values)
        if self.inner_norms:
            step, write, read = m.step_norm(step), m.write_norm(write), m.read_norm(read)
        steps = F.softplus(m.step_b_proj(step).float()).transpose(1, 2).unsqueeze(-1)  # (batch, width, n_tokens, 1)
        channels = values.float().transpose(1, 2).unsqueeze(-1)
        out, state = recur(
            read.unsqueeze(1).expand(-1, self.width, -1, -1),
            write.unsqueeze(1).expand(-1, self.width, -1, -1),
            channels * steps,
            decay=steps * (m.log_rate.float().exp() * -1).unsqueeze(1),  # (batch, width, n_tokens, d_state)
            state=cache.state("recurrence", x),
        )
        cache.keep(recurrence=state)
        out = (out + channels * m.skip.float().view(-1, 1, 1)).squeeze(-1).transpose(1, 2)
        return m.o_proj((out * F.silu(m.gate_proj(x).float())).to(x.dtype))
