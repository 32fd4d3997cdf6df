"""Help fits a screen of 80 columns and names every option; `--help-all` explains every option."""

from __future__ import annotations

import inspect
import re
import shlex
import subprocess
from collections.abc import Callable, Iterator
from typing import Annotated, Any

import pytest
import typer
from processes import LLMARCH, on_a_terminal, process

from llmarch_cli.cli import app, pasted, short_help
from llmarch_cli.cli.short_help import common

Run = Callable[..., Any]

SCREEN = 50  # lines of the help of a command
MAIN_SCREEN = 49  # the prompt stands below it


def _commands() -> dict[str, tuple[Any, Any]]:
    """The main program, the commands and the commands of groups by their words, each with its context."""
    main = typer.main.get_command(app.built(app.loaded()))
    return {" ".join(words): found for words, found in _under((), main, typer.Context(main, info_name="llmarch"))}


def _under(words: tuple[str, ...], command: Any, ctx: Any) -> Iterator[tuple[tuple[str, ...], tuple[Any, Any]]]:
    yield words, (command, ctx)
    for name, each in getattr(command, "commands", {}).items():
        yield from _under((*words, name), each, typer.Context(each, info_name=name, parent=ctx))


COMMANDS = _commands()
every_command = pytest.mark.parametrize("words", COMMANDS, ids=lambda words: words or "llmarch")


def _options(words: str) -> list[Any]:
    command, ctx = COMMANDS[words]
    return [param for param in command.get_params(ctx) if param.param_type_name == "option"]


def _flat(text: str) -> str:
    """The words of a help without panels and line breaks."""
    return " ".join(re.sub(r"[│╭╮╰╯─]", " ", text).split())


@pytest.fixture
def narrow(llmarch: Run, monkeypatch: pytest.MonkeyPatch) -> Run:
    """`llmarch` at 80 columns."""
    monkeypatch.setenv("COLUMNS", "80")
    return llmarch


def test_every_command_is_tried() -> None:
    assert {"", "compare", "baseline", "baseline write", "baseline compare"} < set(COMMANDS)
    assert {name for name, *_ in app.COMMANDS} < set(COMMANDS)


@every_command
def test_help_fits_a_screen(narrow: Run, words: str) -> None:
    result = narrow(*words.split(), "--help")
    lines = result.out.splitlines()
    assert (result.status, result.err) == (0, "")
    assert len(lines) <= (SCREEN if words else MAIN_SCREEN)
    assert max(map(len, lines)) <= 80


@every_command
def test_help_names_every_option_and_shows_no_types(narrow: Run, words: str) -> None:
    text = narrow(*words.split(), "--help").out
    named = re.findall(r"(?<![\w-])--?[a-zA-Z][\w-]*", text.partition("Examples:")[0])
    for option in _options(words):
        assert option.opts[0] in named or option.opts[-1] in named
        assert set(option.secondary_opts) <= set(named)
    assert not re.search(r"<\w+(\[\w+\])?>", text)


@every_command
def test_the_whole_help_explains_every_option_without_cut_words(narrow: Run, words: str) -> None:
    result = narrow(*words.split(), "--help-all")
    assert (result.status, result.err) == (0, "")
    assert max(map(len, result.out.splitlines())) <= 80
    text = _flat(result.out)
    for param in COMMANDS[words][0].get_params(COMMANDS[words][1]):
        assert " ".join(param.help.split()) in text
        assert (param.metavar or "") in text


@every_command
def test_the_short_help_explains_common_options_in_a_line_each(narrow: Run, words: str) -> None:
    text = narrow(*words.split(), "--help").out
    if short_help.ELSEWHERE not in text:  # the whole help fits
        return
    explained = [option for option in _options(words) if short_help.is_common(option)]
    panel = re.search(r"╭─ Options ─+╮\n(.*?)╰", text, re.DOTALL)
    rows = panel[1].splitlines() if panel else []
    assert len(rows) == len(explained)
    for option in explained:
        (row,) = (row for row in rows if re.match(rf"│ \*? *{option.opts[0]}[, ]", row))
        assert short_help.first_sentence(option.help) in row
    others = _flat(text.partition(short_help.ELSEWHERE)[2])
    for option in _options(words):
        assert (option in explained) or option.opts[0] in others


