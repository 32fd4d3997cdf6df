"""Mamba-2 (arXiv 2405.21060): a state space model whose heads each decay as a whole."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from llmarch_cli.components.attention.recurrence import recur, spread
from llmarch_cli.components.cache import ONCE, Mixing, State
from llmarch_cli.components.component import Component, LayerCache, Modules, Part
from llmarch_cli.components.ffn.gate import Activation, activate, require_fixed
from llmarch_cli.components.fields import Count, Limits, Positive
from llmarch_cli.components.parts import Convolution, Linear, Norm, Vector
from llmarch_cli.components.record import rule
from llmarch_cli.components.shards import Shard, Units, column_parallel, row_parallel

if TYPE_CHECKING:
    from torch import Tensor


class Mamba2(Component):
    """Each head keeps a matrix (d_state, head_dim). It decays and takes in its input by the size of a learned step.

    Inputs and the two vectors of a group of heads pass a short convolution (section 7). The output is gated, and
    normalised in `norm_groups` equal parts by themselves; with null it is only gated.
    """

    kind: Literal["mamba2"]
    n_heads: Count
    head_dim: Count
    d_state: Count
    n_groups: Count = 1  # of heads that share what writes to the state and what reads it
    conv_kernel: Annotated[Count, Limits(gt=1)] = 4
    conv_bias: bool = True
    bias: bool = False  # of the projections
    activation: Activation = "silu"  # behind the convolution
    norm_groups: Count | None = 1
    norm_before_gate: bool = False
    norm_eps: Positive | None = None  # None: the model's
    step_min: Annotated[float, Limits(ge=0, le=1e30)] = 0.0  # limits of a step's size
    step_max: Positive | None = None

    gate_scale: Positive = 1.0  # these multiply what the projections of the same name give (arXiv 2507.22448)
    x_scale: Positive = 1.0
    write_scale: Positive = 1.0
    read_scale: Positive = 1.0
    step_scale: Positive = 1.0

    summarized: ClassVar[frozenset[str]] = Component.summarized | {"n_heads", "head_dim", "d_state", "n_groups"}
    concept: ClassVar[str] = "state-spaces"

    @rule
    def _consistent(self) -> None:
        if self.n_heads % self.n_groups:
            raise ValueError(f"n_heads ({self.n_heads}) must be a multiple of n_groups ({self.n_groups})")
        if self.norm_groups is not None and self._width % self.norm_groups:
            raise ValueError(f"norm_groups ({self.norm_groups}) must divide n_heads * head_dim ({self._width})")
        if self.norm_before_gate and self.norm_groups is None:
            raise ValueError("norm_before_gate is set without a norm; give norm_groups, or remove it")
        require_fixed(self.activation)
        if self.step_max is not None and self.step_max < self.step_min:
            raise ValueError(f"step_max ({self.step_max}) must not be below step_min ({self.step_min})")

    @property
    def title(self) -> str:
        return "Mamba-2"

    @property
    def label(self) -> str:
        return f"state space {self.d_state:,}"

    @property
    def heads(self) -> str:
        groups = f":{self.n_groups:,}" if self.n_groups > 1 else ""
        return f"Mamba2 {self.n_heads:,}{groups} x {self.head_dim:,}"

    @property
    def _width(self) -> int:
        return self.n_heads * self.head_dim

    @property
    def _shared_width(self) -> int:
        return self.n_groups * self.d_state

    def parts(self, d_model: int) -> Iterator[Part]:
        yield Linear("gate_proj", d_model, self._width, self.bias)
        yield Linear("x_proj", d_model, self._width, self.bias)
        yield Linear("write_proj", d_model, self._shared_width, self.bias)
        yield Linear("read_proj", d_model, self._shared_width, self.bias)
        yield Linear("step_proj", d_model, self.n_heads, self.bias)
        yield Convolution("conv", self._width + 2 * self._shared_width, self.conv_kernel, self.conv_bias)
        yield Vector("step_bias", self.n_heads)
        yield Vector("log_rate", self.n_heads)
        yield Vector("skip", self.n_heads)
        if self.norm_groups is not None:
            yield Norm(
                "norm",
                self._width,
                eps=self.norm_eps,
                kind="rms",
                bias=False,
                unit_offset=False,
                groups=self.norm_groups,
            )
        yield Linear("o_proj", self._width, d_model, self.bias)

    def cache(self) -> Iterator[State]:
        yield State("recurrence", (self.n_heads, self.d_state, self.head_dim))
        yield State("conv_inputs", (self.conv_kernel - 1, self._width + 2 * self._shared_width), "bf16")

    def shards(self) -> Mapping[str, Shard]:
        """Heads are divided; what writes to their states and reads them goes with them."""
        heads, shared = Units(self.n_heads), Units(self.n_groups, self.d_state, readers=self.n_heads)
        parts = (Units(self.n_heads, self.head_dim), shared, shared)
        by_head = ("gate_proj", "x_proj", "step_proj", "step_bias", "log_rate", "skip", "norm", "recurrence")
        return {
            **column_parallel(heads, *by_head),
            **column_parallel(shared, "write_proj", "read_proj"),
            "conv": Shard("out", parts),
            "conv_inputs": Shard("in", parts),
            **row_parallel(heads, "o_proj"),
        }

    def mixing(self) -> Iterator[Mixing]:
        """Write to the state and read it: d_state * head_dim multiply-adds each."""
        yield Mixing(4 * self.n_heads * self.d_state * self.head_dim, ONCE, "state")

    def forward(self, m: Modules, x: Tensor, cache: LayerCache) -> Tensor:
        import torch
        import torch.nn.functional as F

        def projected(name: str) -> Tensor:
            values: Tensor = getattr(m, f"{name}_proj")(x)
            scale = getattr(self, f"{name}_scale")
            return values if scale == 1 else values * scale

        inputs = torch.cat([projected(name) for name in ("x", "write", "read")], dim=-1)
        mixed = activate(self.activation, m.conv(cache.extended("conv_inputs", inputs)))
        values, write, read = (
            part.unflatten(-1, (heads, -1)).transpose(1, 2)  # (batch, heads, n_tokens, width)
            for part, heads in zip(
                mixed.split((self._width, self._shared_width, self._shared_width), dim=-1),
                (self.n_heads, self.n_groups, self.n_groups),
                strict=True,
            )
        )
        steps = F.softplus(projected("step").float() + m.step_bias.float()).clamp(min=self.step_min, max=self.step_max)
        steps = steps.transpose(1, 2).unsqueeze(-1)  # (batch, n_heads, n_tokens, 1)
        out, state = recur(
            spread(read, self.n_heads),
            spread(write, self.n_heads),
            values.float() * steps,
            decay=steps * (m.log_rate.float().exp() * -1).view(-1, 1, 1),
            state=cache.state("recurrence", x),
        )
        cache.keep(recurrence=state)
        out = (out + values.float() * m.skip.float().view(-1, 1, 1)).transpose(1, 2).flatten(2)
        gate = F.silu(projected("gate").float())
        if self.norm_groups is None:
            out = out * gate
        else:
            out = m.norm(out) * gate if self.norm_before_gate else m.norm(out * gate)
        return m.o_proj(out.to(x.dtype))
