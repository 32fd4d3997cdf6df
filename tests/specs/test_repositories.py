"""Other names of bundled specs: what is certain finds the spec, what would be a guess does not."""

from __future__ import annotations

import pytest

from llmarch_cli.specs.loading import find, names, read
from llmarch_cli.specs.repositories import bundled


@pytest.mark.parametrize("name", names())
def test_every_spec_is_found_by_its_source(name: str) -> None:
    source = read(find(name)).source
    assert source is not None
    organization, repository = source.removeprefix("https://huggingface.co/").split("/")[:2]
    for spelling in (f"{organization}/{repository}", f"{organization}/{repository}".lower(), repository, name):
        assert bundled(spelling) == name


@pytest.mark.parametrize("name", names())
def test_every_spec_is_found_by_the_repositories_with_the_same_values(name: str) -> None:
    for repository in read(find(name)).same_as:
        assert bundled(repository) == bundled(repository.split("/")[1]) == name


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("DeepSeek-V3", "deepseek-v3"),
        ("deepseek_v3", "deepseek-v3"),
        ("llama-3.1-8b", "llama3.1-8b"),
        ("Llama 3.1 8B", "llama3.1-8b"),
        ("llama-3-1-8b", "llama3.1-8b"),
        ("llama-3.1-8b-instruct", "llama3.1-8b"),
        ("Meta-Llama-3-8B", "llama3-8b"),
        ("gpt-2", "gpt2"),
        ("qwen-3-0.6b", "qwen3-0.6b"),
    ],
)
def test_spellings(name: str, expected: str) -> None:
    assert bundled(name) == expected


@pytest.mark.parametrize(
    "name",
    [
        "qwen-38b",  # 38 billion parameters
        "llama-3.8b",  # 3.8 billion parameters
        "qwen3-06b",
        "deepseek-v3.3",
        "Qwen/Qwen3-8B-Base",  # another context window
        "Qwen/Qwen3-235B-A22B-Instruct-2507",
        "someone/Qwen3-8B",
        "Qwen/Qwen3_8B",
        "mistralai/Mistral-7B-Instruct-v0.2",
        "qwen3-8b-instruct",
        "./qwen3-8b",
        "Qwen/",
        "/",
        "",
        "3",
    ],
)
def test_a_guess_finds_nothing(name: str) -> None:
    assert bundled(name) is None


def test_a_model_of_another_size_has_no_repositories_of_its_parent() -> None:
    assert read(find("llama3.1-8b")).same_as
    assert read(find("llama3.1-405b")).same_as == ()
