"""The page on the code's organisation names every room, and files that exist."""

import re

from pages import ROOT
from test_imports import LEVEL

PAGE = (ROOT / "docs" / "architecture.md").read_text()


def test_every_room_has_a_paragraph() -> None:
    rooms = PAGE.partition("## The rooms")[2].partition("## A walk")[0]
    assert set(re.findall(r"\*\*`(\w+)`\*\*", rooms)) == set(LEVEL) - {"__main__"}


def test_the_picture_has_the_rooms_in_their_order() -> None:
    picture = PAGE.partition("```text\n")[2].partition("```")[0]
    lines = [set(re.findall(r"\b[a-z]+\b", line.partition("─")[0])) & set(LEVEL) for line in picture.splitlines()]
    drawn = [line for line in lines if line]
    assert drawn == [{room for room in LEVEL if LEVEL[room] == level} for level in sorted({*LEVEL.values()} - {0})]


def test_the_files_that_it_names_exist() -> None:
    named = set(re.findall(r"`((?:[\w-]+/)+[\w-]+\.py)`", PAGE))
    assert {path for path in named if not any((ROOT / top / path).exists() for top in ("llmarch_cli", ""))} == set()
