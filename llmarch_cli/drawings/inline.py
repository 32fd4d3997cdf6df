"""A drawing as an SVG element of an HTML page. The page's style sheet has the colours by role, light and dark.

Shapes that the page's script moves are in groups, by part. Attributes tell the script what a text is: `data-topic` for
a text to compare between models, `data-within` for the title of the box that it details, `data-metric` for the value of
a metric. No element has an id, so that a page may contain a drawing several times.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any
from xml.etree import ElementTree as ET

from llmarch_cli.drawings.shapes import DASH, DASH_GAP, EDGE, STROKE, Adder, Box, Drawing, Line, Shape, Text
from llmarch_cli.drawings.theme import THEMES
from llmarch_cli.report.plots.library import FAMILY

CLASS = "architecture"

Point = tuple[float, float]


def element(drawing: Drawing, description: str, **attributes: str) -> str:
    """The `<svg>` element. `description` is for screen readers."""
    return ET.tostring(_root(drawing, description, attributes), encoding="unicode")


def tree(drawing: Drawing, description: str, **attributes: str) -> list[Any]:
    """The same element as data, for a script that makes it: tag, attributes, text, and the elements inside."""
    return _listed(_root(drawing, description, attributes))


@dataclass
class Shared:
    """Drawings of which a page holds each distinct shape once: most models are drawn like another one."""

    _known: dict[str, int] = field(default_factory=dict)  # the number of each element
    _numbers: dict[tuple[Shape, float], list[int]] = field(default_factory=dict)  # by shape and height of the drawing

    @property
    def shapes(self) -> list[str]:
        """The elements, in the order of their numbers."""
        return [*self._known]

    def element(self, drawing: Drawing, description: str, **attributes: str) -> str:
        """The `<svg>` element without its shapes, whose numbers are in `data-shapes` instead.

        There, groups stand one after the other with semicolons between them: each has the name of its part, or none,
        and the numbers, as `4` or `4-9`.
        """
        root = _frame(drawing, description, attributes)
        groups = groupby(drawing.shapes, key=lambda shape: shape.part)
        written = (" ".join([part, *self._runs(shapes, drawing.height)]) for part, shapes in groups)
        root.set("data-shapes", ";".join(written))
        return ET.tostring(root, encoding="unicode", short_empty_elements=False)

    def _runs(self, shapes: Iterable[Shape], height: float) -> Iterator[str]:
        """The numbers of the shapes, those that follow each other as one run."""
        numbers = (number for shape in shapes for number in self._numbers_of(shape, height))
        for _, run in groupby(enumerate(numbers), key=lambda pair: pair[1] - pair[0]):
            own = [number for _, number in run]
            yield f"{own[0]}-{own[-1]}" if len(own) > 1 else str(own[0])

    def _numbers_of(self, shape: Shape, height: float) -> list[int]:
        """The numbers of a shape's elements; new ones are added."""
        key = shape, height
        if key not in self._numbers:
            holder = ET.Element("g")
            _draw(holder, shape, height)
            texts = [ET.tostring(each, encoding="unicode") for each in holder]
            self._numbers[key] = [self._known.setdefault(text, len(self._known)) for text in texts]
        return self._numbers[key]


def _listed(element: ET.Element) -> list[Any]:
    return [element.tag, element.attrib, element.text or "", *map(_listed, element)]


def _root(drawing: Drawing, description: str, attributes: dict[str, str]) -> ET.Element:
    """The `<svg>` element with its shapes."""
    root = _frame(drawing, description, attributes)
    for part, shapes in groupby(drawing.shapes, key=lambda shape: shape.part):
        parent = ET.SubElement(root, "g", {"data-part": part}) if part else root
        for shape in shapes:
            _draw(parent, shape, drawing.height)
    return root


def _frame(drawing: Drawing, description: str, attributes: dict[str, str]) -> ET.Element:
    """The `<svg>` element without shapes."""
    size = {"viewBox": f"0 0 {_short(drawing.width)} {_short(drawing.height)}", "style": f"--width:{drawing.width:.0f}"}
    root = ET.Element("svg", {"class": CLASS, "role": "img", "aria-label": description, **size, **attributes})
    if drawing.strip is not None:
        bottom = _short(drawing.height - drawing.strip.bottom)
        layers = {"data-layers": str(drawing.strip.n_layers), "data-layer": f"{drawing.strip.layer:.4f}"}
        root.attrib |= {"data-bottom": bottom, **layers}
    return root


