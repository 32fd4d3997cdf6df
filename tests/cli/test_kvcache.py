import json
from collections.abc import Callable
from typing import Any

import pytest

import llmarch_cli

Run = Callable[..., Any]


@pytest.mark.parametrize("columns", ["80", "100", "160"])
def test_all_models_by_their_caches(llmarch: Run, monkeypatch: pytest.MonkeyPatch, columns: str) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    out = llmarch("kvcache").out
    assert max(map(len, out.splitlines())) <= int(columns)
    assert "\n!: beyond the model's own context window (" in out
    data = json.loads(llmarch("kvcache", "--format", "json").out)["kv_caches"]
    assert sorted(row["model"] for row in data) == list(llmarch_cli.names())
    sizes = [row["kv_cache_bytes"] for row in data]
    assert sizes == sorted(sizes)


def test_it_is_the_line_of_the_profile(llmarch: Run) -> None:
    arguments = ["--ctx", "8k", "--ctx", "128k", "--ctx", "8192", "--batch", "2", "--kv-dtype", "fp8"]
    data = json.loads(llmarch("kvcache", "gemma3-27b", *arguments, "--format", "json").out)["kv_caches"]
    assert [row["context_tokens"] for row in data] == [8192, 131_072]
    for row in data:
        profile = llmarch_cli.profile(
            "gemma3-27b", context=row["context_tokens"], batch=2, kv_dtype="fp8", engine="closed-form"
        )
        for key in (
            "kv_cache_bytes",
            "kv_fixed_bytes",
            "kv_bytes_per_token",
            "kv_cache_bytes_without_windows",
            "kv_cache_bytes_multi_head",
        ):
            assert row[key] == getattr(profile, key)
        assert row["kv_fixed_bytes"] + row["kv_bytes_per_token"] * row["context_tokens"] == row["kv_cache_bytes"]


def test_a_line_says_how_much_and_how_many_times_smaller(llmarch: Run) -> None:
    line = next(line for line in llmarch("kvcache", "deepseek-v3").out.splitlines() if line.startswith("deepseek-v3"))
    assert line.split("  ")[0] == "deepseek-v3"
    for text in ("8.58 GiB", "68.63 KiB", "71.1x", "█"):
        assert text in line


def test_exact(llmarch: Run) -> None:
    out = llmarch("kvcache", "deepseek-v3", "--exact").out
    assert "9,210,691,584" in out
    assert "70,272" in out


def test_sorting(llmarch: Run) -> None:
    models = ["gpt2", "deepseek-v3", "llama3.1-405b"]
    out = llmarch("kvcache", *models, "--sort", "-kv_cache_bytes", "--format", "csv").out
    assert [line.split(",")[0] for line in out.splitlines()[1:]] == ["llama3.1-405b", "deepseek-v3", "gpt2"]
