"""Read the keys of a config by name and type, and record which were read.

Each key is used, known to have no effect on the architecture, or an error that names it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any, NoReturn, TypeVar

from llmarch_cli.errors import InputError, shown, suggestion

MAX_COUNT = 2**40
MAX_NUMBER = 1e30
MAX_LAYERS = 100_000  # the limit of a spec

# The values of a key that have no effect: all, those in a tuple, or those that a function accepts.
Accepted = None | tuple[Any, ...] | Callable[[Any], bool]
ANY: Accepted = None

Value = TypeVar("Value")


class Config:
    """One mapping of a config file.

    Args:
        data: keys and values, as parsed from JSON.
        origin: the name of the file in errors.
        defaults: the values of absent keys. A key without a value or a default is required.
        aliases: other names of keys, each with its name in `defaults`.
        path: the path of this mapping in the file, ending with a dot; empty at the top.
        notes: notes on the import, shared with all inner mappings.

    Attributes:
        left_out: parameters that transformers counts to the decoder, and the spec leaves out.
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
        self.left_out = 0

    def fail(self, name: str, why: str) -> NoReturn:
        """Raise InputError for a key."""
        key = name if name.isidentifier() and len(name) <= 80 else shown(name)
        raise InputError(f"{self.origin}: {self.path}{key}: {why}")

    def leave_out(self, what: str, params: int) -> None:
        """Note what the spec leaves out of the decoder, and its parameters, which transformers counts to it."""
        self.notes.append(f"Left out of the decoder: {what}, {params:,} parameters.")
        self.left_out += params

    def given(self, name: str) -> bool:
        """Whether the file has a value other than null under any name of this key."""
        return any(self.data.get(each) is not None for each in self._names(name))

    def _names(self, name: str) -> list[str]:
        return [name, *(alias for alias, meant in self.aliases.items() if meant == name)]

    def value(self, name: str) -> Any:
        """A key's value or default; None for null. Raises InputError if neither exists or its names disagree."""
        found = [each for each in self._names(name) if each in self.data]
        self.read.update(found)
        if not found:
            if name not in self.defaults:
                self.fail(name, "required, but missing")
            return self.defaults[name]
        first, *others = found
        for other in others:
            if not same(self.data[first], self.data[other]):
                self.fail(
                    other, f"{shown(self.data[other])}, but {first} is {shown(self.data[first])}: two names of one key"
                )
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
        """The number of layers."""
        return self.count(name, most=MAX_LAYERS)

    def number(self, name: str) -> float:
        """A finite number, as a float."""
        return self._typed(name, "a number", _number)

    def inverse(self, name: str) -> float:
        """The inverse of a number above 0."""
        value = self.number(name)
        if value <= 0:
            self.fail(name, f"must be above 0, not {shown(value)}")
        return 1 / value

    def flag(self, name: str) -> bool:
        """A boolean."""
        return self._typed(name, "true or false", lambda value: value if isinstance(value, bool) else None)

    def choice(self, name: str, meanings: Mapping[str, Value]) -> Value:
        """The meaning of one of several words."""
        known = ", ".join(meanings)
        value = self.value(name)
        if not isinstance(value, str) or value not in meanings:
            self.fail(name, f"{shown(value)} is not supported; known: {known}")
        return meanings[value]

    def optional(self, read: Callable[[str], Value], name: str) -> Value | None:
        """The result of `read`; None if the key is null, or absent without a default."""
        if name not in self.defaults and not any(each in self.data for each in self._names(name)):
            return None
        return None if self.value(name) is None else read(name)

    def items(self, name: str, convert: Callable[[Any], Value | None], expected: str, length: int) -> list[Value]:
        """A list of `length` values, one per layer."""
        values = self.value(name)
        if not isinstance(values, list):
            self.fail(name, f"must be a list, not {shown(values)}")
        if len(values) != length:
            self.fail(name, f"must have {length:,} entries, one per layer, not {len(values):,}")
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
        """An inner mapping; empty if absent or null."""
        value = self.data.get(name)
        self.read.add(name)
        if value is not None and not isinstance(value, Mapping):
            self.fail(name, f"must be a mapping, not {shown(value)}")
        return Config(value or {}, self.origin, defaults or {}, aliases, f"{self.path}{name}.", self.notes)

    def expect(self, name: str, *accepted: Any, why: str = "") -> None:
        """Read a key that may only repeat what other keys or the family imply. Null is accepted."""
        self.read.add(name)
        value = self.data.get(name)
        if value is None or any(same(value, each) for each in accepted):
            return
        known = " or ".join(shown(each) for each in accepted)
        self.fail(name, f"{shown(value)} is not supported: must be {known}{f' ({why})' if why else ''}")

    def finish(self, without_effect: Mapping[str, Accepted]) -> None:
        """Raise InputError for the first key that was not read and is not known to have no effect."""
        unread = [name for name in self.data if name not in self.read]
        for name in unread:
            if name not in without_effect:
                hint = suggestion(name, {*self.read, *self.defaults, *self.aliases} - {name})
                unknown = ": its effect on the architecture is unknown; remove it if it has none"
                self.fail(name, f"unknown key{hint or unknown}")
        for name in unread:
            accepted = without_effect[name]
            if isinstance(accepted, tuple):
                self.expect(name, *accepted)
            elif accepted is not None and not accepted(self.data[name]):
                self.fail(name, f"{shown(self.data[name])} is not supported")


def same(one: Any, other: Any) -> bool:
    """Whether two JSON values are equal: 1 equals 1.0, but not true."""
    return isinstance(one, bool) == isinstance(other, bool) and bool(one == other)


def one_of(words: Collection[str]) -> Callable[[Any], str | None]:
    """A converter that accepts only these words."""
    return lambda value: value if isinstance(value, str) and value in words else None


def above_zero(value: Any) -> int | None:
    """Accept a whole number above 0."""
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
