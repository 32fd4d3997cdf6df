"""The GitHub Action, the pre-commit hooks and the forms: their rules, and the action's own scripts run by bash."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator
from repositories import git

from llmarch_cli.guards import baselines

ROOT = Path(__file__).parents[1]
ACTION: dict[str, Any] = yaml.safe_load((ROOT / "action.yml").read_text())
STEPS: list[dict[str, Any]] = ACTION["runs"]["steps"]


def test_it_is_a_composite_action() -> None:
    assert set(ACTION) <= {"name", "description", "author", "branding", "inputs", "outputs", "runs"}
    assert {"name", "description", "runs"} <= set(ACTION)
    assert ACTION["runs"]["using"] == "composite"
    for step in STEPS:
        assert ("run" in step) != ("uses" in step)
        assert "run" not in step or step["shell"] == "bash"
        assert set(step) <= {"name", "id", "if", "env", "run", "shell", "working-directory", "uses", "with"}
    for settings in ACTION["inputs"].values():
        assert set(settings) <= {"description", "default", "required"}
        assert isinstance(settings["default"], str)


def test_no_script_holds_an_expression() -> None:
    """What an input says is data to the shell, never part of a script."""
    assert not any("${{" in step.get("run", "") for step in STEPS)


def test_every_input_is_used_and_every_used_one_is_there() -> None:
    text = yaml.safe_dump(ACTION["runs"])
    assert set(re.findall(r"inputs\.([\w-]+)", text)) == set(ACTION["inputs"])


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout whose last commit makes a spec deeper."""
    root = tmp_path / "a checkout"
    (root / "specs").mkdir(parents=True)
    monkeypatch.chdir(root)
    git("init", "--quiet")
    Path("specs/one.yaml").write_text("extends: gpt2\n")
    Path("specs/other.yaml").write_text("extends: gpt2\n")
    Path("budgets.yaml").write_text("budgets: [{models: [specs/*.yaml], limits: [params <= 125M]}]\n")
    git("add", ".")
    git("commit", "--quiet", "--message=base")
    Path("specs/one.yaml").write_text("extends: gpt2\nn_layers: 13\n")
    git("commit", "--quiet", "--all", "--message=head")
    return root


def run(name: str, repository: Path, **inputs: str) -> tuple[int, str, str]:
    """One step's script, as a runner would start it: its status, the job's summary, and what it said."""
    step = next(step for step in STEPS if step["name"] == name)
    given = {key: settings["default"] for key, settings in ACTION["inputs"].items()} | inputs
    values = {
        key: re.sub(r"\$\{\{ inputs\.([\w-]+) \}\}", lambda match: given[match[1]], value)
        for key, value in step["env"].items()
    }
    bin_directory = repository.parent / "bin"
    bin_directory.mkdir(exist_ok=True)
    program = bin_directory / "llmarch"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m llmarch_cli "$@"\n')
    program.chmod(0o755)
    summary = repository.parent / "summary.md"
    summary.touch()
    script = repository.parent / "step.sh"
    script.write_text(step["run"])
    env = {
        **os.environ,
        **values,
        "PATH": f"{bin_directory}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "GITHUB_STEP_SUMMARY": str(summary),
    }
    command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", str(script)]  # as GitHub starts `shell: bash`
    done = subprocess.run(command, cwd=repository, env=env, capture_output=True, text=True, check=False)
    return done.returncode, summary.read_text(), done.stdout + done.stderr


def test_changed_figures_are_in_the_summary(repository: Path) -> None:
    status, summary, said = run(
        "Changed figures",
        repository,
        base=git("rev-parse", "HEAD^"),
        specs="specs/*.yaml\n\n",
        contexts="1k 8k",
        engine="closed-form",
    )
    assert (status, said) == (0, "")
    assert "| specs/one.yaml | params | 124,439,808 | 131,527,680 | +7,087,872 | +5.70% | changed |" in summary
    assert "kv_cache_bytes@1k" in summary
    assert "kv_cache_bytes@8k" in summary
    assert "other.yaml" not in summary


