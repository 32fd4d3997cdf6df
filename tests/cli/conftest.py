"""Runs commands in this process, as `llmarch` would."""

import sys
from collections.abc import Callable
from typing import NamedTuple

import pytest

from llmarch_cli.cli.app import run


class Result(NamedTuple):
    status: int
    out: str
    err: str


Run = Callable[..., Result]


@pytest.fixture
def llmarch(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """`llmarch("show", "gpt2")`: its status and what it wrote. 100 columns wide, and in closed form unless told."""
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("LLMARCH_ENGINE", "closed-form")

    def command(*arguments: str) -> Result:
        monkeypatch.setattr(sys, "argv", ["llmarch", *arguments])
        try:
            status = run()
        except SystemExit as stop:
            status = stop.code if isinstance(stop.code, int) else 0
        return Result(status, *capsys.readouterr())

    return command
