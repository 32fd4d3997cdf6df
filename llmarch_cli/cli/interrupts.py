"""Ctrl-C: status 130, without a traceback and without half of a file."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from llmarch_cli import writing
from llmarch_cli.cli import status

STATUS = 128 + signal.SIGINT
_IMPORTS = "<frozen importlib._bootstrap>"  # the file of Python's own frames below a module that is imported

_pressed = threading.Event()


def happened() -> bool:
    """Whether Ctrl-C was pressed: then an error may be a library's word for it."""
    return _pressed.is_set()


def _interrupt(number: int, frame: FrameType | None) -> None:
    """Raise KeyboardInterrupt; during an import, end at once.

    C++ code of libraries ends the process with a message of its own if an import is interrupted.
    """
    _pressed.set()
    if _is_importing(frame):
        writing.abandon()
        status.restore()
        os._exit(STATUS)
    raise KeyboardInterrupt


def _is_importing(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code.co_filename == _IMPORTS:
            return True
        frame = frame.f_back
    return False


@contextmanager
def handled() -> Iterator[None]:
    """Handle Ctrl-C, unless the caller of the process ignores it."""
    _pressed.clear()
    is_main = threading.current_thread() is threading.main_thread()
    if not is_main or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield
        return
    signal.signal(signal.SIGINT, _interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        _pressed.clear()
