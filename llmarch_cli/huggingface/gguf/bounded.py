"""gguf's reader within bounds: it reads the header of a file that may lack its data, and trusts no number in it.

The library is an extra and takes a while to import, so this module is imported when a file is read.
"""

from __future__ import annotations

import struct
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from gguf import GGML_QUANT_SIZES, GGMLQuantizationType, GGUFReader, GGUFValueType, ReaderField

from llmarch_cli.errors import shown
from llmarch_cli.huggingface.headers import MAX_HEADER_BYTES

MAX_ENTRIES = 65_536  # keys, and tensors; the largest models have some thousands
MAX_ITEMS = 65_536  # of a list that is kept
MAX_DIMS = 4  # of GGML


class HeaderError(ValueError):
    """What is wrong with a header, in words."""


@dataclass(frozen=True, slots=True)
class Declared:
    """A tensor as declared in a header. `shape` has the rows first, as in torch; its type stores blocks of values."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    offset: int
    block_values: int
    block_bytes: int


class BoundedReader(GGUFReader):
    """Reads all keys and the declarations of all tensors.

    Raises HeaderError for what is known to be wrong, and whatever the library raises for the rest.

    Attributes:
        header_bytes: the end of the header, before the padding that precedes the data.
        declared: the tensors, in the order of the file.
    """

    header_bytes: int
    declared: tuple[Declared, ...]

    def __init__(self, path: Path) -> None:
        super().__init__(path, "r")

    def metadata(self) -> dict[str, Any]:
        """The values by key. Texts of a list are left out: an empty list of their number, as `Texts`."""
        return {name: _value(field) for name, field in self.fields.items() if not name.startswith("GGUF.")}

    def floats(self, tensor: Declared, n_values: int) -> list[float]:
        """The data of a tensor of float32, at most MAX_ITEMS of them."""
        start = self.data_offset + tensor.offset
        raw = self.data[start : start + 4 * min(n_values, MAX_ITEMS)].tobytes()
        return [float(str(value)) for value in np.frombuffer(raw, np.dtype(f"{self._order}f4"))]

    def _get(self, offset: int, dtype: Any, count: int = 1, override_order: Any = None) -> Any:
        end = int(offset) + np.dtype(dtype).itemsize * int(count)
        if end > len(self.data):
            raise HeaderError(f"ends inside its header, after {len(self.data):,} bytes")
        if end > MAX_HEADER_BYTES:
            raise HeaderError(f"its header is larger than {MAX_HEADER_BYTES:,} bytes")
        return super()._get(offset, dtype, count, override_order)

    def _push_field(self, field: ReaderField, skip_sum: bool = False) -> int:
        if field.name in self.fields:
            raise HeaderError(f"{shown(field.name)} is given twice")
        return super()._push_field(field, skip_sum)

    def _build_fields(self, offs: int, count: int) -> int:
        return super()._build_fields(offs, _few(count, "keys"))

    def _get_field_parts(self, orig_offs: int, raw_type: int) -> tuple[int, list[Any], list[int], list[GGUFValueType]]:
        """The library's, but a list is read at once, as long as the file says, and its texts are skipped."""
        if raw_type != GGUFValueType.ARRAY:
            return super()._get_field_parts(orig_offs, raw_type)
        kind, length = self._get(orig_offs, np.uint32), self._get(orig_offs + 4, np.uint64)
        of, offset = GGUFValueType(int(kind[0])), orig_offs + 12
        if of == GGUFValueType.ARRAY:
            raise HeaderError("contains a list of lists, which GGUF does not allow")
        if of == GGUFValueType.STRING:
            for _ in range(int(length[0])):
                offset = self._behind_text(offset)
            return offset - orig_offs, [kind, length], [], [GGUFValueType.ARRAY, of]
        items = self._get(offset, self.gguf_scalar_to_np[of], int(length[0]))
        return offset + items.nbytes - orig_offs, [kind, length, items], [2], [GGUFValueType.ARRAY, of]

    def _behind_text(self, offset: int) -> int:
        self._require(offset + 8)
        (length,) = struct.unpack_from(self._order + "Q", self.data.data, offset)
        self._require(offset + 8 + length)
        return offset + 8 + int(length)

    def _require(self, end: int) -> None:
        if end > min(len(self.data), MAX_HEADER_BYTES):
            self._get(end, np.uint8)  # which says what is wrong

    @property
    def _order(self) -> str:
        return "<" if (self.byte_order == "I") == (sys.byteorder == "little") else ">"

    def _build_tensor_info(self, offs: int, count: int) -> tuple[int, list[ReaderField]]:
        self.header_bytes, fields = super()._build_tensor_info(offs, _few(count, "tensors"))
        return self.header_bytes, fields

    def _get_tensor_info_field(self, orig_offs: int) -> ReaderField:
        length, name = self._get_str(orig_offs)
        n_dims = self._get(orig_offs + length.nbytes + name.nbytes, np.uint32)
        if n_dims[0] > MAX_DIMS:
            raise HeaderError(f"declares a tensor of {int(n_dims[0]):,} dimensions; at most {MAX_DIMS} are possible")
        return super()._get_tensor_info_field(orig_offs)

    def _build_tensors(self, start_offs: int, fields: list[ReaderField]) -> None:
        """The library's makes arrays of the data, which may be absent."""
        self.data_offset = int(start_offs)
        self.declared = tuple(_declared(fields))


def _declared(fields: list[ReaderField]) -> Iterator[Declared]:
    names = set()
    for field in fields:
        if field.name in names:
            raise HeaderError(f"declares {shown(field.name)} twice")
        names.add(field.name)
        *_, dims, raw_type, offset = field.parts
        known = {each.value: each for each in GGMLQuantizationType}
        if (number := int(raw_type[0])) not in known or known[number] not in GGML_QUANT_SIZES:
            raise HeaderError(f"{shown(field.name)} has the type {number}, which the library gguf does not know")
        shape = tuple(int(width) for width in reversed(dims.tolist()))
        yield Declared(field.name, known[number].name, shape, int(offset[0]), *GGML_QUANT_SIZES[known[number]])


def _few(count: int, what: str) -> int:
    if count > MAX_ENTRIES:
        raise HeaderError(f"declares {int(count):,} {what}; at most {MAX_ENTRIES:,} are read")
    return int(count)


@dataclass(frozen=True, slots=True)
class Unread:
    """A list in a header whose items are not kept."""

    n_items: int


def _value(field: ReaderField) -> Any:
    if field.types[0] != GGUFValueType.ARRAY:
        return _plain(field.contents(), field.types[0])
    n_items = int(field.parts[4][0])
    if field.types[-1] == GGUFValueType.STRING or n_items > MAX_ITEMS:
        return Unread(n_items)
    return [_plain(item, field.types[-1]) for item in field.contents()]


def _plain(value: Any, kind: GGUFValueType) -> Any:
    """A value in Python. A number of 32 bits is the shortest decimal that rounds to it, as a config would say it."""
    return float(str(np.float32(value))) if kind == GGUFValueType.FLOAT32 else value
