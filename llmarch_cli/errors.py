"""What can go wrong in a way the user can mend. The command line prints these as they are, without a traceback."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable

LONGEST_SHOWN = 60
LONGEST_PATH = 500


class LlmarchError(Exception):
    """Any error of this library."""


class InputError(LlmarchError):
    """What was given cannot be used: the message says what, where, why and what to do. Exit status 2."""


class CheckError(LlmarchError):
    """A check failed: two ways to compute one number disagree, or an operator is unknown. Exit status 1."""


def shown(value: object) -> str:
    """`value` as YAML has it, short and on one line: text in quotes, without control characters."""
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
    """A path as it is; one that would break the line, or fill the screen, as text in quotes."""
    text = str(path)
    return text if text.isprintable() and len(text) <= LONGEST_PATH else shown(text)


def unknown(what: str, wrong: str, known: Iterable[str]) -> str:
    """`unknown WHAT 'wrong'; known: ...`, with the nearest of them."""
    names = list(known)
    return f"unknown {what} {shown(wrong)}; known: {', '.join(names)}{suggestion(wrong, names)}"


def suggestion(wrong: str, known: Iterable[str]) -> str:
    """`; did you mean ...?` for the nearest of the `known` names, or nothing where none is near."""
    import difflib  # only errors need it

    near = difflib.get_close_matches(wrong[:LONGEST_SHOWN], list(dict.fromkeys(known)), n=3, cutoff=0.6)
    return f"; did you mean {' or '.join(near)}?" if near else ""
