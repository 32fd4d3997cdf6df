"""The formats of packed matrices, as data: how values are stored, and which tensors are stored beside them.

To add a format, add an entry to FORMATS; to make it loadable, a function to `dequantise.UNPACK`. Shapes are those of a
matrix (d_out, d_in); in a stack of matrices, all tensors have the same leading dimensions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from llmarch_cli.specs.encodings import FP8_BLOCK, MX_GROUP, NESTED_GROUP, NVFP4_GROUP

Shape = tuple[int, ...]

WHOLE_ROW = 0  # a group size: all values of a row share a scale
ANY = -1  # a width that is not checked


@dataclass(frozen=True, slots=True, order=True)
class Packing:
    """The bits of a value, and the number of values that share a scale. `group` is WHOLE_ROW or a size."""

    bits: int
    group: int

    def groups(self, width: int) -> int:
        """The number of groups in `width` values; the last may be short."""
        return _blocks(width, self.group) if self.group else 1

    def words(self, width: int, word_bits: int = 32) -> int:
        """The number of words that hold `width` values."""
        return _blocks(width * self.bits, word_bits)


# From the shape of the values to the possible shapes of a tensor.
Shapes = Callable[[int, int, Packing], tuple[Shape, ...]]


@dataclass(frozen=True, slots=True, eq=False)
class Beside:
    """A tensor stored beside packed values.

    Attributes:
        called: what it holds, in the plural.
        ending: the end of its name, in place of the format's.
        dtypes: by their names in safetensors.
        shapes: (d_out, d_in, packing) -> its possible shapes.
        required: whether the format is recognised by it.
    """

    called: str
    ending: str
    dtypes: frozenset[str]
    shapes: Shapes
    required: bool = True


@dataclass(frozen=True, slots=True, eq=False)
class Format:
    """A storage format of matrices.

    Attributes:
        methods: its names as `quant_method` in a config.json.
        ending: the end of the name of a packed tensor. The rest of its name is shared with the tensors beside it.
        replaces: what a plain tensor's name has in its place.
        dtypes: of the packed tensor, by their names in safetensors.
        stored: (d_out, d_in, packing) -> the possible shapes of the packed tensor.
        beside: the tensors beside it. The first has the scales.
        bits, groups: the possible packings; of two that fit equally, the first is meant. A single group size is part of
            the format.
    """

    name: str
    methods: frozenset[str]
    ending: str
    dtypes: frozenset[str]
    stored: Shapes
    beside: tuple[Beside, ...]
    bits: tuple[int, ...]
    groups: tuple[int, ...] = (WHOLE_ROW,)
    replaces: str = ".weight"

    @property
    def packings(self) -> tuple[Packing, ...]:
        """All possible packings."""
        return tuple(Packing(bits, group) for bits in self.bits for group in self.groups)

    def described(self, packing: Packing) -> str:
        """The format and what varies in it, e.g. "GPTQ, 4 bits, groups of 128"."""
        words = [self.name]
        if len(self.bits) > 1:
            words.append(f"{packing.bits} bits")
        if len(self.groups) > 1:
            words.append(f"groups of {packing.group:,}" if packing.group else "one group per row")
        return ", ".join(words)

    def plain_name(self, name: str) -> str:
        """The name that a plain tensor would have."""
        return name.removesuffix(self.ending) + self.replaces


def possible(shapes: Shapes, values: Shape, packing: Packing) -> tuple[Shape, ...]:
    """The possible shapes of a tensor for values of this shape: a matrix, or a stack. None for a vector."""
    if len(values) < 2:
        return ()
    *stack, d_out, d_in = values
    return tuple((*stack, *shape) for shape in shapes(d_out, d_in, packing))


def matches(shape: Shape, one_of: tuple[Shape, ...]) -> bool:
    """Whether a shape is one of the possible ones."""
    return any(
        len(shape) == len(other) and all(width in (ANY, ours) for ours, width in zip(shape, other, strict=True))
        for other in one_of
    )


def _blocks(width: int, size: int) -> int:
    return -(-width // size)


def _as_values(d_out: int, d_in: int, _: Packing) -> tuple[Shape, ...]:
    return ((d_out, d_in),)


def _packed_rows(d_out: int, d_in: int, packing: Packing) -> tuple[Shape, ...]:
    return ((d_out, packing.words(d_in)),)


def _packed_in_bytes(d_out: int, d_in: int, packing: Packing) -> tuple[Shape, ...]:
    return ((d_out, packing.words(d_in, 8)),)


def _one(_: int, __: int, ___: Packing) -> tuple[Shape, ...]:
    return (), (1,)


def _per_row(d_out: int, _: int, __: Packing) -> tuple[Shape, ...]:
    return (d_out, 1), (d_out,)


def _per_block(d_out: int, d_in: int, _: Packing) -> tuple[Shape, ...]:
    return ((_blocks(d_out, FP8_BLOCK), _blocks(d_in, FP8_BLOCK)),)


def _per_group(d_out: int, d_in: int, packing: Packing) -> tuple[Shape, ...]:
    return ((d_out, packing.groups(d_in)),)


def _per_group_or_one(d_out: int, d_in: int, packing: Packing) -> tuple[Shape, ...]:
    return _per_group(d_out, d_in, packing) + (() if packing.group else _one(d_out, d_in, packing))


def _per_group_transposed(d_out: int, d_in: int, packing: Packing) -> tuple[Shape, ...]:
    return ((packing.groups(d_in), d_out),)


def _zeros_transposed(d_out: int, d_in: int, packing: Packing) -> tuple[Shape, ...]:
    return ((packing.groups(d_in), packing.words(d_out)),)


def _per_column(_: int, d_in: int, __: Packing) -> tuple[Shape, ...]:
    return ((d_in,),)


def _vector(length: int = ANY) -> Shapes:
    return lambda _, __, ___: ((length,),)


_FLOAT = frozenset({"F32", "F16", "BF16"})
_INTEGER = frozenset({"I32", "I64"})
_EXPONENT = frozenset({"U8", "F8_E8M0"})
_INT32 = frozenset({"I32"})
_BYTE = frozenset({"U8"})

# Formats that `dequantise` unpacks.
FP8_PER_TENSOR, FP8_PER_CHANNEL = "fp8 per tensor", "fp8 per channel"
FP8_BLOCKS = "fp8 in 128 x 128 blocks"
INT8_PER_TENSOR, INT8_PER_CHANNEL = "int8 per tensor", "int8 per channel"
MXFP4 = "MXFP4"

_GROUPS = (WHOLE_ROW, 128, 64, 32, 256, 512, 1024, 16)
_G_IDX = Beside("group indices", ".g_idx", _INT32, _per_column, required=False)

# These quantise activations, and have no part in the values of the weights.
_OF_ACTIVATIONS = (
    Beside("activation scales", ".input_scale", _FLOAT, _one, required=False),
    Beside("activation scales", ".activation_scale", _FLOAT, _one, required=False),
    Beside("activation scales", ".input_scale_ub", _FLOAT, _one, required=False),
    Beside("activation scales", ".input_global_scale", _FLOAT, _one, required=False),
    Beside("activation scales", ".output_scale", _FLOAT, _one, required=False),
    Beside("activation zero points", ".input_zero_point", frozenset({"I8", "F8_E4M3"}), _one, required=False),
)
# Divides activations, and is a factor of the columns.
_SMOOTHING = Beside("scales of columns", ".pre_quant_scale", _FLOAT, _per_column, required=False)
_SHAPE = Beside("shapes", ".weight_shape", _INTEGER, _vector(2), required=False)
_ORDER = Beside("group indices", ".weight_g_idx", _INT32, _per_column, required=False)

_CT = frozenset({"compressed-tensors"})
_FP8_METHODS = frozenset({"fp8", "fbgemm_fp8", "compressed-tensors", "modelopt", "quark"})


# AutoGPTQ and GPTQModel: columns of d_in packed into int32.
_GPTQ = Format(
    name="GPTQ",
    methods=frozenset({"gptq", "auto-round"}),
    ending=".qweight",
    dtypes=_INT32,
    stored=lambda d_out, d_in, packing: ((packing.words(d_in), d_out),),
    beside=(
        Beside("scales", ".scales", _FLOAT, _per_group_transposed),
        Beside("zero points", ".qzeros", _INT32, _zeros_transposed),
        _G_IDX,
    ),
    bits=(4, 8, 3, 2),
    groups=_GROUPS,
)


# AutoAWQ's layout "gemm": rows of d_out packed into int32.
_AWQ = Format(
    name="AWQ 4-bit",
    methods=frozenset({"awq", "auto-round"}),
    ending=".qweight",
    dtypes=_INT32,
    stored=lambda d_out, d_in, packing: ((d_in, packing.words(d_out)),),
    beside=(
        Beside("scales", ".scales", _FLOAT, _per_group_transposed),
        Beside("zero points", ".qzeros", _INT32, _zeros_transposed),
    ),
    bits=(4,),
    groups=_GROUPS,
)


def _gemv_words(d_in: int, packing: Packing) -> int:
    """The zero points of a row in AutoAWQ's layouts "gemv": words of eight, padded for small groups."""
    multiple = _blocks(128, packing.group) if packing.group else 1
    return _blocks(packing.words(packing.groups(d_in)), multiple) * multiple


