"""The files of a commit, written to a directory: only those asked for, within bounds, and without running programs.

A commit, its paths and the repository's configuration may come from somebody else. So git is asked for objects by one
command, which may fetch nothing and run nothing, names in trees are checked before they become paths, and sizes before
anything is read.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from glob import has_magic
from pathlib import Path, PurePosixPath
from typing import IO, NamedTuple

from llmarch_cli.errors import InputError, shown, shown_path
from llmarch_cli.guards import selection
from llmarch_cli.specs import documents, loading, yaml_data

MAX_ENTRIES = 100_000  # that are listed
MAX_DEPTH = 200  # directories in directories
MAX_TREE_BYTES = 1 << 24  # of one directory
MAX_FILES = 10_000  # that are read
MAX_LINKS = 40  # that lead on from one path

_FILES, _LINK, _TREE, _SUBMODULE = ("100644", "100755", "100664"), "120000", "40000", "160000"  # git's modes

# A missing object of a partial clone makes git fetch it, with a program that the configuration names. Newer versions
# of git have a variable against that. For older ones, no transport is allowed, whatever the configuration says.
_VARIABLES = {
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_ALLOW_PROTOCOL": "none",
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_TERMINAL_PROMPT": "0",
}
# Variables of the caller that name programs.
_PROGRAMS = ("GIT_SSH", "GIT_SSH_COMMAND", "GIT_PROXY_COMMAND", "GIT_ASKPASS", "SSH_ASKPASS", "GIT_EXTERNAL_DIFF")
# Settings that name programs, and that the commands used here could reach. `-c` goes before the repository's own.
_SETTINGS = {
    "protocol.allow": "never",
    "core.fsmonitor": "false",
    "core.hooksPath": os.devnull,
    "core.sshCommand": "false",
    "core.gitProxy": "",
    "core.askPass": "",
    "core.pager": "cat",
    "core.alternateRefsCommand": "false",
    "credential.helper": "",
    "maintenance.auto": "false",
    "gc.auto": "0",
}


class Entry(NamedTuple):
    """A directory's entry: git's mode and the object's name."""

    mode: str
    name: str


def git(*arguments: str) -> bytes:
    """The output of a git command that may run no other program. Raises InputError if it fails."""
    try:
        done = subprocess.run(_command(*arguments), capture_output=True, check=False, env=_environment())
    except FileNotFoundError:
        raise InputError("git is not installed; `drift` needs it to read earlier revisions") from None
    if done.returncode:
        raise InputError(f"git {arguments[0]}: {_last_line(done.stderr) or 'failed'}")
    return done.stdout


def _command(*arguments: str) -> list[str]:
    settings = (word for name, value in _SETTINGS.items() for word in ("-c", f"{name}={value}"))
    return ["git", "--no-pager", *settings, *arguments]


def _environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name not in _PROGRAMS}
    return {**kept, **_VARIABLES}


def _last_line(output: bytes) -> str:
    return next(iter(output.decode(errors="replace").strip().splitlines()[::-1]), "")


def commit_name(revision: str) -> str:
    """The object name of a revision's commit. Raises InputError if git does not know the revision."""
    if revision.startswith("-"):
        raise InputError(f"{shown(revision)} is not a git revision")
    try:
        return git("rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}").decode().strip()
    except InputError:
        raise InputError(
            f"git has no revision {shown(revision)} here: fetch it first (in actions/checkout, fetch-depth: 0)"
        ) from None


def path_of(name: bytes) -> Path:
    """A path in git's bytes."""
    return Path(os.fsdecode(name))


class Objects:
    """Objects of the repository by name, from two processes: one gives types and sizes, the other contents."""

    def __init__(self, sizes: subprocess.Popen[bytes], contents: subprocess.Popen[bytes]) -> None:
        self._sizes, self._contents = sizes, contents

    def size(self, name: str) -> int:
        """Bytes of an object. Raises InputError if it is not here."""
        return self._header(self._sizes, name)

    def read(self, name: str, most: int) -> bytes | None:
        """The content of an object; None if it has more than `most` bytes. Raises InputError if it is not here."""
        if self.size(name) > most:
            return None
        size = self._header(self._contents, name)
        content = _pipe(self._contents.stdout).read(size + 1)
        return content[:size]

    def _header(self, process: subprocess.Popen[bytes], name: str) -> int:
        stdin = _pipe(process.stdin)
        try:
            stdin.write(name.encode() + b"\n")
            stdin.flush()
            words = _pipe(process.stdout).readline().split()
        except BrokenPipeError:
            words = []
        if len(words) != 3:
            raise InputError(f"git cat-file: {name} is missing here: fetch it first")
        return int(words[2])


