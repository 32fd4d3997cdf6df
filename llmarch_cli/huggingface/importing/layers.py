"""From what each layer is to an axis of a spec: one component, or named variants laid over the layers."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any, TypeVar

Fields = dict[str, Any]
Setting = TypeVar("Setting", bound=Hashable)

# Up to how many layers at the bottom and the top may fall out of the pattern, in models of so many layers.
REACH, FAR_REACH, FAR = 64, 4, 1000


def axis(settings: Sequence[Setting], component: Callable[[Setting], Fields]) -> Fields:
    """What `component` makes of each layer's setting, bottom to top, laid out as a person would write it."""
    built = {setting: component(setting) for setting in dict.fromkeys(settings)}
    distinct: list[Fields] = []
    for fields in built.values():
        if fields not in distinct:
            distinct.append(fields)
    if len(distinct) == 1:
        return distinct[0]
    names = _names(distinct)
    of_setting = {setting: names[distinct.index(fields)] for setting, fields in built.items()}
    return {
        **pattern([of_setting[setting] for setting in settings]),
        "variants": dict(zip(names, distinct, strict=True)),
    }


def pattern(names: list[str]) -> dict[str, list[str]]:
    """The shortest `first`, `repeat` and `last` that give these names, with nothing first or last where it is even."""
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
    """After how many names they begin again: all, less the longest start that is an end too (Knuth, Morris, Pratt)."""
    same = [0] * len(names)
    length = 0
    for i in range(1, len(names)):
        while length and names[i] != names[length]:
            length = same[length - 1]
        length += names[i] == names[length]
        same[i] = length
    return len(names) - same[-1]


def _names(components: list[Fields]) -> list[str]:
    """A name for each: by its kind where kinds differ, else by how far it sees and whether it sees positions."""
    if len({component["kind"] for component in components}) > 1 or components[0]["kind"] not in ("gqa", "mla"):
        names = [component["kind"] for component in components]
    else:
        narrow = any(component.get("window") for component in components)
        names = [_sight(component, narrow) for component in components]
    return [name if names.count(name) == 1 else f"{name}_{names[: i + 1].count(name)}" for i, name in enumerate(names)]


def _sight(component: Fields, beside_windows: bool) -> str:
    if component.get("window"):
        return "local"
    if component.get("chunk"):
        return "chunked"
    if beside_windows:
        return "global"
    return "rope" if component.get("rope_theta") else "nope"
