"""Columns are as exact as fractions are, one by one."""

from __future__ import annotations

import operator
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmarch_cli.sweeping.exact import Quantity, Whole

BOUND = 2**62
COLUMN = st.lists(st.integers(-BOUND, BOUND), min_size=3, max_size=3)
ARITHMETIC = (operator.add, operator.sub, operator.mul, operator.truediv)
COMPARISONS = (operator.lt, operator.le, operator.eq, operator.ne, operator.gt, operator.ge)


def quantity(numbers: list[int]) -> Quantity:
    return Quantity(Whole(np.array(numbers), BOUND))


def fractions(found: Quantity) -> list[Fraction | None]:
    numerator, denominator = (np.broadcast_to(part.value, 3).tolist() for part in (found.numerator, found.denominator))
    return [Fraction(a, b) if b else None for a, b in zip(numerator, denominator, strict=True)]


@given(COLUMN, COLUMN, st.sampled_from(ARITHMETIC))
def test_arithmetic_of_two_columns(left: list[int], right: list[int], do: Callable[[Any, Any], Any]) -> None:
    true = [do(Fraction(a), b) if b or do is not operator.truediv else None for a, b in zip(left, right, strict=True)]
    assert fractions(do(quantity(left), quantity(right))) == true


@given(COLUMN, st.integers(-(2**70), 2**70) | st.fractions(), st.sampled_from(ARITHMETIC))
def test_arithmetic_with_a_number_on_either_side(
    column: list[int], number: int | Fraction, do: Callable[[Any, Any], Any]
) -> None:
    if number or do is not operator.truediv:
        assert fractions(do(quantity(column), number)) == [do(Fraction(a), number) for a in column]
    if all(column) or do is not operator.truediv:
        assert fractions(do(Fraction(number), quantity(column))) == [do(Fraction(number), a) for a in column]


@given(COLUMN, COLUMN, st.integers(-(2**70), 2**70), st.sampled_from(COMPARISONS))
def test_comparisons(left: list[int], right: list[int], number: int, compare: Callable[[Any, Any], Any]) -> None:
    ratio = quantity(left) / quantity(right)
    pairs = list(zip(left, right, strict=True))
    assert compare(ratio, number).tolist() == [bool(b) and compare(Fraction(a, b or 1), number) for a, b in pairs]
    assert compare(number, ratio).tolist() == [bool(b) and compare(number, Fraction(a, b or 1)) for a, b in pairs]


@pytest.mark.parametrize("other", [True, None, "x", 0.5, np.array([1, 2, 3])])
@pytest.mark.parametrize("do", [*ARITHMETIC, *COMPARISONS], ids=lambda do: do.__name__)
def test_what_is_no_exact_number_does_not_mix(other: object, do: Callable[[Any, Any], Any]) -> None:
    with pytest.raises(TypeError):
        do(quantity([1, 2, 3]), other)
    with pytest.raises(TypeError):
        do(other, quantity([1, 2, 3]))


# --- whole formulas, over columns and single integers of any size ---------------------------------------------------

SINGLE = st.integers(-(2**70), 2**70)
LEAVES = COLUMN | SINGLE | st.fractions()


def formulas() -> st.SearchStrategy[Any]:
    """A leaf, or two formulas with an operator between them."""
    return st.recursive(LEAVES, lambda inner: st.tuples(st.sampled_from(ARITHMETIC), inner, inner), max_leaves=6)


def over_columns(formula: Any) -> Any:
    match formula:
        case list():
            return quantity(formula)
        case (do, left, right):
            return do(over_columns(left), over_columns(right))
        case _:
            return Quantity.of(formula)


def one_by_one(formula: Any, row: int) -> Fraction | None:
    """None where something is divided by 0."""
    match formula:
        case list():
            return Fraction(formula[row])
        case (do, left, right):
            a, b = one_by_one(left, row), one_by_one(right, row)
            if a is None or b is None or (do is operator.truediv and b == 0):
                return None
            return do(a, b)  # type: ignore[no-any-return]
        case _:
            return Fraction(formula)


@settings(max_examples=300)
@given(formulas(), formulas(), st.sampled_from(COMPARISONS))
def test_formulas(left: Any, right: Any, compare: Callable[[Any, Any], Any]) -> None:
    found = np.broadcast_to(compare(over_columns(left), over_columns(right)), 3).tolist()
    for row in range(3):
        a, b = one_by_one(left, row), one_by_one(right, row)
        assert found[row] is (a is not None and b is not None and compare(a, b))
