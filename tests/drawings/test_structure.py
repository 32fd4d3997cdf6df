"""The structure of each sort of picture, box by box, as somebody looked at it and found it right.

After a change that is meant: `python tests/drawings/test_structure.py` writes the files anew; read what changed.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

import llmarch_cli as llmarch
from llmarch_cli.drawings.picture import picture
from llmarch_cli.drawings.shapes import Adder, Box, Drawing, Text

GOLDEN = Path(__file__).parent / "golden"

# One of each structure.
PICTURES = (
    *("gpt2", "llama3-8b", "mistral-small-3.1-24b", "olmo2-7b", "gemma3-27b", "smollm3-3b"),
    *("qwen3-235b-a22b", "gpt-oss-120b", "deepseek-v3", "kimi-k2", "glm-4.5", "grok-2.5"),
    *("llama4-scout", "llama4-maverick", "deepseek-v3 kimi-k2", "deepseek-v4-flash", "qwen3.5-27b"),
)


def outline(drawing: Drawing) -> str:
    """Boxes with what stands in them, from the top left; layers in the strip as one line."""
    things = [shape for shape in drawing.shapes if isinstance(shape, Box | Text | Adder)]
    boxes = [shape for shape in things if isinstance(shape, Box)]

    def place(shape: Box | Text | Adder) -> tuple[float, float]:
        return (-round(shape.bounds.top, 3), round(shape.bounds.left, 3))

    def parent(shape: Box | Text | Adder) -> Box | None:
        around = [box for box in boxes if box is not shape and shape.bounds.inside(box.bounds)]
        return min(around, key=lambda box: box.width * box.height, default=None)

    parents = {id(shape): parent(shape) for shape in things}

    def lines(inside: Box | None, depth: int) -> Iterator[str]:
        for shape in sorted((s for s in things if parents[id(s)] is inside), key=place):
            match shape:
                case Text():
                    yield f"{'  ' * depth}{shape.text}{'  (marked)' if shape.marked else ''}"
                case Adder():
                    yield f"{'  ' * depth}(+)"
                case Box(role="layer"):
                    pass
                case Box():
                    yield f"{'  ' * depth}[{shape.name}]"
                    yield from lines(shape, depth + 1)

    strip = "".join(str(box.colour) for box in sorted(boxes, key=lambda box: (box.x, box.y)) if box.role == "layer")
    return "\n".join([*lines(None, 0), f"strip: {strip}", ""])


def drawn(models: Sequence[str]) -> Drawing:
    return picture([llmarch.profile(model, engine="closed-form") for model in models])


def golden(models: str) -> Path:
    return GOLDEN / f"{models.replace(' ', '+')}.txt"


@pytest.mark.parametrize("models", PICTURES)
def test_structure(models: str) -> None:
    assert outline(drawn(models.split())) == golden(models).read_text(), "see this file's head"


if __name__ == "__main__":
    GOLDEN.mkdir(exist_ok=True)
    for models in PICTURES:
        golden(models).write_text(outline(drawn(models.split())))
