"""YAML as markup with its comments, keys and anchors marked, line by line. What is not understood stays plain text."""

from __future__ import annotations

import re
from xml.sax.saxutils import escape

_TOKENS = re.compile(
    r"""
    (?P<comment> (?:(?<=\s)|^)\#.*$ )
    | (?P<text> "(?:[^"\\\n]|\\.)*+" | '(?:[^'\n]|'')*+' )
    | (?P<key> (?:[A-Za-z_][\w.-]*|<<) (?=:(?:\s|$)) )
    | (?P<anchor> (?<![\w.-])[&*][A-Za-z_][\w-]* )
    """,
    re.VERBOSE | re.MULTILINE,
)


def coloured(text: str) -> str:
    """The markup: all of the text, escaped, with `<span>` elements around what is marked."""
    found, at = [], 0
    for match in _TOKENS.finditer(text):
        found.append(escape(text[at : match.start()]))
        found.append(f'<span class="y-{match.lastgroup}">{escape(match[0])}</span>')
        at = match.end()
    return "".join([*found, escape(text[at:])])
