from collections.abc import Callable
from pathlib import Path
from typing import Any

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


def test_a_file_to_write_to_is_needed(llmarch: Run) -> None:
    result = llmarch("draw", "gpt2")
    assert result.status == 2
    assert "--output" in result.err
