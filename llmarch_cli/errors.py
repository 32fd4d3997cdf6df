"""Errors that a user can fix. The command line prints their messages without a traceback."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable

LONGEST_SHOWN = 60
LONGEST_PATH = 500


class LlmarchError(Exception):
    """The base class of this library's errors."""


class InputError(LlmarchError):
    """Invalid input. The message gives the place, the reason and what to do. Exit status 2."""


class CheckError(LlmarchError):
    """A failed check: two computations of a number disagree, or an operator is unknown. Exit status 1."""


def shown(value: object) -> str:
    """`value` in YAML notation on one short line. Text is quoted, and control characters are escaped."""
    match value:
        case None:
            return "null"
        case bool():
            return str(value).lower()
        case dict():
            return "a mapping"
        case list() | tuple():
            return "a list"
        case dt.date():
            return value.isoformat()
    text = repr(value)
    if len(text) <= LONGEST_SHOWN:
        return text
    return f"{text[:LONGEST_SHOWN]}...{text[0] if isinstance(value, str) else ''}"


def shown_path(path: object) -> str:
    """A path for a message. A very long one, or one with control characters, is quoted and shortened."""
    text = str(path)
    return text if text.isprintable() and len(text) <= LONGEST_PATH else shown(text)


def unknown(what: str, wrong: str, known: Iterable[str]) -> str:
    """The message `unknown WHAT 'wrong'; known: ...`, with the closest known names suggested."""
    names = list(known)
    return f"unknown {what} {shown(wrong)}; known: {', '.join(names)}{suggestion(wrong, names)}"


def suggestion(wrong: str, known: Iterable[str]) -> str:
    """`; did you mean ...?` with the closest `known` names, or "" if none is close."""
    import difflib  # imported late: only errors need it

    near = difflib.get_close_matches(wrong[:LONGEST_SHOWN], list(dict.fromkeys(known)), n=3, cutoff=0.6)
    return f"; did you mean {' or '.join(near)}?" if near else ""
