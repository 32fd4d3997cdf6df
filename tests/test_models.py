"""What a model's name means."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from published import PUBLISHED

from llmarch_cli import models
from llmarch_cli.errors import InputError
from llmarch_cli.huggingface.importing import source
from llmarch_cli.specs import loading, repositories


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("name", ["Qwen/Qwen3-8B", "qwen/qwen3-8b", "Qwen3-8B", "qwen-3-8b"])
def test_another_name_of_a_bundled_spec_is_it_and_is_said(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "_from_hub", None)  # the Hub is not asked
    with pytest.warns(FutureWarning, match=f"{name} is read as the bundled qwen3-8b"):
        assert models.load(name).id == "qwen3-8b"


def test_an_instruct_model_of_the_same_values_is_the_spec() -> None:
    with pytest.warns(FutureWarning, match=r"bundled llama3\.1-8b; `llmarch import meta-llama/"):
        assert models.load("meta-llama/Llama-3.1-8B-Instruct").id == "llama3.1-8b"


@pytest.mark.parametrize("name", ["Qwen/Qwen3-8B", "DeepSeek-V3"])
def test_a_path_that_exists_wins(name: str) -> None:
    Path(name).mkdir(parents=True)
    (Path(name) / "config.json").write_text(json.dumps(PUBLISHED["gpt2"]))
    assert models.load(name).n_layers == 12
    shutil.rmtree(Path(name))
    Path(name).mkdir()
    with pytest.raises(InputError, match=r"a directory without a config\.json"):
        models.load(name)


def test_an_id_is_found_without_reading_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repositories, "bundled", None)
    assert models.load("qwen3-8b").id == "qwen3-8b"
    Path("mine.yaml").write_text("extends: qwen3-8b\n")
    assert models.load("mine.yaml").id == "mine"


def test_an_unknown_repository_is_asked_for_on_the_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def read(model: str, revision: str | None) -> source.Source:
        asked.append(model)
        return source.Source(PUBLISHED["qwen3-8b"], model, "Base")

    monkeypatch.setattr(source, "_from_hub", read)
    assert models.load("Qwen/Qwen3-8B-Base").id == "Base"
    assert asked == ["Qwen/Qwen3-8B-Base"]


def test_a_config_is_read_inside_a_directory_only(here: Path) -> None:
    (here / "in" / "linked").mkdir(parents=True)
    (here / "config.json").write_text(json.dumps(PUBLISHED["gpt2"]))
    (here / "in" / "linked" / "config.json").symlink_to(here / "config.json")
    for name in ("linked", "linked/config.json", "../config.json", ".."):
        with pytest.raises(InputError, match="outside the directory"):
            models.read(here / "in" / name, here / "in")
    assert models.read(here / "in" / "linked", here).n_layers == 12


@pytest.mark.parametrize("name", ["gpt2", "GPT-2", "Qwen/Qwen3-8B", "org/model", "mine.yaml", "a", "a/config.json"])
def test_names_of_models(name: str, here: Path) -> None:
    Path("mine.yaml").touch()
    Path("a").mkdir()
    Path("a/config.json").touch()
    assert models.is_model(name)


@pytest.mark.parametrize("name", ["", "show", "none.yaml", "notes.txt", "empty", "a\0b", "x" * 5000])
def test_names_of_no_model(name: str) -> None:
    Path("notes.txt").touch()
    Path("empty").mkdir()
    assert not models.is_model(name)


def test_the_file_that_a_name_stands_for(here: Path) -> None:
    bundled = loading.find("gpt2")
    assert models.yaml_file("gpt2") == models.yaml_file("openai-community/gpt2") == bundled
    assert models.yaml_file(str(bundled)) == models.yaml_file(bundled) == bundled
    assert models.yaml_file("./mine.yaml") == Path("mine.yaml")
    for other in ("-", "org/name", "config.json", "model.gguf", models.load("gpt2")):
        assert models.yaml_file(other) is None
