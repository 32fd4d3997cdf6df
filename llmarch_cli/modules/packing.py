"""Rows of a cache in fewer bits: groups of values with a scale, as bytes.

The sizes are those of ggml's types, of NVFP4, and of integers with groups of 64. Codes are rounded to the nearest.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from llmarch_cli.specs.encodings import E2M1

PackedName = Literal["q8_0", "q5_1", "q5_0", "q4_1", "q4_0", "int8", "int4", "nvfp4"]


@dataclass(frozen=True, slots=True)
class Packing:
    """Groups of `group` values, each a code of `bits` bits.

    Attributes:
        codes: "symmetric" integers around zero, "affine" ones above the group's least value, or "e2m1" numbers.
        scale_dtype: of the scale of a group, and of its least value.
    """

    bits: int
    group: int
    codes: Literal["symmetric", "affine", "e2m1"]
    scale_dtype: torch.dtype = torch.float16

    def row_bytes(self, width: int) -> int:
        """The bytes of a row of `width` values."""
        n_scales = 2 if self.codes == "affine" else 1
        return width // self.group * (self.group * self.bits // 8 + n_scales * self.scale_dtype.itemsize)

    def encode(self, x: Tensor) -> Tensor:
        """Rows (..., width) as bytes (..., row_bytes). On the meta device only the shape is computed."""
        if x.is_meta:
            return x.new_empty((*x.shape[:-1], self.row_bytes(x.shape[-1])), dtype=torch.uint8)
        groups = x.float().unflatten(-1, (-1, self.group))
        match self.codes:
            case "affine":
                least, most = groups.amin(-1, keepdim=True), groups.amax(-1, keepdim=True)
                scales = (torch.cat(((most - least) / (2**self.bits - 1), least), dim=-1)).to(self.scale_dtype)
                scale, least = scales.float().split(1, dim=-1)
                codes = _quotient(groups - least, scale).round()
            case "symmetric":
                extreme = groups.gather(-1, groups.abs().argmax(-1, keepdim=True))
                # As ggml: in few bits the extreme takes the least code, which reaches one further than the greatest.
                reach = 2 ** (self.bits - 1) - 1 if self.bits == 8 else -(2 ** (self.bits - 1))
                scales = (extreme / reach).to(self.scale_dtype)
                codes = _quotient(groups, scales.float()).round() + 2 ** (self.bits - 1)
            case "e2m1":
                scales = (groups.abs().amax(-1, keepdim=True) / E2M1[-1]).to(self.scale_dtype)
                levels = torch.tensor(E2M1, device=x.device)
                scaled = _quotient(groups, scales.float())
                nearest = torch.bucketize(scaled.abs(), (levels[1:] + levels[:-1]) / 2)
                codes = nearest + 8 * (scaled < 0)
        codes = codes.clamp(0, 2**self.bits - 1).to(torch.int64)
        n_scale_bytes = scales.shape[-1] * scales.element_size()
        scale_bytes = scales.reshape(-1).view(torch.uint8).view(*scales.shape[:-1], n_scale_bytes)
        return torch.cat((scale_bytes, _to_bytes(codes, self.bits)), dim=-1).flatten(-2)

    def decode(self, rows: Tensor, width: int, dtype: torch.dtype) -> Tensor:
        """Rows (..., width) in `dtype`, from their bytes."""
        if rows.is_meta:
            return rows.new_empty((*rows.shape[:-1], width), dtype=dtype)
        groups = rows.unflatten(-1, (width // self.group, -1))
        n_scale_bytes = groups.shape[-1] - self.group * self.bits // 8
        scales = groups[..., :n_scale_bytes].contiguous().view(self.scale_dtype).float()
        codes = _from_bytes(groups[..., n_scale_bytes:], self.bits)
        match self.codes:
            case "affine":
                values = codes * scales[..., :1] + scales[..., 1:]
            case "symmetric":
                values = (codes - 2 ** (self.bits - 1)) * scales
            case "e2m1":
                values = torch.tensor(E2M1, device=rows.device)[codes % 8] * (1 - codes // 8 * 2) * scales
        decoded: Tensor = values.flatten(-2).to(dtype)
        return decoded


def _quotient(x: Tensor, scale: Tensor) -> Tensor:
    """`x / scale`; 0 where the scale is 0, as of a group of zeros."""
    return torch.where(scale == 0, 0.0, x / torch.where(scale == 0, 1.0, scale))


def _to_bytes(codes: Tensor, bits: int) -> Tensor:
    """Codes (..., n) below 2 ** bits as bytes (..., n * bits / 8), the lowest bits first."""
    each = (codes.unsqueeze(-1) >> torch.arange(bits, device=codes.device)) & 1
    places = 1 << torch.arange(8, device=codes.device)
    packed: Tensor = (each.flatten(-2).unflatten(-1, (-1, 8)) * places).sum(-1).to(torch.uint8)
    return packed


def _from_bytes(packed: Tensor, bits: int) -> Tensor:
    """The codes of `_to_bytes`."""
    each = (packed.to(torch.int64).unsqueeze(-1) >> torch.arange(8, device=packed.device)) & 1
    places = 1 << torch.arange(bits, device=packed.device)
    codes: Tensor = (each.flatten(-2).unflatten(-1, (-1, bits)) * places).sum(-1)
    return codes


PACKINGS: dict[PackedName, Packing] = {
    "q8_0": Packing(8, 32, "symmetric"),
    "q5_1": Packing(5, 32, "affine"),
    "q5_0": Packing(5, 32, "symmetric"),
    "q4_1": Packing(4, 32, "affine"),
    "q4_0": Packing(4, 32, "symmetric"),
    "int8": Packing(8, 64, "affine"),
    "int4": Packing(4, 64, "affine"),
    "nvfp4": Packing(4, 16, "e2m1", torch.float8_e4m3fn),
}
