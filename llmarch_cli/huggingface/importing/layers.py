"""Convert per-layer settings into an axis of a spec: one component, or named variants with a layer pattern."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any, TypeVar

from llmarch_cli.specs.spec import NONE

Fields = dict[str, Any]
Setting = TypeVar("Setting", bound=Hashable)

# The most layers outside the repeated part: REACH in models of up to FAR layers, else FAR_REACH.
REACH, FAR_REACH, FAR = 64, 4, 1000


def axis(settings: Sequence[Setting], component: Callable[[Setting], Fields | None]) -> Fields:
    """Build the component of each layer's setting, bottom to top, and lay them out in the shortest pattern.

    `component` gives None for layers without this sublayer.
    """
    built = {setting: component(setting) for setting in dict.fromkeys(settings)}
    distinct: list[Fields] = []
    for fields in built.values():
        if fields is not None and fields not in distinct:
            distinct.append(fields)
    if not distinct:
        return {"repeat": [NONE]}
    if len(distinct) == 1 and None not in built.values():
        return distinct[0]
    names = _names(distinct)
    of_setting = {
        setting: NONE if fields is None else names[distinct.index(fields)] for setting, fields in built.items()
    }
    return {
        **pattern([of_setting[setting] for setting in settings]),
        "variants": dict(zip(names, distinct, strict=True)),
    }


def pattern(names: list[str]) -> dict[str, list[str]]:
    """Find the shortest `first`, `repeat` and `last` that give these names, preferring no `first` and no `last`."""
    n_layers = len(names)
    best, found = n_layers, {"repeat": names}
    for outside in range(REACH if n_layers <= FAR else FAR_REACH):
        if outside + 1 >= best:
            break
        for n_first in range(outside, -1, -1):
            n_last = outside - n_first
            middle = names[n_first : n_layers - n_last]
            period = _period(middle)
            if outside + period < best:
                best = outside + period
                found = {"first": names[:n_first], "repeat": middle[:period], "last": names[n_layers - n_last :]}
    return {part: listed for part, listed in found.items() if listed}


def _period(names: list[str]) -> int:
    """The period of the names: their number less the longest prefix that is also a suffix (Knuth, Morris, Pratt)."""
    same = [0] * len(names)
    length = 0
    for i in range(1, len(names)):
        while length and names[i] != names[length]:
            length = same[length - 1]
        length += names[i] == names[length]
        same[i] = length
    return len(names) - same[-1]


def _names(components: list[Fields]) -> list[str]:
    """Name each component by its kind if kinds differ, else by its window and its positions."""
    if len({component["kind"] for component in components}) > 1 or components[0]["kind"] not in ("gqa", "mla"):
        names = [component["kind"] for component in components]
    else:
        narrow = any(component.get("window") for component in components)
        names = [_span(component, narrow) for component in components]
    return [name if names.count(name) == 1 else f"{name}_{names[: i + 1].count(name)}" for i, name in enumerate(names)]


def _span(component: Fields, beside_windows: bool) -> str:
    if component.get("window"):
        return "local"
    if component.get("chunk"):
        return "chunked"
    if beside_windows:
        return "global"
    return "rope" if component.get("rope_theta") else "nope"
