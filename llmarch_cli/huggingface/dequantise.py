"""Unpack low-precision tensors. To add a format, add an entry to FORMATS."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

FP8_BLOCK = 128  # rows and columns that share a scale (DeepSeek-V3, arXiv 2412.19437, section 3.3.2)
MXFP4_GROUP = 32  # values that share a scale (OCP Microscaling Formats, section 5.2)

# The 16 values of E2M1: sign, two bits of exponent, one of mantissa.
_E2M1 = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0)

Shape = tuple[int, ...]


def fp8_blocks(packed: Tensor, scales: Tensor) -> Tensor:
    """Multiply a float8 matrix (d_out, d_in) by one scale per 128 x 128 block, rounded up. Returns float32."""
    values = packed.float()
    for row, of_blocks in zip(values.split(FP8_BLOCK), scales.float(), strict=True):  # in place: matrices are large
        row *= of_blocks.repeat_interleave(FP8_BLOCK)[: values.shape[1]]
    return values


def mxfp4(blocks: Tensor, scales: Tensor) -> Tensor:
    """Unpack E2M1 values, two per byte with the lower half first, each group of 32 times a power of two.

    Args:
        blocks: (..., n_groups, 16) bytes.
        scales: (..., n_groups) bytes: exponents with a bias of 127.

    Returns (..., n_groups * 32) in bfloat16, which represents each value exactly.
    """
    values = torch.tensor((*_E2M1, *(-value for value in _E2M1)), dtype=torch.bfloat16, device=blocks.device)
    halves = torch.stack((blocks & 0x0F, blocks >> 4), dim=-1).flatten(-2)  # (..., n_groups, 32)
    exponents = scales.int().unsqueeze(-1) - 127
    return torch.ldexp(values[halves.int()], exponents).to(torch.bfloat16).flatten(-2)


@dataclass(frozen=True, slots=True)
class Format:
    """The storage format of packed matrices and their scales.

    Attributes:
        scales_called: the class of the scales in a reconciliation.
        dtype, scale_dtypes: the dtypes, by their names in safetensors.
        ending, scales_ending: the endings of the two tensor names, which are otherwise the same.
        n_dims: the number of dimensions of a packed tensor.
        values_shape, scales_shape: functions from the shape of a packed tensor to that of its values and its scales.
        unpack: (packed, scales) -> values. Both may be one matrix of a stack.
    """

    scales_called: str
    dtype: str
    scale_dtypes: frozenset[str]
    ending: str
    scales_ending: str
    n_dims: int
    values_shape: Callable[[Shape], Shape]
    scales_shape: Callable[[Shape], Shape]
    unpack: Callable[[Tensor, Tensor], Tensor]


FORMATS = (
    Format(
        scales_called="scales of 8-bit matrices",
        dtype="F8_E4M3",
        scale_dtypes=frozenset({"F32", "BF16", "F16"}),
        ending=".weight",
        scales_ending=".weight_scale_inv",
        n_dims=2,
        values_shape=lambda shape: shape,
        scales_shape=lambda shape: tuple(-(-width // FP8_BLOCK) for width in shape),
        unpack=fp8_blocks,
    ),
    Format(
        scales_called="scales of 4-bit matrices",
        dtype="U8",
        scale_dtypes=frozenset({"U8"}),
        ending="_blocks",
        scales_ending="_scales",
        n_dims=4,  # (n_experts, d_out, n_groups, 16)
        values_shape=lambda shape: (*shape[:2], 2 * shape[2] * shape[3]),
        scales_shape=lambda shape: shape[:3] if shape[3] == MXFP4_GROUP // 2 else (),
        unpack=mxfp4,
    ),
)
