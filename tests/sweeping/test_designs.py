from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import specs

import llmarch_cli as llmarch
from llmarch_cli.errors import InputError
from llmarch_cli.specs.changes import changed
from llmarch_cli.specs.spec import ModelSpec
from llmarch_cli.sweeping.designs import consistent

WIDTHS = st.integers(1, 64)


@given(specs(), st.fixed_dictionaries({"d_model": WIDTHS, "n_layers": st.integers(1, 9), "vocab_size": WIDTHS}))
@settings(max_examples=100)
def test_a_variant_is_refused_where_its_own_spec_is(spec: ModelSpec, values: dict[str, Any]) -> None:
    assert made(lambda: consistent(spec, values)) == made(lambda: changed(spec, values))


def made(variant: Callable[[], ModelSpec]) -> dict[str, Any] | None:
    """The fields of a variant, whatever its name; None for an invalid one."""
    try:
        return {**variant().model_dump(), "name": None}
    except (InputError, ValueError):
        return None


def test_rules_of_every_record_around_a_value_are_run() -> None:
    spec = llmarch.load("gemma3-27b")
    inside = {"attention.variants.local.n_kv_heads": 5}
    with pytest.raises(ValueError, match="n_heads \\(32\\) must be a multiple of n_kv_heads \\(5\\)"):
        consistent(spec, inside)
    with pytest.raises(ValueError, match="'a', which is no other variant"):  # a rule of the spec, not of the kind
        consistent(spec, {"attention.variants.local.kv_from": "a"})
    with pytest.raises(ValueError, match="layers"):
        consistent(llmarch.load("deepseek-v3"), {"n_layers": 2})
