"""Printing: results on standard output, as wide as its terminal; progress on standard error."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TextIO, TypedDict, TypeVar

import typer

from llmarch_cli.cli import status
from llmarch_cli.cli.status import is_terminal as is_terminal

if TYPE_CHECKING:
    from llmarch_cli.report.plots.data import Plot
    from llmarch_cli.report.table import Table
    from llmarch_cli.specs.spec import ModelSpec

Item = TypeVar("Item")

WIDTH_WITHOUT_TERMINAL = 100


def show(tables: Sequence[Table], file_format: str, exact: bool = False) -> None:
    """Print a report."""
    from llmarch_cli.report.formats.render import BLOCKS, render

    write(render(tables, file_format, exact, _width(), _has_styles(sys.stdout), not _encodes(BLOCKS)))


def tracked(items: Iterable[Item], words: str) -> Iterator[Item]:
    """`items`, with a progress bar on standard error if that is a terminal."""
    if not is_terminal(sys.stderr):
        yield from items
        return
    from rich.console import Console
    from rich.progress import track

    with status.hidden():
        yield from track(items, words, console=Console(stderr=True), transient=True)


def tracking(words: str) -> Callable[[Iterable[Item]], Iterator[Item]]:
    """`tracked` as a function of the items, for the library."""
    return lambda items: tracked(items, words)


@contextmanager
def busy(words: str) -> Iterator[None]:
    """Say on standard error, if that is a terminal, what goes on."""
    with status.doing(words):
        yield


def note(text: str) -> None:
    """Print a line on standard error, beside the result."""
    if sys.stderr is not None:
        with status.hidden():
            typer.echo(text, err=True, color=_has_styles(sys.stderr) or None)


def draw(plot: Plot) -> None:
    """Draw a plot on the terminal."""
    from llmarch_cli.report.plots import terminal

    write("\n" + terminal.render(plot, _width(), _has_styles(sys.stdout), not _encodes("█─⣀")))


def save(spec: ModelSpec, path: str | None) -> None:
    """Write a spec to a new file, if one is given. Raises InputError like `spec_file.write`."""
    if path is not None:
        from llmarch_cli.specs import spec_file

        spec_file.write(spec, Path(path))


def write(text: str) -> None:
    """Print `text`. If the reader closes the pipe, exit quietly."""
    with _quietly(), status.hidden():
        sys.stdout.write(text)
        sys.stdout.flush()


@contextmanager
def _quietly() -> Iterator[None]:
    """Exit without a message if the reader closes the pipe."""
    try:
        yield
    except OSError as error:
        # Python flushes again at exit and would print a second error.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if isinstance(error, BrokenPipeError):
            raise typer.Exit from None
        raise


def write_bytes(contents: bytes) -> None:
    """Print bytes as `write` prints text."""
    with _quietly(), status.hidden():
        sys.stdout.flush()
        sys.stdout.buffer.write(contents)
        sys.stdout.buffer.flush()


class Page(TypedDict):
    """What standard output can show."""

    width: int
    color: bool
    ascii_only: bool


def page(signs: str) -> Page:
    """The width of standard output, and whether it shows colours, and these characters."""
    return {"width": _width(), "color": _has_styles(sys.stdout), "ascii_only": not _encodes(signs)}


def _width() -> int:
    """The value of COLUMNS, or the width of the terminal, also if the output goes to a pager."""
    if width := shutil.get_terminal_size((0, 0)).columns:
        return width
    for stream in (sys.stderr, sys.stdin):
        try:
            if stream is not None and (width := os.get_terminal_size(stream.fileno()).columns):
                return width
        except (OSError, ValueError):  # not a terminal, or closed
            continue
    return WIDTH_WITHOUT_TERMINAL


def styled(word: str, colour: str) -> str:
    """A word of standard error in a colour, if it has any."""
    return typer.style(word, fg=colour, bold=True) if _has_styles(sys.stderr) else word


def _has_styles(stream: TextIO | None) -> bool:
    """Whether to write escape codes: to a terminal that knows them, or where FORCE_COLOR asks for them.

    NO_COLOR forbids them in any case (no-color.org).
    """
    if os.environ.get("NO_COLOR"):
        return False
    if forced := os.environ.get("FORCE_COLOR"):
        return forced not in ("0", "false")
    return os.environ.get("TERM") != "dumb" and is_terminal(stream)


def _encodes(text: str) -> bool:
    try:
        text.encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:
        return False
    return True
