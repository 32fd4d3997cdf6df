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
    "llmarch report my-model.yaml --format junit -o report.xml",
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
    with_pictures: Annotated[
        bool,
        typer.Option(
            "--pictures/--no-pictures",
            help="With or without plots and architecture figures in the page, which take matplotlib.",
            rich_help_panel=options.OUTPUT,
        ),
    ] = True,
    context: options.Context = options.DEFAULT_CONTEXT,
    batch: options.Batch = 1,
    kv_dtype: options.KvDtype = "bf16",
    engine: options.Engine = None,
) -> None:
    """A report to look at or to post: every model in a sortable table, any two side by side, at any context.

    As junit each model is a test. One fails, with exit status 1, where engines or published figures disagree.
    """
    if file_format not in FORMATS:
        raise InputError(unknown("format", file_format, FORMATS))
    if file_format == "html" and with_pictures:
        from llmarch_cli.report.plots import library

        library.require("a report with pictures", "leave them out: --no-pictures")
    n_tokens = options.tokens(context)
    from llmarch_cli import api

    asked = (n_tokens, batch, options.kv_dtype(kv_dtype), options.engine(engine))
    track = output.tracking("profiling")
    failed = False
    if file_format == "junit":
        from llmarch_cli.report.formats.render import render

        table = api.checked(models or None, *asked, track=track)
        text, failed = render([table], file_format), bool(table.failures)
    else:
        text = api.report(models or None, file_format, *asked, with_pictures, track=track)
    if out is None:
        output.write(text)
    else:
        from llmarch_cli.writing import put

        put(out, text.encode())
        output.write(f"{out}\n")
    if failed:
        raise typer.Exit(1)
