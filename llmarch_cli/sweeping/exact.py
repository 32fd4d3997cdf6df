"""Exact arithmetic on integer columns: in 64 bits if the result is known to fit, else in Python integers.

Each value is a ratio of two integers with known bounds, so `active_params / params <= 10%` is compared by
cross-multiplication.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, ClassVar

import numpy as np

LARGEST = 2**63 - 1


@dataclass(frozen=True)
class Whole:
    """An exact integer or an array of them, with absolute values of at most `bound`."""

    value: Any
    bound: int

    def __add__(self, other: Whole) -> Whole:
        return self._with(operator.add, other, self.bound + other.bound)

    def __sub__(self, other: Whole) -> Whole:
        return self._with(operator.sub, other, self.bound + other.bound)

    def __mul__(self, other: Whole) -> Whole:
        if self is ONE or other is ONE:
            return self if other is ONE else other
        return self._with(operator.mul, other, self.bound * other.bound)

    def _with(self, do: Callable[[Any, Any], Any], other: Whole, bound: int) -> Whole:
        return Whole(do(_fit(self.value, bound), _fit(other.value, bound)), bound)


def _fit(value: Any, bound: int) -> Any:
    return value.astype(object) if bound > LARGEST and isinstance(value, np.ndarray) else value


def _sign(value: Any) -> Any:
    """-1, 0 or 1, as an array or, for a Python integer of any size, as a Python integer."""
    return np.sign(value) if isinstance(value, np.ndarray) else (value > 0) - (value < 0)


ONE = Whole(1, 1)


@dataclass(frozen=True, eq=False)
class Quantity:
    """`numerator / denominator`, exactly: one ratio or a column. Arithmetic and comparisons accept plain numbers too.

    A comparison gives one truth value or an array; it is false if a division by 0 is involved. Operators raise
    TypeError for operands that are not numbers.
    """

    numerator: Whole
    denominator: Whole = ONE

    __array_ufunc__: ClassVar[None] = None  # an array on the left leaves the operation to this class

    @classmethod
    def of(cls, number: object) -> Quantity:
        """Convert a number. Raises TypeError for anything else, booleans included."""
        match number:
            case Quantity():
                return number
            case int() | Fraction() if not isinstance(number, bool):
                whole = Whole(number.numerator, abs(number.numerator))
                return cls(whole, ONE if number.denominator == 1 else Whole(number.denominator, number.denominator))
            case _:
                raise TypeError

    def __add__(self, other: object) -> Quantity:
        other = Quantity.of(other)
        if self.denominator is other.denominator:
            return Quantity(self.numerator + other.numerator, self.denominator)
        numerator = self.numerator * other.denominator + other.numerator * self.denominator
        return Quantity(numerator, self.denominator * other.denominator)

    def __neg__(self) -> Quantity:
        return Quantity(Whole(0, 0) - self.numerator, self.denominator)

    def __sub__(self, other: object) -> Quantity:
        return self + -Quantity.of(other)

    def __rsub__(self, other: object) -> Quantity:
        return Quantity.of(other) - self

    def __mul__(self, other: object) -> Quantity:
        other = Quantity.of(other)
        return Quantity(self.numerator * other.numerator, self.denominator * other.denominator)

    def __truediv__(self, other: object) -> Quantity:
        other = Quantity.of(other)
        # The extra factor keeps the result undefined if `other` is: 0 in its denominator must never cancel out.
        numerator, denominator = other.numerator * other.denominator, other.denominator * other.denominator
        return Quantity(self.numerator * denominator, self.denominator * numerator)

    def __rtruediv__(self, other: object) -> Quantity:
        return Quantity.of(other) / self

    __radd__ = __add__
    __rmul__ = __mul__

    def __lt__(self, other: object) -> Any:
        return self._compared(operator.lt, other)

    def __le__(self, other: object) -> Any:
        return self._compared(operator.le, other)

    def __gt__(self, other: object) -> Any:
        return self._compared(operator.gt, other)

    def __ge__(self, other: object) -> Any:
        return self._compared(operator.ge, other)

    def __eq__(self, other: object) -> Any:
        return self._compared(operator.eq, other)

    def __ne__(self, other: object) -> Any:
        return self._compared(operator.ne, other)

    def _compared(self, compare: Callable[[Any, Any], Any], other: object) -> Any:
        other = Quantity.of(other)
        left, right = self.numerator * other.denominator, other.numerator * self.denominator
        if self.denominator is other.denominator is ONE:
            bound = max(left.bound, right.bound)
            return compare(_fit(left.value, bound), _fit(right.value, bound))
        sign = _sign((self.denominator * other.denominator).value)
        holds = np.logical_and(compare(((left - right) * Whole(sign, 1)).value, 0), sign != 0)
        return holds if holds.ndim else bool(holds)


UNDEFINED = Quantity(Whole(0, 0), Whole(0, 0))  # meets no condition
