"""A drawing as an SVG, PNG or PDF file, written with matplotlib.

Shapes go straight to matplotlib's renderers: one artist per shape would take ten times as long.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, cast

from llmarch_cli.drawings.shapes import DASH, DASH_GAP, EDGE, MARK, STROKE, Adder, Box, Drawing, Line, Shape, Text
from llmarch_cli.drawings.theme import AUTO, Theme, dark_instead, theme
from llmarch_cli.errors import InputError, unknown
from llmarch_cli.report.plots import library

if TYPE_CHECKING:
    from matplotlib.backend_bases import RendererBase
    from matplotlib.path import Path as Outline

MOST_PIXELS = 30_000  # along a side of a PNG file; a larger drawing gets fewer dots per inch


def require(file_format: str, theme_name: str) -> None:
    """Raise InputError for an unknown format or theme, or if matplotlib is not installed."""
    if file_format not in library.ENDINGS:
        raise InputError(unknown("format", file_format, library.ENDINGS))
    theme(theme_name)
    library.require("a drawing")


def rendered(drawing: Drawing, ending: str, theme_name: str = AUTO) -> bytes:
    """The drawing as the bytes of a file. Raises InputError like `require`."""
    require(ending, theme_name)
    colours = theme(theme_name)
    from matplotlib.artist import Artist
    from matplotlib.figure import Figure

    class Shapes(Artist):
        def draw(self, renderer: RendererBase) -> None:
            pen = Pen(renderer, drawing.height, colours)
            for shape in drawing.shapes:
                pen.draw(shape)

    size = max(drawing.width, drawing.height)
    dpi = min(library.DPI, MOST_PIXELS / size * 72) if ending == "png" else 72
    with library.style():
        figure = Figure(figsize=(drawing.width / 72, drawing.height / 72), dpi=dpi, facecolor=colours.background)
        figure.add_artist(Shapes())
        dark = dark_instead() if theme_name == AUTO else None
        return library.saved(figure, ending, drawing.title, dark, dpi=dpi)


class Pen:
    """Draws shapes with one of matplotlib's renderers, onto a page `height` points high."""

    def __init__(self, renderer: RendererBase, height: float, colours: Theme) -> None:
        from matplotlib.font_manager import FontProperties
        from matplotlib.transforms import Affine2D

        self.renderer, self.colours = renderer, colours
        self.scale = float(cast("float", renderer.points_to_pixels(1.0)))
        self.to_pixels = Affine2D().scale(self.scale)
        self.page = height * self.scale
        self.fonts = {bold: FontProperties(weight="bold" if bold else "normal") for bold in (False, True)}

    def draw(self, shape: Shape) -> None:
        """Draw one shape."""
        match shape:
            case Box():
                fill, edge = self._box_colours(shape)
                self._path(_rectangle(shape), edge, EDGE, fill, shape.dashed)
            case Line():
                self._line(shape)
            case Adder():
                colour = self.colours.lines["line"]
                self._path(_circle(shape), colour, STROKE, self.colours.background)
                for arm in shape.arms:
                    self._path(_polyline(arm), colour, STROKE)
            case Text():
                self._text(shape)

    def _box_colours(self, box: Box) -> tuple[str | None, str | None]:
        if box.colour is None:
            return self.colours.boxes[box.role]
        return self.colours.variants[box.colour % len(self.colours.variants)], None

    def _line(self, line: Line) -> None:
        colour = self.colours.lines[line.role]
        self._path(_polyline(line.points), colour, STROKE, dashed=line.dashed)
        if line.arrow:
            self._path(_polyline(line.head, closed=True), None, 0, colour)

    def _text(self, text: Text) -> None:
        from matplotlib.text import Text as Anchored
        from matplotlib.transforms import IdentityTransform

        if text.marked:
            low, high = text.bounds.bottom, text.bounds.top
            strip = Box(text.x - 1.5, low, text.width + 3, high - low, "mark", "mark", rounded=2)
            self._path(_rectangle(strip), None, 0, self.colours.mark)
            bar = replace(strip, y=low - MARK / 2, height=MARK, rounded=0)
            self._path(_rectangle(bar), None, 0, self.colours.mark_edge)
        font = self.fonts[text.bold].copy()
        font.set_size(text.size)
        pen = self.renderer.new_gc()
        pen.set_foreground(self.colours.texts["text" if text.marked else text.role])
        x, y = text.x * self.scale, text.y * self.scale
        middle = x + text.width * self.scale / 2
        if text.centred:  # letters of a bitmap are as wide as whole pixels
            x = middle - self.renderer.get_text_width_height_descent(text.text, font, False)[0] / 2
        anchor = Anchored(middle, y, horizontalalignment="center", transform=IdentityTransform())
        level = self.page - y if self.renderer.flipy() else y
        self.renderer.draw_text(pen, x, level, text.text, font, 0, False, anchor if text.centred else None)
        pen.restore()

    def _path(
        self, path: Outline, edge: str | None, width: float, fill: str | None = None, dashed: bool = False
    ) -> None:
        from matplotlib.colors import to_rgb

        pen = self.renderer.new_gc()
        pen.set_linewidth(0.0 if edge is None else width)
        pen.set_foreground(edge or self.colours.background)
        if dashed:
            pen.set_dashes(0, [DASH, DASH_GAP])
        self.renderer.draw_path(pen, path, self.to_pixels, None if fill is None else to_rgb(fill))
        pen.restore()


def _polyline(points: Sequence[tuple[float, float]], closed: bool = False) -> Outline:
    from matplotlib.path import Path as Outline

    return Outline([*points, points[0]] if closed else list(points), closed=closed)


def _rectangle(box: Box) -> Outline:
    from matplotlib.path import Path as Outline

    left, bottom, right, top = box.x, box.y, box.x + box.width, box.y + box.height
    r = min(box.rounded, box.width / 2, box.height / 2)
    if not r:
        return _polyline([(left, bottom), (right, bottom), (right, top), (left, top)], closed=True)
    move, line, bend, close = Outline.MOVETO, Outline.LINETO, Outline.CURVE3, Outline.CLOSEPOLY
    corners = [
        *[(move, (left + r, bottom)), (line, (right - r, bottom))],
        *[(bend, (right, bottom)), (bend, (right, bottom + r)), (line, (right, top - r))],
        *[(bend, (right, top)), (bend, (right - r, top)), (line, (left + r, top))],
        *[(bend, (left, top)), (bend, (left, top - r)), (line, (left, bottom + r))],
        *[(bend, (left, bottom)), (bend, (left + r, bottom)), (close, (left + r, bottom))],
    ]
    return Outline([point for _, point in corners], [code for code, _ in corners])


def _circle(adder: Adder) -> Outline:
    from matplotlib.path import Path as Outline

    return Outline.circle((adder.x, adder.y), adder.radius)
