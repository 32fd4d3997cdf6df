"""A line on standard error that says that work goes on, if that is a terminal. It is gone when a result is printed."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.machinery import ModuleSpec
from itertools import cycle
from types import ModuleType
from typing import TextIO

AFTER = 0.08  # seconds without a result before the line is shown
EVERY = 0.1  # seconds between two pictures of it
FRAMES, ASCII_FRAMES = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏", "|/-\\"
CLEAR = "\r\x1b[K"
WORDS = "working"
SLOW = "torch"  # importing it takes longer than a second, and much of that no thread can run


def is_terminal(stream: TextIO | None) -> bool:
    """Whether a stream is a terminal. Python has None for one that the caller closed."""
    return stream is not None and stream.isatty()


class _Line:
    """The line of one command. It is drawn by a thread, and at once where that would come too late."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream
        self.words = WORDS
        self._lock = threading.Lock()
        self._stop: threading.Event | None = None  # of the thread that draws; None while paused
        try:
            FRAMES.encode(stream.encoding or "utf-8")
            self._frames = cycle(FRAMES)
        except UnicodeEncodeError:
            self._frames = cycle(ASCII_FRAMES)

    def start(self) -> None:
        with self._lock:
            if self._stop is None:
                self._stop = threading.Event()
                threading.Thread(target=self._spin, args=(self._stop,), daemon=True).start()

    def pause(self) -> None:
        with self._lock:
            if self._stop is not None:
                self._stop.set()
                self._stop = None
                self._write(CLEAR)

    def draw(self) -> None:
        with self._lock:
            if self._stop is not None:
                self._write(f"{CLEAR}{next(self._frames)} {self.words}")

    def _spin(self, stop: threading.Event) -> None:
        wait = AFTER
        while not stop.wait(wait):
            with self._lock:
                if not stop.is_set():
                    self._write(f"{CLEAR}{next(self._frames)} {self.words}")
            wait = EVERY

    def _write(self, text: str) -> None:
        try:
            self.stream.write(text)
            self.stream.flush()
        except (OSError, ValueError):  # closed meanwhile
            pass


class _Announcer:
    """Draws the line before a slow import, while which no thread may run. Finds no module."""

    def __init__(self, line: _Line) -> None:
        self.line = line

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """None: the next finder answers."""
        if name == SLOW:
            self.line.draw()
        return None


_current: _Line | None = None


@contextmanager
def shown() -> Iterator[None]:
    """Show the line during a command, if standard error is a terminal that can clear a line."""
    global _current  # there is one standard error
    if not is_terminal(sys.stderr) or os.environ.get("TERM") == "dumb":
        yield
        return
    line = _current = _Line(sys.stderr)
    announcer = _Announcer(line)
    sys.meta_path.insert(0, announcer)
    line.start()
    try:
        yield
    finally:
        line.pause()
        _current = None
        sys.meta_path.remove(announcer)


def restore() -> None:
    """Clear the line, and show the cursor that a progress bar hides: before a sudden end."""
    if is_terminal(sys.stderr) and os.environ.get("TERM") != "dumb":
        os.write(2, f"{CLEAR}\x1b[?25h".encode())


@contextmanager
def hidden() -> Iterator[None]:
    """Clear the line while something else is written to the terminal."""
    line = _current
    if line is None:
        yield
        return
    line.pause()
    try:
        yield
    finally:
        if line is _current:
            line.start()


@contextmanager
def doing(words: str) -> Iterator[None]:
    """Show these words at once."""
    line = _current
    if line is None:
        yield
        return
    line.words = words
    line.draw()
    try:
        yield
    finally:
        line.words = WORDS
