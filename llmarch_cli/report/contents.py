"""What a checkpoint stores, as tables: by component, and by format."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from fractions import Fraction

from llmarch_cli.huggingface.contents import COMPONENTS, Content, Contents
from llmarch_cli.report import units
from llmarch_cli.report.columns import ratio
from llmarch_cli.report.table import Column, Table
from llmarch_cli.report.units import Value

_FILE = Column("file", "file", units.TEXT, "The file or directory, as given.", shown="data")
_MEASURES = (
    Column("tensors", "tensors", units.INTEGER, "Tensors, with those that hold scales and zero points."),
    Column("values", "values", units.PARAMS, "Values in these tensors; packed ones count each, their scales do not."),
    Column("bytes", "bytes", units.BYTES, "Bytes of these tensors, scales included."),
    Column("bytes_share", "share", units.SHARE, "Their share of all bytes.", shown="reading"),
    Column("bits_per_value", "bits a value", units.BITS, "Bytes times 8, over values."),
)
_BY_COMPONENT = (
    _FILE,
    Column("component", "component", units.TEXT, "The component, by the names of the tensors."),
    *_MEASURES,
    Column("formats", "formats", units.TEXT, "The formats of the values."),
)
_BY_FORMAT = (
    _FILE,
    Column("format", "format", units.TEXT, "The dtype or type, or the format of packed values."),
    *_MEASURES,
)


def stored(found: Contents, notes: Iterable[str] = (), main: bool = True) -> tuple[Table, Table]:
    """The tensors by component, then by format, each with all values, bytes and bits a value; and remarks on them."""
    by_component = _grouped(found, lambda each: each.component)
    by_format = _grouped(found, lambda each: each.format)
    ordered = [name for name in COMPONENTS if name in by_component]
    rows = tuple(
        {
            "file": str(found.path),
            "component": name,
            **_measures(by_component[name], found.n_bytes),
            "formats": ", ".join(dict.fromkeys(each.format for each in by_component[name])),
        }
        for name in ordered
    )
    total: Mapping[str, Value] = {"component": "total", **_measures(found.tensors, found.n_bytes), "formats": ""}
    largest = sorted(by_format, key=lambda name: -sum(each.stored.n_bytes for each in by_format[name]))
    formats = tuple(
        {"file": str(found.path), "format": name, **_measures(by_format[name], found.n_bytes)} for name in largest
    )
    title = f"Stored in {found.path.name or found.path}"
    return (
        Table("stored", _BY_COMPONENT, rows, title=title, notes=(*_sizes(found), *notes), total=total, main=main),
        Table("stored_formats", _BY_FORMAT, formats, main=False),
    )


def _grouped(found: Contents, key: Callable[[Content], str]) -> dict[str, list[Content]]:
    groups: dict[str, list[Content]] = {}
    for each in found.tensors:
        groups.setdefault(key(each), []).append(each)
    return groups


def _measures(tensors: Iterable[Content], all_bytes: int) -> dict[str, Value]:
    of = list(tensors)
    n_bytes, known = sum(each.stored.n_bytes for each in of), [each.n_values for each in of]
    n_values = None if None in known else sum(filter(None, known))
    return {
        "tensors": len(of),
        "values": n_values,
        "bytes": n_bytes,
        "bytes_share": ratio(n_bytes, all_bytes),
        "bits_per_value": Fraction(8 * n_bytes, n_values) if n_values else None,
    }


def _sizes(found: Contents) -> Iterable[str]:
    padding = f" and {found.padding_bytes:,} B of padding" if found.padding_bytes else ""
    yield f"{found.n_bytes:,} B of tensors, beside {found.header_bytes:,} B of headers{padding}."
    if unknown := sum(each.n_values is None for each in found.tensors):
        yield (
            f"How many values {unknown:,} packed tensors have is not clear from headers: a config.json beside them"
            " says how many bits a value has."
        )
