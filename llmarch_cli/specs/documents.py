"""Data of a file with the line of each value, and the bytes of a file. `yaml_data.py` makes such data of YAML."""

from __future__ import annotations

import os
import select
import stat
import sys
from functools import cache
from io import FileIO
from pathlib import Path
from typing import Any, NamedTuple

from llmarch_cli.errors import InputError, shown_path

# A spec has some 30 lines. These bounds reject other files before they cost memory or time.
MAX_BYTES = 1 << 20
MAX_CONFIG_BYTES = 16 << 20  # of a config.json, which may list every matrix that is not quantised
PIPE_TIMEOUT = 10  # seconds without data on a pipe


class ContentError(InputError):
    """The content of a file is not valid. The message may quote it."""

    def __init__(self, path: Path, message: str) -> None:
        super().__init__(message)
        self.path = path


class Place(NamedTuple):
    """A line of a file, counted from 1; None for a place that is not known closer."""

    path: Path
    line: int | None

    def __str__(self) -> str:
        return shown_path(self.path) if self.line is None else f"{shown_path(self.path)}:{self.line}"


class Mapping(dict[str, Any]):
    """A mapping with the place of each field."""

    def __init__(self) -> None:
        super().__init__()
        self.places: dict[str, Place] = {}

    def put(self, name: str, value: Any, place: Place) -> None:
        """Set a field and its place."""
        self[name], self.places[name] = value, place

    def lay_over(self, other: Mapping) -> None:
        """Update with all fields and places of `other`."""
        self.update(other)
        self.places.update(other.places)


class Items(list[Any]):
    """A list with the place of each item."""

    def __init__(self) -> None:
        super().__init__()
        self.places: list[Place] = []


def plain(data: Any) -> Any:
    """Return a copy without line numbers, with lists for tuples."""
    match data:
        case dict():
            return {name: plain(inner) for name, inner in data.items()}
        case list() | tuple():
            return [plain(inner) for inner in data]
        case _:
            return data


def placed(data: dict[str, Any], place: Place) -> Mapping:
    """A copy in which every field and item has the same place."""

    def copied(value: Any) -> Any:
        match value:
            case dict():
                return placed(value, place)
            case list():
                items = Items()
                for inner in value:
                    items.append(copied(inner))
                    items.places.append(place)
                return items
            case _:
                return value

    mapping = Mapping()
    for name, value in data.items():
        mapping.put(name, copied(value), place)
    return mapping


STANDARD_INPUT = Path("-")


@cache
def _standard_input() -> bytes:
    """What is piped in: it can be read only once. More than the largest config is cut."""
    if sys.stdin is None or sys.stdin.isatty():
        raise InputError("-: standard input is a terminal; pipe a spec or a config.json to it")
    return sys.stdin.buffer.read(MAX_CONFIG_BYTES + 1)


def content(path: Path, what: str = "spec", most: int = MAX_BYTES) -> bytes:
    """The bytes of a file or a pipe; `-` is standard input.

    Raises InputError if it is too large for a `what`, or if the pipe stays silent.
    """
    if path == STANDARD_INPUT:
        text = _standard_input()
        if len(text) > most:
            raise InputError(f"-: larger than {most >> 20} MiB, too large for a {what}")
        return text
    content = bytearray()
    try:
        with FileIO(os.fspath(path), opener=_open_without_waiting) as file:
            is_pipe = stat.S_ISFIFO(os.fstat(file.fileno()).st_mode)
            while len(content) <= most:
                if is_pipe and not _has_more(file):
                    raise InputError(f"{shown_path(path)}: no data on the pipe for {PIPE_TIMEOUT} seconds")
                chunk = file.read(most + 1 - len(content))
                if not chunk:
                    break
                content += chunk
    except FileNotFoundError:
        raise InputError(f"{shown_path(path)}: no such file") from None
    except IsADirectoryError:
        raise InputError(f"{shown_path(path)}: a directory, not a YAML file") from None
    except OSError as error:
        raise InputError(f"{shown_path(path)}: cannot be read: {(error.strerror or str(error)).lower()}") from None
    except ValueError as error:  # a null byte in the path
        raise InputError(f"{shown_path(path)}: no such file: {error}") from None
    if len(content) > most:
        raise InputError(f"{shown_path(path)}: larger than {most >> 20} MiB, too large for a {what}")
    return bytes(content)


def _open_without_waiting(path: str, flags: int) -> int:
    """Open without blocking: by default, opening a pipe waits for its writer."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def _has_more(pipe: FileIO) -> bool:
    """Whether the pipe has data, or is closed, within `PIPE_TIMEOUT`."""
    poll = select.poll()
    poll.register(pipe, select.POLLIN)
    return bool(poll.poll(PIPE_TIMEOUT * 1000))
