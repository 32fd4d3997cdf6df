"""A spec that was validated is not validated again, and what is kept of it never changes a figure."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from strategies import specs

from llmarch_cli.errors import InputError, shown_path
from llmarch_cli.specs import documents, loading, remembered, sources, spec_file
from llmarch_cli.specs.checked import built, plain
from llmarch_cli.specs.loading import read
from llmarch_cli.specs.spec import ModelSpec


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A spec of the user that was read once, with an empty cache before."""
    monkeypatch.setenv("LLMARCH_CACHE", str(tmp_path / "cache"))
    path = tmp_path / "own.yaml"
    path.write_text("extends: gpt2\nname: Own\nreleased: 2026-01-02\nffn: {kind: dense, d_ff: 5, gated: false}\n")
    read(path)
    return path


def validations(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The specs that are validated from now on."""
    found: list[str] = []
    right = loading.validated

    def noted(data: Any, origin: str) -> ModelSpec:
        found.append(origin)
        return right(data, origin)

    monkeypatch.setattr(loading, "validated", noted)
    return found


def kept_file(own: Path) -> Path:
    (file,) = (own.parent / "cache" / "specs").iterdir()
    return file


def test_a_spec_is_validated_once(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = validations(monkeypatch)
    again = read(own)
    assert seen == []
    with monkeypatch.context() as patch:
        patch.setenv("LLMARCH_CACHE", os.devnull)
        assert read(own) == again
    assert seen == [shown_path(own)]
    assert (again.id, again.lineage[0]) == ("own", own)
    own.write_text(own.read_text().replace("d_ff: 5", "d_ff: 6"))
    assert read(own).model_dump()["ffn"]["d_ff"] == 6
    assert len(seen) == 2
    monkeypatch.setattr(sources, "digest", lambda: "other")
    read(own)
    assert len(seen) == 3


def test_an_invalid_spec_is_refused_each_time(own: Path) -> None:
    own.write_text(own.read_text() + "d_model: -7\n")
    for _ in range(2):
        with pytest.raises(InputError, match=r"own\.yaml"):
            read(own)


FORGED: dict[str, Callable[[dict[str, Any]], object]] = {
    "another value": lambda spec: spec["ffn"].update(d_ff=50),
    "a field that the file does not give": lambda spec: spec.update(head_bias=True),
    "a missing field": lambda spec: spec.pop("d_model"),
    "a number for true": lambda spec: spec.update(tie_embeddings=1),
    "another date": lambda spec: spec["released"].update(date="2026-01-03"),
    "no date": lambda spec: spec["released"].update(date="tomorrow"),
    "an unknown class": lambda spec: spec["attention"].update({"": "Path"}),
    "another class": lambda spec: spec.update({"": "NormStyle"}),
    "a list": lambda spec: spec.update(attention=[]),
    "text": lambda spec: spec.update(attention="gqa"),
    "an unknown field": lambda spec: spec.update(unknown=1),
}


@pytest.mark.parametrize("forged", FORGED)
def test_a_damaged_record_changes_nothing(forged: str, own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    right, file = read(own), kept_file(own)
    data = json.loads(file.read_bytes())
    FORGED[forged](data["spec"])
    file.write_text(json.dumps(data))
    seen = validations(monkeypatch)
    found = read(own)
    assert (found, vars(found).keys()) == (right, vars(right).keys())
    assert seen == [shown_path(own)]


@given(specs())
def test_the_record_of_every_spec_agrees_with_its_file(spec: ModelSpec) -> None:
    data = documents.plain(spec_file.plain(spec))
    assert remembered._agree(data, spec)
    assert remembered._agree(data, built(json.loads(json.dumps(plain(spec)))))
