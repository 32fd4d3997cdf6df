"""Runs commands in this process, as `llmarch` would."""

from collections.abc import Callable
from typing import NamedTuple


class Result(NamedTuple):
    """The exit status of a command and what it wrote."""

    status: int
    out: str
    err: str


Run = Callable[..., Result]
