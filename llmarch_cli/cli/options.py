"""Options that several commands share, and the parsing of their text."""

from __future__ import annotations

import datetime as dt
import inspect
import re
import warnings
from collections.abc import Callable, Iterable
from fractions import Fraction
from functools import wraps
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from llmarch_cli.cli import habits
from llmarch_cli.cli.short_help import common
from llmarch_cli.errors import InputError, shown, unknown
from llmarch_cli.profilers.cost import Asked as Asked
from llmarch_cli.report.formats.render import FORMATS, VERDICT_FORMATS

if TYPE_CHECKING:
    from llmarch_cli.profilers.cost import Engine as EngineName
    from llmarch_cli.profilers.cost import Workload


_BY_NAME = inspect.Parameter.KEYWORD_ONLY

Command = Callable[..., None]
Decorator = Callable[[Command], Command]


class AskedAt(Asked, total=False):
    """`Asked` with several contexts instead of one."""

    contexts: list[int]


_WHOLE = r"[0-9]{1,15}|[0-9]{1,3}(?:_[0-9]{3}){1,5}"
_SIZES = {"": 1, "k": 1 << 10, "m": 1 << 20}

# Typer applies parsers to defaults too.


def number(option: str) -> Callable[[str | int], int]:
    """A parser of `1000000` or `1_000_000` for `option`. It raises InputError for anything else."""

    def read(value: str | int) -> int:
        if not re.fullmatch(_WHOLE, str(value)):
            raise InputError(f"{option} takes a whole number such as 1000000 or 1_000_000, not {shown(value)}")
        return int(value)

    return read


def tokens(text: str, option: str = "--ctx", least: int = 1) -> int:
    """Parse `128k`, `1M`, `131072` or `131_072`. Raises InputError for anything else."""
    match = re.fullmatch(rf"({_WHOLE})([kKmM]?)", text)
    if match is None or int(match[1]) < least:
        several = "; `llmarch kvcache` takes several" if option == "--ctx" and "," in text else ""
        raise InputError(
            f"{option} takes a number of tokens, at least {least}, such as 131072, 131_072, 128k or 1M, not"
            f" {shown(text)}{several}"
        )
    return int(match[1]) * _SIZES[match[2].lower()]


def tokens_of(option: str, least: int = 1) -> Callable[[str | int], int]:
    """A parser of numbers of tokens for `option`."""
    return lambda text: tokens(str(text), option, least)


def several_tokens(text: str) -> list[int]:
    """Parse contexts with commas between them. Raises InputError as `tokens` does."""
    return [tokens(part.strip()) for part in text.split(",")]


def date(text: str | dt.date) -> dt.date:
    """Parse `2026`, `2025-07` or `2025-07-28` as the first day of it. Raises InputError for anything else."""
    if isinstance(text, dt.date):
        return text
    match = re.fullmatch(r"([0-9]{4})(?:-([0-9]{2}))?(?:-([0-9]{2}))?", text)
    try:
        if match is not None:
            return dt.date(*(int(part or 1) for part in match.groups()))
    except ValueError:  # no such month or day
        pass
    raise InputError(f"--since takes a year, a month or a day, such as 2026, 2025-07 or 2025-07-28, not {shown(text)}")


def name_in(option: str, what: str, module: str, table: str) -> Callable[[str], str]:
    """A parser of a name in a table of a module of this package, which is imported when an option is given."""

    def read(text: str) -> str:
        known = getattr(import_module(f"llmarch_cli.{module}"), table)
        name = text if text in known else text.lower()  # people write FP8
        if name not in known:
            raise InputError(f"{option}: {unknown(what, text, known)}")
        return name

    return read


def _weights(text: str) -> str:
    from llmarch_cli.specs.storage import FORMATS, checked

    try:
        return checked(text.lower() if text.lower() in FORMATS else text)  # GGUF's names are written Q4_K_M
    except InputError as error:
        raise InputError(f"--weights: {error}") from None


def complete_format(incomplete: str) -> list[str]:
    """Storage formats of weights by the start of their name."""
    from llmarch_cli.specs.storage import FORMATS, NATIVE

    return [name for name in (NATIVE, *FORMATS) if name.startswith(incomplete)]


