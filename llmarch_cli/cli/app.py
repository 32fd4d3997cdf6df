"""The `llmarch` command. To add a subcommand: a file in this package, and a line below.

A subcommand's file imports the library inside its function: `--help` and completion must not wait for it.
"""

from __future__ import annotations

import inspect
import os
import re
import sys
from collections.abc import Callable
from typing import Annotated, Any

import typer

from llmarch_cli.cli import (
    baseline,
    check,
    claims,
    columns,
    compare,
    diff,
    draw,
    drift,
    kvcache,
    pasted,
    report,
    schema,
    show,
    sweep,
    validate,
    verify,
)
from llmarch_cli.cli import import_ as import_command
from llmarch_cli.cli import list as list_
from llmarch_cli.errors import InputError, LlmarchError, suggestion

UsageError: type[Exception] = typer.BadParameter.__mro__[1]  # which has no public name

LOOK, COMPARE, DESIGN = "Look at models", "Compare them", "Design one"
EXPLAIN, GUARD = "Understand the figures", "Guard them"

# Name, panel of `--help`, function, and examples that work when pasted.
COMMANDS = (
    ("list", LOOK, list_.list_models, list_.EXAMPLES),
    ("show", LOOK, show.show, show.EXAMPLES),
    ("import", LOOK, import_command.import_, import_command.EXAMPLES),
    ("compare", COMPARE, compare.compare, compare.EXAMPLES),
    ("diff", COMPARE, diff.diff, diff.EXAMPLES),
    ("kvcache", COMPARE, kvcache.kvcache, kvcache.EXAMPLES),
    ("draw", COMPARE, draw.draw, draw.EXAMPLES),
    ("report", COMPARE, report.report, report.EXAMPLES),
    ("sweep", DESIGN, sweep.sweep, sweep.EXAMPLES),
    ("columns", EXPLAIN, columns.columns, columns.EXAMPLES),
    ("verify", EXPLAIN, verify.verify, verify.EXAMPLES),
    ("claims", EXPLAIN, claims.claims, claims.EXAMPLES),
    ("validate", GUARD, validate.validate, validate.EXAMPLES),
    ("check", GUARD, check.check, check.EXAMPLES),
    ("baseline", GUARD, baseline.app, baseline.EXAMPLES),
    ("drift", GUARD, drift.drift, drift.EXAMPLES),
    ("schema", EXPLAIN, schema.schema, schema.EXAMPLES),
)

EXAMPLES = (
    "llmarch list",
    "llmarch show gemma3-27b",
    "llmarch compare deepseek-v3 llama4-maverick --ctx 128k",
)


def _said(command: Callable[..., Any] | None) -> str:
    """What a command's docstring says, a paragraph a line: help keeps every break but those of the first paragraph."""
    return re.sub(r"(?<!\n)\n(?!\n)", " ", inspect.getdoc(command) or "")


app = typer.Typer(
    name="llmarch",
    cls=pasted.Group,
    epilog=pasted.listed(EXAMPLES),
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

for name, panel, command, examples in COMMANDS:
    epilog = pasted.listed(examples)
    if isinstance(command, typer.Typer):
        app.add_typer(command, name=name, cls=pasted.Group, epilog=epilog, rich_help_panel=panel)
        for each in command.registered_commands:
            each.cls = pasted.Command
            each.help = _said(each.callback)
            each.epilog = pasted.listed(line for line in examples if line.startswith(f"llmarch {name} {each.name} "))
    else:
        app.command(name, cls=pasted.Command, help=_said(command), epilog=epilog, rich_help_panel=panel)(command)


def _print_version(wanted: bool) -> None:
    if wanted:
        from llmarch_cli.version import __version__

        typer.echo(f"llmarch {__version__}")
        raise typer.Exit


def _options(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """What LLM architectures are made of, what they cost, and how they differ.

    Exact parameters, active parameters, KV cache and FLOPs, each derived twice: counted in a model that is built and
    run without its weights, and calculated in closed form.
    """


app.callback(help=_said(_options))(_options)


def run() -> int:
    """Run the command line. Returns its status, and has every error said in a line."""
    if sys.stdout is None:  # closed by who started this
        return _fail("cannot write the result: standard output is closed", 2)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # a letter that a terminal lacks is no reason to fail
    try:
        status: int | None = app(prog_name="llmarch", standalone_mode=False)
    except UsageError as error:
        said = _misused(error)
        return _fail(said, 2) if said else 2
    except LlmarchError as error:
        return _fail(str(error), 2 if isinstance(error, InputError) else 1)
    except OSError as error:
        return _fail(f"{error.filename or 'cannot write the result'}: {error.strerror}", 2)
    except Exception as error:
        if "LLMARCH_TRACEBACK" in os.environ:
            raise
        bug = f"{type(error).__name__}: {error}"
        return _fail(
            f"this is a bug of llmarch: {bug}\nSet LLMARCH_TRACEBACK=1 to see where, and please report it.", 70
        )
    return status or 0


def _misused(error: Any) -> str:
    """What Typer says in a box, in the one line that every other error is; nothing where it has printed help."""
    said, _, meant = str(error.format_message()).partition(" Did you mean ")
    command = error.ctx.command_path if error.ctx else "llmarch"
    hint = f"; did you mean {meant}" if meant else f"; see `{command} --help`"
    if possible := getattr(error, "possibilities", None):
        said, hint = error.message, suggestion(error.option_name, possible) or hint
    return f"{said[:1].lower()}{said[1:].rstrip('.')}{hint}" if said else ""


def _fail(message: str, status: int) -> int:
    if sys.stderr is not None:
        typer.echo(f"error: {message}", err=True)
    return status
