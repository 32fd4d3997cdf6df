"""What stands on standard error while a command works, and what Ctrl-C leaves behind."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from processes import LLMARCH, process

from llmarch_cli import writing
from llmarch_cli.cli import interrupts, status

SLOW = ("show", "gpt2", "--engine", "measured")  # imports torch


def on_a_terminal(
    arguments: tuple[str, ...], interrupt_at: bytes | None = None, directory: Path | None = None, **environment: str
) -> tuple[int, bytes, bytes]:
    """The status, the result, and what a command writes to a terminal as its standard error."""
    leader, follower = pty.openpty()
    env = {**os.environ, "TERM": "xterm", "COLUMNS": "80", **environment}
    child = subprocess.Popen(
        [*LLMARCH, *arguments], stdout=subprocess.PIPE, stderr=follower, env=env, cwd=directory, start_new_session=True
    )
    os.close(follower)
    written = b""
    while True:
        try:
            chunk = os.read(leader, 65_536)
        except OSError:  # Linux's way to say that the other end is closed
            break
        if not chunk:
            break
        written += chunk
        if interrupt_at is not None and interrupt_at in written:
            interrupt_at = None
            os.killpg(child.pid, signal.SIGINT)
    os.close(leader)
    result, _ = child.communicate()
    return child.returncode, result, written


def test_a_terminal_is_told_that_work_goes_on_before_torch_is_there() -> None:
    code, result, written = on_a_terminal(SLOW)
    assert code == 0
    assert b"working" in written
    assert written.count(status.CLEAR.encode()) > 5  # it moves
    assert written.endswith(status.CLEAR.encode())  # and is gone in the end
    assert b"working" not in result


def test_nothing_is_written_to_a_pipe_or_a_terminal_that_cannot_clear_a_line() -> None:
    done = process(*SLOW)
    assert (done.returncode, done.stderr) == (0, "")
    code, _, written = on_a_terminal(SLOW, TERM="dumb")
    assert (code, written) == (0, b"")


def test_the_line_is_gone_before_a_drawing_is_printed() -> None:
    """Result and line share a terminal: what is not cleared stands before the first word."""
    leader, follower = pty.openpty()
    env = {**os.environ, "TERM": "xterm", "COLUMNS": "80", "NO_COLOR": "1"}
    child = subprocess.Popen([*LLMARCH, "draw", "gpt2"], stdout=follower, stderr=follower, env=env)
    os.close(follower)
    written = b""
    try:
        while chunk := os.read(leader, 65_536):
            written += chunk
    except OSError:  # Linux's way to say that the other end is closed
        pass
    os.close(leader)
    assert child.wait() == 0
    before, title, _ = written.partition("GPT-2 · gpt2".encode())
    assert title
    assert b"drawing" in before
    assert before.endswith(status.CLEAR.encode())


def test_the_line_has_ascii_where_braille_cannot_be_written() -> None:
    _, _, written = on_a_terminal(SLOW, PYTHONIOENCODING="ascii")
    assert written.isascii()
    assert b"working" in written


@pytest.mark.parametrize(
    ("arguments", "at"),
    [
        (SLOW, b"working"),
        (("report", "*qwen*", "-o", "report.html"), b"profiling"),
        (("draw", "*qwen*", "*llama*", "-o", "a.svg"), b"drawing"),
    ],
)
def test_an_interruption_leaves_nothing_and_no_traceback(arguments: tuple[str, ...], at: bytes, tmp_path: Path) -> None:
    code, result, written = on_a_terminal(arguments, interrupt_at=at, directory=tmp_path)
    assert (code, result) == (130, b"")
    assert b"Traceback" not in written
    assert b"rror" not in written
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "at"),
    [
        (("report", "*qwen*", "--engine", "closed-form", "-o", "report.html"), b"writing the report"),
        (("kvcache", "--engine", "measured", "--format", "csv"), b"profiling"),
    ],
)
def test_an_interruption_in_the_midst_of_work_keeps_the_older_file(
    arguments: tuple[str, ...], at: bytes, tmp_path: Path
) -> None:
    (tmp_path / "report.html").write_text("older")
    code, result, written = on_a_terminal(arguments, interrupt_at=at, directory=tmp_path)
    assert (code, result) == (130, b"")
    assert b"Traceback" not in written
    assert b"rror" not in written
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("report.html", "older")]


def test_during_an_import_the_end_is_sudden_and_files_are_whole(tmp_path: Path) -> None:
    """C++ code of torch ends the process if its import is interrupted."""
    (tmp_path / "slow.py").write_text("import os, signal\nos.kill(os.getpid(), signal.SIGINT)\nprint('not reached')\n")
    program = (
        "from pathlib import Path\nfrom llmarch_cli import writing\nfrom llmarch_cli.cli import interrupts\n"
        "with interrupts.handled(), writing.whole(Path('x')) as x:\n    x.write_text('half')\n    import slow\n"
    )
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])}
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=tmp_path, env=env, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")
    assert {path.name for path in tmp_path.iterdir()} <= {"slow.py", "__pycache__"}


def test_an_interruption_that_a_library_turns_into_an_error_is_none(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from llmarch_cli.cli import app

    def turned(*_: object) -> None:
        try:
            signal.raise_signal(signal.SIGINT)
        except KeyboardInterrupt as error:
            raise RuntimeError("Error calling __set_name__") from error

    monkeypatch.setattr("llmarch_cli.models.read", turned)
    monkeypatch.setattr(sys, "argv", ["llmarch", "show", "gpt2"])
    with interrupts.handled():
        assert app.run() == 130
    assert capsys.readouterr() == ("", "")


def test_complete_files_are_not_abandoned(tmp_path: Path) -> None:
    writing.put(tmp_path / "a", b"1")
    with writing.whole(tmp_path / "b") as beside:
        beside.write_bytes(b"half")
        writing.abandon()
        assert [path.name for path in tmp_path.iterdir()] == ["a"]
        beside.write_bytes(b"2")
    assert (tmp_path / "b").read_bytes() == b"2"
