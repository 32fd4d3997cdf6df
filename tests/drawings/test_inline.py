"""Figures as elements of a page: every shape in its place and role, and what the page's script reads of them."""

import json
import re
from typing import Any
from xml.etree import ElementTree as ET

import pytest
import strategies
from hypothesis import given
from hypothesis import strategies as st
from test_picture import drawn, faults

import llmarch_cli as llmarch
from llmarch_cli.drawings import inline
from llmarch_cli.drawings.measure import text_width
from llmarch_cli.drawings.model import CALLOUTS
from llmarch_cli.drawings.picture import apart
from llmarch_cli.drawings.shapes import Adder, Box, Drawing, Line, Text
from llmarch_cli.drawings.theme import THEMES
from llmarch_cli.report.units import BYTES
from llmarch_cli.specs.spec import ModelSpec


def alone(*models: str | ModelSpec) -> list[Drawing]:
    return list(apart([llmarch.profile(model, engine="closed-form") for model in models], "this context"))


def element(drawing: Drawing) -> ET.Element:
    return ET.fromstring(inline.element(drawing, "said"))


def test_every_shape_is_there_and_stands_where_it_is_drawn() -> None:
    (drawing,) = alone("gpt2")
    root = element(drawing)
    assert root.get("viewBox") == f"0 0 416 {drawing.height:.2f}"
    boxes = [(box.x, drawing.height - box.y - box.height, box.width, box.height) for box in drawing.of(Box)]
    rects = [tuple(float(rect.get(name, 0)) for name in ("x", "y", "width", "height")) for rect in root.iter("rect")]
    assert len(boxes) == len(rects)
    for box, rect in zip(boxes, rects, strict=True):
        assert rect == pytest.approx(box, abs=0.006)
    assert [text.text for text in root.iter("text")] == [text.text for text in drawing.of(Text)]
    assert len(list(root.iter("circle"))) == len(list(drawing.of(Adder)))
    n_lines = len(list(drawing.of(Line))) + sum(line.arrow for line in drawing.of(Line)) + len(list(drawing.of(Adder)))
    assert len(list(root.iter("path"))) == n_lines


@pytest.mark.parametrize("model", ["grok-2.5", "deepseek-v3", "gpt2", "llama4-maverick"])
def test_every_class_has_a_rule_with_the_colours_of_both_themes(model: str) -> None:
    (drawing,) = alone(model)
    rules = dict(re.findall(r"^\.architecture \.([\w-]+)\{(.*)\}$", inline.style(), re.MULTILINE))
    classes = {name for each in element(drawing).iter() if each.tag != "svg" for name in each.get("class", "").split()}
    assert classes <= rules.keys()
    light, dark = THEMES["light"], THEMES["dark"]
    for role, pair in light.boxes.items():
        fill, stroke = (f"light-dark({a},{b})" if a else "none" for a, b in zip(pair, dark.boxes[role], strict=True))
        assert rules[f"box-{role}"] == f"fill:{fill};stroke:{stroke}"


def test_a_style_for_the_page_takes_each_theme_to_fill_the_same_boxes() -> None:
    """A role that one theme fills and the other does not would be lost in both."""
    light, dark = THEMES["light"], THEMES["dark"]
    assert light.boxes.keys() == dark.boxes.keys()
    for role, pair in light.boxes.items():
        assert [colour is None for colour in pair] == [colour is None for colour in dark.boxes[role]]


def test_what_is_compared_is_what_draw_compares() -> None:
    for model, root in zip(("deepseek-v3", "kimi-k2"), map(element, alone("deepseek-v3", "kimi-k2")), strict=True):
        read = {(t.get("data-topic"), t.get("data-whole", t.text)) for t in root.iter("text") if t.get("data-topic")}
        assert read == {(text.topic, text.whole) for text in drawn(model).of(Text) if text.topic}


def test_callouts_name_their_metrics_and_no_context_of_their_own() -> None:
    (drawing,) = alone("gemma3-27b")
    assert [t.get("data-metric") for t in element(drawing).iter("text") if t.get("data-metric")] == list(CALLOUTS)
    assert "KV cache at this context" in {text.text for text in drawing.of(Text)}
    assert not [text for text in drawing.of(Text) if "at 128k" in text.text]


def test_the_widest_figure_of_any_context_has_room() -> None:
    (drawing,) = alone("gpt2")
    tiles = {box.name: box for box in drawing.of(Box) if box.role == "tile"}
    widest = BYTES.write(1023 * 1024**4)
    assert widest == "1,023.00 TiB"
    for key in ("kv_cache_bytes", "kv_bytes_per_token"):
        assert text_width(widest, 11.5, bold=True) < tiles[key].width


def test_all_have_their_layers_at_one_height() -> None:
    models = ("gpt2", "llama3-8b", "deepseek-v3")
    drawings = alone(*models)
    strips = [[box for box in drawing.of(Box) if box.role == "layer"] for drawing in drawings]
    assert [len(strip) for strip in strips] == [llmarch.load(model).n_layers for model in models]
    assert len({round(min(box.y for box in strip), 6) for strip in strips}) == 1
    for drawing, strip in zip(drawings, strips, strict=True):
        assert drawing.strip is not None
        low, second = sorted(box.y for box in strip)[:2]
        assert (drawing.strip.bottom, drawing.strip.layer) == pytest.approx((low, second - low))
        assert drawing.strip.n_layers == len(strip)


def test_what_the_page_moves_is_in_groups() -> None:
    (drawing,) = alone("gemma3-27b")
    groups = {group.get("data-part"): list(group) for group in element(drawing).iter("g")}
    assert groups.keys() == {"strip", "strip-count", "strip-hint", "strip-out", "above"}
    assert len(groups["strip"]) == 62 + 21  # layers, and the marks of equal neighbours
    assert [path.tag for part in ("strip-hint", "strip-out") for path in groups[part]] == ["path"] * 2


@given(st.lists(strategies.specs(), min_size=1, max_size=2))
def test_nothing_overlaps_whatever_the_spec(specs: list[ModelSpec]) -> None:
    for drawing in alone(*specs):
        assert faults(Drawing(drawing.width + 1, drawing.height + 1, "", drawing.shapes)) == []


@given(st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")), min_size=1, max_size=40))
def test_any_text_stays_text(name: str) -> None:
    drawing = Drawing(10, 10, name, (Text(1, 1, 5, name, 8, "text", topic=name, whole=name + name),))
    root = ET.fromstring(inline.element(drawing, name))
    (text,) = root
    assert (text.text, text.get("data-topic"), text.get("data-whole")) == (name, name, name + name)
    assert root.get("aria-label") == name


def test_the_data_of_a_drawing_is_the_element() -> None:
    def made(of: list[Any]) -> ET.Element:
        tag, attributes, text, *inside = of
        element = ET.Element(tag, attributes)
        element.text = text or None
        element.extend(map(made, inside))
        return element

    for drawing in alone("gpt2", "deepseek-v3"):
        listed = json.loads(json.dumps(inline.tree(drawing, "said")))
        assert ET.tostring(made(listed), encoding="unicode") == inline.element(drawing, "said")
