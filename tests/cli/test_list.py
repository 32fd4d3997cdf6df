import json
from collections.abc import Callable
from typing import Any

import pytest

from llmarch_cli.specs.loading import names

Run = Callable[..., Any]


@pytest.mark.parametrize("columns", ["80", "100", "160"])
def test_every_model_is_one_line(llmarch: Run, monkeypatch: pytest.MonkeyPatch, columns: str) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    lines = llmarch("list").out.splitlines()
    for name in names():
        assert sum(line.split()[:1] == [name] for line in lines) == 1
    assert max(map(len, lines)) <= int(columns)


def test_a_line_says_who_when_how_large_and_how(llmarch: Run) -> None:
    line = next(line for line in llmarch("list").out.splitlines() if line.startswith("deepseek-v3"))
    assert line.split() == ["deepseek-v3", "DeepSeek", "2024-12-26", "671.03B", "37.55B", "160k", "MLA,", "MoE"]


def test_filters(llmarch: Run) -> None:
    found = json.loads(llmarch("list", "--moe", "--attention", "mla", "--org", "moonshot", "--format", "json").out)
    assert [row["model"] for row in found["models"]] == ["kimi-k2", "kimi-linear-48b-a3b", "kimi-k2.5"]
    assert "gpt2-xl" in llmarch("list", "--dense").out
    assert llmarch("list", "--dense", "--attention", "mla").out.splitlines()[-1] == "No model matches."


def test_sorting(llmarch: Run) -> None:
    lines = llmarch("list", "--sort", "-params").out.splitlines()
    assert lines[2].startswith("deepseek-v4-pro")
    assert llmarch("list", "--sort=params").out.splitlines()[2].startswith("gpt2 ")


def test_exact(llmarch: Run) -> None:
    assert "671,026,404,352" in llmarch("list", "--exact").out
