"""The models that budgets and baselines name: bundled ids, paths relative to their file, and patterns of either."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from glob import glob, has_magic
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator

from llmarch_cli import models
from llmarch_cli.components.fields import Limits
from llmarch_cli.components.record import Record
from llmarch_cli.errors import InputError, shown, suggestion
from llmarch_cli.profilers.cost import KvDtype, StateDtype, Workload
from llmarch_cli.profilers.profile import MAX_BATCH
from llmarch_cli.specs import loading
from llmarch_cli.specs.spec import ModelSpec
from llmarch_cli.specs.storage import PLAIN, AskedFormat


def _is_version(value: Any) -> Any:
    if type(value) is not int or value != 1:  # in Python, True and 1.0 equal 1
        raise ValueError(f"must be 1, not {shown(value)}")
    return value


Version = Annotated[Literal[1], BeforeValidator(_is_version)]
ModelName = Annotated[str, Limits(min_length=1, max_length=500)]
ModelNames = Annotated[tuple[ModelName, ...], Limits(strict=False, min_length=1)]
Batch = Annotated[int, Limits(gt=0, le=MAX_BATCH)]


class Settings(Record):
    """The workload of a file, without the context, which each metric names."""

    batch: Batch = 1  # sequences; cache bytes are for all of them
    kv_dtype: KvDtype = "bf16"  # the dtype of cached values
    state_dtype: StateDtype | None = None  # the dtype of states; null: each state's own
    weights: AskedFormat = PLAIN  # the storage format of weights; native: as the publisher ships them

    @property
    def settings(self) -> dict[str, Any]:
        """The workload's settings by name."""
        return {name: getattr(self, name) for name in Settings.field_defaults}

    @property
    def workload(self) -> Workload:
        """The workload at one token of context."""
        return Workload(1, **self.settings)

    def overridden(self, other: Record) -> Workload:
        """The workload, with the settings of `other` where they are not None."""
        own = {name: getattr(other, name, None) for name in self.settings}
        return Workload(1, **{**self.settings, **{name: value for name, value in own.items() if value is not None}})


def is_path(name: str) -> bool:
    """Whether a name or pattern is a path, not a bundled id."""
    return "/" in name or "\\" in name or name.endswith(loading.ENDINGS)


def endings(pattern: str) -> tuple[str, ...]:
    """The endings of the files that a pattern matches: configs only if it says so, as other files end like them."""
    return (loading.CONFIG_ENDING,) if pattern.endswith(loading.CONFIG_ENDING) else loading.YAML_ENDINGS


def files(name: str, directory: Path) -> list[str]:
    """The files that match a path or a pattern, sorted; a directory with a config.json matches by its path alone.

    Paths, given and returned, are relative to `directory`. The path of an existing file matches only itself.
    """
    if _stands(directory / name):  # before patterns, since `x[1].yaml` may be a file's name
        return [name]
    if not has_magic(name):
        return []
    found = glob(name, root_dir=directory, recursive=True)  # noqa: PTH207 - a relative pattern stays relative
    return sorted(Path(each).as_posix() for each in found if each.endswith(endings(name)))


def matches(name: str, directory: Path) -> list[str]:
    """The models that match a name or pattern, sorted: bundled ids, or files as `files` finds them."""
    if not is_path(name) and (found := [each for each in loading.names() if fnmatchcase(each, name)]):
        return found
    if is_path(name) or not has_magic(name):
        if found := files(name, directory):
            return found
        if (known := models.synonym(name, directory)) is not None:
            return [known]
    return []


def _stands(path: Path) -> bool:
    """Whether a path is that of a file, or of a directory with a config."""
    return loading.exists(path / loading.CONFIG_FILE if loading.exists(path, Path.is_dir) else path)


def selected(names: Sequence[str], directory: Path) -> list[str]:
    """The models that match `names`, each once. Raises InputError for a name that matches none."""
    chosen: dict[str, None] = {}
    for name in names:
        found = matches(name, directory)
        if not found:
            raise InputError(no_match(name, directory))
        chosen.update(dict.fromkeys(found))
    return list(chosen)


def no_match(name: str, directory: Path) -> str:
    """The message for a name that matches no model."""
    if loading.exists(directory / name, Path.is_dir):
        return f"{shown(name)} is a directory without a {loading.CONFIG_FILE}"
    if not is_path(name):
        hint = suggestion(name.lower(), loading.names())
        return f"{shown(name)} matches no model{hint or '; see `llmarch list`, or give the path of a spec or config'}"
    why = "; paths are relative to the file they are in"
    if has_magic(name) and not name.endswith(loading.ENDINGS):
        why += f", and a pattern of configs ends in {loading.CONFIG_ENDING}"
    elif loading.is_on_hub(name):
        why += f"; for a model on the Hub, `llmarch import {name} -o FILE` writes its spec"
    return f"{shown(name)} matches no file{why}"


def load(name: str, directory: Path, inside: Path | None = None) -> ModelSpec:
    """The spec of a selected model, with its selected name as its id. Raises InputError if it is not valid.

    With `inside`, it may not read files outside that directory, except bundled specs.
    """
    if name in loading.names():
        return models.load(name)
    return models.read(directory / name, inside).with_id(name)
