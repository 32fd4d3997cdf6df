import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from processes import modules, on_a_terminal

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


def test_junit_has_a_case_for_each_model(llmarch: Run) -> None:
    suites = ET.fromstring(llmarch("report", "gpt2", "gpt2-xl", "--format", "junit").out)
    assert [case.get("name") for case in suites.iter("testcase")] == ["gpt2", "gpt2-xl"]
    assert suites.get("failures") == "0"


def test_unknown_formats_are_said(llmarch: Run) -> None:
    result = llmarch("report", "gpt2", "--format", "htm")
    assert (result.status, result.out) == (2, "")
    assert result.err == "error: unknown format 'htm'; known: html, markdown, json, junit; did you mean html?\n"


def test_without_matplotlib_the_error_says_how_to_do_without(llmarch: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    result = llmarch("report", "gpt2")
    assert (result.status, result.out) == (2, "")
    assert "pip install 'llmarch[plot]', or leave them out: --no-plots" in result.err
    assert llmarch("report", "gpt2", "--no-plots").status == 0


def test_in_closed_form_torch_is_not_imported() -> None:
    taken = modules("report", "gpt2", "--engine", "closed-form", "-o", os.devnull)
    assert "jinja2" in taken
    assert not taken & {"torch", "pandas"}


def test_progress_is_for_terminals_only(llmarch: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    assert llmarch("report", "gpt2", "--no-plots").err == ""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    result = llmarch("report", "gpt2", "--no-plots", "-o", "report.html")
    assert result.out == "report.html\n"
    assert on_a_terminal(["report", "gpt2", "--no-plots", "--format", "json"]).startswith("{")
