"""Load a `ModelSpec` from a YAML file; errors give the place of the mistake and a hint."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from llmarch_cli.components.fields import REQUIRED
from llmarch_cli.components.record import Record
from llmarch_cli.errors import InputError, shown, shown_path, suggestion
from llmarch_cli.specs import documents
from llmarch_cli.specs.spec import HUB_PATTERN, ModelSpec

AnyRecord = TypeVar("AnyRecord", bound=Record)

YAML_ENDINGS = (".yaml", ".yml")
CONFIG_ENDING = ".json"
CONFIG_FILE = "config.json"  # in a checkpoint's directory
ENDINGS = (*YAML_ENDINGS, CONFIG_ENDING)
HUB_ID = re.compile(HUB_PATTERN)
OWN = "same_as"  # the field that a spec does not inherit

Configs = Callable[[Path], documents.Mapping]  # reads the fields of a config's spec, which only rooms above can


@cache
def bundled_directory(name: str) -> Path:
    """A directory of bundled files: inside an installed package, or at the root of a checkout."""
    package = Path(__file__).parents[1]
    installed = package / name
    return installed if installed.is_dir() else package.parent / name


def specs_directory() -> Path:
    """The directory of the bundled specs."""
    return bundled_directory("model_specs")


@cache
def names() -> tuple[str, ...]:
    """The ids of all bundled specs, sorted.

    >>> "gpt2" in names()
    True
    """
    return tuple(sorted(path.stem for path in specs_directory().glob("*.yaml")))


def read(path: Path, inside: Path | None = None, configs: Configs | None = None) -> ModelSpec:
    """The spec of a YAML file. Raises InputError if the file is missing or not a valid spec.

    With `inside`, files outside that directory are not read, except bundled specs. `configs` reads a config that the
    spec extends.
    """
    if inside is None and path.parent == specs_directory():
        from llmarch_cli.specs import checked as kept

        if (found := kept.find(path)) is not None:
            spec, files = found
            return spec.with_lineage(tuple(each.resolve() for each in files)).with_id(path.stem)
    layers, lineage = _layers(path, inside, configs)
    return validated(_merged_all(layers), shown_path(path)).with_lineage(lineage).with_id(path.stem)


def within(directory: Path, path: Path) -> Path:
    """`path`, if it stays inside `directory` with all links followed. Raises InputError if it does not.

    Everything that reads or writes files by paths from somebody else's tree goes through here.
    """
    if not Path(os.path.realpath(path)).is_relative_to(os.path.realpath(directory)):
        raise InputError(f"{shown_path(path)}: outside the directory {shown_path(directory)}")
    return path


def is_on_hub(name: str) -> bool:
    """Whether `org/name` means a model on the Hub: neither the path nor the directory `org` exists."""
    path = Path(name)
    fits = HUB_ID.fullmatch(name) is not None and path.suffix not in ENDINGS
    return fits and not exists(path) and not exists(path.parent)


def exists(path: Path, question: Callable[[Path], bool] = Path.exists) -> bool:
    """Whether a path exists, or answers `question`; False for a path that the system rejects."""
    try:
        return question(path)
    except (OSError, ValueError):  # too long, a null byte
        return False


def find(name: str | Path, directory: Path | None = None) -> Path:
    """The file of a bundled model's id, or of a path; a path is relative to `directory` if that is given.

    Raises InputError for an unknown id. Does not check that a path exists: reading does.
    """
    text = str(name)
    if isinstance(name, str) and text in names():
        return specs_directory() / f"{text}.yaml"
    if isinstance(name, Path) or "/" in text or "\\" in text or text.endswith(ENDINGS):
        return Path(text) if directory is None else directory / text
    hint = suggestion(text.lower(), names()) or "; see `llmarch list`, or give the path to a YAML file or a config.json"
    raise InputError(f"unknown model {shown(text)}{hint}")


def resolved(path: Path, inside: Path | None = None, configs: Configs | None = None) -> documents.Mapping:
    """A file's data merged over the specs that it `extends`: a bundled id, or the path of a file relative to it.

    That file is a YAML file, or a config that `configs` reads.

    Raises InputError if a file cannot be read, is not `inside` the directory, or extends itself.
    """
    return _merged_all(_layers(path, inside, configs)[0])


def _layers(
    path: Path, inside: Path | None, configs: Configs | None
) -> tuple[list[documents.Mapping], tuple[Path, ...]]:
    """The data of a file and of those that it extends, nearest first, and the files. Raises as `resolved`."""
    layers = [documents.read(path if inside is None else within(inside, path))]
    paths = [path.resolve()]
    while (parent := layers[-1].pop("extends", None)) is not None:
        place = layers[-1].places["extends"]
        if not isinstance(parent, str):
            raise InputError(f"{place}: extends: must be the id of a model or a path, not {shown(parent)}")
        try:
            parent_path = _parent(parent, place.path.parent, inside)
            is_config = parent_path.suffix == CONFIG_ENDING
            layers.append(_of_config(parent_path, configs) if is_config else documents.read(parent_path))
            layers[-1].pop(OWN, None)
        except documents.ContentError as error:
            # The file may hold anything, and this message may be read by others: it says nothing of the content.
            raise InputError(
                f"{place}: extends: {shown_path(error.path)}: not a valid spec; `llmarch validate` says why"
            ) from None
        except InputError as error:
            raise InputError(f"{place}: extends: {error}") from None
        if (parent_path := parent_path.resolve()) in paths:
            circle = " -> ".join(shown_path(each.stem) for each in (*paths[paths.index(parent_path) :], parent_path))
            raise InputError(f"{place}: extends: circular: {circle}")
        paths.append(parent_path)
    return layers, tuple(paths)


def _merged_all(layers: list[documents.Mapping]) -> documents.Mapping:
    """Layers merged, the first one over the second, and so on."""
    data = layers.pop()
    while layers:
        data = _merged(data, layers.pop())
    return data


def extended(path: Path) -> Path | None:
    """The file that the spec of a file extends; None if it extends none. Raises InputError as `resolved`."""
    data = documents.read(path)
    parent = data.get("extends")
    if parent is None:
        return None
    if not isinstance(parent, str):
        raise InputError(f"{data.places['extends']}: extends: must be the id of a model or a path, not {shown(parent)}")
    return _parent(parent, path.parent, None)


def _of_config(path: Path, configs: Configs | None) -> documents.Mapping:
    """The fields of a config's spec. Raises InputError, which says nothing of its content."""
    if configs is None:
        raise InputError(f"{shown_path(path)}: a config; only a spec can be extended here")
    if not exists(path, Path.is_file):  # a directory's file may be a link to another tree
        raise InputError(f"{shown_path(path)}: no such file")
    try:
        return configs(path)
    except InputError:
        raise InputError(f"{shown_path(path)}: not a config that can be read; `llmarch import` says why") from None


