import csv
import io

from llmarch_cli import api
from llmarch_cli.report import units
from llmarch_cli.report.formats import csv as csv_format
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


def test_hostile_text_reads_back() -> None:
    name = 'a,b"c\nd;=1'
    table = Table("models", (Column("model", "model", units.TEXT),), ({"model": name},))
    assert read(csv_format.render([table]))[0]["model"] == name


def test_of_several_tables_it_is_the_main_one() -> None:
    lines = read(csv_format.render(api.fact_sheet("deepseek-v3", engine="closed-form")))
    assert lines[0]["component"] == "token embedding"
    assert sum(int(line["params"]) for line in lines) == 671_026_404_352


def test_a_ratio_that_was_asked_for_is_a_number() -> None:
    table = api.compare(["deepseek-v3"], engine="closed-form", columns=["active_share"])
    assert float(read(csv_format.render([table]))[0]["active_share"]) == 37_552_282_624 / 671_026_404_352
