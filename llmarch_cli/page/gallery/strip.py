"""The layers of a model as a strip from left to right: above how they mix tokens, below their feed-forward part."""

from __future__ import annotations

from itertools import groupby
from xml.etree import ElementTree as ET

from llmarch_cli.drawings.theme import THEMES
from llmarch_cli.report.layout import MIXERS, mixers, routes
from llmarch_cli.specs.spec import ModelSpec

WIDTH = 10  # of a layer
UPPER, LOWER, GAP = 14, 10, 2  # heights
MOST_LAYERS = 400  # of more, only every n-th is shown

WORDS = {
    "attention": "attention over all tokens",
    "window": "attention over a window",
    "recurrence": "recurrence",
    "convolution": "short convolution",
    "dense": "dense feed-forward",
    "moe": "mixture of experts",
}


def strip(spec: ModelSpec, description: str = "") -> str:
    """The `<svg>` element; without a description it is for the eye only."""
    layers = spec.layers
    shown = layers[:: -(-len(layers) // MOST_LAYERS)]
    width, height = WIDTH * len(shown), UPPER + GAP + LOWER
    spoken = {"role": "img", "aria-label": description} if description else {"aria-hidden": "true"}
    view = {"class": "strip", "viewBox": f"0 0 {width} {height}", "preserveAspectRatio": "none"}
    root = ET.Element("svg", {**view, **spoken})
    ways = {name: mixers(component) for name, component in spec.variants("attention").items()}
    kinds = {
        name: "moe" if routes(component, spec.d_model) else "dense" for name, component in spec.variants("ffn").items()
    }
    paths: dict[tuple[str, float], list[str]] = {}  # by their colour and their height
    at = 0
    for found, run in groupby(ways.get(layer.attention, ()) for layer in shown):
        count = len(list(run))
        for number, way in enumerate(found):  # side by side in one layer: one above the other
            part = UPPER / len(found)
            paths.setdefault((way, part), []).append(_line(at, (number + 0.5) * part, count))
        at += count
    at = 0
    for kind, of_kind in groupby(kinds.get(layer.ffn) for layer in shown):
        count = len(list(of_kind))
        if kind is not None:
            paths.setdefault((kind, LOWER), []).append(_line(at, UPPER + GAP + LOWER / 2, count))
        at += count
    for (name, part), lines in paths.items():
        usual = part in (UPPER, LOWER)  # as in the style sheet
        own = {} if usual else {"style": f"stroke-width:{part:g}"}
        ET.SubElement(root, "path", {"class": f"strip-{name}", "d": "".join(lines), **own})
    return ET.tostring(root, encoding="unicode")


def used(spec: ModelSpec) -> list[str]:
    """The keys in `WORDS` of what a strip shows."""
    ways = {way for component in spec.variants("attention").values() for way in mixers(component)}
    kinds = {"moe" if routes(each, spec.d_model) else "dense" for each in spec.variants("ffn").values()}
    return [key for key in WORDS if key in ways | kinds]


def _line(at: int, y: float, count: int) -> str:
    """Equal layers as one line, as thick as they are high, with a little air at its right end."""
    return f"M{at * WIDTH} {y:g}h{count * WIDTH - 1}"


def style() -> str:
    """The colours: those of drawings."""
    light, dark = (THEMES[name].boxes for name in ("light", "dark"))
    roles = {**{name: (f"mix-{name}", 0) for name in MIXERS}, "dense": ("idle", 1), "moe": ("ffn", 1)}
    rules = [f".strip path{{fill:none;stroke-width:{UPPER}}}"]
    for name, (role, part) in roles.items():
        colour = f"light-dark({light[role][part]},{dark[role][part]})"
        rules.append(f".strip-{name}{{stroke:{colour};background:{colour}}}")
    rules.append(f".strip :is(.strip-dense,.strip-moe){{stroke-width:{LOWER}}}")
    return "\n".join(rules)
