"""The documentation is true: its commands run, its outputs are what they print, its examples work, its links lead."""

import importlib.util
import os
import re
import shlex
import shutil
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from families import FAMILIES
from further_families import FURTHER
from pages import COMMANDS, DOCUMENTED, EXAMPLES, PAGES, ROOT, blocks
from repositories import git
from runs import Run

import llmarch_cli as llmarch
from llmarch_cli.huggingface.importing import families as importing
from llmarch_cli.modules.builder import ComponentModule
from llmarch_cli.modules.cache import TensorCache
from llmarch_cli.profilers import closed_form, measured
from llmarch_cli.profilers.cost import Workload
from llmarch_cli.report.units import binary_bytes
from llmarch_cli.specs.spec import Item

WIDTH = "100"  # of the terminal that outputs in the pages are shown for


@pytest.mark.parametrize("line", DOCUMENTED)
def test_command(line: str, llmarch: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(EXAMPLES, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LLMARCH_ENGINE")
    monkeypatch.setenv("LLMARCH_CACHE", os.devnull)  # the line below a table says what was measured before: nothing
    if "--since" in line:
        git("init", "--quiet")
        git("add", ".")
        git("commit", "--quiet", "--message=specs")
    there = set(tmp_path.iterdir())
    words, _, _ = line.partition(" > ")
    result = llmarch(*shlex.split(words)[1:])
    assert result.status == 0, result.err
    assert result.out or set(tmp_path.iterdir()) > there
    for picture in tmp_path.glob("*.svg"):
        assert picture.read_bytes() == (ROOT / "docs" / "figures" / picture.name).read_bytes(), "run `make docs`"
    for command in COMMANDS:
        if command.line == line and command.output.strip():
            shown = command.output.rstrip().splitlines()
            assert [each.rstrip() for each in result.out.splitlines()] == shown, f"{command.page}: run `make docs`"


def test_the_budgets_that_a_page_shows_are_the_example() -> None:
    assert next(blocks(ROOT / "docs" / "ci.md", "yaml")) == (EXAMPLES / "budgets.yaml").read_text()


def test_every_other_command_is_a_target_of_the_makefile() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for command in COMMANDS:
        words = command.line.split()
        if words[0] == "make":
            assert set(words[1:]) <= targets, command
        elif words[0] == ".venv/bin/python":
            assert all((ROOT / word).exists() for word in words if word.startswith("tests/")), command
        else:
            assert words[0] in ("llmarch", "git", "cd", "pip", "python"), command


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_files(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text()):
        if not target.startswith("http"):
            assert (page.parent / target).exists(), target


@pytest.mark.parametrize("page", ["README.md", "docs/api.md", "docs/layouts.md", "docs/what-if.md"])
def test_python_examples_run(page: str, capsys: pytest.CaptureFixture[str]) -> None:
    examples = list(blocks(ROOT / page, "python"))
    assert examples
    for example in examples:
        exec(compile(example, page, "exec"), {})
    shown = re.findall(r"print\(.*\) +# (.*)", "\n".join(examples))
    assert capsys.readouterr().out.splitlines() == shown


def test_every_picture_is_made_by_a_command_of_a_page() -> None:
    made = {command.line.split()[-1] for command in COMMANDS}
    shown = {Path(target).name for page in PAGES for target in re.findall(r"!\[[^]]*\]\(([^)]+)\)", page.read_text())}
    assert shown == {path.name for path in (ROOT / "docs" / "figures").iterdir()}
    assert shown <= made


class TestTheWorkedExampleOfAKind:
    """`docs/add-a-kind.md`, executed as it stands there."""

    @pytest.fixture
    def component(self, monkeypatch: pytest.MonkeyPatch) -> Any:
        source = next(blocks(ROOT / "docs" / "add-a-kind.md", "python"))
        module: Any = ModuleType("worked_example")
        monkeypatch.setitem(sys.modules, module.__name__, module)
        exec(compile(source, "add-a-kind.md", "exec"), vars(module))
        return module.GroupedTiedAttention(kind="gta", n_heads=8, n_kv_heads=2, head_dim=16, rope_theta=10_000.0)

    @pytest.mark.parametrize("workload", [Workload(1), Workload(1000, batch=3)])
    def test_both_engines_price_it_alike(self, component: Any, workload: Workload) -> None:
        spec = llmarch.load("llama3.2-1b")
        items = [Item("gta", "attention", 1, component)]
        assert closed_form.measure(spec, items, workload) == measured.measure(spec, items, workload)

    def test_it_decodes_as_it_reads_prompts(self, component: Any) -> None:
        torch.manual_seed(0)
        module = ComponentModule(component, d_model=32, style=llmarch.load("llama3.2-1b").norm)
        for parameter in module.parameters():
            torch.nn.init.normal_(parameter, std=0.2)
        x = torch.randn(2, 7, 32)
        whole = module(x, TensorCache.of(module.component))
        cache = TensorCache.of(module.component)
        steps = []
        for i in range(7):
            steps.append(module(x[:, i : i + 1], cache))
            cache.advance(1)
        torch.testing.assert_close(torch.cat(steps, dim=1), whole)


@pytest.fixture(scope="module")
def generate() -> Any:
    """The script behind `make docs`."""
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs" / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(("page", "made_by"), [("commands.md", "reference"), ("article.md", "article")])
def test_generated_pages_are_current(generate: Any, page: str, made_by: str) -> None:
    assert (ROOT / "docs" / page).read_text() == getattr(generate, made_by)(), "run `make docs`"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_what_pages_count_quote_and_list_is_as_they_say(generate: Any, page: Path) -> None:
    assert page.read_text() == generate.listed(generate.quoted(generate.counted(page.read_text()))), "run `make docs`"


def test_pages_count() -> None:
    assert re.search(r"\b\d+ published architectures", (ROOT / "README.md").read_text())
    assert re.search(r"\b\d+ published architectures", (ROOT / "docs" / "index.md").read_text())
    assert re.search(r"\[\d+ statements\]\(docs/article\.md\)", (ROOT / "README.md").read_text())


@pytest.mark.parametrize("page", sorted((ROOT / "docs" / "concepts").iterdir()), ids=lambda page: page.stem)
def test_a_concept_has_its_formula_its_table_and_its_figure(page: Path) -> None:
    text = page.read_text()
    assert re.search(r"^<!-- code: .* -->\n```python\n.+?\n```", text, re.MULTILINE | re.DOTALL)
    assert re.search(r"^\$ llmarch (compare|kvcache) .*\n(.*\n)+?─+$", text, re.MULTILINE)
    assert re.search(r"^\$ llmarch draw .*\.svg$", text, re.MULTILINE)
    assert re.search(r"!\[[^]]+\]\(\.\./figures/.*\.svg\)", text)


@pytest.mark.parametrize("page", ["README.md", "docs/other-tools.md"])
def test_what_is_true_beside_other_tools(page: str) -> None:
    text = (ROOT / page).read_text()
    rows = re.findall(r"^\| ([a-z0-9.-]+) \| ([\d.]+ GiB) \|", text, re.MULTILINE)
    assert [name for name, _ in rows] == ["deepseek-v3", "gemma3-27b", "llama4-maverick", "gpt-oss-120b"]
    for name, written in rows:
        assert written == binary_bytes(llmarch.profile(name, engine="closed-form").kv_cache_bytes)


def test_the_families_that_are_imported_are_named() -> None:
    page = (ROOT / "docs" / "import.md").read_text()
    tables = re.findall(r"^[|] (?!waits|out)[^|]* [|] (`.*) [|]$", page, re.MULTILINE)
    named = [name for row in tables for name in re.findall(r"`([\w-]+)`", row)]
    assert sorted(named) == sorted({*importing.FAMILIES, *importing.MULTIMODAL})


def test_the_families_that_were_matched_are_named() -> None:
    page = (ROOT / "docs" / "checkpoints.md").read_text()
    of_catalogue = set(FAMILIES) - set(FURTHER)
    assert f"For {len(FAMILIES)} families" in page
    assert f"and {len(FURTHER)} beyond it" in page
    (named,) = re.findall(r"those of the catalogue: ([^;]*);", page)
    assert set(named.replace("\n", " ").split(", ")) == of_catalogue
