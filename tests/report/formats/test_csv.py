import csv
import io
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmarch_cli import api
from llmarch_cli.report import units
from llmarch_cli.report.formats import csv as csv_format
from llmarch_cli.report.formats.grid import one_line
from llmarch_cli.report.table import Column, Table, plain


def read(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_it_reads_back_as_the_exact_values() -> None:
    table = api.compare(["deepseek-v3", "gemma3-1b", "gpt2", "kimi-k2"], engine="closed-form")
    lines = read(csv_format.render([table]))
    assert list(lines[0]) == [column.key for column in table.for_data]
    for line, row in zip(lines, table.rows, strict=True):
        for column in table.for_data:
            value = plain(row[column.key])
            expected = "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
            assert line[column.key] == expected


def cell(text: str) -> str:
    table = Table("models", (Column("model", "model", units.TEXT),), ({"model": text},))
    return read(csv_format.render([table]))[0]["model"]


def test_hostile_text_reads_back() -> None:
    assert cell('a,b"c;=1') == 'a,b"c;=1'


@given(st.text(min_size=1))
def test_no_text_is_a_formula_or_steers_a_terminal(text: str) -> None:
    written = cell(text)
    assert written.isprintable()
    assert not re.match(r"\s*[=+\-@]", written)
    assert written.removeprefix("'") == one_line(text).removeprefix("'")


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@x", "\t=1", "\r=1", " =1"])
def test_a_formula_is_quoted(text: str) -> None:
    assert cell(text).startswith("'")


def test_negative_numbers_are_numbers() -> None:
    table = Table("models", (Column("n", "n", units.INTEGER),), ({"n": -3},))
    assert read(csv_format.render([table]))[0]["n"] == "-3"


def test_of_several_tables_it_is_the_main_one() -> None:
    lines = read(csv_format.render(api.fact_sheet("deepseek-v3", engine="closed-form")))
    assert lines[0]["component"] == "token embedding"
    assert sum(int(line["params"]) for line in lines) == 671_026_404_352


def test_a_ratio_that_was_asked_for_is_a_number() -> None:
    table = api.compare(["deepseek-v3"], engine="closed-form", columns=["active_share"])
    assert float(read(csv_format.render([table]))[0]["active_share"]) == 37_552_282_624 / 671_026_404_352
