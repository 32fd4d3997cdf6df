"""`llmarch baseline`: figures as they were agreed to, in a file, and how far they moved since."""

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
    """Commit figures, and see how far they moved since."""


@app.command("write")
def write(
    file: File,
    models: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="MODEL",
            help="Bundled ids, paths to YAML files, or quoted patterns of either; if none, what the file has.",
            autocompletion=options.complete_model,
            show_default=False,
        ),
    ] = None,
    contexts: Annotated[
        list[str] | None,
        typer.Option("--ctx", metavar="TOKENS", help="Tokens in view; may be given several times.", show_default=False),
    ] = None,
    batch: Annotated[
        int | None,
        typer.Option("--batch", metavar="N", help="Sequences.", parser=options.number("--batch"), show_default=False),
    ] = None,
    kv_dtype: Annotated[
        str | None,
        typer.Option("--kv-dtype", metavar="bf16|fp16|fp32|fp8", help="What the cache stores.", show_default=False),
    ] = None,
    columns: options.Columns = None,
    engine: options.Engine = None,
) -> None:
    """Measure, and write figures to a file that is fit to be committed: one a line, exact, in a fixed order.

    A file that is there already keeps its tolerances, and whatever else is not given. Without one: all bundled models
    at 128k.
    """
    n_tokens = [options.tokens(context) for context in contexts or ()]
    dtype = None if kv_dtype is None else options.kv_dtype(kv_dtype)
    chosen, keys = options.engine(engine), options.keys(columns)
    from llmarch_cli.guards import baselines
    from llmarch_cli.guards.table import written

    new = baselines.write(file, models or (), n_tokens, keys, batch, dtype, chosen, output.tracking("measuring"))
    output.write(written(str(file), new))


@app.command("compare")
def compare(
    file: File,
    tolerance: Annotated[
        list[str] | None,
        typer.Option(
            "--tolerance",
            metavar="COLUMN=SHARE",
            help="How far a column may move, such as params=0.1%; goes before the file's own.",
            show_default=False,
        ),
    ] = None,
    engine: options.Engine = None,
    file_format: options.VerdictFormat = "table",
) -> None:
    """Every figure that moved since the file was written: before, after and change. Exit 1 beyond tolerance.

    Models and figures that came or went are told, too, and count as drift.
    """
    output.check(file_format, verdicts=True)
    chosen = options.engine(engine)
    from llmarch_cli.guards import baselines, table

    found = baselines.compare(file, chosen, baselines.tolerances(tolerance or ()), output.tracking("measuring"))
    output.show([table.baseline(found, chosen, everything=file_format == "junit")], file_format)
    if any(drift.is_beyond for drift in found):
        raise typer.Exit(1)
