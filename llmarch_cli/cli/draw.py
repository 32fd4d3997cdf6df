"""`llmarch draw`: drawings of architectures."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from llmarch_cli.cli import habits, options, output
from llmarch_cli.errors import InputError

EXAMPLES = (
    "llmarch draw gemma3-27b",
    "llmarch draw gemma3-27b -o gemma3-27b.svg",
    "llmarch draw deepseek-v3 kimi-k2 -o moe.png --theme dark",
    "llmarch draw my-model.yaml qwen3-8b -o my-model.pdf --ctx 32k",
    "llmarch draw gpt2 -o - > gpt2.svg",
)

TERMINAL = "text"
STANDARD_OUTPUT = Path("-")
FORMATS = (TERMINAL, "svg", "png", "pdf")
NO_TEXT = ("png", "pdf")


@options.workload(without=("batch", "kv_dtype", "state_dtype", "weights", "prompt", "prefix", "engine"), unset=True)
def draw(
    models: options.Models,
    asked: options.Asked,
    file: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="The file to write: .svg, .png or .pdf; - is standard output. Default: a picture in characters.",
            show_default=False,
            rich_help_panel=options.OUTPUT,
        ),
    ] = None,
    theme: Annotated[
        str,
        typer.Option(
            metavar="auto|light|dark",
            help="auto is light, and in an SVG file dark where the reader prefers dark pages.",
            autocompletion=options.among("auto", "light", "dark"),
            rich_help_panel=options.OUTPUT,
        ),
    ] = "auto",
    file_format: Annotated[
        str | None,
        options.format_option(
            FORMATS, "Default: text without -o, svg with -o -, else the ending of the file's name.", default=""
        ),
    ] = None,
) -> None:
    """Draw architectures: layers, attention, experts.

    Several models are drawn side by side on one scale, with their differences highlighted. Without --ctx, the cache is
    that of the longest context that all of them have.
    """
    chosen = _format(file, file_format)
    habits.require_models(models, [f".{ending}" for ending in FORMATS])
    if chosen in NO_TEXT and file in (None, STANDARD_OUTPUT) and output.is_terminal(sys.stdout):
        raise InputError(f"a terminal does not show a {chosen} file; write it to one, such as -o drawing.{chosen}")
    from llmarch_cli import api, writing

    if chosen == TERMINAL:
        from llmarch_cli.drawings.sketch import SIGNS

        shown = output.page(SIGNS)
        if file is not None and file != STANDARD_OUTPUT:
            shown |= {"color": False, "ascii_only": False}
        with output.busy("drawing"):
            data = api.sketch(models, **shown, **asked).encode(errors="replace")
    else:
        with output.busy("drawing"):
            data = api.drawing(models, chosen, theme=theme, **asked)
    if file is None or file == STANDARD_OUTPUT:
        output.write_bytes(data)
    else:
        writing.put(file, data)
        output.write(f"{file}\n")


def _format(file: Path | None, asked: str | None) -> str:
    """The format of a drawing. Raises InputError for a file whose name ends otherwise."""
    if file is None:
        return asked or TERMINAL
    if file == STANDARD_OUTPUT:
        return asked or "svg"
    if asked == TERMINAL:
        return asked
    from llmarch_cli.report.plots import library

    ending = library.checked_ending(file)
    if asked not in (None, ending):
        raise InputError(f"{file}: the file's name does not end in .{asked}; leave out --format, or rename it")
    return ending
