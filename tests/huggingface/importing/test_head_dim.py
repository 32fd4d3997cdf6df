"""A `head_dim` of its own is built as the class of each family builds it, or refused where the class ignores it."""

from __future__ import annotations

import pytest

import llmarch_cli as llmarch
from llmarch_cli.errors import InputError
from llmarch_cli.huggingface.importing import imported
from llmarch_cli.huggingface.importing.check import count
from llmarch_cli.huggingface.importing.families import FAMILIES


@pytest.mark.parametrize("family", sorted(name for name, each in FAMILIES.items() if not each.remote))
def test_a_head_width_of_its_own(family: str) -> None:
    try:
        found = imported({"model_type": family, "head_dim": 48})
        theirs = count(found.model_type, found.config)
    except InputError:  # refused, or transformers cannot build it either
        return
    assert llmarch.profile(found.spec, context=1).params == theirs - found.left_out


@pytest.mark.parametrize("family", ["qwen2_vl_text", "qwen2_5_vl_text"])
def test_qwen_vl_divides_the_width(family: str) -> None:
    assert imported({"model_type": family, "head_dim": 128}).spec == imported({"model_type": family}).spec
    with pytest.raises(InputError, match="head_dim: 48 is not supported: must be 128"):
        imported({"model_type": family, "head_dim": 48})
