"""`llmarch chips`, and chips' files where other commands take them."""

import csv
import io
import json
import shutil
from pathlib import Path

import pytest
from pages import EXAMPLES
from runs import Run

from llmarch_cli.deployment.chips import chip, chips, chips_directory
from llmarch_cli.deployment.chips_table import COLUMNS


@pytest.mark.parametrize("columns", ["80", "100", "160"])
def test_every_chip_is_one_line(llmarch: Run, monkeypatch: pytest.MonkeyPatch, columns: str) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    lines = llmarch("chips").out.splitlines()
    for name in chips():
        assert sum(line.split()[:1] == [name] for line in lines) == 1
    assert max(map(len, lines)) <= int(columns)


def test_a_line_says_what_matters(llmarch: Run) -> None:
    line = next(line for line in llmarch("chips").out.splitlines() if line.startswith("h100 "))
    assert line.split() == (
        "h100 79.65 GiB 3.35 TB/s 989.4T 1,978.9T - 295.17 8 450 GB/s".split()  # fp4 is not sold
    )


def test_named_ones_are_compared_with_their_sources(llmarch: Run) -> None:
    out = llmarch("chips", "h200", "h100").out
    heading = out.splitlines()[0].split()
    assert heading == ["h200", "h100"]  # in the order asked
    assert "494.70T" not in out
    assert "494.7T" in out
    assert "NVLink: 900 GB/s in both directions" in out
    assert "81559MiB" in out


def test_data_is_exact(llmarch: Run) -> None:
    found = json.loads(llmarch("chips", "b300", "--format", "json").out)
    assert found["chips"][0]["memory_bytes"] == chip("b300").memory_bytes
    assert found["chips"][0]["peak_int8"] == 153_500_000_000_000
    assert found["chips"][0]["network"] == 100_000_000_000
    assert "flops_per_byte" not in found["chips"][0]
    assert {row["number"] for row in found["sources"]} == {
        "memory_bytes",
        "bandwidth",
        "peak",
        "peers",
        "link",
        "network",
    }
    assert all(row["url"].startswith("https://") for row in found["sources"])
    rows = list(csv.DictReader(io.StringIO(llmarch("chips", "--format", "csv").out)))
    assert {row["chip"] for row in rows} == set(chips())
    assert next(row for row in rows if row["chip"] == "m4-max")["peak_bf16"] == ""


def test_markdown(llmarch: Run) -> None:
    assert "| h100 | 79.65 GiB | 3.35 TB/s |" in llmarch("chips", "--format", "markdown").out


def test_sorting_and_columns(llmarch: Run) -> None:
    rows = json.loads(
        llmarch("chips", "--sort=-memory_bytes", "--columns", "memory_bytes,peers", "--format", "json").out
    )
    assert [list(row) for row in rows["chips"]] == [["chip", "memory_bytes", "peers"]] * len(chips())
    sizes = [row["memory_bytes"] for row in rows["chips"]]
    assert sizes == sorted(sizes, reverse=True)
    ordered = json.loads(llmarch("chips", "--sort", "network", "--format", "json").out)["chips"]
    networks = [row["network"] for row in ordered]
    known = [each for each in networks if each is not None]
    assert networks == sorted(known) + [None] * (len(networks) - len(known))  # missing ones last
    assert llmarch("chips", "h100", "t4", "--sort", "flops_per_byte", "--columns", "name").out.split()[-4] != "h100"


def test_patterns(llmarch: Run) -> None:
    rows = json.loads(llmarch("chips", "a100-*", "--format", "json").out)["chips"]
    assert [row["chip"] for row in rows] == ["a100-40gb", "a100-80gb"]


def test_a_file_of_ones_own(llmarch: Run, tmp_path: Path) -> None:
    shutil.copy(EXAMPLES / "my-chip.yaml", tmp_path)
    rows = json.loads(llmarch("chips", "h100", str(tmp_path / "my-chip.yaml"), "--format", "json").out)["chips"]
    assert [row["chip"] for row in rows] == ["h100", "my-chip"]
    assert rows[1]["peak_fp8"] == 800_000_000_000_000


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["h10"], "unknown chip 'h10'; did you mean h100 or h20?"),
        (["x9*"], "no bundled chip matches 'x9*'; see `llmarch chips`"),
        (["missing.yaml"], "missing.yaml: no such file"),
        (["--sort", "memory_byte"], "unknown column 'memory_byte'; did you mean memory_bytes"),
        (["--columns", "xyzzy"], "unknown column 'xyzzy'; known: chip, name, vendor"),
        (["--columns", ","], "--columns is empty; known: chip, name"),
        (["--format", "junit"], "unknown format 'junit'"),
    ],
)
def test_errors_are_one_line(llmarch: Run, arguments: list[str], message: str) -> None:
    result = llmarch("chips", *arguments)
    assert (result.status, result.out) == (2, "")
    assert result.err.startswith(f"error: {message}")
    assert result.err.count("\n") == 1


def test_validate_takes_chips(llmarch: Run, tmp_path: Path) -> None:
    bundled = [str(path) for path in sorted(chips_directory().glob("*.yaml"))]
    assert llmarch("validate", "gpt2", *bundled).out == f"{len(bundled) + 1} valid.\n"
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text((EXAMPLES / "my-chip.yaml").read_text().replace("peers: 4", "peers: 0"))
    result = llmarch("validate", str(wrong))
    assert (result.status, result.err) == (2, f"error: {wrong}:10: peers: must be above 0, not 0\n")


def test_every_column_says_what_it_is() -> None:
    assert all(column.convention.endswith(".") for column in COLUMNS)
    assert len({column.key for column in COLUMNS}) == len(COLUMNS)
