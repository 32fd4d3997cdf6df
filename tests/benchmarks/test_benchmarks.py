"""The table of the benchmarks: its lines, other tools beside ours, and where the time of a command goes."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from benchmarks import answers, breakdown
from benchmarks.lines import Lines
from benchmarks.processes import run


def test_a_line_has_what_was_measured_its_bound_and_its_goal(capsys: pytest.CaptureFixture[str]) -> None:
    lines = Lines()
    lines.head()
    lines.measured("fast", 0.5, 1.2)
    lines.measured("near", 1.1, 1.2)
    lines.measured("slow", 1.3, 1.2, 0.6)
    assert [line.split() for line in capsys.readouterr().out.splitlines()] == [
        ["measured", "bound", "goal"],
        ["fast", "0.500", "1.200", "1.000", "goal", "reached"],
        ["near", "1.100", "1.200", "1.000", "ok"],
        ["slow", "1.300", "1.200", "0.600", "EXCEEDED"],
    ]
    assert lines.exceeded == ["slow"]


def test_another_tool_stands_beside_ours_whoever_wins(capsys: pytest.CaptureFixture[str]) -> None:
    lines = Lines()
    lines.beside("theirs", 0.1, 0.2)
    lines.beside("theirs", 0.3, 0.2)
    lines.missing("another")
    assert [line.split(maxsplit=2) for line in capsys.readouterr().out.splitlines()] == [
        ["theirs", "0.100", "smaller than ours, which is 2.00 x"],
        ["theirs", "0.300", "larger than ours, 1.50 x"],
        ["another", "not", "installed"],
    ]
    assert not lines.exceeded


def test_a_tool_that_is_not_there_is_not_asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert [(each.command, each.version) for each in answers.asked()] == [(None, "")] * 3


def test_a_tool_is_found_on_the_path(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    program = tmp_path / "llmfit"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "bin" / "python"))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    found, *others = answers.asked()
    assert found.command == (str(program), "--no-dashboard", "info", answers.REPOSITORY)
    assert [each.command for each in others] == [None, None]


@pytest.mark.parametrize(
    ("module", "part"),
    [
        ("json.decoder", "import: standard library"),
        ("typer._click.core", "import: typer"),
        ("pydantic_core._pydantic_core", "import: pydantic"),
        ("llmarch_cli.components.attention.gqa", "import: records"),
        ("llmarch_cli.cli.app", "import: other code of llmarch"),
        ("typing_extensions", "import: other packages"),
    ],
)
def test_a_module_belongs_to_a_part(module: str, part: str) -> None:
    assert breakdown.part_of(module) == part
    assert part in breakdown.PARTS


def test_imports_while_printing_are_not_printing() -> None:
    lines = """
import time:       900 |       1900 | encodings
mark: begin 0.000100
import time:      1000 |       1000 |   json
import time: self [us] | cumulative | imported package
import time:      2000 |       3000 | llmarch_cli.cli
mark: print 0.010100
import time:      1500 |       1500 | llmarch_cli.report.formats.grid
mark: printed 0.014100
mark: end 0.020100"""
    assert breakdown.parts(lines.splitlines()) == pytest.approx(
        {
            "import: standard library": 0.001,
            "import: other code of llmarch": 0.0035,
            "printing": 0.0025,
            "command": 0.013,
        }
    )


def test_the_parts_of_a_comparison_are_most_of_it(capsys: pytest.CaptureFixture[str]) -> None:
    breakdown.main(1)
    head, *rows, total = capsys.readouterr().out.splitlines()
    assert head.split() == ["compare", "of", "two,", "default", "ms", "share"]
    assert len(rows) == len(breakdown.PARTS)
    ms = [float(row[32:40]) for row in rows]
    assert min(ms) >= 0
    assert ms[0] > 0
    assert sum(ms) == pytest.approx(float(total[32:40]), abs=1)


def test_a_command_that_fails_says_why() -> None:
    with pytest.raises(SystemExit, match=r"no such thing\n.*: exit 3"):
        run((sys.executable, "-c", "import sys; print('no such thing', file=sys.stderr); sys.exit(3)"))
