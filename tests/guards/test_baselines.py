"""Baselines: deterministic files, exact drift, and nothing unknown in them."""

from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

import llmarch_cli
from llmarch_cli.errors import InputError
from llmarch_cli.guards import baselines
from llmarch_cli.guards.baselines import drifts, percent, tolerances
from llmarch_cli.guards.gauge import MetricAt
from llmarch_cli.specs import yaml_data

PARAMS = MetricAt("params")


def write(path: Path, *names: str, **given: Any) -> Path:
    columns = given.pop("columns", [])
    baselines.write(path, names, columns, {"engine": "closed-form", **given})
    return path


def statuses(path: Path, **tolerated: Fraction) -> dict[tuple[str, str], str]:
    found = baselines.compare(path, "closed-form", tolerated)
    return {(drift.model, str(drift.figure)): drift.status for drift in found if drift.status != "same"}


@pytest.fixture
def specs(tmp_path: Path) -> Path:
    (tmp_path / "specs").mkdir()
    for name in ("a", "b"):
        (tmp_path / "specs" / f"{name}.yaml").write_text(f"extends: gpt2\nname: {name}\n")
    return tmp_path


@pytest.fixture
def kept(specs: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(specs)
    return write(
        specs / "b.yaml", "specs/*.yaml", "gpt2", columns=["params", "kv_cache_bytes"], contexts=[8192, 100_000]
    )


def test_the_file_has_a_figure_a_line_sorted_and_exact(kept: Path) -> None:
    lines = kept.read_text().splitlines()
    start = lines.index("  gpt2:")
    ours = [llmarch_cli.profile("gpt2", context=context, engine="closed-form") for context in (8192, 100_000)]
    assert lines[start + 1 : start + 4] == [
        f"    kv_cache_bytes@8k: {ours[0].kv_cache_bytes}",
        f"    kv_cache_bytes@100000: {ours[1].kv_cache_bytes}",
        f"    params: {ours[0].params}",
    ]
    assert list(yaml.safe_load(kept.read_text())["figures"]) == ["gpt2", "specs/a.yaml", "specs/b.yaml"]


def test_what_did_not_move_is_no_drift(kept: Path) -> None:
    assert statuses(kept) == {}


def test_what_moved(kept: Path, specs: Path) -> None:
    before = kept.read_text()
    (specs / "specs" / "a.yaml").write_text("extends: gpt2\nname: a\nn_layers: 6\n")
    (specs / "specs" / "b.yaml").unlink()
    (specs / "specs" / "c.yaml").write_text("extends: gpt2\nname: c\n")
    keys = ("kv_cache_bytes@100000", "kv_cache_bytes@8k", "params")
    assert statuses(kept) == {
        (f"specs/{name}.yaml", key): status
        for name, status in (("a", "DRIFT"), ("b", "REMOVED"), ("c", "NEW"))
        for key in keys
    }
    assert statuses(kept, kv_cache_bytes=Fraction(1, 2))["specs/a.yaml", "kv_cache_bytes@8k"] == "within"
    write(kept)
    assert statuses(kept) == {}
    assert kept.read_text() != before


def test_writing_again_keeps_what_the_file_says(kept: Path) -> None:
    text = kept.read_text().replace("tolerance: {}", "tolerance:\n  params: 0.1%")
    kept.write_text(text)
    write(kept)
    assert kept.read_text() == text


def test_paths_are_from_the_file(specs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(specs / "specs")
    write(specs / "kept.yaml", "a.yaml")
    assert yaml.safe_load((specs / "kept.yaml").read_text())["models"] == ["specs/a.yaml"]
    monkeypatch.chdir("/")
    assert statuses(specs / "kept.yaml") == {}


def test_a_removed_model_is_drift_and_a_name_that_never_was_is_an_error(kept: Path, specs: Path) -> None:
    kept.write_text(kept.read_text().replace("- gpt2\n", "- gtp2\n"))
    with pytest.raises(InputError, match=r"b\.yaml:\d+: models: 'gtp2' matches no model; did you mean gpt2"):
        statuses(kept)


def test_columns_added_or_taken_by_hand_are_told(kept: Path) -> None:
    kept.write_text(kept.read_text().replace("- kv_cache_bytes\n", "- active_params\n"))
    found = statuses(kept)
    assert found["gpt2", "active_params"] == "NEW"
    assert found["gpt2", "kv_cache_bytes@8k"] == "REMOVED"


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("schema_version: 1", "schema_version: 2", "schema_version: must be 1, not 2"),
        ("schema_version: 1\n", "", "schema_version: required, but missing"),
        ("batch: 1", "bach: 1", "bach: unknown field; did you mean batch"),
        ("- params", "- parms", "unknown metric 'parms'"),
        ("- params", "- active_share", "is a ratio"),
        ("    params: ", "    parms: ", "unknown metric 'parms'"),
        ("    params: ", "    params@8k: ", "does not depend on the context"),
        ("    params: ", "    params: -", "must be at least 0"),
        ("    params: ", "    params: 0.", "must be a whole number"),
        ("tolerance: {}", "tolerance: {parms: 1%}", "unknown metric 'parms'"),
        ("tolerance: {}", "tolerance: {params: 0.1}", "must be text"),
        ("tolerance: {}", "tolerance: {params: a bit}", "a tolerance is a percentage such as 0.1%, not 'a bit'"),
        ("contexts:", "contexts: []\ncontext:", "context: unknown field"),
    ],
)
def test_a_bad_file(kept: Path, old: str, new: str, told: str) -> None:
    kept.write_text(kept.read_text().replace(old, new, 1))
    with pytest.raises(InputError) as error:
        statuses(kept)
    assert told in str(error.value)
    assert str(error.value).startswith(str(kept))
    with pytest.raises(InputError):
        write(kept)


