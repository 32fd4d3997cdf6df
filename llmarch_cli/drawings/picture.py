"""Models side by side on one scale, with their differences highlighted."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import fields, replace

from llmarch_cli.drawings.differences import Differences, Said
from llmarch_cli.drawings.model import LARGEST_LAYER, STEP, ModelDrawing, Zones, require_drawable
from llmarch_cli.drawings.nodes import Label
from llmarch_cli.drawings.shapes import Box, Drawing, Line, Shape, Strip, Text
from llmarch_cli.profilers.profile import Profile
from llmarch_cli.report.comparison import caption

MARGIN = 20.0
BETWEEN = 36.0  # points between models
PER_ROW = 4


def picture(profiles: Sequence[Profile]) -> Drawing:
    """All models in one drawing, up to four in a row. Layers are equally high in all of them.

    Raises InputError for a model that is too large to draw.
    """
    for profile in profiles:
        require_drawable(profile.spec)
    drawings = [ModelDrawing(profile) for profile in profiles]
    zones = _shared([drawing.zones for drawing in drawings])
    layer = min(LARGEST_LAYER, zones.layers / max(profile.spec.n_layers for profile in profiles))
    rows = [drawings[i : i + PER_ROW] for i in range(0, len(drawings), PER_ROW)]
    widths = [sum(drawing.width for drawing in row) + BETWEEN * (len(row) - 1) for row in rows]
    width = max(widths) + 2 * MARGIN
    footer = Label(_footer(profiles), width - 2 * MARGIN, 7.5, "muted", centred=False)
    row_height = _height(zones)
    height = 2 * MARGIN + footer.height + len(rows) * (row_height + BETWEEN) - BETWEEN / 2

    placed: list[list[Shape]] = []
    rules: list[Shape] = list(footer.place(MARGIN, MARGIN))
    for number, row in enumerate(rows):
        x, y = MARGIN, height - MARGIN - (number + 1) * row_height - number * BETWEEN
        for drawing in row:
            placed.append(list(drawing.place(x, y, zones, layer)))
            x += drawing.width + BETWEEN
            if drawing is not row[-1]:
                rules.append(Line(((x - BETWEEN / 2, y), (x - BETWEEN / 2, y + row_height)), "hint"))
    shapes = [*rules, *(shape for shapes in _marked(placed) for shape in shapes)]
    title = ", ".join(profile.spec.name for profile in profiles)
    return Drawing(width, height, title, tuple(sorted(shapes, key=_depth)))


def apart(profiles: Sequence[Profile], context: str) -> Iterator[Drawing]:
    """A drawing of each model, without margins, for a page that puts any of them side by side.

    Layers are as high as there is room, and begin at the same height in all drawings; the page makes those that it
    shows equally high. Nothing is highlighted. `context` is the text for the context length, since the page can change
    it. Raises InputError for a model that is too large to draw.
    """
    for profile in profiles:
        require_drawable(profile.spec, "; leave drawings out: --no-pictures")
    drawings = [ModelDrawing(profile, context) for profile in profiles]
    entrance = max(drawing.zones.entrance for drawing in drawings)
    for drawing in drawings:
        zones = replace(drawing.zones, entrance=entrance)
        strip = Strip(entrance + STEP, min(LARGEST_LAYER, zones.layers / drawing.spec.n_layers), drawing.spec.n_layers)
        shapes = sorted(drawing.place(0, 0, zones, strip.layer), key=_depth)
        yield Drawing(drawing.width, _height(zones), drawing.spec.name, tuple(shapes), strip)


def _shared(needed: Sequence[Zones]) -> Zones:
    """Each zone as high as the largest of `needed`."""
    return Zones(**{field.name: max(getattr(zones, field.name) for zones in needed) for field in fields(Zones)})


def _height(zones: Zones) -> float:
    return zones.entrance + zones.layers + zones.exit + zones.heading + 3 * STEP


def _depth(shape: Shape) -> int:
    """Boxes are behind lines, and lines behind texts."""
    return 0 if isinstance(shape, Box) else 2 if isinstance(shape, Text) else 1


def _marked(models: Sequence[Iterable[Shape]]) -> Iterator[list[Shape]]:
    """The shapes of each model. A text is marked if it differs from one of the other models."""
    differences = Differences([{_said(s) for s in shapes if isinstance(s, Text) and s.topic} for shapes in models])
    for shapes in models:
        yield [
            replace(shape, marked=True)
            if isinstance(shape, Text) and shape.topic and _said(shape) in differences
            else shape
            for shape in shapes
        ]


def _said(text: Text) -> Said:
    return text.topic, text.within, text.whole


def _footer(profiles: Sequence[Profile]) -> str:
    marks = "Highlighted: differences between these models. " if len(profiles) > 1 else ""
    return marks + " ".join(caption(profiles))
