"""What a sweep writes is the same whatever interrupts it, and whoever works for it."""

from __future__ import annotations

import csv
import json
import logging
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import llmarch_cli as llmarch
from llmarch_cli.errors import InputError, LlmarchError
from llmarch_cli.profilers.cost import Workload
from llmarch_cli.sweeping import cluster
from llmarch_cli.sweeping.axes import axes
from llmarch_cli.sweeping.run import run
from llmarch_cli.sweeping.search import Answer, Question, Search
from llmarch_cli.sweeping.selection import Goal

VARY: dict[str, Any] = {
    "n_layers": range(2, 12),
    "d_model": range(64, 1024, 64),
    "attention.n_kv_heads": [1, 2, 3, 8],
    "attention.window": [None, 512],
}


@pytest.fixture(scope="module")
def question() -> Question:
    base = llmarch.load("qwen3-8b")
    return Question(
        base,
        axes(base, VARY),
        Workload(8192),
        columns=("params", "kv_cache_bytes", "active_share"),
        where="params < 1.5B",
        pareto=(Goal("params", largest=True), Goal("kv_cache_bytes")),
        chunk=64,
        block=32,
    )


class StoppedError(Exception): ...


def interrupted_after(points: int) -> Any:
    def stop(done: int, _total: int) -> None:
        if done >= points:
            raise StoppedError

    return stop


