"""Which models a file of guards names: bundled ids, paths of YAML files relative to it, and patterns of either."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from glob import glob, has_magic
from pathlib import Path

from llmarch_cli import models
from llmarch_cli.errors import InputError, shown, suggestion
from llmarch_cli.specs import loading
from llmarch_cli.specs.spec import ModelSpec


def is_path(name: str) -> bool:
    """Whether a name or pattern is of files, not of bundled models."""
    return "/" in name or "\\" in name or name.endswith(loading.YAML_ENDINGS)


def matches(name: str, directory: Path) -> list[str]:
    """The models that one name or pattern stands for, sorted; none where there are none.

    Paths are relative to `directory`, and so is what is returned. A path of a file that exists stands for itself.
    """
    if not is_path(name):
        return [each for each in loading.names() if fnmatchcase(each, name)]
    if loading.exists(directory / name):  # first of all, since `x[1].yaml` may be a file's name
        return [name]
    if not has_magic(name):
        return []
    found = glob(name, root_dir=directory, recursive=True)  # noqa: PTH207 - a relative pattern stays relative
    return sorted(Path(each).as_posix() for each in found if each.endswith(loading.YAML_ENDINGS))


def selected(names: Sequence[str], directory: Path) -> list[str]:
    """What all of `names` stand for, each once. Raises InputError for one that stands for nothing."""
    chosen: dict[str, None] = {}
    for name in names:
        found = matches(name, directory)
        if not found:
            raise InputError(nothing(name))
        chosen.update(dict.fromkeys(found))
    return list(chosen)


def nothing(name: str) -> str:
    """Why a name that stands for no model does not, and what to do."""
    if is_path(name):
        return f"{shown(name)} matches no file; paths are relative to the file that names them"
    hint = suggestion(name, loading.names()) or "; `llmarch list` shows all, paths of YAML files work too"
    return f"{shown(name)} matches no model{hint}"


def load(name: str, directory: Path) -> ModelSpec:
    """The spec of one selected model, under the name it was selected by. Raises InputError where it is none."""
    if not is_path(name):
        return models.load(name)
    return models.load(directory / name).with_id(name)
