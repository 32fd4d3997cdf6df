"""A device's share of a part or of a cache entry is a smaller part or entry, so that the same code prices it."""

from __future__ import annotations

from dataclasses import replace

from llmarch_cli.components.cache import Rows, State
from llmarch_cli.components.parts import (
    BlockDiagonal,
    Convolution,
    Experts,
    Linear,
    Matrix,
    Norm,
    Table,
    TiedLinear,
    Vector,
    Weights,
)
from llmarch_cli.components.shards import Shard


def share_of_part(part: Weights, shard: Shard | None, n_devices: int, rank: int, n_groups: int = 1) -> Weights:
    """What one of `n_devices` has of a part.

    Routed experts are first divided among `n_groups` groups of as many devices.
    """
    if isinstance(part, Experts):
        part = replace(part, n_experts=part.n_experts // n_groups)
    if shard is None or n_devices == 1:
        return part

    def held(width: int) -> int:
        return shard.held(width, n_devices, rank)

    match part:
        case Linear() | Experts() if shard.dim == "in":
            return replace(part, d_in=held(part.d_in))
        case Linear() | Experts() | TiedLinear():
            return replace(part, d_out=held(part.d_out))
        case BlockDiagonal():
            return replace(part, n_blocks=held(part.n_blocks))
        case Norm() if part.n_heads is not None:
            return replace(part, n_heads=held(part.n_heads))
        case Norm() | Vector():
            return replace(part, dim=held(part.dim))
        case Table():
            return replace(part, n_rows=held(part.n_rows))
        case Convolution():
            return replace(part, channels=held(part.channels))
        case Matrix():
            return replace(part, rows=held(part.rows))
        case _:
            raise AssertionError(f"{part.name}: no rule divides {type(part).__name__}")


def share_of_entry(entry: Rows | State, shard: Shard | None, n_devices: int, rank: int) -> Rows | State:
    """What one of `n_devices` keeps of an entry, of each sequence."""
    if shard is None or n_devices == 1:
        return entry
    if isinstance(entry, Rows):
        return replace(entry, width=shard.held(entry.width, n_devices, rank))
    if shard.dim == "out":
        return replace(entry, shape=(shard.held(entry.shape[0], n_devices, rank), *entry.shape[1:]))
    return replace(entry, shape=(*entry.shape[:-1], shard.held(entry.shape[-1], n_devices, rank)))
