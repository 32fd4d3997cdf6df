"""The options that several subcommands share, and how their text is read."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from llmarch_cli.errors import InputError, shown, unknown

if TYPE_CHECKING:
    from llmarch_cli.profilers.cost import KvDtype as DtypeName
    from llmarch_cli.profilers.profile import Engine as EngineName


_WHOLE = r"[0-9]{1,15}|[0-9]{1,3}(?:_[0-9]{3}){1,5}"


def number(option: str) -> Callable[[str | int], int]:
    """What reads `1000000` or `1_000_000` as a number for this option, and raises InputError for anything else."""

    def read(value: str | int) -> int:  # Typer has it read the default too
        if not re.fullmatch(_WHOLE, str(value)):
            raise InputError(f"{option} takes a whole number such as 1000000 or 1_000_000, not {shown(value)}")
        return int(value)

    return read


def complete_model(incomplete: str) -> list[str]:
    """The bundled models whose id begins so."""
    from llmarch_cli.specs.loading import names

    return [name for name in names() if name.startswith(incomplete)]


def complete_column(incomplete: str) -> list[str]:
    """The columns whose key begins so, after those that are given already."""
    from llmarch_cli.report.columns import METRICS

    return _after_a_comma(incomplete, [metric.key for metric in METRICS])


def complete_figure(incomplete: str) -> list[str]:
    """The same of those that are numbers, which a sweep goes by."""
    from llmarch_cli.sweeping.pricing import COUNTS, RATIOS

    return _after_a_comma(incomplete, [*COUNTS, *RATIOS])


def _after_a_comma(incomplete: str, known: list[str]) -> list[str]:
    given, comma, last = incomplete.rpartition(",")
    turned = "-" if last.startswith("-") else ""
    return [f"{given}{comma}{turned}{key}" for key in known if key.startswith(last.removeprefix("-"))]


def among(*values: str) -> Callable[[str], list[str]]:
    """Completes one of `values`."""
    return lambda incomplete: [value for value in values if value.startswith(incomplete)]


def complete_change(ctx: typer.Context, incomplete: str) -> list[str]:
    """The paths that begin so, of the models on the line; nothing where there is none yet."""
    from llmarch_cli.errors import LlmarchError
    from llmarch_cli.models import load
    from llmarch_cli.specs.changes import paths

    found: dict[str, None] = {}
    for word in ctx.args:  # what is on the line beside options: this one still lacks its value
        try:
            found |= dict.fromkeys(paths(load(word)))
        except LlmarchError:
            continue
    return [f"{path}=" for path in found if path.startswith(incomplete)]


DEFAULT_CONTEXT = "128k"

Model = Annotated[
    str,
    typer.Argument(
        metavar="MODEL",
        help="A bundled id, or a path to a YAML file or a config.json; `org/name` is on the Hugging Face Hub.",
        autocompletion=complete_model,
        show_default=False,
    ),
]
Models = Annotated[
    list[str],
    typer.Argument(
        metavar="MODEL",
        help="Bundled ids, or paths to YAML files or config.json; `org/name` is on the Hugging Face Hub.",
        autocompletion=complete_model,
        show_default=False,
    ),
]
AnyModels = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="MODEL",
        help="Bundled ids, or paths to YAML files or config.json; all that are bundled where none is given.",
        autocompletion=complete_model,
        show_default=False,
    ),
]

WORKLOAD, OUTPUT = "What is asked", "What is printed"

Changes = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="PATH=VALUE",
        help="Change a field, as in attention.window=512; null takes it out. May be given several times.",
        autocompletion=complete_change,
        show_default=False,
        rich_help_panel=WORKLOAD,
    ),
]
Save = Annotated[
    str | None,
    typer.Option(
        "--save",
        metavar="FILE",
        help="Write the changed spec to a new YAML file.",
        show_default=False,
        rich_help_panel=OUTPUT,
    ),
]

Context = Annotated[
    str,
    typer.Option(
        "--ctx", metavar="TOKENS", help="Tokens in view: 131072, 131_072, 128k, 1M.", rich_help_panel=WORKLOAD
    ),
]
Contexts = Annotated[
    list[str] | None,
    typer.Option(
        "--ctx",
        metavar="TOKENS",
        help="Tokens in view; may be given several times.",
        show_default=DEFAULT_CONTEXT,
        rich_help_panel=WORKLOAD,
    ),
]
Batch = Annotated[
    int,
    typer.Option(
        "--batch",
        metavar="N",
        help="Sequences; cache bytes are for all of them.",
        parser=number("--batch"),
        rich_help_panel=WORKLOAD,
    ),
]
KvDtype = Annotated[
    str,
    typer.Option(
        "--kv-dtype",
        metavar="bf16|fp16|fp32|fp8",
        help="What the cache stores its values as.",
        rich_help_panel=WORKLOAD,
    ),
]
Engine = Annotated[
    str | None,
    typer.Option(
        "--engine",
        metavar="measured|closed-form",
        autocompletion=among("measured", "closed-form"),
        help="measured builds, runs and checks it against the closed form; closed-form only calculates, and is faster."
        " The default is LLMARCH_ENGINE, else measured.",
        show_default=False,
        rich_help_panel=WORKLOAD,
    ),
]


def _sort(complete: Callable[[str], list[str]]) -> Any:
    return typer.Option(
        "--sort",
        metavar="COLUMN",
        help="Order by a column, the smallest first; with a - before it, the largest.",
        autocompletion=complete,
        show_default=False,
        rich_help_panel=OUTPUT,
    )


def _columns(complete: Callable[[str], list[str]]) -> Any:
    return typer.Option(
        "--columns",
        metavar="A,B,...",
        help="These columns only; `llmarch columns` lists all.",
        autocompletion=complete,
        show_default=False,
        rich_help_panel=OUTPUT,
    )


Sort = Annotated[str | None, _sort(complete_column)]
FigureSort = Annotated[str | None, _sort(complete_figure)]
Columns = Annotated[str | None, _columns(complete_column)]
Figures = Annotated[str | None, _columns(complete_figure)]
Format = Annotated[
    str,
    typer.Option(
        "--format",
        metavar="table|markdown|csv|json",
        help="csv and json are always exact.",
        autocompletion=among("table", "markdown", "csv", "json"),
        rich_help_panel=OUTPUT,
    ),
]
VerdictFormat = Annotated[
    str,
    typer.Option(
        "--format",
        metavar="table|markdown|csv|json|junit",
        autocompletion=among("table", "markdown", "csv", "json", "junit"),
        help="markdown for job summaries and comments, junit for test reports.",
        rich_help_panel=OUTPUT,
    ),
]
Exact = Annotated[bool, typer.Option("--exact", help="Every digit in tables too.", rich_help_panel=OUTPUT)]


def changes(texts: list[str] | None) -> dict[str, Any]:
    """`PATH=VALUE` each, as values by path. Raises InputError for what is none, and for a path given twice."""
    if not texts:
        return {}
    from llmarch_cli.specs.changes import assignment

    found: dict[str, Any] = {}
    for text in texts:
        try:
            path, value = assignment(text)
        except InputError as error:
            raise InputError(f"--set: {error}") from None
        if path in found:
            raise InputError(f"--set: {shown(path)} is given twice")
        found[path] = value
    return found


def check_save(path: str | None, changes: dict[str, Any], n_models: int = 1) -> None:
    """Raise InputError where `--save` has nothing to write, or would have several specs for one file."""
    if path is not None and not changes:
        raise InputError("--save writes what --set changes: give --set PATH=VALUE, or use `llmarch show MODEL --spec`")
    if path is not None and n_models != 1:
        raise InputError(f"--save writes one spec, but {n_models} models are changed: name one")


_SIZES = {"": 1, "k": 1 << 10, "m": 1 << 20}


def tokens(text: str) -> int:
    """`128k`, `1M`, `131072` or `131_072` as a number. Raises InputError for anything else."""
    match = re.fullmatch(rf"({_WHOLE})([kKmM]?)", text)
    if match is None or int(match[1]) == 0:
        raise InputError(f"--ctx takes tokens from 1 up, as 131072, 131_072, 128k or 1M, not {shown(text)}")
    return int(match[1]) * _SIZES[match[2].lower()]


def kv_dtype(text: str) -> DtypeName:
    """What the cache stores. Raises InputError for what it cannot."""
    from llmarch_cli.profilers.cost import DTYPE_BYTES

    for name in DTYPE_BYTES:
        if text == name:
            return name
    raise InputError(f"--kv-dtype: {unknown('kv dtype', text, DTYPE_BYTES)}")


def engine(text: str | None) -> EngineName:
    """The engine named, or the default one. Raises InputError where there is none of that name."""
    from llmarch_cli.profilers.profile import checked_engine, default_engine

    return default_engine() if text is None else checked_engine(text, "--engine: ")


def keys(text: str | None, option: str = "--columns") -> list[str]:
    """`a,b` as the two. Raises InputError where there is none."""
    if text is None:
        return []
    found = [key for key in (part.strip() for part in text.split(",")) if key]
    if not found:
        raise InputError(f"{option} names none; `llmarch columns` lists all")
    return found
