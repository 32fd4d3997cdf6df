"""Libraries that only some commands need, by the extra that installs them."""

from __future__ import annotations

from importlib.util import find_spec

# The first extra that has a library, in the order of `pyproject.toml`.
EXTRAS = {
    "torch": ("torch", "fvcore", "pandas", "safetensors"),
    "plot": ("plotext",),
    "sweep": ("matplotlib", "numpy", "pyarrow"),
    "dask": ("distributed",),
    "gguf": ("gguf",),
}


def is_installed(library: str) -> bool:
    """Whether a library can be imported, without importing it."""
    return find_spec(library) is not None


def missing(library: str) -> str | None:
    """What to install for a library, as the end of an error; None for one that no extra has."""
    for extra, libraries in EXTRAS.items():
        if library in libraries:
            return (
                f"this needs {library}, which is not installed: install the extra `{extra}`, as in"
                f" pip install 'llmarch[{extra}]'"
            )
    return None
