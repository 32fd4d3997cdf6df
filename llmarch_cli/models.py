"""Load a model by name: a bundled spec, a YAML file, a Hugging Face config or a GGUF file."""

from __future__ import annotations

import warnings
from pathlib import Path

from llmarch_cli.errors import InputError, shown_path
from llmarch_cli.specs import documents, loading
from llmarch_cli.specs.loading import CONFIG_ENDING, CONFIG_FILE, ENDINGS, YAML_ENDINGS, exists, find, is_on_hub, names
from llmarch_cli.specs.spec import ModelSpec

GGUF_ENDING = ".gguf"
SAFETENSORS_ENDINGS = (".safetensors", ".safetensors.index.json")  # of files that hold weights and no architecture


def load(name: str | Path | ModelSpec) -> ModelSpec:
    """Load the spec of a bundled model by its id, or of a YAML file by its path. A spec is returned unchanged.

    A Hugging Face config is imported: a config.json, a checkpoint's directory, or `org/name` on the Hub. A GGUF file
    is read by its metadata. The repository or another spelling of a bundled model's name finds that model, with a
    FutureWarning that says so.

    Raises InputError for an unknown model or file, an invalid spec, or an unsupported config.

    >>> load("gpt2").n_layers
    12
    """
    if isinstance(name, ModelSpec):
        return name
    if isinstance(name, Path):
        return read(name)
    if name in names():
        return read(find(name))
    if name.endswith((GGUF_ENDING, *SAFETENSORS_ENDINGS)):
        return read(Path(name))
    if (known := synonym(name)) is not None:
        return load(known)
    if name == str(documents.STANDARD_INPUT):
        return read(documents.STANDARD_INPUT).with_id("stdin")
    if is_on_hub(name):
        from llmarch_cli.huggingface.importing import import_config

        return import_config(name)
    return read(Path(name) if name and _is_config(Path(name)) else find(name))


def read(path: Path, inside: Path | None = None) -> ModelSpec:
    """The spec of a file: a YAML file, a config, a GGUF file, or a directory with a config.json.

    With `inside`, files outside that directory are not read, except bundled specs.

    Raises InputError if the file is missing, not a valid spec, or an unsupported config.
    """
    if path.name.endswith(SAFETENSORS_ENDINGS):
        raise InputError(
            f"{shown_path(path)}: holds weights and no architecture; give its directory, if that has a {CONFIG_FILE}"
        )
    if path.suffix == GGUF_ENDING:
        from llmarch_cli.huggingface.gguf import config, header

        return config.read_spec(header.read(path if inside is None else loading.within(inside, path)))
    if not _is_config(path):
        return loading.read(path, inside, _fields)
    if inside is not None:
        loading.within(inside, path / CONFIG_FILE if exists(path, Path.is_dir) else path)
    return _imported(path)


def yaml_file(name: str | Path | ModelSpec) -> Path | None:
    """The YAML file that `load` reads for a name; None if that is no file, or of another format."""
    if isinstance(name, ModelSpec) or str(name) == str(documents.STANDARD_INPUT):
        return None
    if isinstance(name, str) and name not in names():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # `load` says how the name is read
            name = synonym(name) or Path(name)
    path = find(name)
    return path if path.suffix in YAML_ENDINGS else None


def weights(name: str) -> Path | None:
    """The path of weights that a name means: a file of them, or a directory with safetensors files; None for others."""
    path = Path(name)
    if name.endswith((GGUF_ENDING, *SAFETENSORS_ENDINGS)):
        return path
    if name in names() or not exists(path, Path.is_dir):
        return None
    return path if any(path.glob(f"*{SAFETENSORS_ENDINGS[0]}")) else None


def synonym(name: str, directory: Path | None = None) -> str | None:
    """The bundled id that another name means, with a FutureWarning that says so; None if there is none.

    A path that exists, from `directory` or the working directory, means that path.
    """
    if name in names() or name.endswith(ENDINGS) or exists((directory or Path()) / name):
        return None
    from llmarch_cli.specs.repositories import bundled

    known = bundled(name)
    if known is not None:
        hub = f"; `llmarch import {name}` reads the config on the Hub" if "/" in name else ""
        warnings.warn(f"{name} is read as the bundled {known}{hub}", FutureWarning, stacklevel=3)
    return known


def is_model(name: str) -> bool:
    """Whether a name is that of a bundled model, of a file that can hold one, or of a repository on the Hub."""
    from llmarch_cli.specs.repositories import bundled

    path = Path(name)
    stands = exists(path, Path.is_file) and name.endswith((*ENDINGS, GGUF_ENDING, *SAFETENSORS_ENDINGS))
    return stands or exists(path / CONFIG_FILE) or is_on_hub(name) or name in names() or bundled(name) is not None


def _is_config(path: Path) -> bool:
    """Whether a path is that of a config: a .json file, or a directory."""
    if path == documents.STANDARD_INPUT:
        return b'"model_type"' in documents.content(path, "config", documents.MAX_CONFIG_BYTES)
    return path.suffix == CONFIG_ENDING or (path.suffix not in YAML_ENDINGS and exists(path, Path.is_dir))


def _imported(path: Path) -> ModelSpec:
    from llmarch_cli.huggingface.importing import import_config

    return import_config(path)


def _fields(path: Path) -> documents.Mapping:
    """The fields of a config's spec, for a spec that extends it."""
    from llmarch_cli.specs.spec_file import plain

    return documents.placed(plain(_imported(path)), documents.Place(path, None))
