"""Progress of long work: on standard error, where that is a terminal, and nowhere else."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from typing import TypeVar

Item = TypeVar("Item")


def track(items: Sequence[Item], doing: str) -> Iterable[Item]:
    """The items, with a bar that says how many are done and goes when all are."""
    if not sys.stderr.isatty():
        return items
    from rich.console import Console
    from rich.progress import track as tracked

    return tracked(items, doing, console=Console(stderr=True), transient=True)
