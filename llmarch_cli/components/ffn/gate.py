"""The activation of a feed-forward layer and, in gated layers, the product of gate and up projection."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar, Literal

from llmarch_cli.components.component import Component
from llmarch_cli.components.fields import Count, Positive
from llmarch_cli.components.inside import Inside, Paths, Step
from llmarch_cli.components.mechanism import Mechanism, Telling
from llmarch_cli.components.record import rule

if TYPE_CHECKING:
    from torch import Tensor

Activation = Literal["silu", "gelu", "gelu_tanh", "quick_gelu", "relu", "relu2", "xielu"]

XIELU_BETA, XIELU_EPS = 0.5, -1e-6  # xIELU's constants, arXiv 2411.13010, section 3


class GatedComponent(Component):
    """A feed-forward kind of width `d_ff`: down(act(gate(x)) * up(x)), or down(act(up(x))) without a gate."""

    d_ff: Count
    activation: Activation = "silu"
    gated: bool = True  # with silu this is SwiGLU, with gelu GeGLU (arXiv 2002.05202)
    bias: bool = False
    clamp: Positive | None = None  # gate at most `clamp`, up within +-clamp
    clamp_after_activation: bool = False  # clamps the activated gate instead
    up_offset: float = 0.0  # added to up before the product

    summarized: ClassVar[frozenset[str]] = Component.summarized | {"d_ff", "activation", "gated"}

    @property
    def settings(self) -> dict[str, str]:
        return {"activation": f"gated {self.activation}" if self.gated else self.activation, **super().settings}

    @rule
    def _gate_settings_need_a_gate(self) -> None:
        if not self.gated:
            for field in ("clamp", "up_offset"):
                if getattr(self, field):
                    raise ValueError(f"{field} needs a gate, but gated is false; remove one of them")
        elif self.activation == "xielu":
            raise ValueError("activation xielu has no gated form; set gated: false")
        if self.clamp_after_activation and self.clamp is None:
            raise ValueError("clamp_after_activation is set without clamp; give one, or remove it")

    def gate_mechanisms(self) -> Iterator[Mechanism]:
        """What is unusual of the activation."""
        if not self.gated:
            yield Mechanism("ungated", "Feed-forward without a gate", "no gate in feed-forward", Telling.COMMON)
        if self.activation == "relu2":
            yield Mechanism("squared_relu", "Squared ReLU", "squared ReLU", Telling.COMMON)

    def inside(self) -> Inside:
        activation = Step(self.activation, sort="function")
        if not self.gated:
            return Step("up"), activation, Step("down")
        return Paths(((Step("gate"), activation), (Step("up"),))), Step("product", sort="function"), Step("down")

    def hidden(self, up: Tensor, gate: Tensor | None, alphas: tuple[Tensor, Tensor] | None = None) -> Tensor:
        """The hidden values from the projections `up` and `gate`, all (..., d_ff); `gate` is None without a gate.

        `alphas` are xIELU's learned curvatures right and left of zero, before their softplus.
        """
        if alphas is not None:
            return _xielu(up, *alphas)
        if gate is None:
            return activate(self.activation, up)
        if self.clamp is not None:
            up = up.clamp(-self.clamp, self.clamp)
            if not self.clamp_after_activation:
                gate = gate.clamp(max=self.clamp)
        activated = activate(self.activation, gate)
        if self.clamp_after_activation:
            activated = activated.clamp(max=self.clamp)
        return activated * (up + self.up_offset if self.up_offset else up)


def require_fixed(activation: Activation) -> None:
    """Raise ValueError for an activation with learned values, in a component that has none."""
    if activation == "xielu":
        raise ValueError("activation xielu has learned values, for which there is no place here; use another one")


def activate(activation: Activation, x: Tensor) -> Tensor:
    """The activation of each value of `x`. Raises TypeError for xielu, which has learned values."""
    import torch.nn.functional as F

    match activation:
        case "silu":
            return F.silu(x)
        case "gelu":
            return F.gelu(x)
        case "gelu_tanh":
            return F.gelu(x, approximate="tanh")
        case "quick_gelu":  # the sigmoid approximation of GELU
            return x * (1.702 * x).sigmoid()
        case "relu":
            return F.relu(x)
        case "relu2":
            return F.relu(x).square()
        case "xielu":
            raise TypeError("xielu has learned values: pass alphas to `hidden`")


def _xielu(x: Tensor, alpha_p: Tensor, alpha_n: Tensor) -> Tensor:
    """The activation xIELU (arXiv 2411.13010): a parabola right of zero, ELU's integral left; alphas are (1,)."""
    import torch.nn.functional as F

    right = F.softplus(alpha_p) * x.square()
    left = (x.clamp(max=XIELU_EPS).expm1() - x) * (F.softplus(alpha_n) + XIELU_BETA)
    return right.where(x > 0, left) + XIELU_BETA * x
