"""Help that fits a screen: the options used most, and the names of the others.

Typer explains every option, which takes up to a hundred lines on a terminal of 80 columns. `--help-all` prints that.
An option is declared to be used often where it is declared: `rich_help_panel=common(PANEL)`. Others are only named.
"""

from __future__ import annotations

import copy
import io
import re
import sys
from collections.abc import Callable, Iterable
from contextlib import redirect_stdout
from itertools import takewhile
from typing import Any

from llmarch_cli.cli import output

ALL = "--help-all"
ELSEWHERE = f"explained by {ALL}"
WHOLE = 44  # lines: help that takes no more is shown whole
OPTIONS = "Options"  # Typer's panel of options that name none


class _Common(str):
    __slots__ = ()


def common(panel: str = OPTIONS) -> str:
    """The name of a panel of the help, for an option that the short help explains too."""
    return _Common(panel)


def is_common(param: Any) -> bool:
    """Whether the short help explains a parameter: an argument, what is required, and what is declared so."""
    return (
        param.param_type_name == "argument" or bool(param.required) or isinstance(param.rich_help_panel, _Common)
    ) and not param.hidden


class OnAScreen:
    """A command whose help fits a screen, with its examples unchanged below it, and with `--help-all`."""

    epilog: str | None
    _is_short = False
    _help_all: Any = None

    def get_params(self, ctx: Any) -> list[Any]:
        """The parameters; while the short help is written, those that it explains."""
        params = self._every(ctx)
        return _shortened(params) if self._is_short else params

    def _every(self, ctx: Any) -> list[Any]:
        params: list[Any] = super().get_params(ctx)  # type: ignore[misc]  # of the class this is mixed into
        usual = self.get_help_option(ctx)  # type: ignore[attr-defined]
        if usual is None:
            return params
        if self._help_all is None:  # made once: parsed options are found by identity
            self._help_all = copy.copy(usual)
            self._help_all.name, self._help_all.opts, self._help_all.help = "help_all", [ALL], "Explain every option."
            self._help_all.callback = _printing(self.whole_help)
            usual.callback = _printing(self.help_on_a_screen)  # Typer's fails if the pipe is closed
        return [*params, self._help_all]

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the arguments. `--help --all` is `--help-all`."""
        first = set(takewhile(lambda each: each.startswith("-"), args))
        if "--all" in first and first.intersection(ctx.help_option_names):
            args = [ALL]
        return super().parse_args(ctx, args)  # type: ignore[misc,no-any-return]

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help of a command without arguments."""
        output.write(self.help_on_a_screen(ctx))

    def help_on_a_screen(self, ctx: Any) -> str:
        """The whole help if it is short enough, else the short help."""
        whole = self.whole_help(ctx)
        return whole if whole.count("\n") <= WHOLE else self._short_help(ctx)

    def whole_help(self, ctx: Any) -> str:
        """Typer's help, and the examples."""
        return self._with_examples(self._typers_help(ctx))

    def _short_help(self, ctx: Any) -> str:
        self._is_short = True
        try:
            explained = self._typers_help(ctx)
        finally:
            self._is_short = False
        return self._with_examples(explained + _printed(lambda: _print_names(self._every(ctx))))

    def _typers_help(self, ctx: Any) -> str:
        formatter = ctx.make_formatter()  # which Typer uses where rich is turned off
        kept, self.epilog = self.epilog, None  # Typer would pad the lines of examples
        try:
            printed = _printed(lambda: super(OnAScreen, self).format_help(ctx, formatter))  # type: ignore[misc]
            return printed + str(formatter.getvalue())
        finally:
            self.epilog = kept

    def _with_examples(self, text: str) -> str:
        return f"{text}{self.epilog}\n" if self.epilog else text


def _printing(text: Callable[[Any], str]) -> Callable[[Any, Any, bool], None]:
    """The callback of an option that prints a text and ends the program."""

    def callback(ctx: Any, _: Any, wanted: bool) -> None:
        if wanted and not ctx.resilient_parsing:
            output.write(text(ctx))
            ctx.exit()

    return callback


def _shortened(params: Iterable[Any]) -> list[Any]:
    """Copies of the parameters that the short help explains. Its options share a panel.

    What is required comes first, then what has no panel of its own in the whole help.
    """
    explained = filter(is_common, params)
    return [
        param if param.param_type_name == "argument" else _in_a_line(param)
        for param in sorted(explained, key=lambda param: (not param.required, _panel(param) != OPTIONS))
    ]


def _in_a_line(option: Any) -> Any:
    short = copy.copy(option)
    short.rich_help_panel = None
    short.help = first_sentence(option.help or "")
    long = [name for name in option.opts if name.startswith("--")][:1]
    short.opts = [",".join((*long, *(name for name in option.opts if not name.startswith("--"))))]  # in one column
    return short


def first_sentence(text: str) -> str:
    """A text up to the first full stop that ends a word: not one of `...` or of `.svg`."""
    return re.split(r"(?<=[\w`)']\.)\s", text, maxsplit=1)[0]


def _panel(param: Any) -> str:
    return str(param.rich_help_panel or OPTIONS)


def _print_names(params: Iterable[Any]) -> None:
    """Print a panel with the names of the options that the short help does not explain, in the groups of the whole."""
    options = [param for param in params if param.param_type_name == "option" and not param.hidden]
    named: dict[str, list[str]] = {OPTIONS: []}
    for option in options:
        if not is_common(option):
            names = (*sorted(option.opts, key=lambda name: not name.startswith("--")), *option.secondary_opts)
            named.setdefault(_panel(option), []).append("/".join(names))
    if not any(named.values()):
        return
    title = "More options" if any(map(is_common, options)) else "Options"
    from rich.console import Console
    from rich.panel import Panel
    from rich.table import Table
    from rich.text import Text
    from typer import rich_utils as typers

    table = Table.grid("", "", padding=(0, 1, 0, 0), expand=True)
    table.columns[1].ratio = 1
    for panel, each in named.items():
        if each:
            table.add_row(Text(panel), Text(", ").join(Text(names, style=typers.STYLE_OPTION) for names in each))
    console = Console(
        width=typers.MAX_WIDTH, color_system=typers.COLOR_SYSTEM, force_terminal=typers.FORCE_TERMINAL, highlight=False
    )
    title += f", {ELSEWHERE}"
    console.print(Panel(table, title=title, title_align="left", border_style=typers.STYLE_OPTIONS_PANEL_BORDER))


def _printed(write: Callable[[], None]) -> str:
    """What `write` prints, as standard output would get it."""
    with redirect_stdout(_InMemory(sys.stdout)) as text:
        write()
    return text.getvalue()


class _InMemory(io.StringIO):
    """Text in memory that has the encoding and the styles of a stream."""

    def __init__(self, stream: Any) -> None:
        super().__init__()
        self._stream = stream

    @property
    def encoding(self) -> str:  # type: ignore[override]  # read only there too
        return str(self._stream.encoding or "utf-8")

    def isatty(self) -> bool:
        return output.is_terminal(self._stream)
