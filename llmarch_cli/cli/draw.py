"""`llmarch draw`: architectures as pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from llmarch_cli.cli import options, output

EXAMPLES = (
    "llmarch draw gemma3-27b -o gemma3-27b.svg",
    "llmarch draw deepseek-v3 kimi-k2 -o moe.png --theme dark",
    "llmarch draw my-model.yaml qwen3-8b -o my-model.pdf --ctx 32k",
)


def draw(
    models: options.Models,
    file: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="Where the picture goes; .svg, .png or .pdf says what it becomes.",
            show_default=False,
            rich_help_panel=options.OUTPUT,
        ),
    ],
    theme: Annotated[
        str,
        typer.Option(
            metavar="light|dark", autocompletion=options.among("light", "dark"), rich_help_panel=options.OUTPUT
        ),
    ] = "light",
    context: options.Context = options.DEFAULT_CONTEXT,
) -> None:
    """Architectures as pictures: layers with norms and residuals, attention, experts, and the order of all layers.

    Several models stand side by side on one scale, and what they do not have in common is highlighted.
    """
    n_tokens = options.tokens(context)
    from llmarch_cli import api

    with output.busy("drawing"):
        api.draw(models, file, theme, n_tokens)
    output.write(f"{file}\n")
