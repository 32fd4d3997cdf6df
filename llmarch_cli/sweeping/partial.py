"""The unfinished result of a sweep: a directory beside the output file, with one part for each chunk.

A part is two files: the rows, and an answer that holds the totals and the SHA-256 of the rows. The answer's first line
is the SHA-256 of the rest, which names the question and the chunk. A part that fails this check is computed again, so
a sweep can be resumed after any interruption or damage. Files that are not parts are neither read nor deleted.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from llmarch_cli.errors import InputError, shown_path
from llmarch_cli.sweeping.files import Columns, format_of
from llmarch_cli.sweeping.pricing import dtype_for
from llmarch_cli.sweeping.search import Answer
from llmarch_cli.sweeping.selection import Rows

if TYPE_CHECKING:
    from typing import Self


class Parts:
    """The parts of the output file at `path`, for the question with this `digest`. Only one process can open them.

    Raises InputError if the file cannot be written, if the directory holds parts of another question, or if another
    process has it open.
    """

    def __init__(self, path: Path, digest: str, names: Sequence[str], varying: Columns) -> None:
        self.path, self.digest, self.names = path, digest, names
        self.format = format_of(path, varying)
        self.directory = path.with_name(f"{path.name}.partial")
        self._rows: dict[int, str | None] = {}  # chunk -> SHA-256 of its rows, or None if it has none
        if path.is_dir():
            raise InputError(f"--out {shown_path(path)}: is a directory")
        with self._writing():
            self.directory.mkdir(exist_ok=True)
            self._question, self._lock = self._free("question"), self._free("lock")
            self._held = self._lock.open("a")
        try:
            self._claim()
        except InputError:
            self._held.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None) -> None:
        self._held.close()

    def _claim(self) -> None:
        """Lock the directory and write the question's digest into it."""
        if not _locked(self._held):
            raise InputError(f"--out {shown_path(self.path)}: another sweep is writing it; wait or choose another file")
        with self._writing():
            if self._question.exists() and self._question.read_bytes() == self.digest.encode():
                return
            # Another question, a new directory or a damaged file: the parts name their question too.
            parts = map(_checked, self.directory.glob("*.answer"))
            if any(data["question"] != self.digest for data in parts if data):
                raise InputError(
                    f"--out {shown_path(self.path)}: {shown_path(self.directory)} holds parts of another sweep;"
                    " finish that sweep with its own command, remove the directory, or choose another file"
                )
            self._put(self._question, lambda file: file.write_text(self.digest))

    def answer(self, chunk: int) -> Answer | None:
        """Read a chunk's answer. Return None if its part is missing or damaged."""
        data = _checked(self._file(chunk, ".answer"))
        if data is None or (data["question"], data["chunk"]) != (self.digest, chunk):
            return None
        try:
            if data["stored"] is not None and data["stored"] != _sha256(self._file(chunk, ".rows")):
                return None
        except OSError:
            return None
        self._rows[chunk] = data["stored"]
        rows = None
        if data["positions"]:
            figures = {name: _array(values) for name, values in data["figures"].items()}
            rows = Rows(_array(data["positions"]), figures)
        return Answer(data["points"], Counter(data["refused"]), data["met"], rows)

    def put(self, chunk: int, answer: Answer, stored: Columns | None) -> None:
        """Write a chunk's part to disk: first the rows in `stored`, then the answer that makes them count."""
        rows, digest, file_of_rows = answer.rows, None, self._file(chunk, ".rows")
        if stored is not None:
            self._put(file_of_rows, lambda file: self.format.write(file, stored))
            with self._writing():
                digest = _sha256(file_of_rows)
        data: dict[str, Any] = {
            "question": self.digest,
            "chunk": chunk,
            "points": answer.points,
            "refused": answer.refused,
            "met": answer.met,
            "positions": [] if rows is None else rows.positions.tolist(),
            "figures": {} if rows is None else {name: values.tolist() for name, values in rows.figures.items()},
            "stored": digest,
        }
        body = json.dumps(data).encode()
        signed = hashlib.sha256(body).hexdigest().encode() + b"\n" + body
        self._put(self._file(chunk, ".answer"), lambda file: file.write_bytes(signed))
        with self._writing():
            _flush_directory(self.directory)
        self._rows[chunk] = digest

    def assemble(self) -> None:
        """Write the output file from the parts, then delete them. Raises InputError if a part is damaged meanwhile."""
        assembled = self._free("assembled")
        self._put(assembled, lambda file: self.format.assemble(file, self._contents, self.names))
        with self._writing():
            assembled.replace(self.path)
            _flush_directory(self.path.parent)
            for chunk, digest in self._rows.items():
                if digest is not None:
                    self._file(chunk, ".rows").unlink(missing_ok=True)
                self._file(chunk, ".answer").unlink(missing_ok=True)
            self._question.unlink()  # last, so that the remaining parts keep their owner if this is interrupted
            self._lock.unlink()
        with suppress(OSError):  # the next sweep has opened it, or it holds other files
            self.directory.rmdir()

    def _contents(self) -> Iterator[bytes]:
        """Read the rows of each part in the order of the chunks, and check each again."""
        for chunk, digest in sorted(self._rows.items()):
            if digest is None:
                continue
            path = self._file(chunk, ".rows")
            content = path.read_bytes()
            if hashlib.sha256(content).hexdigest() != digest:
                raise OSError(None, "damaged on disk after it was written", str(path))
            yield content

    def _file(self, chunk: int, ending: str) -> Path:
        return self._free(f"{chunk:010}", ending)

    def _free(self, stem: str, ending: str = "") -> Path:
        """The path of a file, which may exist. A name that a directory or link has taken gets a number appended."""
        for number in count():
            path = self.directory / f"{stem}{f'-{number}' if number else ''}{ending}"
            if not path.is_symlink() and (path.is_file() or not path.exists()):
                return path
        raise AssertionError  # pragma: no cover

    def _put(self, path: Path, write: Callable[[Path], object]) -> None:
        """Have a file written completely or not at all, and flush it to disk."""
        new = self._free(f"{path.name}.new")
        with self._writing():
            try:
                write(new)
                with new.open("rb+") as file:
                    os.fsync(file.fileno())
                new.replace(path)
            finally:
                new.unlink(missing_ok=True)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            kept = "; finished parts are kept, and the same command resumes from them" if self._has_answers() else ""
            place = f"{shown_path(error.filename)}: " if error.filename else ""
            reason = os.strerror(error.errno) if error.errno else error.strerror or str(error)
            raise InputError(f"--out {shown_path(self.path)}: {place}{reason}{kept}") from None

    def _has_answers(self) -> bool:
        with suppress(OSError):
            return any(self.directory.glob("*.answer"))
        return False


def _checked(path: Path) -> dict[str, Any] | None:
    """The data of an answer file, or None if it is missing, unreadable, damaged or another kind of file."""
    try:
        if path.is_symlink() or not path.is_file():
            return None
        digest, _, body = path.read_bytes().partition(b"\n")
        if digest != hashlib.sha256(body).hexdigest().encode():
            return None
        data = json.loads(body)
        return data if data.keys() >= {"question", "chunk"} else None
    except (OSError, ValueError, AttributeError):
        return None


def _sha256(path: Path) -> str:
    """The SHA-256 of a file in hexadecimal. Raises OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _flush_directory(path: Path) -> None:
    """Flush a directory's entries to disk, so that a renamed file keeps its new name after a power loss."""
    with suppress(OSError):  # Windows and some network file systems cannot flush a directory
        entries = os.open(path, os.O_RDONLY)
        try:
            os.fsync(entries)
        finally:
            os.close(entries)


def _locked(file: IO[str]) -> bool:
    """Lock `file` for this process until it is closed. Return False if another process holds it.

    Return True without a lock if the platform or the file system has none.
    """
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
