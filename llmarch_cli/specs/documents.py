"""YAML files as plain data that knows where it stands: bounded in size, and read as YAML 1.1 and 1.2 both read it.

Values are what a spec needs: text, whole and decimal numbers, true and false, null, dates, lists and mappings, with
anchors, aliases and merges (`<<`). All else is text (`0x10`, `yes`, `1:30`) or refused (tags, fields given twice), so
that nothing is silently read as something else.
"""

from __future__ import annotations

import datetime as dt
import os
import re
import select
import stat
from io import FileIO
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from llmarch_cli.errors import InputError, shown, shown_path

# A spec is some 30 lines. These bounds only stop files that are no specs, before they cost memory or time.
MAX_BYTES = 1 << 20
MAX_VALUES = 20_000  # once aliases are followed
MAX_DEPTH = 40
MAX_DIGITS = 40
PATIENCE = 10  # seconds that a pipe may stay silent

# libyaml's parser where PyYAML was built with it (8 times faster), else the same in Python. Only its events are used:
# the steps above them recurse without bound.
_Parser = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

_PLAIN = re.compile(
    r"""
    (?P<null> ~ | null | Null | NULL | )
    | (?P<true> true | True | TRUE )
    | (?P<false> false | False | FALSE )
    | (?P<whole> [-+]? (?: 0 | [1-9][0-9_]* ) )
    | (?P<decimal> [-+]? (?: [0-9][0-9_]*\.[0-9_]* | \.[0-9][0-9_]* ) (?: [eE][-+][0-9]+ )? )
    | (?P<unbounded> [-+]?\.(?: inf | Inf | INF ) | \.(?: nan | NaN | NAN ) )
    | (?P<date> [0-9]{4}-[0-9]{2}-[0-9]{2} )
    """,
    re.VERBOSE | re.ASCII,
)


class ContentError(InputError):
    """The content of a file is not valid. The message may quote it."""

    def __init__(self, path: Path, message: str) -> None:
        super().__init__(message)
        self.path = path


class Place(NamedTuple):
    """A line of a file, counted from 1."""

    path: Path
    line: int

    def __str__(self) -> str:
        return f"{shown_path(self.path)}:{self.line}"


class Mapping(dict[str, Any]):
    """A mapping, and where each of its fields stands."""

    def __init__(self) -> None:
        super().__init__()
        self.places: dict[str, Place] = {}

    def put(self, name: str, value: Any, place: Place) -> None:
        """Set a field that stands at `place`."""
        self[name], self.places[name] = value, place

    def lay_over(self, other: Mapping) -> None:
        """Set all fields of `other`."""
        self.update(other)
        self.places.update(other.places)


class Items(list[Any]):
    """A list, and where each of its items stands."""

    def __init__(self) -> None:
        super().__init__()
        self.places: list[Place] = []


def read(path: Path, what: str = "spec") -> Mapping:
    """The mapping that the file at `path` holds, a `what` in messages.

    Raises InputError where it cannot be read or holds none.
    """
    try:
        text = content(path, what).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ContentError(
            path, f"{shown_path(path)}: not UTF-8 text (byte {error.start}): a {what} is a YAML file"
        ) from None
    parser = None
    try:
        parser = _Parser(text)
        return _Composer(path, parser, what).document()
    except yaml.reader.ReaderError as error:  # its position counts bytes or characters; what it names is unique
        line = text.count("\n", 0, text.find(chr(error.character))) + 1
        raise ContentError(
            path, f"{shown_path(path)}:{line}: not text: it holds the character U+{error.character:04X}"
        ) from None
    except yaml.MarkedYAMLError as error:
        lines = text.splitlines()
        stands = error.problem_mark.line if error.problem_mark else 0
        line = min(stands, len(lines) - 1)  # what is never closed is noticed beyond the last line
        tabs = "; indent with spaces, not with tabs" if "\t" in lines[line] else ""
        what = " ".join(filter(None, (error.problem, error.context)))
        raise ContentError(path, f"{shown_path(path)}:{line + 1}: not valid YAML: {what}{tabs}") from None
    finally:
        if parser is not None:
            parser.dispose()


def value(text: str) -> Any:
    """One value as in a file: `512`, `null`, `[local, global]`. Raises InputError for what a file refuses."""
    parser = None
    try:
        parser = _Parser(text)
        return plain(_Composer(None, parser).only_value())
    except (yaml.reader.ReaderError, UnicodeEncodeError):
        raise InputError("not text: it holds characters that YAML does not") from None
    except yaml.MarkedYAMLError as error:
        raise InputError(f"not valid YAML: {' '.join(filter(None, (error.problem, error.context)))}") from None
    finally:
        if parser is not None:
            parser.dispose()


def plain(data: Any) -> Any:
    """A copy that no longer knows where it stands, with lists for tuples."""
    match data:
        case dict():
            return {name: plain(inner) for name, inner in data.items()}
        case list() | tuple():
            return [plain(inner) for inner in data]
        case _:
            return data


def content(path: Path, what: str = "spec") -> bytes:
    """What a file or a pipe holds. Raises InputError where that is too much for a `what`, or never comes."""
    content = bytearray()
    try:
        with FileIO(os.fspath(path), opener=_open_without_waiting) as file:
            is_pipe = stat.S_ISFIFO(os.fstat(file.fileno()).st_mode)
            while len(content) <= MAX_BYTES:
                if is_pipe and not _has_more(file):
                    raise InputError(f"{shown_path(path)}: a pipe that nothing came through for {PATIENCE} seconds")
                chunk = file.read(MAX_BYTES + 1 - len(content))
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
    if len(content) > MAX_BYTES:
        raise InputError(f"{shown_path(path)}: larger than {MAX_BYTES >> 20} MiB: this is no {what}")
    return bytes(content)