def _parent(name: str, directory: Path, inside: Path | None) -> Path:
    """The file that a spec in `directory` extends. Raises InputError if it is none of its own tree."""
    path = find(name, directory)
    if name in names():
        return path
    if path.suffix not in ENDINGS:
        *endings, last = ENDINGS
        raise InputError(f"{shown(name)}: must be a bundled id or a path that ends in {', '.join(endings)} or {last}")
    return path if inside is None else within(inside, path)


def _merged(below: documents.Mapping, above: documents.Mapping) -> documents.Mapping:
    """Merge `above` over `below`, recursively where both hold mappings of the same kind."""
    merged = documents.Mapping()
    merged.lay_over(below)
    for name, value in above.items():
        old = below.get(name)
        if isinstance(old, documents.Mapping) and isinstance(value, documents.Mapping) and not _differ(old, value):
            value = _merged(old, value)
        merged.put(name, value, above.places[name])
    return merged


def _differ(old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    """Whether two mappings describe different things: components of two kinds, or a component and a layout."""
    sorts = ["layout" if "variants" in mapping else mapping.get("kind") for mapping in (old, new)]
    return None not in sorts and sorts[0] != sorts[1]


def validated(data: Mapping[str, Any], origin: str) -> ModelSpec:
    """Validate `data`, with `extends` resolved, as a spec.

    Raises InputError with the place of each wrong field in its file, or `origin` for data without places.
    """
    return checked(ModelSpec, data, origin)


def checked(record: type[AnyRecord], data: Mapping[str, Any], origin: str) -> AnyRecord:
    """Validate `data` as a `record`. Raises InputError as `validated` does."""
    from pydantic import ValidationError

    try:
        return record.model_validate(data)
    except ValidationError as error:
        if _looks_like_config(record, data):
            raise InputError(
                f"{origin}: a Hugging Face config; give it where a model is named, as a file that ends in"
                f" {CONFIG_ENDING}"
            ) from None
        from llmarch_cli.specs.violations import explain

        raise InputError(explain(error, data, origin, record)) from None


def _looks_like_config(record: type[Record], data: Mapping[str, Any]) -> bool:
    """Whether data has the key that every config has, and few of the fields that a record needs."""
    needed = [name for name, default in record.field_defaults.items() if default is REQUIRED]
    return "model_type" in data and 2 * sum(name in data for name in needed) < len(needed)
