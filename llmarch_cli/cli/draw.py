"""`llmarch draw`: drawings of architectures."""

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


@options.workload(without=("batch", "kv_dtype", "state_dtype", "weights", "prompt", "prefix", "engine"))
def draw(
    models: options.Models,
    asked: options.Asked,
    file: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="The file to write: .svg, .png or .pdf.",
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
) -> None:
    """Draw architectures: layers, attention, experts.

    Several models are drawn side by side on one scale, with their differences highlighted.
    """
    from llmarch_cli import api

    with output.busy("drawing"):
        api.draw(models, file, theme=theme, **asked)
    output.write(f"{file}\n")
