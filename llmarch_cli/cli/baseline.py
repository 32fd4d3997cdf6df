"""`llmarch baseline`: metrics committed to a file, and their changes since."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from llmarch_cli.cli import options, output

EXAMPLES = (
    "llmarch baseline write baseline.yaml qwen3-8b 'gemma3-*' --ctx 8k --ctx 128k",
    "llmarch baseline compare baseline.yaml",
    "llmarch baseline compare baseline.yaml --tolerance params=0.1% --format markdown",
)

app = typer.Typer(
    no_args_is_help=True, rich_markup_mode="rich", context_settings={"help_option_names": ["-h", "--help"]}
)

File = Annotated[Path, typer.Argument(metavar="FILE", help="The baseline, a YAML file.", show_default=False)]


@app.callback()
def baseline() -> None:
    """Commit metrics to a file, and check how they changed since."""


@app.command("write")
@options.workload(context="contexts", without=("prompt", "prefix"), unset=True)
def write(
    file: File,
    asked: options.AskedAt,
    models: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="MODEL",
            help="Bundled ids, paths of specs or configs, or quoted patterns. Default: the models in the file.",
            autocompletion=options.complete_model,
            show_default=False,
        ),
    ] = None,
    columns: options.Columns = None,
) -> None:
    """Measure models and write their metrics to a file to commit: exact, one per line, in a fixed order.

    An existing file keeps its tolerances and every setting that is not given. A new file has all bundled models, at
    128k.
    """
    keys = options.keys(columns)
    from llmarch_cli.guards import baselines
    from llmarch_cli.guards.table import written

    new = baselines.write(file, models or (), keys, asked, output.tracking("measuring"))
    output.write(written(str(file), new))


@app.command("compare")
def compare(
    file: File,
    tolerance: Annotated[
        list[str] | None,
        typer.Option(
            "--tolerance",
            metavar="COLUMN=SHARE",
            help="Allow a column this much change: params=0.1%. Overrides the file.",
            show_default=False,
        ),
    ] = None,
    engine: options.Engine = None,
    file_format: options.VerdictFormat = "table",
) -> None:
    """Show every metric that changed since the file was written. Exit 1 if one exceeds its tolerance.

    Added and removed models and metrics count as changes.
    """
    chosen = options.engine(engine)
    from llmarch_cli.guards import baselines, table

    found = baselines.compare(file, chosen, baselines.tolerances(tolerance or ()), output.tracking("measuring"))
    output.show([table.baseline(found, chosen, everything=file_format == "junit")], file_format)
    if any(drift.is_beyond for drift in found):
        raise typer.Exit(1)
