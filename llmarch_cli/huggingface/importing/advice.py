"""Advise which family could read a config of no known one, by its keys."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from llmarch_cli.errors import InputError, shown
from llmarch_cli.huggingface.importing.families import FAMILIES
from llmarch_cli.huggingface.importing.keys import Config
from llmarch_cli.huggingface.importing.without_effect import WITHOUT_EFFECT

MOST_ADVISED = 3


@dataclass(frozen=True)
class Near:
    """A family that could read a config.

    Attributes:
        unread: the keys of the config that it would not read.
        missing: the number of keys that it needs and the config lacks.
    """

    family: str
    unread: tuple[str, ...]
    missing: int

    @property
    def words(self) -> str:
        """The family, and what it would leave unread."""
        if not self.unread:
            return f"{self.family} (reads every key)"
        more = ", ..." if len(self.unread) > 3 else ""
        return f"{self.family} (leaves unread: {', '.join(map(shown, self.unread[:3]))}{more})"


def advice(config: Config) -> str:
    """What to do about a config of no known family."""
    near = nearest(config.data)
    if not near:
        return "no supported family reads most of its keys; `llmarch import --families` lists all"
    listed = "; ".join(each.words for each in near)
    return f"nearest by its keys: {listed}. `llmarch import --as {near[0].family}` reads the config as that family"


def nearest(data: Mapping[str, object]) -> list[Near]:
    """The families that leave the fewest keys of a config unread and miss the fewest, best first.

    None is near if it leaves half of the keys unread, apart from those without effect in any family.
    """
    informative = [name for name in data if name not in WITHOUT_EFFECT]
    found = []
    for name, family in FAMILIES.items():
        config = Config(data, "", family.defaults, family.aliases, is_guess=True)
        try:
            family.fields(config)
        except InputError:  # it lacks more than can be told, or has values that the family cannot have
            continue
        left = [each for each in informative if each not in config.read]
        unread = tuple(each for each in left if config.fault(each, family.without_effect) is not None)
        if 2 * len(unread) < len(informative):
            found.append(Near(name, unread, len(config.reading.missing)))
    return sorted(found, key=lambda near: (len(near.unread), near.missing))[:MOST_ADVISED]
