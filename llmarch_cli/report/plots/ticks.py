"""Where logarithmic axes are marked, and how: shared by all that draw."""

from __future__ import annotations

from llmarch_cli.report.units import BYTES, TOKENS, Unit

MOST = 9


def ticks(unit: Unit, low: int, high: int, most: int = MOST) -> list[tuple[int, str]]:
    """Round values from `low` to `high` with their labels, evenly apart: powers of 2 for bytes and tokens, else of 10.

    The span of the axis holds at least one power, or there is none to mark.
    """
    base = 2 if unit in (BYTES, TOKENS) else 10
    powers = [power for power in range(low.bit_length() + high.bit_length()) if low <= base**power <= high]
    step = -(-len(powers) // most) or 1
    return [(base**power, label(unit, base**power)) for power in powers if power % step == 0]


def label(unit: Unit, value: int) -> str:
    """`1 GiB`, `100B`: without the decimals that a round value does not have."""
    return unit.write(value).replace(".00", "")
