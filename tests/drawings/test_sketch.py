"""Pictures in characters: nothing wider than the terminal, each layer in its place, ASCII if there is no more."""

import pytest
import strategies
from hypothesis import given, settings
from hypothesis import strategies as st

import llmarch_cli as llmarch
from llmarch_cli.drawings.facts import MOST_BOXES, Pool
from llmarch_cli.drawings.sketch import NARROWEST
from llmarch_cli.specs.spec import ModelSpec


@pytest.mark.parametrize("model", llmarch.names())
@pytest.mark.parametrize("width", [40, 80, 130])
def test_no_line_is_wider_than_the_terminal(model: str, width: int) -> None:
    lines = llmarch.sketch([model], width=width).splitlines()
    assert max(map(len, lines)) <= width
    assert len([line for line in lines if "─▶" in line]) > 0


@settings(max_examples=30)
@given(strategies.specs(), st.integers(1, 200))
def test_any_spec_can_be_sketched(spec: ModelSpec, width: int) -> None:
    lines = llmarch.sketch([spec], width=width).splitlines()
    assert max(map(len, lines)) <= max(width, NARROWEST)


def test_ascii_has_the_same_lines() -> None:
    plain = llmarch.sketch(["gemma3-27b", "deepseek-v3"])
    ascii_only = llmarch.sketch(["gemma3-27b", "deepseek-v3"], ascii_only=True)
    assert ascii_only.isascii()
    assert list(map(len, ascii_only.splitlines())) == list(map(len, plain.splitlines()))


def test_colours_change_nothing_but_colours() -> None:
    import re

    painted = llmarch.sketch(["gemma3-27b"], color=True)
    assert "\x1b[" in painted
    assert re.sub(r"\x1b\[\d+m", "", painted) == llmarch.sketch(["gemma3-27b"])


def test_the_strip_has_a_letter_for_each_layer() -> None:
    lines = llmarch.sketch(["llama4-maverick"]).splitlines()
    assert "  " + "abac" * 12 in lines
    assert any("Mixture of experts, as in b" in line for line in lines)  # once in full


def test_of_very_many_layers_some_are_shown_and_that_is_said() -> None:
    data = llmarch.load("gpt2").model_dump(exclude_defaults=True)
    lines = llmarch.sketch([ModelSpec.model_validate({**data, "n_layers": 8_000})], width=100).splitlines()
    assert any("1 in 21 shown" in line for line in lines)
    assert sum(line.count("a") for line in lines if set(line.strip()) == {"a"}) == -(-8_000 // 21)


@given(st.integers(1, 2000), st.integers(1, 2000))
def test_as_many_experts_are_lit_as_are_chosen(n_experts: int, top_k: int) -> None:
    pool = Pool(n_experts, min(top_k, n_experts), n_experts)
    assert 1 <= pool.n_boxes <= MOST_BOXES
    assert pool.lit <= set(range(pool.n_boxes))
    if pool.n_chosen <= 48:
        assert len(pool.lit) == pool.n_chosen
        assert ("drawn" in pool.note) == (pool.n_boxes < n_experts)
    else:
        assert "a box is" in pool.note or pool.n_boxes == n_experts


@pytest.mark.parametrize(
    ("model", "lit"),
    [("mixtral-8x7b", 2), ("gpt-oss-120b", 4), ("deepseek-v2-lite", 6), ("deepseek-v3", 8), ("llama4-maverick", 1)],
)
def test_that_is_what_bundled_models_show(model: str, lit: int) -> None:
    (line,) = {line for line in llmarch.sketch([model]).splitlines() if "□" in line}
    assert line.count("■") == lit
