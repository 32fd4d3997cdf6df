"""Kinds of scaling of rotary frequencies, for contexts longer than those of training."""

from __future__ import annotations

import math
import zlib
from abc import abstractmethod
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from llmarch_cli.components.fields import BY_KIND, Limits, Positive, TokenCount
from llmarch_cli.components.record import Record, number, rule

if TYPE_CHECKING:
    from torch import Tensor


class Scaling(Record):
    """What stretches rotary frequencies."""

    @property
    @abstractmethod
    def label(self) -> str:
        """A few words for a table cell."""

    @property
    def magnitude(self) -> float:
        """The factor on cosines and sines."""
        return 1.0

    @abstractmethod
    def stretch(self, frequencies: Tensor, theta: float, length: int) -> Tensor:
        """The stretched angles per token, shape (n_pairs,), once `length` tokens have been seen."""


class LinearScaling(Scaling):
    """Positions divided by `factor` (arXiv 2306.15595)."""

    kind: Literal["linear"]
    factor: Positive

    summarized: ClassVar[frozenset[str]] = frozenset({"kind", "factor"})

    @property
    def label(self) -> str:
        return f"linear x{number(self.factor)}"

    def stretch(self, frequencies: Tensor, theta: float, length: int) -> Tensor:
        return frequencies / self.factor


class DynamicScaling(Scaling):
    """A theta that grows with the tokens seen beyond the original context (dynamic NTK, arXiv 2309.00071, section 3.3).

    Keys that are cached keep the angles of the step that cached them.
    """

    kind: Literal["dynamic_ntk"]
    factor: Positive
    original_context_length: TokenCount

    summarized: ClassVar[frozenset[str]] = frozenset({"kind", "factor", "original_context_length"})

    @property
    def label(self) -> str:
        return f"dynamic NTK x{number(self.factor)} from {self.original_context_length:,}"

    def stretch(self, frequencies: Tensor, theta: float, length: int) -> Tensor:
        import torch

        n_pairs = frequencies.shape[0]
        if n_pairs == 1:  # the only pair turns by 1 for any theta
            return frequencies
        growth = self.factor * max(length / self.original_context_length, 1.0) - (self.factor - 1)
        pairs = torch.arange(n_pairs, dtype=torch.float32, device=frequencies.device)
        return frequencies / growth ** (pairs / (n_pairs - 1))


class ByPartsScaling(Scaling):
    """Slow pairs divided by `factor`, fast pairs kept, pairs between blended (arXiv 2309.00071, section 3.2)."""

    kind: Literal["ntk_by_parts"]
    factor: Positive
    low_freq_factor: Positive = 1.0
    high_freq_factor: Positive = 4.0
    original_context_length: TokenCount

    summarized: ClassVar[frozenset[str]] = frozenset({"kind", "factor", "original_context_length"})

    @property
    def label(self) -> str:
        return f"by parts x{number(self.factor)} from {self.original_context_length:,}"

    @rule
    def _ordered(self) -> None:
        if self.high_freq_factor < self.low_freq_factor:
            raise ValueError(
                f"high_freq_factor ({self.high_freq_factor:g}) must not be below"
                f" low_freq_factor ({self.low_freq_factor:g})"
            )

    def stretch(self, frequencies: Tensor, theta: float, length: int) -> Tensor:
        turns = self.original_context_length * frequencies / (2 * math.pi)  # full turns within the original context
        slow, fast = frequencies / self.factor, frequencies
        if self.high_freq_factor == self.low_freq_factor:  # no blend: a step
            return fast.where(turns >= self.high_freq_factor, slow)
        blend = ((turns - self.low_freq_factor) / (self.high_freq_factor - self.low_freq_factor)).clamp(0, 1)
        return (1 - blend) * slow + blend * fast


