"""Unpack low-precision tensors. To make a format of `formats` loadable, add its function to UNPACK."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from llmarch_cli.huggingface.formats import (
    FP8_BLOCKS,
    FP8_PER_CHANNEL,
    FP8_PER_TENSOR,
    INT8_PER_CHANNEL,
    INT8_PER_TENSOR,
    MXFP4,
)
from llmarch_cli.specs.encodings import E2M1, FP8_BLOCK


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
    values = torch.tensor((*E2M1, *(-value for value in E2M1)), dtype=torch.bfloat16, device=blocks.device)
    halves = torch.stack((blocks & 0x0F, blocks >> 4), dim=-1).flatten(-2)  # (..., n_groups, 32)
    exponents = scales.int().unsqueeze(-1) - 127
    return torch.ldexp(values[halves.int()], exponents).to(torch.bfloat16).flatten(-2)


def scaled(packed: Tensor, scales: Tensor) -> Tensor:
    """Multiply a matrix (d_out, d_in) in 8 bits by its scale, or by one scale per row. Returns float32."""
    return packed.float() * scales.float().reshape(-1, 1)


# By the name of a format: (packed, scales) -> values. Both may be one matrix of a stack.
UNPACK: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    **dict.fromkeys((FP8_PER_TENSOR, FP8_PER_CHANNEL, INT8_PER_TENSOR, INT8_PER_CHANNEL), scaled),
    FP8_BLOCKS: fp8_blocks,
    MXFP4: mxfp4,
}
