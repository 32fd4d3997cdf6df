"""Pictures in characters: nothing wider than the terminal, each layer in its place, ASCII if there is no more."""

import re

import pytest
import strategies
from hypothesis import given, settings
from hypothesis import strategies as st

import llmarch_cli as llmarch
from llmarch_cli.drawings.facts import MOST_BOXES, Pool
from llmarch_cli.drawings.picture import picture
from llmarch_cli.drawings.shapes import Text
from llmarch_cli.drawings.sketch import MARK, MARKED, NARROWEST
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


@pytest.mark.parametrize("models", [["gemma3-27b"], ["gemma3-27b", "deepseek-v3"]])
def test_colours_change_nothing_but_colours(models: list[str]) -> None:
    painted = llmarch.sketch(models, color=True)
    assert "\x1b[" in painted
    assert re.sub(r"\x1b\[\d+m", "", painted) == llmarch.sketch(models)


LEGEND = f"{MARK} marks what differs between these models."


def marked(text: str) -> list[list[str]]:
    """What is marked in each model of a painted picture, a folded text as several."""
    models = text.split("tokens\n\n")
    return [re.findall(re.escape(MARKED) + r"(.*?)\x1b\[0m", model) for model in models[:-1]]


def test_what_differs_is_marked_before_it_and_in_colour() -> None:
    models = ["deepseek-v3", "kimi-k2"]
    plain, painted = (llmarch.sketch(models, width=200, color=color) for color in (False, True))
    first, second = marked(painted)
    assert first == [
        "*1 x multi-token prediction beside it",
        "*3 dense, 58 MoE",
        *("*layers 0-2", "*layers 3-60"),
        *("*MoE 256 experts x 2,048, top 8 + 1 shared", "*router: 8 of 256", "*MLA 128 heads"),
        *("*RoPE 10,000 YaRN x40 from 4,096", "*129,280"),
    ]
    assert second == [
        "*1 dense, 60 MoE",
        *("*layer 0", "*layers 1-60"),
        *("*MoE 384 experts x 2,048, top 8 + 1 shared", "*router: 8 of 384", "*MLA 64 heads"),
        *("*RoPE 50,000 YaRN x32 from 4,096", "*163,840"),
    ]
    assert plain.count(MARK) == len(first) + len(second) + 1
    assert LEGEND in plain.splitlines()


@pytest.mark.parametrize("width", [40, 80, 120])
def test_marks_are_kept_where_lines_are_folded(width: int) -> None:
    text = llmarch.sketch(["deepseek-v3", "kimi-k2"], width=width)
    assert text.count(MARK) == 9 + 8 + 1
    assert max(map(len, text.splitlines())) <= width
    assert all(sign.isprintable() for sign in text.replace("\n", ""))


def test_what_another_model_does_not_have_is_marked() -> None:
    (plain, around) = marked(llmarch.sketch(["qwen3-8b", "gemma3-27b"], width=160, color=True))
    assert around.count("*RMSNorm") == 4  # after each sublayer of both distinct layers
    assert "*RMSNorm" not in plain
    (gpt2, falcon) = marked(llmarch.sketch(["gpt2", "falcon-40b"], width=160, color=True))
    assert {"*learned positions", "*Multi-head attention"} <= set(gpt2)
    assert "*both read the same" in falcon
    assert not [words for words in gpt2 if "MHA" in words]  # the title of its box says enough


def test_without_differences_nothing_is_marked() -> None:
    for models in (["deepseek-v3"], ["gpt2", "gpt2"]):
        text = llmarch.sketch(models)
        assert MARK not in text
        assert "differs" not in text


def test_in_ascii_a_mark_stands_for_nothing_else() -> None:
    assert MARK not in llmarch.sketch(["gemma3-27b"], ascii_only=True)
    text = llmarch.sketch(["gemma3-27b", "deepseek-v3"], ascii_only=True)
    assert text.count(MARK) == llmarch.sketch(["gemma3-27b", "deepseek-v3"]).count(MARK) > 2


@pytest.mark.parametrize("pair", [("deepseek-v3", "kimi-k2"), ("llama3-8b", "qwen3-8b"), ("gpt2", "falcon-h1-0.5b")])
def test_what_is_marked_in_characters_is_marked_in_the_drawing(pair: tuple[str, str]) -> None:
    profiles = [llmarch.profile(model, engine="closed-form") for model in pair]
    drawn = [text.whole for text in picture(profiles).of(Text)]
    highlighted = {text.whole for text in picture(profiles).of(Text) if text.marked}
    shown = {
        words.removeprefix(MARK) for model in marked(llmarch.sketch(pair, width=400, color=True)) for words in model
    }
    assert len(shown & highlighted) > 3
    assert not [words for words in shown & set(drawn) if words not in highlighted]


@settings(max_examples=30)
@given(strategies.specs(), strategies.specs(), st.integers(40, 160))
def test_any_two_specs_can_be_compared(first: ModelSpec, second: ModelSpec, width: int) -> None:
    text = llmarch.sketch([first, second], width=width, context=64)
    assert max(map(len, text.splitlines())) <= width
    assert all(ord(sign) < 0xF0000 for sign in text)
    assert (LEGEND in " ".join(text.split())) == (text.count(MARK) > 0)


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
