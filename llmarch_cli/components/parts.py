"""The parts that components are made of: each shape is written here once, priced by one engine and built by the other.

To add a sort of part: a class here, its price in `profilers/closed_form.py`, its module in `builder.py`.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Linear:
    """A matrix (d_out, d_in), with or without a bias, that every token is multiplied with."""

    name: str
    d_in: int
    d_out: int
    bias: bool = False


@dataclass(frozen=True, slots=True)
class Norm:
    """The model's normalisation over `dim` values.

    `eps` replaces the model's epsilon where an architecture fixes it; a norm without weight only divides. With
    `n_heads` each head has weights of its own (n_heads, dim), and never a bias.
    """

    name: str
    dim: int
    eps: float | None = None
    weightless: bool = False
    n_heads: int | None = None


@dataclass(frozen=True, slots=True)
class Experts:
    """`n_experts` matrices stacked as (n_experts, d_out, d_in), of which one token is multiplied with `n_active`."""

    name: str
    n_experts: int
    n_active: int
    d_in: int
    d_out: int
    bias: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """A lookup table (n_rows, dim). Looking a row up multiplies nothing; `tied_head` uses it as a matrix as well."""

    name: str
    n_rows: int
    dim: int


@dataclass(frozen=True, slots=True)
class TiedLinear:
    """A matrix (d_out, d_in) that is another part's table: it costs FLOPs, and no parameters of its own."""

    name: str
    d_in: int
    d_out: int


@dataclass(frozen=True, slots=True)
class Vector:
    """A learned vector of `dim` values outside any matrix product: attention sinks, an activation's own scalars."""

    name: str
    dim: int


@dataclass(frozen=True, slots=True)
class Buffer:
    """A vector of `dim` values kept with the weights but not learned by gradient: a router's load-balancing bias."""

    name: str
    dim: int


Weights = Linear | Norm | Experts | Table | TiedLinear | Vector | Buffer
