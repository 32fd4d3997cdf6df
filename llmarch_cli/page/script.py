"""The scripts of pages, joined from parts in `scripts/`: a part may use what those before it define."""

from __future__ import annotations

from pathlib import Path

PARTS = Path(__file__).parent / "scripts"


def joined(parts: str, own: Path) -> str:
    """One script of the named parts and a page's own, in a scope that no other script sees."""
    texts = (path.read_text(encoding="utf-8") for path in (*(PARTS / f"{name}.js" for name in parts.split()), own))
    return "\n".join(('"use strict";', "(() => {", *texts, "})();", ""))
