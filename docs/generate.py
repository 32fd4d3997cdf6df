"""Write the pages that follow from the code, the command reference and the schema: `make docs`.

A test holds both current.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from llmarch_cli.cli.app import COMMANDS
from llmarch_cli.loading import specs_directory
from llmarch_cli.schema import write_schema

PAGE = Path(__file__).parent / "commands.md"
WIDTH = "100"

PREFACE = """\
# Commands

<!-- Written by `make docs` from `--help`. -->

`llmarch COMMAND --help` prints what stands here. Results go to standard output and nothing else does; diagnostics go to
standard error. Exit status: 0 fine, 1 a check failed, 2 bad input, 130 interrupted.
"""


def help_of(*arguments: str) -> str:
    """What `--help` prints, without styles and at a fixed width."""
    environment = {**os.environ, "COLUMNS": WIDTH, "TERMINAL_WIDTH": WIDTH, "NO_COLOR": "1", "TERM": "dumb"}
    run = subprocess.run(
        [sys.executable, "-m", "llmarch_cli", *arguments, "--help"],
        capture_output=True,
        text=True,
        check=True,
        env=environment,
    )
    return "\n".join(line.rstrip() for line in run.stdout.strip().splitlines())


def reference() -> str:
    """The page, as it should be."""
    sections = [PREFACE, f"```text\n{help_of()}\n```\n"]
    sections += [f"## {name}\n\n```text\n{help_of(name)}\n```\n" for name, *_ in COMMANDS]
    return "\n".join(sections)


if __name__ == "__main__":
    PAGE.write_text(reference())
    write_schema(specs_directory() / "schema.json")
