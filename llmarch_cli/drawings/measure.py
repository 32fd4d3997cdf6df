"""How wide text is in the font that figures are drawn in, and how it breaks into lines."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from llmarch_cli.errors import InputError

if TYPE_CHECKING:
    from matplotlib.ft2font import FT2Font

FAMILY = "DejaVu Sans"  # it comes with the library: its widths are the same on every machine
_UNIT = 1000  # the size that letters are measured at


def require_library() -> None:
    """Raise InputError where the drawing library is not installed."""
    try:
        import matplotlib  # noqa: F401, ICN001
    except ImportError:
        raise InputError("figures are drawn with matplotlib, which is not here: pip install 'llmarch[plot]'") from None


@cache
def _font(bold: bool) -> FT2Font:
    import matplotlib as mpl
    from matplotlib.ft2font import FT2Font

    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    font = FT2Font(str(Path(mpl.get_data_path()) / "fonts" / "ttf" / name))
    font.set_size(_UNIT, 72)
    return font


@cache
def _advance(letter: str, bold: bool) -> float:
    """The width of one letter at size 1. A letter that the font lacks comes from another one, at most square."""
    from matplotlib.ft2font import LoadFlags

    font = _font(bold)
    if not font.get_char_index(ord(letter)):
        return 1.0
    return font.load_char(ord(letter), LoadFlags.NO_HINTING).linearHoriAdvance / 65536 / _UNIT


def text_width(text: str, size: float, bold: bool = False) -> float:
    """The width of `text` in points, without kerning, which could only make it smaller by a hair."""
    return size * sum(_advance(letter, bold) for letter in text)


def wrapped(text: str, width: float, size: float, bold: bool = False) -> list[str]:
    """`text` in lines of at most `width`, broken between words, and within one that is longer than a line."""
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
