"""`llmarch claims`: what it prints, and when it fails."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

Run = Callable[..., Any]


FILE = """\
sections:
  - title: First
    source: https://example.com/a
    claims:
      - {says: Small, models: [gpt2], holds: a.params < 1B, shows: {parameters: a.params}}
  - title: Second
    source: https://example.com/b
    claims:
      - {says: Large, models: [gpt2], holds: a.params > HUGE, verdict: does not hold, remark: It is small.}
outside: [{says: Fast, why: Not seen here.}]
"""


def test_a_section_each(llmarch: Run, tmp_path: Path) -> None:
    (tmp_path / "claims.yaml").write_text(FILE.replace("HUGE", "1B"))
    result = llmarch("claims", str(tmp_path / "claims.yaml"))
    assert result.status == 0
    titles = [line for line in result.out.splitlines() if line in ("First", "Second", "Does not hold")]
    assert titles == ["Does not hold", "First"]  # nothing is left of the second section
    assert "\nNot checkable" in result.out
    assert "Second: Large" in result.out
    assert "parameters: 124.44M" in result.out
    assert "2 statements: 1 hold, 0 hold with a remark, 1 do not hold." in result.out


def test_one_that_has_changed(llmarch: Run, tmp_path: Path) -> None:
    (tmp_path / "claims.yaml").write_text(FILE.replace("HUGE", "1M"))
    result = llmarch("claims", str(tmp_path / "claims.yaml"))
    assert result.status == 1
    assert result.out.startswith("Verdicts that have changed\n")
    assert "CHANGED: holds" in result.out
    assert "1 of these verdicts" in result.out


def test_data_is_one_list(llmarch: Run, tmp_path: Path) -> None:
    (tmp_path / "claims.yaml").write_text(FILE.replace("HUGE", "1B"))
    data = json.loads(llmarch("claims", str(tmp_path / "claims.yaml"), "--format", "json").out)
    assert [(row["section"], row["statement"], row["confirmed"]) for row in data["claims"]] == [
        ("Second", "Large", True),  # what does not hold comes first
        ("First", "Small", True),
    ]
    assert data["outside"] == [{"statement": "Fast", "why": "Not seen here."}]
    rows = list(csv.DictReader(io.StringIO(llmarch("claims", str(tmp_path / "claims.yaml"), "--format", "csv").out)))
    assert [row["statement"] for row in rows] == ["Large", "Small"]


def test_a_file_that_is_none(llmarch: Run, tmp_path: Path) -> None:
    result = llmarch("claims", str(tmp_path / "missing.yaml"))
    assert result.status == 2
    assert "no such file" in result.err
