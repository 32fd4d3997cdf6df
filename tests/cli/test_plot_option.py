import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from processes import modules

from llmarch_cli.specs.loading import names

Run = Callable[..., Any]


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("command", "file"),
    [
        ("kvcache gpt2 --plot cache.svg", "cache.svg"),
        ("kvcache --plot cache.svg gpt2", "cache.svg"),
        ("compare gpt2 gpt2-xl --plot=flops.PDF --plot-kind flops --format json", "flops.PDF"),
        ("show gpt2 --plot params.png", "params.png"),
    ],
)
def test_a_file_is_drawn_and_the_figures_are_printed_as_without_it(llmarch: Run, command: str, file: str) -> None:
    result = llmarch(*command.split())
    assert (result.status, result.err) == (0, "")
    assert Path(file).stat().st_size > 5000
    words = [word for word in command.split() if not word.startswith("--plot") and word not in (file, "flops")]
    assert result.out == llmarch(*words).out


@pytest.mark.parametrize(
    ("command", "title"),
    [
        ("kvcache gpt2 gpt2-xl --plot", "KV cache by context"),
        ("kvcache --plot gpt2", "KV cache by context"),
        ("compare gpt2 --plot --plot-kind flops", "FLOPs per token by context"),
        ("show gpt2 --plot --batch 2", "Parameters by component"),
        ("compare gpt2 gpt2-xl --plot --plot-kind active", "Total and active parameters"),
    ],
)
def test_without_a_file_it_is_drawn_below_the_table(llmarch: Run, command: str, title: str) -> None:
    result = llmarch(*command.split())
    assert (result.status, result.err) == (0, "")
    assert f"\n\n{title}\n\n" in result.out
    assert list(Path().iterdir()) == []


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("kvcache gpt2 --plot=x.gif", "error: x.gif: the file name must end in .svg, .png or .pdf"),
        ("compare gpt2 --plot --plot-kind pie", "error: unknown plot 'pie'"),
        ("compare gpt2 --plot-kind flops", "error: --plot-kind flops needs --plot or --plot FILE"),
        ("compare gpt2 --plot --format csv", "error: --plot draws below a table, not below csv"),
        ("show gpt2 --spec --plot", "error: --spec prints a spec, without metrics: leave out --plot"),
        ("kvcache gpt2 --plot nowhere/x.svg", "error: nowhere/x.svg: No such file or directory"),
    ],
)
def test_what_cannot_be_drawn_is_said(llmarch: Run, command: str, message: str) -> None:
    result = llmarch(*command.split())
    assert result.status == 2
    assert result.err.startswith(message)


@pytest.mark.parametrize("command", ["kvcache gpt2 --plot x.svg", "kvcache gpt2 --plot", "compare gpt2 --plot"])
def test_a_missing_library_is_said_before_anything_is_measured(
    llmarch: Run, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    monkeypatch.setitem(sys.modules, "plotext", None)
    result = llmarch(*command.split())
    assert (result.status, result.out) == (2, "")
    assert "pip install '.[plot]'" in result.err


@pytest.mark.parametrize(
    ("command", "n_models"),
    [
        ("kvcache --plot", len(names())),
        ("compare gpt2 gpt2-xl gpt2-large gpt2-medium qwen3-8b --set tie_embeddings=false --plot", 10),
        ("compare gpt2 gpt2 gpt2-xl gpt2-large olmo2-1b olmo2-7b qwen3-8b qwen3-4b gemma3-1b kimi-k2 --plot", 9),
    ],
)
def test_of_many_curves_a_terminal_shows_one_of_each_mechanism(llmarch: Run, command: str, n_models: int) -> None:
    result = llmarch(*command.split(), "--engine", "closed-form")
    assert result.status == 0
    assert f"Shown: of {n_models} models the largest with each" in " ".join(result.out.split())


def test_curves_that_are_asked_for_are_in_colour(llmarch: Run) -> None:
    result = llmarch("kvcache", "--engine", "closed-form", "--plot", "--highlight", "gpt2", "--highlight", "kimi-k2")
    assert "a gpt2 (MHA)   b kimi-k2 (MLA)\n" in result.out
    result = llmarch("kvcache", "gpt2", "--plot", "--highlight", "gpt3")
    assert (result.status, result.err.partition(";")[0]) == (2, "error: unknown highlighted model 'gpt3'")


def test_only_what_draws_imports_what_draws() -> None:
    drawing = {"matplotlib", "plotext", "jinja2", "torch", "pandas"}
    assert not modules("kvcache", "gpt2", "--engine", "closed-form") & drawing
    assert "matplotlib" not in modules("kvcache", "gpt2", "--engine", "closed-form", "--plot")
    taken = modules("kvcache", "gpt2", "--engine", "closed-form", "--plot", "/dev/null/x.svg")
    assert taken & drawing == {"matplotlib"}
