"""Without torch and the other large libraries: everything that needs no module works, and the rest names its extra."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from test_wheel import Distributions, built, site

from llmarch_cli.extras import EXTRAS, missing

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
LIBRARIES = {library for libraries in EXTRAS.values() for library in libraries}

__all__ = ["Distributions", "built", "site"]

# Importing any of the libraries fails, as if it were not installed.
BLOCKED = f"""
import importlib.abc, importlib.machinery, sys
class Blocked(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {sorted(LIBRARIES)!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Blocked())
import importlib.util
right = importlib.util.find_spec
importlib.util.find_spec = lambda name, package=None: None if name in {sorted(LIBRARIES)!r} else right(name, package)
from llmarch_cli.cli import main
sys.argv = ["llmarch", *sys.argv[1:]]
sys.exit(main())
"""


def llmarch(site: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(site), "COLUMNS": "100"}
    environment.pop("LLMARCH_ENGINE", None)
    return subprocess.run(
        [sys.executable, "-c", BLOCKED, *arguments], cwd=site, env=environment, capture_output=True, text=True
    )


def libraries_of(requirements: list[str]) -> set[str]:
    return {Requirement(each).name for each in requirements}


def test_each_library_is_in_the_extra_that_is_named_and_not_needed_by_all() -> None:
    extras = {name: libraries_of(each) for name, each in PROJECT["optional-dependencies"].items()}
    for extra, libraries in EXTRAS.items():
        assert set(libraries) <= extras[extra]
        assert not set(libraries) & libraries_of(PROJECT["dependencies"])
    inside = [Requirement(each) for each in PROJECT["optional-dependencies"]["all"]]
    assert set(EXTRAS) <= {extra for each in inside for extra in each.extras}
    assert missing("torch") == (
        "this needs torch, which is not installed: install the extra `torch`, as in pip install 'llmarch[torch]'"
    )
    assert missing("yaml") is None


@pytest.mark.parametrize(
    "arguments",
    [
        ("list",),
        ("show", "deepseek-v3"),
        ("compare", "deepseek-v3", "llama4-maverick"),
        ("diff", "deepseek-v3", "kimi-k2"),
        ("kvcache", "--ctx", "128k"),
        ("fit", "gpt-oss-120b", "--on", "8xh100"),
        ("chips",),
        ("claims",),
        ("columns",),
        ("report", "gpt2", "--format", "markdown"),
        ("report", "gpt2", "gpt2-xl", "--no-pictures", "-o", "report.html"),
        ("schema",),
        ("validate", "mine.yaml"),
        ("draw", "gpt2"),
    ],
    ids=" ".join,
)
def test_what_needs_no_module_works(site: Path, arguments: tuple[str, ...]) -> None:
    (site / "mine.yaml").write_text("extends: gpt2\nname: Mine\nn_layers: 3\n")
    found = llmarch(site, *arguments)
    assert (found.returncode, found.stderr) == (0, "")
    assert ("not measured" in found.stdout) == (arguments[0] == "draw")  # which never measures


def test_a_model_of_ones_own_is_said_to_be_unmeasured(site: Path) -> None:
    (site / "mine.yaml").write_text("extends: gpt2\nname: Mine\nn_layers: 3\n")
    found = llmarch(site, "compare", "gpt2", "mine.yaml", "--ctx", "1k")
    assert found.returncode == 0
    assert "Closed form only (1 of the models); not measured." in found.stdout
    assert found.stderr == (
        "note: the closed form is not measured: that takes torch, which the extra `torch` installs\n"
    )


@pytest.mark.parametrize(
    ("arguments", "extra"),
    [
        (("compare", "gpt2", "--engine", "measured"), "torch"),
        (("verify", "gpt2"), "torch"),
        (("train", "gpt2", "--seq", "64"), "torch"),
        (("sweep", "gpt2", "--vary", "n_layers=2,3"), "sweep"),
        (("compare", "gpt2", "--plot", "a.svg"), "plot"),
    ],
    ids=lambda value: value if isinstance(value, str) else " ".join(value),
)
def test_what_needs_more_names_the_extra(site: Path, arguments: tuple[str, ...], extra: str) -> None:
    found = llmarch(site, *arguments)
    assert (found.returncode, found.stdout) == (2, "")
    assert found.stderr.count("\n") == 1
    assert f"install the extra `{extra}`" in found.stderr
