"""Examples below a command's help, as they can be pasted from a narrow terminal.

Typer would fill their lines with spaces, after which no backslash joins a line with the next.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import typer
from typer.core import TyperGroup

from llmarch_cli.cli import plots

WIDTH = 74  # of a line: what a terminal of 80 columns shows unbroken, behind the margin


def listed(examples: Iterable[str]) -> str:
    """One below the other."""
    return "\n".join(("\n Examples:", *(f"   {_broken(example)}" for example in examples)))


def _broken(example: str) -> str:
    """The example in lines that a shell joins again; an option stays with its value."""
    lines = [""]
    for word in re.findall(r"(?:-+[\w-]+ )?(?:[^\s']|'[^']*')+", example):
        if lines[-1] and len(lines[-1]) + len(word) > WIDTH - len(" \\"):
            lines.append("    ")
        lines[-1] += f" {word}" if lines[-1].strip() else word
    return " \\\n   ".join(lines)


class _WithExamples:
    """Writes the epilog itself, as it is."""

    epilog: str | None

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """The help that Typer makes, and the examples below it."""
        examples, self.epilog = self.epilog, None
        super().format_help(ctx, formatter)  # type: ignore[misc]  # of the class that this one is mixed into
        self.epilog = examples
        typer.echo(examples)


class Command(_WithExamples, plots.Command):
    """A command with examples."""


class Group(_WithExamples, TyperGroup):
    """Commands with a name in common, and examples."""
