"""Tick values and labels of logarithmic axes, for every plot renderer."""

from __future__ import annotations

from llmarch_cli.report.units import BYTES, TOKENS, Unit

MOST = 9


def ticks(unit: Unit, low: int, high: int, most: int = MOST) -> list[tuple[int, str]]:
    """Evenly spaced powers from `low` to `high`, at most `most`, with labels: of 2 for bytes and tokens, else of 10.

    Empty if no power lies between the two.
    """
    base = 2 if unit in (BYTES, TOKENS) else 10
    powers = [power for power in range(low.bit_length() + high.bit_length()) if low <= base**power <= high]
    step = -(-len(powers) // most) or 1
    return [(base**power, label(unit, base**power)) for power in powers if power % step == 0]


def label(unit: Unit, value: int) -> str:
    """`1 GiB`, `100B`: the value in its unit, without `.00`."""
    return unit.write(value).replace(".00", "")
