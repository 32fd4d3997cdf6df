"""What people type: short forms, patterns, standard input, and options that are given twice."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
import typer.main
from processes import CLOSED_FORM, LLMARCH, process

from llmarch_cli.cli.app import built, loaded
from llmarch_cli.specs.loading import names, specs_directory

Run = Callable[..., Any]


@pytest.mark.parametrize(
    ("short", "long"),
    [
        (("compare", "gpt2", "--json"), ("compare", "gpt2", "--format", "json")),
        (("compare", "gpt2", "-f", "csv"), ("compare", "gpt2", "--format", "csv")),
        (("show", "gpt2", "--context", "1k"), ("show", "gpt2", "--ctx", "1024")),
        (("kvcache", "gpt2", "--ctx", "8k,1k"), ("kvcache", "gpt2", "--ctx", "8192", "--ctx", "1024")),
        (("-V",), ("--version",)),
        (("compare", "gpt2*"), ("compare", "gpt2", "gpt2-large", "gpt2-medium", "gpt2-xl")),
        (("kvcache", "gpt2-[lx]*"), ("kvcache", "gpt2-large", "gpt2-xl")),
    ],
)
def test_short_forms(llmarch: Run, short: tuple[str, ...], long: tuple[str, ...]) -> None:
    expected = llmarch(*long)
    assert expected.status == 0
    assert llmarch(*short) == expected


@pytest.mark.parametrize("option", [("--ctx", "1k"), ("--batch", "2"), ("--kv-dtype", "fp8"), ("--sort", "params")])
def test_an_option_of_one_value_is_given_once(llmarch: Run, option: tuple[str, str]) -> None:
    """Otherwise the last one would count, in silence."""
    result = llmarch("compare", "gpt2", *option, *option)
    assert (result.status, result.out) == (2, "")
    assert result.err == f"error: {option[0]} is given 2 times, but `llmarch compare` takes one\n"


def test_flags_and_lists_may_be_repeated(llmarch: Run) -> None:
    assert llmarch("compare", "gpt2", "--exact", "--exact").status == 0
    assert llmarch("compare", "gpt2", "--set", "n_layers=2", "--set", "d_model=96").status == 0
    assert llmarch("compare", "gpt2", "--json", "--format", "csv").status == 2


def test_a_pattern_that_matches_nothing(llmarch: Run) -> None:
    result = llmarch("compare", "gpt9*")
    assert (result.status, result.err) == (2, "error: no bundled model matches 'gpt9*'; see `llmarch list`\n")


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("show gpt2-m* --columns", "show gpt2-medium --columns"),
        ("show gpt2-m*", "show gpt2-medium"),
        ("diff gpt2-m* gpt2-x*", "diff gpt2-medium gpt2-xl"),
        ("sweep gpt2-m* --vary n_layers=1,2", "sweep gpt2-medium --vary n_layers=1,2"),
    ],
)
def test_a_pattern_of_one_model(llmarch: Run, given: str, meant: str) -> None:
    assert llmarch(*given.split()) == llmarch(*meant.split())


SEVERAL = "`llmarch compare` and `llmarch show` take several models\n"


def test_a_pattern_of_several_where_one_is_meant(llmarch: Run) -> None:
    result = llmarch("sweep", "gpt2*", "--vary", "n_layers=1,2")
    message = "error: 'gpt2*' matches 4 models, but one is meant here: gpt2, gpt2-large, gpt2-medium, gpt2-xl; "
    assert (result.status, result.out, result.err) == (2, "", message + SEVERAL)


@pytest.mark.parametrize("command", ["sweep gpt2 gpt2-xl --vary n_layers=1,2", "import a.json b.json"])
def test_several_models_where_one_is_meant(llmarch: Run, command: str) -> None:
    result = llmarch(*command.split())
    assert (result.status, result.out) == (2, "")
    assert result.err.endswith(f"; {SEVERAL}")


@pytest.mark.parametrize(
    ("command", "hint"),
    [
        (
            "show gpt2,llama3.1-8b",
            "unknown model 'gpt2,llama3.1-8b'; several stand apart, without commas: gpt2 llama3.1-8b",
        ),
        ("diff gpt2, gpt2-xl", "unknown model 'gpt2,'; several stand apart, without commas: gpt2"),
        ("kvcache --ctx 8k 32k", "unknown model '32k'; several contexts have commas between them: --ctx 8k,32k"),
        ("sweep gpt2 --vary n_layers=1..4", "--vary n_layers: not '1..4'; a range is 1:4, both included"),
        ("sweep gpt2 --vary n_layers=1-4", "--vary n_layers: not '1-4'; a range is 1:4, both included"),
    ],
)
def test_lists_and_ranges_as_elsewhere_are_told_what_to_type(llmarch: Run, command: str, hint: str) -> None:
    result = llmarch(*command.split())
    assert (result.status, result.out, result.err) == (2, "", f"error: {hint}\n")


def test_a_file_may_have_a_comma_in_its_name(llmarch: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a,b.yaml").write_text("extends: gpt2\n")
    assert llmarch("compare", "a,b.yaml", "./a,b.yaml").status == 0


def test_patterns_are_of_any_case(llmarch: Run) -> None:
    assert llmarch("show", "GPT2-M*") == llmarch("show", "gpt2-medium")


@pytest.mark.parametrize("command", ["show", "compare", "kvcache", "draw", "fit --on h100", "train", "verify", "diff"])
def test_a_pattern_adds_no_model_that_stands_before_it(llmarch: Run, command: str) -> None:
    """So `diff gpt2-xl gpt2*` compares gpt2-xl with the others."""
    name, *options = command.split()
    found = llmarch(name, "gpt2-xl", "gpt2*", *options)
    assert found == llmarch(name, "gpt2-xl", "gpt2", "gpt2-large", "gpt2-medium", *options)
    assert found.status == 0


def piped(text: str, *arguments: str) -> Any:
    return subprocess.run([*LLMARCH, *arguments], input=text, capture_output=True, text=True, check=False)


def test_a_spec_or_a_config_on_standard_input() -> None:
    spec = (specs_directory() / "gpt2.yaml").read_text()
    asked = ("--engine", "closed-form", "--columns", "params", "--json")
    found = json.loads(piped(spec, "compare", "-", "gpt2", *asked).stdout)["models"]
    assert found == [{"model": "stdin", "params": 124_439_808}, {"model": "gpt2", "params": 124_439_808}]
    config = json.dumps({"model_type": "gpt2"})
    assert json.loads(piped(config, "compare", "-", *asked).stdout)["models"] == found[:1]
    assert "\nname: stdin\n" in piped(config, "import", "-").stdout


def test_errors_of_standard_input() -> None:
    empty = piped("", "show", "-")
    assert (empty.returncode, empty.stdout) == (2, "")
    assert empty.stderr.startswith("error: -: the file is empty")
    assert piped("name: [", "show", "-").stderr.startswith("error: -:1: not valid YAML")


def test_families_are_listed(llmarch: Run) -> None:
    listed = llmarch("import", "--families").out.split()
    assert {"llama", "deepseek_v3", "gemma3"} <= set(listed)
    assert len(listed) == len(set(listed)) > 150


def test_help_fits_a_narrow_screen_and_shows_no_type_of_flags() -> None:
    done = process("--help", COLUMNS="80", **CLOSED_FORM)
    assert max(map(len, done.stdout.splitlines())) <= 80
    assert len(done.stdout.splitlines()) <= 54
    for words in ("<bool>", "<str>", "<list[str]>", "<PATH>"):
        assert words not in done.stdout + process("compare", "--help", **CLOSED_FORM).stdout
    assert "llmarch draw" in done.stdout
    assert "llmarch report" in done.stdout


def test_a_pattern_matches_ids_alone() -> None:
    assert len([name for name in names() if name.startswith("gpt2")]) == 4


def parameters(command: Any, above: Any = None) -> Iterator[tuple[Any, Any]]:
    context = typer.Context(command, parent=above)
    for inner in getattr(command, "commands", {}).values():
        yield from parameters(inner, context)
    yield from ((param, context) for param in command.get_params(context) if hasattr(param, "get_runtime_param"))


TEXTS = (
    "",
    "0",
    "-1",
    "1.5",
    "9" * 400,
    "128k",
    "1,2",
    "json",
    "q4_k",
    "2026-02-30",
    "10%",
    "1/0",
    " 5",
    "\x00",
    "\udc80",
)


def test_values_are_those_of_typer_s_own_conversion() -> None:
    def outcome(conversion: Any, value: Any, param: Any, context: Any) -> tuple[str, str]:
        try:
            found = conversion.coerce(value, param=param, ctx=context)
        except Exception as error:
            return type(error).__name__, str(error)
        return type(found).__name__, repr(found)

    seen = 0
    for param, context in parameters(typer.main.get_command(built(loaded()))):
        several = getattr(param, "multiple", False) or param.nargs == -1
        ours = param.get_runtime_param()
        for value in (None, *(((text, text) if several else text) for text in TEXTS)):
            found = outcome(ours, value, param, context)
            assert found == outcome(ours._usual(), value, param, context), (param.name, value)
            assert found[0] not in ("ValueError", "TypeError"), (param.name, value)
            seen += 1
    assert seen > 3000
