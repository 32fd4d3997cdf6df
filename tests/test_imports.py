"""A room imports only the rooms below it: nothing upwards or sideways, late imports and those for types included."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import llmarch_cli

PACKAGE = "llmarch_cli"
ROOT = Path(llmarch_cli.__file__).parents[1]

# Top to bottom. A room may import the lines below its own, and nothing else.
LINES = (
    "__main__",
    "cli",
    "api",
    "page schema",
    "guards sweeping claims drawings deployment",
    "report models",
    "huggingface",
    "profilers",
    "modules",
    "specs expressions",
    "components",
    "errors extras writing version",
)
LEVEL = {room: level for level, line in enumerate(LINES) for room in line.split()}

# Heavy libraries, and the only modules that import them when they are imported themselves.
HEAVY = {
    "torch": (
        "modules",
        "profilers.activations",
        "profilers.measured",
        "profilers.operators",
        "profilers.prompts",
        "profilers.witnesses",
        "huggingface.plan",
        "huggingface.checkpoint",
        "huggingface.dequantise",
    ),
    "matplotlib": (),
    "pandas": (),
    "transformers": (),
    "gguf": ("huggingface.gguf.bounded",),
}


def name_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


MODULES = {name_of(path): path for path in (ROOT / PACKAGE).rglob("*.py")}


def imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == PACKAGE:
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield inner if inner in MODULES else node.module
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in MODULES)


# The package itself only lists names and loads each one late.
GRAPH = {name: set(imported(path)) - {PACKAGE} for name, path in MODULES.items() if name != PACKAGE}


def room(name: str) -> str:
    return name.split(".")[1]


def test_no_imports_go_in_a_circle() -> None:
    TopologicalSorter(GRAPH).prepare()


def test_every_room_has_its_line() -> None:
    assert {room(name) for name in GRAPH} == set(LEVEL)


@pytest.mark.parametrize("name", sorted(GRAPH))
def test_a_module_knows_only_rooms_below_its_own(name: str) -> None:
    own = room(name)
    wrong = {other for other in GRAPH[name] if room(other) != own and LEVEL[room(other)] <= LEVEL[own]}
    assert wrong == set()


def top_level(path: Path) -> Iterator[str]:
    """The libraries that are imported with a module, outside functions and `if TYPE_CHECKING`."""
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module.split(".")[0]


@pytest.mark.parametrize("library", HEAVY)
def test_heavy_libraries_are_imported_late(library: str) -> None:
    allowed = tuple(f"{PACKAGE}.{each}" for each in HEAVY[library])
    early = {name for name, path in MODULES.items() if library in top_level(path)}
    assert {name for name in early if not any(name == each or name.startswith(f"{each}.") for each in allowed)} == set()
