import re
import sys
from dataclasses import replace
from xml.etree import ElementTree as ET

import pytest
from plots import plot

import llmarch_cli as llmarch
from llmarch_cli.api import profiles
from llmarch_cli.errors import InputError
from llmarch_cli.report.plots import data, file, library, terminal
from llmarch_cli.report.plots.data import KINDS, Curves, Kind, Scatter
from llmarch_cli.specs.loading import validated

MODELS = ["gemma3-27b", "deepseek-v3", "mistral-7b-v0.1"]
SVG = "{http://www.w3.org/2000/svg}"


def texts(svg: bytes) -> list[str]:
    return ["".join(element.itertext()) for element in ET.fromstring(svg).iter(f"{SVG}text")]


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_names_every_model_in_text_and_is_the_same_each_time(kind: Kind) -> None:
    drawn = plot(kind, MODELS)
    svg = file.render(drawn, "svg")
    assert {drawn.title, *MODELS} <= set(texts(svg))
    assert svg == file.render(drawn, "svg")
    assert re.search(rb"20\d\d-\d\d-\d\d|<dc:date>", svg) is None


@pytest.mark.parametrize(("ending", "opening"), [("png", b"\x89PNG"), ("pdf", b"%PDF-1.4")])
def test_other_files(ending: str, opening: bytes) -> None:
    drawn = plot("cache", MODELS)
    made = file.render(drawn, ending)
    assert made.startswith(opening)
    assert made == file.render(drawn, ending)
    assert b"CreationDate" not in made


def test_lines_are_named_and_dotted_beyond_the_context_window() -> None:
    ids = {element.get("id") for element in ET.fromstring(file.render(plot("cache", MODELS), "svg")).iter()}
    for number in range(3):
        assert {f"curve-{number}-{part}" for part in ("within", "beyond")} <= ids


def test_a_state_is_a_level_line_under_its_curve() -> None:
    drawn = plot("cache", ["qwen3-next-80b-a3b", "llama3.1-8b"])
    ids = {element.get("id") for element in ET.fromstring(file.render(drawn, "svg")).iter()}
    assert "floor-0" in ids
    assert "floor-1" not in ids
    level = max(terminal.render(drawn, 90, ascii_only=True).splitlines(), key=lambda line: line.count("."))
    assert level.count(".") > 20
    assert not any(".." in line for line in terminal.render(plot("cache", MODELS), 90).splitlines())


HOSTILE = ["$x^2$", "$\\frac{", "<script>alert(1)</script>", "a & b", 'quote" onload="', "语"]


@pytest.mark.parametrize("kind", KINDS)
def test_names_are_text_whatever_they_hold_and_all_models_fit(kind: Kind) -> None:
    fields = llmarch.load("gpt2").model_dump(exclude_defaults=True)
    specs = [validated({**fields, "name": name}, "here") for name in HOSTILE]
    svg = file.render(plot(kind, [*specs, *llmarch.names()]), "svg")
    said = {*texts(svg), *(title.text for title in ET.fromstring(svg).iter(f"{SVG}title"))}
    assert {*HOSTILE, *llmarch.names()} <= {str(text).partition(" (")[0] for text in said}
    assert not list(ET.fromstring(svg).iter(f"{SVG}script"))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("ascii_only", [False, True])
def test_a_terminal_s_plot_names_every_model_and_fits(kind: Kind, ascii_only: bool) -> None:
    drawn = plot(kind, MODELS)
    text = terminal.render(drawn, 90, ascii_only=ascii_only)
    assert "\x1b" not in text
    assert max(map(len, text.splitlines())) <= 90
    assert all(name in text for name in (drawn.title, *MODELS))
    assert text.isascii() or not ascii_only
    assert text == terminal.render(drawn, 90, ascii_only=ascii_only)


@pytest.mark.parametrize("kind", ["cache", "flops"])
def test_a_terminal_s_legend_covers_no_curve(kind: Kind) -> None:
    *_, frame = terminal.render(plot(kind, MODELS), 90).partition("\n\n")
    canvas, legend, _ = frame.split("\n\n")
    assert canvas.count("┌") == 1
    assert legend.split() == [word for pair in zip("abcdefgh", MODELS, strict=False) for word in pair]


