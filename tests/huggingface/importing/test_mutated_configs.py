"""Configs with a key removed, changed or added: the parameters of transformers, or an error that names a key."""

from __future__ import annotations

import re
from copy import deepcopy
from typing import Any

from drawn import OPTIONS, configs
from hypothesis import given, settings
from hypothesis import strategies as st

import llmarch_cli as llmarch
from llmarch_cli.errors import InputError
from llmarch_cli.huggingface.importing import Imported, imported
from llmarch_cli.huggingface.importing.check import count
from llmarch_cli.huggingface.importing.families import FAMILIES
from llmarch_cli.specs.spec import ModelSpec

Settings = dict[str, Any]

VALUES: tuple[Any, ...] = (None, True, False, 0, 1, 2, 7, -1, 0.5, "silu", "x", [], {}, [1, 2], {"rope_type": "linear"})
FIELDS = (*ModelSpec.model_fields, "rope_type", "n_heads", "head_dim")  # which the checks of a spec name
KEYS = sorted({name for family in FAMILIES.values() for name in (*family.defaults, *family.without_effect)})


@st.composite
def mutated(draw: st.DrawFn) -> tuple[str, Settings]:
    """A family, and a small config of it with up to two mutations."""
    family = draw(st.sampled_from(sorted(OPTIONS)))
    config = draw(configs(family))
    for _ in range(draw(st.integers(1, 2))):
        match draw(st.sampled_from(("remove", "change", "add"))):
            case "remove" if config:
                del config[draw(st.sampled_from(sorted(config)))]
            case "change" if config:
                config[draw(st.sampled_from(sorted(config)))] = deepcopy(draw(st.sampled_from(VALUES)))
            case _:
                config[draw(st.sampled_from(KEYS))] = deepcopy(draw(st.sampled_from(VALUES)))
    return family, config


def read(config: Settings) -> tuple[Imported | None, str]:
    """A config as it is read, or None and why it is refused."""
    try:
        return imported(deepcopy(config)), ""
    except InputError as error:
        return None, str(error)


@settings(max_examples=150)
@given(mutated())
def test_they_are_read_exactly_or_refused_by_name(drawn: tuple[str, Settings]) -> None:
    family, config = drawn
    found, refusal = read({"model_type": family, **config})
    if found is None:
        known = {*config, *FAMILIES[family].defaults, *FAMILIES[family].aliases, *FIELDS}
        assert known & set(re.findall(r"\w+", refusal)), refusal
        return
    ours = llmarch.profile(found.spec, context=64, engine="closed-form").params
    try:
        theirs = count(found.model_type, found.config) - found.left_out
    except InputError:  # transformers refuses what is read here: a null head width, token numbers beyond the vocabulary
        return
    assert ours == theirs
