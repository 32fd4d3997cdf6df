import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import llmarch_cli
from llmarch_cli import api
from llmarch_cli.specs import spec_file

Run = Callable[..., Any]


@pytest.mark.parametrize("columns", ["80", "100", "160"])
def test_it_fits_and_says_what_stands_where(llmarch: Run, monkeypatch: pytest.MonkeyPatch, columns: str) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    out = llmarch("show", "llama4-maverick").out
    assert max(map(len, out.splitlines())) <= int(columns)
    assert "attention  0-47           12 x (3 chunked + 1 nope)" in out
    assert "ffn        0-47           24 x (1 dense + 1 moe)" in out
    for heading in ("component", "published", "KV cache", "share"):
        assert heading in out


def test_prediction_blocks_and_buffers_are_apart(llmarch: Run) -> None:
    out = llmarch("show", "deepseek-v3").out
    total = out.index("\ntotal ")
    assert total < out.index("Multi-token prediction, not in the totals") < out.index("mtp: ffn")
    assert "14,848" in out


def test_its_data_is_the_profile(llmarch: Run) -> None:
    data = json.loads(llmarch("show", "gemma3-27b", "--ctx", "8k", "--format", "json").out)
    profile = llmarch_cli.profile("gemma3-27b", context=8192, engine="closed-form")
    assert data["model"][0]["kv_cache_bytes"] == profile.kv_cache_bytes
    assert sum(row["kv_cache_bytes"] for row in data["components"]) == profile.kv_cache_bytes
    assert data["published"][0] == {
        "figure": "params",
        "published": 25_600_000_000,
        "ours": profile.params_by("without_embeddings"),
        "convention": "without_embeddings",
    }


def test_the_spec_loads_again_with_what_it_extends(llmarch: Run, tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    result = llmarch("show", "kimi-k2", "--spec")
    path.write_text(result.out)
    assert (result.status, result.err) == (0, "")
    assert "extends" not in result.out
    assert llmarch_cli.load(path) == llmarch_cli.load("kimi-k2")


def test_a_file_of_one_s_own(llmarch: Run, tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("extends: gpt2\nname: '[red]x[/red]'\norganization: '[bold]y'\nlicense: 'z[/]'\n")
    out = llmarch("show", str(path)).out
    for text in ("[red]x[/red]", "[bold]y", "z[/]", "mine"):
        assert text in out


def test_operators_are_added(llmarch: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = llmarch_cli.load("gpt2")
    item = next(item for item in spec.inventory() if item.role == "ffn")
    witnesses = ModuleType("llmarch_cli.profilers.witnesses")
    witnesses.operator_flops = lambda *_: [(item, {"linear": 1000, "gelu": 0})]  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "llmarch_cli.profilers.witnesses", witnesses)
    monkeypatch.setattr("llmarch_cli.profilers.witnesses", witnesses, raising=False)
    data = json.loads(llmarch("show", "gpt2", "--operators", "--format", "json").out)
    assert data["operators"] == [{"component": "ffn", "count": 12, "operator": "linear", "flops_per_token": 12_000}]
    assert "By operator" in llmarch("show", "gpt2", "--operators").out


def test_a_spec_is_printed_as_json(llmarch: Run) -> None:
    result = llmarch("show", "gemma3-27b", "--spec", "--format", "json", "--set", "n_layers=8")
    assert (result.status, result.err) == (0, "")
    data = json.loads(result.out)
    spec = api.specs(["gemma3-27b"], {"n_layers": 8})[-1]
    assert data == {**spec_file.plain(spec), "released": "2025-03-12"}
    assert llmarch("show", "gemma3-27b", "--spec", "--json").status == 0
