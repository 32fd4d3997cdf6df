"""Read the headers of safetensors files: one, those of an index, or those in a directory.

A file consists of 8 bytes of header length, the header in JSON, and the data. Only the first two are read, so files may
lack the data. All fields of a header are validated.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

from llmarch_cli.errors import InputError, shown
from llmarch_cli.huggingface.checked_json import parse

# The limit of the safetensors library.
MAX_HEADER_BYTES = 100_000_000
MAX_VALUES = 2**62
MAX_DIMS = 16

HEADER = "its header"
SINGLE = "model.safetensors"
INDEX = "model.safetensors.index.json"

# Bits per value.
DTYPE_BITS = {
    **dict.fromkeys(("F64", "I64", "U64", "C64"), 64),
    **dict.fromkeys(("F32", "I32", "U32"), 32),
    **dict.fromkeys(("F16", "BF16", "I16", "U16"), 16),
    **dict.fromkeys(("F8_E4M3", "F8_E5M2", "F8_E8M0", "I8", "U8", "BOOL"), 8),
    **dict.fromkeys(("F4",), 4),
}


@dataclass(frozen=True, slots=True)
class Stored:
    """A tensor as declared in the header of its file.

    Attributes:
        n_bytes: of its data, without padding.
        in_blocks: whether its dtype packs values into blocks with their scales. `shape` is that of the values.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    file: Path
    n_bytes: int
    in_blocks: bool = False

    @property
    def n_values(self) -> int:
        return prod(self.shape)


def read_directory(directory: Path) -> dict[str, Stored]:
    """The tensors of a checkpoint by name.

    Reads `model.safetensors`, else the files of the index, else all safetensors files in the directory.

    Raises InputError if there are none, a file is broken, or the index and the files disagree.
    """
    if not directory.is_dir():
        raise InputError(f"{directory}: no such directory; a checkpoint is a directory of .safetensors files")
    if (single := directory / SINGLE).is_file():  # other files repeat it in another format
        return joined(iter(read_file(single)))
    if (index := directory / INDEX).is_file():
        return read_index(index)
    files = sorted(path for path in directory.glob("*.safetensors") if path.is_file())
    if not files:
        pickles = sorted(path.name for pattern in ("*.bin", "*.pt", "*.pth") for path in directory.glob(pattern))
        hint = f"; {pickles[0]} is a pickle, which can run code when read; convert it to safetensors" if pickles else ""
        raise InputError(f"{directory}: no .safetensors files{hint}")
    return joined(tensor for file in files for tensor in read_file(file))


def read_index(index: Path) -> dict[str, Stored]:
    """The tensors of the files that an index names. Raises InputError if it is broken or disagrees with a file."""
    directory = index.parent
    weight_map = parse(bounded(index), index, HEADER).get("weight_map")
    if not isinstance(weight_map, dict) or not all(isinstance(file, str) for file in weight_map.values()):
        raise InputError(f"{index}: weight_map must map each tensor to a file")
    files = {}
    for file in sorted(set(weight_map.values())):
        if Path(file).name != file or not file.endswith(".safetensors"):
            raise InputError(f"{index}: {shown(file)} is not a .safetensors file of this directory")
        if not (directory / file).is_file():
            raise InputError(f"{index}: {shown(file)} is missing; download the whole checkpoint")
        files[file] = directory / file
    found = joined(tensor for file in files.values() for tensor in read_file(file))
    for name, file in weight_map.items():
        if name not in found or found[name].file.name != file:
            raise InputError(f"{index}: lists {shown(name)} in {shown(file)}, which does not contain it")
    if unnamed := sorted(set(found) - set(weight_map)):
        raise InputError(f"{index}: does not list {shown(unnamed[0])}, which {found[unnamed[0]].file.name} contains")
    return found


def joined(tensors: Iterator[Stored]) -> dict[str, Stored]:
    """Tensors by name. Raises InputError if two files have one of the same name."""
    found: dict[str, Stored] = {}
    for tensor in tensors:
        if (other := found.get(tensor.name)) is not None:
            raise InputError(f"{tensor.file}: contains {shown(tensor.name)}, as does {other.file.name}")
        found[tensor.name] = tensor
    return found


def read_file(path: Path) -> list[Stored]:
    """The tensors declared in one file. Raises InputError if the header is broken or does not match the data."""
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            if size < 8 or not 0 < length <= min(size - 8, MAX_HEADER_BYTES):
                raise InputError(
                    f"{path}: not a safetensors file: header length {length:,} bytes, file size {size:,} bytes"
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
            raise InputError(f"{path}: {shown(name)} starts at byte {start:,} of the data, not at {end:,}")
        end = stop
    if size not in (8 + length, 8 + length + end):
        raise InputError(
            f"{path}: {size - 8 - length:,} bytes of data, but its header declares {end:,}; download it again"
        )
    return tensors


def header_bytes(path: Path) -> int:
    """The bytes of a file accepted by `read_file` that are not data."""
    with path.open("rb") as file:
        return 8 + int.from_bytes(file.read(8), "little")


def has_data(path: Path) -> bool:
    """Whether a file accepted by `read_file` contains its data."""
    return path.stat().st_size > header_bytes(path)


def _declared(path: Path, name: str, entry: Any) -> tuple[Stored, tuple[int, int]]:
    try:
        dtype, shape, (start, stop) = entry["dtype"], tuple(entry["shape"]), entry["data_offsets"]
        numbers = (*shape, start, stop)
        fine = all(type(number) is int and 0 <= number <= MAX_VALUES for number in numbers) and isinstance(dtype, str)
        fine = fine and len(shape) <= MAX_DIMS
    except (TypeError, KeyError, ValueError):
        fine = False
    if not fine:
        raise InputError(f"{path}: {shown(name)} needs a valid dtype, shape and data_offsets")
    if dtype not in DTYPE_BITS:
        raise InputError(f"{path}: {shown(name)} has dtype {shown(dtype)}; known: {', '.join(DTYPE_BITS)}")
    n_bits = prod(shape) * DTYPE_BITS[dtype]
    if prod(shape) > MAX_VALUES or n_bits != 8 * (stop - start):
        raise InputError(
            f"{path}: {shown(name)} of shape {list(shape)} in {dtype} does not fit into {stop - start:,} bytes"
        )
    return Stored(name, dtype, shape, path, stop - start), (start, stop)


def bounded(path: Path) -> bytes:
    """The content of a file. Raises InputError if it cannot be read, or is larger than a header may be."""
    try:
        with path.open("rb") as file:
            text = file.read(MAX_HEADER_BYTES + 1)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from None
    if len(text) > MAX_HEADER_BYTES:
        raise InputError(f"{path}: larger than {MAX_HEADER_BYTES:,} bytes")
    return text
