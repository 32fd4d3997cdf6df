"""Read the keys of a config by name and type, and record which were read.

Each key is used, known to have no effect on the architecture, or an error that names it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn, TypeVar

from llmarch_cli.errors import InputError, shown, suggestion

MAX_COUNT = 2**40
MAX_NUMBER = 1e30
MAX_LAYERS = 2**20  # the limit of a spec
MAX_FAULTS = 40  # that one message names

# The values of a key that have no effect: all, those in a tuple, or those that a function accepts.
Accepted = None | tuple[Any, ...] | Callable[[Any], bool]
ANY: Accepted = None

Value = TypeVar("Value")

TIED = "tie_word_embeddings"


@dataclass
class Reading:
    """What comes up while a config is read, shared by all its mappings.

    Attributes:
        ignored: paths of keys to pass over on purpose.
        notes: notes on the import.
        left_out: parameters that transformers counts to the decoder, and the spec leaves out.
        missing: paths of absent keys that say how large the model is or how it is built, if the family is a guess.
        taken: the other absent keys by path, with the defaults that were taken.
        passed_over: those of `ignored` that were passed over.
    """

    ignored: frozenset[str] = frozenset()
    notes: list[str] = field(default_factory=list)
    left_out: int = 0
    missing: list[str] = field(default_factory=list)
    taken: dict[str, Any] = field(default_factory=dict)
    passed_over: list[str] = field(default_factory=list)


class Config:
    """One mapping of a config file.

    Args:
        data: keys and values, as parsed from JSON.
        origin: the name of the file in errors.
        defaults: the values of absent keys. A key without a value or a default is required.
        aliases: other names of keys, each with its name in `defaults`.
        path: the path of this mapping in the file, ending with a dot; empty at the top.
        reading: what comes up, shared with all inner mappings.
        is_guess: the file does not name the family whose defaults these are. Absent keys are then noted.
    """

    def __init__(
        self,
        data: Mapping[str, Any],
        origin: str,
        defaults: Mapping[str, Any],
        aliases: Mapping[str, str] | None = None,
        path: str = "",
        reading: Reading | None = None,
        is_guess: bool = False,
    ) -> None:
        self.data, self.origin, self.defaults, self.path = data, origin, defaults, path
        self.aliases = aliases or {}
        self.reading = reading or Reading()
        self.is_guess = is_guess
        self.read: set[str] = set()

    @property
    def notes(self) -> list[str]:
        """The notes on the import."""
        return self.reading.notes

    def fail(self, name: str, why: str) -> NoReturn:
        """Raise InputError for a key, by the name that the file has for it."""
        self._fail(next((each for each in self._names(name) if each in self.data), name), why)

    def _fail(self, called: str, why: str) -> NoReturn:
        raise InputError(f"{self.origin}: {self.path}{_named(called)}: {why}")

    def leave_out(self, what: str, params: int) -> None:
        """Note what the spec leaves out of the decoder, and its parameters, which transformers counts to it."""
        self.notes.append(f"Left out of the decoder: {what}, {params:,} parameters.")
        self.reading.left_out += params

    def given(self, name: str) -> bool:
        """Whether the file has a value other than null under any name of this key."""
        return any(self.data.get(each) is not None for each in self._names(name))

    def _is_absent(self, name: str) -> bool:
        return not any(each in self.data for each in self._names(name))

    def _names(self, name: str) -> list[str]:
        return [name, *(alias for alias, meant in self.aliases.items() if meant == name)]

    def value(self, name: str, builds: bool = False) -> Any:
        """A key's value or default; None for null. Raises InputError if neither exists or its names disagree.

        `builds`: the default says how large the model is or how it is built.
        """
        found = [each for each in self._names(name) if each in self.data]
        self.read.update(found)
        if not found:
            if name not in self.defaults:
                called = ", ".join(self._names(name)[1:])
                self.fail(name, f"required, but missing{called and f'; the family also calls it {called}'}")
            return self.default(name, builds)
        first, *others = found
        for other in others:
            if not same(self.data[first], self.data[other]):
                self.fail(
                    other, f"{shown(self.data[other])}, but {first} is {shown(self.data[first])}: two names of one key"
                )
        return self.data[first]

    def default(self, name: str, builds: bool = False) -> Any:
        """The value of an absent key, which is noted if the family is a guess; None without a default."""
        default = self.defaults.get(name)
        if default is not None and self.is_guess:
            if builds:
                self.miss(name)
            else:
                self.reading.taken[f"{self.path}{name}"] = default
        return default

    def miss(self, name: str) -> None:
        """Note an absent key that a guessed family needs."""
        if (path := f"{self.path}{name}") not in self.reading.missing:
            self.reading.missing.append(path)

    def _misses(self, name: str) -> bool:
        """Whether the family is a guess, and the key is absent and has no value by default; notes that."""
        absent = self._is_absent(name)
        if missed := absent and self.is_guess and self.defaults.get(name) is None:
            self.miss(name)
        return missed

    def _typed(
        self,
        name: str,
        expected: str,
        convert: Callable[[Any], Value | None],
        placeholder: Value,
        builds: bool = False,
    ) -> Value:
        """A value as `convert` returns it. If the family is a guess, `placeholder` lets the reading of others go on."""
        if self._misses(name):
            return placeholder
        value = self.value(name, builds)
        converted = convert(value)
        if converted is None:
            if value is None and self._is_absent(name):
                self.fail(name, "required, but missing")
            self.fail(name, f"must be {expected}, not {shown(value)}")
        return converted

    def count(self, name: str, least: int = 1, most: int = MAX_COUNT) -> int:
        """A whole number."""
        return self._typed(
            name, _between(least, most), lambda value: _whole(value, least, most), max(least, 1), builds=True
        )

    def layers(self, name: str = "num_hidden_layers") -> int:
        """The number of layers."""
        return self.count(name, most=MAX_LAYERS)

    def number(self, name: str) -> float:
        """A finite number, as a float."""
        return self._typed(name, "a number", a_number, 1.0)

    def inverse(self, name: str) -> float:
        """The inverse of a number above 0."""
        value = self.number(name)
        if value <= 0:
            self.fail(name, f"must be above 0, not {shown(value)}")
        return 1 / value

    def flag(self, name: str) -> bool:
        """A boolean."""
        builds = name == TIED or self.defaults.get(name) is True
        return self._typed(
            name, "true or false", lambda value: value if isinstance(value, bool) else None, False, builds
        )

    def choice(self, name: str, meanings: Mapping[str, Value]) -> Value:
        """The meaning of one of several words."""
        if self._misses(name):
            return next(iter(meanings.values()))
        known = ", ".join(meanings)
        value = self.value(name)
        if not isinstance(value, str) or value not in meanings:
            self._fail(name, f"{shown(value)} is not supported; known: {known}")  # the name that has these words
        return meanings[value]

    def optional(self, read: Callable[..., Value], name: str, **limits: int) -> Value | None:
        """The result of `read` within `limits`; None if the key is null, or absent without a default."""
        absent = self._is_absent(name)
        if not (absent and name not in self.defaults) and self.value(name) is not None:
            return read(name, **limits)
        if absent and self.is_guess:
            self.reading.taken[f"{self.path}{name}"] = None
        return None

    def filled_in(self, name: str, value: Value) -> Value:
        """A value that a family's code has for an absent or null key; an error if the family is a guess."""
        if self.is_guess:
            self.miss(name)
        return value

    def items(
        self, name: str, convert: Callable[[Any], Value | None], expected: str, length: int | None = None
    ) -> list[Value]:
        """A list of `length` values, one per layer; None for any length."""
        values = self.value(name, builds=True)
        if not isinstance(values, list):
            self.fail(name, f"must be a list, not {shown(values)}")
        if length is not None and len(values) != length:
            self.fail(name, f"must have {length:,} entries, one per layer, not {len(values):,}")
        found = []
        for i, value in enumerate(values):
            if (converted := convert(value)) is None:
                self.fail(name, f"entry {i} must be {expected}, not {shown(value)}")
            found.append(converted)
        return found

    def whole_numbers(self, name: str) -> list[int]:
        """A list of whole numbers, of any length."""
        return self.items(name, lambda value: _whole(value, 0, MAX_COUNT), "a whole number")

    def numbers(self, name: str) -> list[float]:
        """A list of numbers, of any length."""
        return self.items(name, a_number, "a number")

    def inner(
        self, name: str, defaults: Mapping[str, Any] | None = None, aliases: Mapping[str, str] | None = None
    ) -> Config:
        """An inner mapping; empty if absent or null."""
        value = self.data.get(name)
        self.read.add(name)
        if value is not None and not isinstance(value, Mapping):
            self.fail(name, f"must be a mapping, not {shown(value)}")
        is_guess = defaults is not None and self.is_guess
        return Config(value or {}, self.origin, defaults or {}, aliases, f"{self.path}{name}.", self.reading, is_guess)

    def inners(self, name: str, length: int) -> list[Config]:
        """A list of `length` inner mappings, one per layer."""
        mappings = self.items(name, lambda value: value if isinstance(value, Mapping) else None, "a mapping", length)
        paths = (f"{self.path}{name}[{i}]." for i in range(length))
        return [
            Config(data, self.origin, {}, path=path, reading=self.reading)
            for data, path in zip(mappings, paths, strict=True)
        ]

    def expect(self, name: str, *accepted: Any, why: str = "") -> None:
        """Read a key that may only repeat what other keys or the family imply. Null is accepted."""
        self.read.add(name)
        if (fault := _unaccepted(self.data.get(name), accepted)) is not None:
            self.fail(name, f"{fault}{f' ({why})' if why else ''}")

    def finish(self, without_effect: Mapping[str, Accepted]) -> None:
        """Raise InputError for all keys that were not read and are not known to have no effect."""
        unread = [name for name in self.data if name not in self.read]
        faults = {name: fault for name in unread if (fault := self.fault(name, without_effect)) is not None}
        for name in [name for name in faults if f"{self.path}{name}" in self.reading.ignored]:
            self.reading.passed_over.append(f"{self.path}{name}")
            self.notes.append(f"Passed over on purpose: {self.path}{shown(name)}, which is {shown(self.data[name])}.")
            del faults[name]
        if not faults:
            return
        first, *others = faults
        if not others:
            self.fail(first, f"{faults[first]}; `llmarch import --ignore {self.path}{_named(first)}` passes it over")
        lines = "".join(f"\n  {self.path}{_named(name)}: {fault}" for name, fault in list(faults.items())[:MAX_FAULTS])
        more = f"\n  and {len(faults) - MAX_FAULTS:,} more" if len(faults) > MAX_FAULTS else ""
        raise InputError(
            f"{self.origin}: {len(faults):,} keys are not supported; `llmarch import --ignore KEY` passes one over:"
            f"{lines}{more}"
        )

    def fault(self, name: str, without_effect: Mapping[str, Accepted]) -> str | None:
        """What is wrong with a key that was not read; None if it has no effect."""
        value = self.data[name]
        if name not in without_effect:
            hint = suggestion(name, {*self.read, *self.defaults, *self.aliases} - {name})
            return f"unknown key{hint or ': its effect on the architecture is unknown'}"
        accepted = without_effect[name]
        if isinstance(accepted, tuple):
            return _unaccepted(value, accepted)
        return None if accepted is None or accepted(value) else f"{shown(value)} is not supported"