_AWQ_GEMV = Format(
    name="AWQ 4-bit (gemv)",
    methods=frozenset({"awq"}),
    ending=".qweight",
    dtypes=_INT32,
    stored=_packed_rows,
    beside=(
        Beside("scales", ".scales", _FLOAT, lambda d_out, d_in, p: ((d_out, 8 * _gemv_words(d_in, p)),)),
        Beside("zero points", ".qzeros", _INT32, lambda d_out, d_in, p: ((d_out, _gemv_words(d_in, p)),)),
    ),
    bits=(4,),
    groups=(WHOLE_ROW, 128, 64, 32),
)

# compressed-tensors, "pack-quantized": rows of d_in packed into int32, zero points along d_out.
_CT_PACKED = Format(
    name="compressed-tensors pack-quantized",
    methods=_CT,
    ending=".weight_packed",
    dtypes=_INT32,
    stored=_packed_rows,
    beside=(
        Beside("scales", ".weight_scale", _FLOAT, _per_group_or_one),
        Beside(
            "zero points",
            ".weight_zero_point",
            _INT32,
            lambda d_out, d_in, packing: ((packing.words(d_out), packing.groups(d_in)),),
            required=False,
        ),
        _SHAPE,
        _ORDER,
        *_OF_ACTIVATIONS,
    ),
    bits=(4, 8),
    groups=_GROUPS,
)


