"""Write files completely or not at all: first beside their place, then into it."""

from __future__ import annotations

import errno
import os
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_unfinished: set[Path] = set()


def abandon() -> None:
    """Remove the files that are not complete, where nothing else will."""
    for path in tuple(_unfinished):
        path.unlink(missing_ok=True)


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """Yield a file beside `path` to write to. It replaces `path` when it is complete.

    A link stays a link, and an existing file keeps its mode. Anything but a regular file, such as a pipe, is
    written to directly. If it fails, `path` is unchanged and the OSError names it.
    """
    in_place = path.exists() and not path.is_file()
    target = path if in_place else Path(os.path.realpath(path))
    # A fixed name: one made from the file's name might be too long.
    beside = target if in_place else target.with_name(f".llmarch-{os.getpid()}-{threading.get_ident()}")
    if not in_place:
        _unfinished.add(beside)
    try:
        yield beside
        if not in_place:
            if target.exists():
                shutil.copymode(target, beside)
            try:
                beside.replace(target)
            except OSError as error:
                if error.errno != errno.EBUSY:
                    raise
                shutil.copyfile(beside, target)  # a mounted file cannot be replaced
    except OSError as error:
        raise OSError(error.errno, error.strerror or str(error), str(path)) from None
    finally:
        if not in_place:
            beside.unlink(missing_ok=True)
            _unfinished.discard(beside)


def put(path: Path, contents: bytes) -> None:
    """Write `contents` to the file at `path`, completely or not at all. Raises OSError that names it."""
    with whole(path) as beside:
        beside.write_bytes(contents)
