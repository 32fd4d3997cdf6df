"""A sweep gives the same file whatever happens to its parts on disk."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import llmarch_cli as llmarch
from llmarch_cli.errors import InputError
from llmarch_cli.profilers.cost import Workload
from llmarch_cli.sweeping.axes import axes
from llmarch_cli.sweeping.run import run
from llmarch_cli.sweeping.search import Question

FORMATS = ("csv", "json", "parquet")
N_CHUNKS, N_DONE = 6, 4


@pytest.fixture(scope="module")
def question() -> Question:
    base = llmarch.load("qwen3-0.6b")
    vary = axes(base, {"n_layers": range(1, 7), "d_model": range(64, 320, 64)})
    return Question(
        base, vary, Workload(1024), columns=("params", "active_share"), where="params < 40M", chunk=4, block=4
    )


class StoppedError(Exception): ...


def interrupted(question: Question, out: Path) -> Path:
    """Run a sweep until `N_DONE` of its chunks are on disk. Return the directory of its parts."""

    def stop(done: int, total: int) -> None:
        if done * N_CHUNKS >= total * N_DONE:
            raise StoppedError

    with pytest.raises(StoppedError):
        run(question, out, progress=stop)
    parts = out.with_name(f"{out.name}.partial")
    assert len(list(parts.glob("*.rows"))) == len(list(parts.glob("*.answer"))) == N_DONE
    return parts


@pytest.fixture(scope="module")
def straight(question: Question, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the finished file of each format, and the parts of interrupted sweeps."""
    directory = tmp_path_factory.mktemp("straight")
    for ending in FORMATS:
        run(question, directory / f"all.{ending}")
        interrupted(question, directory / f"interrupted.{ending}")
        interrupted(replace(question, where="params < 41M"), directory / f"other.{ending}")
    return directory


def resumed(question: Question, straight: Path, tmp_path: Path, ending: str, harm: Callable[[Path], object]) -> Path:
    """Resume a sweep after `harm` to the directory of its parts. Return that directory."""
    out = tmp_path / f"a.{ending}"
    parts = tmp_path / f"{out.name}.partial"
    shutil.copytree(straight / f"interrupted.{ending}.partial", parts)
    harm(parts)
    run(question, out)
    assert out.read_bytes() == (straight / f"all.{ending}").read_bytes()
    return parts


def _flip(path: Path, bit: int) -> None:
    content = bytearray(path.read_bytes())
    content[bit // 8 % len(content)] ^= 1 << bit % 8
    path.write_bytes(content)


def _swap(path: Path) -> None:
    other = path.with_name(path.name.replace("1", "2"))
    mine, others = path.read_bytes(), other.read_bytes()
    path.write_bytes(others)
    other.write_bytes(mine)


DAMAGES: dict[str, Callable[[Path], object]] = {
    "zeros of the same length": lambda path: path.write_bytes(bytes(path.stat().st_size)),
    "truncated": lambda path: path.write_bytes(path.read_bytes()[:-9]),
    "empty": lambda path: path.write_bytes(b""),
    "extended": lambda path: path.write_bytes(path.read_bytes() * 2),
    "a bit flipped": lambda path: _flip(path, path.stat().st_size * 4),
    "swapped with the next": _swap,
    "unreadable": lambda path: path.chmod(0),
    "missing": Path.unlink,
}


@pytest.mark.parametrize("ending", FORMATS)
@pytest.mark.parametrize("kind", [".rows", ".answer"])
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_part_is_computed_again(
    question: Question, straight: Path, tmp_path: Path, ending: str, kind: str, damage: str
) -> None:
    parts = resumed(question, straight, tmp_path, ending, lambda parts: DAMAGES[damage](parts / f"0000000001{kind}"))
    assert not parts.exists()


@pytest.mark.parametrize("ending", FORMATS)
def test_a_part_in_another_place_is_computed_again(
    question: Question, straight: Path, tmp_path: Path, ending: str
) -> None:
    def swap(parts: Path) -> None:
        for kind in (".rows", ".answer"):
            _swap(parts / f"0000000001{kind}")

    assert not resumed(question, straight, tmp_path, ending, swap).exists()


@pytest.mark.parametrize("ending", FORMATS)
@pytest.mark.parametrize("kinds", [(".rows", ".answer"), (".rows",), (".answer",)])
def test_a_part_of_another_question_or_format_is_computed_again(
    question: Question, straight: Path, tmp_path: Path, ending: str, kinds: tuple[str, ...]
) -> None:
    foreign = {"json": "csv", "csv": "parquet", "parquet": "json"}[ending]

    def mix(parts: Path) -> None:
        for kind in kinds:
            shutil.copy(straight / f"other.{ending}.partial" / f"0000000000{kind}", parts)
            shutil.copy(straight / f"interrupted.{foreign}.partial" / f"0000000002{kind}", parts)

    assert not resumed(question, straight, tmp_path, ending, mix).exists()


@pytest.mark.parametrize("ending", FORMATS)
@pytest.mark.parametrize("kind", [".rows", ".answer"])
def test_what_is_no_part_is_neither_read_nor_deleted(
    question: Question, straight: Path, tmp_path: Path, ending: str, kind: str
) -> None:
    notes = tmp_path / "notes"
    notes.write_text("mine")

    def occupy(parts: Path) -> None:
        for chunk in (0, 1, 2):
            (parts / f"000000000{chunk}{kind}").unlink()
        (parts / f"0000000000{kind}").mkdir()
        (parts / f"0000000001{kind}").symlink_to(notes)
        (parts / f"0000000002{kind}").symlink_to(tmp_path / "missing")
        (parts / "assembled").mkdir()
        shutil.copy(parts / f"0000000003{kind}", parts / f"0000000099{kind}")
        shutil.copy(parts / f"0000000003{kind}", parts / f"copy{kind}")

    parts = resumed(question, straight, tmp_path, ending, occupy)
    names = [f"{name}{kind}" for name in ("0000000000", "0000000001", "0000000002", "0000000099", "copy")]
    assert sorted(path.name for path in parts.iterdir()) == sorted([*names, "assembled"])
    assert notes.read_text() == "mine"
    assert not (tmp_path / "missing").exists()
    run(question, tmp_path / f"a.{ending}")  # they do not stop the next sweep either


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    ending=st.sampled_from(FORMATS),
    flips=st.lists(st.tuples(st.integers(0, 2 * N_DONE), st.integers(0, 100_000)), min_size=1, max_size=4),
)
def test_any_flipped_bits_are_found(
    question: Question, straight: Path, tmp_path: Path, ending: str, flips: list[tuple[int, int]]
) -> None:
    """In parts, and in the file that names their question."""

    def harm(parts: Path) -> None:
        files = sorted(path for path in parts.iterdir() if path.name != "lock")
        assert len(files) == 2 * N_DONE + 1
        for number, bit in flips:
            _flip(files[number], bit)

    assert not resumed(question, straight, tmp_path, ending, harm).exists()


