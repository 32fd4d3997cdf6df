"""What specs were at a revision of git."""

import os
from pathlib import Path

import pytest
from repositories import git

from llmarch_cli.errors import InputError
from llmarch_cli.guards import revisions
from llmarch_cli.profilers.cost import Workload


@pytest.fixture(autouse=True)
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with four specs: `child` extends `parent`."""
    specs = tmp_path / "in" / "specs"
    specs.mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "in")
    for name, text in {
        "parent": "extends: gpt2\n",
        "child": "extends: parent.yaml\n",
        "same": "extends: gpt2\n",
        "gone": "extends: gpt2\n",
        "old": "extends: gpt2\nno_such_field: 1\n",
    }.items():
        (specs / f"{name}.yaml").write_text(text)
    git("init", "--quiet")
    git("add", ".")
    git("commit", "--quiet", "--message=specs")
    return specs


def statuses(*names: str, since: str = "HEAD") -> tuple[dict[str, set[str]], list[str]]:
    found, unreadable = revisions.since(since, names, [8192], ["params", "kv_cache_bytes"], Workload(1), "closed-form")
    by_model: dict[str, set[str]] = {}
    for drift in found:
        by_model.setdefault(drift.model, set()).add(drift.status)
    return by_model, unreadable


def test_a_branch(repository: Path) -> None:
    (repository / "parent.yaml").write_text("extends: gpt2\nn_layers: 3\n")
    (repository / "gone.yaml").unlink()
    (repository / "old.yaml").write_text("extends: gpt2\n")
    (repository / "new.yaml").write_text("extends: gpt2\n")
    found, unreadable = statuses("specs/*.yaml")
    assert found == {
        "specs/parent.yaml": {"DRIFT"},
        "specs/child.yaml": {"DRIFT"},
        "specs/gone.yaml": {"REMOVED"},
        "specs/new.yaml": {"NEW"},
        "specs/old.yaml": {"NEW"},
    }
    assert unreadable == ["specs/old.yaml"]


def test_a_file_by_its_path(repository: Path) -> None:
    assert statuses("specs/same.yaml") == ({}, [])
    (repository / "gone.yaml").unlink()
    assert statuses("specs/gone.yaml") == ({"specs/gone.yaml": {"REMOVED"}}, [])


@pytest.mark.parametrize(
    ("names", "since", "told"),
    [
        (["specs/none.yaml"], "HEAD", "matches no file, neither here nor at 'HEAD'"),
        (["specs/*.yaml"], "HEAD~9", "git has no revision 'HEAD~9' here: fetch it first"),
        (["specs/*.yaml"], "--output=x", "no revision"),
        (["gpt2"], "HEAD", "name files by paths from here"),
        (["/etc/x.yaml"], "HEAD", "name files by paths from here"),
        (["specs/old.yaml"], "HEAD", "no_such_field: unknown field"),
    ],
)
def test_bad_input(names: list[str], since: str, told: str) -> None:
    with pytest.raises(InputError) as error:
        statuses(*names, since=since)
    assert told in str(error.value)


def test_a_link_is_what_it_leads_to_inside_the_repository(repository: Path, tmp_path: Path) -> None:
    (tmp_path / "outside.yaml").write_text("extends: gpt2\nn_layers: 2\n")
    for name, target in {
        "link": "parent.yaml",
        "out": "../../outside.yaml",
        "absolute": str(tmp_path / "outside.yaml"),
        "loop": "loop.yaml",
    }.items():
        (repository / f"{name}.yaml").symlink_to(target)
    (repository / "here").symlink_to(".")
    (repository / "around.yaml").symlink_to("here/../../outside.yaml")
    git("add", ".")
    git("commit", "--quiet", "--message=links")
    assert statuses("specs/link.yaml") == ({}, [])
    (repository / "parent.yaml").write_text("extends: gpt2\nn_layers: 3\n")
    assert statuses("specs/link.yaml") == ({"specs/link.yaml": {"DRIFT"}}, [])
    for name in ("out", "absolute", "around"):
        assert statuses(f"specs/{name}.yaml") == ({f"specs/{name}.yaml": {"NEW"}}, [])


def test_nothing_is_written_through_a_link(repository: Path, tmp_path: Path) -> None:
    """Only a forged commit has one path twice, as a link and as a directory."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (repository / "lead").symlink_to(outside)
    (repository / "made.yaml").symlink_to("elsewhere")
    git("add", ".")
    lead, made = (git("rev-parse", f":specs/{name}") for name in ("lead", "made.yaml"))

    def tree(*entries: tuple[str, str, str]) -> str:
        raw = b"".join(f"{mode} {name}\0".encode() + bytes.fromhex(thing) for mode, name, thing in entries)
        (tmp_path / "tree").write_bytes(raw)
        return git("hash-object", "-w", "--literally", "-t", "tree", str(tmp_path / "tree"))

    forged = tree(("120000", "a", lead), ("40000", "a", tree(("120000", "made.yaml", made))))
    with pytest.raises(InputError, match="a is a link and something else in one commit"):
        statuses("specs/same.yaml", since=git("commit-tree", forged, "-m", "forged"))
    assert list(outside.iterdir()) == []


def test_a_spec_in_a_submodule_is_refused(repository: Path, tmp_path: Path) -> None:
    git("init", "--quiet", str(tmp_path / "other"))
    (tmp_path / "other" / "one.yaml").write_text("extends: gpt2\n")
    git("-C", str(tmp_path / "other"), "add", ".")
    git("-C", str(tmp_path / "other"), "commit", "--quiet", "--message=one")
    git("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(tmp_path / "other"), "specs/sub")
    git("commit", "--quiet", "--message=sub")
    with pytest.raises(InputError, match=r"'specs/sub/one\.yaml' is in the submodule specs/sub: run `drift` there"):
        statuses("specs/**/*.yaml")
    assert statuses("specs/same.yaml") == ({}, [])


def test_an_object_that_is_not_there_is_said(repository: Path) -> None:
    name = git("rev-parse", "HEAD:specs/same.yaml")
    (Path(".git") / "objects" / name[:2] / name[2:]).unlink()
    with pytest.raises(InputError, match=f"git cat-file: {name} is missing here: fetch it first"):
        statuses("specs/same.yaml")


@pytest.mark.parametrize("name", [b"trailing \n", b"n\xc3\xb6t utf \xff"])
def test_a_directory_may_have_any_name(repository: Path, monkeypatch: pytest.MonkeyPatch, name: bytes) -> None:
    directory = repository / os.fsdecode(name)
    directory.mkdir()
    (directory / "x.yaml").write_text("extends: gpt2\n")
    git("add", ".")
    git("commit", "--quiet", "--message=odd")
    (directory / "x.yaml").write_text("extends: gpt2\nn_layers: 3\n")
    monkeypatch.chdir(directory)
    assert statuses("x.yaml") == ({"x.yaml": {"DRIFT"}}, [])


def test_without_a_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "none"))
    with pytest.raises(InputError, match="git"):
        statuses("specs/same.yaml")
