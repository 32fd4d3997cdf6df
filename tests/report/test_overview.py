import datetime as dt

import pytest

from llmarch_cli import api
from llmarch_cli.errors import InputError
from llmarch_cli.specs.loading import names


def models(**wanted: object) -> list[str]:
    return [str(row["model"]) for row in api.overview(**wanted).rows]  # type: ignore[arg-type]


def test_every_bundled_model_has_a_line() -> None:
    assert sorted(models()) == list(names())


def test_moe_and_dense_are_all_and_share_none() -> None:
    assert sorted(models(moe=True) + models(moe=False)) == list(names())
    assert "grok-2.5" in models(moe=True)  # a mixture beside a dense layer
    assert "gpt2" in models(moe=False)


def test_organizations_are_found_by_any_part_in_any_case() -> None:
    assert set(models(organization="GOOGLE")) == {name for name in names() if "gemma" in name}
    assert "kimi-k2" in models(organization="moonshot")


@pytest.mark.parametrize(
    ("word", "inside", "outside"),
    [
        ("mla", "kimi-k2", "gpt2"),
        ("MLA", "deepseek-r1", "glm-4.5"),
        ("chunked", "llama4-scout", "gemma3-1b"),
        ("window", "gpt-oss-20b", "llama4-scout"),
        ("nope", "smollm3-3b", "gpt2"),
        ("mha", "olmo2-7b", "olmo2-32b"),
    ],
)
def test_attention_is_found_by_its_words(word: str, inside: str, outside: str) -> None:
    assert inside in models(attention=word)
    assert outside not in models(attention=word)


def test_filters_meet() -> None:
    assert models(moe=False, attention="mla") == []
    assert api.overview(moe=False, attention="mla").notes == ("No model matches.",)


def test_what_no_model_has_is_refused_with_what_there_is() -> None:
    with pytest.raises(InputError, match=r"'Gogle'; known: Ai2, .*; did you mean Google\?$"):
        models(organization="Gogle")
    with pytest.raises(InputError, match=r"'mlp'.*known: alibi, chunked, conv, delta, full"):
        models(attention="mlp")


@pytest.mark.parametrize(
    ("kinds", "inside", "outside"),
    [
        (["gated_deltanet"], "qwen3-next-80b-a3b", "kimi-linear-48b-a3b"),
        (["GQA"], "llama3-8b", "gpt2"),  # one meaning each: a head for each query is mha
        (["mha"], "gpt2", "llama3-8b"),
        (["hybrid", "moe"], "granite-4.0-h-small", "falcon-h1-0.5b"),
        (["moe", "zero_experts"], "longcat-flash", "deepseek-v3"),
        (["parallel"], "grok-2.5", "gpt2"),
    ],
)
def test_models_are_found_by_kinds_and_mechanisms(kinds: list[str], inside: str, outside: str) -> None:
    assert inside in models(kinds=kinds)
    assert outside not in models(kinds=kinds)


def test_a_kind_that_no_bundled_model_has_is_known() -> None:
    assert api.overview(kinds=["rwkv4"]).notes == ("No model matches.",)
    with pytest.raises(InputError, match=r"unknown kind 'gated_delta'; known: .*; did you mean gated_deltanet"):
        models(kinds=["moe", "gated_delta"])


def test_models_are_found_by_their_date() -> None:
    day = dt.date(2025, 8, 5)
    assert "gpt-oss-20b" in models(since=day)
    assert "gpt-oss-20b" not in models(since=day + dt.timedelta(days=1))
    assert set(models(since=dt.date(2026, 1, 1))) < set(models(since=day)) < set(models())


def test_the_column_that_models_are_sorted_by_is_shown() -> None:
    table = api.overview(kinds=["mla"], sort="-kv_cache_bytes")
    assert [column.key for column in table.for_reading][:2] == ["model", "kv_cache_bytes"]
    assert "131,072 tokens of context" in table.notes[0]
    usual = api.overview(kinds=["mla"], sort="-params")
    assert usual.columns == api.overview(kinds=["mla"]).columns
    assert usual.notes == ()


def test_columns_are_those_asked_for() -> None:
    table = api.overview(kinds=["mla"], columns=["released", "highlights"], sort="params")
    assert [column.key for column in table.columns] == ["model", "released", "highlights", "params"]
    with pytest.raises(InputError, match="unknown column 'release'; did you mean released"):
        api.overview(columns=["release"])


def test_sorting() -> None:
    sizes = [row["params"] for row in api.overview(sort="-params").rows]
    assert sizes == sorted(sizes, reverse=True)  # type: ignore[type-var]
    with pytest.raises(InputError, match="column"):
        models(sort="parms")


def test_a_family_stands_together_in_the_order_of_its_release() -> None:
    meta = models(organization="meta")
    assert meta.index("llama3-8b") < meta.index("llama3.1-8b") < meta.index("llama4-scout")