def test_a_legend_takes_the_lines_that_it_needs() -> None:
    lines = terminal.render(plot("params", MODELS), 60).splitlines()
    assert max(map(len, lines)) <= 60
    assert {"embeddings", "attention", "feed-forward", "norms", "head"} <= set(" ".join(lines).split())


def test_a_terminal_with_colours_has_them() -> None:
    assert "\x1b[" in terminal.render(plot("cache", MODELS), 90, color=True)


def test_bars_are_as_long_as_one_another() -> None:
    lines = terminal.render(plot("params"), 100).splitlines()[2 : 2 + len(llmarch.names())]
    assert len({len(line.rstrip()) for line in lines}) == 1


def test_too_many_curves_for_a_terminal_are_said() -> None:
    drawn = plot("cache")
    assert isinstance(drawn, Curves)
    with pytest.raises(
        InputError, match=f"at most 8 curves, not {len(llmarch.names())}: name fewer models, or draw to a file"
    ):
        terminal.render(replace(drawn, in_front=None), 90)


@pytest.mark.parametrize("kind", ["cache", "flops"])
def test_of_many_curves_eight_are_in_colour_and_named(kind: Kind) -> None:
    drawn = plot(kind)
    assert isinstance(drawn, Curves)
    assert len(drawn.front) == 8
    assert len({drawn.curves[number].group for number in drawn.front}) == 8
    root = ET.fromstring(file.render(drawn, "svg"))
    groups = {group.get("id"): group for group in root.iter(f"{SVG}g")}
    named = {number for number in range(len(drawn.curves)) if f"label-{number}" in groups}
    assert named == set(drawn.front)
    for number in range(len(drawn.curves)):
        group = groups[f"curve-{number}-within"]
        assert group.findtext(f"{SVG}title") == drawn.name(number)
        (path,) = group.iter(f"{SVG}path")
        assert (file.GREY in str(path.get("style"))) == (number not in named)
    text = terminal.render(drawn, 120)
    assert [name for name in llmarch.names() if f" {name} (" in text] == sorted(
        drawn.curves[number].model for number in named
    )


def test_of_many_points_eight_are_named() -> None:
    drawn = plot("active")
    assert isinstance(drawn, Scatter)
    root = ET.fromstring(file.render(drawn, "svg"))
    groups = {group.get("id"): group for group in root.iter(f"{SVG}g")}
    assert {number for number in range(len(drawn.points)) if f"label-{number}" in groups} == set(drawn.front)
    assert len(drawn.front) == 8
    for number, (name, _, _) in enumerate(drawn.points):
        assert groups[f"point-{number}"].findtext(f"{SVG}title") == name
    few = plot("active", MODELS)
    assert isinstance(few, Scatter)
    assert (few.front, few.choice) == ((0, 1, 2), "")


def test_the_curves_that_are_asked_for_are_in_colour() -> None:
    drawn = data.plot("cache", profiles(llmarch.names()[:5], engine="closed-form"), [llmarch.names()[3]])
    assert isinstance(drawn, Curves)
    assert (drawn.front, drawn.choice) == ((3,), "1 of 5 models, as asked")
    found = profiles(llmarch.names()[:10], engine="closed-form")
    with pytest.raises(InputError, match="unknown highlighted model 'gpt3'"):
        data.plot("cache", found, ["gpt3"])
    with pytest.raises(InputError, match="at most 8 models, not 9"):
        data.plot("cache", found, llmarch.names()[:9])


@pytest.mark.parametrize("name", ["plot", "plot.gif", "svg", ""])
def test_a_file_that_cannot_be_drawn_is_said(name: str) -> None:
    with pytest.raises(InputError, match=r"must end in \.svg, \.png or \.pdf"):
        library.checked_ending(name)


def test_without_the_libraries_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    monkeypatch.setitem(sys.modules, "plotext", None)
    with pytest.raises(InputError, match=r"needs matplotlib, which is not installed: .* pip install '\.\[plot\]'\)$"):
        file.render(plot("cache", MODELS), "svg")
    with pytest.raises(InputError, match=r"needs plotext, which is not installed: .* pip install '\.\[plot\]'\)$"):
        terminal.render(plot("cache", MODELS), 90)