def _open_without_waiting(path: str, flags: int) -> int:
    """Opening a pipe waits for its writer, unless it is told not to."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def _has_more(pipe: FileIO) -> bool:
    """Whether the pipe has something to read, or has been closed, before patience ends."""
    poll = select.poll()
    poll.register(pipe, select.POLLIN)
    return bool(poll.poll(PATIENCE * 1000))


class _Composer:
    """From the parser's events to data, one method for each sort of node."""

    def __init__(self, path: Path | None, parser: Any, what: str = "spec") -> None:
        self.path = path  # None: a value that stands in no file
        self.what = what
        self.parser = parser
        self.anchors: dict[str, tuple[Any, int]] = {}  # a node, and how many values it holds
        self.n_values = 0

    def document(self) -> Mapping:
        root = self.only_value()
        if not isinstance(root, Mapping):
            assert self.path is not None  # the document of a file
            raise ContentError(
                self.path, f"{shown_path(self.path)}: a {self.what} is a mapping of fields, not {shown(root)}"
            )
        return root

    def only_value(self) -> Any:
        self.parser.get_event()  # the stream's start
        if isinstance(self.parser.get_event(), yaml.StreamEndEvent):
            needs = " needs at least name, d_model, n_layers, ..." if self.what == "spec" else " is a mapping of fields"
            empty = f"the file is empty: a {self.what}{needs}"
            if self.path is None:
                raise InputError("there is no value")
            raise ContentError(self.path, f"{shown_path(self.path)}: {empty}")
        root = self.node(self.parser.get_event(), depth=0)
        self.parser.get_event()  # the document's end
        if not isinstance(further := self.parser.get_event(), yaml.StreamEndEvent):
            raise self.refusal(further, f"a second document begins here: a file holds one {self.what}")
        return root

    def node(self, event: Any, depth: int) -> Any:
        """The value that begins with `event`; what it holds is counted, so that no file grows without bound."""
        if isinstance(event, yaml.AliasEvent):
            if event.anchor not in self.anchors:
                raise self.refusal(event, f"the alias *{event.anchor} has no anchor &{event.anchor} that ends above it")
            value, size = self.anchors[event.anchor]
            self.count(event, size)
            return value
        if event.tag is not None:
            tag = event.tag.replace("tag:yaml.org,2002:", "!!")
            raise self.refusal(event, f"the tag {shown(tag)}: a {self.what} has none, write the plain value")
        if depth > MAX_DEPTH:
            raise self.refusal(event, f"nested deeper than {MAX_DEPTH} levels: this is no {self.what}")
        before = self.n_values
        self.count(event, 1)
        if isinstance(event, yaml.MappingStartEvent):
            value = self.mapping(depth)
        elif isinstance(event, yaml.SequenceStartEvent):
            value = self.sequence(depth)
        else:
            value = self.scalar(event)
        if event.anchor is not None:
            self.anchors[event.anchor] = value, self.n_values - before
        return value

    def count(self, event: Any, n_values: int) -> None:
        self.n_values += n_values
        if self.n_values > MAX_VALUES:
            raise self.refusal(
                event, f"more than {MAX_VALUES:,} values once aliases are followed: this is no {self.what}"
            )

    def sequence(self, depth: int) -> Items:
        items = Items()
        while not isinstance(event := self.parser.get_event(), yaml.SequenceEndEvent):
            items.append(self.node(event, depth + 1))
            items.places.append(self.place(event))
        return items

    def mapping(self, depth: int) -> Mapping:
        own, merged = Mapping(), Mapping()
        seen: set[str] = set()
        while not isinstance(key := self.parser.get_event(), yaml.MappingEndEvent):
            name = self.field_name(key)
            if name in seen:
                raise self.refusal(key, f"{shown(name)} is given twice")
            seen.add(name)
            event = self.parser.get_event()
            value = self.node(event, depth + 1)
            if name == "<<" and key.implicit[0]:
                for mapping in reversed(value if isinstance(value, Items) else [value]):  # the first one wins
                    if not isinstance(mapping, Mapping):
                        raise self.refusal(event, f"<< takes a mapping or a list of mappings, not {shown(mapping)}")
                    merged.lay_over(mapping)
            else:
                own.put(name, value, self.place(key))
        if not merged:
            return own
        merged.lay_over(own)
        return merged

    def field_name(self, event: Any) -> str:
        if not isinstance(event, yaml.ScalarEvent) or event.tag is not None:
            raise self.refusal(event, "a field's name must be plain text")
        name = event.value
        if event.implicit[0] and _PLAIN.fullmatch(name):
            raise self.refusal(event, f"a field's name must be text, not {name or 'null'}")
        return str(name)

    def scalar(self, event: Any) -> Any:
        text: str = event.value
        plain = _PLAIN.fullmatch(text) if event.implicit[0] else None  # quotes make all text
        match plain and plain.lastgroup:
            case None:
                return text
            case "null":
                return None
            case "true":
                return True
            case "false":
                return False
            case "whole":
                digits = text.replace("_", "")
                if len(digits) > MAX_DIGITS:
                    raise self.refusal(event, f"a number of {len(digits)} digits: this is no {self.what}")
                return int(digits)
            case "decimal":
                return float(text.replace("_", ""))
            case "unbounded":
                return float(text.replace(".", ""))
            case _:
                try:
                    return dt.date.fromisoformat(text)
                except ValueError as error:
                    raise self.refusal(event, f"{text} is no date: {error}") from None

    def place(self, event: Any) -> Place:
        return Place(self.path or Path(), event.start_mark.line + 1)

    def refusal(self, event: Any, why: str) -> InputError:
        return InputError(why) if self.path is None else ContentError(self.path, f"{self.place(event)}: {why}")