def test_a_base_that_a_shallow_checkout_lacks_is_fetched(repository: Path, tmp_path: Path) -> None:
    base = git("rev-parse", "HEAD^")
    git("config", "uploadpack.allowAnySHA1InWant", "true")
    shallow = tmp_path / "shallow"
    git("clone", "--quiet", "--depth=1", repository.as_uri(), str(shallow))
    status, summary, said = run("Changed figures", shallow, base=base, specs="specs/*.yaml", engine="closed-form")
    assert (status, said) == (0, "")
    assert "131,527,680" in summary


@pytest.mark.parametrize("base", ["", "0" * 40])
def test_without_a_revision_to_compare_with_the_summary_says_so(repository: Path, base: str) -> None:
    status, summary, said = run("Changed figures", repository, base=base, specs="specs/*.yaml")
    assert (status, said) == (0, "")
    assert "Nothing to compare with" in summary


def test_a_branch_that_a_shallow_checkout_lacks_is_fetched(repository: Path, tmp_path: Path) -> None:
    git("branch", "before", "HEAD^")
    shallow = tmp_path / "shallow"
    git("clone", "--quiet", "--depth=1", repository.as_uri(), str(shallow))
    status, summary, said = run("Changed figures", shallow, base="before", specs="specs/*.yaml", engine="closed-form")
    assert (status, said) == (0, "")
    assert "131,527,680" in summary


def test_nothing_changed_is_said(repository: Path) -> None:
    status, summary, _ = run("Changed figures", repository, base="HEAD", specs="specs/*.yaml", engine="closed-form")
    assert status == 0
    assert "0 models with changed metrics since HEAD." in summary


@pytest.mark.parametrize(
    ("step", "inputs"),
    [
        ("Changed figures", {"base": "f" * 40, "specs": "specs/*.yaml"}),
        ("Budgets", {"budgets": "none.yaml"}),
        ("Baseline", {"baseline": "none.yaml"}),
    ],
)
def test_what_could_not_be_done_is_in_the_summary(repository: Path, step: str, inputs: dict[str, str]) -> None:
    status, summary, said = run(step, repository, engine="closed-form", **inputs)
    assert status == 2
    assert "the log says why." in summary
    assert said.splitlines()[-1].startswith("error: ")


@pytest.mark.parametrize("specs", ["$(touch pwned)/*.yaml", "--help", "x.yaml; touch pwned"])
def test_an_input_is_no_script(repository: Path, specs: str) -> None:
    status, _, said = run("Changed figures", repository, base=git("rev-parse", "HEAD^"), specs=specs)
    assert status == 2
    assert said.startswith("error: ")
    assert not (repository / "pwned").exists()


def test_a_limit_that_is_not_kept_fails_the_step_and_is_in_the_summary(repository: Path) -> None:
    status, summary, _ = run("Budgets", repository, budgets="budgets.yaml", engine="closed-form")
    assert status == 1
    assert "1 of 2 limits EXCEEDED." in summary
    (repository / "specs" / "one.yaml").write_text("extends: gpt2\n")
    assert run("Budgets", repository, budgets="budgets.yaml", engine="closed-form")[0] == 0


def test_a_baseline_is_held_to(repository: Path) -> None:
    write = [
        sys.executable,
        "-m",
        "llmarch_cli",
        "baseline",
        "write",
        "kept.yaml",
        "specs/*.yaml",
        "--engine=closed-form",
    ]
    subprocess.run(write, cwd=repository, env={**os.environ, "PYTHONPATH": str(ROOT)}, check=True, capture_output=True)
    assert run("Baseline", repository, baseline="kept.yaml", engine="closed-form")[0] == 0
    (repository / "specs" / "one.yaml").write_text("extends: gpt2\n")
    status, summary, _ = run("Baseline", repository, baseline="kept.yaml", engine="closed-form")
    assert status == 1
    assert "-7,087,872" in summary