def _pipe(stream: IO[bytes] | None) -> IO[bytes]:
    assert stream is not None
    return stream


@contextmanager
def objects() -> Iterator[Objects]:
    """The repository's objects, while the context lasts."""
    with _batch("--batch-check") as sizes, _batch("--batch") as contents:
        yield Objects(sizes, contents)


@contextmanager
def _batch(option: str) -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(
        _command("cat-file", option),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=_environment(),
    ) as process:
        try:
            yield process
        finally:
            process.kill()


class Commit:
    """The tree of a commit, and a directory to write its files to.

    Attributes:
        root: the directory. It holds each listed file as an empty one until `fill` writes it.
        submodules: paths of the submodules found so far.
    """

    def __init__(self, name: str, root: Path, found: Objects) -> None:
        self.root, self.submodules = root, set[Path]()
        self._objects, self._top = found, Entry(_TREE, f"{name}^{{tree}}")
        self._directories: dict[str, dict[str, Entry]] = {}
        self._listed: dict[PurePosixPath, str] = {}  # files that are not yet in the directory: the object of each
        self._contents: dict[Path, str] = {}  # files that are there, and empty
        self._width = len(name) // 2  # bytes of an object's name: SHA-1 or SHA-256
        self._endings: tuple[str, ...] = loading.YAML_ENDINGS  # of the files in directories
        self._n_entries = self._n_files = 0

    def list(self, pattern: str) -> None:
        """List what a path, or a pattern of paths, can match. Raises InputError if that is too much."""
        parts = _parts(pattern)
        literal = next((at for at, part in enumerate(parts) if has_magic(part)), len(parts))
        self._endings = selection.endings(pattern)
        self._list(parts[:literal], levels=_levels(parts[literal:]))
        if literal == len(parts):
            self._list([*parts, loading.CONFIG_FILE], levels=0)  # of a directory
        self._write_listed()

    def fill(self, path: Path) -> None:
        """Write a listed file, and those that it extends; of a directory, its config.

        A file too large to be a spec stays empty.
        """
        if loading.exists(path, Path.is_dir):
            path = path / loading.CONFIG_FILE
        real = Path(os.path.realpath(loading.within(self.root, path)))
        if (name := self._contents.pop(real, None)) is None:
            return
        self._n_files += 1
        if self._n_files > MAX_FILES:
            raise InputError(f"more than {MAX_FILES:,} specs to read: name fewer")
        is_config = path.suffix == loading.CONFIG_ENDING
        content = self._objects.read(name, documents.MAX_CONFIG_BYTES if is_config else documents.MAX_BYTES)
        if content is None:
            return
        loading.within(self.root, real).write_bytes(content)
        if (parent := self._extended(real)) is not None:
            self._list(parent.parts, levels=0)
            self._write_listed()
            self.fill(self.root / parent)

    def _extended(self, file: Path) -> PurePosixPath | None:
        """The path in the commit that a written spec extends."""
        if file.suffix == loading.CONFIG_ENDING:
            return None
        try:
            parent = yaml_data.read(file).get("extends")
            found = loading.find(parent, file.parent) if isinstance(parent, str) else None
        except InputError:  # loading the spec reports it
            return None
        if found is None or (found.is_absolute() and not found.is_relative_to(self.root)):
            return None
        place = os.path.relpath(os.path.normpath(found), self.root)
        return None if place.startswith("..") else PurePosixPath(place)

    def _list(self, parts: Sequence[str], levels: int, links: int = 0) -> None:
        """List the files at a path, down to `levels` levels inside a directory; write the links on the way."""
        entry, place = self._top, PurePosixPath()
        for at, part in enumerate(parts):
            following = self._entries(entry, place).get(part)
            if following is None:
                return
            entry, place = following, place / part
            if entry.mode == _LINK:
                self._link(entry, place, parts[at + 1 :], levels, links)
                return
            if entry.mode == _SUBMODULE:
                self.submodules.add(Path(place))
                return
            if entry.mode in _FILES:
                if at == len(parts) - 1:
                    self._file(entry, place)
                return
        self._directory(entry, place, levels, links)

    def _directory(self, entry: Entry, place: PurePosixPath, levels: int, links: int) -> None:
        if levels == 0:
            return
        found = self._entries(entry, place)
        self._n_entries += len(found)  # each time: one directory may appear in many places
        if self._n_entries > MAX_ENTRIES or len(place.parts) > MAX_DEPTH:
            raise _too_many()
        for part, inner in found.items():
            if inner.mode == _TREE:
                self._directory(inner, place / part, levels - 1, links)
            elif inner.mode == _LINK:
                self._link(inner, place / part, (), levels - 1, links)
            elif inner.mode == _SUBMODULE:
                self.submodules.add(Path(place / part))
            elif part.endswith(self._endings):
                self._file(inner, place / part)

    def _file(self, entry: Entry, place: PurePosixPath) -> None:
        self._listed[place] = entry.name

    def _write_listed(self) -> None:
        """Make the listed files, empty. Only now, since a listing may turn out to be too long."""
        for place, name in self._listed.items():
            file = loading.within(self.root, self.root / place)
            if not file.exists():
                file.parent.mkdir(parents=True, exist_ok=True)
                file.touch()
                self._contents[file] = name
        self._listed.clear()

    def _link(self, entry: Entry, place: PurePosixPath, further: Sequence[str], levels: int, links: int) -> None:
        """Write a link that leads nowhere outside the commit, and list what it leads to."""
        content = self._objects.read(entry.name, 1 << 12)
        if not content or b"\0" in content or links == MAX_LINKS:
            return
        target = os.path.normpath(place.parent / os.fsdecode(content))
        if target.startswith(("/", "..")):
            return
        link = loading.within(self.root, self.root / place)
        link.parent.mkdir(parents=True, exist_ok=True)
        if not link.is_symlink():
            link.symlink_to(os.path.relpath(self.root / target, link.parent))
            self._list([*PurePosixPath(target).parts, *further], levels, links + 1)

    def _entries(self, entry: Entry, place: PurePosixPath) -> dict[str, Entry]:
        """A directory's entries by name. Raises InputError for names that cannot be files of a checkout."""
        if entry.mode != _TREE:
            return {}
        if entry.name not in self._directories:
            content = self._objects.read(entry.name, MAX_TREE_BYTES)
            if content is None:
                raise _too_many()
            self._directories[entry.name] = _parsed(content, self._width, place)
        return self._directories[entry.name]


