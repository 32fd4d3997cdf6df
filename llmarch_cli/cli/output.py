"""Where results go: standard output, as wide as its terminal, with styles only where there is one that wants them."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import typer

if TYPE_CHECKING:
    from llmarch_cli.report.plots.data import Plot
    from llmarch_cli.report.table import Table
    from llmarch_cli.specs.spec import ModelSpec

Item = TypeVar("Item")

WIDTH_WITHOUT_TERMINAL = 100


def check(file_format: str, verdicts: bool = False) -> None:
    """Raise InputError for an unknown format, before anything is measured for it.

    With `verdicts`, also those for reports whose rows pass or fail.
    """
    from llmarch_cli.report.formats import render

    render.check(file_format, render.VERDICT_FORMATS if verdicts else render.FORMATS)


def show(tables: Sequence[Table], file_format: str, exact: bool = False) -> None:
    """Print a report."""
    from llmarch_cli.report.formats.render import render

    write(render(tables, file_format, exact, _width(), _has_styles(), not _encodes("█─")))


def tracked(items: Iterable[Item], words: str) -> Iterator[Item]:
    """`items`, with progress on standard error where that is a terminal."""
    if not sys.stderr.isatty():
        yield from items
        return
    from rich.console import Console
    from rich.progress import track

    yield from track(items, words, console=Console(stderr=True), transient=True)


def tracking(words: str) -> Callable[[Iterable[Item]], Iterator[Item]]:
    """The same for the library, which is handed what tracks its work."""
    return lambda items: tracked(items, words)


@contextmanager
def busy(words: str) -> Iterator[None]:
    """A sign on standard error that something goes on, where that is a terminal."""
    if not sys.stderr.isatty():
        yield
        return
    from rich.console import Console

    with Console(stderr=True).status(words):
        yield


def draw(plot: Plot) -> None:
    """Draw a plot below what stands there already."""
    from llmarch_cli.report.plots import terminal

    write("\n" + terminal.render(plot, _width(), _has_styles(), not _encodes("█─⣀")))


def save(spec: ModelSpec, path: str | None) -> None:
    """Write a spec to a new file, where one is asked for. Raises InputError as `spec_file.write` does."""
    if path is not None:
        from llmarch_cli.specs import spec_file

        spec_file.write(spec, Path(path))


def write(text: str) -> None:
    """Print `text` whole. A reader that has seen enough and closes the pipe is no error."""
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except OSError as error:
        # Said once: at exit Python writes again what is left, and would complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if isinstance(error, BrokenPipeError):
            raise typer.Exit from None
        raise


def _width() -> int:
    """COLUMNS, or the terminal's: that of another stream where the output goes to a pager."""
    if width := shutil.get_terminal_size((0, 0)).columns:
        return width
    for stream in (sys.stderr, sys.stdin):
        try:
            if width := os.get_terminal_size(stream.fileno()).columns:
                return width
        except (OSError, ValueError):  # no terminal, or closed
            continue
    return WIDTH_WITHOUT_TERMINAL


def _has_styles() -> bool:
    wanted = not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    return wanted and sys.stdout.isatty()


def _encodes(text: str) -> bool:
    try:
        text.encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:
        return False
    return True
