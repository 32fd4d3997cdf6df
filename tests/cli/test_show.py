import csv
import io
import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

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
        "model": "gemma3-27b",
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
    counted = {"component": "ffn", "count": 12, "operator": "linear", "flops_per_token": 12_000}
    assert data["operators"] == [{"model": "gpt2", **counted}]
    assert "By operator" in llmarch("show", "gpt2", "--operators").out


def test_several_models_are_sheets_one_after_another(llmarch: Run) -> None:
    both = llmarch("show", "llama3.1-8b", "gpt2*")
    assert (both.status, both.err) == (0, "")
    ids = ["llama3.1-8b", "gpt2", "gpt2-large", "gpt2-medium", "gpt2-xl"]
    sheets = [f"{name} ({place} of 5)\n{llmarch('show', name).out}" for place, name in enumerate(ids, start=1)]
    assert both.out == "\n".join(sheets)
    markdown = llmarch("show", "gpt2", "gpt2-xl", "--format", "markdown").out
    assert re.findall("^### .*", markdown, re.MULTILINE) == ["### gpt2 (1 of 2)", "### gpt2-xl (2 of 2)"]


def test_data_of_several_models_says_of_which_each_row_is(llmarch: Run) -> None:
    several = json.loads(llmarch("show", "gpt2", "deepseek-v3", "--json").out)
    alone = [json.loads(llmarch("show", name, "--json").out) for name in ("gpt2", "deepseek-v3")]
    assert list(several) == list(alone[0])
    for name in several["tables"]:
        assert several["tables"][name] == [row for each in alone for row in each["tables"][name]]
        assert {row["model"] for row in several["tables"][name]} <= {"gpt2", "deepseek-v3"}
    assert [each["model"] for each in several["architectures"]] == ["gpt2", "deepseek-v3"]
    rows = list(csv.DictReader(io.StringIO(llmarch("show", "gpt2", "gpt2-xl", "--format", "csv").out)))
    assert [row["model"] for row in rows] == ["gpt2"] * 7 + ["gpt2-xl"] * 7


def test_specs_of_several_models(llmarch: Run) -> None:
    """Documents of one YAML stream, and a list in JSON; of one model neither."""
    text = llmarch("show", "gpt2", "kimi-k2", "--spec").out
    _, *documents = re.split("^---\n", text, flags=re.MULTILINE)
    names = ("gpt2", "kimi-k2")
    assert documents == [f"# {name}\n{llmarch('show', name, '--spec').out}" for name in names]
    assert [each["name"] for each in yaml.safe_load_all(text)] == ["GPT-2", "Kimi K2"]
    assert "---" not in llmarch("show", "gpt2", "--spec").out
    data = json.loads(llmarch("show", *names, "--spec", "--json").out)
    assert data == [json.loads(llmarch("show", name, "--spec", "--json").out) for name in names]


def test_changes_are_made_to_each_of_several(llmarch: Run, tmp_path: Path) -> None:
    out = llmarch("show", "gpt2", "gpt2-xl", "--set", "n_layers=2", "--spec").out
    assert [each["n_layers"] for each in yaml.safe_load_all(out)] == [2, 2]
    saved = llmarch("show", "gpt2", "gpt2-xl", "--set", "n_layers=2", "--save", str(tmp_path / "x.yaml"))
    assert (saved.status, saved.out) == (2, "")
    assert saved.err == "error: --save writes one spec, but 2 models are given: give one\n"


def test_a_plot_of_several_is_one(llmarch: Run) -> None:
    out = llmarch("show", "gpt2", "llama3.1-8b", "--plot").out
    assert out.count("Parameters by component") == 1
    assert re.search(r"^gpt2 .*124\.44M$", out, re.MULTILINE)
    assert re.search(r"^llama3\.1-8b .*8\.03B$", out, re.MULTILINE)


def test_one_unknown_among_several_prints_nothing(llmarch: Run) -> None:
    result = llmarch("show", "gpt2", "gpt9")
    assert (result.status, result.out, result.err) == (2, "", "error: unknown model 'gpt9'; did you mean gpt2?\n")


def test_components_that_grow_beyond_the_window_are_marked(llmarch: Run) -> None:
    out = llmarch("show", "gpt2", "--ctx", "2k").out
    assert re.search(r"^attention .* 72\.00 MiB !  ", out, re.MULTILINE)
    assert re.search(r"^total .* 72\.00 MiB !  ", out, re.MULTILINE)
    assert not re.search(r"^(ffn|lm head|token embedding) .*!", out, re.MULTILINE)
    assert "!" not in llmarch("show", "gpt2", "--ctx", "1k").out
    windowed = llmarch("show", "gemma3-27b", "--ctx", "256k").out
    assert re.search(r"^attention: global .*!", windowed, re.MULTILINE)
    assert re.search(r"^attention: local .* MiB  ", windowed, re.MULTILINE)  # its windows are full long before


def test_a_spec_is_printed_as_json(llmarch: Run) -> None:
    result = llmarch("show", "gemma3-27b", "--spec", "--format", "json", "--set", "n_layers=8")
    assert (result.status, result.err) == (0, "")
    data = json.loads(result.out)
    spec = api.specs(["gemma3-27b"], {"n_layers": 8})[-1]
    assert data == {**spec_file.plain(spec), "released": "2025-03-12"}
    assert llmarch("show", "gemma3-27b", "--spec", "--json").status == 0
