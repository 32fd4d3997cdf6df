"""Specs changed at random: each is a model on which both engines agree, or an error of a few lines."""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn
from strategies import spec_data
from test_schema import problems

from llmarch_cli.errors import InputError
from llmarch_cli.models import load
from llmarch_cli.profilers.cost import Workload
from llmarch_cli.profilers.profile import profile
from llmarch_cli.specs.loading import names, resolved, specs_directory
from llmarch_cli.specs.spec import ModelSpec

Tree = dict[str, Any]

TREES = [yaml.safe_load((specs_directory() / f"{name}.yaml").read_text()) for name in names()]
TEXTS = [(specs_directory() / f"{name}.yaml").read_bytes() for name in names()]

junk = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 70),
    st.sampled_from((2**20, 2**40, 2**63, 10**30, -(10**30), 0.5, -1.0, 1e300, 5e-324, float("inf"), float("nan"))),
    st.sampled_from(
        ("", "none", "gqa", "mla", "dense", "moe", "yarn", "linear", "deepseek-v3", "1e6", "\x00\x1b[31m", "é" * 400)
    ),
    st.dates(),
    st.text(max_size=5),
    st.lists(st.sampled_from(("none", "moe", "dense", "local", 1, None)), max_size=3),
    st.dictionaries(
        st.sampled_from(("kind", "variants", "repeat", "moe", "x")), st.sampled_from((1, "moe", None)), max_size=2
    ),
)


def paths(tree: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path of each value in a tree."""
    steps = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for step, inner in steps:
        yield (*path, step)
        yield from paths(inner, (*path, step))


def at(tree: Any, path: tuple[Any, ...]) -> Any:
    for step in path:
        tree = tree[step]
    return tree


@st.composite
def mutated(draw: DrawFn) -> Tree:
    """A bundled or random spec, changed in a few places."""
    tree: Tree = copy.deepcopy(draw(st.sampled_from(TREES) | spec_data()))
    for _ in range(draw(st.sampled_from((1, 1, 1, 2, 3)))):
        places = list(paths(tree))
        if not places:
            break
        path = draw(st.sampled_from(places))
        holder, step = at(tree, path[:-1]), path[-1]
        match draw(
            st.sampled_from(("replace", "replace", "scale", "scale", "scale", "drop", "rename", "add", "move", "wrap"))
        ):
            case "replace":
                holder[step] = draw(junk)
            case "scale" if isinstance(holder[step], int | float):
                holder[step] *= draw(st.sampled_from((-1, 0, 2, 2, 2, 3, 0.5, 2**10, 2**30)))
            case "drop":
                del holder[step]
            case "rename" if isinstance(holder, dict):
                holder[draw(st.sampled_from((f"{step}s", str(step)[1:], "kind", "extends")))] = holder.pop(step)
            case "add" if isinstance(holder, dict):
                holder[draw(st.sampled_from(sorted({str(each[-1]) for each in places})))] = draw(junk)
            case "move":
                holder[step] = copy.deepcopy(at(tree, draw(st.sampled_from(places))))
            case _:
                holder[step] = [holder[step]]
    return tree


def outcome(content: bytes) -> ModelSpec | None:
    """The spec in a file with this content; None if it is refused with a readable message."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "spec.yaml"
        path.write_bytes(content)
        try:
            spec = load(path)
        except InputError as error:
            is_readable(str(error), directory)
            return None
        assert problems(resolved(path)) == []  # the schema accepts every valid spec
        return spec


def is_readable(message: str, directory: str) -> None:
    lines = message.splitlines()
    assert 1 <= len(lines) <= 6
    for line in lines:
        assert line.startswith((directory, str(specs_directory())))
        assert line.isprintable()
        assert len(line) < 700
        assert "Input should" not in line


def is_counted(spec: ModelSpec) -> None:
    for workload in (Workload(1), Workload(131_072, 2, "fp8")):
        figures = profile(spec, workload, "measured")
        assert all(isinstance(value, int) and value >= 0 for value in (figures.params, figures.flops_per_token))


@settings(max_examples=300)
@given(mutated(), st.booleans())
def test_changed_data(tree: Tree, flow: bool) -> None:
    spec = outcome(yaml.safe_dump(tree, default_flow_style=flow, allow_unicode=True).encode())
    if spec is not None:
        is_counted(spec)


@settings(max_examples=200)
@given(st.data())
def test_changed_text(data: st.DataObject) -> None:
    text = data.draw(st.sampled_from(TEXTS))
    for _ in range(data.draw(st.integers(1, 3))):
        start = data.draw(st.integers(0, len(text)))
        removed = data.draw(st.sampled_from((0, 1, 1, 5, 40)))
        added = data.draw(
            st.binary(max_size=3)
            | st.sampled_from(
                [b"\t", b"\n", b": ", b"- ", b"[", b"{", b"}", b"*gqa", b"&a ", b"<<: *gqa", b"!!int ", b"#", b"'"]
            )
        )
        text = text[:start] + added + text[start + removed :]
    spec = outcome(text)
    if spec is not None:
        is_counted(spec)
