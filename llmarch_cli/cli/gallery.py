"""`llmarch gallery`: a static site of models."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from llmarch_cli.cli import options, output
from llmarch_cli.cli.short_help import common

EXAMPLES = (
    "llmarch gallery gpt2 'gemma3-*' -o site",
    "llmarch gallery my-model.yaml qwen3-8b --ctx 32k -o mine",
)


@options.workload(without=("prompt", "prefix", "state_dtype"))
def gallery(
    asked: options.Asked,
    models: options.AnyModels = None,
    out: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            metavar="DIRECTORY",
            help="The directory to write. Files of an earlier gallery there are replaced.",
            rich_help_panel=common(options.OUTPUT),
        ),
    ] = Path("gallery"),
    force: Annotated[
        bool,
        typer.Option(
            "--force",
            help="Write beside other files. A directory that holds any is refused without it.",
            rich_help_panel=common(options.OUTPUT),
        ),
    ] = False,
    docs: Annotated[
        str | None,
        typer.Option(
            "--docs",
            metavar="ADDRESS",
            help="Where the documentation is, from there; its pages explain mechanisms.",
            show_default=False,
            rich_help_panel=options.OUTPUT,
        ),
    ] = None,
) -> None:
    """Write a static site: a page a model, index, timeline, family tree.

    It needs no network, and compares any two models. Needs matplotlib.
    """
    from llmarch_cli import api

    with output.busy("writing the gallery"):
        index = api.gallery(models or None, out, force=force, docs=docs, **asked)
    output.write(f"{index}\n")
