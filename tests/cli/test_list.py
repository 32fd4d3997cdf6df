import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from llmarch_cli.specs.loading import names

Run = Callable[..., Any]

SAID = "experts (8 chosen) + 1 shared".split()


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
        (80, "model parameters parameters window layout"),  # too narrow for more than two words
        (100, "model parameters parameters window highlights"),
        (160, "model organization released parameters parameters window layout highlights"),
    ],
)
def test_highlights_get_the_width_that_is_there(
    llmarch: Run, monkeypatch: pytest.MonkeyPatch, columns: int, shown: str
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    out = llmarch("list", "--kind", "moe").out
    assert out.splitlines()[0].split() == ["active", "context"]  # above `parameters` and `window`
    assert out.splitlines()[1].split() == shown.split()
    assert ("Gated DeltaNet in 3 of 4 layers" in out) == ("highlights" in shown)
    assert "..." not in out


@pytest.mark.parametrize("file_format", ["table", "markdown", "csv"])
def test_each_heading_can_be_typed(llmarch: Run, monkeypatch: pytest.MonkeyPatch, file_format: str) -> None:
    """In `--columns` it gives that column, and in `--sort` that order."""
    monkeypatch.setenv("COLUMNS", "200")
    asked = ("list", "--org", "openai", "--format", file_format)
    separator = {"table": "  ", "markdown": "|", "csv": ","}[file_format]
    headings = [text.strip() for text in llmarch(*asked).out.splitlines()[0].split(separator) if text.strip()]
    assert len(headings) >= 8
    for heading in headings:
        shown = llmarch(*asked, "--columns", heading.title()).out.splitlines()[0]
        assert shown.replace("|", "").split()[-len(heading.split()) :] == heading.split() or file_format == "csv"
        assert heading in shown
        found = llmarch(*asked, f"--sort=-{heading}")
        assert (found.status, found.err) == (0, "")
    assert llmarch("list", "--columns", "size,ACTIVE").status == 0  # headings of the version before


def test_figures_beyond_the_context_window_are_marked(llmarch: Run) -> None:
    for shown in (("--sort", "kv_cache_bytes"), ("--columns", "kv_cache_bytes,flops_per_token")):
        out = llmarch("list", "--org", "openai", *shown).out
        assert re.search(r"^gpt2-xl +.*37\.50 GiB !", out, re.MULTILINE)
        assert re.search(r"^gpt-oss-20b +.*3\.00 GiB  ", out, re.MULTILINE)
        assert len(re.findall("^!: beyond the context window of gpt2 ", out, re.MULTILINE)) == 1
    assert "!" not in llmarch("list").out


def test_named_models_and_patterns(llmarch: Run, tmp_path: Path) -> None:
    def found(*arguments: str) -> list[str]:
        return [row["model"] for row in json.loads(llmarch("list", *arguments, "--json").out)["models"]]

    assert found("gpt2*") == ["gpt2", "gpt2-medium", "gpt2-large", "gpt2-xl"]  # by date, not in the order given
    assert found("GPT2-L*", "gemma3-27b") == ["gemma3-27b", "gpt2-large"]
    assert found("qwen3*", "--moe", "--since", "2026") == [
        name for name in found("--moe", "--since", "2026") if name.startswith("qwen3")
    ]
    (tmp_path / "mine.yaml").write_text("extends: gpt2\nname: Mine\n")
    assert found(str(tmp_path / "mine.yaml")) == ["mine"]
    assert llmarch("list", "gpt9*").err == "error: no bundled model matches 'gpt9*'; see `llmarch list`\n"


def test_a_word_has_one_meaning(llmarch: Run) -> None:
    """`context` is that of the workload, as `kvcache` heads it; a model's own is its context window."""
    row = json.loads(llmarch("list", "--org", "openai", "--columns", "context,context window", "--json").out)["models"][
        0
    ]
    assert row == {"model": "gpt2", "context_tokens": 131_072, "context_window": 1024}
    several = ("kvcache", "gpt2", "--ctx", "1k,2k", "--columns", "context")
    assert llmarch(*several).status == 0
    assert llmarch(*several).out.splitlines()[0].split() == ["model", "context"]


def test_kinds_and_dates(llmarch: Run) -> None:
    found = json.loads(llmarch("list", "--kind", "hybrid", "--kind", "moe", "--since", "2026", "--format", "json").out)
    assert "qwen3.5-397b-a17b" in [row["model"] for row in found["models"]]
    assert all({"hybrid", "moe"} <= set(row["mechanisms"].split()) for row in found["models"])
    assert all(row["released"] >= "2026" for row in found["models"])
    assert llmarch("list", "--kind", "hybrid, MoE,").out == llmarch("list", "--kind", "hybrid", "--kind", "moe").out
    late = llmarch("list", "--since", "2025-09-12", "--kind", "gated_deltanet", "--dense").out
    assert "qwen3.5-27b" in late
    assert "qwen3.5-397b" not in late


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--kind", " , "), "--kind is empty"),
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
    assert lines[3].startswith("deepseek-v4-pro")
    assert llmarch("list", "--sort=params").out.splitlines()[3].startswith("gpt2 ")


def test_exact(llmarch: Run) -> None:
    assert "671,026,404,352" in llmarch("list", "--exact").out