def blocks(page: str) -> list[Any]:
    """The YAML blocks of a page."""
    return [yaml.safe_load(text) for text in re.findall(r"```yaml\n(.*?)```", (ROOT / page).read_text(), re.DOTALL)]


def test_the_documented_workflow_is_whole_and_gives_inputs_that_there_are() -> None:
    (workflow,) = (block for block in blocks("docs/ci.md") if "jobs" in block)
    assert {"name", "permissions", "jobs"} <= set(workflow)
    (job,) = workflow["jobs"].values()
    checkout, ours = job["steps"]
    assert checkout["uses"] == "actions/checkout@v4"
    assert ours["uses"] == "OWNER/llmarch@REVISION"
    assert set(ours["with"]) <= set(ACTION["inputs"])


def test_the_documented_budgets_fit_the_committed_schema_and_no_unknown_field_does() -> None:
    schema = Draft202012Validator(json.loads((ROOT / "docs" / "budgets.schema.json").read_text()))
    documented = [block for block in blocks("docs/ci.md") if "budgets" in block]
    assert len(documented) > 1
    for budgets in documented:
        assert list(schema.iter_errors(budgets)) == []
        for wrong in (
            {**budgets, "budget": []},
            {"budgets": [{**budgets["budgets"][0], "limit": []}]},
            {"budgets": [{**budgets["budgets"][0], "limits": ["parms <= 1"]}]},
        ):
            assert list(schema.iter_errors(wrong)) != []


def test_a_baseline_fits_the_committed_schema_and_no_unknown_field_does(tmp_path: Path) -> None:
    schema = Draft202012Validator(json.loads((ROOT / "docs" / "baseline.schema.json").read_text()))
    baselines.write(tmp_path / "kept.yaml", ["gpt2", "gemma3-1b"], [], {"contexts": [8192], "engine": "closed-form"})
    kept = yaml.safe_load((tmp_path / "kept.yaml").read_text())
    kept["tolerance"] = yaml.safe_load(
        re.findall(r"^  flops.*$", (ROOT / "docs" / "ci.md").read_text(), re.MULTILINE)[0]
    )
    assert list(schema.iter_errors(kept)) == []
    for wrong in (
        {**kept, "tolerances": {}},
        {**kept, "figures": {"gpt2": {"params": -1}}},
        {**kept, "columns": ["parms"]},
    ):
        assert list(schema.iter_errors(wrong)) != []


def test_the_documented_hooks_are_those_that_there_are() -> None:
    theirs, local = (block["repos"][0] for block in blocks("docs/ci.md") if "repos" in block)
    (hook,) = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())
    assert theirs["hooks"][0]["id"] == local["hooks"][0]["id"] == hook["id"]
    assert local["hooks"][0]["entry"] == hook["entry"]
    assert re.search(local["hooks"][0]["files"], "specs/mine.yaml")


def test_hooks_say_what_pre_commit_needs() -> None:
    (hook,) = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())
    assert {"id", "name", "entry", "language"} <= set(hook)
    assert hook["entry"] == "llmarch validate"
    assert re.search(hook["files"], "model_specs/gpt2.yaml")
    assert re.search(hook["files"], "a/specs/x.yml")
    assert not re.search(hook["files"], ".github/workflows/ci.yml")


def test_our_own_configuration_is_yaml_that_names_what_there_is() -> None:
    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())
    hooks = [hook for repo in config["repos"] for hook in repo["hooks"]]
    assert all({"id", "name", "entry", "language"} <= set(hook) for hook in hooks)
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text())
    assert workflow["jobs"]["check"]["steps"][-1]["run"] == ".ci/run"
    assert (ROOT / ".ci" / "run").stat().st_mode & 0o111
    for form in (ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml"):
        assert {"name", "description", "body"} <= set(yaml.safe_load(form.read_text())), form
