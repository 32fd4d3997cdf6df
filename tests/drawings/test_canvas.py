"""Files: the same bytes each time, text that is text, and errors before anything is drawn."""

import json
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from test_picture import drawn

import llmarch_cli as llmarch
from llmarch_cli.drawings.shapes import Text
from llmarch_cli.drawings.theme import THEMES, dark_instead
from llmarch_cli.errors import InputError

SVG = "{http://www.w3.org/2000/svg}"


@pytest.mark.parametrize("ending", ["svg", "png", "pdf"])
def test_the_same_model_gives_the_same_bytes(tmp_path: Path, ending: str) -> None:
    paths = [tmp_path / f"{name}.{ending}" for name in ("one", "two")]
    for path in paths:
        llmarch.draw(["deepseek-v3", "gpt2"], path)
    first, second = (path.read_bytes() for path in paths)
    assert first == second
    assert first.startswith({"svg": b"<?xml", "png": b"\x89PNG", "pdf": b"%PDF"}[ending])


def test_settings_of_the_user_change_nothing(tmp_path: Path) -> None:
    import matplotlib as mpl

    llmarch.draw(["gpt2"], tmp_path / "plain.svg")
    mine: dict[Any, Any] = {
        "svg.fonttype": "path",
        "font.size": 30,
        "savefig.bbox": "tight",
        "savefig.transparent": True,
    }
    with mpl.rc_context(mine):
        llmarch.draw(["gpt2"], tmp_path / "mine.svg")
        assert mpl.rcParams["font.size"] == 30
    assert (tmp_path / "mine.svg").read_bytes() == (tmp_path / "plain.svg").read_bytes()


def test_text_is_text_and_every_text_is_there(tmp_path: Path) -> None:
    llmarch.draw(["gpt-oss-120b"], tmp_path / "figure.svg")
    root = ET.parse(tmp_path / "figure.svg").getroot()
    written = sorted(element.text or "" for element in root.iter(f"{SVG}text"))
    assert written == sorted(text.text for text in drawn("gpt-oss-120b").of(Text))
    assert root.findtext(f"{SVG}title") == "gpt-oss-120b"
    assert not list(root.iter(f"{SVG}image"))


def test_names_are_escaped(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("extends: gpt2\nname: '<script>alert(1)</script> $x^2$ & 语'\n")
    llmarch.draw([path], tmp_path / "figure.svg")
    root = ET.parse(tmp_path / "figure.svg").getroot()
    assert not [element for element in root.iter() if "script" in str(element.tag)]
    assert any("$x^2$" in (element.text or "") for element in root.iter(f"{SVG}text"))
    for ending in ("png", "pdf"):
        llmarch.draw([path], tmp_path / f"figure.{ending}")


def test_a_picture_has_the_theme_s_background(tmp_path: Path) -> None:
    for name, theme in THEMES.items():
        llmarch.draw(["gpt2"], tmp_path / "figure.png", theme=name)
        with Image.open(tmp_path / "figure.png") as image:
            corner = image.convert("RGB").getpixel((0, 0))
            assert image.width > 1000
        assert isinstance(corner, tuple)
        assert "#" + "".join(f"{value:02x}" for value in corner) == theme.background


def test_a_drawing_is_dark_where_the_reader_prefers_it() -> None:
    light, dark = THEMES["light"], THEMES["dark"]
    instead = dark_instead()
    for role, pair in light.boxes.items():  # none stands for two
        assert [colour and instead[colour] for colour in pair] == list(dark.boxes[role])
    assert [instead[colour] for colour in light.texts.values()] == list(dark.texts.values())
    for theme, is_there in (("auto", True), ("light", False), ("dark", False)):
        text = llmarch.drawing(["gpt2"], theme=theme).decode()
        assert (f'[style*="fill: {light.background}"]{{fill:{dark.background}!important}}' in text) == is_there


@pytest.mark.parametrize("name", THEMES)
def test_letters_stand_out_from_what_is_behind_them(name: str) -> None:
    theme = THEMES[name]
    behind = {role: fill for role, (fill, _) in theme.boxes.items() if not role.startswith("mix-")}  # without text
    fills = [fill for fill in behind.values() if fill]
    pairs = [("text", fill) for fill in (*fills, theme.background, theme.mark)]
    pairs += [("muted", fill) for role, fill in behind.items() if fill and role not in ("chosen", "router")]
    pairs += [("tag", fill) for fill in theme.variants] + [("value", theme.boxes["tile"][0] or "")]
    assert [pair for pair in pairs if contrast(theme.texts[pair[0]], pair[1]) < 4.5] == []


def contrast(one: str, other: str) -> float:
    """WCAG 2.2's contrast ratio of two colours."""

    def luminance(colour: str) -> float:
        shares = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
        red, green, blue = (s / 12.92 if s <= 0.04045 else ((s + 0.055) / 1.055) ** 2.4 for s in shares)
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_every_role_has_its_colours() -> None:
    shapes = [shape for models in (("grok-2.5", "lfm2-1.2b"), ("gpt2", "gemma3-1b")) for shape in drawn(*models).shapes]
    roles = {(type(shape).__name__, shape.role) for shape in shapes if hasattr(shape, "role")}
    for theme in THEMES.values():
        known = {("Box", role) for role in theme.boxes}
        known |= {("Text", role) for role in theme.texts} | {("Line", role) for role in theme.lines}
        assert roles <= known


@pytest.mark.parametrize(
    ("path", "theme", "message"),
    [
        ("figure.jpg", "light", "figure.jpg: the file name must end in .svg, .png or .pdf"),
        ("figure", "light", "figure: the file name must end in .svg, .png or .pdf"),
        ("figure.sgv", "light", "did you mean svg"),
        ("figure.svg", "drak", "unknown theme 'drak'; known: auto, light, dark; did you mean dark"),
    ],
)
def test_what_cannot_be_drawn_is_refused_before_anything_is_read(path: str, theme: str, message: str) -> None:
    with pytest.raises(InputError, match=message.replace(".", r"\.")):
        llmarch.draw(["no-such-model"], path, theme=theme)


def test_no_model_is_no_picture(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no model given"):
        llmarch.draw([], tmp_path / "figure.svg")


def test_a_missing_library_is_an_error_that_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(InputError, match=r"^a drawing needs matplotlib, .* pip install '\.\[plot\]'\)$"):
        llmarch.draw(["gpt2"], tmp_path / "figure.svg")


def test_nothing_imports_torch_pandas_or_pyplot(tmp_path: Path) -> None:
    program = f"""
import json, sys
import llmarch_cli as llmarch
llmarch.draw(["deepseek-v3", "gpt2"], {str(tmp_path / "figure.svg")!r})
print(json.dumps(sorted(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert not {"torch", "pandas", "fvcore", "matplotlib.pyplot"} & set(json.loads(done.stdout))
