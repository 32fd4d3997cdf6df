"""How many distinct experts the tokens of a step choose: each is read once, however many tokens chose it."""

from __future__ import annotations

from fractions import Fraction
from functools import lru_cache

PRECISION = 256  # bits after the point, rounded down in each product


def expected_experts(n_experts: int, top_k: int, n_tokens: int, skew: float = 0.0) -> Fraction:
    """The expected number of distinct experts of one layer that `n_tokens` tokens choose, each `top_k` of them.

    A token passes an expert by with probability 1 - top_k / n_experts if all are equally likely, and tokens choose
    independently: E (1 - (1 - k/E)^B), to 2^-250. With a `skew` s, the expert of rank r is chosen in proportion to
    1 / r^s, and by no token twice; these numbers are floating-point.
    """
    if skew == 0:
        return n_experts * (1 - _power(n_experts - top_k, n_experts, n_tokens))
    return sum((1 - Fraction((1 - share) ** n_tokens) for share in _shares(n_experts, top_k, skew)), Fraction(0))


@lru_cache(maxsize=4096)
def _power(above: int, below: int, exponent: int) -> Fraction:
    """(above / below) ** exponent, rounded down: an exact fraction would have millions of digits for many tokens."""
    square, result = (above << PRECISION) // below, 1 << PRECISION
    while exponent:
        if exponent & 1:
            result = result * square >> PRECISION
        square = square * square >> PRECISION
        exponent >>= 1
    return Fraction(result, 1 << PRECISION)


@lru_cache(maxsize=256)
def _shares(n_experts: int, top_k: int, skew: float) -> tuple[float, ...]:
    """The share of tokens that choose each expert, the most popular first. They add up to `top_k`; none exceeds 1."""
    weights = [rank**-skew for rank in range(1, n_experts + 1)]
    n_full = 0
    while True:  # experts that all tokens choose leave the others to the rest
        scale = (top_k - n_full) / sum(weights[n_full:]) if n_full < top_k else 0.0
        if n_full == n_experts or weights[n_full] * scale <= 1:
            return (*(1.0,) * n_full, *(weight * scale for weight in weights[n_full:]))
        n_full += 1
