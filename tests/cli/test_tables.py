"""The main tables at two widths, as somebody looked at them and found them right.

After a change that is meant: `python tests/cli/test_tables.py` writes the files anew; read what changed.
"""

import io
import os
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path

import pytest

from llmarch_cli.cli.app import run

GOLDEN = Path(__file__).parent / "golden"
WIDTHS = (80, 120)

TABLES = {
    "compare-two": "compare deepseek-v3 llama4-maverick",
    "compare-two-beyond": "compare gpt2 llama3.1-8b",
    "compare-five": "compare gpt2 llama3.1-8b gemma3-27b deepseek-v3 kimi-k2",
    "compare-columns": "compare gpt2 qwen3-8b deepseek-v3 --columns 'KV cache,parameters' --sort -params",
    "compare-set": "compare gemma3-27b --set attention.variants.local.window=512",
    "kvcache": "kvcache gpt2 gpt-oss-120b gemma3-27b deepseek-v3 qwen3-next-80b-a3b deepseek-v4-flash",
    "kvcache-contexts": "kvcache gpt2 gemma3-27b llama4-maverick --ctx 1k,128k",
    "show": "show gemma3-27b",
    "show-mixture": "show deepseek-v3",
    "show-several": "show gpt2 qwen3-8b",
    "diff-mixtures": "diff deepseek-v3 kimi-k2",
    "diff-dense": "diff gemma3-27b llama3.1-8b",
    "diff-attention": "diff deepseek-v3 glm-4.5",
    "diff-several": "diff deepseek-v3 kimi-k2 glm-4.5",
    "diff-many": "diff gpt2 gpt2-xl llama3.1-8b qwen3-8b gemma3-12b",
    "fit": "fit deepseek-v3 --on 8xh200 --ctx 32k",
    "fit-several": "fit gpt2 llama3.1-8b qwen3-8b gemma3-27b --on h100",
    "list": "list --org google",
    "sweep": "sweep qwen3-8b --vary n_layers=24:48:4 --vary d_model=2048:6144:512 --where 'params <= 8B'"
    " --pareto=-params,flops_per_token --top 5",
}


@contextmanager
def environment(**settings: str) -> Iterator[None]:
    before = dict(os.environ)
    os.environ.update(settings)
    for name in ("FORCE_COLOR", "NO_COLOR"):
        os.environ.pop(name, None)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def printed(command: str, width: int) -> str:
    """What a command prints on a screen of that width, in closed form."""
    arguments, text = sys.argv, io.StringIO()
    sys.argv = ["llmarch", *shlex.split(command)]
    try:
        with environment(COLUMNS=str(width), LLMARCH_ENGINE="closed-form"), redirect_stdout(text):
            assert run() == 0
    finally:
        sys.argv = arguments
    return text.getvalue()


def golden(name: str, width: int) -> Path:
    return GOLDEN / f"{name}-{width}.txt"


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", TABLES)
def test_table(name: str, width: int) -> None:
    text = printed(TABLES[name], width)
    assert max(map(len, text.splitlines())) <= width
    assert text == golden(name, width).read_text(encoding="utf-8"), "see this file's head"


def test_all_files_are_of_tables() -> None:
    assert {path.name for path in GOLDEN.iterdir()} == {golden(n, width).name for n in TABLES for width in WIDTHS}


if __name__ == "__main__":
    GOLDEN.mkdir(exist_ok=True)
    for path in GOLDEN.iterdir():
        path.unlink()
    for name, command in TABLES.items():
        for width in WIDTHS:
            golden(name, width).write_text(printed(command, width), encoding="utf-8")