def complete_machines(incomplete: str) -> list[str]:
    """Chips by the start of their id, behind a number of devices if one is given."""
    from llmarch_cli.deployment.chips import chips

    match = re.match(r"(?:\d+x)*", incomplete)
    many = match[0] if match else ""
    return [f"{many}{name}" for name in chips() if name.startswith(incomplete[len(many) :])]


def complete_kv_dtype(incomplete: str) -> list[str]:
    """Formats of cached values by the start of their name."""
    from llmarch_cli.profilers.cost import ROW_ENCODINGS

    return [name for name in ROW_ENCODINGS if name.startswith(incomplete)]


def _engine(text: str) -> str:
    from llmarch_cli.profilers.profile import as_engine

    return as_engine(text, "--engine: ")


def _one_of(formats: tuple[str, ...]) -> Callable[[str], str]:
    def read(text: str) -> str:
        text = habits.FORMATS.get(text, text)
        if text not in formats:
            raise InputError(unknown("format", text, formats))
        return text

    return read


def complete_model(incomplete: str) -> list[str]:
    """Bundled models by the start of their id."""
    from llmarch_cli.specs.loading import names

    return [name for name in names() if name.startswith(incomplete)]


def complete_kind(incomplete: str) -> list[str]:
    """Kinds and mechanisms by the start of their tag."""
    from llmarch_cli.models import load
    from llmarch_cli.report.overview import known_kinds
    from llmarch_cli.specs.loading import names

    return [kind for kind in known_kinds(map(load, names())) if kind.startswith(incomplete)]


def complete_column(incomplete: str) -> list[str]:
    """Columns by the start of their key, in a comma-separated list."""
    from llmarch_cli.report.columns import METRICS

    return _after_a_comma(incomplete, [metric.key for metric in METRICS])


def complete_chip(incomplete: str) -> list[str]:
    """Bundled chips by the start of their id."""
    from llmarch_cli.deployment.chips import chips

    return [name for name in chips() if name.startswith(incomplete)]


def complete_chip_column(incomplete: str) -> list[str]:
    """Columns of chips by the start of their key, in a comma-separated list."""
    from llmarch_cli.deployment.chips_table import BY_KEY

    return _after_a_comma(incomplete, list(BY_KEY))


def complete_metric(incomplete: str) -> list[str]:
    """Numeric columns, which a sweep can use, by the start of their key."""
    from llmarch_cli.sweeping.pricing import COUNTS, RATIOS

    return _after_a_comma(incomplete, [*COUNTS, *RATIOS])


def _after_a_comma(incomplete: str, known: list[str]) -> list[str]:
    given, comma, last = incomplete.rpartition(",")
    descending = "-" if last.startswith("-") else ""
    return [f"{given}{comma}{descending}{key}" for key in known if key.startswith(last.removeprefix("-"))]


def among(*values: str) -> Callable[[str], list[str]]:
    """A completion of one of `values`."""
    return lambda incomplete: [value for value in values if value.startswith(incomplete)]


def complete_change(ctx: typer.Context, incomplete: str) -> list[str]:
    """Paths of fields of the models on the command line, by their start."""
    from llmarch_cli.errors import LlmarchError
    from llmarch_cli.models import load
    from llmarch_cli.specs.changes import paths

    found: dict[str, None] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a note would be printed into the line that is being typed
        for word in ctx.args:  # the words that are not options: `--set` still lacks its value
            try:
                found |= dict.fromkeys(paths(load(word)))
            except LlmarchError:
                continue
    return [f"{path}=" for path in found if path.startswith(incomplete)]


_DASHES = "-\N{EN DASH}\N{EM DASH}"


def matched(given: list[str] | None) -> list[str] | None:
    """The models of a command line, with the bundled ids that patterns such as `qwen3-*` match in their place.

    A pattern adds no model that stands before it: `gpt2-xl gpt2*` begins with gpt2-xl, and has it once. The shell
    expands patterns of files. The address of a repository on the Hugging Face Hub means that repository.

    Raises InputError for a pattern that matches none, for models with commas between them, and for a context.
    """
    from llmarch_cli.specs.loading import exists, names

    given = [habits.repository(name) for name in given] if given else given
    for name in given or ():
        if name.startswith(("\N{EN DASH}", "\N{EM DASH}")):
            raise InputError(f"{shown(name)} begins with a dash that is no hyphen: --{name.lstrip(_DASHES)}")
        if "," in name and not set(name) & set("*?[/\\") and not exists(Path(name)):
            apart = " ".join(filter(None, (part.strip() for part in name.split(","))))
            raise InputError(f"unknown model {shown(name)}; several stand apart, without commas: {apart}")
        if re.fullmatch(f"({_WHOLE})[kKmM]", name) and not exists(Path(name)):
            raise InputError(f"unknown model {shown(name)}; several contexts have commas between them: --ctx 8k,{name}")
    return _matched(given, names(), "model", "llmarch list") if given else given


