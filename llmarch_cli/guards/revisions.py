"""Specs at a git revision and the changes of their metrics since then, for pull requests."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

from llmarch_cli.errors import InputError, shown, shown_path
from llmarch_cli.guards import commit, selection
from llmarch_cli.guards.baselines import Drift, Track, drifts, measured
from llmarch_cli.guards.gauge import GUARDED, MetricAt
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
    """The changes of specs' metrics from `revision` to the working tree, and the specs that cannot be read there.

    `names` are paths of YAML files, configs and directories with one, or patterns, relative to the working directory.
    A model is not measured if its file and all that it extends are unchanged. Bundled specs that a file extends are
    those of this version in both.

    Raises InputError for an unknown revision, names that match no file, and invalid specs in the working tree.
    """
    here = Path()
    for name in names:
        if name in loading.names() or Path(name).is_absolute():
            raise InputError(f"{shown(name)}: give paths relative to this directory, such as specs/*.yaml")
    try:
        inside = commit.path_of(commit.git("rev-parse", "--show-prefix").removesuffix(b"\n"))
    except InputError as error:
        raise InputError(f"{error}; `drift` compares specs with a git revision: run it in a repository") from None
    with tempfile.TemporaryDirectory() as directory, commit.objects() as objects:
        # A config at the top is named after the directory, as in the working tree.
        root = Path(os.path.realpath(directory)) / _top(inside)
        root.mkdir(exist_ok=True)
        old = commit.Commit(commit.commit_name(revision), root, objects)
        there = root / inside
        there.mkdir(parents=True, exist_ok=True)
        for name in names:
            old.list(str(inside / name))
        chosen = {name: (selection.files(name, there), selection.files(name, here)) for name in names}
        for name, found in chosen.items():
            if not any(found):
                raise InputError(f"{shown(name)} matches no file, neither here nor at {shown(revision)}")
            for each in found[1]:
                old.list(str(inside / each))  # meets the submodule that it may be in
                within = Path(os.path.normpath(inside / each)).parents
                if parents := [path for path in old.submodules if path in within]:
                    raise InputError(f"{shown(each)} is in the submodule {shown_path(parents[0])}: run `drift` there")
        for each in (each for found, _ in chosen.values() for each in found):
            old.fill(there / each)
        after = {each: selection.load(each, here) for _, new in chosen.values() for each in new}
        before, unreadable = _readable([each for found, _ in chosen.values() for each in found], there, root)
    changed = {name for name in {*before, *after} if before.get(name) != after.get(name)}
    asked = {MetricAt(key, at) for key in columns for at in (contexts if GUARDED[key].by_context else (None,))}
    guarded = sorted(asked, key=lambda each: each.order)

    def figures(specs: dict[str, ModelSpec]) -> dict[str, dict[MetricAt, int | Fraction | None]]:
        some = {name: spec for name, spec in sorted(specs.items()) if name in changed}
        return measured(some, guarded, workload, engine, track)

    return drifts(figures(before), figures(after), {}), unreadable


def _top(inside: Path) -> str:
    """The name of the repository's directory, if the working directory is `inside` it."""
    here = Path(os.path.realpath("."))
    return here.parents[len(inside.parts) - 1].name if inside.parts else here.name


def _readable(names: Sequence[str], directory: Path, inside: Path) -> tuple[dict[str, ModelSpec], list[str]]:
    """The specs in the directory `inside` that this version can read, and the names of the others."""
    specs, unreadable = {}, []
    for name in dict.fromkeys(names):
        try:
            specs[name] = selection.load(name, directory, inside)
        except InputError:
            unreadable.append(name)
    return specs, unreadable
