"""Each module knows only those below it: no circle of imports, late ones and those for types included."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import llmarch_cli

ROOT = Path(llmarch_cli.__file__).parents[1]

LAYERS = (
    "cli",
    "report",
    "profilers",
    "modules",
    "specs",
    "components.attention components.ffn",
    "components.component",
    "components.parts",
)  # top to bottom


def name_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


MODULES = {name_of(path): path for path in (ROOT / "llmarch_cli").rglob("*.py")}
PACKAGE = "llmarch_cli"


def imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == PACKAGE:
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield inner if inner in MODULES else node.module
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in MODULES)


# The package itself only names what it lends, late: whoever asks it for a part of the package asks that part.
GRAPH = {name: set(imported(path)) - {PACKAGE} for name, path in MODULES.items() if name != PACKAGE}


def below(name: str) -> set[str]:
    """All that a module imports, and what these import."""
    found: set[str] = set()
    todo = [name]
    while todo:
        new = GRAPH[todo.pop()] - found
        found |= new
        todo += new
    return found


def test_no_imports_go_in_a_circle() -> None:
    TopologicalSorter(GRAPH).prepare()


def test_no_layer_knows_one_above_it() -> None:
    above: set[str] = set()
    for layer in LAYERS:
        heads = tuple(f"{PACKAGE}.{name}" for name in layer.split())
        own = {name for name in GRAPH if any(name == head or name.startswith(f"{head}.") for head in heads)}
        assert own, layer
        for name in own:
            assert not below(name) & above, name
        above |= own
