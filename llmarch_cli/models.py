"""Load a model by name: a bundled spec, a YAML file or a Hugging Face config."""

from __future__ import annotations

from pathlib import Path

from llmarch_cli.specs.loading import CONFIG_ENDING, YAML_ENDINGS, exists, find, is_on_hub, names, read
from llmarch_cli.specs.spec import ModelSpec


def load(name: str | Path | ModelSpec) -> ModelSpec:
    """Load the spec of a bundled model by its id, or of a YAML file by its path. A spec is returned unchanged.

    A Hugging Face config is imported: a config.json, a checkpoint's directory, or `org/name` on the Hub.

    Raises InputError for an unknown model or file, an invalid spec, or an unsupported config.

    >>> load("gpt2").n_layers
    12
    """
    if isinstance(name, ModelSpec):
        return name
    if _is_config(name):
        from llmarch_cli.huggingface.importing import import_config

        return import_config(name)
    return read(find(name))


def _is_config(name: str | Path) -> bool:
    """Whether `name` is a Hugging Face config: a .json file, a directory, or `org/name` on the Hub."""
    path = Path(name)
    if name == "" or str(name) in names() or path.suffix in YAML_ENDINGS:
        return False
    return path.suffix == CONFIG_ENDING or exists(path, Path.is_dir) or (isinstance(name, str) and is_on_hub(name))