def _fp8(scale: str) -> Iterator[Format]:
    """One byte per value. The granularity of the scales tells the formats apart."""
    granularities = (
        (FP8_PER_TENSOR, _one, _FLOAT),
        (FP8_PER_CHANNEL, _per_row, _FLOAT),
        (FP8_BLOCKS, _per_block, _FLOAT | {"F8_E8M0"}),
        ("MXFP8", lambda d_out, d_in, _: ((d_out, _blocks(d_in, MX_GROUP)),), _EXPONENT),
    )
    for name, shapes, dtypes in granularities:
        yield Format(
            name=name,
            methods=_FP8_METHODS,
            ending=".weight",
            dtypes=frozenset({"F8_E4M3"}),
            stored=_as_values,
            beside=(Beside("scales", scale, dtypes, shapes), *_OF_ACTIVATIONS),
            bits=(8,),
        )


def _int8() -> Iterator[Format]:
    """compressed-tensors, "int-quantized", and modelopt. What changes the values makes another format."""
    for name, shapes in ((INT8_PER_TENSOR, _one), (INT8_PER_CHANNEL, _per_row)):
        for words, more in (
            ("", ()),
            (" with zero points", (Beside("zero points", ".weight_zero_point", frozenset({"I8"}), shapes),)),
            (", smoothed", (replace(_SMOOTHING, required=True),)),
        ):
            yield Format(
                name=name + words,
                methods=_CT | {"modelopt", "quark"},
                ending=".weight",
                dtypes=frozenset({"I8"}),
                stored=_as_values,
                beside=(Beside("scales", ".weight_scale", _FLOAT, shapes), *more, *_OF_ACTIVATIONS),
                bits=(8,),
            )


def _nvfp4() -> Iterator[Format]:
    """Two values per byte, float8 scales of groups, and one float32 scale of these: by modelopt, compressed-tensors."""
    per_group = Beside("scales", ".weight_scale", frozenset({"F8_E4M3"}), _per_group)
    for name, methods, ending, global_scale in (
        ("NVFP4 (modelopt)", frozenset({"modelopt", "modelopt_fp4"}), ".weight", ".weight_scale_2"),
        ("NVFP4 (compressed-tensors)", _CT, ".weight_packed", ".weight_global_scale"),
    ):
        yield Format(
            name=name,
            methods=methods,
            ending=ending,
            dtypes=_BYTE,
            stored=_packed_in_bytes,
            beside=(per_group, Beside("scales of scales", global_scale, _FLOAT, _one), _SMOOTHING, *_OF_ACTIVATIONS),
            bits=(4,),
            groups=(NVFP4_GROUP,),
        )


