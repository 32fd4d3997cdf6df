"""What people type by habit from other tools: one line that says what it is called here, and works when pasted."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from typing import Any

import pytest

Run = Callable[..., Any]

pytestmark = pytest.mark.filterwarnings("default::FutureWarning")  # notes: `x is read as the bundled y`


def refused(llmarch: Run, line: str) -> str:
    result = llmarch(*shlex.split(line))
    assert (result.status, result.out) == (2, "")
    assert result.err.count("\n") == 1
    return str(result.err)


@pytest.mark.parametrize(
    ("line", "meant"),
    [
        ("help", "llmarch --help"),
        ("help compare", "llmarch compare --help"),
        ("help me", "llmarch --help"),
        ("info gpt2", "llmarch show gpt2"),
        ("kv gpt2 qwen3-8b", "llmarch kvcache gpt2 qwen3-8b"),
        ("compar gpt2 --ctx 1k", "llmarch compare gpt2 --ctx 1k"),
        ("search", "llmarch list"),
        ("gpus", "llmarch chips"),
        ("deepseek-v3 llama4-maverick", "llmarch compare deepseek-v3 llama4-maverick"),
        ("gpt2 Qwen/Qwen3-8B --ctx 1k", "llmarch compare gpt2 Qwen/Qwen3-8B"),
        ("gpt2 nothing", "llmarch show gpt2"),
        ("https://huggingface.co/Qwen/Qwen3-8B", "llmarch show https://huggingface.co/Qwen/Qwen3-8B"),
    ],
)
def test_another_word_for_a_command(llmarch: Run, line: str, meant: str) -> None:
    error = refused(llmarch, line)
    assert error == f"error: no such command '{shlex.split(line)[0]}'; did you mean `{meant}`?\n"
    assert llmarch(*shlex.split(meant)[1:]).status == 0


@pytest.mark.parametrize(
    ("line", "hint"),
    [
        ("compare gpt2 --max-model-len 1k", "did you mean --ctx?"),
        ("train gpt2 --seq-len 1k", "did you mean --seq?"),
        ("compare gpt2 --seq-len 1k", "did you mean --ctx?"),
        ("compare gpt2 --quantization int4", "did you mean --weights?"),
        ("compare gpt2 --dtype fp8", "did you mean --weights or --kv-dtype?"),
        ("compare gpt2 --kv-cache-dtype fp8", "did you mean --kv-dtype?"),
        ("fit gpt2 --gpu h100", "did you mean --on?"),
        ("fit gpt2 --on h100 --tensor-parallel-size 8", "did you mean --tp?"),
        ("list --sort released --reverse", "did you mean --sort -COLUMN?"),
        ("compare gpt2 --verbose", "did you mean --all or --exact?"),
        ("compare gpt2 --csv", "did you mean --format csv?"),
        ("compare gpt2 -o gpt2.txt", "`> FILE` writes the result to a file"),
        ("columns --max-model-len 1k", "see `llmarch columns --help`"),  # it has no context
        ("compare gpt2 --batchsize 2", "did you mean --batch?"),
        ("--json compare gpt2", "options of a command stand behind it: `llmarch COMMAND --json`"),
        ("-v", "did you mean --version?"),
    ],
)
def test_another_word_for_an_option(llmarch: Run, line: str, hint: str) -> None:
    wrong = [word for word in shlex.split(line) if word.startswith("-")][-1]
    assert refused(llmarch, line) == f"error: no such option: {wrong}; {hint}\n"


@pytest.mark.parametrize("option", ["--ctx", "--columns", "--sort"])
def test_an_option_without_its_value(llmarch: Run, option: str) -> None:
    error = refused(llmarch, f"compare gpt2 {option}")
    assert error.startswith(f"error: option '{option}' requires an argument; see `llmarch")


def test_a_dash_of_a_word_processor(llmarch: Run) -> None:
    error = refused(llmarch, "compare gpt2 \N{EN DASH}ctx 8k")
    assert error == "error: '\N{EN DASH}ctx' begins with a dash that is no hyphen: --ctx\n"


def test_what_is_missing_is_shown_in_an_example(llmarch: Run) -> None:
    error = refused(llmarch, "fit gpt2")
    (example,) = re.findall("`(.*)`", error)
    assert error == f"error: missing option '--on'; such as `{example}`\n"
    assert llmarch(*shlex.split(example)[1:]).status == 0


@pytest.mark.parametrize(
    "address",
    [
        "https://huggingface.co/Qwen/Qwen3-8B",
        "https://huggingface.co/Qwen/Qwen3-8B/blob/main/config.json",
        "http://www.huggingface.co/Qwen/Qwen3-8B?library=vllm",
        "huggingface.co/Qwen/Qwen3-8B/",
        "hf.co/Qwen/Qwen3-8B",
        "hf://Qwen/Qwen3-8B",
        "hf:Qwen/Qwen3-8B",
    ],
)
def test_the_address_of_a_repository_is_that_repository(llmarch: Run, address: str) -> None:
    expected = llmarch("compare", "Qwen/Qwen3-8B")
    assert expected.status == 0
    assert llmarch("compare", address) == expected


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        *[("H100", "h100"), ("H100x8", "8xh100"), ("8*h100", "8xh100"), ("8 x H100", "8xh100")],
        *[("2X8xH100", "2x8xh100"), ("RTX4090", "rtx-4090"), ("a100 80GB", "a100-80gb"), ("MI300X*4", "4xmi300x")],
    ],
)
def test_another_spelling_of_machines(llmarch: Run, text: str, meant: str) -> None:
    expected = llmarch("fit", "gpt2", "--ctx", "1k", "--on", meant)
    assert (expected.status, expected.err) == (0, "")
    result = llmarch("fit", "gpt2", "--ctx", "1k", "--on", text)
    assert (result.status, result.out) == (0, expected.out)


@pytest.mark.parametrize("text", ["h1000", "8xh1000", "h100x", "x8", "8x", "h100,h200"])
def test_machines_that_there_are_not(llmarch: Run, text: str) -> None:
    chip = text if text == "8x" else text.removeprefix("8x")
    assert f"'{chip}'" in refused(llmarch, f"fit gpt2 --on '{text}'")


def test_chips_in_another_spelling(llmarch: Run) -> None:
    assert llmarch("chips", "H100", "rtx4090").out == llmarch("chips", "h100", "rtx-4090").out


def test_formats_in_capitals(llmarch: Run) -> None:
    expected = llmarch("compare", "qwen3-8b", "--weights", "q4_k_m", "--kv-dtype", "fp8")
    assert expected.status == 0
    assert llmarch("compare", "qwen3-8b", "--weights", "Q4_K_M", "--kv-dtype", "FP8") == expected
    assert "'Q9_K'" in refused(llmarch, "compare qwen3-8b --weights Q9_K")


def test_another_word_for_a_format(llmarch: Run) -> None:
    assert llmarch("compare", "gpt2", "-f", "md") == llmarch("compare", "gpt2", "--format", "markdown")


@pytest.mark.parametrize("line", ["draw gpt2 gpt2.svg", "draw gpt2 gpt2.png --theme dark", "report gpt2 a.html"])
def test_a_file_to_write_in_the_place_of_a_model(llmarch: Run, line: str) -> None:
    file = shlex.split(line)[2]
    assert refused(llmarch, line) == f"error: unknown model '{file}'; the file to write is named by -o: -o {file}\n"


def test_a_terminal_gets_no_page(llmarch: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    error = refused(llmarch, "report gpt2")
    assert error == "error: a terminal does not show a page; write it to a file, such as -o report.html\n"
