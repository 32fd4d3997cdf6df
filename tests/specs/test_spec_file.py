from pathlib import Path

import pytest
from hypothesis import given
from strategies import specs

from llmarch_cli.models import load
from llmarch_cli.specs import spec_file
from llmarch_cli.specs.loading import names
from llmarch_cli.specs.spec import ModelSpec


@pytest.mark.parametrize("name", names())
def test_every_bundled_spec_loads_again_as_an_equal_one(name: str, tmp_path: Path) -> None:
    path = tmp_path / "again.yaml"
    path.write_text(spec_file.render(load(name)))
    assert load(path) == load(name)
    assert "extends" not in path.read_text()


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("specs") / "drawn.yaml"


@given(spec=specs())
def test_any_spec_loads_again_as_an_equal_one(spec: ModelSpec, path: Path) -> None:
    path.write_text(spec_file.render(spec))
    assert load(path) == spec


@pytest.mark.parametrize(
    "name", ["null", "yes", "1e6", "2024-12-26", "a: b # c", "[red]x[/red]", "né 模型", "- x", "'"]
)
def test_names_that_yaml_could_take_for_something_else(name: str, tmp_path: Path) -> None:
    spec = load("gpt2").model_copy(update={"name": name})
    path = tmp_path / "named.yaml"
    path.write_text(spec_file.render(spec))
    assert load(path).name == name


def test_a_kind_stands_before_its_fields() -> None:
    assert "ffn: {kind: dense, d_ff: 3072" in spec_file.render(load("gpt2"))


def test_editors_are_told_of_a_schema_that_lies_beside_it(tmp_path: Path) -> None:
    spec_file.write(load("gpt2"), tmp_path / "alone.yaml")
    (tmp_path / "schema.json").touch()
    spec_file.write(load("gpt2"), tmp_path / "beside.yaml", ["Imported."])
    assert (tmp_path / "alone.yaml").read_text().startswith("name: ")
    assert (
        (tmp_path / "beside.yaml").read_text().startswith("# yaml-language-server: $schema=schema.json\n# Imported.\n")
    )
