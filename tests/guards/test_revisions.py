"""Specs at a git revision."""

import json
import os
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from repositories import git

from llmarch_cli.errors import InputError
from llmarch_cli.guards import commit, revisions
from llmarch_cli.profilers.cost import Workload
from llmarch_cli.specs import documents
from llmarch_cli.specs.spec import ModelSpec


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
        (["specs/*.yaml"], "--output=x", "not a git revision"),
        (["gpt2"], "HEAD", "give paths relative to this directory"),
        (["/etc/x.yaml"], "HEAD", "give paths relative to this directory"),
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

    inner = git("rev-parse", f"{forged(tmp_path, ('120000', 'made.yaml', made))}^{{tree}}")
    twice = forged(tmp_path, ("120000", "a", lead), ("40000", "a", inner))
    with pytest.raises(InputError, match="a forged commit: 'a' is not a file's name"):
        statuses("specs/same.yaml", since=twice)
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


def forged(tmp_path: Path, *entries: tuple[str, str, str]) -> str:
    """A commit whose tree has these entries: mode, name and object. Git itself makes no such trees."""
    raw = b"".join(f"{mode} {name}\0".encode() + bytes.fromhex(thing) for mode, name, thing in entries)
    (tmp_path / "tree").write_bytes(raw)
    tree = git("hash-object", "-w", "--literally", "-t", "tree", str(tmp_path / "tree"))
    return git("commit-tree", tree, "-m", "forged")


@given(place=st.text("/.ab", min_size=1, max_size=9), mode=st.sampled_from(["100644", "120000"]), data=st.data())
@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_path_of_a_commit_leads_out(tmp_path: Path, place: str, mode: str, data: st.DataObject) -> None:
    """Whatever an entry of a tree is called, nothing is written outside the directory that is made for it."""
    outside = tmp_path / "outside"
    outside.mkdir(exist_ok=True)
    name = data.draw(st.sampled_from([f"{place}.yaml", str(outside / "x.yaml"), f"../outside/{place}.yaml", ".."]))
    blob = git("rev-parse", "HEAD:specs/same.yaml")
    commit = forged(tmp_path, (mode, name, blob))
    if "/" in name or name in (".", ".."):
        with pytest.raises(InputError, match="a forged commit"):
            statuses("specs/same.yaml", since=commit)
    else:
        statuses("specs/same.yaml", since=commit)
    assert list(outside.iterdir()) == []


def test_a_spec_of_a_commit_extends_nothing_outside_it(repository: Path, tmp_path: Path) -> None:
    (tmp_path.parent / "secret.yaml").write_text("extends: gpt2\n")
    for name, target in {"up": "../../../secret.yaml", "absolute": str(tmp_path.parent / "secret.yaml")}.items():
        (repository / f"{name}.yaml").write_text(f"extends: {target}\n")
    git("add", ".")
    git("commit", "--quiet", "--message=out")
    for name in ("up", "absolute"):
        (repository / f"{name}.yaml").write_text("extends: gpt2\n")
    found, unreadable = statuses("specs/up.yaml", "specs/absolute.yaml")
    assert unreadable == ["specs/up.yaml", "specs/absolute.yaml"]
    assert set(found) == {"specs/up.yaml", "specs/absolute.yaml"}


def put(place: Path, **settings: object) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(json.dumps({"model_type": "llama", **settings}))


@pytest.fixture
def configs(repository: Path) -> Path:
    """A directory in the repository with two configs, and one at its top."""
    models = repository.parent / "models"
    for place in (models / "a" / "config.json", models / "b.json", repository.parent / "config.json"):
        put(place)
    (models / "a" / "tokenizer.json").write_text("{}")
    (models / "spec.yaml").write_text("extends: a/config.json\nn_layers: 5\n")
    git("add", ".")
    git("commit", "--quiet", "--message=configs")
    return models


EVERY_CONFIG = ("models/a/config.json", "models/b.json", "config.json")


def test_a_config_is_a_model(configs: Path) -> None:
    assert statuses(*EVERY_CONFIG) == ({}, [])
    for name in EVERY_CONFIG:
        put(Path(name), num_hidden_layers=31)
    put(configs / "new.json")
    found = {name: {"DRIFT"} for name in EVERY_CONFIG}
    assert statuses(*EVERY_CONFIG) == (found, [])
    assert statuses("*.json", "models/*.json", "**/config.json") == ({**found, "models/new.json": {"NEW"}}, [])
    for name in EVERY_CONFIG:
        Path(name).unlink()
    removed = {name: {"REMOVED"} for name in EVERY_CONFIG}
    assert statuses(*EVERY_CONFIG) == (removed, [])
    assert statuses("**/config.json", "models/b.json") == (removed, [])


