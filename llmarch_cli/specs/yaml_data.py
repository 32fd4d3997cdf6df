"""YAML as plain data with line numbers: bounded in size, and limited to what YAML 1.1 and 1.2 read alike.

Values are text, whole and decimal numbers, true and false, null, dates, lists and mappings, with anchors, aliases and
merges (`<<`). Other scalars are text (`0x10`, `yes`, `1:30`); tags and duplicate fields are errors, so that no value is
silently read as another.
"""

from __future__ import annotations

import datetime as dt
import re
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from llmarch_cli.errors import InputError, shown, shown_path
from llmarch_cli.specs.documents import ContentError, Items, Mapping, Place, content, plain

MAX_VALUES = 20_000  # with aliases expanded
MAX_DEPTH = 40
MAX_DIGITS = 40

# libyaml's parser if PyYAML was built with it (8 times faster), else PyYAML's own. Only its events are used, because
# PyYAML's later stages recurse without bound.
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


@lru_cache(maxsize=4096)
def _sort(text: str) -> str | None:
    """Which sort of value a scalar without quotes is, by the names above; None for text. Files repeat most of them."""
    match = _PLAIN.fullmatch(text)
    return match and match.lastgroup


def read(path: Path, what: str = "spec") -> Mapping:
    """Read the mapping in the file at `path`; messages call the file a `what`.

    Raises InputError if the file cannot be read or holds no mapping.
    """
    try:
        text = content(path, what).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ContentError(
            path, f"{shown_path(path)}: not UTF-8 text (at byte {error.start}); a {what} must be a YAML file"
        ) from None
    parser = None
    try:
        parser = _Parser(text)
        return _Composer(path, parser, what).document()
    except yaml.reader.ReaderError as error:  # its position may count bytes or characters, so search for the character
        line = text.count("\n", 0, text.find(chr(error.character))) + 1
        raise ContentError(
            path, f"{shown_path(path)}:{line}: not a text file: it contains the character U+{error.character:04X}"
        ) from None
    except yaml.MarkedYAMLError as error:
        lines = text.splitlines()
        marked = error.problem_mark.line if error.problem_mark else 0
        line = min(marked, len(lines) - 1)  # an unclosed bracket is marked after the last line
        tabs = "; indent with spaces, not tabs" if "\t" in lines[line] else ""
        what = " ".join(filter(None, (error.problem, error.context)))
        raise ContentError(path, f"{shown_path(path)}:{line + 1}: not valid YAML: {what}{tabs}") from None
    finally:
        if parser is not None:
            parser.dispose()


def value(text: str) -> Any:
    """Parse one value as in a file: `512`, `null`, `[local, global]`. Raises InputError as `read` does."""
    parser = None
    try:
        parser = _Parser(text)
        return plain(_Composer(None, parser).only_value())
    except (yaml.reader.ReaderError, UnicodeEncodeError):
        raise InputError("not text: it contains characters that YAML does not allow") from None
    except yaml.MarkedYAMLError as error:
        raise InputError(f"not valid YAML: {' '.join(filter(None, (error.problem, error.context)))}") from None
    finally:
        if parser is not None:
            parser.dispose()


class _Composer:
    """Build data from the parser's events, with one method per node type."""

    def __init__(self, path: Path | None, parser: Any, what: str = "spec") -> None:
        self.path = path  # None: a value outside any file
        self.what = what
        self.parser = parser
        self.anchors: dict[str, tuple[Any, int]] = {}  # a node, and its number of values
        self.n_values = 0

    def document(self) -> Mapping:
        root = self.only_value()
        if not isinstance(root, Mapping):
            assert self.path is not None  # the document of a file
            raise ContentError(
                self.path, f"{shown_path(self.path)}: a {self.what} must be a mapping of fields, not {shown(root)}"
            )
        return root

    def only_value(self) -> Any:
        self.parser.get_event()  # the stream's start
        if isinstance(self.parser.get_event(), yaml.StreamEndEvent):
            needs = " needs at least name, d_model, n_layers, ..." if self.what == "spec" else " is a mapping of fields"
            empty = f"the file is empty: a {self.what}{needs}"
            if self.path is None:
                raise InputError("no value")
            raise ContentError(self.path, f"{shown_path(self.path)}: {empty}")
        root = self.node(self.parser.get_event(), depth=0)
        self.parser.get_event()  # the document's end
        if not isinstance(further := self.parser.get_event(), yaml.StreamEndEvent):
            raise self.refusal(further, f"a second YAML document starts here; a file must hold one {self.what}")
        return root

    def node(self, event: Any, depth: int) -> Any:
        """The value that starts with `event`. Counts the values inside, to bound the size with aliases expanded."""
        if isinstance(event, yaml.AliasEvent):
            if event.anchor not in self.anchors:
                raise self.refusal(
                    event, f"undefined alias *{event.anchor}; its anchor &{event.anchor} must end before it"
                )
            value, size = self.anchors[event.anchor]
            self.count(event, size)
            return value
        if event.tag is not None:
            tag = event.tag.replace("tag:yaml.org,2002:", "!!")
            raise self.refusal(event, f"the tag {shown(tag)} is not allowed; write the plain value")
        if depth > MAX_DEPTH:
            raise self.refusal(event, f"nested deeper than {MAX_DEPTH} levels, too deep for a {self.what}")
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
                event, f"more than {MAX_VALUES:,} values with aliases expanded, too many for a {self.what}"
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
                raise self.refusal(key, f"duplicate field {shown(name)}; remove one")
            seen.add(name)
            event = self.parser.get_event()
            value = self.node(event, depth + 1)
            if name == "<<" and key.implicit[0]:
                for mapping in reversed(value if isinstance(value, Items) else [value]):  # the first mapping wins
                    if not isinstance(mapping, Mapping):
                        raise self.refusal(event, f"<< must be a mapping or a list of mappings, not {shown(mapping)}")
                    merged.lay_over(mapping)
            else:
                own.put(name, value, self.place(key))
        if not merged:
            return own
        merged.lay_over(own)
        return merged

    def field_name(self, event: Any) -> str:
        if not isinstance(event, yaml.ScalarEvent) or event.tag is not None:
            raise self.refusal(event, "a field name must be plain text")
        name = event.value
        if event.implicit[0] and _sort(name) is not None:
            raise self.refusal(event, f"a field name must be text, not {name or 'null'}")
        return str(name)

    def scalar(self, event: Any) -> Any:
        text: str = event.value
        match _sort(text) if event.implicit[0] else None:  # anything in quotes is text
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
                    raise self.refusal(event, f"a number of {len(digits)} digits; at most {MAX_DIGITS} are allowed")
                return int(digits)
            case "decimal":
                return float(text.replace("_", ""))
            case "unbounded":
                return float(text.replace(".", ""))
            case _:
                try:
                    return dt.date.fromisoformat(text)
                except ValueError as error:
                    raise self.refusal(event, f"{text} is not a valid date: {error}") from None

    def place(self, event: Any) -> Place:
        return Place(self.path or Path(), event.start_mark.line + 1)

    def refusal(self, event: Any, why: str) -> InputError:
        return InputError(why) if self.path is None else ContentError(self.path, f"{self.place(event)}: {why}")
