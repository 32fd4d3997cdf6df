"""Every bundled spec says what importing its config gives, of which transformers builds as many parameters."""

from __future__ import annotations

from typing import Any

import pytest
from published import PUBLISHED

import llmarch_cli as llmarch
from llmarch_cli.huggingface.importing import import_config, imported
from llmarch_cli.huggingface.importing.check import compare_with_transformers
from llmarch_cli.huggingface.importing.families import FAMILIES
from llmarch_cli.specs.spec import Layout, ModelSpec
from llmarch_cli.specs.storage import Stored

# What no config says.
FACTS = {"name", "organization", "source", "same_as", "released", "license", "published"}

# What a checkpoint stores and its config does not say.
STORED: dict[str, dict[str, Any]] = {
    "qwen3-next-80b-a3b": {"n_mtp_blocks": 1},
    **{
        name: {"stored": Stored(format="fp32")} for name in ("gpt2", "gpt2-medium", "gpt2-large", "gpt2-xl", "gpt-j-6b")
    },
}


def said(spec: ModelSpec) -> dict[str, Any]:
    """All but facts, with variants in the place of their names."""
    found = {name: getattr(spec, name) for name in spec.field_defaults if name not in FACTS}
    for axis in ("attention", "ffn"):
        if isinstance(layout := found[axis], Layout):
            found[axis] = [
                [layout.variants.get(name) for name in getattr(layout, part)] for part in ("first", "repeat", "last")
            ]
    return found


def family(name: str) -> str:
    return imported(PUBLISHED[name]).family


def test_all_are_here() -> None:
    assert set(PUBLISHED) == set(llmarch.names())


@pytest.mark.parametrize("name", PUBLISHED)
def test_bundled_specs(name: str) -> None:
    assert said(import_config(PUBLISHED[name])) | STORED.get(name, {}) == said(llmarch.load(name))


# One of each class. That of Gemma 3n needs another library; tests/parity builds its text decoder.
FIRST = {PUBLISHED[name].get("model_type"): name for name in reversed(PUBLISHED)}
BUILT = sorted(name for kind, name in FIRST.items() if kind != "gemma3n" and not FAMILIES[family(name)].remote)


@pytest.mark.parametrize("name", BUILT)
def test_transformers_builds_as_many_parameters(name: str) -> None:
    found = imported(PUBLISHED[name])
    assert "also builds" in compare_with_transformers(found, llmarch.profile(llmarch.load(name), context=1).params)
