"""`llmarch columns`: the conventions of the metrics."""

from __future__ import annotations

from typing import Annotated

import typer

from llmarch_cli.cli import options, output

EXAMPLES = (
    "llmarch columns",
    "llmarch columns active_params kv_bytes_per_token",
)


def columns(
    keys: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="COLUMN",
            help="Show only these columns.",
            autocompletion=options.complete_column,
            show_default=False,
        ),
    ] = None,
    file_format: options.Format = "table",
) -> None:
    """List the columns of tables with their conventions."""
    from llmarch_cli.report.columns import listing

    output.show([listing(keys or ())], file_format)
