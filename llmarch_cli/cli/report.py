"""`llmarch report`: a comparison as one page or file."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from llmarch_cli.cli import habits, options, output
from llmarch_cli.cli.short_help import common
from llmarch_cli.errors import InputError
from llmarch_cli.report.formats.render import VERDICT_FORMATS

EXAMPLES = (
    "llmarch report -o report.html",
    "llmarch report deepseek-v3 glm-4.5 my-model.yaml --ctx 32k -o report.html",
    "llmarch report gpt2 my-model.yaml --format markdown",
    "llmarch report my-model.yaml --format junit -o report.xml",
)

FORMATS = ("html", *(name for name in VERDICT_FORMATS if name != "table"))


@options.workload(without=("prompt", "prefix"))
def report(
    asked: options.Asked,
    models: options.AnyModels = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="The file to write. Default: standard output.",
            show_default=False,
            rich_help_panel=common(options.OUTPUT),
        ),
    ] = None,
    file_format: Annotated[
        str,
        options.format_option(
            FORMATS, "html is one page that needs no network; markdown is for summaries and comments, junit for CI."
        ),
    ] = "html",
    pictures: Annotated[
        bool,
        typer.Option(
            "--pictures/--no-pictures",
            help="Put plots and drawings into the page. Needs matplotlib.",
            rich_help_panel=options.OUTPUT,
        ),
    ] = True,
) -> None:
    """Write one HTML file: all models, any two side by side.

    In junit format, each model is a test. It fails, with exit status 1, if the engines disagree or a published number
    does not hold.
    """
    habits.require_models(models or (), [".html"])
    if file_format == "html" and out is None and output.is_terminal(sys.stdout):
        raise InputError("a terminal does not show a page; write it to a file, such as -o report.html")
    if file_format == "html" and pictures:
        from llmarch_cli.report.plots import library

        library.require("a report with pictures", "leave them out: --no-pictures")
    from llmarch_cli import api

    track = output.tracking("profiling")
    failed = False
    if file_format == "junit":
        from llmarch_cli.report.formats.render import render

        table = api.checked(models or None, track=track, **asked)
        text, failed = render([table], file_format), bool(table.failures)
    else:
        with output.busy("writing the report"):
            text = api.report(models or None, file_format=file_format, pictures=pictures, track=track, **asked)
    if out is None:
        output.write(text)
    else:
        from llmarch_cli.writing import put

        put(out, text.encode())
        output.write(f"{out}\n")
    if failed:
        raise typer.Exit(1)
