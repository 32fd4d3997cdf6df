"""The models that budgets and baselines name: bundled ids, paths relative to their file, and patterns of either."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from glob import glob, has_magic
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from llmarch_cli import models
from llmarch_cli.components.component import Record
from llmarch_cli.errors import InputError, shown, suggestion
from llmarch_cli.profilers.cost import KvDtype, Workload
from llmarch_cli.profilers.profile import MAX_BATCH
from llmarch_cli.specs import loading
from llmarch_cli.specs.spec import ModelSpec


def _is_version(value: Any) -> Any:
    if type(value) is not int or value != 1:  # in Python, True and 1.0 equal 1
        raise ValueError(f"must be 1, not {shown(value)}")
    return value


Version = Annotated[Literal[1], BeforeValidator(_is_version)]
ModelName = Annotated[str, Field(min_length=1, max_length=500)]
ModelNames = Annotated[tuple[ModelName, ...], Field(strict=False, min_length=1)]
Batch = Annotated[int, Field(gt=0, le=MAX_BATCH)]


class Settings(Record):
    """The workload of a file, without the context, which each metric names."""

    batch: Batch = 1  # sequences; cache bytes are for all of them
    kv_dtype: KvDtype = "bf16"  # the dtype of cached values

    @property
    def settings(self) -> dict[str, Any]:
        """The workload's settings by name."""
        return {name: getattr(self, name) for name in Settings.model_fields}

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
    return "/" in name or "\\" in name or name.endswith(loading.YAML_ENDINGS)


def matches(name: str, directory: Path) -> list[str]:
    """The models that match a name or pattern, sorted.

    Paths, given and returned, are relative to `directory`. The path of an existing file matches only itself.
    """
    if not is_path(name):
        return [each for each in loading.names() if fnmatchcase(each, name)]
    if loading.exists(directory / name):  # before patterns, since `x[1].yaml` may be a file's name
        return [name]
    if not has_magic(name):
        return []
    found = glob(name, root_dir=directory, recursive=True)  # noqa: PTH207 - a relative pattern stays relative
    return sorted(Path(each).as_posix() for each in found if each.endswith(loading.YAML_ENDINGS))


def selected(names: Sequence[str], directory: Path) -> list[str]:
    """The models that match `names`, each once. Raises InputError for a name that matches none."""
    chosen: dict[str, None] = {}
    for name in names:
        found = matches(name, directory)
        if not found:
            raise InputError(no_match(name))
        chosen.update(dict.fromkeys(found))
    return list(chosen)


def no_match(name: str) -> str:
    """The message for a name that matches no model."""
    if is_path(name):
        return f"{shown(name)} matches no file; paths are relative to the file they are in"
    hint = suggestion(name, loading.names()) or "; see `llmarch list`, or give the path of a YAML file"
    return f"{shown(name)} matches no model{hint}"


def load(name: str, directory: Path, inside: Path | None = None) -> ModelSpec:
    """The spec of a selected model, with its selected name as its id. Raises InputError if it is not valid.

    With `inside`, it may not read files outside that directory, except bundled specs.
    """
    if not is_path(name):
        return models.load(name)
    if inside is not None:
        return loading.read(directory / name, inside).with_id(name)
    return models.load(directory / name).with_id(name)
