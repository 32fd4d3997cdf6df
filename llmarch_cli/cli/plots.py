"""`--plot`: to a file, or on the terminal if no file is given."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from llmarch_cli.cli import arguments, options, output
from llmarch_cli.cli.short_help import common
from llmarch_cli.errors import InputError

if TYPE_CHECKING:
    from llmarch_cli.profilers.profile import Profile
    from llmarch_cli.report.plots.data import Kind as KindName
    from llmarch_cli.report.plots.data import Plot as Drawn

TERMINAL = "-"
FILE_ENDINGS = (".svg", ".png", ".pdf")
PANEL = "Plot"
MAYBE_A_FILE = "[FILE]"

Plot = Annotated[
    str | None,
    typer.Option(
        "--plot",
        metavar=MAYBE_A_FILE,
        help="Plot on the terminal, or to a file. It ends in .svg, .png or .pdf.",
        show_default=False,
        rich_help_panel=common(PANEL),
    ),
]
Kind = Annotated[
    str | None,
    typer.Option(
        "--plot-kind",
        metavar="KIND",
        help="cache, flops, params or active. cache and flops are by context, params by component, and active against"
        " all parameters. Default: params in show, cache in compare.",
        show_default=False,
        rich_help_panel=PANEL,
    ),
]
Highlight = Annotated[
    list[str] | None,
    typer.Option(
        "--highlight",
        metavar="MODEL",
        help="Draw this model's curve in colour, and others grey. Repeatable. Default: all; of more than 8 models, the"
        " largest with each of the 8 most frequent mechanisms.",
        show_default=False,
        autocompletion=options.complete_model,
        rich_help_panel=PANEL,
    ),
]


class Command(arguments.Command):
    """A command whose `--plot` takes an optional file. A file ends in .svg or the like, which no model's name does."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the arguments. `--plot` without a file gets the terminal as its value."""
        if not any("--plot" in param.opts and param.metavar == MAYBE_A_FILE for param in self.params):
            return super().parse_args(ctx, args)
        named = []
        for argument, following in pairwise([*args, ""]):
            named.append(argument)
            if argument == "--plot" and following != TERMINAL and not following.lower().endswith(FILE_ENDINGS):
                named.append(TERMINAL)
        return super().parse_args(ctx, named)


def kind(text: str | None, usual: KindName, plot: str | None) -> KindName:
    """The kind of `--plot-kind`, or the default. Raises InputError for an unknown kind, and without `--plot`."""
    if text is None:
        return usual
    from llmarch_cli.report.plots.data import checked_kind

    named = checked_kind(text)
    if plot is None:
        raise InputError(f"--plot-kind {named} needs --plot or --plot FILE")
    return named


def require(plot: str | None, file_format: str, kind: KindName, n_curves: int = 1) -> None:
    """Raise InputError if a plot of curves that all are in colour, or of models, cannot be drawn, before measuring."""
    if plot == TERMINAL:
        if file_format != "table":
            raise InputError(f"--plot draws below a table, not below {file_format}: give a file, --plot plot.svg")
        from llmarch_cli.report.plots import data, terminal

        if kind in data.CURVED:
            terminal.require_drawable(n_curves)
    elif plot is not None:
        from llmarch_cli.report.plots import file, library

        library.checked_ending(plot)
        file.require_library()


def show(
    plot: str | None, kind: KindName, profiles: Sequence[Profile], highlighted: Sequence[str] | None = None
) -> None:
    """Draw a plot of `profiles`, if `--plot` is given."""
    if plot is None:
        return
    from llmarch_cli.report.plots import data

    put(plot, data.plot(kind, profiles, highlighted))


def put(plot: str, drawn: Drawn) -> None:
    """Draw a plot on the terminal, or to a file."""
    if plot == TERMINAL:
        output.draw(drawn)
    else:
        from llmarch_cli import writing
        from llmarch_cli.report.plots import file, library

        writing.put(Path(plot), file.render(drawn, library.checked_ending(plot)))
