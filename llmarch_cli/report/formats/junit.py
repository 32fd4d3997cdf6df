"""A report as JUnit XML, which CI systems show as tests: a suite per table, a case per row."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from xml.etree import ElementTree as ET

from llmarch_cli.report.formats.grid import one_line
from llmarch_cli.report.table import Table, plain
from llmarch_cli.report.units import Value

PROGRAM = "llmarch"


def render(tables: Sequence[Table]) -> str:
    """XML, ending in a newline. Values are exact. Without times, so that equal reports are equal files."""
    named = [table for table in tables if table.rows or table.main]
    root = ET.Element("testsuites", _counted(PROGRAM, named))
    for table in named:
        suite = ET.SubElement(root, "testsuite", _counted(f"{PROGRAM}.{table.name}", [table]))
        for row in table.rows:
            keys = table.named_by or (table.columns[0].key,)
            name = " ".join(_text(row[key]) for key in keys)
            case = ET.SubElement(suite, "testcase", classname=f"{PROGRAM}.{table.name}", name=name)
            if table.fails is not None and (wrong := row[table.fails]):
                message = one_line(wrong) if isinstance(wrong, str) else "; ".join(_lines(table, row, keys))
                ET.SubElement(case, "failure", message=message)
            ET.SubElement(case, "system-out").text = "\n".join(_data(table, row))
    ET.indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ET.tostring(root, encoding="unicode")}\n'


def _counted(name: str, tables: Sequence[Table]) -> dict[str, str]:
    return {
        "name": name,
        "tests": str(sum(len(table.rows) for table in tables)),
        "failures": str(sum(len(table.failures) for table in tables)),
        "errors": "0",
    }


def _lines(table: Table, row: Mapping[str, Value], named: Sequence[str]) -> Iterator[str]:
    """The row as readers see it."""
    for column in table.for_reading:
        if column.key not in named:
            yield f"{column.title} {one_line(column.unit.write(row[column.key], exact=True))}"


def _data(table: Table, row: Mapping[str, Value]) -> Iterator[str]:
    """The row as in data formats."""
    for column in table.for_data:
        yield f"{column.key}: {_text(row[column.key])}"


def _text(value: Value) -> str:
    match plain(value):
        case None:
            return ""
        case bool() as truth:
            return str(truth).lower()
        case other:
            return one_line(str(other))
