"""The documentation site builds without a warning, knows all that is public, and loads nothing from elsewhere."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

import llmarch_cli as llmarch

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("site")
    # Links to pages, sections and figures that are not there are warnings, and warnings are errors.
    build = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-b", "html", str(DOCS), str(out)]
    run = subprocess.run(build, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    return out


def test_every_page_is_reached(site: Path) -> None:
    contents = (site / "index.html").read_text()
    pages = {str(page.relative_to(DOCS).with_suffix("")) for page in DOCS.rglob("*.md")} - {"index"}
    assert {page for page in pages if f"{page}.html" not in contents} == set()


def test_every_public_name_is_documented(site: Path) -> None:
    documented = set(re.findall(r'id="llmarch_cli\.(\w+)"', (site / "api.html").read_text()))
    assert set(llmarch.__all__) - {"__version__"} <= documented


def test_nothing_is_loaded_from_elsewhere(site: Path) -> None:
    for page in site.rglob("*.html"):
        loads = re.findall(r"<(?:script|img|iframe|source)[^>]*\ssrc=\"([^\"]+)\"", page.read_text())
        loads += re.findall(r"<link[^>]*\shref=\"([^\"]+)\"", page.read_text())
        assert [target for target in loads if re.match(r"(?:https?:)?//", target)] == [], page.name
    for sheet in site.rglob("*.css"):
        assert re.findall(r"(?:@import|url\()\s*['\"]?(?:https?:)?//", sheet.read_text()) == [], sheet.name
