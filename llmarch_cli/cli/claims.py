"""`llmarch claims`: statements about architectures, checked by measuring."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import Annotated

import typer

from llmarch_cli.cli import options, output

EXAMPLES = (
    "llmarch claims",
    "llmarch claims --engine closed-form --format markdown",
)


def claims(
    file: Annotated[
        Path | None,
        typer.Argument(metavar="FILE", help="A YAML file of claims. Default: the bundled file.", show_default=False),
    ] = None,
    engine: options.Engine = None,
    file_format: options.Format = "table",
) -> None:
    """Check statements about architectures by measuring.

    Exit 1 if a verdict has changed.

    A claim has a statement, its models, an expression to evaluate, and the expected verdict.
    """
    chosen = options.engine(engine)
    from llmarch_cli.claims import claims as library
    from llmarch_cli.claims.table import findings

    file_claims = library.read(library.bundled() if file is None else file)
    claimed = [claim for section in file_claims.sections for claim in section.claims]
    measured = iter([library.measure(claim, chosen) for claim in output.tracked(claimed, "measuring")])
    found = [(section, list(islice(measured, len(section.claims)))) for section in file_claims.sections]
    output.show(findings(found, file_claims.outside), file_format)
    if not all(finding.confirmed for _, each in found for finding in each):
        raise typer.Exit(1)
