"""The colours of drawings, by role. To add a theme: an entry below."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from llmarch_cli.errors import InputError, unknown


@dataclass(frozen=True)
class Theme:
    """Colours as #rrggbb.

    Attributes:
        mark: the background of highlighted texts; no box has this colour.
        mark_edge: of the bar below them, which is also seen in print without colours.
        texts: of texts, by role.
        boxes: fill and outline of boxes, by role; None is transparent.
        lines: of lines, by role.
        variants: of layer variants, in the order of their first layers.
    """

    background: str
    mark: str
    mark_edge: str
    texts: dict[str, str]
    boxes: dict[str, tuple[str | None, str | None]]
    lines: dict[str, str]
    variants: tuple[str, ...]


THEMES = {
    "light": Theme(
        background="#ffffff",
        mark="#ffd9ef",
        mark_edge="#c2187a",
        texts={"text": "#1b1f24", "muted": "#57606a", "tag": "#ffffff", "value": "#0b3d91"},
        boxes={
            "frame": ("#fbfcfd", "#57606a"),
            "attention": ("#dbe9fb", "#3b74c4"),
            "ffn": ("#dcf2e0", "#3c8c52"),
            "inner": ("#f1faf3", "#3c8c52"),
            "inner-attention": ("#f0f6fe", "#3b74c4"),
            "chosen": ("#7cc48f", "#2f7142"),
            "idle": ("#ffffff", "#9ab5a1"),
            "router": ("#f9dfc8", "#b9712d"),
            "norm": ("#fdf3cf", "#a98c1c"),
            "chip": ("#ffffff", "#8c959f"),
            "step": ("#ffffff", "#57606a"),
            "function": (None, "#57606a"),
            "kept": ("#cbe0fb", "#1d5fb3"),
            "end": ("#ebe4f7", "#7a5bb0"),
            "mtp": (None, "#7a5bb0"),
            "mix-attention": ("#1b1f24", None),
            "mix-window": ("#8c959f", None),
            "mix-recurrence": ("#e0a100", None),
            "mix-convolution": ("#f0d692", None),
            "tile": ("#f3f5f8", None),
            "layer": (None, None),
            "tag": (None, None),
        },
        lines={"line": "#39424e", "hint": "#afb8c1"},
        variants=(
            "#2f6db5",
            "#b85416",
            "#2d8659",
            "#a83f7f",
            "#6d55b5",
            "#8a6d1a",
            "#1f8291",
            "#b23b3b",
            "#5d6b78",
        ),
    ),
    "dark": Theme(
        background="#0e131a",
        mark="#4f1a3f",
        mark_edge="#ff7ac8",
        texts={"text": "#e8edf3", "muted": "#a3adb8", "tag": "#0e131a", "value": "#9cc4ff"},
        boxes={
            "frame": ("#141b24", "#a3adb8"),
            "attention": ("#18304f", "#5b95dd"),
            "ffn": ("#153824", "#58ad72"),
            "inner": ("#10291a", "#58ad72"),
            "inner-attention": ("#12233a", "#5b95dd"),
            "chosen": ("#276a3d", "#7fd197"),
            "idle": ("#0e131a", "#4d6b57"),
            "router": ("#4a2f17", "#d7914e"),
            "norm": ("#3d3410", "#cdb043"),
            "chip": ("#0e131a", "#77828e"),
            "step": ("#0e131a", "#a3adb8"),
            "function": (None, "#a3adb8"),
            "kept": ("#1b3f6e", "#8abaf5"),
            "end": ("#2e2447", "#a388d8"),
            "mtp": (None, "#a388d8"),
            "mix-attention": ("#e8edf3", None),
            "mix-window": ("#77828e", None),
            "mix-recurrence": ("#f2b91d", None),
            "mix-convolution": ("#8a6f26", None),
            "tile": ("#1a222d", None),
            "layer": (None, None),
            "tag": (None, None),
        },
        lines={"line": "#c3ccd6", "hint": "#4a5561"},
        variants=(
            "#6ea8ec",
            "#f0985e",
            "#62c390",
            "#e081ba",
            "#a995ee",
            "#cfb04d",
            "#55bccb",
            "#ec7d7d",
            "#9aa7b4",
        ),
    ),
}


AUTO = "auto"  # light, and in an SVG file dark where the reader prefers dark pages
NAMES = (AUTO, *THEMES)


def theme(name: str) -> Theme:
    """The theme called `name`. Raises InputError for an unknown one."""
    if name not in NAMES:
        raise InputError(unknown("theme", name, NAMES))
    return THEMES["light" if name == AUTO else name]


def dark_instead() -> dict[str, str]:
    """The colours of the dark theme by those of the light one, of which none stands for two."""
    light, dark = THEMES["light"], THEMES["dark"]
    return dict(zip(_colours(light), _colours(dark), strict=True))


def _colours(one: Theme) -> Iterator[str]:
    yield from (one.background, one.mark, one.mark_edge, *one.texts.values(), *one.lines.values(), *one.variants)
    yield from (colour for both in one.boxes.values() for colour in both if colour is not None)
