"""The directory of a gallery: it names its own files, so that a later gallery replaces them and nothing else."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path

from llmarch_cli.errors import InputError, shown_path
from llmarch_cli.specs.loading import within
from llmarch_cli.version import __version__
from llmarch_cli.writing import put

CONTENTS = "gallery.json"  # the file that names the others
MAX_BYTES = 16 << 20
_OWN = re.compile(r"(?:(?:models|data)/)?[a-z0-9_][a-z0-9._-]*\.(?:html|css|js)")  # no other file is ever removed


def require(directory: Path, force: bool) -> None:
    """Raise InputError if a gallery cannot be written there: into a file, or among files of something else."""
    if directory.exists() and not directory.is_dir():
        raise InputError(f"{shown_path(directory)}: a file; give a directory")
    if force or not directory.is_dir() or (directory / CONTENTS).is_file() or not any(directory.iterdir()):
        return
    raise InputError(
        f"{shown_path(directory)}: not empty, and not a gallery; give another directory, or write into it with --force"
    )


def write(directory: Path, files: Iterable[tuple[str, bytes]]) -> int:
    """Write files by name, each completely or not at all, and remove those of an earlier gallery. Returns how many.

    Raises OSError that names a file that cannot be written.
    """
    directory.mkdir(parents=True, exist_ok=True)
    before = _contents(directory)
    written: list[str] = []
    for name, contents in files:
        if not written:  # if this ends early, a later gallery still knows the directory
            _list(directory, before)
        path = within(directory, directory / name)
        path.parent.mkdir(exist_ok=True)
        put(path, contents)
        written.append(name)
    for name in before:
        if name not in written:
            within(directory, directory / name).unlink(missing_ok=True)
    _list(directory, written)
    return len(written)


def _contents(directory: Path) -> list[str]:
    """The files of the gallery that is there, of those that a gallery can have."""
    path = directory / CONTENTS
    if not path.is_file() or path.stat().st_size > MAX_BYTES:
        return []
    try:
        listed = json.loads(path.read_bytes())["files"]
    except (ValueError, TypeError, KeyError, RecursionError):
        return []
    named = listed if isinstance(listed, list) else []
    return [name for name in named if isinstance(name, str) and _OWN.fullmatch(name)]


def _list(directory: Path, names: Iterable[str]) -> None:
    contents = {"llmarch": __version__, "files": sorted(names)}
    put(directory / CONTENTS, (json.dumps(contents, indent=1) + "\n").encode())
