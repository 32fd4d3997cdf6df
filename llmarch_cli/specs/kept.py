"""What was found before, in the user's cache directory, so that it need not be found again.

A file for each thing, with plain data and no code. It is written whole or not at all, and believed only if it is the
user's own and nobody else can write it. So is the directory: in another one, somebody could have placed a link to a
file that must not be overwritten. Without a directory that can be written to, everything is found again.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections import Counter
from io import FileIO
from pathlib import Path
from typing import Any

from llmarch_cli.specs import sources

MOST_FILES = 1_000  # of one sort: older ones are deleted
MOST_IN_A_RUN = 200  # of one sort: a search over more finds them again
LARGEST_FILE = 1 << 20  # bytes

_written: Counter[Path] = Counter()  # by directory, in this process


def directory(sort: str) -> Path | None:
    """Where things of a sort are kept: below `LLMARCH_CACHE`, or below the system's directory for caches, if any."""
    if named := os.environ.get("LLMARCH_CACHE"):
        return Path(named) / sort
    from platformdirs import user_cache_path

    try:
        return user_cache_path("llmarch", appauthor=False) / sort
    except RuntimeError:  # a user without a home directory
        return None


def find(sort: str, key: str) -> dict[str, Any] | None:
    """What is kept under a key; None if there is nothing that can be believed."""
    folder = directory(sort)
    if folder is None:
        return None
    try:
        with FileIO(os.fspath(folder / f"{key}.json"), opener=_open_own) as file:
            status = os.fstat(file.fileno())
            if not (stat.S_ISREG(status.st_mode) and _is_own(status)):
                return None
            data = json.loads(file.read(LARGEST_FILE))
        is_whole = isinstance(data, dict) and data.get("key") == key and data.pop("seal", None) == _seal(data)
    except (OSError, ValueError, RecursionError):
        return None
    return data if is_whole else None


def _open_own(path: str, flags: int) -> int:
    """Open without waiting for the writer of a pipe, and without following a link."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOFOLLOW", 0))


def _is_own(status: os.stat_result) -> bool:
    return not hasattr(os, "getuid") or (status.st_uid == os.getuid() and not status.st_mode & 0o022)


def keep(sort: str, key: str, data: dict[str, Any]) -> None:
    """Keep plain data under a key, if the user's directory can be written to."""
    from llmarch_cli.writing import put

    folder = directory(sort)
    if folder is None or _written[folder] >= MOST_IN_A_RUN:
        return
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = folder / f"{key}.json"
        if not _is_own(folder.stat()) or (path.exists() and not path.is_file()):
            return
        put(path, sealed({"key": key, **data}))
        path.chmod(0o600)
        _written[folder] += 1
        if _written[folder] % MOST_IN_A_RUN == 1:  # to look at all files takes longer than to write one
            _make_room(folder)
    except OSError:  # full, read-only, or deleted by another process
        return


def sealed(data: dict[str, Any]) -> bytes:
    """Plain data as it is kept: with a digest, so that what is damaged or edited is not believed."""
    return json.dumps({**data, "seal": _seal(data)}).encode()


def _seal(data: dict[str, Any]) -> str:
    return hashlib.sha256(f"{sources.digest()} {json.dumps(data, sort_keys=True)}".encode()).hexdigest()


def _make_room(folder: Path) -> None:
    files = sorted(folder.glob("*.json"), key=lambda each: each.stat().st_mtime)
    for old in files[:-MOST_FILES]:
        old.unlink()
