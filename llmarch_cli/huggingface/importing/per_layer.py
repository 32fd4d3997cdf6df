"""Configs whose layers differ by overrides or by lists, for families that do not read these themselves.

`per_layer_config` overrides keys in some layers (transformers' heterogeneous configs). `layer_head_num` and
`layer_inter_size` are lists over all layers, of pruned models that rtp-llm serves.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from llmarch_cli.errors import shown
from llmarch_cli.huggingface.importing.families import Family
from llmarch_cli.huggingface.importing.keys import Config, above_zero
from llmarch_cli.huggingface.importing.layers import Fields, axis

OVERRIDES, HEADS, WIDTHS, N_LAYERS = "per_layer_config", "layer_head_num", "layer_inter_size", "layer_num"
AXES = ("attention", "ffn")


def fields(family: Family, c: Config) -> Fields:
    """The fields of a spec by the family's table, with the settings of each layer.

    Raises InputError as the family does, and for settings that its layers cannot have.
    """
    found = family.fields(c)
    n_layers = found["n_layers"]
    if c.given(OVERRIDES) and OVERRIDES not in c.read:
        found = _overlaid(family, c, found, _overrides(c, n_layers))
    for key, change in ((HEADS, _with_heads), (WIDTHS, _with_width)):
        if not c.given(key):
            continue
        c.expect(N_LAYERS, n_layers, why="as num_hidden_layers")
        values = c.items(key, above_zero, "a whole number above 0", n_layers)
        on = "attention" if key == HEADS else "ffn"
        components = [change(c, key, at(found[on], i, n_layers), value) for i, value in enumerate(values)]
        found = {**found, on: axis(range(n_layers), components.__getitem__)}
    return found


def _overrides(c: Config, n_layers: int) -> dict[int, Mapping[str, Any]]:
    """The overrides by layer."""
    inner = c.inner(OVERRIDES)
    found: dict[int, Mapping[str, Any]] = {}
    for name, override in inner.data.items():
        if not re.fullmatch("[0-9]{1,6}", name) or int(name) >= n_layers:
            inner.fail(name, f"must be the number of a layer, from 0 to {n_layers - 1}")
        if not isinstance(override, Mapping):
            inner.fail(name, f"must be a mapping, not {shown(override)}")
        if override.get("skip"):
            inner.fail(name, "skip leaves out parts of a layer by names that each class of transformers defines")
        if int(name) in found:
            inner.fail(name, "given twice")
        found[int(name)] = {key: value for key, value in override.items() if key != "skip"}
    return found


def _overlaid(family: Family, c: Config, base: Fields, overrides: Mapping[int, Mapping[str, Any]]) -> Fields:
    """Read the family for each override too, and take each layer from its own reading."""
    n_layers = base["n_layers"]
    readings: dict[str, Fields] = {}
    of_layer: dict[int, Fields] = {}
    for layer, override in overrides.items():
        key = repr(sorted(override.items(), key=lambda item: item[0]))
        if key not in readings:
            inner = Config({**c.data, **override}, c.origin, c.defaults, c.aliases, c.path, c.reading, c.is_guess)
            readings[key] = family.fields(inner)
            if unread := [name for name in override if name not in inner.read]:
                c.fail(OVERRIDES, f"{unread[0]} of layer {layer}: the family does not read it")
            if other := [name for name in base if name not in AXES and base[name] != readings[key].get(name)]:
                c.fail(OVERRIDES, f"layer {layer} would change {other[0]}, which all layers share")
        of_layer[layer] = readings[key]
    laid = {}
    for on in AXES:
        components = [at(of_layer.get(i, base)[on], i, n_layers) for i in range(n_layers)]
        laid[on] = axis(range(n_layers), components.__getitem__)
    return {**base, **laid}


def at(laid: Fields, layer: int, n_layers: int) -> Fields | None:
    """The component of an axis in one layer; None if the layer has none."""
    if "variants" not in laid:
        return laid
    first, repeat, last = (laid.get(part, []) for part in ("first", "repeat", "last"))
    if layer < len(first):
        name = first[layer]
    elif layer >= n_layers - len(last):
        name = last[layer - (n_layers - len(last))]
    else:
        name = repeat[(layer - len(first)) % len(repeat)]
    component: Fields | None = laid["variants"].get(name)
    return component


def _with_heads(c: Config, key: str, component: Fields | None, n_heads: int) -> Fields:
    if component is None or component["kind"] != "gqa" or component["n_kv_heads"] != component["n_heads"]:
        c.fail(key, "must be beside attention with a key head for each query head")
    return {**component, "n_heads": n_heads, "n_kv_heads": n_heads}


def _with_width(c: Config, key: str, component: Fields | None, width: int) -> Fields:
    if component is None or component["kind"] != "dense":
        c.fail(key, "must be beside dense feed-forward layers")
    return {**component, "d_ff": width}
