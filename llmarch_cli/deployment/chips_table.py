"""Chips as a table. To add a column: its line in `COLUMNS`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from operator import attrgetter, itemgetter
from typing import Any

from llmarch_cli.deployment.chips import DTYPES, Chip, Dtype, Sources
from llmarch_cli.report import names
from llmarch_cli.report.table import Column, Shown, Table
from llmarch_cli.report.units import (
    BYTE_RATE,
    BYTES,
    DATE,
    INTEGER,
    OPERATION_RATE,
    QUOTIENT,
    TEXT,
    Fact,
    Unit,
    Value,
)


@dataclass(frozen=True, kw_only=True)
class ChipColumn(Column):
    """A column computed from a chip."""

    value: Callable[[Chip], Fact]


def _column(
    key: str,
    title: str,
    unit: Unit,
    convention: str,
    shown: Shown = "always",
    value: Callable[[Chip], Fact] | None = None,
) -> ChipColumn:
    return ChipColumn(key, title, unit, convention, shown, value=value or attrgetter(key))


def _peak(dtype: Dtype, shown: Shown) -> ChipColumn:
    says = f"Dense operations per second on {dtype}."
    return _column(f"peak_{dtype}", dtype, OPERATION_RATE, says, shown, lambda chip: chip.peak.get(dtype))


CHIP = _column("chip", "chip", TEXT, "The chip's id; for a YAML file its name.", value=attrgetter("id"))
PEAK_16 = _column("peak_16", "16 bit", OPERATION_RATE, "The larger of the peaks in bf16 and fp16.", "reading")

_LISTED = ("fp8", "fp4", "int8")  # dtypes whose peaks the list shows, beside those of 16 bits

COLUMNS = (
    CHIP,
    _column("name", "name", TEXT, "The full name.", "data"),
    _column("vendor", "vendor", TEXT, "Who sells it.", "data"),
    _column("released", "released", DATE, "The date of announcement.", "data"),
    _column("memory_gb", "GB", INTEGER, "Memory as sold, in the vendor's gigabytes.", "data"),
    _column("memory_bytes", "memory", BYTES, "Bytes that the device reports to programs in all; else as sold."),
    _column("bandwidth", "bandwidth", BYTE_RATE, "Bytes per second between the device and its memory."),
    PEAK_16,
    *(_peak(dtype, "always" if dtype in _LISTED else "data") for dtype in DTYPES),
    _column("flops_per_byte", "FLOPs/B", QUOTIENT, "The peak in 16 bits over the bandwidth.", "reading"),
    _column("peers", "peers", INTEGER, "Devices of a node."),
    _column("link", "link", BYTE_RATE, "Bytes per second each way between a device and its node, over all links."),
    _column("network", "network", BYTE_RATE, "Bytes per second each way between a device and other nodes."),
)

BY_KEY = {column.key: column for column in COLUMNS}

NOTES = ("Peaks: dense operations per second. Link and network: each way.",)

_SOURCES = (
    Column("chip", "chip", TEXT, "The chip's id."),
    Column("number", "number", TEXT, "The number that the source states."),
    Column("title", "source", TEXT, "The title of the document."),
    Column("says", "says", TEXT, "What it states, where that is not the number itself.", "if any"),
    Column("url", "address", TEXT, "Where it was published.", "data"),
)


def column(key: str) -> ChipColumn:
    """The column of that key or heading. Raises InputError if it is unknown."""
    titles = {key: (column.title,) for key, column in BY_KEY.items()}
    return BY_KEY[names.key_of(key, titles, hint=f"; known: {', '.join(BY_KEY)}")]


def listing(chips: Sequence[Chip], sort: str | None = None, keys: Sequence[str] = (), *, whole: bool = False) -> Table:
    """One row per chip.

    Args:
        chips: the rows, in their order.
        sort: the key of a column to sort by; with a leading `-` descending. Missing values are last.
        keys: show only these columns, and the chip.
        whole: show all numbers, and up to three chips side by side.

    Raises InputError for an unknown column.
    """
    columns: tuple[ChipColumn, ...] = COLUMNS
    if keys:
        columns = (CHIP, *(replace(column(key), shown="always") for key in dict.fromkeys(keys) if key != CHIP.key))
    elif whole:
        columns = tuple(_if_any(each) for each in COLUMNS if each is not PEAK_16)
    ordered = chips if sort is None else _sorted(chips, sort)
    rows = tuple({each.key: each.value(chip) for each in columns} for chip in ordered)
    dropped = ("network", "peak_int8", "peers", "peak_fp4")
    return Table("chips", columns, rows, notes=NOTES, side_by_side=whole, may_drop=dropped)


def by_origin(chips: Iterable[Chip]) -> list[Chip]:
    """The chips by vendor, date and id."""
    return sorted(chips, key=lambda chip: (chip.vendor.lower(), str(chip.released or ""), chip.id))


def _if_any(column: ChipColumn) -> ChipColumn:
    return replace(column, shown="if any") if column.shown == "data" else column


def sources(chips: Sequence[Chip]) -> Table:
    """Where each number of the chips comes from."""
    return Table(
        "sources",
        _SOURCES,
        tuple(row for chip in chips for row in _source_rows(chip)),
        title="Sources",
        main=False,
        named_by=("chip", "number"),
    )


def _source_rows(chip: Chip) -> Iterator[dict[str, Value]]:
    for number in Sources.field_defaults:
        if (source := getattr(chip.sources, number)) is not None:
            yield {"chip": chip.id, "number": number, "title": source.title, "says": source.says, "url": source.url}


def _sorted(chips: Sequence[Chip], key: str) -> list[Chip]:
    value: Callable[[Chip], Any] = column(key.removeprefix("-")).value
    pairs = [(value(chip), chip) for chip in chips]
    known = sorted((pair for pair in pairs if pair[0] is not None), key=itemgetter(0), reverse=key.startswith("-"))
    return [chip for _, chip in (*known, *(pair for pair in pairs if pair[0] is None))]
