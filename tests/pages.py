"""The commands of the documentation, and the outputs that its pages show for them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "docs" / "examples"
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])


class Command(NamedTuple):
    """A command of a page, and the output that the page shows for it, if any."""

    page: str
    line: str
    output: str


def blocks(page: Path, language: str) -> Iterator[str]:
    """The code blocks of a page in one language, also those indented in lists."""
    for _, block in re.findall(rf"^( *)```{language}\n(.*?)^\1```", page.read_text(), re.MULTILINE | re.DOTALL):
        yield dedent(block)


def _commands() -> Iterator[Command]:
    for page in PAGES:
        for block in blocks(page, "console"):
            for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
                line, _, output = part.partition("\n")
                yield Command(page.name, line.split("  #")[0].strip(), output)


COMMANDS = sorted(set(_commands()))

# What tests run: each command once, however many pages have it.
DOCUMENTED = sorted({command.line for command in COMMANDS if command.line.startswith("llmarch ")})
