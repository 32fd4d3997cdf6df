"""The stored tensors that a path means: a checkpoint's directory or index, a safetensors file, or a GGUF file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from llmarch_cli.errors import InputError
from llmarch_cli.huggingface.gguf import header as gguf
from llmarch_cli.huggingface.headers import (
    INDEX,
    Stored,
    header_bytes,
    joined,
    read_directory,
    read_file,
    read_index,
)
from llmarch_cli.huggingface.packed import Settings, read_settings

SAFETENSORS = ".safetensors"
INDEX_ENDING = INDEX.removeprefix("model")


@dataclass(frozen=True)
class Weights:
    """Tensors by name, as the headers of their files declare them.

    Attributes:
        header_bytes, padding_bytes: what the files hold beside the data of tensors.
        settings: what a config.json beside the files states about their format.
        gguf: the header, if it is a GGUF file.
    """

    path: Path
    tensors: Mapping[str, Stored]
    header_bytes: int
    padding_bytes: int = 0
    settings: Settings = field(default_factory=Settings)
    gguf: gguf.Header | None = None


def read(path: Path) -> Weights:
    """Read the headers of the files that `path` means. Raises InputError if there are none, or one is broken."""
    if path.suffix == gguf.ENDING:
        header = gguf.read(path)
        return Weights(path, header.tensors, header.header_bytes, header.padding_bytes, gguf=header)
    if path.suffix == SAFETENSORS:
        tensors, directory = joined(iter(read_file(path))), path.parent
    elif path.name.endswith(INDEX_ENDING):
        tensors, directory = read_index(path), path.parent
    elif path.is_file():
        raise InputError(
            f"{path}: not a file of weights: its name must end in {SAFETENSORS}, {INDEX_ENDING} or {gguf.ENDING}"
        )
    else:
        tensors, directory = read_directory(path), path
    files = {each.file for each in tensors.values()} or ({path} if path.suffix == SAFETENSORS else set())
    return Weights(path, tensors, sum(map(header_bytes, files)), settings=read_settings(directory))
