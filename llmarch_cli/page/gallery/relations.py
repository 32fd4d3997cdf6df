"""What models extend, in words and numbers: for a model's page and for the family tree."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

from llmarch_cli.page.gallery.entries import Edge, Entry
from llmarch_cli.page.tables import Shown, shown
from llmarch_cli.profilers.attribution import FIGURES
from llmarch_cli.report import units
from llmarch_cli.report.columns import metric
from llmarch_cli.report.differences import SAME, differences
from llmarch_cli.report.formats.grid import one_line
from llmarch_cli.report.units import Delta

MOST_WORDS = 4  # changes in a line


@dataclass(frozen=True)
class Told:
    """An edge for a template.

    Attributes:
        words: the largest changes, such as `n_layers 12 -> 48`.
        more: how many other changes there are.
        figures: the metrics that differ, each before, after and by how much.
        changes: the tables of all changes, those with an effect first; none if the architectures are equal.
    """

    edge: Edge
    words: tuple[str, ...]
    more: int
    figures: tuple[str, ...]
    changes: tuple[Shown, ...]

    @property
    def parent(self) -> str:
        """The name of the model that is extended."""
        return one_line(self.edge.of.name)


@dataclass
class Tree:
    """A model with those that extend it. `told` is what it changes of the one above; None at the top."""

    entry: Entry
    told: Told | None = None
    children: list[Tree] = field(default_factory=list)

    @property
    def size(self) -> int:
        """The number of models in it."""
        return 1 + sum(child.size for child in self.children)


def told(edge: Edge) -> Told:
    """An edge in words and numbers."""
    _, *changes = differences(edge.difference)
    said = [
        one_line(f"{row['change']} {_short(row['before_words'])} → {_short(row['after_words'])}")
        for table in changes
        for row in table.rows
    ]
    words = tuple(said[:MOST_WORDS]) or (SAME.partition(".")[0] + ".",)
    tables = tuple(shown(table) for table in changes if table.rows)
    return Told(edge, words, max(0, len(said) - MOST_WORDS), tuple(_figures(edge)), tables)


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= 60 else f"{text[:59]}…"


def _figures(edge: Edge) -> Iterator[str]:
    before, after = edge.difference.before, edge.difference.after
    for key in FIGURES:
        one = metric(key)
        first, last = one.value(before), one.value(after)
        if not Delta(first, last):
            continue
        change = ""
        if isinstance(first, int | Fraction) and isinstance(last, int | Fraction) and first:
            change = f" ({units.difference(Fraction(last - first) / first)})"
        yield f"{one.title} {one.unit.write(first)} → {one.unit.write(last)}{change}"


def trees(models: Sequence[Entry], edges: Sequence[Edge]) -> tuple[list[Tree], list[Entry]]:
    """The trees of models that extend each other, the largest first, and the models without relatives."""
    nodes = {entry.slug: Tree(entry) for entry in models}
    below: set[str] = set()
    for edge in edges:
        if edge.parent is not None:
            child = nodes[edge.child.slug]
            child.told = told(edge)
            nodes[edge.parent.slug].children.append(child)
            below.add(edge.child.slug)
    tops = [tree for slug, tree in nodes.items() if slug not in below]
    found = sorted((tree for tree in tops if tree.children), key=lambda tree: (-tree.size, tree.entry.slug))
    return found, [tree.entry for tree in tops if not tree.children]
