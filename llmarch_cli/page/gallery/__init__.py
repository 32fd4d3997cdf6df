"""A static site of models: a page for each, an index, a timeline, a family tree, and any two compared.

It needs no network. Its parts, data and styles are those of the report (`llmarch_cli/page`). `pages.py` has its pages.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from llmarch_cli.errors import InputError, shown
from llmarch_cli.page.gallery import directory
from llmarch_cli.page.gallery.entries import entries
from llmarch_cli.page.gallery.pages import INDEX, Gallery
from llmarch_cli.profilers.profile import Profile
from llmarch_cli.report.plots import library

# A path, or an address on the web: no other scheme, since a link must not run anything.
_ADDRESS = re.compile(r"(?=.)(?!//)(?:https?://[\w.-]+(?::\d+)?)?[\w.~/-]*")


def require(out: Path, force: bool = False, docs: str | None = None) -> None:
    """Raise InputError as `write`, before anything is measured."""
    library.require("a gallery")
    directory.require(out, force)
    if docs is not None and not _ADDRESS.fullmatch(docs):
        raise InputError(f"--docs takes a path such as ../, or an address with https://, not {shown(docs)}")


def write(
    profiles: Sequence[Profile],
    paths: Sequence[Path | None],
    out: Path,
    *,
    force: bool = False,
    docs: str | None = None,
) -> Path:
    """Write the gallery into a directory and return its index: the same models always give the same bytes.

    Args:
        profiles: of the models, at one workload.
        paths: the YAML file of each model, if it has one.
        out: the directory.
        force: write into a directory that holds other files.
        docs: the address of the documentation's site from the gallery, such as `../`; None if there is none.

    Raises InputError for no model, for a directory of something else, and if matplotlib is not installed.
    """
    require(out, force, docs)
    if not profiles:
        raise InputError("no model given: name one or more")
    directory.write(out, Gallery(entries(profiles, paths), docs and f"{docs.rstrip('/')}/").files())
    return out / INDEX