def _too_many() -> InputError:
    return InputError(f"more than {MAX_ENTRIES:,} files and directories to search: name a smaller directory")


def _parsed(tree: bytes, width: int, place: PurePosixPath) -> dict[str, Entry]:
    """The entries of a tree object: mode, space, name, null byte, and the object's name in `width` bytes."""
    entries: dict[str, Entry] = {}
    start = 0
    while start < len(tree):
        space = tree.index(b" ", start)
        null = tree.index(b"\0", space)
        name = os.fsdecode(tree[space + 1 : null])
        if "/" in name or name in ("", ".", "..") or name in entries:
            raise InputError(f"{shown_path(place / '...')}: a forged commit: {shown(name)} is not a file's name")
        entries[name] = Entry(tree[start:space].decode(), tree[null + 1 : null + 1 + width].hex())
        start = null + 1 + width
    return entries


def _parts(pattern: str) -> tuple[str, ...]:
    """The parts of a path from the top of the repository. Raises InputError if it leads out of it."""
    place = os.path.normpath(pattern)
    if place.startswith(("/", "..")):
        raise InputError(f"{shown(pattern)} leads out of the repository")
    return () if place == "." else PurePosixPath(place).parts


def _levels(parts: Sequence[str]) -> int:
    """How many levels of directories the rest of a pattern can match."""
    return MAX_ENTRIES if "**" in parts else len(parts)
