"""The parts of components: plain shapes that the closed form prices and the builder turns into modules.

To add a type of part: a class here, its price in `profilers/closed_form.py`, its module in `modules/builder.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Linear:
    """A matrix (d_out, d_in) that multiplies every token `uses` times, with or without a bias (d_out,)."""

    name: str
    d_in: int
    d_out: int
    bias: bool = False
    uses: int = 1


@dataclass(frozen=True, slots=True)
class Norm:
    """The model's norm over `dim` values.

    `kind`, `eps`, `bias` and `unit_offset` replace the model's own where the architecture fixes them. `weightless`
    leaves out weight and bias. With `n_heads` each head has its own weights (n_heads, dim), and never a bias. With
    `groups`, as many equal parts of the values are normalised by themselves.
    """

    name: str
    dim: int
    eps: float | None = None
    weightless: bool = False
    n_heads: int | None = None
    kind: Literal["rms", "layer"] | None = None
    bias: bool | None = None
    unit_offset: bool | None = None
    groups: int = 1


@dataclass(frozen=True, slots=True)
class Experts:
    """Matrices stacked as (n_experts, d_out, d_in); each token is multiplied by `n_active` of them."""

    name: str
    n_experts: int
    n_active: int
    d_in: int
    d_out: int
    bias: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """A lookup table (n_rows, dim). A lookup costs no FLOPs; a `TiedLinear` may use the table as its matrix."""

    name: str
    n_rows: int
    dim: int


@dataclass(frozen=True, slots=True)
class TiedLinear:
    """A matrix (d_out, d_in) that is the table of another part: it costs FLOPs, but only a bias adds parameters."""

    name: str
    d_in: int
    d_out: int
    bias: bool = False


@dataclass(frozen=True, slots=True)
class Vector:
    """A learned vector of `dim` values outside any matrix product, such as attention sinks."""

    name: str
    dim: int


@dataclass(frozen=True, slots=True)
class Matrix:
    """Learned values (rows, columns) outside any matrix product, such as decays of each channel."""

    name: str
    rows: int
    columns: int


@dataclass(frozen=True, slots=True)
class Convolution:
    """A causal depthwise convolution: each of `channels` has its own filter over the last `kernel` tokens."""

    name: str
    channels: int
    kernel: int
    bias: bool = False


@dataclass(frozen=True, slots=True)
class BlockDiagonal:
    """A matrix that is zero outside `n_blocks` blocks (d_out, d_in) on its diagonal, with an optional bias for each."""

    name: str
    n_blocks: int
    d_in: int
    d_out: int
    bias: bool = False


@dataclass(frozen=True, slots=True)
class Buffer:
    """A vector of `dim` values stored with the weights but not learned by gradient, such as a load-balancing bias.

    A new model's are all `fill`.
    """

    name: str
    dim: int
    fill: float = 0.0


@dataclass(frozen=True, slots=True)
class Assignments:
    """Whole numbers below `limit` (n_rows, columns), stored with the weights but not learned by gradient.

    A new model's count up row by row, and begin again at `limit`.
    """

    name: str
    n_rows: int
    columns: int
    limit: int


Weights = (
    Linear | BlockDiagonal | Norm | Experts | Table | TiedLinear | Vector | Matrix | Convolution | Buffer | Assignments
)
