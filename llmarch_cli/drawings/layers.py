"""The distinct layers of a model: their names, where they stand, and which of them shows a sublayer in full."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from llmarch_cli.specs.pairs import AXES
from llmarch_cli.specs.spec import NONE, LayerVariants, Layout, ModelSpec

Kinds = dict[LayerVariants, list[int]]


def kinds(layers: Sequence[LayerVariants]) -> Kinds:
    """The numbers of the layers that are equal, by distinct layer, in the order of their first ones."""
    found: Kinds = {}
    for i, layer in enumerate(layers):
        found.setdefault(layer, []).append(i)
    return found


def named(spec: ModelSpec, layer: LayerVariants) -> str:
    """The names of the variants in `layer`, as in tables."""
    names = [
        f"no {axis}" if name == NONE else name
        for axis, name in (("attention", layer.attention), ("ffn", layer.ffn))
        if isinstance(getattr(spec, axis), Layout)
    ]
    return " + ".join(names) or "layer"


def where_of(numbers: Sequence[int]) -> str:
    """`layers 3-60`, `layers 0, 2, 4 ... 46`."""
    runs = [[i for _, i in run] for _, run in groupby(enumerate(numbers), key=lambda pair: pair[1] - pair[0])]
    words = [f"{run[0]}-{run[-1]}" if len(run) > 1 else f"{run[0]}" for run in runs]
    shown = ", ".join(words) if len(words) <= 4 else f"{', '.join(words[:3])} ... {words[-1]}"
    return f"layer{'s' if len(numbers) > 1 else ''} {shown}"


def elsewhere(all_kinds: Kinds, layer: LayerVariants) -> dict[str, LayerVariants]:
    """The sublayers of `layer` that another distinct layer shows in full, by axis, with that layer.

    A sublayer is shown once: in the most frequent of the layers that have it, the first of equally frequent ones.
    """
    found: dict[str, LayerVariants] = {}
    for axis in AXES:
        having = [each for each in all_kinds if getattr(each, axis) == getattr(layer, axis) != NONE]
        if having and (shown := max(having, key=lambda each: len(all_kinds[each]))) != layer:
            found[axis] = shown
    return found
