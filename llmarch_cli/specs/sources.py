"""A digest of the code that checks specs and computes costs: what was found with other code may not hold."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

from llmarch_cli.version import __version__

ROOMS = ("components", "modules", "profilers", "specs")


@cache
def digest() -> str:
    """Of the version and of all files of the rooms."""
    found = hashlib.sha256(__version__.encode())
    package = Path(__file__).parents[1]
    for room in ROOMS:
        for path in sorted((package / room).rglob("*.py")):
            found.update(path.read_bytes())
    return found.hexdigest()
