"""Models side by side on one scale, with what they do not have in common marked."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import fields, replace

from llmarch_cli.drawings.model import LARGEST_LAYER, STEP, ModelFigure, Zones
from llmarch_cli.drawings.nodes import Label
from llmarch_cli.drawings.shapes import Box, Drawing, Line, Shape, Text
from llmarch_cli.profilers.profile import Profile
from llmarch_cli.report.comparison import notes

MARGIN = 20.0
BETWEEN = 36.0  # models
PER_ROW = 4


def picture(profiles: Sequence[Profile]) -> Drawing:
    """All of `profiles` in one picture, up to four in a row. Layers are equally high in all of them."""
    figures = [ModelFigure(profile) for profile in profiles]
    zones = _shared([figure.zones for figure in figures])
    layer = min(LARGEST_LAYER, zones.layers / max(profile.spec.n_layers for profile in profiles))
    rows = [figures[i : i + PER_ROW] for i in range(0, len(figures), PER_ROW)]
    widths = [sum(figure.width for figure in row) + BETWEEN * (len(row) - 1) for row in rows]
    width = max(widths) + 2 * MARGIN
    footer = Label(_footer(profiles), width - 2 * MARGIN, 7.5, "muted", centred=False)
    row_height = _height(zones)
    height = 2 * MARGIN + footer.height + len(rows) * (row_height + BETWEEN) - BETWEEN / 2

    placed: list[list[Shape]] = []
    rules: list[Shape] = list(footer.place(MARGIN, MARGIN))
    for number, row in enumerate(rows):
        x, y = MARGIN, height - MARGIN - (number + 1) * row_height - number * BETWEEN
        for figure in row:
            placed.append(list(figure.place(x, y, zones, layer)))
            x += figure.width + BETWEEN
            if figure is not row[-1]:
                rules.append(Line(((x - BETWEEN / 2, y), (x - BETWEEN / 2, y + row_height)), "hint"))
    shapes = [*rules, *(shape for shapes in _marked(placed) for shape in shapes)]
    title = ", ".join(profile.spec.name for profile in profiles)
    return Drawing(width, height, title, tuple(sorted(shapes, key=_depth)))


def apart(profiles: Sequence[Profile], context: str) -> Iterator[Drawing]:
    """Each of `profiles` in a picture of its own, without margins, for whoever puts any of them side by side.

    Layers are equally high in all of them and begin at the same height; nothing is marked. `context` is how they name
    the context, so that their figures may be written anew.
    """
    figures = [ModelFigure(profile, context) for profile in profiles]
    entrance = max(figure.zones.entrance for figure in figures)
    layer = min(LARGEST_LAYER, *(figure.zones.layers / figure.spec.n_layers for figure in figures))
    for figure in figures:
        zones = replace(figure.zones, entrance=entrance)
        shapes = sorted(figure.place(0, 0, zones, layer), key=_depth)
        yield Drawing(figure.width, _height(zones), figure.spec.name, tuple(shapes))


def _shared(needed: Sequence[Zones]) -> Zones:
    """Each zone as high as the largest needs it."""
    return Zones(**{field.name: max(getattr(zones, field.name) for zones in needed) for field in fields(Zones)})


def _height(zones: Zones) -> float:
    return zones.entrance + zones.layers + zones.exit + zones.heading + 3 * STEP


def _depth(shape: Shape) -> int:
    """Boxes lie below lines, and lines below texts."""
    return 0 if isinstance(shape, Box) else 2 if isinstance(shape, Text) else 1


def _marked(models: Sequence[Iterable[Shape]]) -> Iterator[list[Shape]]:
    """The shapes of each model, with each text marked that not all of them have under its topic."""
    said = [{(s.topic, s.whole) for s in shapes if isinstance(s, Text) and s.topic} for shapes in models]
    common = set.intersection(*said)
    for shapes in models:
        yield [
            replace(shape, marked=True)
            if isinstance(shape, Text) and shape.topic and (shape.topic, shape.whole) not in common
            else shape
            for shape in shapes
        ]


def _footer(profiles: Sequence[Profile]) -> str:
    marks = "Highlighted: what not all of these models have in common. " if len(profiles) > 1 else ""
    return marks + " ".join(notes(profiles))
