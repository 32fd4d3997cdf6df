"""Checkpoints made for tests: files with headers only."""

from __future__ import annotations

import json
from math import prod
from pathlib import Path

from llmarch_cli.huggingface.headers import DTYPE_BITS

Tensors = dict[str, tuple[str, tuple[int, ...]]]


def write_headers(tensors: Tensors, directory: Path) -> None:
    header, start = {}, 0
    for name, (dtype, shape) in tensors.items():
        end = start + prod(shape) * DTYPE_BITS[dtype] // 8
        header[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [start, end]}
        start = end
    text = json.dumps(header).encode()
    (directory / "model.safetensors").write_bytes(len(text).to_bytes(8, "little") + text)