@pytest.mark.parametrize("ending", ["csv", "json", "parquet"])
def test_an_interrupted_sweep_goes_on_and_loses_nothing(
    question: Question, tmp_path: Path, ending: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    straight, resumed = tmp_path / f"straight.{ending}", tmp_path / f"resumed.{ending}"
    whole_search, whole = run(question, straight)
    with pytest.raises(StoppedError):
        run(question, resumed, progress=interrupted_after(500))
    assert not resumed.exists()

    answered: list[int] = []
    answer = Search.answer

    def counted(self: Search, chunk: int) -> Answer:
        answered.append(chunk)
        return answer(self, chunk)

    monkeypatch.setattr(Search, "answer", counted)
    search, total = run(question, resumed)
    assert 0 < len(answered) < search.n_chunks
    assert 0 not in answered
    assert resumed.read_bytes() == straight.read_bytes()
    assert (total.points, total.refused, total.met) == (whole.points, whole.refused, whole.met)
    assert search.rows(total).positions.tolist() == whole_search.rows(whole).positions.tolist()
    assert sorted(path.name for path in tmp_path.iterdir()) == [resumed.name, straight.name]


def test_the_formats_hold_the_same_rows(question: Question, tmp_path: Path) -> None:
    for ending in ("csv", "json", "parquet"):
        _, total = run(question, tmp_path / f"all.{ending}")
    as_parquet = pd.read_parquet(tmp_path / "all.parquet")
    as_json = json.loads((tmp_path / "all.json").read_text())["variants"]
    with (tmp_path / "all.csv").open() as file:
        as_csv = list(csv.DictReader(file))
    assert len(as_json) == len(as_csv) == len(as_parquet) == total.met > 0
    assert (
        list(as_parquet) == list(as_json[0]) == list(as_csv[0]) == [*VARY, "params", "kv_cache_bytes", "active_share"]
    )
    assert [row["params"] for row in as_json] == [int(row["params"]) for row in as_csv] == list(as_parquet["params"])
    assert {row["attention.window"] for row in as_csv} == {"", "512"}


def test_parts_of_another_sweep_are_left_alone(question: Question, tmp_path: Path) -> None:
    with pytest.raises(StoppedError):
        run(question, tmp_path / "a.csv", progress=interrupted_after(100))
    with pytest.raises(InputError, match=r"a\.csv\.partial holds parts of another sweep"):
        run(replace(question, where="params < 2B"), tmp_path / "a.csv")
    run(question, tmp_path / "a.csv")


def test_no_row_is_no_reason_to_fail(question: Question, tmp_path: Path) -> None:
    for ending in ("csv", "json", "parquet"):
        run(replace(question, where="params < 1"), tmp_path / f"none.{ending}")
    assert (tmp_path / "none.csv").read_text().count("\n") == 1
    assert json.loads((tmp_path / "none.json").read_text())["variants"] == []
    assert len(pd.read_parquet(tmp_path / "none.parquet")) == 0


def test_figures_of_64_bits_and_more_are_exact_on_disk(tmp_path: Path) -> None:
    """Of what lies between 2**63 and 2**64, beside smaller ones, NumPy by itself would make floating-point numbers."""
    base = llmarch.load("qwen3-0.6b")
    vary = axes(base, {"n_layers": range(1, 2000, 100)})
    question = Question(base, vary, Workload(2**20, 2**20, "fp32"), ("kv_cache_bytes",), block=1, chunk=1)
    alone, whole = run(question)
    with pytest.raises(StoppedError):
        run(question, tmp_path / "a.csv", progress=interrupted_after(15))
    search, total = run(question, tmp_path / "a.csv")
    found = search.rows(total).figures["kv_cache_bytes"].tolist()
    assert found == alone.rows(whole).figures["kv_cache_bytes"].tolist() == [2**53 * n for n in range(1, 2000, 100)]
    assert {type(value) for value in found} == {int}


def test_two_sweeps_do_not_write_one_file(question: Question, tmp_path: Path) -> None:
    refused: list[str] = []

    def run_again(_done: int, _total: int) -> None:
        if not refused:
            with pytest.raises(InputError, match="another sweep is writing it") as error:
                run(question, tmp_path / "a.csv")
            refused.append(str(error.value))

    run(question, tmp_path / "a.csv", progress=run_again)
    assert refused
    assert [path.name for path in tmp_path.iterdir()] == ["a.csv"]


def test_parts_that_nobody_asked_for_are_left_alone(question: Question, tmp_path: Path) -> None:
    with pytest.raises(StoppedError):
        run(question, tmp_path / "a.csv", progress=interrupted_after(100))
    (tmp_path / "a.csv.partial" / "question").unlink()
    with pytest.raises(InputError, match="holds parts of another sweep"):
        run(replace(question, where="params < 2B"), tmp_path / "a.csv")


def test_parquet_says_at_once_that_a_column_is_of_one_sort(question: Question, tmp_path: Path) -> None:
    mixed = replace(question, axes=axes(question.base, {"embedding_scale": [1.0, "sqrt_d_model"]}))
    with pytest.raises(InputError, match="embedding_scale mixes types, which a Parquet column cannot hold"):
        run(mixed, tmp_path / "a.parquet")
    run(mixed, tmp_path / "a.csv")
    assert [path.name for path in tmp_path.iterdir()] == ["a.csv"]


def test_a_directory_is_no_file_to_write(question: Question, tmp_path: Path) -> None:
    (tmp_path / "a.csv").mkdir()
    with pytest.raises(InputError, match="is a directory"):
        run(question, tmp_path / "a.csv")


@pytest.mark.parametrize(
    ("name", "why"), [("a.txt", "must end in .csv, .json or .parquet"), ("missing/a.csv", "No such file")]
)
def test_where_it_cannot_be_written(question: Question, tmp_path: Path, name: str, why: str) -> None:
    with pytest.raises(InputError, match=why):
        run(question, tmp_path / name)


COMMAND = (
    *(sys.executable, "-m", "llmarch_cli", "sweep", "qwen3-8b"),
    *("--vary", "n_layers=1:1000", "--vary", "d_model=1:400", "--vary", "ffn.d_ff=1:400", "--top", "1"),
    *("--format", "csv", "--out", "all.csv"),
)


@pytest.mark.parametrize("more", [(), ("--scheduler", "local:2")])
def test_interrupt_is_a_clean_stop(tmp_path: Path, more: tuple[str, ...]) -> None:
    """As a terminal does it, which interrupts workers too."""
    if more:
        pytest.importorskip("distributed")

    def listen() -> None:  # what a shell starts in the background ignores interrupts, and so would all that it starts
        signal.signal(signal.SIGINT, signal.SIG_DFL)

    command = [*COMMAND, "--where", "params < 1M", *more]
    process = subprocess.Popen(
        command, cwd=tmp_path, stderr=subprocess.PIPE, text=True, preexec_fn=listen, start_new_session=True
    )
    partial = tmp_path / "all.csv.partial"
    for _ in range(400):
        time.sleep(0.05)
        if list(partial.glob("*.answer")):
            break
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=20)
    assert process.returncode == 130
    assert "Traceback" not in err
    assert list(partial.glob("*.answer"))
    assert not (tmp_path / "all.csv").exists()


