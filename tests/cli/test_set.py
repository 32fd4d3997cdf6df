"""`--set` and `--save`, on every command that has them."""

import json
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer

import llmarch_cli
from llmarch_cli.cli import options
from llmarch_cli.errors import InputError

Run = Callable[..., Any]

NARROW = "attention.variants.local.window=512"


def test_a_model_stands_beside_itself_as_changed(llmarch: Run) -> None:
    result = llmarch("compare", "gemma3-27b", "--set", NARROW)
    assert (result.status, result.err) == (0, "")
    lines = {line[:19].strip(): line[19:].split() for line in result.out.splitlines()}
    assert lines["KV cache"] == ["10.41", "GiB", "10.20", "GiB", "-208.00", "MiB", "(-1.95%)"]
    assert lines["parameters"] == ["27.01B", "27.01B", "0"]
    assert lines["attention"][-1] == "changed"
    assert lines["context window"][-1] == "0"


def test_its_data_has_exact_differences(llmarch: Run) -> None:
    data = json.loads(llmarch("compare", "gemma3-27b", "--set", NARROW, "--format", "json").out)
    before, after, change = data["models"]
    assert after["model"] == f"gemma3-27b ({NARROW})"
    assert change["model"] == "change"
    for key in ("params", "kv_cache_bytes", "flops_per_token", "n_layers"):
        assert change[key] == after[key] - before[key]
    assert change["layout"] is change["released"] is change["tie_embeddings"] is None
    assert "-218,103,808 (-1.95%)" in llmarch("compare", "gemma3-27b", "--set", NARROW, "--exact").out


def test_several_models_are_all_changed_and_keep_together(llmarch: Run) -> None:
    arguments = ["--set", "n_layers=13", "--sort=-params", "--columns", "params", "--format", "csv"]
    out = llmarch("compare", "gpt2", "gpt2-xl", *arguments).out
    assert [line.split(",")[0] for line in out.splitlines()[1:]] == [
        *("gpt2-xl", "gpt2-xl (n_layers=13)", "change"),
        *("gpt2", "gpt2 (n_layers=13)", "change"),
    ]


def test_caches_of_models_as_they_are_and_changed(llmarch: Run) -> None:
    out = llmarch("kvcache", "gemma3-27b", "--set", NARROW, "--ctx", "8k", "--ctx", "128k", "--format", "csv").out
    assert [line.split(",")[0] for line in out.splitlines()[1:]] == [f"gemma3-27b ({NARROW})"] * 2 + ["gemma3-27b"] * 2


def test_the_sheet_and_the_spec_of_a_changed_model(llmarch: Run, tmp_path: Path) -> None:
    data = json.loads(llmarch("show", "gpt2", "--set", "n_layers=3", "--set", "d_model=96", "--format", "json").out)
    assert (data["model"][0]["n_layers"], data["model"][0]["d_model"]) == (3, 96)
    assert data["published"] == []
    path = tmp_path / "mine.yaml"
    path.write_text(llmarch("show", "gpt2", "--set", "n_layers=3", "--spec").out)
    assert llmarch_cli.load(path) == llmarch_cli.changed(llmarch_cli.load("gpt2"), {"n_layers": 3})


@pytest.mark.parametrize("command", ["show", "compare"])
def test_the_changed_spec_is_saved(llmarch: Run, tmp_path: Path, command: str) -> None:
    path = tmp_path / "mine.yaml"
    result = llmarch(command, "kimi-k2", "--set", "n_layers=3", "--set", "name=Mine", "--save", str(path))
    assert (result.status, result.err) == (0, "")
    assert "Mine" in result.out or "n_layers" not in result.out
    assert "extends" not in path.read_text()
    changes = {"n_layers": 3, "name": "Mine"}
    assert llmarch_cli.load(path) == llmarch_cli.changed(llmarch_cli.load("kimi-k2"), changes)
    again = llmarch(command, "kimi-k2", "--set", "n_layers=4", "--save", str(path))
    assert (again.status, again.out) == (2, "")
    assert again.err == f"error: {path}: already exists; not overwritten: give another name\n"
    assert "n_layers: 3" in path.read_text()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("compare gemma3-27b --set attention.window=5", "did you mean attention.variants.local.window or"),
        ("show gpt2 --set attention.windw=5", "gpt2: attention.windw: unknown field; did you mean attention.window?"),
        ("kvcache gpt2 --set d_model=1e6", "write 1_000_000"),
        ("compare gpt2 --set d_model.x=1", "d_model is a single value"),
        ("compare gemma3-27b --set attention.repeat.6=local", "use 0 to 5"),
        ("compare gpt2 --set d_model", "error: --set: a change must be PATH=VALUE"),
        ("compare gpt2 --set d_model=", "error: --set: 'd_model=': no value"),
        ("compare gpt2 --set d_model=1 --set d_model=2", "error: --set: 'd_model' is given twice"),
        ("compare gpt2 gemma3-27b --set attention.window=5", "error: gemma3-27b: attention.window: unknown field"),
        ("compare gpt2 --save x.yaml", "error: --save writes a changed spec: add --set"),
        ("compare gpt2 gpt2-xl --set n_layers=2 --save x.yaml", "error: --save writes one spec, but 2 models"),
        ("show gpt2 --set n_layers=2 --save /", "error: /: already exists"),
        ("show gpt2 --set n_layers=2 --save /dev/full", "error: /dev/full: already exists"),
        ("show gpt2 --set n_layers=2 --save nowhere/x.yaml", "error: nowhere/x.yaml: cannot be written: no such file"),
    ],
)  # fmt: skip
def test_bad_input(llmarch: Run, arguments: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = llmarch(*arguments.split())
    assert (result.status, result.out) == (2, "")
    assert message in result.err
    assert result.err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_leaves_no_half_a_spec(tmp_path: Path) -> None:
    """A limit on the size of files stops the write where a full disk would."""
    path = tmp_path / "mine.yaml"
    arguments = ["show", "gpt2", "--engine", "closed-form", "--set", "n_layers=2", "--save", str(path)]
    done = subprocess.run(
        [sys.executable, "-B", "-m", "llmarch_cli", *arguments],
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100)),
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"error: {path}: cannot be written: file too large\n"
    assert not path.exists()


def test_a_change_given_twice() -> None:
    assert options.changes(None) == {}
    assert options.changes(["n_layers=3", "attention.window=null"]) == {"n_layers": 3, "attention.window": None}
    with pytest.raises(InputError, match="twice"):
        options.changes(["a=1", " a =2"])


def completed(words: str, number: int) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-m", "llmarch_cli"],
        capture_output=True,
        text=True,
        check=True,
        env={"_LLMARCH_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(number)},
    )
    return done.stdout.split()


def test_shells_are_offered_the_paths_of_the_models_on_the_line() -> None:
    assert completed("llmarch compare gemma3-27b --set attention.variants.local.win", 4) == [
        "attention.variants.local.window="
    ]


def test_paths_are_offered_for_what_is_a_model() -> None:
    context = typer.Context(typer.main.get_command(typer.Typer(callback=lambda: None)))
    context.args = ["nonsense", "./missing.yaml", "gpt2", "gpt2-xl"]
    assert options.complete_change(context, "attention.n_") == ["attention.n_heads=", "attention.n_kv_heads="]
    context.args = []
    assert options.complete_change(context, "") == []