SEVERAL_MODELS = "`llmarch compare` and `llmarch show` take several models"


def matched_one(given: str) -> str:
    """As `matched`, of a command that takes one model. Raises InputError for a pattern that matches several."""
    found = matched([given]) or [given]
    if len(found) > 1:
        first = ", ".join(found[:4]) + (" ..." if len(found) > 4 else "")
        raise InputError(
            f"{shown(given)} matches {len(found)} models, but one is meant here: {first}; {SEVERAL_MODELS}"
        )
    return found[0]


def matched_chips(given: list[str] | None) -> list[str]:
    """The chips of a command line, with patterns as in `matched`; all bundled chips if none is given."""
    from llmarch_cli.deployment.chips import chips

    return list(map(habits.chip, _matched(given, chips(), "chip", "llmarch chips"))) if given else list(chips())


def _matched(given: list[str], known: Iterable[str], what: str, command: str) -> list[str]:
    from fnmatch import fnmatchcase
    from glob import has_magic

    from llmarch_cli.specs.loading import exists

    found: list[str] = []
    for name in given:
        if not has_magic(name) or exists(Path(name)):
            found.append(name)
        elif matches := [each for each in known if fnmatchcase(each, name.lower())]:  # ids are in lower case
            found += (each for each in matches if each not in found)
        else:
            raise InputError(f"no bundled {what} matches {shown(name)}; see `{command}`")
    return found


Model = Annotated[
    str,
    typer.Argument(
        metavar="MODEL",
        help="A bundled id or pattern, a file (YAML, config.json, .gguf), `org/name` on the Hugging Face Hub, or -"
        " (stdin).",
        callback=matched_one,
        autocompletion=complete_model,
        show_default=False,
    ),
]
_MODELS = "Bundled ids or patterns, files (YAML, config.json, .gguf), `org/name` on the Hugging Face Hub, or - (stdin)."
Models = Annotated[
    list[str],
    typer.Argument(
        metavar="MODEL",
        help=_MODELS,
        callback=matched,
        autocompletion=complete_model,
        show_default=False,
    ),
]
AnyModels = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="MODEL",
        help=f"{_MODELS} Default: all bundled models.",
        callback=matched,
        autocompletion=complete_model,
        show_default=False,
    ),
]

WORKLOAD, OUTPUT = "Workload", "Output"

Changes = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="PATH=VALUE",
        help="Change a field: attention.window=512. null removes it. Repeatable.",
        autocompletion=complete_change,
        show_default=False,
        rich_help_panel=common(WORKLOAD),
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

Engine = Annotated[
    str | None,
    typer.Option(
        "--engine",
        metavar="ENGINE",
        autocompletion=among("auto", "measured", "closed-form"),
        help="auto, measured or closed-form. measured builds and runs the modules, and checks the closed form against"
        " them; closed-form only calculates; auto measures what it did not before. Default: LLMARCH_ENGINE, else auto.",
        show_default=False,
        parser=_engine,
        rich_help_panel=WORKLOAD,
    ),
]
Contexts = Annotated[
    list[Any] | None,
    typer.Option(
        "--ctx",
        "--context",
        metavar="TOKENS",
        help="Context lengths in tokens. One or several: 8k,1M or 131072 or 131_072. Repeatable.",
        show_default="128k",
        parser=several_tokens,
        rich_help_panel=common(WORKLOAD),
    ),
]

Weights = Annotated[
    str,
    typer.Option(
        "--weights",
        metavar="FORMAT",
        help="Format of weights. One of bf16, fp8-block, mxfp4, nvfp4, gptq-int4, q4_k_m ...; native is what the"
        " publisher ships.",
        autocompletion=complete_format,
        parser=_weights,
        rich_help_panel=common(WORKLOAD),
    ),
]

