"""A spec that was validated is not validated again, and what is kept of it never changes a figure."""

from __future__ import annotations

import copy
import json
import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from strategies import specs

from llmarch_cli.errors import InputError, shown_path
from llmarch_cli.specs import documents, kept, loading, remembered, sources, spec_file
from llmarch_cli.specs.checked import built, plain
from llmarch_cli.specs.loading import read
from llmarch_cli.specs.spec import ModelSpec, NormStyle


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
    "a default that is another sort of value": lambda spec: spec.update(head_bias=0),
    "a deep nest": lambda spec: spec.update(attention=json.loads('{"a": ' * 600 + "1" + "}" * 600)),
    "an unknown field": lambda spec: spec.update(unknown=1),
}


@pytest.mark.parametrize("forged", FORGED)
def test_a_damaged_record_changes_nothing(forged: str, own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    right, file = read(own), kept_file(own)
    data = json.loads(file.read_bytes())
    FORGED[forged](data["spec"])
    seen = validations(monkeypatch)
    for kept_as in (json.dumps(data).encode(), kept.sealed({"key": data["key"], "spec": data["spec"]})):
        file.write_bytes(kept_as)
        found = read(own)
        assert (repr(found), vars(found).keys()) == (repr(right), vars(right).keys())
    assert seen == [shown_path(own)] * 2


LAYERS = {
    "name": "Layers",
    "d_model": 8,
    "n_layers": 3,
    "vocab_size": 10,
    "attention": {
        "first": ["a"],
        "repeat": ["a", "b"],
        "variants": {
            "a": {"kind": "gqa", "n_heads": 2, "n_kv_heads": 1, "head_dim": 4},
            "b": {"kind": "gqa", "n_heads": 2, "n_kv_heads": 2, "head_dim": 4, "rope_theta": 10_000},
        },
    },
    "ffn": {"kind": "dense", "d_ff": 5},
}


@pytest.mark.parametrize(
    "change",
    [
        lambda data: data["attention"]["repeat"].append("b"),
        lambda data: data["attention"]["repeat"].pop(),
        lambda data: data["attention"].update(first="a"),
        lambda data: data["attention"].update(first={"a": 1}),
        lambda data: data["attention"]["variants"].update(c=data["attention"]["variants"]["a"]),
        lambda data: data["attention"]["variants"].pop("b"),
        lambda data: data["ffn"].update(unknown=1),
        lambda data: data["ffn"].pop("d_ff"),
        lambda data: data.update(unknown=1),
        lambda data: data.update(tie_embeddings=True),
    ],
)
def test_a_record_of_other_fields_does_not_agree(change: Callable[[dict[str, Any]], object]) -> None:
    data = copy.deepcopy(LAYERS)
    spec = ModelSpec.model_validate(data)
    assert remembered._agree(data, spec)
    change(data)
    assert not remembered._agree(data, spec)


def test_a_record_of_another_package_is_not_kept(own: Path) -> None:
    class Mine(NormStyle):
        """A user's own."""

    spec = read(own)
    remembered.keep({"x": 1}, spec.model_copy(update={"norm": Mine()}))
    assert kept_file(own).stem != remembered._key({"x": 1})


def test_what_is_edited_is_not_believed(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where the fields agree with the file: a whole number may be a decimal one, or a record a mapping."""
    right, file = read(own), kept_file(own)
    as_kept = file.read_text()
    seen = validations(monkeypatch)
    for before, after in (('"d_ff": 5', '"d_ff": 5.0'), ('"": "NormStyle", ', ""), ('"seal": "', '"seal": "0')):
        assert before in as_kept
        file.write_text(as_kept.replace(before, after))
        assert repr(read(own)) == repr(right)
    assert len(seen) == 3


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes, or no owners")
def test_what_is_not_a_file_of_the_user_is_neither_read_nor_written(own: Path) -> None:
    right, file = read(own), kept_file(own)
    folder, kept_before = file.parent, file.read_bytes()
    file.unlink()
    os.mkfifo(file)  # a pipe without a writer: opening it would wait
    assert read(own) == right
    file.unlink()
    other = own.parent / "other"
    other.write_bytes(kept_before)
    other.chmod(0o600)
    file.symlink_to(other)
    folder.chmod(0o777)
    read(own)
    assert other.read_bytes() == kept_before  # a link that somebody placed there
    file.unlink()
    read(own)
    assert list(folder.iterdir()) == []
    folder.chmod(0o700)
    read(own)
    assert file.read_bytes() == kept_before


def test_a_user_without_a_home_directory(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import platformdirs

    def none(*names: Any, **more: Any) -> Path:
        raise RuntimeError("could not determine the home directory")

    right = read(own)
    monkeypatch.delenv("LLMARCH_CACHE")
    monkeypatch.setattr(platformdirs, "user_cache_path", none)
    assert read(own) == right


@given(specs())
def test_the_record_of_every_spec_agrees_with_its_file(spec: ModelSpec) -> None:
    data = documents.plain(spec_file.plain(spec))
    assert remembered._agree(data, built(json.loads(json.dumps(plain(spec)))))


def test_a_search_keeps_only_so_many(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = kept_file(own).parent
    monkeypatch.setattr(kept, "MOST_IN_A_RUN", 3)
    monkeypatch.setattr(kept, "_written", Counter())
    for number in range(6):
        kept.keep("specs", f"{number}", {"x": number})
    assert len(list(folder.iterdir())) == 1 + 3
    assert kept.find("specs", "2") == {"key": "2", "x": 2}
    assert kept.find("specs", "3") is None
