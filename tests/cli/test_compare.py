import csv
import io
import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import llmarch_cli

Run = Callable[..., Any]


def test_models_stand_side_by_side(llmarch: Run) -> None:
    result = llmarch("compare", "deepseek-v3", "llama4-maverick")
    assert (result.status, result.err) == (0, "")
    assert len(result.out.splitlines()) <= 30
    lines = {cells[0]: cells[1:] for line in result.out.splitlines() if (cells := re.split(" {2,}", line.strip()))}
    for title, first, second in (
        ("layers", "61", "48"),
        ("attention", "latent", "36 chunked 8,192 + 12 full NoPE"),
        ("heads", "MLA 128 heads", "GQA 40:8 x 128"),
        ("parameters", "671.03B", "400.71B"),
        ("active parameters", "37.55B", "17.18B"),
        ("KV cache", "8.58 GiB", "7.13 GiB"),
        ("FLOPs per token", "2,300.19 GFLOPs", "70.55 GFLOPs"),
        ("weight FLOPs", "73.25 GFLOPs", "32.30 GFLOPs"),
        ("context FLOPs", "2,226.94 GFLOPs", "38.25 GFLOPs"),
    ):
        assert lines[title][:2] == [first, second]
    assert lines["KV cache"][2] == "1.20x"
    everything = llmarch("compare", "deepseek-v3", "llama4-maverick", "--all").out
    assert "attention settings" in everything
    assert "attention settings" not in result.out
    assert "Closed form only" in result.out


def test_the_first_lines_answer_which_costs_more_and_why(llmarch: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.get_terminal_size", lambda *_: os.terminal_size((80, 50)))
    first = llmarch("compare", "deepseek-v3", "llama4-maverick").out.splitlines()[:16]
    titles = [line.split("  ")[0] for line in first]
    for title in ("parameters", "KV cache", "FLOPs per token", "weight FLOPs", "context FLOPs", "attention"):
        assert titles.index(title) < 15
    (attention,) = (line.split() for line in first if line.startswith("attention"))
    assert attention[1:4] == ["latent", "36", "chunked"]


@pytest.mark.parametrize(
    ("models", "key", "written"),
    [
        ("deepseek-v3 llama4-maverick gpt-oss-120b", "flops_per_token", "2,300.19 GFLOPs 70.55 GFLOPs 48.95 GFLOPs"),
        ("deepseek-v3 llama4-maverick gpt-oss-120b", "weight_bytes", "1,249.88 GiB 746.38 GiB 217.61 GiB"),
        ("gpt2 qwen3-8b deepseek-v3", "weight_bytes", "237.35 MiB 15.26 GiB 1.22 TiB"),  # too far apart for one
        ("gpt2 qwen3-8b gemma3-27b", "params", "124.44M 8.19B 27.01B"),  # as people say them
    ],
)
def test_a_column_has_one_unit_where_that_is_readable(llmarch: Run, models: str, key: str, written: str) -> None:
    """Otherwise 2.30 TFLOPs stand above 70.55 GFLOPs, and look smaller."""
    _, _, *lines = llmarch("compare", *models.split(), "--columns", key).out.splitlines()
    found = [line.removesuffix("!").split()[1:] for line in lines[:3]]
    assert " ".join(word for words in found for word in words if word != "!") == written


def test_its_formats_agree_to_the_last_digit(llmarch: Run) -> None:
    models = ["deepseek-v3", "gemma3-1b"]
    (as_json,) = json.loads(llmarch("compare", models[0], "--format", "json").out)["models"]
    as_csv = list(csv.DictReader(io.StringIO(llmarch("compare", *models, "--format", "csv").out)))
    profile = llmarch_cli.profile(models[0], engine="closed-form")
    for key in ("params", "active_params", "kv_cache_bytes", "kv_fixed_bytes", "flops_per_token", "mtp_params"):
        assert as_json[key] == int(as_csv[0][key]) == getattr(profile, key)
        exact = llmarch("compare", *models, "--exact", "--columns", key).out
        assert f"{getattr(profile, key):,}" in exact


def test_columns_are_those_asked_for(llmarch: Run) -> None:
    out = llmarch("compare", "gpt2", "gpt2-xl", "--columns", "kv_cache_bytes,params", "--format", "csv").out
    assert out.splitlines()[0] == "model,kv_cache_bytes,params"


def test_the_workload_is_the_one_asked_for(llmarch: Run) -> None:
    arguments = ["--ctx", "8k", "--batch", "3", "--kv-dtype", "fp8", "--format", "json"]
    (row,) = json.loads(llmarch("compare", "gemma3-1b", *arguments).out)["models"]
    profile = llmarch_cli.profile("gemma3-1b", context=8192, batch=3, kv_dtype="fp8", engine="closed-form")
    assert row["kv_cache_bytes"] == profile.kv_cache_bytes
    assert (row["context_tokens"], row["batch"], row["kv_dtype"]) == (8192, 3, "fp8")


def test_sorting(llmarch: Run) -> None:
    models = ["gpt2-xl", "gpt2", "gpt2-large"]
    out = llmarch("compare", *models, "--sort", "params", "--format", "csv", "--columns", "params").out
    assert [line.split(",")[0] for line in out.splitlines()[1:]] == ["gpt2", "gpt2-large", "gpt2-xl"]


def test_files_that_share_a_name_go_by_their_paths(
    llmarch: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("gpt2.yaml").write_text("extends: gpt2\nn_layers: 13\n")
    out = llmarch("compare", "gpt2", "./gpt2.yaml", "--columns", "n_layers", "--format", "csv").out
    assert out == "model,n_layers\ngpt2,12\n./gpt2.yaml,13\n"


def test_unmarked_names(llmarch: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("[red]x|y.yaml").write_text("extends: gpt2\n")
    assert "[red]x|y" in llmarch("compare", "./[red]x|y.yaml", "gpt2").out
    assert r"\[red\]x\|y" in llmarch("compare", "./[red]x|y.yaml", "gpt2", "--format", "markdown").out


def test_what_fits_on_machines_stands_beside(llmarch: Run) -> None:
    models = ["llama3.1-8b", "gpt-oss-20b"]
    for options, weights in ((), "native"), (("--weights", "bf16"), "bf16"):
        asked = ("compare", *models, "--ctx", "32k", "--on", "2x8xh100", *options, "--json")
        out = json.loads(llmarch(*asked).out)["models"]
        fits = llmarch_cli.fit(models, ["2x8xh100"], context=32_768, weights=weights)[0].rows
        for row, found in zip(out, fits, strict=True):
            assert row["fit_most_sequences"] == found["most_sequences"]
            assert row["fit_most_sequences"] > 100
            assert row["fit_layout"] == found["layout"]
    table = llmarch("compare", *models, "--ctx", "32k", "--on", "2x8xh100").out
    assert "on 2x8xh100" in table
    assert "most sequences" in table
    assert "Reserve: 10.0%" in table
    refused = llmarch("compare", *models, "--on", "h100", "--set", "n_layers=2")
    assert (refused.status, refused.err) == (2, "error: --on compares models as they are: leave out --set\n")
    assert "unknown chip" in llmarch("compare", *models, "--on", "8xh1000").err
