"""Expressions are exact, know units, and let nothing through that is not one."""

from __future__ import annotations

from contextlib import suppress
from fractions import Fraction
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import llmarch_cli as llmarch
from llmarch_cli.expressions import Expression, Reference

FIGURES: dict[str, Any] = {
    "params": 30_000_000_000,
    "active": 3_000_000_000,
    "a.norm_placement": "post",
    "tied": True,
    "window": None,
}


def value(text: str) -> Any:
    return Expression(text).value(lambda figure: FIGURES[str(figure)])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("30B", 30 * 10**9),
        ("0.5B", 500_000_000),
        ("1_000K", 10**6),
        ("2GiB", 2**31),
        ("2 GiB", 2**31),
        ("10%", Fraction(1, 10)),
        ("0.1 + 0.2", Fraction(3, 10)),
        ("7 / 2", Fraction(7, 2)),
        ("-params", -30_000_000_000),
        ("params - active", 27_000_000_000),
        ("active / params", Fraction(1, 10)),
        ("params <= 30B", True),
        ("params < 30B", False),
        ("1B < active < params", True),
        ("1B < active < 2B", False),
        ("active / params <= 10% and not (params > 31B)", True),
        ("params > 31B or tied", True),
        ("tied == true and window == null", True),
        ("  a.norm_placement == 'post' ", True),
        ("a.norm_placement != '30B'", True),
        ("'30B' == '30B'", True),
    ],
)
def test_values(text: str, expected: object) -> None:
    found = value(text)
    assert found == expected
    assert type(found) is type(expected)


def test_a_figure_may_have_a_context() -> None:
    asked: list[Reference] = []

    def lookup(figure: Reference) -> int:
        asked.append(figure)
        return 1

    Expression("kv_cache_bytes@128k + kv_cache_bytes@1M + a.flops@4_096").value(lookup)
    assert asked == [
        Reference("kv_cache_bytes", 131_072),
        Reference("kv_cache_bytes", 2**20),
        Reference("a.flops", 4_096),
    ]


def test_figures_are_known_before_they_are_asked() -> None:
    assert Expression("params <= 30B and true or a.layers(window > 3) == params").references() == [Reference("params")]


def test_a_function_takes_its_argument_as_an_expression() -> None:
    def seen(window: int, _: Reference) -> int:
        return window

    def call(name: str, argument: Expression) -> int:
        assert name == "a.layers"
        assert str(argument) == "attention.window == 1024"
        return sum(argument.value(partial(seen, window)) for window in (512, 1024, 1024))

    counted = Expression("a.layers(attention.window == 1024) == 2")
    assert counted.value(lambda figure: FIGURES[figure.name], call) is True


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not an expression"),
        ("params <=", "not an expression"),
        ("params <= 30X", "not an expression"),
        ("__import__('os').system('ls')", "is not allowed"),
        ("[params]", "is not allowed"),
        ("params if tied else 0", "is not allowed"),
        ("params ** params", "is not allowed"),
        ("params <= 0x10", "write numbers in decimal"),
        ("params <= 0b11", "write numbers in decimal"),
        ("params <= 1e99999999999", "write numbers in decimal"),
        ("params <= 1j", "is not allowed"),
        ("params[0]", "is not allowed"),
        ("lambda: 0", "is not allowed"),
        ("f'{params}'", "is not allowed"),
        ("params == True", "write true, false or null"),
        ("params in (1, 2)", "is not allowed"),
        ("(x := 3)", "is not allowed"),
        ("3@128k", "does not follow a name"),
        ("params @128k", "does not follow a name"),
        ("params@8__0", "not an expression"),
        ("params@8_", "not an expression"),
        ("7or 8", "not an expression"),
        ("params @ 3", "is not allowed"),
        ("params <= 30B\nimport os", "one line of ASCII"),
        ("params ≤ 30B", "one line of ASCII"),
        ("(" * 300 + ")" * 300, "not an expression"),
        ("+".join(["params"] * 1000), "exceeds the limit of 2,000"),
        ("+".join("a" * 900), "more than 100 nested"),
        ("-" * 1900 + "7", "more than 100 nested"),
        ("params / (active - active)", "division by zero"),
        ("params < 'many'", "different types"),
        ("window < 3", "different types"),
        ("params and tied", "different types"),
        ("not params", "different types"),
        ("tied + 1", "different types"),
        ("params > true", "different types"),
        ("tied == 1", "different types"),
        ("-tied", "different types"),
        ("'a' + 'b'", "different types"),
        ("layers(tied)", "unknown function layers"),
    ],
)
def test_what_is_no_expression(text: str, message: str) -> None:
    with pytest.raises(llmarch.InputError, match=message):
        value(text)


@given(st.text("params<=>30BGi%@k.+-*/()! andort'_[]{}:", max_size=40) | st.text("0123456789abexoj_.<+", max_size=12))
def test_any_text_is_an_expression_or_an_error(text: str) -> None:
    with suppress(llmarch.InputError):
        Expression(text).value(lambda _: 7)
