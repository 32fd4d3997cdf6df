"""`llmarch check`: limits on metrics."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from llmarch_cli.cli import options, output

EXAMPLES = (
    "llmarch check budgets.yaml",
    "llmarch check budgets.yaml --format markdown",
    "llmarch check budgets.yaml --format junit > budgets.xml",
)


def check(
    file: Annotated[
        Path,
        typer.Argument(metavar="FILE", help="A file of budgets; see `llmarch schema budgets`.", show_default=False),
    ],
    engine: options.Engine = None,
    file_format: options.VerdictFormat = "table",
) -> None:
    """Check metrics against the limits of a file.

    A limit is `kv_cache_bytes@128k <= 2GiB`, for example, or `fits(8xh100, 32k, 64)`: that 64 sequences of 32k tokens
    fit. Exit 1 if one is exceeded.

    Unknown fields, metrics and models are errors: exit 2.
    """
    chosen = options.engine(engine)
    from llmarch_cli.deployment.fit import most_sequences
    from llmarch_cli.guards import budgets, table

    checks = list(output.tracked(budgets.check(file, chosen, most_sequences), "checking"))
    output.show([table.budget(checks, chosen)], file_format)
    if not all(check.holds for check in checks):
        raise typer.Exit(1)
