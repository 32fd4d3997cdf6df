"""Examples below a command's help that can be pasted from a narrow terminal.

Typer would pad their lines with spaces, and a backslash before spaces does not continue a line.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from llmarch_cli.cli import arguments, plots, short_help

WIDTH = 74  # the longest line that a terminal of 80 columns shows unbroken after the margin


def listed(examples: Iterable[str]) -> str:
    """The examples, one per line."""
    return "\n".join(("\n Examples:", *(f"   {_broken(example)}" for example in examples)))


def _broken(example: str) -> str:
    """The example split into lines joined by backslashes. An option stays with its value."""
    lines = [""]
    for word in re.findall(r"(?:-+[\w-]+ )?(?:[^\s']|'[^']*')+", example):
        if lines[-1] and len(lines[-1]) + len(word) > WIDTH - len(" \\"):
            lines.append("    ")
        lines[-1] += f" {word}" if lines[-1].strip() else word
    return " \\\n   ".join(lines)


class Command(short_help.OnAScreen, plots.Command):
    """A command with examples."""


class Group(short_help.OnAScreen, arguments.Group):
    """A group of commands with examples."""