# The workload options by the key of `Asked`, each with its default. To add one: here, and in `profilers/cost.py`.
_WORKLOAD: dict[str, tuple[Any, Any]] = {
    "context": (
        Annotated[
            int,
            typer.Option(
                "--ctx",
                "--context",
                metavar="TOKENS",
                help="Context length in tokens. Such as 128k, 1M, 131072 or 131_072.",
                parser=tokens,
                rich_help_panel=common(WORKLOAD),
            ),
        ],
        "128k",
    ),
    "contexts": (Contexts, None),
    "batch": (
        Annotated[
            int,
            typer.Option(
                "--batch",
                metavar="N",
                help="Number of sequences. Cache bytes are for all of them.",
                parser=number("--batch"),
                rich_help_panel=common(WORKLOAD),
            ),
        ],
        1,
    ),
    "kv_dtype": (
        Annotated[
            str,
            typer.Option(
                "--kv-dtype",
                metavar="FORMAT",
                help="Format of cached values. One of bf16, fp16, fp32, fp8, q8_0, q5_1, q5_0, q4_1, q4_0, int8, int4"
                " and nvfp4.",
                autocompletion=complete_kv_dtype,
                parser=name_in("--kv-dtype", "kv dtype", "profilers.cost", "ROW_ENCODINGS"),
                rich_help_panel=common(WORKLOAD),
            ),
        ],
        "bf16",
    ),
    "state_dtype": (
        Annotated[
            str | None,
            typer.Option(
                "--state-dtype",
                metavar="DTYPE",
                help="Format of states. One of bf16, fp16, fp32 and fp8. By default float32, and bfloat16 for inputs of"
                " convolutions.",
                autocompletion=among("bf16", "fp16", "fp32", "fp8"),
                parser=name_in("--state-dtype", "state dtype", "profilers.cost", "DTYPE_BYTES"),
                rich_help_panel=WORKLOAD,
                show_default=False,
            ),
        ],
        None,
    ),
    "weights": (Weights, "bf16"),
    "prompt": (
        Annotated[
            int | None,
            typer.Option(
                "--prompt",
                metavar="TOKENS",
                help="Tokens of the prompt or training sequence. By default as many as the context.",
                parser=tokens_of("--prompt"),
                rich_help_panel=WORKLOAD,
                show_default=False,
            ),
        ],
        None,
    ),
    "prefix": (
        Annotated[
            int,
            typer.Option(
                "--prefix",
                metavar="TOKENS",
                help="Tokens before the prompt that are cached already.",
                parser=tokens_of("--prefix", least=0),
                rich_help_panel=WORKLOAD,
            ),
        ],
        0,
    ),
    "engine": (Engine, None),
}


def price(text: str) -> Fraction:
    """Parse `2.5/h` or `2.5`. Raises InputError for anything else."""
    match = re.fullmatch(r"(\d{1,9}(?:\.\d{1,6})?)(?:/h)?", text)
    if match is None:
        raise InputError(f"--price takes the price of a device for an hour, such as 2.5/h, not {shown(text)}")
    return Fraction(match[1])


def given(asked: Asked, ctx: typer.Context, *names: str) -> Asked:
    """The workload without those options of `names` that were not given, so that their defaults are the library's."""
    return {name: value for name, value in asked.items() if name not in names or is_given(ctx, name)}  # type: ignore[return-value]


def is_given(ctx: typer.Context, name: str) -> bool:
    """Whether an option was given, rather than left at its default."""
    source = ctx.get_parameter_source(name)
    return source is not None and source.name != "DEFAULT"


def workload(*, context: str | None = "context", without: tuple[str, ...] = (), unset: bool = False) -> Decorator:
    """Decorate a command with the workload options. The command gets their values as one dictionary, `asked`.

    Args:
        context: "context" for one context, "contexts" for several, None for none.
        without: options that the command does not have.
        unset: leave options that are not given out of `asked`, instead of using their defaults.
    """
    names = [name for name in _WORKLOAD if name not in without and (not name.startswith("context") or name == context)]

    def decorate(command: Command) -> Command:
        parameters: list[inspect.Parameter] = []
        for parameter in inspect.signature(command, eval_str=True).parameters.values():
            if parameter.name == "asked":
                for name in names:
                    annotation, default = _WORKLOAD[name]
                    value = None if unset else default
                    parameters.append(inspect.Parameter(name, _BY_NAME, default=value, annotation=annotation))
            else:
                parameters.append(parameter.replace(kind=_BY_NAME))

        @wraps(command)
        def run(**given: Any) -> None:
            values = {name: given.pop(name) for name in names}
            if values.get("contexts") is not None:
                values["contexts"] = [each for listed in values["contexts"] for each in listed]
            command(**given, asked={name: value for name, value in values.items() if value is not None})

        run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
        return run

    return decorate