@pytest.mark.parametrize("words", ["compare", "fit", "sweep", "show", "kvcache", "train"])
def test_commands_with_many_options_have_a_short_help(narrow: Run, words: str) -> None:
    text = narrow(words, "--help").out
    whole = narrow(words, "--help-all").out
    assert short_help.ELSEWHERE in text
    assert short_help.ELSEWHERE not in whole
    assert text.partition("Examples:")[2].strip() == whole.partition("Examples:")[2].strip()


def test_help_all_has_another_spelling(narrow: Run) -> None:
    for words in ((), ("compare",), ("baseline", "write")):
        assert narrow(*words, "--help", "--all") == narrow(*words, "-h", "--all") == narrow(*words, "--help-all")


def _program(n_others: int) -> typer.Typer:
    """A program whose command has an option used often, a required one, and others without a declaration."""
    program = typer.Typer(rich_markup_mode="rich")

    def command(
        often: Annotated[str, typer.Option(help="Used often. And more.", rich_help_panel=common("Panel"))] = "x",
        needed: Annotated[str, typer.Option(help="Is needed. And more.", rich_help_panel="Panel")] = ...,
        **_: Any,
    ) -> None: ...

    of = Annotated[str, typer.Option(help="A new option. And more.", rich_help_panel="Panel")]
    own = [each for each in inspect.signature(command, eval_str=True).parameters.values() if each.name != "_"]
    new = [
        inspect.Parameter(f"new_{index}", inspect.Parameter.KEYWORD_ONLY, default="", annotation=of)
        for index in range(n_others)
    ]
    command.__signature__ = inspect.Signature([*own, *new])  # type: ignore[attr-defined]
    command.__annotations__ = {each.name: each.annotation for each in (*own, *new)}
    program.command(cls=pasted.Command)(command)
    return program


def _said(program: typer.Typer, option: str, capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(SystemExit) as stop:
        typer.main.get_command(program)([option], prog_name="program")
    assert stop.value.code == 0
    return _flat(capsys.readouterr().out)


def test_an_option_without_a_declaration_is_only_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    text = _said(_program(60), "--help", capsys)
    assert "Used often. [default: x]" in text
    assert "Is needed. [required]" in text
    assert text.index("Is needed.") < text.index("Used often.")
    assert "A new option" not in text
    assert "And more" not in text
    assert all(f"--new-{index}" in text.partition(short_help.ELSEWHERE)[2] for index in range(60))
    assert _said(_program(60), "--help-all", capsys).count("A new option. And more.") == 60


def test_help_that_fits_is_whole(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    text = _said(_program(20), "--help", capsys)
    assert text.count("A new option. And more.") == 20
    assert text == _said(_program(20), "--help-all", capsys)


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("How much. 3 or 4 ... of it.", "How much."),
        ("An .svg or .png file. Or none.", "An .svg or .png file."),
        ("By `columns`. More.", "By `columns`."),
        ("Without a stop", "Without a stop"),
        ("fp8, int8 ... By default bf16.", "fp8, int8 ... By default bf16."),
        ("A field: a.b=512. null removes it.", "A field: a.b=512."),
    ],
)
def test_first_sentences(text: str, first: str) -> None:
    assert short_help.first_sentence(text) == first


@pytest.mark.parametrize("arguments", ["--help", "compare --help", "compare --help-all"])
def test_a_reader_may_close_the_pipe(arguments: str) -> None:
    line = f"set -o pipefail; {shlex.join(LLMARCH)} {arguments} | head -1"
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_help_has_colours_on_a_terminal_and_none_in_a_pipe() -> None:
    on_terminal = on_a_terminal(["compare", "--help"], COLUMNS="80")
    piped = process("compare", "--help", COLUMNS="80").stdout
    assert "\x1b[" in on_terminal
    assert "\x1b[" not in piped
    assert re.sub(r"\x1b\[[\d;]*m", "", on_terminal).replace("\r\n", "\n") == piped


def test_help_without_rich() -> None:
    text = process("compare", "--help", COLUMNS="80", TYPER_USE_RICH="0").stdout
    assert text.index("Usage:") < text.index("--ctx") < text.index("--engine") < text.index("Examples:")
