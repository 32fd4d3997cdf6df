"""The tags of models, where each tag leads, and the words on it: of the glossary, or of `docs/concepts`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from llmarch_cli.components.mechanism import Mechanism
from llmarch_cli.page.gallery.glossary import SAID
from llmarch_cli.report.highlights import named
from llmarch_cli.report.layout import mixers
from llmarch_cli.specs.spec import ModelSpec

PAGE = "mechanisms.html"

# How a model mixes tokens, for the marks of plots. The first that holds is a model's.
GROUPS = {
    "hybrid": "attention beside recurrences",
    "recurrent": "recurrences alone",
    "sparse": "sparse or compressed attention",
    "latent": "latent attention",
    "windows": "attention with windows",
    "full": "attention over all tokens",
}


Paragraph = tuple[tuple[str, bool], ...]  # pieces of text, each with whether it is code


@dataclass(frozen=True)
class Tag:
    """A mechanism as a link."""

    name: str
    title: str
    address: str


def tags(spec: ModelSpec, docs: str | None, up: str = "") -> list[Tag]:
    """The tags of a model, the most telling first. `up` leads from the page to the gallery's directory."""
    return [Tag(each.tag, each.title, address(each, docs, up)) for each in named(spec).values()]


def address(mechanism: Mechanism, docs: str | None, up: str = "") -> str:
    """Where a tag leads: its concept page in the documentation, or the gallery's own words on it."""
    if docs is not None and mechanism.page is not None:
        return f"{from_page(docs, up)}concepts/{mechanism.page}.html"
    return f"{up}{PAGE}#{mechanism.tag}"


def from_page(docs: str, up: str) -> str:
    """The address of the documentation from a page of the gallery."""
    return docs if re.match("https?://", docs) else f"{up}{docs}"


def group(spec: ModelSpec) -> str:
    """The key in `GROUPS` of how a model mixes tokens."""
    ways = {way for component in spec.variants("attention").values() for way in mixers(component)}
    if ways & {"recurrence", "convolution"}:
        return "hybrid" if ways & {"attention", "window"} else "recurrent"
    tags = named(spec).keys()
    if tags & {"indexer", "compressed", "block_sparse"}:
        return "sparse"
    if "mla" in tags:
        return "latent"
    return "windows" if "window" in ways else "full"


def words(mechanism: Mechanism) -> tuple[Paragraph, ...]:
    """A mechanism in words: the glossary's, or how its concept page begins.

    Of several paragraphs there, those that name the mechanism, if any does.
    """
    if mechanism.tag in SAID:
        return (((SAID[mechanism.tag], False),),)
    every = () if mechanism.page is None else _beginning(mechanism.page)
    names = {mechanism.tag, mechanism.title.lower()}
    own = [each for each in every if any(name in "".join(text for text, _ in each).lower() for name in names)]
    return tuple(own) or every


@cache
def _beginning(page: str) -> tuple[Paragraph, ...]:
    """The paragraphs of a concept page up to its first code, table or picture."""
    path = _concepts() / f"{page}.md"
    if not path.is_file():
        return ()
    text = path.read_text(encoding="utf-8").partition("\n")[2]
    beginning = re.split(r"^(?:<!--|```|\||#|!\[)", text, maxsplit=1, flags=re.MULTILINE)[0]
    return tuple(tuple(_inline(paragraph)) for paragraph in _paragraphs(beginning))


def _concepts() -> Path:
    """The directory of the concept pages, in an installed package or in a checkout's docs."""
    package = Path(__file__).parents[2]
    installed = package / "concepts"
    return installed if installed.is_dir() else package.parent / "docs" / "concepts"


def _paragraphs(text: str) -> Iterator[str]:
    """Paragraphs, and the items of lists, each as one line."""
    for block in re.split(r"\n\s*\n", text.strip()):
        lines = " ".join(block.split())
        # What introduces code that is left out here ends with a colon.
        for item in re.split(r"(?:^|(?<= ))- (?=\S)", lines):
            if said := re.sub(r"[^.]*:$", "", item).strip():
                yield said


def _inline(text: str) -> Iterator[tuple[str, bool]]:
    plain = re.sub(r"\*\*|\[([^]]*)\]\([^)]*\)", lambda match: match[1] or "", text)
    for number, part in enumerate(plain.split("`")):
        if part:
            yield part, bool(number % 2)
