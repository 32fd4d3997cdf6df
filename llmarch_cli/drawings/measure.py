"""The width of text in the font of drawings, and its breaks into lines."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from llmarch_cli.report.plots.library import FAMILY

if TYPE_CHECKING:
    from matplotlib.ft2font import FT2Font

_UNIT = 1000  # the font size at which letters are measured


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
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".lstrip()
        if text_width(longer, size, bold) <= width:
            lines[-1] = longer
            continue
        if lines[-1]:
            lines.append("")
        for letter in word:
            if lines[-1] and text_width(lines[-1] + letter, size, bold) > width:
                lines.append("")
            lines[-1] += letter
    return lines
