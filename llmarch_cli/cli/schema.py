"""`llmarch schema`: every field of a file, for editors and for readers."""

from __future__ import annotations

from typing import Annotated

import typer

from llmarch_cli.cli import output

EXAMPLES = ("llmarch schema > spec.schema.json", "llmarch schema budgets > budgets.schema.json")


def schema(
    of: Annotated[str, typer.Argument(metavar="spec|budgets|baseline", help="What sort of file.")] = "spec",
) -> None:
    """The JSON schema of a spec, a file of budgets or a baseline: every field with its type and bounds."""
    from llmarch_cli.schema import render

    output.write(render(of))
