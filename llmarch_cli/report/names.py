"""Columns as people type them: by key or by heading, in any case, with blanks, underscores and hyphens alike."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from llmarch_cli.errors import InputError, shown, suggestion

Titles = Mapping[str, Iterable[str]]  # the headings of each key


def plain(text: str) -> str:
    """`KV_cache`, `kv cache` -> `kv cache`; what is in brackets, as a storage format may be, does not count."""
    without = re.sub(r"\(.*?\)", " ", text)
    return " ".join(re.split(r"[\s_/-]+", without.casefold())).strip()


def key_of(text: str, titles: Titles, what: str = "column", *, hint: str = "") -> str:
    """The key that `text` names.

    Raises InputError if it names none, with the closest ones or else `hint`; and if it names several.
    """
    if text in titles:
        return text
    wanted = plain(text)
    found = [key for key, headings in titles.items() if wanted and wanted in {plain(key), *map(plain, headings)}]
    if len(found) == 1:
        return found[0]
    if found:
        raise InputError(f"{what} {shown(text)} can be {' or '.join(found)}: name one of them")
    near = suggestion(text, titles) or _of_words(wanted, titles)
    raise InputError(f"unknown {what} {shown(text)}{near or hint}")


def with_keys(text: str, titles: Titles) -> str:
    """An expression with the keys of headings of several words in their place: `KV cache <= 2GiB`."""
    keys = {plain(title): key for key, headings in titles.items() for title in headings if " " in plain(title)}
    if not keys:
        return text
    longest_first = sorted(keys, key=len, reverse=True)
    pattern = "|".join(re.escape(title).replace(r"\ ", r"[\s_]+") for title in longest_first)
    return re.sub(rf"(?<![\w.])(?:{pattern})(?![\w.])", lambda found: keys[plain(found[0])], text, flags=re.IGNORECASE)


def _of_words(wanted: str, titles: Titles) -> str:
    """`; did you mean ...?` with the keys whose key or heading has all words of `wanted`; "" if there are none."""
    words = set(wanted.split())
    near = [key for key, headings in titles.items() if words and words <= {*plain(key).split(), *_words(headings)}]
    return f"; did you mean {' or '.join(near)}?" if near else ""


def _words(headings: Iterable[str]) -> Iterable[str]:
    return (word for heading in headings for word in plain(heading).split())
