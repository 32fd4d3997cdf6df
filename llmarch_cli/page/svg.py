"""Plots as inline SVG in the colours of the page, light or dark, without a background."""

from __future__ import annotations

import re

from llmarch_cli.report.plots import file
from llmarch_cli.report.plots.data import Plot

_MARK = "#010203"  # a colour that no plot uses
_ID = re.compile(r'( id="| xlink:href="#|url\(#)(?=[\w.-]+["\)])')


def inline(plot: Plot, name: str) -> str:
    """The `<svg>` element, with `name` before each of its ids. Raises InputError if matplotlib is not installed."""
    text = file.render(plot, "svg", ink=_MARK, paper=None, all_names=True).decode()
    text = text[text.index("<svg") :].replace(_MARK, "currentColor")
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r' width="[^"]*" height="[^"]*"', "", text, count=1)
    text = _ID.sub(rf"\1{name}-", text)
    return text.replace("<svg ", '<svg aria-hidden="true" focusable="false" ', 1)
