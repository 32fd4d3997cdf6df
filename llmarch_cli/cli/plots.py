"""`--plot`: to a file, or on the terminal where no file is named."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand

from llmarch_cli.cli import output
from llmarch_cli.errors import InputError

if TYPE_CHECKING:
    from llmarch_cli.report.plots.data import Kind as KindName
    from llmarch_cli.report.plots.data import Plot as Plotted

TERMINAL = "-"
FILE_ENDINGS = (".svg", ".png", ".pdf")
PANEL = "What is drawn"
MAYBE_A_FILE = "[FILE]"

Plot = Annotated[
    str | None,
    typer.Option(
        "--plot",
        metavar=MAYBE_A_FILE,
        help="Draw too: to a file that ends in .svg, .png or .pdf, or on the terminal where none is named.",
        show_default=False,
        rich_help_panel=PANEL,
    ),
]
Kind = Annotated[
    str | None,
    typer.Option(
        "--plot-kind",
        metavar="cache|flops|params|active",
        help="What --plot draws: KV cache or FLOPs per token by context, parameters by component, or all parameters and"
        " the active ones; unless told, params in show and cache in compare.",
        show_default=False,
        rich_help_panel=PANEL,
    ),
]


class Command(TyperCommand):
    """A command whose `--plot` may stand alone: only what ends like a picture is its file, and no model's name does."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """The arguments, with the terminal named where `--plot` names no file and need not."""
        if not any("--plot" in param.opts and param.metavar == MAYBE_A_FILE for param in self.params):
            return super().parse_args(ctx, args)
        named = []
        for argument, following in pairwise([*args, ""]):
            named.append(argument)
            if argument == "--plot" and following != TERMINAL and not following.lower().endswith(FILE_ENDINGS):
                named.append(TERMINAL)
        return super().parse_args(ctx, named)


def kind(text: str | None, usual: KindName, plot: str | None) -> KindName:
    """The kind of plot named, or the usual one. Raises InputError where there is none of that name, and no plot."""
    if text is None:
        return usual
    from llmarch_cli.report.plots.data import checked_kind

    named = checked_kind(text)
    if plot is None:
        raise InputError(f"--plot-kind {named} says what --plot draws: add --plot, or --plot FILE")
    return named


def check(plot: str | None, file_format: str, kind: KindName, n_models: int) -> None:
    """Raise InputError for where nothing can be drawn of `n_models`, before anything is measured for it."""
    if plot == TERMINAL:
        if file_format != "table":
            raise InputError(f"--plot draws below a table, not below {file_format}: name a file, --plot plot.svg")
        from llmarch_cli.report.plots import data, terminal

        if kind in data.CURVED:
            terminal.check(n_models)
    elif plot is not None:
        from llmarch_cli.report.plots import file, library

        library.checked_ending(plot)
        file.check()


def show(plot: str | None, drawn: Callable[[], Plotted]) -> None:
    """Draw where it was asked for, if it was."""
    if plot == TERMINAL:
        output.draw(drawn())
    elif plot is not None:
        from llmarch_cli.report.plots import file, library
        from llmarch_cli.writing import put

        put(Path(plot), file.render(drawn(), library.checked_ending(plot)))
