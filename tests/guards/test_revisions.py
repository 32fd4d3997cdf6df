"""What specs were at a revision of git."""

import subprocess
from pathlib import Path

import pytest

from llmarch_cli.errors import InputError
from llmarch_cli.guards import revisions
from llmarch_cli.profilers.cost import Workload


def git(*arguments: str) -> None:
    subprocess.run(["git", "-c", "user.name=x", "-c", "user.email=x@example.com", *arguments], check=True)


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


def test_without_a_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "none"))
    with pytest.raises(InputError, match="git"):
        statuses("specs/same.yaml")
