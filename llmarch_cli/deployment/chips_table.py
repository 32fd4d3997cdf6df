"""Chips as a table. To add a column: its line in `COLUMNS`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from operator import attrgetter, itemgetter
from typing import Any

from llmarch_cli.deployment.chips import DTYPES, Chip, Sources
from llmarch_cli.errors import InputError, shown, suggestion
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


def _peak(dtype: str, shown: Shown) -> ChipColumn:
    says = f"Dense operations per second on {dtype}."
    return _column(f"peak_{dtype}", dtype, OPERATION_RATE, says, shown, lambda chip: chip.peak.get(dtype))


_USUAL = ("bf16", "fp8", "fp4", "int8")  # dtypes whose peaks the list shows

CHIP = _column("chip", "chip", TEXT, "The chip's id; for a YAML file its name.", value=attrgetter("id"))

COLUMNS = (
    CHIP,
    _column("name", "name", TEXT, "The full name.", "data"),
    _column("vendor", "vendor", TEXT, "Who sells it.", "data"),
    _column("released", "released", DATE, "The date of announcement.", "data"),
    _column("memory_gb", "GB", INTEGER, "Memory as sold, in the vendor's gigabytes.", "data"),
    _column("memory_bytes", "memory", BYTES, "Bytes that the device reports to programs in all; else as sold."),
    _column("bandwidth", "bandwidth", BYTE_RATE, "Bytes per second between the device and its memory."),
    *(
        _peak(dtype, "always" if dtype in _USUAL else "data")
        for dtype in (*_USUAL, *(d for d in DTYPES if d not in _USUAL))
    ),
    _column(
        "flops_per_byte",
        "FLOPs/byte",
        QUOTIENT,
        "Operations on bf16, or on a dtype that holds its values, per byte of bandwidth.",
        "reading",
        attrgetter("balance"),
    ),
    _column("peers", "peers", INTEGER, "Devices of a node."),
    _column("link", "link", BYTE_RATE, "Bytes per second each way between a device and its node, over all links."),
    _column("network", "network", BYTE_RATE, "Bytes per second each way between a device and other nodes."),
)

BY_KEY = {column.key: column for column in COLUMNS}

NOTES = ("Peaks: dense operations per second. Links and network: one direction.",)

_SOURCES = (
    Column("chip", "chip", TEXT, "The chip's id."),
    Column("number", "number", TEXT, "The number that the source states."),
    Column("title", "source", TEXT, "The title of the document."),
    Column("says", "says", TEXT, "What it states, where that is not the number itself.", "if any"),
    Column("url", "address", TEXT, "Where it was published.", "data"),
)


def column(key: str) -> ChipColumn:
    """The column of that key. Raises InputError if it is unknown."""
    if key not in BY_KEY:
        hint = suggestion(key, BY_KEY) or f"; known: {', '.join(BY_KEY)}"
        raise InputError(f"unknown column {shown(key)}{hint}")
    return BY_KEY[key]


def listing(
    chips: Sequence[Chip], sort: str | None = None, keys: Sequence[str] = (), *, all_numbers: bool = False
) -> Table:
    """One row per chip, by vendor and date, or by `sort`; with a leading `-` descending, and missing values last.

    Args:
        keys: show only these columns, and the chip.
        all_numbers: show every column that any chip has a value for, side by side for up to three chips.

    Raises InputError for an unknown column.
    """
    columns: tuple[ChipColumn, ...] = COLUMNS
    if keys:
        columns = (CHIP, *(replace(column(key), shown="always") for key in dict.fromkeys(keys) if key != CHIP.key))
    elif all_numbers:
        columns = tuple(each if each.shown == "always" else replace(each, shown="if any") for each in COLUMNS)
    ordered = _sorted(chips, sort) if sort else sorted(chips, key=_by_origin)
    rows = tuple({each.key: each.value(chip) for each in columns} for chip in ordered)
    return Table(
        "chips", columns, rows, notes=NOTES, side_by_side=all_numbers, may_drop=("network", "int8", "peers", "fp4")
    )


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
    for number in Sources.model_fields:
        if (source := getattr(chip.sources, number)) is not None:
            yield {"chip": chip.id, "number": number, "title": source.title, "says": source.says, "url": source.url}


def _sorted(chips: Sequence[Chip], key: str) -> list[Chip]:
    value: Callable[[Chip], Any] = column(key.removeprefix("-")).value
    pairs = [(value(chip), chip) for chip in chips]
    known = sorted((pair for pair in pairs if pair[0] is not None), key=itemgetter(0), reverse=key.startswith("-"))
    return [chip for _, chip in (*known, *(pair for pair in pairs if pair[0] is None))]


def _by_origin(chip: Chip) -> tuple[str, str, str]:
    return chip.vendor.lower(), str(chip.released or ""), chip.id
