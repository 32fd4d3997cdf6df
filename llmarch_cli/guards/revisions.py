"""Specs as they were at a revision of git, and how their figures moved since: what a pull request does to them."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

from llmarch_cli import loading
from llmarch_cli.errors import InputError, shown
from llmarch_cli.guards import selection
from llmarch_cli.guards.baselines import Drift, drifts, measured
from llmarch_cli.guards.figures import BY_CONTEXT, Figure
from llmarch_cli.profilers.cost import Workload
from llmarch_cli.profilers.profile import Engine
from llmarch_cli.spec import ModelSpec


def since(
    revision: str,
    names: Sequence[str],
    contexts: Sequence[int],
    columns: Sequence[str],
    workload: Workload,
    engine: Engine,
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
    inside = Path(_git("rev-parse", "--show-prefix").decode().strip())
    commit = _commit(revision)
    with tempfile.TemporaryDirectory() as directory:
        root = Path(directory)
        _export(commit, root)
        there = root / inside
        there.mkdir(parents=True, exist_ok=True)
        chosen = {name: (selection.matches(name, there), selection.matches(name, here)) for name in names}
        for name, found in chosen.items():
            if not any(found):
                raise InputError(f"{shown(name)} matches no file, neither here nor at {shown(revision)}")
        after = {each: selection.load(each, here) for _, new in chosen.values() for each in new}
        before, unreadable = _readable([each for old, _ in chosen.values() for each in old], there)
    changed = {name for name in {*before, *after} if before.get(name) != after.get(name)}
    asked = {Figure(key, at) for key in columns for at in (contexts if key in BY_CONTEXT else (None,))}
    guarded = sorted(asked, key=lambda each: each.order)

    def figures(specs: dict[str, ModelSpec]) -> dict[str, dict[Figure, int | Fraction | None]]:
        some = {name: spec for name, spec in sorted(specs.items()) if name in changed}
        return measured(some, guarded, workload, engine)

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


def _export(commit: str, root: Path) -> None:
    """Every YAML file of a commit, below `root`. Links are left out: they could lead anywhere."""
    files = []
    for entry in _git("ls-tree", "-r", "-z", "--full-tree", commit).split(b"\0"):
        about, _, path = entry.partition(b"\t")
        mode, _, thing = about.partition(b" ")
        if mode in (b"100644", b"100755") and path.endswith(tuple(map(str.encode, loading.YAML_ENDINGS))):
            files.append((thing.split()[-1], path.decode("utf-8", "surrogateescape")))
    contents = _git("cat-file", "--batch", stdin=b"".join(thing + b"\n" for thing, _ in files))
    start = 0
    for _, name in files:
        line = contents.index(b"\n", start)
        size = int(contents[start:line].split()[-1])
        target = root / name
        if ".." in target.parts:
            raise InputError(f"{shown(name)} leads out of the repository")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(contents[line + 1 : line + 1 + size])
        start = line + size + 2


def _git(*arguments: str, stdin: bytes = b"") -> bytes:
    try:
        done = subprocess.run(["git", *arguments], input=stdin, capture_output=True, check=False)
    except FileNotFoundError:
        raise InputError("git is not installed, and what specs were before is only known to it") from None
    if done.returncode:
        raise InputError(f"git {arguments[0]}: {done.stderr.decode(errors='replace').strip() or 'failed'}")
    return done.stdout
