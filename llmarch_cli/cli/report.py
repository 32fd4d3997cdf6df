"""`llmarch report`: all models, or some, as one page or file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from llmarch_cli.cli import options, output
from llmarch_cli.errors import InputError, unknown

EXAMPLES = (
    "llmarch report -o report.html",
    "llmarch report deepseek-v3 glm-4.5 my-model.yaml --ctx 32k -o report.html",
    "llmarch report gpt2 my-model.yaml --format markdown",
)

FORMATS = ("html", "markdown", "json", "junit")


def report(
    models: options.AnyModels = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="Where the report goes; standard output where none is named.",
            show_default=False,
            rich_help_panel=options.OUTPUT,
        ),
    ] = None,
    file_format: Annotated[
        str,
        typer.Option(
            "--format",
            metavar="html|markdown|json|junit",
            help="html is one page that needs no network; markdown is for summaries and comments, junit for CI.",
            rich_help_panel=options.OUTPUT,
        ),
    ] = "html",
    with_plots: Annotated[
        bool,
        typer.Option("--plots/--no-plots", help="With or without plots in the page.", rich_help_panel=options.OUTPUT),
    ] = True,
    context: options.Context = options.DEFAULT_CONTEXT,
    batch: options.Batch = 1,
    kv_dtype: options.KvDtype = "bf16",
    engine: options.Engine = None,
) -> None:
    """A report to look at or to post: every model in a sortable table, any two side by side, at any context."""
    if file_format not in FORMATS:
        raise InputError(unknown("format", file_format, FORMATS))
    if file_format == "html" and with_plots:
        from llmarch_cli.report.plots import figure

        figure.check_installed("plots in a report", "leave them out: --no-plots")
    n_tokens = options.tokens(context)
    from llmarch_cli import api

    text = api.report(
        models or None,
        file_format,
        n_tokens,
        batch,
        options.kv_dtype(kv_dtype),
        options.engine(engine),
        with_plots,
        track=lambda specs: output.tracked(specs, "profiling"),
    )
    if out is None:
        output.write(text)
    else:
        out.write_text(text, encoding="utf-8")
        output.write(f"{out}\n")