def _sort(complete: Callable[[str], list[str]]) -> Any:
    return typer.Option(
        "--sort",
        metavar="COLUMN",
        help="Sort by a column; by -COLUMN, descending.",
        autocompletion=complete,
        show_default=False,
        rich_help_panel=common(OUTPUT),
    )


def _columns(complete: Callable[[str], list[str]], listed: str = "`llmarch columns` lists them.") -> Any:
    return typer.Option(
        "--columns",
        metavar="A,B,...",
        help=f"Show only these columns. {listed}",
        autocompletion=complete,
        show_default=False,
        rich_help_panel=common(OUTPUT),
    )


Sort = Annotated[str | None, _sort(complete_column)]
MetricSort = Annotated[str | None, _sort(complete_metric)]
Columns = Annotated[str | None, _columns(complete_column)]
Metrics = Annotated[str | None, _columns(complete_metric)]
ChipSort = Annotated[str | None, _sort(complete_chip_column)]
ChipColumns = Annotated[str | None, _columns(complete_chip_column, "They are named as in `--format json`.")]


def format_option(formats: tuple[str, ...], words: str, default: str = " (default)") -> Any:
    """The `--format` option of a command that has these formats, the first by default."""
    return typer.Option(
        "--format",
        "-f",
        metavar="FORMAT",
        help=f"{', '.join((formats[0] + default, *formats[1:-1]))} or {formats[-1]}. {words}",
        show_default=False,
        autocompletion=among(*formats),
        parser=_one_of(formats),
        rich_help_panel=common(OUTPUT),
    )


Format = Annotated[str, format_option(FORMATS, "csv and json are always exact.")]
VerdictFormat = Annotated[
    str, format_option(VERDICT_FORMATS, "markdown for job summaries and comments, junit for test reports.")
]
Exact = Annotated[bool, typer.Option("--exact", help="Show every digit.", rich_help_panel=OUTPUT)]


def changes(texts: list[str] | None) -> dict[str, Any]:
    """Parse `PATH=VALUE` texts into values by path. Raises InputError for other text, and for a path given twice."""
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


def require_changes(path: str | None, changes: dict[str, Any], n_models: int = 1) -> None:
    """Raise InputError if `--save` has no changed spec to write, or several for one file."""
    if path is not None and not changes:
        raise InputError("--save writes a changed spec: add --set PATH=VALUE, or use `llmarch show MODEL --spec`")
    if path is not None and n_models != 1:
        raise InputError(f"--save writes one spec, but {n_models} models are given: give one")


def question(asked: AskedAt) -> tuple[list[int], Workload, EngineName]:
    """The contexts, the workload at the first of them, and the engine of parsed options."""
    from llmarch_cli.profilers.cost import DEFAULT_CONTEXT, Workload
    from llmarch_cli.profilers.profile import default_engine

    settings: dict[str, Any] = {**asked}
    chosen = settings.pop("engine", None) or default_engine()
    contexts = settings.pop("contexts", None) or [DEFAULT_CONTEXT]
    return contexts, Workload(contexts[0], **settings), chosen


def engine(text: str | None) -> EngineName:
    """The engine of `--engine`, or the default one. Raises InputError for an unknown engine."""
    from llmarch_cli.profilers.profile import as_engine, default_engine

    return default_engine() if text is None else as_engine(text)


def keys(text: str | None, option: str = "--columns", hint: str = "`llmarch columns` lists all") -> list[str]:
    """Split a comma-separated list. Raises InputError if it is empty."""
    if text is None:
        return []
    found = [key for key in (part.strip() for part in text.split(",")) if key]
    if not found:
        raise InputError(f"{option} is empty; {hint}")
    return found
