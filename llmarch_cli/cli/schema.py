"""`llmarch schema`: the JSON schemas of the YAML files."""

from __future__ import annotations

from typing import Annotated

import typer

from llmarch_cli.cli import output

EXAMPLES = ("llmarch schema > spec.schema.json", "llmarch schema budgets > budgets.schema.json")


def schema(
    of: Annotated[str, typer.Argument(metavar="spec|budgets|baseline|chip", help="The kind of file.")] = "spec",
) -> None:
    """Print the JSON schema of a spec, a budget, a baseline or a chip.

    It has every field with its type and bounds.
    """
    from llmarch_cli.schema import render

    output.write(render(of))
