"""The distributions are whole: the archive has all that is tracked, the wheel that is built from it works anywhere."""

import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path
from typing import NamedTuple

import pytest
from packaging.metadata import Metadata

from llmarch_cli.version import __version__

ROOT = Path(__file__).parents[1]


class Distributions(NamedTuple):
    source: Path
    wheel: Path


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Distributions:
    """The source archive, and the wheel that is built from it, as `make build` does."""
    out = tmp_path_factory.mktemp("dist")
    build = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out), str(ROOT)]
    subprocess.run(build, check=True, capture_output=True)
    return Distributions(out / f"llmarch-{__version__}.tar.gz", out / f"llmarch-{__version__}-py3-none-any.whl")


@pytest.fixture(scope="module")
def site(built: Distributions, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory that the wheel is installed into, far from the checkout."""
    out = tmp_path_factory.mktemp("site")
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
    subprocess.run([*install, "--no-index", "--target", str(out), str(built.wheel)], check=True, capture_output=True)
    return out


def run(site: Path, *arguments: str) -> str:
    environment = {**os.environ, "PYTHONPATH": str(site), "COLUMNS": "100"}
    return subprocess.run(arguments, cwd=site, env=environment, capture_output=True, text=True, check=True).stdout


def llmarch(site: Path, *arguments: str) -> str:
    """What the installed script prints."""
    return run(site, str(site / "bin" / "llmarch"), *arguments)


def test_the_source_archive_has_all_that_is_tracked(built: Distributions) -> None:
    with tarfile.open(built.source) as archive:
        packed = {name.partition("/")[2] for name in archive.getnames()}
    if not (ROOT / ".git").exists():
        pytest.skip("no checkout")
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert set(tracked.splitlines()) - packed == set()


def test_the_metadata_is_valid_and_says_what_it_is(built: Distributions) -> None:
    with zipfile.ZipFile(built.wheel) as archive:
        text = archive.read(f"llmarch-{__version__}.dist-info/METADATA")
        entry_points = archive.read(f"llmarch-{__version__}.dist-info/entry_points.txt").decode()
        licensed = f"llmarch-{__version__}.dist-info/licenses/LICENSE" in archive.namelist()
    metadata = Metadata.from_email(text, validate=True)
    assert (metadata.name, str(metadata.version)) == ("llmarch", __version__)
    assert (str(metadata.license_expression), str(metadata.requires_python)) == ("Apache-2.0", ">=3.11")
    assert licensed
    assert metadata.summary
    assert metadata.description == (ROOT / "README.md").read_text()
    assert "llmarch = llmarch_cli.cli:main" in entry_points


def test_it_is_the_wheel_that_runs(site: Path) -> None:
    where = run(site, sys.executable, "-c", "import llmarch_cli; print(llmarch_cli.__file__)")
    assert Path(where.strip()).is_relative_to(site)
    assert llmarch(site, "--version") == f"llmarch {__version__}\n"


def test_it_finds_its_specs_and_its_claims(site: Path) -> None:
    listed = llmarch(site, "list")
    bundled = sorted(path.stem for path in (ROOT / "model_specs").glob("*.yaml"))
    assert [name for name in bundled if f"{name} " not in listed] == []
    assert "671,026,404,352" in llmarch(site, "show", "deepseek-v3", "--exact", "--engine", "closed-form")
    assert "statements" in llmarch(site, "claims", "--engine", "closed-form")


def test_it_finds_its_chips(site: Path) -> None:
    listed = llmarch(site, "chips")
    bundled = sorted(path.stem for path in (ROOT / "chips").glob("*.yaml"))
    assert [name for name in bundled if f"{name} " not in listed] == []


def test_it_brings_what_a_page_is_made_of(site: Path) -> None:
    for package in (ROOT / "llmarch_cli").rglob("*"):
        if package.is_file() and package.suffix not in (".py", ".pyc"):
            assert (site / package.relative_to(ROOT)).read_bytes() == package.read_bytes(), package
    page = llmarch(site, "report", "gpt2", "--engine", "closed-form")
    for name in ("page.css", "page.js"):
        assert (ROOT / "llmarch_cli" / "page" / name).read_text().strip() in page


def test_it_is_typed_and_brings_the_schema_and_no_tests(site: Path) -> None:
    assert (site / "llmarch_cli" / "py.typed").is_file()
    for data in ("model_specs", "chips"):
        assert (site / "llmarch_cli" / data / "schema.json").is_file()
    assert {path.name for path in site.iterdir()} == {"bin", "llmarch_cli", f"llmarch-{__version__}.dist-info"}
