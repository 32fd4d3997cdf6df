import csv
import io
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import llmarch_cli

Run = Callable[..., Any]


def test_what_separates_two_models(llmarch: Run) -> None:
    result = llmarch("diff", "gemma3-27b", "llama3.1-8b")
    assert (result.status, result.err) == (0, "")
    said = " ".join(result.out.split())
    for text in ("-18.98B (-70.27%)", "10 x (5 window +", "all full", "+26.79 GiB", "total", "n_layers: 62 -> 32"):
        assert text in said
    assert max(map(len, result.out.splitlines())) <= 100


@pytest.mark.parametrize("columns", ["80", "120"])
@pytest.mark.parametrize("models", [("deepseek-v3", "kimi-k2"), ("gemma3-27b", "llama3.1-8b"), ("gpt2", "gpt2-xl")])
def test_each_change_stands_once_and_without_a_row_of_zeros(
    llmarch: Run, monkeypatch: pytest.MonkeyPatch, columns: str, models: tuple[str, str]
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    out = llmarch("diff", *models).out
    changes = out.partition("not measured.")[2]
    assert changes.partition("Without effect")[0].count("total") == 1
    assert not re.search(r"( +0){3,}\n", changes)
    for row in json.loads(llmarch("diff", *models, "--format", "json").out)["changes"]:
        if " " not in row["change"]:
            assert len(re.findall(rf"^{re.escape(row['change'])}\b", changes, re.MULTILINE)) == 1


def test_its_data_is_exact_and_adds_up(llmarch: Run) -> None:
    models = ("deepseek-v3", "kimi-k2")
    data = json.loads(llmarch("diff", *models, "--ctx", "8k", "--batch", "2", "--format", "json").out)
    before, after = (llmarch_cli.profile(model, context=8192, batch=2, engine="closed-form") for model in models)
    for key in ("params", "active_params", "kv_cache_bytes", "flops_per_token", "mtp_params", "buffers"):
        difference = getattr(after, key) - getattr(before, key)
        assert sum(row[key] for row in data["changes"]) == difference
        assert [row[key] for row in data["models"]] == [getattr(before, key), getattr(after, key), difference]
    rows = list(csv.DictReader(io.StringIO(llmarch("diff", *models, "--format", "csv").out)))
    (heads,) = (row for row in rows if row["change"] == "attention: n_heads")
    assert (heads["before"], heads["after"], heads["kv_cache_bytes"]) == ("128", "64", "0")


def test_exact_figures_have_their_sign(llmarch: Run) -> None:
    out = llmarch("diff", "deepseek-v3", "kimi-k2", "--exact").out
    assert "+495,452,160" in out
    assert "-5,244,977,152" in out


@pytest.mark.parametrize("columns", ["80", "120", "200"])
def test_several_models_are_each_compared_with_the_first(
    llmarch: Run, monkeypatch: pytest.MonkeyPatch, columns: str
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    result = llmarch("diff", "deepseek-v3", "kimi-k2", "glm-4.5", "deepseek-r1")
    assert (result.status, result.err) == (0, "")
    assert max(map(len, result.out.splitlines())) <= int(columns)
    said = " ".join(result.out.split())
    for share in ("(+52.96%)", "(-47.42%)"):
        assert share in said
    places = [result.out.index(f"\ndeepseek-v3 -> {name}\n") for name in ("kimi-k2", "glm-4.5", "deepseek-r1")]
    assert places == sorted(places)
    assert said.count("Effects add up exactly") == 1
    assert "The architectures are equal" in " ".join(result.out[places[-1] :].split())
    for name in ("kimi-k2", "glm-4.5"):  # each model's changes are those of the two alone
        alone = (
            llmarch("diff", "deepseek-v3", name).out.partition("torch 2.13.0+cpu.")[2]
            or llmarch("diff", "deepseek-v3", name).out.partition("not measured.")[2]
        )
        assert alone.partition("\n\nEffects add up")[0].strip() in result.out


def test_metrics_are_columns_by_model_where_they_fit(llmarch: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    models = ("gpt2", "gpt2-xl", "gpt2-large", "gpt2-medium", "llama3.1-8b")
    monkeypatch.setenv("COLUMNS", "140")
    assert llmarch("diff", *models).out.splitlines()[1].split() == list(models)
    monkeypatch.setenv("COLUMNS", "80")
    lines = llmarch("diff", *models).out.splitlines()
    assert lines[1].startswith("model ")
    assert [line.split()[0] for line in lines[3:8]] == list(models)
    assert "8.03B (64.53x)" in lines[7]
    assert "(" not in lines[3]  # the base beside itself


def test_a_row_of_figures_has_one_unit(llmarch: Run) -> None:
    """2.30 TFLOPs beside 658.41 GFLOPs would read like the smaller one."""
    for models in (("deepseek-v3", "glm-4.5"), ("deepseek-v3", "glm-4.5", "kimi-k2")):
        (row,) = (line for line in llmarch("diff", *models).out.splitlines() if line.startswith("FLOPs per token"))
        assert "2,300.19 GFLOPs" in row
        assert "TFLOPs" not in row
    (row,) = (line for line in llmarch("diff", *models[:2]).out.splitlines() if line.startswith("FLOPs per token"))
    assert row.endswith("-1,641.78 GFLOPs (-71.38%)")


def test_data_of_several_says_between_which_models(llmarch: Run) -> None:
    data = json.loads(llmarch("diff", "gpt2", "gpt2-xl", "llama3.1-8b", "--json").out)
    assert [row["model"] for row in data["models"]] == ["gpt2", "gpt2-xl", "llama3.1-8b"]
    base, *others = (row["params"] for row in data["models"])
    for name, params in zip(("gpt2-xl", "llama3.1-8b"), others, strict=True):
        rows = [row for row in data["changes"] if row["model"] == name]
        assert {row["base"] for row in rows} == {"gpt2"}
        assert sum(row["params"] for row in rows) == params - base
        assert rows == json.loads(llmarch("diff", "gpt2", name, "--json").out)["changes"]
    rows = list(csv.DictReader(io.StringIO(llmarch("diff", "gpt2", "gpt2-xl", "llama3.1-8b", "--format", "csv").out)))
    assert [row["model"] for row in rows] == [row["model"] for row in data["changes"]]


def test_a_pattern_gives_the_base_and_the_others(llmarch: Run) -> None:
    assert llmarch("diff", "gpt2*") == llmarch("diff", "gpt2", "gpt2-large", "gpt2-medium", "gpt2-xl")
    assert llmarch("diff", "gpt2-m*", "gpt2-x*") == llmarch("diff", "gpt2-medium", "gpt2-xl")


def test_a_table_that_is_split_has_no_lines_of_zeros(llmarch: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    out = llmarch("diff", "deepseek-v3", "glm-4.5").out
    first, second, *_ = re.split(r"^change .*\n─+\n", out, flags=re.MULTILINE)[1:]
    assert "vocab_size" in first
    assert "vocab_size" not in second  # it changes no prediction block and no buffer
    assert "n_layers: 61 -> 92" in second
    assert not re.search(r"^\S.* 0 +0$", second, re.MULTILINE)


@pytest.mark.parametrize(
    ("models", "status"),
    [
        (("gpt2", "gpt2"), 0),
        (("deepseek-v3", "deepseek-r1"), 0),
        (("gpt2", "gpt2-xl"), 1),
        (("gpt2", "gpt2", "gpt2"), 0),
        (("gpt2", "gpt2", "gpt2-xl"), 1),
        (("gpt2", "gpt2-xl", "gpt2"), 1),
    ],
)
def test_scripts_can_ask(llmarch: Run, models: tuple[str, str], status: int) -> None:
    assert llmarch("diff", *models, "--exit-code").status == status
    assert llmarch("diff", *models).status == 0


def test_the_same_architecture_is_said_to_be(llmarch: Run) -> None:
    result = llmarch("diff", "deepseek-v3", "deepseek-r1")
    assert "The architectures are equal" in result.out
    data = json.loads(llmarch("diff", "gpt2", "gpt2", "--format", "json").out)
    assert data["changes"] == []


def test_files_work_as_everywhere(llmarch: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("gpt2.yaml").write_text("extends: gpt2\nn_layers: 13\nname: '[red]x'\n")
    result = llmarch("diff", "gpt2", "./gpt2.yaml", "--format", "markdown")
    assert "| n_layers: 12 -\\> 13 |" in result.out
    assert "./gpt2.yaml" in result.out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("gpt2 gpt3", "error: unknown model 'gpt3'"),
        ("gpt2 ./missing.yaml", "error: missing.yaml: no such file"),
        ("gpt2 gpt2 --ctx 12q", "error: --ctx takes a number of tokens"),
        ("gpt2 gpt2 --format jsn", "error: unknown format"),
        ("gpt2 gpt2 --engine x", "error: --engine: unknown engine"),
    ],
)
def test_bad_input(llmarch: Run, arguments: str, message: str) -> None:
    result = llmarch("diff", *arguments.split())
    assert (result.status, result.out) == (2, "")
    assert result.err.startswith(message)


@pytest.mark.parametrize("given", ["gpt2-xl", "gpt2-x*"])
def test_two_models_are_needed(llmarch: Run, given: str) -> None:
    result = llmarch("diff", given)
    message = "error: diff compares a model with others, but only gpt2-xl is given: name another\n"
    assert (result.status, result.out, result.err) == (2, "", message)
