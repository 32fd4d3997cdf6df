"""Units: write a value rounded or exact. Rounding happens only here. To add a unit: an entry below.

Values are rounded half up to two decimals in integer arithmetic, so there are no floating-point errors.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

from llmarch_cli.components.record import number

Fact = int | float | str | bool | dt.date | Fraction | None

ABSENT = "-"
LONGEST_DECIMAL = 64  # digits after the point
LONGEST_SHARED = 10_000  # from which on a value takes a larger multiple than others in its column
MANY_TIMES = 10  # from which on a value is written as so many times the base's, and not as a share that was added


@dataclass(frozen=True)
class Delta:
    """A value before and after. True if it changed."""

    before: Fact
    after: Fact

    def __bool__(self) -> bool:
        return self.before != self.after

    @property
    def amount(self) -> int | Fraction | None:
        """The exact difference, after minus before; None if the values are not numbers."""
        before, after = self.before, self.after
        if isinstance(before, bool) or isinstance(after, bool):
            return None
        if isinstance(before, int | Fraction) and isinstance(after, int | Fraction):
            return after - before
        return None


@dataclass(frozen=True)
class Beside:
    """A value beside that of a base. True if they differ."""

    value: Fact
    base: Fact

    def __bool__(self) -> bool:
        return self.value != self.base

    @property
    def amount(self) -> int | Fraction | None:
        """How much larger than the base's it is; None if the values are not numbers."""
        return Delta(self.base, self.value).amount


Value = Fact | Delta | Beside


def exactly(value: float | Fraction) -> str:
    """All digits: 1536 -> 1,536; 3/8 -> 0.375; 1/3 -> 1/3, as it has no last digit."""
    if not isinstance(value, Fraction) or value.denominator == 1:
        return f"{value.numerator:,}" if isinstance(value, Fraction) else f"{value:,}"
    places = next((n for n in range(LONGEST_DECIMAL) if 10**n % value.denominator == 0), None)
    if places is None:
        return f"{value.numerator:,}/{value.denominator:,}"
    whole, rest = divmod(abs(value), 1)
    return f"{'-' if value < 0 else ''}{whole:,}.{int(rest * 10**places):0{places}}"


@dataclass(frozen=True)
class Scale:
    """A unit's multiples: 1, `base`, `base` ** 2 ... Whole numbers below `whole_below` are written in full.

    Values below each other take one multiple, where they are short in it, of those from the power `shared_from` on.
    """

    base: int
    names: tuple[str, ...]
    whole_below: int
    shared_from: int | None = None

    def multiple(self, value: int | Fraction) -> int:
        """The largest multiple in which `value` is at least 1, as the power of the base."""
        if value < self.whole_below and value.denominator == 1:
            return 0
        power = 0
        while power + 1 < len(self.names) and _hundredths(value, self.base**power) >= self.base * 100:
            power += 1
        return power

    def write(self, value: int | Fraction, power: int | None = None) -> str:
        """`value` in a multiple; None takes the largest one in which it is at least 1."""
        if value == 0:
            return "0"
        power = self.multiple(value) if power is None else power
        if power == 0 and value.denominator == 1:
            return f"{int(value):,}{self.names[0]}"
        whole, rest = divmod(_hundredths(value, self.base**power), 100)
        return f"{whole:,}.{rest:02}{self.names[power]}"


