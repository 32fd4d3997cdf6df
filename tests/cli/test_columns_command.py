import json
from collections.abc import Callable
from typing import Any

from llmarch_cli.report.columns import METRICS

Run = Callable[..., Any]


def test_every_column_has_its_convention(llmarch: Run) -> None:
    listed = json.loads(llmarch("columns", "--format", "json").out)["columns"]
    assert {row["key"]: row["convention"] for row in listed} == {metric.key: metric.convention for metric in METRICS}


def test_those_asked_for(llmarch: Run) -> None:
    out = llmarch("columns", "params", "--format", "markdown").out
    assert "tied matrices once" in out
    assert "kv_cache_bytes" not in out
