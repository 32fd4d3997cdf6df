"""The built wheel, put somewhere else, is whole: it finds its specs, and says what version it is."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from llmarch_cli.version import __version__

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with what the wheel holds."""
    out = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out), str(ROOT)]
    subprocess.run(build, check=True, capture_output=True)
    (wheel,) = out.glob("*.whl")
    assert wheel.name.startswith(f"llmarch-{__version__}-")
    zipfile.ZipFile(wheel).extractall(out / "site")
    return out / "site"


def run(site: Path, *arguments: str) -> str:
    environment = {**os.environ, "PYTHONPATH": str(site), "COLUMNS": "100"}
    command = [sys.executable, *arguments]
    return subprocess.run(command, cwd=site, env=environment, capture_output=True, text=True, check=True).stdout


def test_it_is_the_wheel_that_runs(site: Path) -> None:
    assert Path(run(site, "-c", "import llmarch_cli; print(llmarch_cli.__file__)").strip()).is_relative_to(site)


def test_it_finds_its_specs(site: Path) -> None:
    listed = run(site, "-m", "llmarch_cli", "list")
    bundled = sorted(path.stem for path in (ROOT / "model_specs").glob("*.yaml"))
    assert [name for name in bundled if f"{name} " not in listed] == []
    shown = run(site, "-m", "llmarch_cli", "show", "deepseek-v3", "--exact", "--engine", "closed-form")
    assert "671,026,404,352" in shown


def test_it_brings_what_a_page_is_made_of(site: Path) -> None:
    for package in (ROOT / "llmarch_cli").rglob("*"):
        if package.is_file() and package.suffix not in (".py", ".pyc"):
            assert (site / package.relative_to(ROOT)).read_bytes() == package.read_bytes(), package
    page = run(site, "-m", "llmarch_cli", "report", "gpt2", "--engine", "closed-form")
    for name in ("page.css", "page.js"):
        assert (ROOT / "llmarch_cli" / "report" / "html" / name).read_text().strip() in page


def test_it_is_typed_and_brings_the_schema_and_no_tests(site: Path) -> None:
    assert (site / "llmarch_cli" / "py.typed").is_file()
    assert (site / "llmarch_cli" / "model_specs" / "schema.json").is_file()
    assert {path.name for path in site.iterdir()} == {"llmarch_cli", f"llmarch-{__version__}.dist-info"}
