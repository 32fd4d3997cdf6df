"""The specs whose logits are held to transformers' are what importing the same configs gives."""

from __future__ import annotations

import json
from typing import Any

import pytest
from families import FAMILIES as HELD
from pairs import CASES, Case
from test_published import FACTS

from llmarch_cli.components.component import Component
from llmarch_cli.huggingface.importing import import_config
from llmarch_cli.huggingface.importing.families import FAMILIES
from llmarch_cli.specs.spec import NONE, ModelSpec

# What those configs carry for other families, and what is an error here.
STRAY = {
    "glm4_moe": ("q_lora_rank", "kv_lora_rank", "qk_nope_head_dim", "qk_rope_head_dim", "v_head_dim"),
    "olmo": ("rms_norm_eps",),
}


def test_every_family_of_theirs_is_among_ours() -> None:
    assert set(HELD) <= set(FAMILIES)


def by_layer(spec: ModelSpec) -> dict[str, Any]:
    """All but facts and what transformers does not build, with each layer's components."""
    left_out = {*FACTS, "context_length", "n_mtp_blocks"}
    found = {name: getattr(spec, name) for name in spec.field_defaults if name not in left_out}
    for axis in ("attention", "ffn"):
        variants: dict[str, Component | None] = {
            name: plainly(component) for name, component in spec.variants(axis).items()
        }
        variants[NONE] = None
        found[axis] = [variants[getattr(layer, axis)] for layer in spec.layers]
    found["norm_placement"] = [spec.placement(layer.attention) for layer in spec.layers]
    return found


def plainly(component: Component) -> Component:
    """Without what repeats a head's width."""
    changes: dict[str, Any] = {}
    if (width := getattr(component, "head_dim", None)) is not None:
        if getattr(component, "score_scale", None) == width**-0.5:
            changes["score_scale"] = None
        if getattr(component, "rotary_dim", None) == width:
            changes["rotary_dim"] = None
    return component.model_copy(update=changes)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_same_spec(case: Case) -> None:
    config = json.loads(case.config().to_json_string(use_diff=False))
    for name in STRAY.get(case.family, ()):
        config.pop(name)
    assert by_layer(import_config(config)) == by_layer(case.spec())
