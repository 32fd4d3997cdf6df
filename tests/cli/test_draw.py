import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., Any]


def test_it_writes_the_file_and_says_which(llmarch: Run, tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("extends: gpt2\nname: Mine\n")
    path = tmp_path / "figure.svg"
    result = llmarch("draw", "gpt2", str(tmp_path / "mine.yaml"), "-o", str(path), "--theme", "dark", "--ctx", "1k")
    assert (result.status, result.out, result.err) == (0, f"{path}\n", "")
    text = path.read_text()
    assert ">Mine</text>" in text
    assert ">KV cache at 1k</text>" in text


def test_what_cannot_be_is_one_line(llmarch: Run, tmp_path: Path) -> None:
    for arguments, message in (
        (("gpt2", "-o", "figure.gif"), "error: figure.gif: the file name must end in .svg, .png or .pdf"),
        (("gpt22", "-o", str(tmp_path / "a.svg")), "error: unknown model 'gpt22'; did you mean gpt2"),
        (("gpt2", "-o", str(tmp_path / "none" / "a.svg")), "error: "),
        (("gpt2", "-o", "a.svg", "--theme", "blue"), "error: unknown theme 'blue'"),
    ):
        result = llmarch("draw", *arguments)
        assert (result.status, result.out) == (2, "")
        assert result.err.startswith(message)
        assert result.err.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_without_a_file_it_draws_characters(llmarch: Run) -> None:
    result = llmarch("draw", "gpt2", "deepseek-v3")
    assert (result.status, result.err) == (0, "")
    first, *lines = result.out.splitlines()
    assert first == "GPT-2 · gpt2 · OpenAI · 2019-02-14"
    assert "1,024 tokens of context, batch 1, bf16 cache." in lines  # the longest that both have
    assert "  aaa" + "b" * 58 in lines


def test_a_dash_is_standard_output(tmp_path: Path) -> None:
    def drawn(*arguments: str) -> bytes:
        command = [sys.executable, "-m", "llmarch_cli", "draw", "gpt2", *arguments]
        return subprocess.run(command, capture_output=True, check=True).stdout

    path = tmp_path / "figure.svg"
    assert drawn("-o", str(path)) == f"{path}\n".encode()
    assert drawn("-o", "-") == drawn("--format", "svg") == path.read_bytes()
    assert drawn("-o", "-", "--format", "png").startswith(b"\x89PNG")
    assert drawn("-o", "-", "--format", "text") == drawn()
    drawn("-o", str(tmp_path / "figure.txt"), "--format", "text")
    assert (tmp_path / "figure.txt").read_bytes() == drawn()


@pytest.mark.parametrize("arguments", [("--format", "png"), ("-o", "-", "--format", "pdf")])
def test_a_terminal_gets_no_bytes_that_are_no_text(
    llmarch: Run, arguments: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    result = llmarch("draw", "gpt2", *arguments)
    assert (result.status, result.out) == (2, "")
    ending = arguments[-1]
    assert (
        result.err == f"error: a terminal does not show a {ending} file; write it to one, such as -o drawing.{ending}\n"
    )


def test_the_cache_is_at_the_longest_context_of_all(llmarch: Run, tmp_path: Path) -> None:
    def title(*models: str) -> set[str]:
        path = tmp_path / "figure.svg"
        assert llmarch("draw", *models, "-o", str(path)).status == 0
        return set(re.findall(r">KV cache at (\w+)</text>", path.read_text()))

    assert title("gpt2") == {"1k"}
    assert title("deepseek-v3") == {"160k"}
    assert title("deepseek-v3", "kimi-k2") == {"128k"}
    assert title("gpt2", "--ctx", "2k") == {"2k"}


def test_a_format_must_be_that_of_the_file(llmarch: Run) -> None:
    result = llmarch("draw", "gpt2", "-o", "figure.svg", "--format", "png")
    assert result.status == 2
    assert result.err.startswith("error: figure.svg: the file's name does not end in .png")
