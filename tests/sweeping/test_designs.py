from __future__ import annotations

import pytest

import llmarch_cli as llmarch
from llmarch_cli.sweeping.designs import data


@pytest.mark.parametrize("name", llmarch.names())
def test_a_specs_data_is_what_it_is_made_of(name: str) -> None:
    spec = llmarch.load(name)
    assert data(spec) == spec.model_dump()
    assert llmarch.ModelSpec.model_validate(data(spec)) == spec