def style() -> str:
    """The CSS rules with the colours of each role."""
    return "\n".join(f".{CLASS} {rule}" for rule in _rules())


def _rules() -> Iterator[str]:
    light, dark = THEMES["light"], THEMES["dark"]

    def colour(one: str | None, other: str | None) -> str:
        return "none" if one is None or other is None else f"light-dark({one},{other})"

    yield f'text{{font-family:"{FAMILY}",Verdana,Arial,sans-serif}}'
    yield ".middle{text-anchor:middle}"
    yield f".edged{{stroke-width:{EDGE}}}"
    yield f".line{{fill:none;stroke-width:{STROKE}}}"
    yield f".dashed{{stroke-dasharray:{DASH} {DASH_GAP}}}"
    yield f".adder{{fill:{colour(light.background, dark.background)}}}"
    yield f".mark{{fill:{colour(light.mark, dark.mark)}}}"
    yield f".mark-edge{{fill:{colour(light.mark_edge, dark.mark_edge)}}}"
    for role, both in light.boxes.items():
        fill, stroke = map(colour, both, dark.boxes[role])
        yield f".box-{role}{{fill:{fill};stroke:{stroke}}}"
    for number, pair in enumerate(zip(light.variants, dark.variants, strict=True)):
        yield f".variant-{number}{{fill:{colour(*pair)}}}"
    for role, line in light.lines.items():
        stroke = colour(line, dark.lines[role])
        yield f".line-{role}{{stroke:{stroke}}}"
        yield f".head-{role}{{fill:{stroke}}}"
    for role, text in light.texts.items():
        yield f".text-{role}{{fill:{colour(text, dark.texts[role])}}}"
    yield f".marked{{fill:{colour(light.texts['text'], dark.texts['text'])}}}"


def _draw(parent: ET.Element, shape: Shape, height: float) -> None:
    """Add one shape to `parent`. In SVG, y grows downwards."""
    match shape:
        case Box():
            kind = {"class": f"edged {_colour_class(shape)}{_dashed(shape)}"}
            corner = {"x": _short(shape.x), "y": _short(height - shape.y - shape.height)}
            size = {"width": _short(shape.width), "height": _short(shape.height)}
            rounded = {"rx": _short(shape.rounded)} if shape.rounded else {}
            ET.SubElement(parent, "rect", {**kind, **corner, **size, **rounded})
        case Line():
            kind = {"class": f"line line-{shape.role}{_dashed(shape)}"}
            ET.SubElement(parent, "path", {**kind, "d": _path(shape.points, height)})
            if shape.arrow:
                kind = {"class": f"head-{shape.role}"}
                ET.SubElement(parent, "path", {**kind, "d": f"{_path(shape.head, height)}z"})
        case Adder():
            place = {"cx": _short(shape.x), "cy": _short(height - shape.y), "r": _short(shape.radius)}
            ET.SubElement(parent, "circle", {"class": "line line-line adder", **place})
            arms = "".join(_path(arm, height) for arm in shape.arms)
            ET.SubElement(parent, "path", {"class": "line line-line", "d": arms})
        case Text():
            ET.SubElement(parent, "text", dict(_text(shape, height))).text = shape.text


def _colour_class(box: Box) -> str:
    if box.colour is None:
        return f"box-{box.role}"
    return f"variant-{box.colour % len(THEMES['light'].variants)}"


def _text(text: Text, height: float) -> Iterator[tuple[str, str]]:
    yield "class", f"text-{text.role}{' middle' if text.centred else ''}"
    yield "x", _short(text.x + text.width / 2 if text.centred else text.x)
    yield "y", _short(height - text.y)
    yield "font-size", _short(text.size)
    if text.bold:
        yield "font-weight", "bold"
    if text.metric:
        yield "data-metric", text.metric
    if text.topic:
        yield "data-topic", text.topic
    if text.within:
        yield "data-within", text.within
    if text.topic and text.whole != text.text:
        yield "data-whole", text.whole


def _dashed(shape: Box | Line) -> str:
    return " dashed" if shape.dashed else ""


def _path(points: Iterable[Point], height: float) -> str:
    return "M" + "L".join(f"{_short(x)} {_short(height - y)}" for x, y in points)


def _short(value: float) -> str:
    """A coordinate to a hundredth of a point, finer than any screen."""
    return f"{value:.2f}".rstrip("0").rstrip(".")
