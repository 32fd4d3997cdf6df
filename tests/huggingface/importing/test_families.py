"""Every family: as many parameters as transformers builds, by both engines, for its defaults and for drawn configs."""

from __future__ import annotations

import json
from copy import deepcopy
from importlib import import_module
from typing import Any

import pytest
import torch
from drawn import NEEDED, OPTIONS, configs
from hypothesis import given, settings
from hypothesis import strategies as st
from pairs import N_TOKENS, TOLERANCE, deviation, reference
from transformers import AutoConfig
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES
from weights import carry, names_of, randomize

import llmarch_cli as llmarch
from llmarch_cli.huggingface.importing import import_config, imported
from llmarch_cli.huggingface.importing.check import SAME_AS, count
from llmarch_cli.huggingface.importing.families import FAMILIES, MODULES, MULTIMODAL
from llmarch_cli.modules.builder import build

# Text decoders whose multimodal class needs more than a text config; `test_wrappers.py` builds it.
INSIDE = {"emu3_text_model", "granite4_vision_text", "granite_docling_text"}
REFERENCED = sorted({name for name, family in FAMILIES.items() if not family.remote} - set(SAME_AS) - INSIDE)


def test_the_index_of_modules_names_their_families() -> None:
    for module, named in MODULES.items():
        families = import_module(f"llmarch_cli.huggingface.importing.families.{module}").FAMILIES
        assert [family.model_type for family in families] == named.split()


def test_every_family_is_drawn() -> None:
    assert sorted(set(OPTIONS) - INSIDE) == REFERENCED


@pytest.mark.parametrize("family", REFERENCED)
def test_absent_keys_mean_what_the_reference_implementation_takes_them_for(family: str) -> None:
    cls: Any = type(AutoConfig.for_model(family, **NEEDED.get(family, {})))
    fields: dict[str, Any] = cls.__dataclass_fields__
    aliases = {ours: alias for alias, ours in FAMILIES[family].aliases.items()}
    for name, default in FAMILIES[family].defaults.items():
        theirs = name if name in fields else aliases.get(name, name)
        if theirs in fields and not (name == "rope_parameters" and default):
            assert fields[theirs].default == default, name
        elif name == "rope_theta":
            known = cls.default_theta
            assert default == (known["global"] if isinstance(known, dict) else known)


@pytest.mark.parametrize("family", REFERENCED)
def test_the_class_s_own_config(family: str) -> None:
    """Saved whole, saved as it differs from the defaults, and not saved at all."""
    needed = NEEDED.get(family, {})
    config = AutoConfig.for_model(family, **needed)
    theirs = count(family, needed)
    saved = (config.to_json_string(use_diff=False), config.to_json_string())
    for form in (*map(json.loads, saved), {"model_type": family, **needed}):
        found = imported(form)
        assert llmarch.profile(found.spec, context=100, engine="closed-form").params + found.left_out == theirs
    assert llmarch.profile(found.spec, context=100, engine="measured").params + found.left_out == theirs


@pytest.mark.parametrize("family", REFERENCED)
@settings(max_examples=20)
@given(data=st.data())
def test_drawn_configs(family: str, data: st.DataObject) -> None:
    config = data.draw(configs(family))
    found = imported({"model_type": family, **config})
    params = llmarch.profile(found.spec, context=100, engine="measured").params
    assert params + found.left_out == count(family, config)


# Text decoders that only a multimodal class builds have theirs in `test_wrappers.py`.
@pytest.mark.parametrize(
    "family", [name for name in REFERENCED if name in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES and name not in MULTIMODAL]
)
@settings(max_examples=2)
@given(data=st.data())
@torch.no_grad()
def test_logits_of_drawn_configs(family: str, data: st.DataObject) -> None:
    config = data.draw(configs(family))
    spec = import_config({"model_type": family, **config})
    built = AutoConfig.for_model(family, **deepcopy(config))  # which it changes
    theirs, ours = reference(built), build(spec.model_copy(update={"n_mtp_blocks": 0}))
    randomize(theirs, 0)
    carry(names_of(family, built), theirs.state_dict(), ours)
    tokens = torch.randint(spec.vocab_size, (2, N_TOKENS), generator=torch.Generator().manual_seed(0))
    assert deviation(ours(tokens), theirs(tokens, use_cache=False).logits) < 10 * TOLERANCE


def test_the_same_under_another_name() -> None:
    for family, model_type in SAME_AS.items():
        ours, theirs = (import_config({"model_type": name}, name="One") for name in (family, model_type))
        assert ours == theirs
