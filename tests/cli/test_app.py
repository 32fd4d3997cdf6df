import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pages import DOCUMENTED
from pages import EXAMPLES as EXAMPLE_FILES
from processes import CLOSED_FORM, LLMARCH, modules, on_a_terminal, process
from repositories import git
from typer import Typer

from llmarch_cli.cli import app, baseline
from llmarch_cli.cli.app import COMMANDS, EXAMPLES, loaded
from llmarch_cli.errors import CheckError
from llmarch_cli.guards import baselines
from llmarch_cli.report.formats.render import FORMATS

Run = Callable[..., Any]


@pytest.mark.parametrize(
    "arguments",
    [
        "list",
        "--help",
        "compare --help",
        "columns",
        "show gpt2 --spec",
        "show nothing-like-it",
        "compare gpt2 gpt2-xl --engine closed-form",
        "kvcache --engine closed-form",
        "show gpt2 --engine closed-form",
        "import CONFIG",
        "compare CONFIG gpt2 --engine closed-form",
        "diff gpt2 gpt2-xl --engine closed-form",
        "compare gpt2 --set n_layers=3 --engine closed-form",
        "validate gpt2",
        "schema baseline",
        "chips",
        "chips h100",
        "check budgets.yaml --engine closed-form",
        "baseline write baseline.yaml gpt2 --engine closed-form",
        "baseline compare baseline.yaml --engine closed-form",
    ],
)
def test_without_measuring_torch_is_not_imported(
    arguments: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("config.json").write_text('{"model_type": "llama"}')
    Path("budgets.yaml").write_text("budgets: [{models: [gpt2], limits: [params < 1B]}]")
    baselines.write(Path("baseline.yaml"), ["gpt2"], [], {"engine": "closed-form"})
    taken = modules(*arguments.replace("CONFIG", "./config.json").split())
    assert "typer" in taken
    assert not taken & {"torch", "numpy", "pandas", "fvcore", "transformers", "huggingface_hub"}


def test_a_change_takes_nothing_else_than_a_comparison() -> None:
    compare = ("compare", "gpt2", "--engine", "closed-form")
    taken = modules(*compare, "--set", "n_layers=3") - modules(*compare)
    assert {name for name in taken if name.startswith("llmarch_cli")} == {
        *("llmarch_cli.specs.changes", "llmarch_cli.specs.yaml_data", "llmarch_cli.components.validation")
    }


@pytest.mark.parametrize("arguments", ["compare gpt2 qwen3-8b --ctx 1k", "kvcache --batch 3", "list"])
def test_bundled_models_take_no_validation_and_no_parser_of_yaml(arguments: str) -> None:
    taken = modules(*arguments.split())
    assert "llmarch_cli.specs.checked" in taken
    assert not taken & {"pydantic", "yaml", "llmarch_cli.cli.sweep", "importlib.metadata"}


def test_measuring_imports_torch() -> None:
    assert "torch" in modules("compare", "gpt2", "--engine", "measured")


@pytest.mark.parametrize("file_format", FORMATS)
def test_no_format_imports_rich(file_format: str) -> None:
    assert not any(
        name.split(".")[0] == "rich"
        for name in modules("compare", "gpt2", "--engine", "closed-form", "--format", file_format)
    )


def test_help_imports_no_library() -> None:
    assert not modules("--help") & {"llmarch_cli.specs.spec", "pydantic"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("show deepseek-v33", "error: unknown model 'deepseek-v33'; did you mean deepseek-v3"),
        ("show ./missing.yaml", "error: missing.yaml: "),
        (
            "compare gpt2 --ctx 12q",
            "error: --ctx takes a number of tokens, at least 1, such as 131072, 131_072, 128k or 1M, not '12q'",
        ),
        ("compare gpt2 --ctx -1", "error: --ctx takes"),
        ("kvcache --ctx 0", "error: --ctx takes"),
        ("kvcache --ctx 999999999M", "error: context must be"),
        ("compare gpt2 --columns parms", "error: unknown column 'parms'; did you mean params"),
        ("compare gpt2 --sort parms", "error: unknown column 'parms'"),
        (
            "compare gpt2 --format jsn",
            "error: unknown format 'jsn'; known: table, markdown, csv, json; did you mean json",
        ),
        ("compare gpt2 --engine mesured", "error: --engine: unknown engine 'mesured'"),
        (
            "compare gpt2 --kv-dtype int3",
            "error: --kv-dtype: unknown kv dtype 'int3'; known: bf16, fp16, fp32, fp8, q8_0",
        ),
        ("compare gpt2 --batch 0", "error: batch must be"),
        ("columns parms", "error: unknown column"),
        ("list --org nobody-at-all", "error: unknown organization"),
        ("list --attention none-such", "error: unknown attention"),
        ("nonsense", "error: no such command 'nonsense'; see `llmarch --help`"),
        ("comparr gpt2", "error: no such command 'comparr'; did you mean 'compare'?"),
        ("baseline wrte", "error: no such command 'wrte'; did you mean 'write'?"),
        ("show", "error: missing argument 'MODEL'; see `llmarch show --help`"),
        (
            "sweep gpt2 gpt2 --vary n_layers=1",
            "error: got unexpected extra argument(s) (gpt2); `llmarch compare` and `llmarch show` take several models",
        ),
        ("list --zzz", "error: no such option: --zzz; see `llmarch list --help`"),
        ("compare gpt2 --formt csv", "error: no such option: --formt; did you mean --format"),
        ("compare gpt2 --batch x", "error: --batch takes a whole number such as 1000000 or 1_000_000, not 'x'"),
        ("show gpt2 --spec --exact", "error: --spec prints a spec, without metrics: leave out --exact"),
        ("show gpt2 --spec --operators", "error: --spec prints a spec, without metrics: leave out --operators"),
        ("show gpt2 --spec --format csv", "error: --spec prints YAML or JSON, not csv: leave out --format"),
        ("verify gpt2 --tensors", "error: --tensors needs --checkpoint PATH"),
        ("draw gpt2 -o nowhere/gpt2.svg", "error: nowhere/gpt2.svg: No such file or directory"),
    ],
)
def test_bad_input_is_one_line_on_standard_error_and_status_2(llmarch: Run, arguments: str, message: str) -> None:
    result = llmarch(*arguments.split())
    assert result.status == 2
    assert result.out == ""
    assert result.err.startswith(message)
    assert result.err.count("\n") == 1


