"""How weights are stored, as data: the formats, and what a publisher ships. To add a format: an entry in `FORMATS`.

A format says how a matrix is stored (`Scaled` or `Blocks`), which matrices it is for, and what the other values are.
`profilers/storage.py` turns it into bytes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Annotated, Literal

from llmarch_cli.components.fields import Checked, Limits
from llmarch_cli.components.record import EMPTY, Record
from llmarch_cli.errors import InputError, unknown
from llmarch_cli.specs.encodings import FP8_BLOCK, GGML, MX_GROUP, NVFP4_GROUP, Blocks, Encoding, Scaled

PLAIN, NATIVE = "bf16", "native"
PLAIN_BYTES = {"bf16": 2, "fp16": 2, "fp32": 4}  # of one value


# Which parts a format is for. "layers": the matrices of attention and feed-forward layers, except routers. "experts":
# of these the routed experts, or all in a model without. "embeddings": those of layers, input embedding and head.
Scope = Literal["layers", "experts", "embeddings"]


@dataclass(frozen=True, slots=True)
class Format:
    """A storage format.

    Attributes:
        encoding: how a matrix is stored.
        scope: which matrices are stored so.
        words: what is stored, in a few words.
        other_bytes: of each value of the other parts.
        mix: the rule that gives some matrices other types of ggml.
    """

    encoding: Encoding
    words: str
    scope: Scope = "layers"
    other_bytes: int = 2
    mix: Literal["k_m", "moe"] | None = None

    @property
    def is_gguf(self) -> bool:
        """Whether it is of a GGUF file, in which norms, routers, biases and vectors are float32."""
        return isinstance(self.encoding, Blocks)


def _grouped(bits: int, group: int, zero_bits: int = 0, column_bits: int = 0, matrix_bits: int = 0) -> Scaled:
    return Scaled(bits, 16, 1, group, zero_bits, 32, matrix_bits=matrix_bits, column_bits=column_bits)


def _mlx(bits: int) -> Format:
    return Format(
        Scaled(bits, 32, 1, 64, word_bits=32), f"{bits} bits, a 16-bit scale and bias for each 64", "embeddings"
    )


def _gguf(name: str, words: str, mix: Literal["k_m", "moe"] | None = None) -> Format:
    return Format(GGML[name], words, "embeddings", 4, mix)


_FP8_BLOCKS = Scaled(8, 32, FP8_BLOCK, FP8_BLOCK, pads=True)
_MXFP4 = Scaled(4, 8, 1, MX_GROUP)

FORMATS: dict[str, Format] = {
    "bf16": Format(Scaled(16), "2 bytes each"),
    "fp16": Format(Scaled(16), "2 bytes each"),
    "fp32": Format(Scaled(32), "4 bytes each", other_bytes=4),
    "fp8": Format(Scaled(8, 32), "8 bits, a float32 scale for each matrix"),
    "fp8-static": Format(
        Scaled(8, 32, matrix_bits=32), "8 bits, a float32 scale for each matrix and one for its inputs"
    ),
    "fp8-channel": Format(Scaled(8, 32, 1), "8 bits, a float32 scale for each row"),
    "fp8-row": Format(Scaled(8, 16, 1), "8 bits, a 16-bit scale for each row"),
    "fp8-block": Format(_FP8_BLOCKS, "8 bits, a float32 scale for each 128 x 128 block"),
    "fp8-block-e8m0": Format(
        replace(_FP8_BLOCKS, scale_bits=8), "8 bits, a power of two in 8 bits for each 128 x 128 block"
    ),
    "mxfp8": Format(Scaled(8, 8, 1, MX_GROUP), "8 bits, a power of two in 8 bits for each 32"),
    "int8": Format(Scaled(8, 16, 1), "8 bits, a 16-bit scale for each row"),
    "bnb-int8": Format(
        Scaled(8, 32, 1, matrix_bits=8), "8 bits, a float32 scale for each row, one byte that names the layout"
    ),
    "gptq-int4": Format(
        _grouped(4, 128, 4, 32), "4 bits, a 16-bit scale and a 4-bit zero point for each 128, an int32 for each column"
    ),
    "gptq-int8": Format(
        _grouped(8, 128, 8, 32), "8 bits, a 16-bit scale and an 8-bit zero point for each 128, an int32 for each column"
    ),
    "awq-int4": Format(_grouped(4, 128, 4), "4 bits, a 16-bit scale and a 4-bit zero point for each 128"),
    "int4": Format(
        _grouped(4, 128, matrix_bits=64), "4 bits, a 16-bit scale for each 128, the shape of each matrix in 8 bytes"
    ),
    "mxfp4": Format(_MXFP4, "4 bits, a power of two in 8 bits for each 32", "experts"),
    "nvfp4": Format(
        Scaled(4, 8, 1, NVFP4_GROUP, matrix_bits=64), "4 bits, an fp8 scale for each 16, two float32 for each matrix"
    ),
    "bnb-nf4": Format(  # a table of 16 values, one of 256 for the scales
        Scaled(4, 8, flat_block=64, nested=True, matrix_bits=(16 + 256) * 32),
        "4 bits, an 8-bit scale for each 64, a float32 for each 256 of these, 1,088 bytes of tables for each matrix",
    ),
    "bnb-nf4-single": Format(
        Scaled(4, 32, flat_block=64, matrix_bits=16 * 32),
        "4 bits, a float32 scale for each 64, a table of 64 bytes for each matrix",
    ),
    "q8_0": _gguf("q8_0", "34 bytes for each 32"),
    "q6_k": _gguf("q6_k", "210 bytes for each 256"),
    "q5_k": _gguf("q5_k", "176 bytes for each 256"),
    "q4_k": _gguf("q4_k", "144 bytes for each 256"),
    "q4_0": _gguf("q4_0", "18 bytes for each 32"),
    "iq4_xs": _gguf("iq4_xs", "136 bytes for each 256"),
    "q5_k_m": _gguf("q5_k", "q5_k; the head, and half of v_proj and down_proj, as q6_k", "k_m"),
    "q4_k_m": _gguf("q4_k", "q4_k; the head, and half of v_proj and down_proj, as q6_k", "k_m"),
    "mxfp4_moe": _gguf("mxfp4", "routed experts 17 bytes for each 32, other matrices as q8_0", "moe"),
    "mlx-8bit": _mlx(8),
    "mlx-6bit": _mlx(6),
    "mlx-4bit": _mlx(4),
}

# Formats whose groups have several sizes, which may be named: gptq-int4-g64.
_SEVERAL = ("gptq-int4", "gptq-int8", "awq-int4", "int4", "mlx-8bit", "mlx-6bit", "mlx-4bit")
GROUPS = (16, 32, 64, 128, 256, 512, 1024)
_WITH_GROUP = re.compile(rf"({'|'.join(_SEVERAL)})-g({'|'.join(map(str, GROUPS))})")


def format_of(name: str) -> Format:
    """The format of that name; one with groups may end in -g and their size. Raises InputError for an unknown one."""
    if name in FORMATS:
        return FORMATS[name]
    if match := _WITH_GROUP.fullmatch(name):
        found = FORMATS[match[1]]
        assert isinstance(found.encoding, Scaled)
        words = found.words.replace(f"each {found.encoding.columns}", f"each {match[2]}")
        return replace(found, encoding=replace(found.encoding, columns=int(match[2])), words=words)
    raise InputError(unknown("weight format", name, FORMATS))


def checked(name: str) -> str:
    """Return `name` if it is `native` or a format. Raises InputError for any other."""
    if name != NATIVE:
        try:
            format_of(name)
        except InputError:
            raise InputError(unknown("weight format", name, (NATIVE, *FORMATS))) from None
    return name


def _is_format(name: str) -> str:
    try:
        format_of(name)
    except InputError as error:
        raise ValueError(str(error)) from None
    return name


def _is_asked(name: str) -> str:
    try:
        return checked(name)
    except InputError as error:
        raise ValueError(str(error)) from None


_OF_SIZES = [f"{name}-g{size}" for name in _SEVERAL for size in GROUPS]
FormatName = Annotated[str, Checked(_is_format, (*FORMATS, *_OF_SIZES))]
AskedFormat = Annotated[str, Checked(_is_asked, (NATIVE, *FORMATS, *_OF_SIZES))]

SELECTOR_PATTERN = r"^[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)*$"
Selector = Annotated[str, Limits(pattern=SELECTOR_PATTERN, max_length=200)]


class Stored(Record):
    """How the publisher ships the weights.

    A part is named by words of its place, from the axis to the part: `experts`, `shared_expert`, `attention`,
    `attention.o_proj`, `ffn.dense`. The first name that fits counts.
    """

    format: FormatName = PLAIN  # of the matrices that it is for
    parts: dict[Selector, FormatName] = EMPTY  # of parts in another format, by their names

    @property
    def name(self) -> str:
        """The formats in one word, without plain ones beside others."""
        names = list(dict.fromkeys((self.format, *self.parts.values())))
        return " + ".join([name for name in names if name not in PLAIN_BYTES] or names)


def stored_as(weights: str, by_publisher: Stored | None) -> Stored:
    """How weights are stored that are asked for in a format, or as the publisher ships them.

    Raises InputError if that is no format.
    """
    if checked(weights) == NATIVE:
        return by_publisher or Stored()
    return Stored.model_construct(format=weights)


def fits(selector: str, place: tuple[str, ...]) -> bool:
    """Whether the words of `selector` occur in a part's place, in this order."""
    words = iter(place)
    return all(word in words for word in selector.split("."))