def _named(name: str) -> str:
    return name if name.isidentifier() and len(name) <= 80 else shown(name)


def _unaccepted(value: Any, accepted: tuple[Any, ...]) -> str | None:
    """What is wrong with a value that is neither null nor accepted."""
    if value is None or any(same(value, each) for each in accepted):
        return None
    return f"{shown(value)} is not supported: must be {' or '.join(map(shown, accepted))}"


def same(one: Any, other: Any) -> bool:
    """Whether two JSON values are equal: 1 equals 1.0, but not true."""
    return isinstance(one, bool) == isinstance(other, bool) and bool(one == other)


def one_of(words: Collection[str]) -> Callable[[Any], str | None]:
    """A converter that accepts only these words."""
    return lambda value: value if isinstance(value, str) and value in words else None


def above_zero(value: Any) -> int | None:
    """Accept a whole number above 0."""
    return _whole(value, 1, MAX_COUNT)


def a_number(value: Any) -> float | None:
    """Accept a finite number."""
    return float(value) if type(value) in (int, float) and abs(value) <= MAX_NUMBER else None


def _whole(value: Any, least: int, most: int) -> int | None:
    if isinstance(value, float) and value.is_integer() and abs(value) <= most:
        value = int(value)
    return value if type(value) is int and least <= value <= most else None


def _between(least: int, most: int) -> str:
    bound = f" and at most {most:,}" if most < MAX_COUNT else ""
    return f"a whole number of at least {least}{bound}"
