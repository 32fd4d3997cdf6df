"""Run a sweep: in this process or on workers, in memory or on disk, resuming if it was interrupted."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llmarch_cli.sweeping.grid import Grid
from llmarch_cli.sweeping.pricing import RATIOS
from llmarch_cli.sweeping.search import Answer, Question, Search
from llmarch_cli.sweeping.selection import Rows
from llmarch_cli.version import __version__

if TYPE_CHECKING:
    from llmarch_cli.sweeping.partial import Parts

Progress = Callable[[int, int], None]  # called with the points done and the points in total


def run(
    question: Question, out: Path | None = None, scheduler: str | None = None, progress: Progress = lambda _, __: None
) -> tuple[Search, Answer]:
    """Answer the whole question. Return the search and its answer.

    With `out`, all variants that meet the condition are written to that file. Finished parts of an interrupted run of
    the same question are reused.

    Raises InputError for an invalid question or an unwritable file, CheckError if a re-checked metric differs.
    """
    question = replace(question, store=out is not None)
    search = Search(question)
    if out is None:
        return search, _run(search, None, scheduler, progress)
    from llmarch_cli.sweeping.partial import Parts

    varying = {axis.path: axis.values for axis in question.axes}
    with Parts(out, _digest(question, out.suffix), _names(question), varying) as parts:
        return search, _run(search, parts, scheduler, progress)


def _run(search: Search, parts: Parts | None, scheduler: str | None, progress: Progress) -> Answer:
    question = search.question
    done = {chunk: answer for chunk in range(search.n_chunks) if parts and (answer := parts.answer(chunk))}
    todo = [chunk for chunk in range(search.n_chunks) if chunk not in done]
    total = Answer()
    with closing(_answers(search, todo, scheduler if todo else None)) as fresh:
        for chunk in range(search.n_chunks):
            if (answer := done.pop(chunk, None)) is None:
                answer = next(fresh)
                if parts is not None:
                    stored = answer.stored
                    parts.put(chunk, answer, None if stored is None else columns(question, search.grid, stored))
            search.merge(total, answer)
            progress(total.points, search.grid.size)
    if parts is not None:
        parts.assemble()
    return total


def _answers(search: Search, chunks: Sequence[int], scheduler: str | None) -> Generator[Answer, None, None]:
    if scheduler is None:
        return (search.answer(chunk) for chunk in chunks)
    from llmarch_cli.sweeping.cluster import answers

    return answers(search.question, chunks, scheduler)


def columns(question: Question, grid: Grid, rows: Rows) -> dict[str, list[Any]]:
    """The rows as columns of Python values: the varying fields in the order given, then the requested metrics."""
    by_path = dict(zip((axis.path for axis in grid.axes), grid.values(rows.positions), strict=True))
    figures = {
        key: _quotients(*(rows.figures[name].tolist() for name in RATIOS[key]))
        if key in RATIOS
        else rows.figures[key].tolist()
        for key in question.columns
    }
    return {axis.path: by_path[axis.path] for axis in question.axes} | {
        key: values for key, values in figures.items() if key not in by_path
    }


def _quotients(parts: list[int], wholes: list[int]) -> list[float | None]:
    return [part / whole if whole else None for part, whole in zip(parts, wholes, strict=True)]


def _names(question: Question) -> list[str]:
    paths = [axis.path for axis in question.axes]
    return [*paths, *(key for key in question.columns if key not in paths)]


def _digest(question: Question, ending: str) -> str:
    """Identify the question, the program's version and the file format. Runs with the same digest can share parts."""
    asked = f"{__version__} {ending} {question.base!r} {replace(question, base=None)!r}"  # type: ignore[arg-type]
    return hashlib.sha256(asked.encode()).hexdigest()
