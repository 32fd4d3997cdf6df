"""What a sweep has on disk before it is done: a directory beside the file, with the answer of each chunk.

A chunk counts as answered once its `.answer` is there, which is put in place whole, after its rows. So whatever ends
the process, the same command goes on with the chunks that are missing.
"""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from llmarch_cli.errors import InputError, shown_path
from llmarch_cli.sweeping.files import Columns, format_of
from llmarch_cli.sweeping.search import Answer
from llmarch_cli.sweeping.selection import Rows


class Parts:
    """The parts of the file at `path` for one question, by its `digest`.

    Raises InputError where the file cannot be written, or parts of another question lie there.
    """

    def __init__(self, path: Path, digest: str, names: Sequence[str]) -> None:
        self.path, self.names = path, names
        self.format = format_of(path)
        self.directory = path.with_name(f"{path.name}.partial")
        question = self.directory / "question"
        try:
            self.directory.mkdir(exist_ok=True)
            asked = question.read_text() if question.exists() else None
            if asked is None:
                self._put(question, digest)
        except OSError as error:
            raise InputError(f"--out {shown_path(path)}: {error.strerror}") from None
        if asked not in (None, digest):
            raise InputError(
                f"--out {shown_path(path)}: {shown_path(self.directory)} holds parts of another sweep:"
                " finish that one with its own command, remove the directory, or choose another file"
            )

    def answer(self, chunk: int) -> Answer | None:
        """What is on disk of a chunk."""
        try:
            data = json.loads(self._file(chunk, ".answer").read_text())
        except FileNotFoundError:
            return None
        rows = None
        if data["positions"]:
            figures = {name: _array(values) for name, values in data["figures"].items()}
            rows = Rows(np.array(data["positions"]), figures)
        return Answer(data["points"], Counter(data["refused"]), data["met"], rows)

    def put(self, chunk: int, answer: Answer, stored: Columns | None) -> None:
        """Write a chunk's answer, after the rows that it brings."""
        if stored is not None:
            unfinished = self._file(chunk, ".unfinished")
            self.format.write(unfinished, stored)
            unfinished.replace(self._file(chunk, ".rows"))
        rows = answer.rows
        data: dict[str, Any] = {
            "points": answer.points,
            "refused": answer.refused,
            "met": answer.met,
            "positions": [] if rows is None else rows.positions.tolist(),
            "figures": {} if rows is None else {name: values.tolist() for name, values in rows.figures.items()},
        }
        self._put(self._file(chunk, ".answer"), json.dumps(data))

    def assemble(self) -> None:
        """Make the file of all parts, and remove them."""
        whole = self.directory / "whole"
        self.format.assemble(whole, sorted(self.directory.glob("*.rows")), self.names)
        whole.replace(self.path)
        shutil.rmtree(self.directory)

    def _file(self, chunk: int, ending: str) -> Path:
        return self.directory / f"{chunk:010}{ending}"

    @staticmethod
    def _put(path: Path, text: str) -> None:
        unfinished = path.with_suffix(".unfinished")
        unfinished.write_text(text)
        unfinished.replace(path)


def _array(values: list[Any]) -> Any:
    array = np.array(values)
    return array if array.dtype.kind in "if" else np.array(values, dtype=object)
