import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from llmarch_cli.specs.loading import names

Run = Callable[..., Any]

SAID = "experts (8 chosen) + 1 shared, MTP".split()


@pytest.mark.parametrize("columns", ["80", "100", "160"])
def test_every_model_is_one_line(llmarch: Run, monkeypatch: pytest.MonkeyPatch, columns: str) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    lines = llmarch("list").out.splitlines()
    for name in names():
        assert sum(line.split()[:1] == [name] for line in lines) == 1
    assert max(map(len, lines)) <= int(columns)


def test_a_line_says_who_when_how_large_and_how(llmarch: Run) -> None:
    line = next(line for line in llmarch("list").out.splitlines() if line.startswith("deepseek-v3"))
    assert line.split() == ["deepseek-v3", "671.03B", "37.55B", "160k", "MLA,", "256", *SAID]


@pytest.mark.parametrize(
    ("columns", "shown"),
    [
        (80, "model size active context layout"),  # too narrow for more than two words
        (100, "model size active context highlights"),
        (160, "model organization released size active context layout highlights"),
    ],
)
def test_highlights_get_the_width_that_is_there(
    llmarch: Run, monkeypatch: pytest.MonkeyPatch, columns: int, shown: str
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    out = llmarch("list", "--kind", "moe").out
    assert out.splitlines()[0].split() == shown.split()
    assert ("Gated DeltaNet in 3 of 4 layers" in out) == ("highlights" in shown)
    assert "..." not in out


def test_kinds_and_dates(llmarch: Run) -> None:
    found = json.loads(llmarch("list", "--kind", "hybrid", "--kind", "moe", "--since", "2026", "--format", "json").out)
    assert "qwen3.5-397b-a17b" in [row["model"] for row in found["models"]]
    assert all({"hybrid", "moe"} <= set(row["mechanisms"].split()) for row in found["models"])
    assert all(row["released"] >= "2026" for row in found["models"])
    late = llmarch("list", "--since", "2025-09-12", "--kind", "gated_deltanet", "--dense").out
    assert "qwen3.5-27b" in late
    assert "qwen3.5-397b" not in late


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--kind", "mls"), "unknown kind 'mls'; known: .*; did you mean mla"),
        (("--since", "2025-13"), "--since takes a year, a month or a day, such as 2026, .* not '2025-13'"),
        (("--since", "last year"), "--since takes a year"),
        (("--columns", "parms"), "unknown column 'parms'; did you mean params"),
    ],
)
def test_mistakes(llmarch: Run, arguments: tuple[str, ...], message: str) -> None:
    result = llmarch("list", *arguments)
    assert (result.status, result.out) == (2, "")
    assert re.match(f"error: {message}", result.err)


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
