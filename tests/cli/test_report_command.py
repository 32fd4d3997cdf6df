import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from processes import modules, on_a_terminal

from llmarch_cli.components.attention import MultiHeadLatentAttention
from llmarch_cli.components.cache import Mixing
from llmarch_cli.report.formats.render import VERDICT_FORMATS

Run = Callable[..., Any]


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_a_page_goes_to_a_file_and_the_same_to_standard_output(llmarch: Run) -> None:
    result = llmarch("report", "gpt2", "gemma3-1b", "-o", "report.html")
    assert result == (0, "report.html\n", "")
    page = Path("report.html").read_text()
    assert page.startswith("<!DOCTYPE html>")
    assert llmarch("report", "gpt2", "gemma3-1b").out == page


@pytest.mark.parametrize("file_format", ["markdown", "json"])
def test_other_formats_are_those_of_compare(llmarch: Run, file_format: str) -> None:
    arguments = ["gpt2", "gpt2-xl", "--ctx", "1k", "--format", file_format]
    assert llmarch("report", *arguments).out == llmarch("compare", *arguments).out


class TestJUnit:
    def test_each_model_is_a_case_that_says_who_was_asked(self, llmarch: Run) -> None:
        result = llmarch("report", "gpt2", "gpt2-xl", "--format", "junit", "--engine", "measured")
        suites = ET.fromstring(result.out)
        assert [case.get("name") for case in suites.iter("testcase")] == ["gpt2", "gpt2-xl"]
        assert (result.status, suites.get("failures")) == (0, "0")
        said = suites.findtext("./testsuite/testcase/system-out") or ""
        assert "params: 124439808" in said
        assert "checks: both engines: equal at context 131,072; published params: 124,439,808 is" in said

    def test_a_published_figure_that_does_not_hold_fails(self, llmarch: Run) -> None:
        Path("wrong.yaml").write_text("extends: gpt2\npublished: {params: 134_000_000}\n")
        for engine in ("measured", "closed-form"):
            result = llmarch("report", "gpt2", "wrong.yaml", "--format", "junit", "--engine", engine, "-o", "r.xml")
            assert (result.status, result.out, result.err) == (1, "r.xml\n", "")
            cases = list(ET.parse("r.xml").getroot().iter("testcase"))
            assert [len(case.findall("failure")) for case in cases] == [0, 1]
            message = "published params: 124,439,808 is -7.13 % from the published 134,000,000 (all)"
            assert [failure.get("message") for failure in cases[1].iter("failure")] == [message]

    def test_engines_that_disagree_fail_and_the_other_models_are_still_there(
        self, llmarch: Run, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(MultiHeadLatentAttention, "mixing", lambda self: iter((Mixing(8),)))
        result = llmarch("report", "gpt2", "deepseek-v3", "--format", "junit", "--engine", "measured")
        assert (result.status, result.err) == (1, "")
        cases = list(ET.fromstring(result.out).iter("testcase"))
        assert [len(case.findall("failure")) for case in cases] == [0, 1]
        message = [failure.get("message") or "" for failure in cases[1].iter("failure")]
        assert message[0].startswith("both engines: DeepSeek-V3, attention: the engines disagree on flops_per_token")

    def test_what_cannot_be_asked_is_no_report(self, llmarch: Run) -> None:
        result = llmarch("report", "gtp2", "--format", "junit", "-o", "r.xml")
        assert result.status == 2
        assert "did you mean" in result.err
        assert not Path("r.xml").exists()


def test_unknown_formats_are_said(llmarch: Run) -> None:
    result = llmarch("report", "gpt2", "--format", "htm")
    assert (result.status, result.out) == (2, "")
    known = ", ".join(("html", *(name for name in VERDICT_FORMATS if name != "table")))
    assert result.err == f"error: unknown format 'htm'; known: {known}; did you mean html?\n"


def test_without_matplotlib_the_error_says_how_to_do_without(llmarch: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    result = llmarch("report", "gpt2")
    assert (result.status, result.out) == (2, "")
    assert "pip install '.[plot]'), or leave them out: --no-pictures" in result.err
    assert llmarch("report", "gpt2", "--no-pictures").status == 0


def test_in_closed_form_torch_is_not_imported() -> None:
    taken = modules("report", "gpt2", "--engine", "closed-form", "-o", os.devnull)
    assert "jinja2" in taken
    assert not taken & {"torch", "pandas"}


def test_progress_is_for_terminals_only(llmarch: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    assert llmarch("report", "gpt2", "--no-pictures").err == ""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    result = llmarch("report", "gpt2", "--no-pictures", "-o", "report.html")
    assert result.out == "report.html\n"
    assert on_a_terminal(["report", "gpt2", "--no-pictures", "--format", "json"]).startswith("{")