def test_a_full_disk_is_an_error_in_a_line(tmp_path: Path) -> None:
    def limit() -> None:
        import resource

        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))

    done = subprocess.run(COMMAND, cwd=tmp_path, capture_output=True, text=True, preexec_fn=limit, check=False)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("error: --out all.csv: ")
    assert "File too large" in done.stderr
    assert not list(tmp_path.glob("*.partial/.llmarch-*"))


def test_workers_find_the_same(question: Question, tmp_path: Path) -> None:
    """Two processes, one of which is killed while it works."""
    pytest.importorskip("distributed")
    alone, total = run(question, tmp_path / "alone.csv")

    killed: list[int] = []

    def kill_one(done: int, _total: int) -> None:
        if not killed:
            killed.append(_a_worker())
            os.kill(killed[0], signal.SIGKILL)

    search, together = run(question, tmp_path / "together.csv", scheduler="local:2", progress=kill_one)
    assert killed
    assert (tmp_path / "together.csv").read_bytes() == (tmp_path / "alone.csv").read_bytes()
    assert (together.points, together.refused, together.met) == (total.points, total.refused, total.met)
    assert search.rows(together).positions.tolist() == alone.rows(total).positions.tolist()


def test_all_workers_may_die(question: Question) -> None:
    pytest.importorskip("distributed")
    alone, total = run(question)
    killed: list[int] = []

    def kill_the_only_one(_done: int, _total: int) -> None:
        if not killed:
            killed.append(_a_worker())
            os.kill(killed[0], signal.SIGKILL)

    search, after = run(question, scheduler="local:1", progress=kill_the_only_one)
    assert killed
    assert search.rows(after).positions.tolist() == alone.rows(total).positions.tolist()


def test_workers_find_the_same_when_a_task_has_several_chunks(
    question: Question, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("distributed")
    monkeypatch.setattr(cluster, "SHARE", 2)
    alone, total = run(question)
    assert alone.n_chunks // 2 > 3
    done: list[int] = []
    search, together = run(question, scheduler="local:1", progress=lambda points, _: done.append(points))
    assert len(done) == search.n_chunks
    assert len(set(done)) < len(done)
    assert done[-1] == together.points == total.points
    assert (together.refused, together.met) == (total.refused, total.met)
    assert search.rows(together).positions.tolist() == alone.rows(total).positions.tolist()


def test_a_scheduler_at_an_address_that_is_lost(
    question: Question, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    distributed = pytest.importorskip("distributed")
    monkeypatch.setattr(cluster, "PATIENCE", 5)
    alone, total = run(question)
    options = {"n_workers": 2, "threads_per_worker": 2, "dashboard_address": None, "silence_logs": logging.CRITICAL}
    with distributed.LocalCluster(**options) as workers:
        search, together = run(question, scheduler=workers.scheduler_address)
        assert search.rows(together).positions.tolist() == alone.rows(total).positions.tolist()
        with pytest.raises(LlmarchError, match="lost the connection to the scheduler"):
            run(question, tmp_path / "a.csv", workers.scheduler_address, progress=lambda *_: workers.close())
    run(question, tmp_path / "a.csv")


def test_workers_have_the_same_version(question: Question) -> None:
    with pytest.raises(InputError, match=r"this is 0\.0\.1; install 0\.0\.1 on it"):
        cluster._answer(question, [0], "0.0.1")


def _a_worker() -> int:
    from distributed import get_client

    pids = get_client().run(os.getpid)
    return int(next(iter(pids.values())))


@pytest.mark.parametrize("scheduler", ["local:0", "local", "host:8786", "local:1000"])
def test_no_such_scheduler(question: Question, scheduler: str) -> None:
    with pytest.raises(InputError, match="--scheduler must be local:N"):
        run(question, scheduler=scheduler)


def test_progress_counts_all_points(question: Question) -> None:
    seen: list[tuple[int, int]] = []
    _, total = run(question, progress=lambda done, of: seen.append((done, of)))
    assert seen[-1] == (total.points, total.points)
    assert isinstance(total, Answer)
