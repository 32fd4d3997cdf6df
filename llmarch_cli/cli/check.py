"""`llmarch check`: limits that figures must keep."""

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
        Path, typer.Argument(metavar="FILE", help="Budgets: `llmarch schema budgets`.", show_default=False)
    ],
    engine: options.Engine = None,
    file_format: options.VerdictFormat = "table",
) -> None:
    """Hold figures to the limits of a file, such as `kv_cache_bytes@128k <= 2GiB`. Exit 1 where one is not kept.

    Unknown fields, metrics and models are errors: exit 2.
    """
    output.check(file_format, verdicts=True)
    chosen = options.engine(engine)
    from llmarch_cli.guards import budgets, table

    checks = list(output.tracked(budgets.check(file, chosen), "checking"))
    output.show([table.budget(checks, chosen)], file_format)
    if not all(check.holds for check in checks):
        raise typer.Exit(1)
