import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from llmarch_cli.report.columns import METRICS

Run = Callable[..., Any]


def test_every_column_has_its_convention(llmarch: Run) -> None:
    listed = json.loads(llmarch("columns", "--format", "json").out)["columns"]
    assert {row["key"]: row["convention"] for row in listed} == {metric.key: metric.convention for metric in METRICS}


@pytest.mark.parametrize("columns", ["80", "120", "200"])
def test_headings_are_never_hidden(llmarch: Run, monkeypatch: pytest.MonkeyPatch, columns: str) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    out = llmarch("columns").out
    assert out.splitlines()[0].split() == ["column", "heading", "what", "it", "counts"]
    assert "Hidden" not in out
    assert re.search(r"^kv_bytes_per_token +KV per token +Bytes that", out, re.MULTILINE)
    assert max(map(len, out.splitlines())) <= int(columns)


def test_those_asked_for(llmarch: Run) -> None:
    out = llmarch("columns", "params", "--format", "markdown").out
    assert "tied matrices once" in out
    assert "kv_cache_bytes" not in out