class YarnScaling(Scaling):
    """NTK-by-parts with bounds in pairs, and a larger softmax temperature (YaRN, arXiv 2309.00071, section 3.4).

    `mscale` and `mscale_all_dim` (DeepSeek-V2's code) split the temperature between rotary values and scores;
    `attention_factor` replaces the share of the rotary values.
    """

    kind: Literal["yarn"]
    factor: Positive
    original_context_length: TokenCount
    beta_fast: Positive = 32.0
    beta_slow: Positive = 1.0
    mscale: Positive | None = None
    mscale_all_dim: Positive | None = None
    attention_factor: Positive | None = None
    truncate: bool = True  # rounds the bounds to whole pairs

    summarized: ClassVar[frozenset[str]] = frozenset({"kind", "factor", "original_context_length"})

    @rule
    def _ordered(self) -> None:
        if self.beta_fast < self.beta_slow:
            raise ValueError(f"beta_fast ({self.beta_fast:g}) must not be below beta_slow ({self.beta_slow:g})")

    @property
    def label(self) -> str:
        return f"YaRN x{number(self.factor)} from {self.original_context_length:,}"

    @property
    def magnitude(self) -> float:
        if self.attention_factor is not None:
            return self.attention_factor
        if self.mscale is not None and self.mscale_all_dim is not None:
            return self._temperature(self.mscale) / self._temperature(self.mscale_all_dim)
        return self._temperature(1.0)

    @property
    def score_magnitude(self) -> float:
        """The further factor on scores: the temperature squared, once for queries and once for keys."""
        return 1.0 if self.mscale_all_dim is None else self._temperature(self.mscale_all_dim) ** 2

    def _temperature(self, mscale: float) -> float:
        return 1.0 if self.factor <= 1 else 0.1 * mscale * math.log(self.factor) + 1.0

    def stretch(self, frequencies: Tensor, theta: float, length: int) -> Tensor:
        import torch

        n_pairs = frequencies.shape[0]

        def pair_with_turns(turns: float) -> float:
            return n_pairs * math.log(self.original_context_length / (turns * 2 * math.pi)) / math.log(theta)

        low, high = pair_with_turns(self.beta_fast), pair_with_turns(self.beta_slow)
        if self.truncate:
            low, high = math.floor(low), math.ceil(high)
        low, high = max(low, 0), min(high, 2 * n_pairs - 1)
        if low == high:
            high += 0.001
        pairs = torch.arange(n_pairs, dtype=torch.float32, device=frequencies.device)
        slow_share = ((pairs - low) / (high - low)).clamp(0, 1)
        return frequencies / self.factor * slow_share + frequencies * (1 - slow_share)


class SteppedScaling(Scaling):
    """A larger theta, in steps: beyond the original context, one step for each doubling of it (arXiv 2309.16609).

    After n doublings theta is multiplied by (2^(n + 1) - 1)^(d / (d - 2)) for d rotated values, which divides the
    frequency of the slowest pair by 2^(n + 1) - 1.
    """

    kind: Literal["stepped_ntk"]
    original_context_length: TokenCount

    summarized: ClassVar[frozenset[str]] = frozenset({"kind", "original_context_length"})

    @property
    def label(self) -> str:
        return f"NTK in steps from {self.original_context_length:,}"

    def stretch(self, frequencies: Tensor, theta: float, length: int) -> Tensor:
        import torch

        n_pairs = frequencies.shape[0]
        doublings = ((length - 1) // self.original_context_length).bit_length()
        shares = torch.arange(n_pairs, dtype=torch.float32, device=frequencies.device) / max(n_pairs - 1, 1)
        return frequencies / (2 ** (doublings + 1) - 1) ** shares


Factors = Annotated[
    tuple[Positive, ...], Limits(strict=False, min_length=1, max_length=2**19)
]  # not strict: YAML gives lists


def _in_short(values: tuple[float, ...]) -> str:
    """A list short enough for a table cell; the checksum tells lists of equal range apart."""
    checksum = zlib.crc32(repr(values).encode())
    return f"{min(values):.3g} to {max(values):.3g} #{checksum:08x}"


class LongRopeScaling(Scaling):
    """Each pair divided by its own factor, from one of two lists (LongRoPE, arXiv 2402.13753).

    `long_factor` applies once more than `original_context_length` tokens have been seen; keys cached before that keep
    the short factors. `factor`, the stretched context over the original one, only sets the magnitude, unless
    `attention_factor` replaces it.
    """

    kind: Literal["longrope"]
    short_factor: Factors
    long_factor: Factors
    original_context_length: Annotated[TokenCount, Limits(gt=1)]
    factor: Positive | None = None
    attention_factor: Positive | None = None

    summarized: ClassVar[frozenset[str]] = frozenset(
        {"kind", "short_factor", "long_factor", "original_context_length", "factor"}
    )

    @property
    def label(self) -> str:
        by = "" if self.factor is None else f" x{number(self.factor)}"
        return f"LongRoPE{by} from {self.original_context_length:,}"

    @property
    def details(self) -> str:
        lists = (f"{name} {_in_short(getattr(self, name))}" for name in ("short_factor", "long_factor"))
        return ", ".join(filter(None, (*lists, super().details)))

    @property
    def magnitude(self) -> float:
        if self.attention_factor is not None:
            return self.attention_factor
        if self.factor is None or self.factor <= 1:
            return 1.0
        return math.sqrt(1 + math.log(self.factor) / math.log(self.original_context_length))

    def stretch(self, frequencies: Tensor, theta: float, length: int) -> Tensor:
        import torch

        factors = self.short_factor if length <= self.original_context_length else self.long_factor
        return frequencies / torch.tensor(factors, dtype=torch.float32, device=frequencies.device)


RopeScaling = Annotated[
    LinearScaling | DynamicScaling | SteppedScaling | ByPartsScaling | YarnScaling | LongRopeScaling,
    BY_KIND,
]
