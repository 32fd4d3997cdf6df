"""The condition of `--where`: read as a comparison of figures, never run as code, and exact.

Every value is a ratio of two integers with a bound on both, so that `active_params / params <= 10%` is compared by
cross-multiplication: in 64 bits where the products are known to fit, in Python's integers where they may not.
"""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from functools import reduce
from typing import Any

import numpy as np

from llmarch_cli.errors import InputError, shown
from llmarch_cli.sweeping.figures import LARGEST, RATIOS, Figures

LONGEST = 1000  # characters

_UNITS = {
    "": 1,
    "%": Fraction(1, 100),
    **{name: 1000**power for power, name in enumerate("KMBT", 1)},
    **{f"{name}iB": 1024**power for power, name in enumerate("KMGT", 1)},
}
# A number with its unit. The end of a name is none.
_QUANTITY = re.compile(r"(?<![\w.])([0-9][0-9_]*(?:\.[0-9]+)?(?:[eE][-+]?[0-9]{1,2}(?![0-9]))?)( ?[A-Za-z]+|%|)")
_WORDS = frozenset(("and", "or", "not"))  # what may follow a number and is no unit

_ARITHMETIC: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}
_COMPARISONS: dict[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Lt: np.less,
    ast.LtE: np.less_equal,
    ast.Gt: np.greater,
    ast.GtE: np.greater_equal,
    ast.Eq: np.equal,
    ast.NotEq: np.not_equal,
}
_KNOWN = "it takes figures, numbers with units, + - * /, comparisons, and, or, not"


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


ONE = Whole(1, 1)


@dataclass(frozen=True)
class Quantity:
    """`above / below`, exactly."""

    above: Whole
    below: Whole = ONE

    def __add__(self, other: Quantity) -> Quantity:
        if self.below is other.below:
            return Quantity(self.above + other.above, self.below)
        return Quantity(self.above * other.below + other.above * self.below, self.below * other.below)

    def __sub__(self, other: Quantity) -> Quantity:
        return self + Quantity(Whole(-1, 1) * other.above, other.below)

    def __mul__(self, other: Quantity) -> Quantity:
        return Quantity(self.above * other.above, self.below * other.below)

    def __truediv__(self, other: Quantity) -> Quantity:
        return Quantity(self.above * other.below, self.below * other.above)

    def compared(self, compare: Callable[[Any, Any], Any], other: Quantity) -> Any:
        """Whether it holds; nowhere where something is divided by 0."""
        left, right = self.above * other.below, other.above * self.below
        if self.below is other.below is ONE:
            bound = max(left.bound, right.bound)
            return compare(_fit(left.value, bound), _fit(right.value, bound))
        sign = np.sign((self.below * other.below).value)
        return np.logical_and(compare(((left - right) * Whole(sign, 1)).value, 0), sign != 0)


Condition = Callable[[Figures], Any]  # True or False for each point of a block, in an array that broadcasts to it


def condition(text: str, check_name: Callable[[str], None]) -> Condition:
    """What `text` asks, such as `params <= 30B and (kv_cache_bytes < 2GiB or attention.window == 512)`.

    `check_name` raises InputError for a name that is no figure. Raises InputError for all that is no such condition.
    """
    text = text.strip()
    if not text or len(text) > LONGEST or not text.isascii() or not text.isprintable():
        raise InputError(f"--where takes a line of 1 to {LONGEST:,} plain characters, not {shown(text)}")
    return _Reader(text, check_name).condition()


class _Reader:
    """Reads one condition. Numbers keep their columns: units become spaces, and their values are kept aside."""

    def __init__(self, text: str, check_name: Callable[[str], None]) -> None:
        self.text, self.check_name = text, check_name
        self.numbers: dict[int, Fraction] = {}

    def condition(self) -> Condition:
        plain = _QUANTITY.sub(self._number, self.text)
        try:
            tree = ast.parse(plain, mode="eval")
        except SyntaxError as error:
            raise self._refusal((error.offset or 1) - 1, None, "not understood") from None
        except (ValueError, RecursionError, MemoryError):
            raise self._refusal(0, None, "too deep") from None
        return self._condition(tree.body)

    def _number(self, match: re.Match[str]) -> str:
        number, unit = match[1], match[2].strip()
        if unit in _WORDS:
            self.numbers[match.start()] = Fraction(number)
            return "1".ljust(len(match[1])) + match[2]
        if unit not in _UNITS:
            raise self._refusal(match.start(), match.end(), f"unknown unit; known: {', '.join(filter(None, _UNITS))}")
        self.numbers[match.start()] = Fraction(number) * _UNITS[unit]
        return "1".ljust(len(match[0]))

    def _condition(self, node: ast.expr) -> Condition:
        match node:
            case ast.BoolOp():
                parts = [self._condition(value) for value in node.values]
                join = np.logical_and if isinstance(node.op, ast.And) else np.logical_or
                return lambda figures: reduce(join, (part(figures) for part in parts))
            case ast.UnaryOp(op=ast.Not()):
                inner = self._condition(node.operand)
                return lambda figures: np.logical_not(inner(figures))
            case ast.Compare() if all(type(each) in _COMPARISONS for each in node.ops):
                sides = [self._quantity(side) for side in (node.left, *node.comparators)]
                compares = [_COMPARISONS[type(each)] for each in node.ops]
                return lambda figures: _chained([side(figures) for side in sides], compares)
        raise self._refused(node, "no condition: compare two figures, such as params <= 30B")

    def _quantity(self, node: ast.expr) -> Callable[[Figures], Quantity]:
        match node:
            case ast.Constant() if node.col_offset in self.numbers:
                number = self.numbers[node.col_offset]
                below = ONE if number.denominator == 1 else Whole(number.denominator, number.denominator)
                constant = Quantity(Whole(number.numerator, number.numerator), below)
                return lambda _: constant
            case ast.BinOp() if type(node.op) in _ARITHMETIC:
                left, right = self._quantity(node.left), self._quantity(node.right)
                do: Callable[[Any, Any], Quantity] = _ARITHMETIC[type(node.op)]
                return lambda figures: do(left(figures), right(figures))
            case ast.UnaryOp(op=ast.USub()):
                inner = self._quantity(node.operand)
                return lambda figures: Quantity(Whole(0, 0)) - inner(figures)
            case ast.Name() | ast.Attribute():
                return self._named(node)
        raise self._refused(node, f"not understood: {_KNOWN}")

    def _named(self, node: ast.expr) -> Callable[[Figures], Quantity]:
        name = self.text[node.col_offset : node.end_col_offset].replace(" ", "")
        try:
            self.check_name(name)
        except InputError as error:
            raise self._refused(node, str(error)) from None
        if name in RATIOS:
            part, whole = RATIOS[name]
            return lambda figures: Quantity(_figure(figures, part), _figure(figures, whole))
        return lambda figures: Quantity(_figure(figures, name))

    def _refused(self, node: ast.expr, why: str) -> InputError:
        return self._refusal(node.col_offset, node.end_col_offset, why)

    def _refusal(self, start: int, end: int | None, why: str) -> InputError:
        return InputError(f"--where, column {start + 1}: {shown(self.text[start:end])}: {why}")


def _figure(figures: Figures, name: str) -> Whole:
    return Whole(figures.count(name), figures.bound)


def _chained(sides: list[Quantity], compares: list[Callable[[Any, Any], Any]]) -> Any:
    """`1B <= params <= 30B` is both."""
    pairs = zip(sides, compares, sides[1:], strict=False)
    return reduce(np.logical_and, (left.compared(compare, right) for left, compare, right in pairs))
