"""The models of a gallery: each with its address, its file, and the models that it extends."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from llmarch_cli.models import load
from llmarch_cli.models import read as read_model
from llmarch_cli.profilers.attribution import Difference, difference
from llmarch_cli.profilers.profile import Profile
from llmarch_cli.report.formats.grid import one_line
from llmarch_cli.specs import loading, spec_file
from llmarch_cli.specs.spec import ModelSpec

LONGEST = 60  # characters of an address
_RESERVED = re.compile(r"(?:con|prn|aux|nul|com\d|lpt\d)(?:\..*)?")  # no file may be called so everywhere


@dataclass(frozen=True)
class Entry:
    """A model.

    Attributes:
        slug: its address: the names of its files.
        path: its YAML file, if it has one.
        written: its YAML, as in that file.
    """

    profile: Profile
    slug: str
    path: Path | None
    written: str

    @property
    def spec(self) -> ModelSpec:
        """Its spec."""
        return self.profile.spec

    @property
    def id(self) -> str:
        """Its id, for readers."""
        return one_line(self.spec.id)

    @property
    def name(self) -> str:
        """Its full name, for readers."""
        return one_line(self.spec.name)

    @property
    def organization(self) -> str:
        """Its publisher, for readers; empty if that is not known."""
        return one_line(self.spec.organization or "")


@dataclass(frozen=True)
class Edge:
    """A model that extends another one. `parent` is None if that is not in the gallery.

    Attributes:
        of: the spec that is extended.
        difference: what changes, from that spec to the model.
    """

    of: ModelSpec
    parent: Entry | None
    child: Entry
    difference: Difference


def entries(profiles: Sequence[Profile], paths: Sequence[Path | None]) -> list[Entry]:
    """The models in the order given, each with an address of its own."""
    taken: set[str] = set()
    found = []
    for profile, path in zip(profiles, paths, strict=True):
        written = spec_file.render(profile.spec) if path is None else path.read_text(encoding="utf-8-sig")
        found.append(Entry(profile, _free(slug(profile.spec.id), taken), path, written))
    return found


def slug(name: str) -> str:
    """The address of a model: its id if that can be the name of a file anywhere, else its letters and a hash.

    >>> slug("deepseek-v3.2"), slug("../A b")
    ('deepseek-v3.2', 'a-b-e3f8e011')
    """
    plain = re.sub(r"[^a-z0-9._-]+", "-", name.lower()).strip("-._")[:LONGEST]
    if plain == name and not _RESERVED.fullmatch(plain):
        return plain
    return f"{plain or 'model'}-{sha256(name.encode('utf-8', 'surrogatepass')).hexdigest()[:8]}"


def _free(name: str, taken: set[str]) -> str:
    number, free = 1, name
    while free in taken:
        number += 1
        free = f"{name}-{number}"
    taken.add(free)
    return free


def edges(models: Iterable[Entry]) -> Iterator[Edge]:
    """What each model extends. Raises InputError and CheckError as `difference`."""
    models = list(models)
    by_path = {entry.path.resolve(): entry for entry in reversed(models) if entry.path is not None}
    for child in models:
        extended = None if child.path is None else loading.extended(child.path)
        if extended is None:
            continue
        parent = by_path.get(extended.resolve())
        of = read_model(extended) if parent is None else parent.spec
        yield Edge(of, parent, child, difference(of, child.spec, child.profile.workload, "closed-form"))


def is_bundled(entry: Entry) -> bool:
    """Whether a model is a bundled one, by its id and its architecture."""
    return entry.spec.id in loading.names() and load(entry.spec.id) == entry.spec