@dataclass(frozen=True)
class Unit:
    """A way to write values.

    Attributes:
        rounded: write a value for readers.
        exact: write every digit.
        name: the unit's name for the headings of exact values, which are written without it.
        is_text: left-aligned, and wrapped in narrow columns. Other values are right-aligned and never cut.
        is_ratio: calculated from two exact values in the same table, so data formats leave it out.
        of_delta: the unit of a difference, if it is another one.
        scale: of a unit with multiples, of which values beside each other take one.
        is_signed: its values are amounts added or removed.
    """

    rounded: Callable[[Any], str]
    exact: Callable[[Any], str] = exactly
    name: str = ""
    is_text: bool = False
    is_ratio: bool = False
    of_delta: str = ""
    scale: Scale | None = None
    is_signed: bool = False

    def write_together(self, values: Sequence[Value], exact: bool = False) -> list[str]:
        """The values as they are compared: rounded numbers in one multiple of the unit, small changes in their own."""
        plain = [value.value if isinstance(value, Beside) else value for value in values]
        numbers = [value for value in plain if isinstance(value, int | Fraction) and value]
        scale = self.scale
        if exact or scale is None or len(numbers) < 2:
            return [self.write(value, exact) for value in values]
        multiples = [scale.multiple(number) for number in numbers]
        shared = max(min(multiples), max(multiples) - 1)
        alike = replace(self, rounded=lambda value: scale.write(value, shared))
        smaller = replace(self, rounded=lambda value: scale.write(value, min(shared, scale.multiple(value))))
        return [(smaller if isinstance(value, Delta) else alike).write(value) for value in values]

    def of_column(self, values: Sequence[Value]) -> Unit:
        """The unit that writes the values of a column: all in one multiple, if the largest one is short in it then.

        2.30 TFLOPs above 70.55 GFLOPs look smaller. Counts, and sizes below GiB, keep the multiples in which people
        know them.
        """
        scale = self.scale
        if scale is None or scale.shared_from is None or self.is_signed:
            return self
        numbers = [value for value in values if isinstance(value, int | Fraction) and value]
        shared = min(map(scale.multiple, numbers), default=0)
        if shared < scale.shared_from or max(numbers, default=0) >= scale.base**shared * LONGEST_SHARED:
            return self
        return replace(self, rounded=lambda value: scale.write(value, shared))

    def write(self, value: Value, exact: bool = False) -> str:
        """`value` in this unit; a `Delta` with its sign, a `Beside` as it is; both with the share that changed."""
        if isinstance(value, Delta):
            return self._write_delta(value, exact)
        if isinstance(value, Beside):
            return self._write_beside(value, exact)
        if value is None:
            return ABSENT
        return self.exact(value) if exact else self.rounded(value)

    def _write_delta(self, value: Delta, exact: bool) -> str:
        amount, before = value.amount, value.before
        if amount is None:
            return "changed" if value else ""
        if not amount:
            return "0"
        text = f"{self.signed(amount, exact)}{self.of_delta}"
        if self.is_ratio or not isinstance(before, int | Fraction) or before <= 0:
            return text
        return f"{text} ({difference(Fraction(amount, before))})"

    def _write_beside(self, value: Beside, exact: bool) -> str:
        text, amount, base = self.write(value.value, exact), value.amount, value.base
        if not amount or self.is_ratio or not isinstance(base, int | Fraction) or base <= 0:
            return text
        times = Fraction(base + amount, base)
        return f"{text} ({ratio(times) if times >= MANY_TIMES else difference(times - 1)})"

    def signed(self, amount: int | Fraction, exact: bool = False) -> str:
        """`amount` in this unit with its sign; 0 without."""
        size: Any = abs(amount)
        return f"{'+' if amount > 0 else '-'}{self.write(size, exact)}" if amount else "0"