@pytest.mark.parametrize("content", [b"", bytes(64), b"\xff" * 64, b"0" * 64, None])
def test_a_damaged_name_of_the_question_is_replaced(
    question: Question, straight: Path, tmp_path: Path, content: bytes | None
) -> None:
    def harm(parts: Path) -> None:
        (parts / "question").unlink()
        if content is not None:
            (parts / "question").write_bytes(content)

    resumed(question, straight, tmp_path, "csv", harm)
    shutil.copytree(straight / "other.csv.partial", tmp_path / "b.csv.partial")
    harm(tmp_path / "b.csv.partial")
    with pytest.raises(InputError, match="holds parts of another sweep"):
        run(question, tmp_path / "b.csv")


@pytest.mark.parametrize("ending", FORMATS)
def test_damage_during_the_run_replaces_nothing(
    question: Question, straight: Path, tmp_path: Path, ending: str
) -> None:
    out = tmp_path / f"a.{ending}"
    out.write_text("before")

    def harm(done: int, total: int) -> None:
        if done == total:
            DAMAGES["zeros of the same length"](tmp_path / f"a.{ending}.partial" / "0000000001.rows")

    with pytest.raises(InputError, match=r"0000000001\.rows: damaged .*the same command resumes"):
        run(question, out, progress=harm)
    assert out.read_text() == "before"
    run(question, out)
    assert out.read_bytes() == (straight / f"all.{ending}").read_bytes()


def test_a_part_is_flushed_before_it_counts(
    question: Question, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Content before the name, rows before their answer, the whole file before its parts are deleted."""
    done: list[str] = []
    real = {name: getattr(os, name) for name in ("fsync", "replace", "unlink")}

    def fsync(descriptor: int) -> None:
        done.append(f"flush {Path(f'/proc/self/fd/{descriptor}').resolve().name}")
        real["fsync"](descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    for name in ("replace", "unlink"):

        def noted(path: Path, *more: Path, name: str = name) -> None:
            real[name](path, *more)
            done.append(f"{name} {path.name}")

        monkeypatch.setattr(os, name, noted)
    if not Path("/proc/self/fd").is_dir():
        pytest.skip("needs /proc to name an open file")
    run(replace(question, axes=axes(question.base, {"n_layers": [1]})), tmp_path / "a.csv")
    kept = [step for step in done if not (step.startswith("unlink") and step.endswith(".new"))]
    (part,) = {step.removeprefix("unlink ") for step in kept if step.startswith("unlink") and step.endswith(".rows")}
    answer = part.replace(".rows", ".answer")
    assert kept == [
        *("flush question.new", "replace question.new"),
        *(f"flush {part}.new", f"replace {part}.new", f"flush {answer}.new", f"replace {answer}.new"),
        "flush a.csv.partial",
        *("flush assembled.new", "replace assembled.new", "replace assembled", f"flush {tmp_path.name}"),
        *(f"unlink {part}", f"unlink {answer}", "unlink question", "unlink lock"),
    ]
