"""The width of text in the font of drawings, and its breaks into lines."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from llmarch_cli.report.plots.library import FAMILY

if TYPE_CHECKING:
    from matplotlib.ft2font import FT2Font

_UNIT = 1000  # the font size at which letters are measured
_SLACK = 1e-6  # points: sums of floats differ in their last digits


@cache
def _font(bold: bool) -> FT2Font:
    import matplotlib as mpl
    from matplotlib.ft2font import FT2Font

    name = f"{FAMILY.replace(' ', '')}{'-Bold' if bold else ''}.ttf"
    font = FT2Font(str(Path(mpl.get_data_path()) / "fonts" / "ttf" / name))
    font.set_size(_UNIT, 72)
    return font


@cache
def _advance(letter: str, bold: bool) -> float:
    """The width of one letter at size 1; of a letter that the font lacks, a square."""
    from matplotlib.ft2font import LoadFlags

    font = _font(bold)
    if not font.get_char_index(ord(letter)):
        return 1.0
    return font.load_char(ord(letter), LoadFlags.NO_HINTING).linearHoriAdvance / 65536 / _UNIT


def text_width(text: str, size: float, bold: bool = False) -> float:
    """The width of `text` in points, without kerning, which would make it slightly smaller."""
    return size * sum(_advance(letter, bold) for letter in text)


def wrapped(text: str, width: float, size: float, bold: bool = False) -> list[str]:
    """`text` in lines of at most `width` points, broken between words; a word longer than a line is split."""
    room = width + _SLACK
    lines, taken = [""], 0.0  # the lines, and the width of the last one
    for word in text.split():
        more = f" {word}" if lines[-1] else word
        needed = text_width(more, size, bold)
        if taken + needed <= room:
            lines[-1] += more
            taken += needed
            continue
        if lines[-1]:
            lines.append("")
        taken = 0.0
        for letter in word:
            needed = text_width(letter, size, bold)
            if lines[-1] and taken + needed > room:
                lines.append("")
                taken = 0.0
            lines[-1] += letter
            taken += needed
    return lines