def _hundredths(value: int | Fraction, unit: int) -> int:
    return int((200 * value + unit) // (2 * unit))


_COUNTS = Scale(1000, ("", "K", "M", "B", "T"), whole_below=1_000_000)
_BYTES = Scale(1024, (" B", " KiB", " MiB", " GiB", " TiB", " PiB", " EiB"), whole_below=1024, shared_from=3)
_FLOPS = Scale(
    1000,
    (" FLOPs", " kFLOPs", " MFLOPs", " GFLOPs", " TFLOPs", " PFLOPs", " EFLOPs", " ZFLOPs", " YFLOPs"),
    whole_below=1000,
    shared_from=0,
)
_OPERATIONS = Scale(1000, ("", "K", "M", "G", "T"), whole_below=1000)
_BYTE_RATES = Scale(1000, (" B/s", " kB/s", " MB/s", " GB/s", " TB/s"), whole_below=1000)


def count(value: int) -> str:
    """671026404352 -> 671.03B; numbers below a million in full."""
    return _COUNTS.write(value)


def binary_bytes(value: int | Fraction) -> str:
    """9210691584 -> 8.58 GiB; a share of a byte, which a token has in a row of several, with two decimals."""
    return _BYTES.write(value)


def flops(value: int) -> str:
    """73250000000 -> 73.25 GFLOPs."""
    return _FLOPS.write(value)


def operations(value: int) -> str:
    """989400000000000 -> 989.4T."""
    return _trimmed(_OPERATIONS.write(value))


def byte_rate(value: int) -> str:
    """3350000000000 -> 3.35 TB/s: decimal, as rates are published."""
    return _trimmed(_BYTE_RATES.write(value))


def _trimmed(text: str) -> str:
    """450.00 GB/s -> 450 GB/s."""
    return re.sub(r"\.00|(?<=\.\d)0", "", text)


def tokens(value: int) -> str:
    """131072 -> 128k, 1048576 -> 1M; numbers that are not multiples of 1024 in full."""
    for size, name in ((1 << 20, "M"), (1 << 10, "k")):
        if value and value % size == 0:
            return f"{value // size:,}{name}"
    return f"{value:,}"


def decimal(value: int | Fraction) -> str:
    """217/50 -> 4.34."""
    whole, rest = divmod(_hundredths(value, 1), 100)
    return f"{whole:,}.{rest:02}"


def seconds(value: float | Fraction) -> str:
    """13/1000 -> 13.00 ms, 95 -> 95.00 s: in seconds, or in the largest smaller unit in which it is at least 1."""
    exact = Fraction(value)
    for size, name in ((1, "s"), (1_000, "ms"), (1_000_000, "us")):
        if exact * size >= 1 or name == "us":
            return f"{decimal(exact * size)} {name}"
    raise AssertionError(value)


def rate(value: float | Fraction) -> str:
    """76.84 -> 76.8; from 1,000 on whole numbers."""
    exact = Fraction(value)
    if exact >= 1000:
        return f"{int(exact + Fraction(1, 2)):,}"
    tenths = int(exact * 10 + Fraction(1, 2))
    return f"{tenths // 10:,}.{tenths % 10}"


def significant(value: float | Fraction) -> str:
    """A number that is not an exact fact, such as a bound in seconds, in 12 digits."""
    return f"{float(value):,.12g}"


def share(value: Fraction) -> str:
    """1/18 -> 5.6%. A share that would round to 0% or 100% is written <0.1% or >99.9%."""
    if value in (0, 1):
        return f"{100 * int(value)}%"
    tenths = _hundredths(value.numerator * 10, value.denominator)
    if tenths == 0:
        return "<0.1%"
    if tenths == 1000 and value < 1:
        return ">99.9%"
    return f"{tenths // 10:,}.{tenths % 10}%"


def precise_share(value: Fraction) -> str:
    """1/18 -> 5.555556%: six decimals, rounded half up, for comparison with limits."""
    millionths = (2 * abs(value.numerator) * 10**8 + value.denominator) // (2 * value.denominator)
    whole, rest = divmod(millionths, 10**6)
    return f"{'-' if value < 0 and millionths else ''}{whole:,}.{rest:06}".rstrip("0").rstrip(".") + "%"


def precise_times(value: Fraction) -> str:
    """57/2 -> 28.5x, with up to six decimals, rounded half up."""
    return f"{precise_share(value / 100).removesuffix('%')}x"


def times(value: Fraction) -> str:
    """57/2 -> 28.5x."""
    tenths = (20 * value.numerator + value.denominator) // (2 * value.denominator)
    return f"{tenths // 10:,}.{tenths % 10}x"


def ratio(value: Fraction) -> str:
    """57/2 -> 28.50x, 1/5400 -> 0.00019x: two decimals, and two digits of less than a tenth."""
    return f"{decimal(value)}x" if value >= Fraction(1, 10) else f"{float(value):.2g}x"


def difference(value: Fraction) -> str:
    """1/1000 -> +0.10%."""
    hundredths = _hundredths(abs(value.numerator) * 100, value.denominator)
    sign = "" if hundredths == 0 else "-" if value < 0 else "+"
    return f"{sign}{hundredths // 100:,}.{hundredths % 100:02}%"


def setting(text: str) -> str:
    """`score_scale 0.07715167498104596` -> `score_scale 0.077152`: long decimals in a text cut to five digits."""
    return re.sub(r"\d+\.\d{5,}(?:e-?\d+)?", lambda number: f"{float(number[0]):.5g}", text)


def field(value: float | str) -> str:
    """A field of a spec for readers: 10000.0 -> 10,000."""
    return value if isinstance(value, str) else number(value)


def yes_no(value: bool) -> str:
    """True -> yes."""
    return "yes" if value else "no"


TEXT = Unit(str, str, is_text=True)
DATE = Unit(str, str)
YES_NO = Unit(yes_no, yes_no)
MARK = Unit(lambda marked: "!" if marked else "", yes_no)
INTEGER = Unit("{:,}".format)
DECIMAL = Unit(number, number)
FIELD = Unit(field, field, is_text=True)  # text or a number
TOKENS = Unit(tokens, name="tokens")
PARAMS = Unit(count, scale=_COUNTS)
BYTES = Unit(binary_bytes, name="bytes", scale=_BYTES)
FLOPS = Unit(flops, scale=_FLOPS)
OPERATION_RATE = Unit(operations, name="operations/s")
BYTE_RATE = Unit(byte_rate, name="bytes/s")
SHARE = Unit(share, share, is_ratio=True, of_delta=" points")
TIMES = Unit(times, times, is_ratio=True)
BITS = Unit(decimal, name="bits", is_ratio=True)
SECONDS = Unit(seconds, significant, name="seconds")
RATE = Unit(rate, significant, name="tokens/s")
PRICE = Unit(decimal, significant)
QUOTIENT = Unit(decimal, decimal, is_ratio=True)
WRITTEN = Unit(str, str)  # numbers of mixed units, formatted by the caller
DIFFERENCE = Unit(difference, difference, is_ratio=True, is_signed=True)


def signed(unit: Unit) -> Unit:
    """`unit` with signs, for amounts added or removed."""
    return replace(unit, rounded=unit.signed, exact=lambda amount: unit.signed(amount, exact=True), is_signed=True)