@pytest.mark.parametrize("name", ["deepseek-v3", "DeepSeek-V3", "Qwen/Qwen3-8B", "mine.yaml", "a", "a b/config.json"])
def test_a_model_in_the_place_of_a_command(
    llmarch: Run, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for each in ("mine.yaml", "a/config.json", "a b/config.json"):
        Path(each).parent.mkdir(exist_ok=True)
        Path(each).touch()
    result = llmarch(name, "--ctx", "8k")
    assert (result.status, result.out) == (2, "")
    assert result.err == f"error: no such command '{name}'; did you mean `llmarch show {shlex.quote(name)}`?\n"


@pytest.mark.parametrize("arguments", ["", "baseline"])
def test_a_group_alone_is_its_help_and_status_2(llmarch: Run, arguments: str) -> None:
    result = llmarch(*arguments.split())
    assert (result.status, result.err) == (2, "")
    assert "Examples:" in result.out


def test_a_default_engine_that_there_is_not_is_named(llmarch: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLMARCH_ENGINE", "guess")
    result = llmarch("compare", "gpt2")
    assert (result.status, result.out) == (2, "")
    assert result.err.startswith("error: LLMARCH_ENGINE: unknown engine 'guess'")
    assert llmarch("list").status == 0


def test_a_failed_check_is_status_1(llmarch: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def disagree(*_: object) -> None:
        raise CheckError("the engines disagree on params: measured 1, closed form 2")

    monkeypatch.setattr("llmarch_cli.profilers.profile.profile", disagree)
    result = llmarch("show", "gpt2")
    assert (result.status, result.out) == (1, "")
    assert result.err == "error: the engines disagree on params: measured 1, closed form 2\n"


def test_a_bug_is_a_line_and_its_traceback_can_be_had(llmarch: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError("division by zero")

    monkeypatch.setattr("llmarch_cli.profilers.profile.profile", fail)
    result = llmarch("show", "gpt2")
    assert result.status == 70
    assert "internal error, please report it: ZeroDivisionError: division by zero" in result.err
    assert "Traceback" not in result.err
    monkeypatch.setenv("LLMARCH_TRACEBACK", "1")
    with pytest.raises(ZeroDivisionError):
        llmarch("show", "gpt2")


def test_an_interruption_is_status_130(llmarch: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("llmarch_cli.profilers.profile.profile", interrupt)
    result = llmarch("show", "gpt2")
    assert (result.status, result.out) == (130, "")
    assert "Traceback" not in result.err


@pytest.mark.parametrize("arguments", ["list", "kvcache", "show gpt2 --spec", "compare gpt2 --format json"])
def test_a_closed_pipe_is_quiet(arguments: str) -> None:
    command = f"{shlex.join(LLMARCH)} {arguments} | true; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(
        ["bash", "-c", command], capture_output=True, text=True, check=True, env={**os.environ, **CLOSED_FORM}
    )
    assert (done.stdout, done.stderr) == ("0\n", "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
@pytest.mark.parametrize("width", ["80", "100"])  # more than Python writes at once, and less
def test_a_result_that_cannot_be_written_is_said(width: str) -> None:
    environment = {**os.environ, "COLUMNS": width, "PYTHONUNBUFFERED": ""}
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [*LLMARCH, "list"], stdout=full, stderr=subprocess.PIPE, text=True, check=False, env=environment
        )
    assert done.returncode == 2
    assert done.stderr == "error: cannot write the result: No space left on device\n"


def test_the_result_alone_is_on_standard_output_and_without_escape_codes() -> None:
    done = process("compare", "gpt2", "gemma3-1b", **CLOSED_FORM)
    assert (done.returncode, done.stderr) == (0, "")
    assert "\x1b" not in done.stdout
    measured = process("compare", "gpt2", "gemma3-1b")
    assert (measured.returncode, measured.stderr) == (0, "")
    assert "Closed form; measured and equal" in measured.stdout


def test_a_terminal_has_styles_unless_it_asks_for_none() -> None:
    arguments = ["compare", "gpt2", "gpt2-xl"]
    assert "\x1b[2m" in on_a_terminal(arguments, NO_COLOR="")
    assert "\x1b" not in on_a_terminal(arguments, NO_COLOR="1")
    assert "\x1b" not in on_a_terminal(arguments, NO_COLOR="", TERM="dumb")
    assert "\x1b" not in on_a_terminal([*arguments, "--format", "json"], NO_COLOR="")
    assert "\x1b" not in process(*arguments, NO_COLOR="", FORCE_COLOR="", **CLOSED_FORM).stdout
    assert "\x1b[2m" in process(*arguments, NO_COLOR="", FORCE_COLOR="1", TERM="dumb", **CLOSED_FORM).stdout
    assert "\x1b" not in process(*arguments, NO_COLOR="1", FORCE_COLOR="1", **CLOSED_FORM).stdout


def test_a_terminal_that_cannot_write_it_gets_ascii() -> None:
    for arguments in (["kvcache", "gpt2", "gpt2-xl"], ["show", "gpt2"]):
        done = process(*arguments, **CLOSED_FORM, PYTHONIOENCODING="ascii")
        assert done.returncode == 0
        assert done.stdout.isascii()


def test_the_version(llmarch: Run) -> None:
    import llmarch_cli

    assert llmarch("--version") == (0, f"llmarch {llmarch_cli.__version__}\n", "")


def test_help_has_every_command_with_a_summary_and_a_panel(llmarch: Run) -> None:
    text = llmarch("--help").out
    for name, panel, function, _ in loaded():
        assert name in text
        assert panel in text
        said = baseline.baseline.__doc__ if isinstance(function, Typer) else function.__doc__
        assert (said or "").splitlines()[0].endswith(".")


@pytest.mark.parametrize("name", [command[0] for command in COMMANDS])
def test_a_command_s_help_says_all_of_its_options_and_examples(llmarch: Run, name: str) -> None:
    result = llmarch(name, "--help-all")
    assert (result.status, result.err) == (0, "")
    assert "Examples:" in result.out


ALL_EXAMPLES = [*EXAMPLES, *(example for *_, examples in loaded() for example in examples)]
FROM_THE_HUB = {"llmarch import Qwen/Qwen3-8B"}
SLOW = {"llmarch kvcache", "llmarch report -o report.html", "llmarch list", "llmarch claims"}
VERIFIED_ELSEWHERE = {"llmarch verify"}  # every model, in tests/profilers/test_verification.py


@pytest.fixture
def a_place_to_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What examples read, under the names that they have for it."""
    monkeypatch.chdir(tmp_path)
    for directory in ("specs", "checkpoint"):
        Path(directory).mkdir()
    for spec in ("my-model.yaml", "specs/one.yaml"):
        Path(spec).write_text("extends: gpt2\nn_layers: 3\npublished: {params: null}\n")
    shutil.copy(EXAMPLE_FILES / "my-chip.yaml", "my-chip.yaml")
    for config in ("config.json", "checkpoint/config.json"):
        Path(config).write_text('{"model_type": "llama"}')
    Path("budgets.yaml").write_text("budgets: [{models: [gpt2], limits: [params < 1B]}]")
    baselines.write(Path("baseline.yaml"), ["gpt2"], [], {"engine": "closed-form"})
    git("init", "--quiet")
    git("add", "specs", "my-model.yaml")
    git("commit", "--quiet", "--message=specs")
    git("update-ref", "refs/remotes/origin/main", "HEAD")


@pytest.mark.usefixtures("a_place_to_work")
@pytest.mark.parametrize(
    "example", sorted({*ALL_EXAMPLES} - {*DOCUMENTED} - FROM_THE_HUB - VERIFIED_ELSEWHERE)
)  # pages' run elsewhere
def test_examples_work_when_pasted(llmarch: Run, example: str) -> None:
    line, _, redirected = example.partition(" > ")
    program, *arguments = shlex.split(line)
    assert program == "llmarch"
    if "import" in arguments and "-o" in arguments:
        Path("my-model.yaml").unlink()
    there = set(Path.cwd().iterdir())
    result = llmarch(*arguments)
    assert result.status == 0, result.err
    assert result.out or set(Path.cwd().iterdir()) > there
    assert not redirected or redirected.endswith((".yaml", ".json", ".xml", ".svg"))


@pytest.mark.parametrize("name", ["", *(command[0] for command in COMMANDS)])
def test_help_shows_examples_as_a_narrow_terminal_can_paste_them(
    llmarch: Run, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    text = llmarch(*name.split(), "--help").out.partition("Examples:")[2]
    shown = " ".join(text.replace("\\\n", " ").split())
    expected = next((examples for command, *_, examples in loaded() if command == name), EXAMPLES)
    assert shown == " ".join(expected)
    assert max(map(len, text.splitlines())) <= 80


@pytest.mark.parametrize(
    ("shell", "line"),
    [
        ("bash", {"COMP_WORDS": "llmarch show deepseek-v2", "COMP_CWORD": "2"}),
        ("zsh", {"_TYPER_COMPLETE_ARGS": "llmarch show deepseek-v2"}),
        ("fish", {"_TYPER_COMPLETE_ARGS": "llmarch show deepseek-v2", "_TYPER_COMPLETE_FISH_ACTION": "get-args"}),
    ],
)
def test_shells_are_offered_the_models(shell: str, line: dict[str, str]) -> None:
    done = process(_LLMARCH_COMPLETE=f"complete_{shell}", **line)
    assert re.findall(r"deepseek[\w-]*", done.stdout) == ["deepseek-v2", "deepseek-v2-lite"]


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ("sweep gpt2 --sort kv_c", "kv_cache_bytes kv_cache_bytes_without_windows kv_cache_bytes_multi_head"),
        ("sweep gpt2 --pareto params,-active_s", "params,-active_share"),
        ("compare gpt2 --engine ", "auto measured closed-form"),
        ("check budgets.yaml --format j", "json junit"),
        ("draw gpt2 --theme d", "dark"),
    ],
)
def test_shells_are_offered_what_an_option_takes(words: str, offered: str) -> None:
    line = {"COMP_WORDS": f"llmarch {words}", "COMP_CWORD": str(len(words.split(" ")))}
    assert process(_LLMARCH_COMPLETE="complete_bash", **line).stdout.split() == offered.split()


@pytest.mark.parametrize(("closed", "said"), [("list >&-", "standard output is closed"), ("nope 2>&-", "")])
def test_a_closed_stream_is_no_bug(closed: str, said: str) -> None:
    command = ["bash", "-c", f"{shlex.join(LLMARCH)} {closed}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert said in done.stderr


@pytest.mark.parametrize("command", ["", "sweep", "compare", "import"])
def test_help_fits_a_narrow_terminal_without_letters_beyond_ascii(command: str) -> None:
    done = process(
        *command.split(), "--help", COLUMNS="40", LC_ALL="C", PYTHONIOENCODING="ascii", PYTHONUTF8="0", TERM="dumb"
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.isascii()


def test_commands_are_registered_once() -> None:
    program = app.built(loaded())
    names = [str(command.name) for command in program.registered_commands]
    names += [str(group.name) for group in program.registered_groups]
    assert sorted(names) == sorted(name for name, *_ in COMMANDS)
    assert len(set(names)) == len(names)


@pytest.mark.parametrize(
    ("command", "word"),
    [
        ("kvcache gpt2 --engine closed-form", "profiling"),
        ("report gpt2 --engine closed-form --format markdown", "profiling"),
        ("report gpt2 --engine closed-form --format junit", "profiling"),
        ("verify gpt2", "verifying"),
        ("claims claims.yaml --engine closed-form", "measuring"),
        ("check budgets.yaml --engine closed-form", "checking"),
        ("baseline write baseline.yaml gpt2 --engine closed-form", "measuring"),
        ("baseline compare kept.yaml --engine closed-form", "measuring"),
        ("draw gpt2 -o gpt2.svg", "drawing"),
        ("gallery gpt2 -o site", "writing"),
    ],
)
def test_long_work_says_on_a_terminal_how_far_it_is_and_nothing_in_a_pipe(
    llmarch: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str, word: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TERM", "xterm")
    Path("budgets.yaml").write_text("budgets: [{models: [gpt2], limits: [params > 1]}]\n")
    claim = "{says: It is small., models: [gpt2], holds: a.params < 1000, verdict: does not hold, remark: It has 124M.}"
    section = f"{{title: One, source: 'https://example.com', claims: [{claim}]}}"
    Path("claims.yaml").write_text(f"sections: [{section}]\n")
    llmarch("baseline", "write", "kept.yaml", "gpt2", "--engine", "closed-form")
    piped = llmarch(*command.split())
    assert (piped.status, piped.err) == (0, "")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    told = llmarch(*command.split())
    assert (told.status, told.out) == (0, piped.out)
    assert word in told.err


@pytest.mark.usefixtures("a_place_to_work")
@pytest.mark.parametrize("closed", [("stdin",), ("stderr",), ("stdin", "stderr")], ids="-".join)
@pytest.mark.parametrize("command", [name for name, *_ in COMMANDS])
def test_closed_streams_are_no_error(
    llmarch: Run, command: str, closed: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Python has None for a stream that the caller closed."""
    examples = next(examples for name, *_, examples in loaded() if name == command)
    example = next(each for each in examples if each not in FROM_THE_HUB | VERIFIED_ELSEWHERE | SLOW)
    if command == "import":
        Path("my-model.yaml").unlink()
    monkeypatch.delenv("COLUMNS")
    for stream in closed:
        monkeypatch.setattr(sys, stream, None)
    assert llmarch(*shlex.split(example.partition(" > ")[0])[1:]).status == 0


@pytest.mark.parametrize(
    ("error", "message"),
    [(ImportError("libtorch: no memory"), "a library cannot be loaded: libtorch"), (MemoryError(), "out of memory")],
)
def test_what_the_machine_lacks_is_no_internal_error(
    llmarch: Run, error: Exception, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lacking(*_: object) -> None:
        raise error

    monkeypatch.setattr("llmarch_cli.models.read", lacking)
    result = llmarch("show", "gpt2")
    assert (result.status, result.out) == (71, "")
    assert result.err.startswith(f"error: {message}")
