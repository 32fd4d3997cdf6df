"""Read the header of a GGUF file, or of all parts of a split one: keys, and the declarations of all tensors.

A file consists of the header, the data of one tensor after another, and padding. Files may lack the data: only the
header is read, and of the data the factors of rotary frequencies, which keys do not repeat. All fields are validated.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from typing import Any

from llmarch_cli.errors import InputError, shown
from llmarch_cli.huggingface.headers import MAX_VALUES, Stored, joined

ENDING = ".gguf"
PART = re.compile(r"(?P<stem>.*)-(?P<number>[0-9]{5})-of-(?P<count>[0-9]{5})\.gguf", re.DOTALL)

# Tensors with factors of rotary frequencies: for all contexts, and for short and long ones.
FACTORS = re.compile(r"rope_(?:freqs|factors_(?:long|short))\.weight")

_MAGIC = b"GGUF"

# Types with one value per element, by their names in safetensors. The others have blocks.
_PLAIN = {name: name for name in ("F64", "F32", "F16", "BF16", "I64", "I32", "I16", "I8")}


@dataclass(frozen=True)
class Header:
    """The header of a file or of all parts of a split one.

    Attributes:
        path: the file that was asked for.
        metadata: values by key. Lists of texts, and very long ones, are known by their length.
        tensors: by name, in the order of the file.
        header_bytes, padding_bytes: the bytes before the data, and those behind the tensors.
        factors: those of rotary frequencies by the name of their tensor, if the file has its data.
    """

    path: Path
    metadata: Mapping[str, Any]
    tensors: Mapping[str, Stored]
    header_bytes: int
    padding_bytes: int
    factors: Mapping[str, list[float]] = field(default_factory=dict)


def read(path: Path) -> Header:
    """The header of a file and of the other parts, if it is split.

    Raises InputError if a file is broken, a part is missing, or the library gguf is not installed.
    """
    header = _read_one(path)
    count = header.metadata.get("split.count", 1)
    if type(count) is not int or count <= 1:
        return header
    match = PART.fullmatch(path.name)
    if match is None or int(match["count"]) != count:
        raise InputError(f"{path}: one of {count:,} parts, which must be named NAME-00001-of-{count:05}{ENDING}")
    paths = [path.with_name(f"{match['stem']}-{number + 1:05}-of-{count:05}{ENDING}") for number in range(count)]
    for part in paths:
        if not part.is_file():
            raise InputError(f"{path}: one of {count:,} parts, and {shown(part.name)} is missing; download all parts")
    parts = [_read_one(part) for part in paths]
    return Header(
        path,
        parts[0].metadata,
        joined(tensor for part in parts for tensor in part.tensors.values()),
        sum(part.header_bytes for part in parts),
        sum(part.padding_bytes for part in parts),
        {name: values for part in parts for name, values in part.factors.items()},
    )


def _read_one(path: Path) -> Header:
    try:
        from llmarch_cli.huggingface.gguf.bounded import BoundedReader, HeaderError
    except ModuleNotFoundError as error:
        if error.name != "gguf":
            raise
        raise InputError(f"{path}: reading GGUF needs the library gguf: pip install 'llmarch[gguf]'") from None
    try:
        if not path.is_file():
            raise InputError(f"{path}: no such file")
        with path.open("rb") as file:
            start = file.read(len(_MAGIC))
        if start != _MAGIC:
            raise InputError(f"{path}: not a GGUF file: it starts with {shown(start)}, not with {shown(_MAGIC)}")
        size = path.stat().st_size
        reader = BoundedReader(path)
        metadata = reader.metadata()
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from None
    except HeaderError as error:
        raise InputError(f"{path}: {error}") from None
    except (ValueError, LookupError, ArithmeticError, TypeError) as error:
        raise InputError(f"{path}: not a GGUF header that can be read: {shown(str(error))}") from None

    alignment, end, padding, own = int(reader.alignment), 0, 0, 0
    tensors: dict[str, Stored] = {}
    for each in sorted(reader.declared, key=lambda declared: declared.offset):
        if not each.shape or not all(0 < width <= MAX_VALUES for width in each.shape) or prod(each.shape) > MAX_VALUES:
            raise InputError(f"{path}: {shown(each.name)} has the shape {shown(str(list(each.shape)))}")
        if each.shape[-1] % each.block_values:
            raise InputError(
                f"{path}: {shown(each.name)} has rows of {each.shape[-1]:,} values; {each.dtype} has blocks of"
                f" {each.block_values}"
            )
        if each.offset != end:
            raise InputError(f"{path}: {shown(each.name)} starts at byte {each.offset:,} of the data, not at {end:,}")
        n_bytes = prod(each.shape) // each.block_values * each.block_bytes
        tensors[each.name] = Stored(each.name, each.dtype, each.shape, path, n_bytes, each.dtype not in _PLAIN)
        own = -n_bytes % alignment
        end, padding = end + n_bytes + own, padding + own
    _check_size(path, size, reader.header_bytes, reader.data_offset, end, own)
    ordered = {each.name: tensors[each.name] for each in reader.declared}
    factors = {
        each.name: reader.floats(each, tensors[each.name].n_values)
        for each in reader.declared
        if size > reader.data_offset and each.dtype == "F32" and FACTORS.fullmatch(each.name)
    }
    return Header(path, metadata, ordered, reader.data_offset, padding, factors)


def _check_size(path: Path, size: int, header: int, start: int, n_bytes: int, last_padding: int) -> None:
    """A file has its header alone, or all data, with or without the padding behind the last tensor."""
    if header <= size <= start or start + n_bytes - last_padding <= size <= start + n_bytes:
        return
    raise InputError(
        f"{path}: {size - start:,} bytes of data, but its header declares {n_bytes:,}; download it again, or keep its"
        f" first {header:,} bytes, which are the header"
    )
