"""The file formats of a sweep's rows, which are written chunk by chunk and then assembled into one file.

To add a format, write a class here and add it to `FORMATS`.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from llmarch_cli.errors import InputError, shown_path
from llmarch_cli.report.formats.csv import cell

Columns = Mapping[str, Sequence[Any]]
Parts = Callable[[], Iterable[bytes]]  # the contents of the parts in their order; each call reads them again

SCHEMA_VERSION = 1  # of the JSON format, as in reports


class Format(Protocol):
    """Writes rows. A part need not be a valid file of the format by itself."""

    def require_values(self, varying: Columns) -> None:
        """Raise InputError if a library is not installed or if the format cannot hold the values of a field."""

    def write(self, path: Path, columns: Columns) -> None:
        """Write the rows of one chunk to `path`."""

    def assemble(self, path: Path, parts: Parts, names: Sequence[str]) -> None:
        """Write the rows of all parts to `path`, in their order."""


class Csv:
    """A header line and exact values."""

    def require_values(self, varying: Columns) -> None: ...

    def write(self, path: Path, columns: Columns) -> None:
        with path.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file, lineterminator="\n").writerows(zip(*map(_cells, columns.values()), strict=True))

    def assemble(self, path: Path, parts: Parts, names: Sequence[str]) -> None:
        with path.open("wb") as file:
            file.write(",".join(names).encode() + b"\n")
            file.writelines(parts())


class Json:
    """A schema version and the rows, one per line."""

    def require_values(self, varying: Columns) -> None: ...

    def write(self, path: Path, columns: Columns) -> None:
        names = list(columns)
        with path.open("w", newline="", encoding="utf-8") as file:
            for row in zip(*columns.values(), strict=True):
                file.write(json.dumps(dict(zip(names, row, strict=True))) + "\n")

    def assemble(self, path: Path, parts: Parts, names: Sequence[str]) -> None:
        with path.open("wb") as file:
            file.write(f'{{"schema_version": {SCHEMA_VERSION}, "variants": ['.encode())
            separator = b"\n"
            for part in parts():
                if part:
                    file.write(separator + part.removesuffix(b"\n").replace(b"\n", b",\n"))
                    separator = b",\n"
            file.write(b"\n]}\n")


class Parquet:
    """Columns of 64-bit integers, booleans, text or floating-point numbers."""

    def require_values(self, varying: Columns) -> None:
        try:
            import pyarrow.parquet  # noqa: F401
        except ImportError:
            raise InputError(
                "Parquet needs pyarrow: install the extra `sweep` (in a checkout: pip install '.[sweep]'), or write"
                " .csv or .json"
            ) from None
        for path, values in varying.items():
            if len({type(value) for value in values} - {type(None)}) > 1:
                raise InputError(f"{path} mixes types, which a Parquet column cannot hold; write .csv or .json")

    def write(self, path: Path, columns: Columns) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            table = pa.table({name: list(values) for name, values in columns.items()})
        except OverflowError:
            raise InputError("a value exceeds Parquet's 64 bits; write .csv or .json") from None
        pq.write_table(table, path)

    def assemble(self, path: Path, parts: Parts, names: Sequence[str]) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        schemas = [pq.read_schema(pa.BufferReader(part)) for part in parts()]
        if not schemas:
            pq.write_table(pa.table({name: pa.array([], pa.int64()) for name in names}), path)
            return
        schema = pa.unify_schemas(schemas)  # a column may be all null in some parts
        with pq.ParquetWriter(path, schema) as writer:
            for part in parts():
                writer.write_table(pq.read_table(pa.BufferReader(part)).cast(schema))


FORMATS: dict[str, Format] = {".csv": Csv(), ".json": Json(), ".parquet": Parquet()}


def format_of(path: Path, varying: Columns) -> Format:
    """The format for a file's ending. Raises InputError if it is unknown, or cannot hold the `varying` values."""
    if path.suffix not in FORMATS:
        *most, last = FORMATS
        raise InputError(f"--out {shown_path(path)}: the file name must end in {', '.join(most)} or {last}")
    chosen = FORMATS[path.suffix]
    chosen.require_values(varying)
    return chosen


def _cells(values: Sequence[Any]) -> Sequence[Any]:
    """The values as CSV cells, as in reports."""
    if not {bool, str} & set(map(type, values)):  # a million values are not worth copying
        return values
    return [cell(value) for value in values]
