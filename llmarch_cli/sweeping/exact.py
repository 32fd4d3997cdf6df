"""Exact arithmetic over columns of integers: in 64 bits where results are known to fit, in Python's where they may not.

Every value is a ratio of two integers with a bound on both, so that `active_params / params <= 10%` is compared by
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
    """Exact integers, one or an array of them, none further from 0 than `bound`."""

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
    """-1, 0 or 1; of a plain integer a plain one, which no size is too large for."""
    return np.sign(value) if isinstance(value, np.ndarray) else (value > 0) - (value < 0)


ONE = Whole(1, 1)


@dataclass(frozen=True, eq=False)
class Quantity:
    """`above / below`, exactly: one or a column of them, with the operators of a number, mixed with plain numbers.

    A comparison is true or false, one or an array of them; nothing holds where something is divided by 0. Operators
    raise TypeError for what is no number.
    """

    above: Whole
    below: Whole = ONE

    __array_ufunc__: ClassVar[None] = None  # an array on the left leaves the operation to this class

    @classmethod
    def of(cls, number: object) -> Quantity:
        """A number as it is."""
        match number:
            case Quantity():
                return number
            case int() | Fraction() if not isinstance(number, bool):
                above, below = number.numerator, number.denominator
                return cls(Whole(above, abs(above)), ONE if below == 1 else Whole(below, below))
            case _:
                raise TypeError

    def __add__(self, other: object) -> Quantity:
        other = Quantity.of(other)
        if self.below is other.below:
            return Quantity(self.above + other.above, self.below)
        return Quantity(self.above * other.below + other.above * self.below, self.below * other.below)

    def __neg__(self) -> Quantity:
        return Quantity(Whole(0, 0) - self.above, self.below)

    def __sub__(self, other: object) -> Quantity:
        return self + -Quantity.of(other)

    def __rsub__(self, other: object) -> Quantity:
        return Quantity.of(other) - self

    def __mul__(self, other: object) -> Quantity:
        other = Quantity.of(other)
        return Quantity(self.above * other.above, self.below * other.below)

    def __truediv__(self, other: object) -> Quantity:
        other = Quantity.of(other)
        # Once more times what the other is divided by: where that is 0, no later division by this brings a value back.
        return Quantity(self.above * other.below * other.below, self.below * other.above * other.below)

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
        left, right = self.above * other.below, other.above * self.below
        if self.below is other.below is ONE:
            bound = max(left.bound, right.bound)
            return compare(_fit(left.value, bound), _fit(right.value, bound))
        sign = _sign((self.below * other.below).value)
        holds = np.logical_and(compare(((left - right) * Whole(sign, 1)).value, 0), sign != 0)
        return holds if holds.ndim else bool(holds)
