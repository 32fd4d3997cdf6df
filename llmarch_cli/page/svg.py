"""Plots as SVG elements of a page: the page's ink, whether it is light or dark, and no background of their own."""

from __future__ import annotations

import re

from llmarch_cli.report.plots import file
from llmarch_cli.report.plots.data import Plot

_MARK = "#010203"  # a colour that no plot has
_ID = re.compile(r'( id="| xlink:href="#|url\(#)(?=[\w.-]+["\)])')


def inline(plot: Plot, name: str) -> str:
    """The `<svg>` element, each of its ids opened by `name`. Raises InputError where there is nothing to draw with."""
    text = file.render(plot, "svg", ink=_MARK, paper=None).decode()
    text = text[text.index("<svg") :].replace(_MARK, "currentColor")
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r' width="[^"]*" height="[^"]*"', "", text, count=1)
    text = _ID.sub(rf"\1{name}-", text)
    return text.replace("<svg ", '<svg aria-hidden="true" focusable="false" ', 1)
