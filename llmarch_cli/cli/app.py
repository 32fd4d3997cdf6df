"""The `llmarch` command. To add a subcommand: a file in this package, and a line below.

A subcommand imports the library inside its function, so that `--help` and completion stay fast.
"""

from __future__ import annotations

import inspect
import os
import re
import sys
import warnings
from collections.abc import Callable, Iterable
from functools import partial
from importlib import import_module
from typing import Annotated, Any, NamedTuple

import typer

from llmarch_cli.cli import habits, interrupts, output, pasted, status
from llmarch_cli.errors import InputError, LlmarchError, shown, shown_path, suggestion

UsageError: type[Exception] = typer.BadParameter.__mro__[1]  # it has no public name

INSPECT, COMPARE, SEARCH, EXPLAIN, CI = "Inspect", "Compare", "Search", "Explain and verify", "CI"

# The name, the panel of `--help`, and the module and function of each command.
COMMANDS = (
    ("list", INSPECT, "list.list_models"),
    ("show", INSPECT, "show.show"),
    ("import", INSPECT, "import_.import_"),
    ("chips", INSPECT, "chips.chips"),
    ("compare", COMPARE, "compare.compare"),
    ("diff", COMPARE, "diff.diff"),
    ("kvcache", COMPARE, "kvcache.kvcache"),
    ("draw", COMPARE, "draw.draw"),
    ("report", COMPARE, "report.report"),
    ("gallery", COMPARE, "gallery.gallery"),
    ("sweep", SEARCH, "sweep.sweep"),
    ("fit", SEARCH, "fit.fit"),
    ("train", SEARCH, "train.train"),
    ("columns", EXPLAIN, "columns.columns"),
    ("verify", EXPLAIN, "verify.verify"),
    ("claims", EXPLAIN, "claims.claims"),
    ("validate", CI, "validate.validate"),
    ("check", CI, "check.check"),
    ("baseline", CI, "baseline.app"),
    ("drift", CI, "drift.drift"),
    ("schema", EXPLAIN, "schema.schema"),
)

EXAMPLES = (
    "llmarch list",
    "llmarch show gemma3-27b",
    "llmarch compare deepseek-v3 llama4-maverick --ctx 128k",
    "llmarch draw qwen3-8b -o qwen3-8b.svg",
    "llmarch report -o report.html",
)


def _help(command: Callable[..., Any] | None) -> str:
    """A command's docstring with one line per paragraph, since Typer keeps the line breaks of all but the first."""
    return re.sub(r"(?<!\n)\n(?!\n)", " ", inspect.getdoc(command) or "")


class _Commands(pasted.Group):
    """The commands. A model in the place of one is an error that suggests `show`, or `compare` for several."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Find the command that the arguments name, as Typer does."""
        if args and self.get_command(ctx, args[0]) is None and not args[0].startswith("-"):
            meant = habits.command(args, (name for name, *_ in COMMANDS))
            if meant is not None:
                raise InputError(f"no such command {shown(args[0])}; did you mean `{shown_path(meant)}`?")
        return super().resolve_command(ctx, args)


class Loaded(NamedTuple):
    """A command whose module is imported: its function, or a Typer app of several, and runnable examples."""

    name: str
    panel: str
    function: Any
    examples: tuple[str, ...]


def loaded(*named: str) -> list[Loaded]:
    """The commands with these names; all commands if none is named."""
    found = []
    for name, panel, place in COMMANDS:
        if not named or name in named:
            module_name, _, function = place.partition(".")
            module = import_module(f"llmarch_cli.cli.{module_name}")
            found.append(Loaded(name, panel, getattr(module, function), module.EXAMPLES))
    return found