def test_nothing_is_written_where_something_is_wrong(tmp_path: Path) -> None:
    for names, wrong in ((["gtp2"], {}), (["gpt2"], {"columns": ["parms"]}), (["gpt2"], {"columns": ["active_share"]})):
        with pytest.raises(InputError):
            write(tmp_path / "b.yaml", *names, **wrong)
    assert list(tmp_path.iterdir()) == []


def test_a_figure_under_two_names_is_refused(kept: Path) -> None:
    text = kept.read_text()
    assert "kv_cache_bytes@8k: " in text
    kept.write_text(text.replace("    kv_cache_bytes@8k: ", "    kv_cache_bytes@8192: 1\n    kv_cache_bytes@8k: "))
    with pytest.raises(InputError, match=r"b\.yaml:\d+: kv_cache_bytes@8k is a duplicate of"):
        statuses(kept)


def test_a_link_stays_a_link(kept: Path) -> None:
    link = kept.with_name("link.yaml")
    link.symlink_to(kept.name)
    before = kept.read_text()
    kept.write_text(before.replace("params: ", "params: 1"))
    write(link)
    assert link.is_symlink()
    assert kept.read_text() == before


def test_nothing_else_is_touched(kept: Path) -> None:
    other = kept.with_name("b.yaml.new")
    other.write_text("keep\n")
    kept.chmod(0o640)
    before = sorted(kept.parent.iterdir())
    write(kept)
    assert other.read_text() == "keep\n"
    assert kept.stat().st_mode & 0o777 == 0o640
    assert sorted(kept.parent.iterdir()) == before


def test_what_cannot_be_written_is_called_by_its_own_name(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as error:
        write(tmp_path / "nowhere" / "b.yaml", "gpt2")
    assert error.value.filename == str(tmp_path / "nowhere" / "b.yaml")


def test_what_could_not_be_read_is_not_written(kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before, files = kept.read_text(), sorted(kept.parent.iterdir())
    monkeypatch.setattr(yaml_data, "MAX_VALUES", 100)
    with pytest.raises(InputError, match=r"b\.yaml: 70 values are too many for one baseline"):
        baselines.write(kept, ["gpt2"], ["kv_cache_bytes"], {"contexts": [*range(1, 71)], "engine": "closed-form"})
    assert kept.read_text() == before
    assert sorted(kept.parent.iterdir()) == files


@given(st.integers(0, 10**20), st.integers(0, 10**20), st.fractions(0, 2))
def test_tolerance_is_of_what_it_was(before: int, after: int, share: Fraction) -> None:
    (drift,) = drifts({"m": {PARAMS: before}}, {"m": {PARAMS: after}}, {"params": share})
    assert drift.is_beyond == (abs(after - before) > share * before)
    assert drift.change == after - before


def test_percentages_are_exact() -> None:
    assert percent("0.1%") == Fraction(1, 1000)
    assert tolerances(["params=0.1%", "buffers=2 %"]) == {"params": Fraction(1, 1000), "buffers": Fraction(1, 50)}
    with pytest.raises(InputError, match="--tolerance: params is given twice"):
        tolerances(["params=1%", "params=2%"])
    for wrong in ("params", "params=", "params=1", "params=-1%", "parms=1%", "active_share=1%", "=1%"):
        with pytest.raises(InputError):
            tolerances([wrong])
