from xml.etree import ElementTree as ET

from llmarch_cli import api
from llmarch_cli.report import units
from llmarch_cli.report.formats import junit
from llmarch_cli.report.table import Column, Table
from llmarch_cli.report.units import Value

COLUMNS = (
    Column("model", "model", units.TEXT),
    Column("limit", "limit", units.TEXT),
    Column("params", "parameters", units.PARAMS),
    Column("bad", "bad", units.MARK, shown="data"),
)


def test_a_suite_for_each_table_and_a_case_for_each_row() -> None:
    rows: tuple[dict[str, Value], ...] = tuple(
        {"model": "m", "limit": str(i), "params": 10**10 + i, "bad": i == 1} for i in range(3)
    )
    table = Table("checks", COLUMNS, rows, named_by=("model", "limit"), fails="bad")
    root = ET.fromstring(junit.render([table]))
    assert root.attrib == {"name": "llmarch", "tests": "3", "failures": "1", "errors": "0"}
    cases = root.findall("./testsuite/testcase")
    assert [case.get("name") for case in cases] == ["m 0", "m 1", "m 2"]
    assert [case.find("failure") is not None for case in cases] == [False, True, False]
    failure = cases[1].find("failure")
    assert failure is not None
    assert failure.get("message") == "parameters 10,000,000,001"
    assert "params: 10000000001" in (cases[1].findtext("system-out") or "")


def test_what_is_wrong_may_be_said_in_words_that_are_no_column() -> None:
    rows: tuple[dict[str, Value], ...] = tuple(
        {"model": name, "limit": "", "params": 1, "bad": None, "wrong": wrong}
        for name, wrong in (("a", ""), ("b", "it leans\nto the left"))
    )
    table = Table("checks", COLUMNS, rows, fails="wrong")
    assert [row["model"] for row in table.failures] == ["b"]
    root = ET.fromstring(junit.render([table]))
    assert root.get("failures") == "1"
    (failure,) = root.iter("failure")
    assert failure.get("message") == "it leans to the left"
    assert not any("wrong" in (out.text or "") for out in root.iter("system-out"))


def test_any_table_will_do() -> None:
    table = api.compare(["gpt2", "gpt2-xl"], engine="closed-form")
    root = ET.fromstring(junit.render([table]))
    assert [case.get("name") for case in root.iter("testcase")] == ["gpt2", "gpt2-xl"]
    assert root.get("failures") == "0"


def test_hostile_text_is_text() -> None:
    hostile = 'a<b>&"]]>\x00\x1b\ud800\n'
    table = Table("checks", COLUMNS, ({"model": hostile, "limit": "", "params": None, "bad": True},), fails="bad")
    (case,) = ET.fromstring(junit.render([table])).iter("testcase")
    assert (case.get("name") or "").startswith('a<b>&"]]>')