def built(commands: Iterable[Loaded]) -> typer.Typer:
    """The program with these commands."""
    app = typer.Typer(
        name="llmarch",
        cls=_Commands,
        epilog=pasted.listed(EXAMPLES),
        no_args_is_help=True,
        rich_markup_mode="rich",
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback(help=_help(_options))(_options)
    for name, panel, command, examples in commands:
        epilog = pasted.listed(examples)
        if isinstance(command, typer.Typer):
            app.add_typer(command, name=name, cls=pasted.Group, epilog=epilog, rich_help_panel=panel)
            for each in command.registered_commands:
                own = f"llmarch {name} {each.name} "
                each.cls = pasted.Command
                each.help = _help(each.callback)
                each.epilog = pasted.listed(line for line in examples if line.startswith(own))
        else:
            app.command(name, cls=pasted.Command, help=_help(command), epilog=epilog, rich_help_panel=panel)(command)
    return app


def _print_version(wanted: bool) -> None:
    if wanted:
        from llmarch_cli.version import __version__

        typer.echo(f"llmarch {__version__}")
        raise typer.Exit


def _options(
    version: Annotated[
        bool, typer.Option("--version", "-V", help="Print the version.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """Compare LLM architectures and their exact costs: parameters, cache, FLOPs.

    Every number is computed in two ways that share no arithmetic and must agree.
    """


def run() -> int:
    """Run the command line and return its status. Every error is printed as one line."""
    if sys.stdout is None:  # closed by the caller
        return _fail("cannot write the result: standard output is closed", 2)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # replace characters the terminal cannot encode
    try:
        with warnings.catch_warnings():
            warnings.showwarning = partial(_note, warnings.showwarning, set())
            # Only the command that is run: loading and building all of them takes longer than loading a model.
            named = [name for name, *_ in COMMANDS if name in sys.argv[1:2]]
            with status.shown():
                code: int | None = built(loaded(*named))(prog_name="llmarch", standalone_mode=False)
    except UsageError as error:
        message = _usage_message(error)
        return _fail(message, 2) if message else 2
    except LlmarchError as error:
        return _fail(str(error), 2 if isinstance(error, InputError) else 1)
    except OSError as error:
        return _fail(f"{error.filename or 'cannot write the result'}: {error.strerror}", 2)
    except ModuleNotFoundError as error:
        from llmarch_cli.extras import missing

        hint = missing((error.name or "").partition(".")[0])
        return _fail(hint or f"a library cannot be loaded: {error}", 2 if hint else 71)
    except (ImportError, MemoryError) as error:
        return _fail(
            f"{'out of memory' if isinstance(error, MemoryError) else 'a library cannot be loaded'}: {error}", 71
        )
    except Exception as error:
        if "LLMARCH_TRACEBACK" in os.environ:
            raise
        bug = f"{type(error).__name__}: {error}"
        return _fail(f"internal error, please report it: {bug}\nSet LLMARCH_TRACEBACK=1 for the traceback.", 70)
    # Python drops an exception that is raised in the callback of a weak reference, this one too.
    return interrupts.STATUS if interrupts.happened() else code or 0


_OF_ONE_MODEL = ("sweep", "import")


def _usage_message(error: Any) -> str:
    """Typer's message as one line; empty if it has printed help."""
    message, _, meant = str(error.format_message()).partition(" Did you mean ")
    command = error.ctx.command_path if error.ctx else "llmarch"
    hint = f"; did you mean {meant}" if meant else f"; see `{command} --help`"
    if hasattr(error, "possibilities"):  # of an option that there is not
        wrong = error.option_name
        meant = habits.option(wrong, error.ctx) or suggestion(wrong, error.possibilities or ())
        message, hint = error.message, meant or hint
    elif message.startswith("Missing option") and error.param is not None:
        hint = habits.example(error.param.opts[0], error.ctx) or hint
    if message.startswith("Got unexpected extra argument") and command.split()[-1] in _OF_ONE_MODEL:
        from llmarch_cli.cli import options

        hint = f"; {options.SEVERAL_MODELS}"
    return f"{message[:1].lower()}{message[1:].rstrip('.')}{hint}" if message else ""


def _note(
    usual: Callable[..., None], printed: set[str], message: Warning | str, category: type[Warning], *place: Any
) -> None:
    """Print a warning meant for users as a note, once, and any other as usual."""
    if issubclass(category, FutureWarning) and sys.stderr is not None:
        if str(message) not in printed:
            output.note(f"{output.styled('note:', 'yellow')} {message}")
        printed.add(str(message))
    else:
        usual(message, category, *place)


def _fail(message: str, status: int) -> int:
    if interrupts.happened():
        return interrupts.STATUS
    if sys.stderr is not None:
        output.note(f"{output.styled('error:', 'red')} {message}")
    return status
