"""Specs from plain data are those from YAML, and nothing else is believed."""

from __future__ import annotations

import datetime as dt
import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from strategies import specs

import llmarch_cli as llmarch
from llmarch_cli.specs import checked, sources
from llmarch_cli.specs.checked import FILE, built, find, line, plain
from llmarch_cli.specs.loading import names, read, specs_directory
from llmarch_cli.specs.spec import ModelSpec


def from_yaml(name: str, monkeypatch: pytest.MonkeyPatch) -> ModelSpec:
    with monkeypatch.context() as patch:
        patch.setattr(checked, "find", lambda path, kind: None)
        patch.setenv("LLMARCH_CACHE", os.devnull)
        return read(specs_directory() / f"{name}.yaml")


@pytest.mark.parametrize("name", names())
def test_a_bundled_spec_is_current_and_the_same(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    found = find(specs_directory() / f"{name}.yaml", ModelSpec)
    assert found is not None, "run `make certificates`"
    spec, files = found
    expected = from_yaml(name, monkeypatch)
    assert llmarch.load(name) == expected == spec.with_lineage(files).with_id(name)
    assert files == expected.lineage
    assert repr(spec) == repr(expected)


@settings(max_examples=60)
@given(specs())
def test_every_spec_is_the_same_after_it_was_kept(spec: ModelSpec) -> None:
    kept = json.loads(json.dumps(plain(spec)))
    assert built(kept).with_id(spec.id).with_lineage(spec.lineage) == spec
    assert repr(built(kept)) == repr(spec)


def test_names_of_records_are_all_different() -> None:
    kinds = checked.kinds()
    assert len(kinds) > 50
    assert all(kind.__name__ == name for name, kind in kinds.items())
    assert checked._RECORD not in ModelSpec.field_defaults


def test_only_what_specs_have_is_kept() -> None:
    day = dt.date(2026, 1, 2)
    assert built(plain(day)) == day
    assert built(plain((1, 2.5, None, True, "x", ("y",)))) == (1, 2.5, None, True, "x", ("y",))
    with pytest.raises(TypeError):
        plain({1, 2})
    with pytest.raises(KeyError):
        built({"": "Path"})


@pytest.fixture
def bundled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory with two specs, one of which extends the other, and what is kept of them."""
    monkeypatch.setattr(checked, "_text", checked._text.__wrapped__)
    first = tmp_path / "first.yaml"
    first.write_bytes((specs_directory() / "gpt2.yaml").read_bytes())
    second = tmp_path / "second.yaml"
    second.write_text("extends: ./first.yaml\nname: Second\nn_layers: 3\n")
    lines = (line(spec.id, spec, spec.lineage) for spec in (read(first), read(second)))
    (tmp_path / FILE).write_text("{\n" + ",\n".join(lines) + "\n}\n")
    return tmp_path


def test_a_changed_file_is_read_again(bundled: Path) -> None:
    second = bundled / "second.yaml"
    found = find(second, ModelSpec)
    assert found is not None
    assert (found[0].name, found[0].n_layers) == ("Second", 3)
    assert [path.name for path in found[1]] == ["second.yaml", "first.yaml"]
    first = bundled / "first.yaml"
    before = first.read_bytes()
    first.write_bytes(before + b"# a comment\n")
    assert find(second, ModelSpec) is None  # what it extends counts too
    first.write_bytes(before)
    assert find(second, ModelSpec) is not None
    first.unlink()
    assert find(second, ModelSpec) is None


def test_other_code_reads_it_again(bundled: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "digest", lambda: "other")
    assert find(bundled / "first.yaml", ModelSpec) is None


def test_every_file_that_checks_or_computes_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = Path(sources.__file__).parents[1]
    copy = tmp_path / "package"
    for room in sources.ROOMS:
        for path in (package / room).rglob("*.py"):
            there = copy / path.relative_to(package)
            there.parent.mkdir(parents=True, exist_ok=True)
            there.write_bytes(path.read_bytes())
    monkeypatch.setattr(sources, "__file__", str(copy / "specs" / "sources.py"))
    digest: Any = sources.digest.__wrapped__
    before = digest()
    assert digest() == before == sources.digest()
    for name in ("components/ffn/moe.py", "modules/builder.py", "profilers/closed_form.py", "specs/encodings.py"):
        (copy / name).write_bytes((copy / name).read_bytes() + b"\n")
        assert digest() != before
        before = digest()


@pytest.mark.parametrize("content", [None, "", "{}", "\xff", '{\n"second": [1]\n}'])
def test_a_missing_or_empty_file_is_no_error(bundled: Path, content: str | None) -> None:
    (bundled / FILE).unlink()
    if content is not None:
        (bundled / FILE).write_bytes(content.encode("latin-1"))
    for name in ("first", "second"):
        assert find(bundled / f"{name}.yaml", ModelSpec) is None
