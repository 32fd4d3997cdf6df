"""Multimodal configs: the text decoder that transformers builds from the whole file, or an error."""

from __future__ import annotations

import re
from typing import Any

import pytest

import llmarch_cli as llmarch
from llmarch_cli.errors import CheckError, InputError
from llmarch_cli.huggingface.importing import import_config, imported
from llmarch_cli.huggingface.importing.check import compare_with_transformers, count
from llmarch_cli.huggingface.importing.families import FAMILIES, MULTIMODAL

VISION = {"num_hidden_layers": 1, "hidden_size": 16, "intermediate_size": 16, "num_attention_heads": 2}
TEXT = {
    "vocab_size": 90,
    "hidden_size": 16,
    "intermediate_size": 20,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 4,
}
TIES: tuple[dict[str, bool | None], ...] = ({}, *({"tie_word_embeddings": value} for value in (None, True, False)))


def params(config: dict[str, Any]) -> int | None:
    """The parameters of our spec; None for an error."""
    try:
        return llmarch.profile(import_config(config), context=1, engine="closed-form").params
    except InputError:
        return None


def theirs(config: dict[str, Any]) -> int | None:
    """The parameters that transformers builds; None for an error."""
    try:
        return count(config["model_type"], config)
    except InputError:
        return None


@pytest.mark.parametrize("inner", TIES, ids=str)
@pytest.mark.parametrize("outer", TIES, ids=str)
@pytest.mark.parametrize("wrapper", MULTIMODAL)
def test_ties_outside_and_inside(wrapper: str, outer: dict[str, bool | None], inner: dict[str, bool | None]) -> None:
    text = {"model_type": MULTIMODAL[wrapper].text, **TEXT, **inner}
    config = {"model_type": wrapper, "vision_config": VISION, "text_config": text, **outer}
    assert params(config) == theirs(config)


@pytest.mark.parametrize("text", [{}, {"text_config": None}, {"text_config": {}}], ids=str)
@pytest.mark.parametrize("wrapper", MULTIMODAL)
def test_without_a_text_config(wrapper: str, text: dict[str, Any]) -> None:
    config = {"model_type": wrapper, "vision_config": VISION, **text}
    assert params(config) == theirs(config) is not None


@pytest.mark.parametrize("wrapper", MULTIMODAL)
def test_a_text_decoder_of_another_family_is_refused(wrapper: str) -> None:
    for other in sorted({*FAMILIES, *MULTIMODAL} - {MULTIMODAL[wrapper].text}):
        config = {"model_type": wrapper, "text_config": {"model_type": other, **TEXT}}
        with pytest.raises(InputError, match=re.escape(f"text_config.model_type: '{other}'")):
            import_config(config)


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_a_text_config_in_a_family_without_one_is_refused(family: str) -> None:
    needed = {"head_dim": 128, "num_experts_per_tok": 2, "n_routed_experts": 4, "n_shared_experts": 1}
    with pytest.raises(InputError):
        import_config({"model_type": family, **needed, "text_config": TEXT})


def test_an_unsupported_wrapper_read_on_purpose() -> None:
    config = {"model_type": "other", "text_config": {"model_type": "llama", **TEXT}, "tie_word_embeddings": True}
    found = imported(config, as_="llama")
    assert found.spec.tie_embeddings
    total = llmarch.profile(found.spec, context=1).params
    assert "builds" in compare_with_transformers(found, total)
    assert not import_config({**config, "tie_word_embeddings": None}, as_="llama").tie_embeddings


def test_an_absent_switch_whose_default_is_unusual_is_noted() -> None:
    config = {"model_type": "mistral3", "text_config": TEXT}
    note = "tie_word_embeddings is absent; read as true, the default of transformers."
    assert note in imported(config).notes
    assert note not in imported({**config, "tie_word_embeddings": True}).notes


def test_the_check_builds_from_the_file() -> None:
    """A total that holds for the spec but not for the file is an error."""
    config = {"model_type": "gemma3", "text_config": TEXT, "vision_config": VISION}
    found = imported(config)
    right = llmarch.profile(found.spec, context=1).params
    compare_with_transformers(found, right)
    untied = llmarch.profile(imported({**config, "tie_word_embeddings": False}).spec, context=1).params
    with pytest.raises(CheckError, match=f"{untied:,} parameters, but transformers"):
        compare_with_transformers(found, untied)
