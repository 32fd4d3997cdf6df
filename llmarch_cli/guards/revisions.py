"""Specs as they were at a revision of git, and how their figures moved since: what a pull request does to them."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path

from llmarch_cli.errors import InputError, shown, shown_path
from llmarch_cli.guards import selection
from llmarch_cli.guards.baselines import Drift, Track, drifts, measured
from llmarch_cli.guards.gauge import GUARDED, Figure
from llmarch_cli.profilers.cost import Workload
from llmarch_cli.profilers.profile import Engine
from llmarch_cli.specs import loading
from llmarch_cli.specs.spec import ModelSpec


def since(
    revision: str,
    names: Sequence[str],
    contexts: Sequence[int],
    columns: Sequence[str],
    workload: Workload,
    engine: Engine,
    track: Track = iter,
) -> tuple[list[Drift], list[str]]:
    """How the figures of specs moved from `revision` to the working tree, and which specs could not be read there.

    `names` are paths of YAML files, or patterns of them, from the working directory. Specs that are the same in both,
    what they extend included, are not measured. Bundled specs that a file extends are those of this version in both.

    Raises InputError: no such revision, names that match nothing in either, bad specs in the working tree.
    """
    here = Path()
    for name in names:
        if not selection.is_path(name) or Path(name).is_absolute():
            raise InputError(f"{shown(name)}: name files by paths from here, such as specs/*.yaml")
    try:
        inside = _path(_git("rev-parse", "--show-prefix").removesuffix(b"\n"))
    except InputError as error:
        raise InputError(f"{error}; specs are compared with what git has of them: run this in a repository") from None
    commit = _commit(revision)
    with tempfile.TemporaryDirectory() as directory:
        root = Path(directory)
        submodules = _export(commit, root)
        there = root / inside
        there.mkdir(parents=True, exist_ok=True)
        chosen = {name: (selection.matches(name, there), selection.matches(name, here)) for name in names}
        for name, found in chosen.items():
            if not any(found):
                raise InputError(f"{shown(name)} matches no file, neither here nor at {shown(revision)}")
            for each in found[1]:
                within = Path(os.path.normpath(inside / each)).parents
                if parents := [path for path in submodules if path in within]:
                    raise InputError(f"{shown(each)} is in the submodule {shown_path(parents[0])}: run `drift` there")
        after = {each: selection.load(each, here) for _, new in chosen.values() for each in new}
        before, unreadable = _readable([each for old, _ in chosen.values() for each in old], there)
    changed = {name for name in {*before, *after} if before.get(name) != after.get(name)}
    asked = {Figure(key, at) for key in columns for at in (contexts if GUARDED[key].by_context else (None,))}
    guarded = sorted(asked, key=lambda each: each.order)

    def figures(specs: dict[str, ModelSpec]) -> dict[str, dict[Figure, int | Fraction | None]]:
        some = {name: spec for name, spec in sorted(specs.items()) if name in changed}
        return measured(some, guarded, workload, engine, track)

    return drifts(figures(before), figures(after), {}), unreadable


def _readable(names: Sequence[str], directory: Path) -> tuple[dict[str, ModelSpec], list[str]]:
    """The specs that this version can read, and the names of the others."""
    specs, unreadable = {}, []
    for name in dict.fromkeys(names):
        try:
            specs[name] = selection.load(name, directory)
        except InputError:
            unreadable.append(name)
    return specs, unreadable


def _commit(revision: str) -> str:
    if revision.startswith("-"):
        raise InputError(f"{shown(revision)} is no revision of git")
    try:
        return _git("rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}").decode().strip()
    except InputError:
        raise InputError(
            f"git has no revision {shown(revision)} here: fetch it first (in actions/checkout, fetch-depth: 0)"
        ) from None


_FILES, _LINK, _SUBMODULE = (b"100644", b"100755"), b"120000", b"160000"  # git's modes


def _export(commit: str, root: Path) -> list[Path]:
    """Every YAML file of a commit, below `root`, and its links as far as they lead nowhere else.

    Returns where its submodules are.
    """
    there = list(_entries(commit))
    files = [(name, path) for mode, name, path in there if mode in _FILES and path.suffix in loading.YAML_ENDINGS]
    links = [(name, path) for mode, name, path in there if mode == _LINK]
    for _, path in (*files, *links):  # before there are links, so that nothing is written through one
        (root / path).parent.mkdir(parents=True, exist_ok=True)
    for path, content in _contents(files):
        (root / path).write_bytes(content)
    for path, content in _contents(links):
        if content and b"\0" not in content:
            try:
                (root / path).symlink_to(_path(content))
            except FileExistsError:
                raise InputError(f"{shown_path(path)} is a link and something else in one commit") from None
    top = os.path.realpath(root)
    for _, path in links:
        if not Path(os.path.realpath(root / path)).is_relative_to(top):
            (root / path).unlink(missing_ok=True)
    return [path for mode, _, path in there if mode == _SUBMODULE]


def _entries(commit: str) -> Iterator[tuple[bytes, bytes, Path]]:
    """Mode, name of the object, and path of all that a commit holds. Raises InputError for a path that leads out."""
    for entry in _git("ls-tree", "-r", "-z", "--full-tree", commit).split(b"\0")[:-1]:
        about, _, place = entry.partition(b"\t")
        mode, *_, name = about.split()
        path = _path(place)
        if ".." in path.parts:
            raise InputError(f"{shown_path(path)} leads out of the repository")
        yield mode, name, path


def _contents(objects: Sequence[tuple[bytes, Path]]) -> Iterator[tuple[Path, bytes]]:
    """What git's objects hold, by the paths that they are for."""
    packed, start = _git("cat-file", "--batch", stdin=b"".join(name + b"\n" for name, _ in objects)), 0
    for name, path in objects:
        line = packed.index(b"\n", start)
        size = packed[start:line].split()[-1]
        if not size.isdigit():
            raise InputError(f"git cat-file: {name.decode()} is missing here: fetch it first")
        yield path, packed[line + 1 : line + 1 + int(size)]
        start = line + int(size) + 2


def _path(place: bytes) -> Path:
    """A path as git has it, whatever its bytes."""
    return Path(place.decode("utf-8", "surrogateescape"))


def _git(*arguments: str, stdin: bytes = b"") -> bytes:
    try:
        done = subprocess.run(["git", *arguments], input=stdin, capture_output=True, check=False)
    except FileNotFoundError:
        raise InputError("git is not installed, and what specs were before is only known to it") from None
    if done.returncode:
        raise InputError(f"git {arguments[0]}: {done.stderr.decode(errors='replace').strip() or 'failed'}")
    return done.stdout