def test_a_config_is_found_by_its_directory(configs: Path) -> None:
    for name in ("models/a", "models/a/", "./models/a"):
        assert statuses(name) == ({}, [])
    put(configs / "a" / "config.json", num_hidden_layers=31)
    assert statuses("models/a") == ({"models/a": {"DRIFT"}}, [])
    (configs / "a" / "config.json").unlink()
    assert statuses("models/a") == ({"models/a": {"REMOVED"}}, [])
    put(configs / "new" / "config.json")
    assert statuses("models/new") == ({"models/new": {"NEW"}}, [])
    with pytest.raises(InputError, match="'models' matches no file, neither here nor at 'HEAD'"):
        statuses("models")


def test_an_unchanged_config_is_not_measured(configs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []

    def noted(specs: dict[str, ModelSpec], *_: object) -> dict[str, dict[object, int]]:
        seen.extend(specs)
        return {}

    monkeypatch.setattr(revisions, "measured", noted)
    assert statuses(*EVERY_CONFIG, "models/a", "models/spec.yaml") == ({}, [])
    assert not seen


def test_a_spec_changes_with_the_config_that_it_extends(configs: Path) -> None:
    put(configs / "a" / "config.json", vocab_size=100)
    found, unreadable = statuses("models/spec.yaml")
    assert (found, unreadable) == ({"models/spec.yaml": {"DRIFT", "same"}}, [])


def test_a_config_of_a_commit_that_cannot_be_read_is_said(configs: Path) -> None:
    (configs / "b.json").write_text("{}")
    git("commit", "--quiet", "--all", "--message=broken")
    put(configs / "b.json")
    assert statuses("models/*.json") == ({"models/b.json": {"NEW"}}, ["models/b.json"])


def test_a_config_of_a_commit_is_nothing_outside_it(configs: Path, tmp_path: Path) -> None:
    put(tmp_path / "out" / "config.json")
    (configs / "link.json").symlink_to(tmp_path / "out" / "config.json")
    (configs / "directory").symlink_to(tmp_path / "out")
    (configs / "a" / "inside.json").symlink_to("config.json")
    (configs / "linked").symlink_to("a")
    (configs / "up.yaml").write_text("extends: ../../out/config.json\n")
    git("add", ".")
    git("commit", "--quiet", "--message=links")
    assert statuses("models/a/inside.json", "models/linked", "models/linked/config.json") == ({}, [])
    for name in ("models/link.json", "models/directory", "models/directory/config.json"):
        assert statuses(name) == ({name: {"NEW"}}, [])
    assert statuses("models/up.yaml") == ({"models/up.yaml": {"NEW"}}, ["models/up.yaml"])


def test_what_a_spec_extends_is_read_wherever_it_is_in_the_commit(repository: Path) -> None:
    (repository.parent / "far").mkdir()
    (repository.parent / "far" / "base.yml").write_text("extends: gpt2\nn_layers: 4\n")
    (repository / "one.yaml").write_text("extends: ../far/base.yml\n")
    git("add", ".")
    git("commit", "--quiet", "--message=far")
    assert statuses("specs/one.yaml") == ({}, [])
    (repository.parent / "far" / "base.yml").write_text("extends: gpt2\nn_layers: 5\n")
    assert statuses("specs/one.yaml") == ({"specs/one.yaml": {"DRIFT"}}, [])


# Settings of a repository that name a program which git runs for a fetch, for reading objects, or around any command.
PROGRAMS = (
    "alias.cat-file",
    "alias.rev-parse",
    "core.alternateRefsCommand",
    "core.askPass",
    "core.editor",
    "core.fsmonitor",
    "core.gitProxy",
    "core.pager",
    "core.sshCommand",
    "credential.helper",
    "diff.external",
    "filter.x.clean",
    "filter.x.smudge",
    "gpg.program",
    "pager.cat-file",
    "pager.rev-parse",
    "remote.origin.uploadpack",
    "remote.origin.receivepack",
    "sequence.editor",
    "uploadpack.packObjectsHook",
)
REMOTES = ("ssh://x/y", "git://x/y", "https://x/y", "ext::{command}", "{directory}", "file://{directory}", "x::y")


@pytest.mark.parametrize("url", REMOTES)
@pytest.mark.parametrize("variables", [{}, {"GIT_NO_LAZY_FETCH": "0"}], ids=["git", "an older git"])
def test_nothing_that_a_repository_configures_is_run(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, url: str, variables: dict[str, str]
) -> None:
    """Even where an object is missing, which git would fetch from the remote that promised it."""
    (repository / "lost.yaml").write_text("extends: gpt2\nn_layers: 7\n")
    git("add", ".")
    git("commit", "--quiet", "--message=lost")
    missing = git("rev-parse", "HEAD:specs/lost.yaml")
    ran = tmp_path / "ran"
    program = tmp_path / "program"
    program.write_text(f'#!/bin/sh\necho "$0 $*" >> "{ran}"\nexit 1\n')
    program.chmod(0o755)
    hooks = Path(".git") / "hooks"
    hooks.mkdir(exist_ok=True)
    for hook in ("post-checkout", "reference-transaction", "pre-auto-gc", "fsmonitor-watchman", "post-index-change"):
        program.with_name(hook).write_bytes(program.read_bytes())
        (hooks / hook).symlink_to(program)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    (tmp_path / "bin").mkdir()
    for helper in ("git-remote-x", "git-remote-ext", "git-remote-https"):
        (tmp_path / "bin" / helper).symlink_to(program)
    for name in PROGRAMS:
        git("config", name, str(program))
    for name, value in {
        "core.repositoryFormatVersion": "1",
        "extensions.partialClone": "origin",
        "remote.origin.promisor": "true",
        "remote.origin.url": url.format(command=f"{program} x", directory=tmp_path),
        "protocol.allow": "always",
        **{f"protocol.{name}.allow": "always" for name in ("ext", "file", "ssh", "git", "https", "x")},
    }.items():
        git("config", name, value)
    root = Path(git("rev-parse", "--git-dir"))
    (root / "objects" / missing[:2] / missing[2:]).unlink()
    ran.unlink(missing_ok=True)

    monkeypatch.setattr(commit, "_VARIABLES", {**commit._VARIABLES, **variables})
    with pytest.raises(InputError, match="is missing here: fetch it first"):
        statuses("specs/lost.yaml")
    assert statuses("specs/same.yaml") == ({}, [])
    assert not ran.exists(), ran.read_text()


def test_a_large_file_is_not_read(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (repository / "large.yaml").write_text("#" * (documents.MAX_BYTES + 1))
    git("add", ".")
    git("commit", "--quiet", "--message=large")
    (repository / "large.yaml").write_text("extends: gpt2\n")
    sizes: list[int] = []
    read = commit.Objects.read

    def noted(self: commit.Objects, name: str, most: int) -> bytes | None:
        content = read(self, name, most)
        sizes.append(len(content or b""))
        return content

    monkeypatch.setattr(commit.Objects, "read", noted)
    assert statuses("specs/l*.yaml") == ({"specs/large.yaml": {"NEW"}}, ["specs/large.yaml"])
    assert max(sizes) < 1000


def test_only_what_was_asked_for_is_listed(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blob = git("rev-parse", "HEAD:specs/same.yaml")

    def tree(*entries: str) -> str:
        (repository / "list").write_text("".join(f"{entry}\n" for entry in entries))
        with (repository / "list").open("rb") as lines:
            return subprocess.run(
                ["git", "mktree"], stdin=lines, capture_output=True, text=True, check=True
            ).stdout.strip()

    bomb = tree(f"100644 blob {blob}\ta.yaml")
    for _ in range(7):  # 10 million files in 8 objects
        bomb = tree(*(f"040000 tree {bomb}\td{i}" for i in range(10)))
    top = tree(f"040000 tree {bomb}\tbomb", f"100644 blob {blob}\ts.yaml")
    made = git("commit-tree", top, "-m", "bomb")
    monkeypatch.chdir(git("rev-parse", "--show-toplevel"))
    Path("s.yaml").write_text("extends: gpt2\n")
    assert statuses("s.yaml", since=made) == ({}, [])
    assert statuses("bomb/d1/d1/d1/d1/d1/d1/*/*.yaml", since=made)[0].keys() == {
        f"bomb/d1/d1/d1/d1/d1/d1/d{i}/a.yaml" for i in range(10)
    }
    with pytest.raises(InputError, match="more than 100,000 files and directories to search"):
        statuses("**/*.yaml", since=made)
