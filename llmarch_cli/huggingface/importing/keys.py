"""A config's keys, read by name and type, with a record of what was read: nothing in a file is passed over in silence.

Every key is used, or known to be without effect on the architecture, or an error that names it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any, NoReturn, TypeVar

from llmarch_cli.errors import InputError, shown, suggestion

MAX_COUNT = 2**40
MAX_NUMBER = 1e30
MAX_LAYERS = 100_000  # as many as a spec may have

# Which values of a key are known to be without effect: all, these, or those that a function accepts.
Accepted = None | tuple[Any, ...] | Callable[[Any], bool]
ANY: Accepted = None

Value = TypeVar("Value")


class Config:
    """One mapping of a config file.

    Args:
        data: keys and values, as JSON has them.
        origin: what errors call the file.
        defaults: the values of absent keys; a key that is in neither is required.
        aliases: other names of a key, each with its name in `defaults`.
        path: where this mapping stands in the file, with a dot at its end.
        notes: what a reader of the result should know; shared with all mappings inside.
    """

    def __init__(
        self,
        data: Mapping[str, Any],
        origin: str,
        defaults: Mapping[str, Any],
        aliases: Mapping[str, str] | None = None,
        path: str = "",
        notes: list[str] | None = None,
    ) -> None:
        self.data, self.origin, self.defaults, self.path = data, origin, defaults, path
        self.aliases = aliases or {}
        self.notes: list[str] = [] if notes is None else notes
        self.read: set[str] = set()

    def fail(self, name: str, why: str) -> NoReturn:
        """Raise InputError about a key."""
        key = name if name.isidentifier() and len(name) <= 80 else shown(name)
        raise InputError(f"{self.origin}: {self.path}{key}: {why}")

    def given(self, name: str) -> bool:
        """Whether the file has a value for this key, by any of its names, that is not null."""
        return any(self.data.get(each) is not None for each in self._names(name))

    def _names(self, name: str) -> list[str]:
        return [name, *(alias for alias, meant in self.aliases.items() if meant == name)]

    def value(self, name: str) -> Any:
        """A key's value, or its default; None where the file says null. Raises InputError where there is none."""
        found = [each for each in self._names(name) if each in self.data]
        self.read.update(found)
        if not found:
            if name not in self.defaults:
                self.fail(name, "required, but missing")
            return self.defaults[name]
        first, *others = found
        for other in others:
            if not same(self.data[first], self.data[other]):
                self.fail(other, f"{shown(self.data[other])}, but {first} is {shown(self.data[first])}: both mean one")
        return self.data[first]

    def _typed(self, name: str, expected: str, convert: Callable[[Any], Value | None]) -> Value:
        value = self.value(name)
        converted = convert(value)
        if converted is None:
            if value is None and name not in self.data:
                self.fail(name, "required, but missing")
            self.fail(name, f"must be {expected}, not {shown(value)}")
        return converted

    def count(self, name: str, least: int = 1, most: int = MAX_COUNT) -> int:
        """A whole number."""
        return self._typed(name, _between(least, most), lambda value: _whole(value, least, most))

    def layers(self, name: str = "num_hidden_layers") -> int:
        """How many layers there are."""
        return self.count(name, most=MAX_LAYERS)

    def number(self, name: str) -> float:
        """A finite number, as a float."""
        return self._typed(name, "a number", _number)

    def inverse(self, name: str) -> float:
        """One over a number above 0."""
        value = self.number(name)
        if value <= 0:
            self.fail(name, f"must be above 0, not {shown(value)}")
        return 1 / value

    def flag(self, name: str) -> bool:
        """True or false."""
        return self._typed(name, "true or false", lambda value: value if isinstance(value, bool) else None)

    def choice(self, name: str, meanings: Mapping[str, Value]) -> Value:
        """One of several words, as what it means."""
        known = ", ".join(meanings)
        value = self.value(name)
        if not isinstance(value, str) or value not in meanings:
            self.fail(name, f"{shown(value)} is not understood; known: {known}")
        return meanings[value]

    def optional(self, read: Callable[[str], Value], name: str) -> Value | None:
        """What `read` makes of a key, or None where it is null, or absent with no default."""
        if name not in self.defaults and not any(each in self.data for each in self._names(name)):
            return None
        return None if self.value(name) is None else read(name)

    def items(self, name: str, convert: Callable[[Any], Value | None], expected: str, length: int) -> list[Value]:
        """A list of `length` values, one for each layer."""
        values = self.value(name)
        if not isinstance(values, list):
            self.fail(name, f"must be a list, not {shown(values)}")
        if len(values) != length:
            self.fail(name, f"must have {length:,} entries, one for each layer, not {len(values):,}")
        return self._converted(name, values, convert, expected)

    def whole_numbers(self, name: str) -> list[int]:
        """A list of whole numbers, of any length."""
        values = self.value(name)
        if not isinstance(values, list):
            self.fail(name, f"must be a list, not {shown(values)}")
        return self._converted(name, values, lambda value: _whole(value, 0, MAX_COUNT), "a whole number")

    def numbers(self, name: str) -> list[float]:
        """A list of numbers, of any length."""
        values = self.value(name)
        if not isinstance(values, list):
            self.fail(name, f"must be a list, not {shown(values)}")
        return self._converted(name, values, _number, "a number")

    def _converted(
        self, name: str, values: list[Any], convert: Callable[[Any], Value | None], expected: str
    ) -> list[Value]:
        found = []
        for i, value in enumerate(values):
            if (converted := convert(value)) is None:
                self.fail(name, f"entry {i} must be {expected}, not {shown(value)}")
            found.append(converted)
        return found

    def inner(
        self, name: str, defaults: Mapping[str, Any] | None = None, aliases: Mapping[str, str] | None = None
    ) -> Config:
        """A mapping inside; an empty one where it is absent or null."""
        value = self.data.get(name)
        self.read.add(name)
        if value is not None and not isinstance(value, Mapping):
            self.fail(name, f"must be a mapping, not {shown(value)}")
        return Config(value or {}, self.origin, defaults or {}, aliases, f"{self.path}{name}.", self.notes)

    def expect(self, name: str, *accepted: Any, why: str = "") -> None:
        """Read a key that may only say what is known from others, or from the family; null says nothing."""
        self.read.add(name)
        value = self.data.get(name)
        if value is None or any(same(value, each) for each in accepted):
            return
        known = " or ".join(shown(each) for each in accepted)
        self.fail(name, f"{shown(value)} is not understood: only {known} is known{f' ({why})' if why else ''}")

    def finish(self, without_effect: Mapping[str, Accepted]) -> None:
        """Raise InputError for the first key that was not read and is not known to be without effect."""
        unread = [name for name in self.data if name not in self.read]
        for name in unread:
            if name not in without_effect:
                hint = suggestion(name, {*self.read, *self.defaults, *self.aliases} - {name})
                unknown = ": what it does to the architecture is unknown; if that is nothing, take the key out"
                self.fail(name, f"not understood{hint or unknown}")
        for name in unread:
            accepted = without_effect[name]
            if isinstance(accepted, tuple):
                self.expect(name, *accepted)
            elif accepted is not None and not accepted(self.data[name]):
                self.fail(name, f"{shown(self.data[name])} is not understood")


def same(one: Any, other: Any) -> bool:
    """Whether two JSON values are equal: true is not 1, 1.0 is."""
    return isinstance(one, bool) == isinstance(other, bool) and bool(one == other)


def one_of(words: Collection[str]) -> Callable[[Any], str | None]:
    """A converter that accepts these words only."""
    return lambda value: value if isinstance(value, str) and value in words else None


def above_zero(value: Any) -> int | None:
    """A converter that accepts whole numbers above 0."""
    return _whole(value, 1, MAX_COUNT)


def _whole(value: Any, least: int, most: int) -> int | None:
    if isinstance(value, float) and value.is_integer() and abs(value) <= most:
        value = int(value)
    return value if type(value) is int and least <= value <= most else None


def _number(value: Any) -> float | None:
    return float(value) if type(value) in (int, float) and abs(value) <= MAX_NUMBER else None


def _between(least: int, most: int) -> str:
    bound = f" and at most {most:,}" if most < MAX_COUNT else ""
    return f"a whole number of at least {least}{bound}"
