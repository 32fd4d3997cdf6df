"""Bundled specs by other names: the repository on the Hugging Face Hub, or the name in another spelling."""

from __future__ import annotations

import re
from functools import cache

from llmarch_cli.specs import yaml_data
from llmarch_cli.specs.loading import find, names

_SOURCE = re.compile(r"https://huggingface\.co/([\w.-]+/[\w.-]+)(?:/.*)?", re.ASCII)
_SEPARATORS = re.compile(r"(?<![0-9])[-_. ]+|[-_. ]+(?![0-9])")  # all but those between two digits


def bundled(name: str) -> str | None:
    """The id of the bundled spec that another name means; None if there is none, or more than one.

    `org/name` must be the repository of a spec's `source`, or be listed in its `same_as`, in any case. A name alone may
    also differ from the id, or from the repository's name, in dots and dashes. A size or a version is never another:
    `qwen-38b` is not `qwen3-8b`.

    >>> bundled("Qwen/Qwen3-8B"), bundled("llama-3.1-8b"), bundled("Qwen/Qwen3-8B-Base")
    ('qwen3-8b', 'llama3.1-8b', None)
    """
    repositories, spellings = _index()
    found = repositories.get(name.lower(), set()) if "/" in name else spellings.get(_spelling(name), set())
    return next(iter(found)) if len(found) == 1 else None


@cache
def _index() -> tuple[dict[str, set[str]], dict[str, set[str]]]:
    """The ids of bundled specs by repository, and by spelling of a name. Reads every bundled file."""
    repositories: dict[str, set[str]] = {}
    spellings: dict[str, set[str]] = {}
    for each in names():
        data = yaml_data.read(find(each))  # its own fields: a source is not inherited
        source = _SOURCE.fullmatch(str(data.get("source")))
        own = [*([source[1]] if source else []), *data.get("same_as", ())]
        for repository in own:
            repositories.setdefault(repository.lower(), set()).add(each)
        for known in (each, *(repository.split("/")[1] for repository in own)):
            spelling = _spelling(known)
            # Names with a dot in a number are also written with a dash. One with a dash is not written with a dot.
            for also in (spelling, spelling.replace(".", "-")):
                spellings.setdefault(also, set()).add(each)
    return repositories, spellings


def _spelling(name: str) -> str:
    """A name in lower case, without separators except those between two digits."""
    return _SEPARATORS.sub("", name.lower()).replace("_", "-").replace(" ", "-")
