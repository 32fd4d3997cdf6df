"""The models that a file names: ids, specs, configs, directories with a config, and patterns."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from published import PUBLISHED

from llmarch_cli.errors import InputError
from llmarch_cli.guards import selection


@pytest.fixture(autouse=True)
def here(tmp_path: Path) -> Path:
    for name in ("a/config.json", "a/tokenizer.json", "b/config.json", "mine.json"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(json.dumps(PUBLISHED["gpt2"]))
    (tmp_path / "a" / "spec.yaml").write_text("extends: gpt2\n")
    (tmp_path / "empty").mkdir()
    (tmp_path / "gpt2").mkdir()
    (tmp_path / "gpt2" / "config.json").write_text(json.dumps(PUBLISHED["gpt2-xl"]))
    return tmp_path


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("gpt2", ["gpt2"]),
        ("./gpt2", ["./gpt2"]),
        ("gpt2-x*", ["gpt2-xl"]),
        ("mine.json", ["mine.json"]),
        ("a/config.json", ["a/config.json"]),
        ("a", ["a"]),
        ("a/", ["a/"]),
        ("*.json", ["mine.json"]),
        ("[ab]/config.json", ["a/config.json", "b/config.json"]),
        ("a/*.json", ["a/config.json", "a/tokenizer.json"]),
        ("**/*.yaml", ["a/spec.yaml"]),
        ("a/*", ["a/spec.yaml"]),  # other files end in .json too: a schema, a tokenizer
        ("empty", []),
        ("none.json", []),
        ("b/*", []),
        ("[ab]", []),
    ],
)
def test_what_a_name_matches(here: Path, name: str, found: list[str]) -> None:
    assert selection.matches(name, here) == found
    for each in found:
        if not each.endswith("tokenizer.json"):
            assert selection.load(each, here).id == each


def test_an_id_is_the_bundled_model_and_a_path_the_file(here: Path) -> None:
    assert selection.load("gpt2", here).n_layers == 12
    assert selection.load("./gpt2", here).n_layers == 48


def test_another_name_of_a_bundled_model_is_its_id(here: Path) -> None:
    for name in ("Qwen/Qwen3-8B", "Qwen3-8B"):
        with pytest.warns(FutureWarning, match="bundled qwen3-8b"):
            assert selection.matches(name, here) == ["qwen3-8b"]
        (here / name).mkdir(parents=True)
        (here / name / "config.json").write_text(json.dumps(PUBLISHED["gpt2"]))
        assert selection.matches(name, here) == [name]


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("empty", "'empty' is a directory without a config.json"),
        ("./empty", "'./empty' is a directory without a config.json"),
        ("none", "'none' matches no model; see `llmarch list`, or give the path of a spec or config"),
        ("GTP2", "'GTP2' matches no model; did you mean gpt2"),
        ("none.json", "'none.json' matches no file; paths are relative to the file they are in"),
        ("b/*", "'b/*' matches no file; paths are relative to the file they are in, and a pattern of configs ends in"),
        ("Qwen/None", "for a model on the Hub, `llmarch import Qwen/None -o FILE` writes its spec"),
    ],
)
def test_what_matches_nothing(here: Path, name: str, told: str) -> None:
    with pytest.raises(InputError) as error:
        selection.selected([name], here)
    assert told in str(error.value)
