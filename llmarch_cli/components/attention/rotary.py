"""Rotary position embedding (RoFormer, arXiv 2104.09864)."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, ClassVar

from llmarch_cli.components.attention.rope_scaling import LongRopeScaling, RopeScaling
from llmarch_cli.components.component import NOPE, Component
from llmarch_cli.components.fields import Limits
from llmarch_cli.components.mechanism import Mechanism
from llmarch_cli.components.record import number, rule

if TYPE_CHECKING:
    import torch
    from torch import Tensor


class RotaryComponent(Component):
    """An attention kind with optional rotary embedding; without `rope_theta` it has no position encoding (NoPE)."""

    rope_theta: Annotated[float, Limits(gt=1, le=1e30)] | None = None
    rope_scaling: RopeScaling | None = None
    rope_interleaved: bool = False  # pairs (0, 1), (2, 3) ... instead of (0, d/2), (1, d/2 + 1) ...
    rope_reversed: bool = False  # rotates by negative angles

    summarized: ClassVar[frozenset[str]] = Component.summarized | {"rope_theta"}

    @property
    def positions(self) -> str:
        if self.rope_theta is None:
            return NOPE
        scaling = "" if self.rope_scaling is None else f" {self.rope_scaling.label}"
        return f"RoPE {number(self.rope_theta)}{scaling}"

    def mechanisms(self) -> Iterator[Mechanism]:
        yield from super().mechanisms()
        if self.positions == NOPE:
            title = "No position encoding in attention"
            yield Mechanism("nope", title, NOPE, by_layer=True, page="rotary-and-nope")

    @property
    def turned_pairs(self) -> int | None:
        """How many pairs of `rotary_width` values turn, the first ones; None for all."""
        return None

    @property
    @abstractmethod
    def rotary_width(self) -> int:
        """The number of rotated values per head."""

    @rule
    def _rotary_settings_fit(self) -> None:
        if self.rope_theta is None:
            for field in ("rope_scaling", "rope_interleaved", "rope_reversed", "rotary_dim"):
                if getattr(self, field, None):
                    raise ValueError(f"{field} is set, but rope_theta is null; give rope_theta, or remove {field}")
        if isinstance(self.rope_scaling, LongRopeScaling):
            for field in ("short_factor", "long_factor"):
                n_factors = len(getattr(self.rope_scaling, field))
                if 2 * n_factors != self.rotary_width:
                    raise ValueError(
                        f"rope_scaling.{field} must have {self.rotary_width // 2} factors, one per rotated pair of a"
                        f" head, not {n_factors}"
                    )

    def rotate_first(self, x: Tensor, start: int, interleaved: bool | None = None) -> Tensor:
        """Rotate the first `rotary_width` values of the heads `x` (batch, n_heads, n_tokens, head_dim)."""
        import torch

        if self.rope_theta is None or self.rotary_width == x.shape[-1]:
            return self.rotate(x, start, interleaved)
        turned = self.rotate(x[..., : self.rotary_width], start, interleaved)
        return torch.cat((turned, x[..., self.rotary_width :]), dim=-1)

    def rotate_last(self, x: Tensor, start: int, step: int = 1, back: bool = False) -> Tensor:
        """Rotate the last `rotary_width` values of the heads `x` (batch, n_heads, n_tokens, head_dim)."""
        import torch

        if self.rope_theta is None or self.rotary_width == x.shape[-1]:
            return self.rotate(x, start, step=step, back=back)
        turned = self.rotate(x[..., -self.rotary_width :], start, step=step, back=back)
        return torch.cat((x[..., : -self.rotary_width], turned), dim=-1)

    def rotate(
        self, x: Tensor, start: int, interleaved: bool | None = None, step: int = 1, back: bool = False
    ) -> Tensor:
        """Rotate `x` (batch, n_heads, n_tokens, rotary_dim); its first token is at position `start`.

        `interleaved` replaces `rope_interleaved`; positions are `step` apart; `back` turns by the negative angles.
        """
        import torch

        if self.rope_theta is None:
            return x
        in_pairs = self.rope_interleaved if interleaved is None else interleaved
        cos, sin = self._angles(x.shape[-1], start, x.shape[-2], x.device, step)
        if back:
            sin = -sin
        values = x.float()
        if in_pairs:
            first, second = values.unflatten(-1, (-1, 2)).unbind(-1)
        else:
            first, second = values.chunk(2, dim=-1)
        turned = (first * cos - second * sin, second * cos + first * sin)
        joined = torch.stack(turned, dim=-1).flatten(-2) if in_pairs else torch.cat(turned, dim=-1)
        return joined.to(x.dtype)

    def _angles(self, dim: int, start: int, n: int, device: torch.device, step: int = 1) -> tuple[Tensor, Tensor]:
        """Cosines and sines, each (n, dim / 2), in float32 for any model dtype."""
        import torch

        assert self.rope_theta is not None
        exponents = torch.arange(0, dim, 2, dtype=torch.float32, device=device) / dim
        frequencies = 1.0 / self.rope_theta**exponents
        if self.turned_pairs is not None:
            still = torch.arange(frequencies.shape[0], device=device) >= self.turned_pairs
            frequencies = frequencies.masked_fill(still, 0.0)
        magnitude = 1.0
        if self.rope_scaling is not None:
            frequencies = self.rope_scaling.stretch(frequencies, self.rope_theta, start + n)
            magnitude = self.rope_scaling.magnitude
        positions = torch.arange(start, start + n * step, step, dtype=torch.float32, device=device)
        angles = positions.unsqueeze(-1) * frequencies
        return angles.cos() * magnitude, angles.sin() * (-magnitude if self.rope_reversed else magnitude)
