"""What a sweep has on disk before it is done: a directory beside the file, with the answer of each chunk.

A chunk counts as answered once its `.answer` is there, which is put in place whole, after its rows, and says how long
these are. So whatever ends the process, the same command goes on with the chunks that are missing or damaged.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from llmarch_cli.errors import InputError, shown_path
from llmarch_cli.sweeping.files import Columns, format_of
from llmarch_cli.sweeping.pricing import dtype_for
from llmarch_cli.sweeping.search import Answer
from llmarch_cli.sweeping.selection import Rows
from llmarch_cli.writing import whole

if TYPE_CHECKING:
    from typing import Self


class Parts:
    """The parts of the file at `path` for one question, by its `digest`; one process at a time has them open.

    Raises InputError where the file cannot be written, where parts of another question lie there, and where another
    process writes them.
    """

    def __init__(self, path: Path, digest: str, names: Sequence[str], varying: Columns) -> None:
        self.path, self.names = path, names
        self.format = format_of(path, varying)
        self.directory = path.with_name(f"{path.name}.partial")
        self._question, self._lock = self.directory / "question", self.directory / "lock"
        if path.is_dir():
            raise InputError(f"--out {shown_path(path)}: is a directory")
        with self._writing():
            self.directory.mkdir(exist_ok=True)
            self._held = self._lock.open("w")
        try:
            self._check(digest)
        except InputError:
            self._held.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None) -> None:
        self._held.close()

    def _check(self, digest: str) -> None:
        if not _locked(self._held):
            raise InputError(
                f"--out {shown_path(self.path)}: another sweep is writing it: wait, or choose another file"
            )
        with self._writing():
            asked = self._question.read_text() if self._question.exists() else None
            if asked is None and not any(self.directory.glob("*.answer")):
                self._put(self._question, lambda file: file.write_text(digest))
            elif asked != digest:
                raise InputError(
                    f"--out {shown_path(self.path)}: {shown_path(self.directory)} holds parts of another sweep:"
                    " finish that one with its own command, remove the directory, or choose another file"
                )

    def answer(self, chunk: int) -> Answer | None:
        """What is on disk of a chunk; nothing where that is damaged, so that it is done again."""
        try:
            data = json.loads(self._file(chunk, ".answer").read_text())
            if data["stored"] is not None and data["stored"] != self._file(chunk, ".rows").stat().st_size:
                return None
            rows = None
            if data["positions"]:
                figures = {name: _array(values) for name, values in data["figures"].items()}
                rows = Rows(_array(data["positions"]), figures)
            return Answer(data["points"], Counter(data["refused"]), data["met"], rows)
        except (OSError, ValueError, LookupError, TypeError, AttributeError):
            return None

    def put(self, chunk: int, answer: Answer, stored: Columns | None) -> None:
        """Write a chunk's answer, after the rows that it brings."""
        rows, there = answer.rows, self._file(chunk, ".rows")
        if stored is not None:
            self._put(there, lambda file: self.format.write(file, stored))
        data: dict[str, Any] = {
            "points": answer.points,
            "refused": answer.refused,
            "met": answer.met,
            "positions": [] if rows is None else rows.positions.tolist(),
            "figures": {} if rows is None else {name: values.tolist() for name, values in rows.figures.items()},
            "stored": None if stored is None else there.stat().st_size,
        }
        self._put(self._file(chunk, ".answer"), lambda file: file.write_text(json.dumps(data)))

    def assemble(self) -> None:
        """Make the file of all parts, and remove them."""
        assembled = self.directory / "assembled"
        rows = sorted(self.directory.glob("*.rows"))
        self._put(assembled, lambda file: self.format.assemble(file, rows, self.names))
        with self._writing():
            assembled.replace(self.path)
            parts = set(self.directory.iterdir()) - {self._question, self._lock}
            for file in (*parts, self._question, self._lock):  # whose they are stays known until none is left
                file.unlink()
        with suppress(OSError):  # where the next sweep is there already
            self.directory.rmdir()

    def _file(self, chunk: int, ending: str) -> Path:
        return self.directory / f"{chunk:010}{ending}"

    def _put(self, path: Path, write: Callable[[Path], object]) -> None:
        """Have a file written, whole or not at all."""
        with self._writing(), whole(path) as beside:
            write(beside)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            kept = "; what is done is kept, and the same command goes on from there" if self._has_answers() else ""
            place = f"{shown_path(error.filename)}: " if error.filename else ""
            reason = os.strerror(error.errno) if error.errno else str(error)
            raise InputError(f"--out {shown_path(self.path)}: {place}{reason}{kept}") from None

    def _has_answers(self) -> bool:
        with suppress(OSError):
            return any(self.directory.glob("*.answer"))
        return False


def _locked(file: IO[str]) -> bool:
    """Whether this process has `file` now, until it closes it or ends; where nothing can be locked, always."""
    try:
        import fcntl
    except ImportError:
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks
        return True
    return True


def _array(values: list[int]) -> Any:
    return np.array(values, dtype_for(max(map(abs, values), default=0)))
