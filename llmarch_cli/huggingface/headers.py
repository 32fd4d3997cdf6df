"""What the safetensors files of a directory hold, from their headers alone.

A file is 8 bytes of length, that many bytes of JSON, and data. Only the first two are read here, so that a directory
may hold headers without data; what is read is trusted in nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

from llmarch_cli.errors import InputError, shown
from llmarch_cli.huggingface.checked_json import parse

# As the safetensors library limits it.
MAX_HEADER_BYTES = 100_000_000
MAX_VALUES = 2**62
MAX_DIMS = 16

HEADER = "its header"
SINGLE = "model.safetensors"
INDEX = "model.safetensors.index.json"

# Bits of one value.
DTYPE_BITS = {
    **dict.fromkeys(("F64", "I64", "U64", "C64"), 64),
    **dict.fromkeys(("F32", "I32", "U32"), 32),
    **dict.fromkeys(("F16", "BF16", "I16", "U16"), 16),
    **dict.fromkeys(("F8_E4M3", "F8_E5M2", "F8_E8M0", "I8", "U8", "BOOL"), 8),
    **dict.fromkeys(("F4",), 4),
}


@dataclass(frozen=True, slots=True)
class Stored:
    """A tensor as a file declares it."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    file: Path

    @property
    def n_values(self) -> int:
        return prod(self.shape)


def read_directory(directory: Path) -> dict[str, Stored]:
    """Every tensor of a checkpoint by its name.

    Those of `model.safetensors`, else of the index's files, else of all safetensors files there are.

    Raises InputError where there are none, a file is broken, or the index and the files disagree.
    """
    if not directory.is_dir():
        raise InputError(f"{directory}: no such directory: a checkpoint is a directory of .safetensors files")
    if (single := directory / SINGLE).is_file():  # whatever stands beside it is the same in another format
        return _joined(iter(read_file(single)))
    if (index := directory / INDEX).is_file():
        return _indexed(directory, index)
    files = sorted(path for path in directory.glob("*.safetensors") if path.is_file())
    if not files:
        pickles = sorted(path.name for pattern in ("*.bin", "*.pt", "*.pth") for path in directory.glob(pattern))
        hint = (
            f"; {pickles[0]} is a pickle, which can run code when it is read: convert it to safetensors"
            if pickles
            else ""
        )
        raise InputError(f"{directory}: no .safetensors files{hint}")
    return _joined(tensor for file in files for tensor in read_file(file))


def _indexed(directory: Path, index: Path) -> dict[str, Stored]:
    weight_map = parse(_bounded(index), index, HEADER).get("weight_map")
    if not isinstance(weight_map, dict) or not all(isinstance(file, str) for file in weight_map.values()):
        raise InputError(f"{index}: weight_map must name a file for each tensor")
    files = {}
    for file in sorted(set(weight_map.values())):
        if Path(file).name != file or not file.endswith(".safetensors"):
            raise InputError(f"{index}: {shown(file)} is not a .safetensors file of this directory")
        if not (directory / file).is_file():
            raise InputError(f"{index}: names {shown(file)}, which is missing: fetch the whole checkpoint")
        files[file] = directory / file
    found = _joined(tensor for file in files.values() for tensor in read_file(file))
    for name, file in weight_map.items():
        if name not in found or found[name].file.name != file:
            raise InputError(f"{index}: says that {shown(file)} holds {shown(name)}, and it does not")
    if unnamed := sorted(set(found) - set(weight_map)):
        raise InputError(f"{index}: does not name {shown(unnamed[0])}, which {found[unnamed[0]].file.name} holds")
    return found


def _joined(tensors: Iterator[Stored]) -> dict[str, Stored]:
    found: dict[str, Stored] = {}
    for tensor in tensors:
        if (other := found.get(tensor.name)) is not None:
            raise InputError(f"{tensor.file}: holds {shown(tensor.name)}, which {other.file.name} holds too")
        found[tensor.name] = tensor
    return found


def read_file(path: Path) -> list[Stored]:
    """The tensors that one file declares. Raises InputError for a header that is broken or does not fit its data."""
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            if size < 8 or not 0 < length <= min(size - 8, MAX_HEADER_BYTES):
                raise InputError(
                    f"{path}: no safetensors file: its header would be {length:,} bytes, of {size:,} in all"
                )
            header = parse(file.read(length), path, HEADER)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from None
    header.pop("__metadata__", None)
    tensors, spans = [], []
    for name, entry in header.items():
        tensor, span = _declared(path, name, entry)
        tensors.append(tensor)
        spans.append((*span, name))
    end = 0
    for start, stop, name in sorted(spans):
        if start != end:
            raise InputError(f"{path}: {shown(name)} begins at byte {start:,} of the data, not at {end:,}")
        end = stop
    if size not in (8 + length, 8 + length + end):
        raise InputError(
            f"{path}: holds {size - 8 - length:,} bytes of data, and its header declares {end:,}: fetch it again"
        )
    return tensors


def has_data(path: Path) -> bool:
    """Whether a file that `read_file` accepted holds its data too."""
    with path.open("rb") as file:
        return path.stat().st_size > 8 + int.from_bytes(file.read(8), "little")


def _declared(path: Path, name: str, entry: Any) -> tuple[Stored, tuple[int, int]]:
    try:
        dtype, shape, (start, stop) = entry["dtype"], tuple(entry["shape"]), entry["data_offsets"]
        numbers = (*shape, start, stop)
        fine = all(type(number) is int and 0 <= number <= MAX_VALUES for number in numbers) and isinstance(dtype, str)
        fine = fine and len(shape) <= MAX_DIMS
    except (TypeError, KeyError, ValueError):
        fine = False
    if not fine:
        raise InputError(f"{path}: {shown(name)} has no dtype, shape and data_offsets that make sense")
    if dtype not in DTYPE_BITS:
        raise InputError(f"{path}: {shown(name)} is of dtype {shown(dtype)}; known: {', '.join(DTYPE_BITS)}")
    n_bits = prod(shape) * DTYPE_BITS[dtype]
    if prod(shape) > MAX_VALUES or n_bits != 8 * (stop - start):
        raise InputError(
            f"{path}: {shown(name)} of shape {list(shape)} in {dtype} does not take {stop - start:,} bytes"
        )
    return Stored(name, dtype, shape, path), (start, stop)


def _bounded(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            text = file.read(MAX_HEADER_BYTES + 1)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from None
    if len(text) > MAX_HEADER_BYTES:
        raise InputError(f"{path}: larger than {MAX_HEADER_BYTES:,} bytes")
    return text
