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


def test_sorting() -> None:
    sizes = [row["params"] for row in api.overview(sort="-params").rows]
    assert sizes == sorted(sizes, reverse=True)  # type: ignore[type-var]
    with pytest.raises(InputError, match="column"):
        models(sort="parms")


def test_a_family_stands_together_in_the_order_of_its_release() -> None:
    meta = models(organization="meta")
    assert meta.index("llama3-8b") < meta.index("llama3.1-8b") < meta.index("llama4-scout")
