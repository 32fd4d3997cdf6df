"""Examples below a command's help that can be pasted from a narrow terminal.

Typer would pad their lines with spaces, and a backslash before spaces does not continue a line.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import typer

from llmarch_cli.cli import arguments, output, plots

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


class _WithExamples:
    """Writes the epilog unchanged."""

    epilog: str | None

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write Typer's help, and the examples below it."""
        examples, self.epilog = self.epilog, None
        try:
            super().format_help(ctx, formatter)  # type: ignore[misc]  # of the class this is mixed into
        except SystemExit:  # from rich, if the reader closes the pipe
            raise typer.Exit from None
        self.epilog = examples
        output.write(f"{examples}\n")


class Command(_WithExamples, plots.Command):
    """A command with examples."""


class Group(_WithExamples, arguments.Group):
    """A group of commands with examples."""
