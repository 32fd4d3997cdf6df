"""`llmarch claims`: what is said of architectures, held against what is measured."""

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
        typer.Argument(metavar="FILE", help="A YAML file of claims; the bundled one if none.", show_default=False),
    ] = None,
    engine: options.Engine = None,
    file_format: options.Format = "table",
) -> None:
    """Hold statements about these architectures against measurement. Exit 1 where a verdict has changed.

    A claim is data: a statement, its models, an expression that is true where it holds, and the verdict.
    """
    output.check(file_format)
    chosen = options.engine(engine)
    from llmarch_cli.claims import claims as library
    from llmarch_cli.claims.table import findings

    said = library.read(library.bundled() if file is None else file)
    claimed = [claim for section in said.sections for claim in section.claims]
    measured = iter([library.measure(claim, chosen) for claim in output.tracked(claimed, "measuring")])
    found = [(section, list(islice(measured, len(section.claims)))) for section in said.sections]
    output.show(findings(found, said.outside), file_format)
    if not all(finding.stands for _, each in found for finding in each):
        raise typer.Exit(1)
