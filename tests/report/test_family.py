import re
from pathlib import Path

import pytest

from llmarch_cli import api
from llmarch_cli.models import load
from llmarch_cli.profilers.profile import Profile
from llmarch_cli.report.comparison import comparison
from llmarch_cli.report.family import led
from llmarch_cli.report.formats.render import render
from llmarch_cli.report.table import Table
from llmarch_cli.specs.loading import names

MOST_LINES = 30


def found(*models: str) -> list[Profile]:
    return api.profiles(models, engine="closed-form")


def brief(*models: str) -> Table:
    profiles = found(*models)
    return led(comparison(profiles, brief=True), profiles, brief=True)


def test_the_difference_to_what_a_model_extends_comes_first() -> None:
    lead = brief("kimi-k2", "deepseek-v3").lead
    assert lead.startswith("kimi-k2 extends deepseek-v3: n_heads 128 -> 64, n_experts 256 -> 384, ")
    assert re.search(r" and \d more\.$", lead)
    assert brief("deepseek-v3", "kimi-k2").lead == lead  # whichever stands first


def test_of_two_models_that_extend_a_third_the_first_one_is_compared_with_the_second() -> None:
    lead = brief("qwen3-0.6b", "qwen3-1.7b").lead
    assert lead == "qwen3-0.6b and qwen3-1.7b extend qwen3-32b: d_model 1,024 -> 2,048, d_ff 3,072 -> 6,144."
    assert "d_model 2,048 -> 1,024" in brief("qwen3-1.7b", "qwen3-0.6b").lead
    assert brief("llama3.1-70b", "llama3-8b").lead.startswith("llama3.1-70b extends llama3-8b: ")  # in two steps


def test_equal_architectures_are_said_to_be_equal() -> None:
    assert brief("deepseek-r1", "deepseek-v3").lead == "deepseek-r1 extends deepseek-v3: the architectures are equal."


@pytest.mark.parametrize("models", [("gpt2",), ("gpt2", "llama3-8b"), ("gpt2", "gpt2"), ("gpt2", "gpt2-xl", "gpt2")])
def test_others_have_no_lead(models: tuple[str, ...]) -> None:
    profiles = found(*models)
    table = comparison(profiles, brief=True)
    assert led(table, profiles, brief=True) == table


def test_files_of_one_s_own_are_a_family_too(tmp_path: Path) -> None:
    mine, other = tmp_path / "mine.yaml", tmp_path / "deepseek-v3.yaml"
    mine.write_text("extends: gpt2\nname: mine\nn_layers: 24\n")
    assert brief(str(mine), "gpt2").lead == "mine extends gpt2: n_layers 12 -> 24."
    other.write_text("extends: gpt2\nname: a file with the name of another model\n")
    assert brief(str(other), "kimi-k2").lead == ""


def _related() -> list[tuple[str, str]]:
    lineages = {name: load(name).lineage for name in names()}
    return [
        (one, other)
        for one, files in lineages.items()
        for other, others in lineages.items()
        if one < other and set(files) & set(others)
    ]


def test_a_comparison_of_a_family_stays_short() -> None:
    related = _related()
    assert len(related) > 40
    for models in related:
        table = brief(*models)
        assert table.lead.startswith(models)
        lines = render([table], "table", width=80).splitlines()
        assert len(lines) <= MOST_LINES, models
        assert lines[0].startswith(models)
        assert max(map(len, lines)) <= 80


def test_descriptions_that_are_equal_make_room_and_stay_in_data() -> None:
    shown = {column.key for column in brief("gemma3-4b", "gemma3-12b").for_reading}
    assert "heads" in shown
    assert not {"context_window", "positions"} & shown
    assert {column.key for column in brief("gemma3-4b", "gemma3-12b").for_data} >= {"context_window", "positions"}
    profiles = found("gemma3-4b", "gemma3-12b")
    whole = led(comparison(profiles), profiles)
    assert "positions" in {column.key for column in whole.for_reading}
    assert whole.lead


def test_the_lead_is_for_readers() -> None:
    table = brief("gpt2", "gpt2-xl")
    assert render([table], "markdown").startswith(f"{table.lead.replace('>', chr(92) + '>')}\n\n| ")
    assert "extends" not in render([table], "csv") + render([table], "json")