def _mxfp4() -> Iterator[Format]:
    """Two values per byte and a power of two per group: stacks as gpt-oss has them, and matrices."""
    yield Format(
        name=MXFP4,
        methods=frozenset({"mxfp4"}),
        ending="_blocks",
        replaces="_blocks",
        dtypes=_BYTE,
        stored=lambda d_out, d_in, _: ((d_out, d_in // MX_GROUP, MX_GROUP // 2),) if d_in % MX_GROUP == 0 else (),
        beside=(Beside("scales", "_scales", _BYTE, _per_group),),
        bits=(4,),
        groups=(MX_GROUP,),
    )
    for name, methods, ending in (
        ("MXFP4 (compressed-tensors)", _CT, ".weight_packed"),
        ("MXFP4 (quark, modelopt)", frozenset({"quark", "modelopt"}), ".weight"),
    ):
        yield Format(
            name=name,
            methods=methods,
            ending=ending,
            dtypes=_BYTE,
            stored=_packed_in_bytes,
            beside=(Beside("scales", ".weight_scale", _EXPONENT, _per_group), *_OF_ACTIVATIONS),
            bits=(4,),
            groups=(MX_GROUP,),
        )


def _bitsandbytes_4_bit() -> Iterator[Format]:
    """All values of a matrix in one row, cut into blocks with a scale each; the scales may be quantised again."""

    def per_block(d_out: int, d_in: int, packing: Packing) -> tuple[Shape, ...]:
        return ((packing.groups(d_out * d_in),),)

    def per_nested_block(d_out: int, d_in: int, packing: Packing) -> tuple[Shape, ...]:
        return ((_blocks(packing.groups(d_out * d_in), NESTED_GROUP),),)

    def stored(n_bytes: int) -> Shapes:
        return lambda d_out, d_in, _: (((d_out * d_in + 1) // (2 * n_bytes), 1),)

    quant_map = Beside("maps of 4-bit values", ".weight.quant_map", _FLOAT, _vector(16))
    nested = (
        Beside("scales", ".weight.absmax", _BYTE, per_block),
        Beside("scales of scales", ".weight.nested_absmax", _FLOAT, per_nested_block),
        Beside("maps of 8-bit scales", ".weight.nested_quant_map", _FLOAT, _vector(256)),
    )
    single = (Beside("scales", ".weight.absmax", _FLOAT, per_block),)
    for kind in ("nf4", "fp4"):
        # The length is that of a text in JSON.
        state = Beside("states", f".weight.quant_state.bitsandbytes__{kind}", _BYTE, _vector())
        for name, scales in (
            (f"bitsandbytes 4-bit {kind}, double quantised", nested),
            (f"bitsandbytes 4-bit {kind}", single),
        ):
            for dtypes, n_bytes in ((_BYTE, 1), (frozenset({"BF16", "F16"}), 2), (frozenset({"F32"}), 4)):
                yield Format(
                    name=name,
                    methods=frozenset({"bitsandbytes"}),
                    ending=".weight",
                    dtypes=dtypes,
                    stored=stored(n_bytes),
                    beside=(*scales, quant_map, state),
                    bits=(4,),
                    groups=(64, 128, 256, 512, 1024, 2048, 4096, 32),
                )


# MLX: rows of d_in packed into words, with the scale and the least value of each group beside them.
_MLX = Format(
    name="MLX",
    methods=frozenset({"mlx"}),
    ending=".weight",
    dtypes=frozenset({"U32"}),
    stored=_packed_rows,
    beside=(Beside("scales", ".scales", _FLOAT, _per_group), Beside("zero points", ".biases", _FLOAT, _per_group)),
    bits=(4, 8, 6, 5, 3, 2),
    groups=(64, 128, 32),
)

FORMATS = (
    _GPTQ,
    _AWQ,
    _AWQ_GEMV,
    _CT_PACKED,
    *(each for scale in (".weight_scale", ".weight_scale_inv") for each in _fp8(scale)),
    *_int8(),
    Format(
        name="bitsandbytes 8-bit",
        methods=frozenset({"bitsandbytes"}),
        ending=".weight",
        dtypes=frozenset({"I8"}),
        stored=_as_values,
        beside=(
            Beside("scales", ".SCB", _FLOAT, lambda d_out, _, __: ((d_out,),)),
            Beside("layouts", ".weight_format", _BYTE, lambda _, __, ___: ((),), required=False),
        ),
        bits=(8,),
    ),
    *_nvfp4(),
    *_mxfp4(),
    *_bitsandbytes_4_bit(),
    _MLX,
)
