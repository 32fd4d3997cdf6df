"""Files are written whole or not at all: beside their place first, and then into it."""

from __future__ import annotations

import errno
import os
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """Where to write what shall stand at `path`: a file beside it, which takes its place once it is complete.

    A link stays one, and a file that was there keeps its mode. What is no regular file, such as a pipe, is written to
    as it is. Raises OSError that names `path`, and leaves what was there as it was.
    """
    in_place = path.exists() and not path.is_file()
    target = path if in_place else Path(os.path.realpath(path))
    # A name of its own length: one made from the file's might be longer than names may be.
    beside = target if in_place else target.with_name(f".llmarch-{os.getpid()}-{threading.get_ident()}")
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
                shutil.copyfile(beside, target)  # a file that is mounted keeps its place
    except OSError as error:
        raise OSError(error.errno, error.strerror or str(error), str(path)) from None
    finally:
        if not in_place:
            beside.unlink(missing_ok=True)


def put(path: Path, contents: bytes) -> None:
    """Write `contents` as the file at `path`, whole or not at all. Raises OSError that names it."""
    with whole(path) as beside:
        beside.write_bytes(contents)
