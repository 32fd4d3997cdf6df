"""How a matrix or a cached row is stored in bytes: values with scales, and ggml's blocks. Data only."""

from __future__ import annotations

from dataclasses import dataclass
from math import gcd, lcm

FP8_BLOCK = 128  # rows and columns that share a scale (DeepSeek-V3, arXiv 2412.19437, section 3.3.2)
MX_GROUP = 32  # values that share a scale (OCP Microscaling Formats, section 5.2)
NVFP4_GROUP = 16
NESTED_GROUP = 256  # scales that share a scale in bitsandbytes

# The magnitudes of 4-bit floating-point numbers (OCP Microscaling Formats, section 5.3.3).
E2M1 = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0)


class MisfitError(ValueError):
    """A matrix that a format cannot store."""


@dataclass(frozen=True, slots=True)
class Scaled:
    """A matrix (d_out, d_in) whose values share scales: one for each block of `rows` x `columns`, or of all (None).

    Attributes:
        bits: of a value.
        scale_bits: of a scale; 0 without scales. Where values have an offset of their own beside the scale, both.
        zero_bits: of a zero point beside each scale, packed into words along the rows.
        word_bits: the values of a row fill whole words of this size.
        pads: whether the last block may be short; else a width that blocks do not divide is an error.
        matrix_bits: stored once a matrix.
        column_bits: stored for each input value.
        flat_block: the values of a matrix are one row, cut into blocks of this size.
        nested: scales of `flat_block` have 8 bits, and 256 of them a float32 scale.
    """

    bits: int
    scale_bits: int = 0
    rows: int | None = None
    columns: int | None = None
    zero_bits: int = 0
    word_bits: int = 8
    pads: bool = False
    matrix_bits: int = 0
    column_bits: int = 0
    flat_block: int | None = None
    nested: bool = False

    @property
    def block(self) -> tuple[int, int]:
        """The fewest rows and columns whose values, scales and zero points are stored by themselves."""
        zeros = self.word_bits // gcd(self.zero_bits, self.word_bits) if self.zero_bits else 1
        values = self.word_bits // gcd(self.bits, self.word_bits)
        return lcm(self.rows or 1, zeros), lcm(self.columns or 1, values)

    def bytes(self, d_out: int, d_in: int) -> int:
        """The bytes of one matrix. Raises MisfitError if its width is not a multiple of the group."""
        if self.flat_block is not None:
            n_scales = _ceil(d_out * d_in, self.flat_block)
            scales = n_scales + 4 * _ceil(n_scales, NESTED_GROUP) if self.nested else n_scales * self.scale_bits // 8
            return _ceil(d_out * d_in * self.bits + self.matrix_bits, 8) + scales
        if self.columns is not None and not self.pads and d_in % self.columns:
            raise MisfitError(f"its {d_in:,} input values do not divide into groups of {self.columns}")
        across = 1 if self.columns is None else _ceil(d_in, self.columns)
        down = 1 if self.rows is None else _ceil(d_out, self.rows)
        values = _ceil(d_in * self.bits, self.word_bits) * self.word_bits * d_out
        zeros = across * _ceil(down * self.zero_bits, self.word_bits) * self.word_bits
        return (values + across * down * self.scale_bits + zeros + self.matrix_bits + self.column_bits * d_in) // 8


@dataclass(frozen=True, slots=True)
class Blocks:
    """Rows cut into blocks of `values`, each of `size` bytes (ggml, ggml-common.h).

    Attributes:
        fallback: the type that llama.cpp takes for a width that blocks do not divide; None for none.
    """

    values: int
    size: int
    fallback: str | None = None

    @property
    def block(self) -> tuple[int, int]:
        """The fewest rows and columns that are stored by themselves."""
        return 1, self.values

    def for_width(self, d_in: int) -> Encoding:
        """What stores rows of that width. Raises MisfitError if blocks do not divide it, and nothing takes their place.

        llama.cpp takes 16 bits where those of the fallback do not divide it either.
        """
        if d_in % self.values == 0:
            return self
        if self.fallback is None:
            raise MisfitError(f"its {d_in:,} input values do not divide into blocks of {self.values}")
        other = GGML[self.fallback]
        return Scaled(16) if d_in % other.values else other

    def bytes(self, d_out: int, d_in: int) -> int:
        """The bytes of one matrix. Raises MisfitError if its width is not a multiple of the block."""
        stored = self.for_width(d_in)
        return d_in // self.values * self.size * d_out if stored is self else stored.bytes(d_out, d_in)


Encoding = Scaled | Blocks

# The types of ggml. Fallbacks: llama.cpp, src/llama-quant.cpp, tensor_type_fallback.
GGML: dict[str, Blocks] = {
    "q8_0": Blocks(32, 34),
    "q6_k": Blocks(256, 210, "q8_0"),
    "q5_k": Blocks(256, 176, "q5_1"),
    "q4_k": Blocks(256, 144, "q5_0"),
    "q5_1": Blocks(32, 24),
    "q5_0": Blocks(32, 22),
    "q4_1": Blocks(32, 20),
    "q4_0": Blocks(32, 18),
    "iq4_xs": Blocks(256, 136, "iq4_nl"),
    "iq4_nl": Blocks(32, 18),
    "mxfp4": Blocks(32, 17),
}


def shard_bytes(encoding: Encoding, whole: tuple[int, int], shard: tuple[int, int]) -> int:
    """The bytes of a shard (d_out, d_in) of a matrix, stored as the whole one is.

    What a format stores once a matrix, each shard has. Raises MisfitError if the whole one does not fit the format, and
    if a shard would cut what shares a scale.
    """
    stored = encoding.for_width(whole[1]) if isinstance(encoding, Blocks) else encoding
    if isinstance(stored, Scaled) and stored.flat_block is not None and shard != whole:
        if shard[0] * shard[1] % stored.flat_block:
            raise MisfitError(f"shards of {shard[0]:,} x {shard[1]:,} values cut blocks of {stored.flat_block}")
        return stored.bytes(*shard)
    for size, own, block, words in zip(whole, shard, stored.block, ("output", "input"), strict=True):
        if own != size and own % block:
            raise MisfitError(f"shards with {own:,} of {size:,} {words} values cut blocks of {block}")
    return stored.bytes(*shard)


def group_of(encoding: Encoding) -> int:
    """The values of a row that share a scale; 1 if no width is a misfit."""
    return encoding.values if isinstance(encoding, Blocks) else 1 if encoding.pads else encoding.columns or 1


def _ceil(count: int, size: int) -> int:
    return -(-count // size)
