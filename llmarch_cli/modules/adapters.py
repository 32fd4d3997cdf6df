"""Low-rank adapters (LoRA, arXiv 2106.09685) for a built model: its own parameters stay as they are."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from llmarch_cli.modules.builder import BlockProjection, ExpertStack, LookupTable, Projection, by_blocks, parameter

Adaptable = Projection | BlockProjection | ExpertStack | LookupTable


def add_adapters(modules: Collection[nn.Module], rank: int, scale: float = 1.0) -> None:
    """Give each module an adapter of that rank: `lora_a` of random values, and `lora_b` of zeros.

    Its output for x grows by `scale` * lora_b(lora_a(x)). Adapters are on the device and in the dtype of the weight.
    """
    for module in modules:
        assert isinstance(module, Adaptable)
        weight = module.weight
        *stack, d_out, d_in = weight.shape
        if isinstance(module, LookupTable):
            d_out, d_in = d_in, d_out
        previous = torch.get_default_dtype()
        torch.set_default_dtype(weight.dtype)
        try:
            with torch.device(weight.device):
                module.lora_a, module.lora_b = parameter(*stack, rank, d_in), parameter(*stack, d_out, rank)
        finally:
            torch.set_default_dtype(previous)
        if not weight.is_meta:
            nn.init.normal_(module.lora_a, std=d_in**-0.5)
            nn.init.zeros_(module.lora_b)
        module.register_forward_hook(_Update(scale))


class _Update:
    """Adds an adapter's output to its module's."""

    def __init__(self, scale: float) -> None:
        self.scale = scale

    def __call__(self, module: Any, read: tuple[Tensor, ...], out: Tensor) -> Tensor:
        a: Tensor = module.lora_a
        b: Tensor = module.lora_b
        match module:
            case LookupTable():
                added = F.linear(F.embedding(read[0], a.T), b)
            case BlockProjection():
                added = by_blocks(b, by_blocks(a, read[0]))
            case ExpertStack():
                added = _by_experts(b, _by_experts(a, read[0], read[2]), read[2])
            case _:
                added = F.linear(F.linear(read[0], a), b)
        return out + (added if self.scale == 1 else added * self.scale)


def _by_experts(weight: Tensor, rows: Tensor, offsets: Tensor) -> Tensor:
    """Each row (n_rows, d_in) times its expert's matrix of (n_experts, d_out, d_in)."""
    if weight.is_meta:  # no data to choose by; a rank need not be a multiple of 8, as a grouped product wants
        return F.linear(rows, weight[0])
    starts = [0, *offsets.tolist()]
    blocks = [F.linear(rows[start:end], matrix) for start, end, matrix in zip(starts, starts[1:], weight, strict=False)]
    return torch.cat(blocks)
