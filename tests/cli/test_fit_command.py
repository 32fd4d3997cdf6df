import csv
import io
import json
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import pytest

import llmarch_cli
from llmarch_cli.report.table import plain

Run = Callable[..., Any]


def read(llmarch: Run, *arguments: str) -> dict[str, list[dict[str, Any]]]:
    """The tables of the command as data."""
    result = llmarch("fit", *arguments, "--format", "json")
    assert (result.status, result.err) == (0, "")
    found: dict[str, list[dict[str, Any]]] = json.loads(result.out)
    return found


def test_its_formats_agree_with_the_library(llmarch: Run) -> None:
    arguments = ["gpt-oss-20b", "--on", "2xh100", "--ctx", "32k", "--tp", "2", "--reserve", "12.5%", "--price", "2/h"]
    (row,) = read(llmarch, *arguments)["fit"]
    (as_csv,) = csv.DictReader(io.StringIO(llmarch("fit", *arguments, "--format", "csv").out))
    asked: dict[str, Any] = {"context": 32_768, "layout": {"tp": 2}, "reserve": Fraction(1, 8), "price": Fraction(2)}
    (expected,) = llmarch_cli.fit(["gpt-oss-20b"], ["2xh100"], **asked)[0].rows
    assert row == {key: plain(value) for key, value in expected.items() if key in row}
    for key in ("memory_bytes", "device_weight_bytes", "device_kv_cache_bytes", "reserve_bytes", "free_bytes", "batch"):
        assert int(as_csv[key]) == row[key] > 0
    assert row["memory_bytes"] == sum(
        row[f"{part}_bytes"] for part in ("device_weight", "device_kv_cache", "device_state", "reserve", "free")
    )
    assert row["tokens_per_second"] == pytest.approx(row["batch"] / row["step_seconds"])
    assert row["device_tokens_per_second"] == pytest.approx(row["tokens_per_second"] / 2)
    assert row["price_per_million_tokens"] == pytest.approx(2 * 2 / 3600 / row["tokens_per_second"] * 1e6)
    assert llmarch("fit", *arguments, "--format", "markdown").out.startswith("|  | gpt-oss-20b |")


def test_one_answer_shows_its_parts(llmarch: Run) -> None:
    tables = read(llmarch, "deepseek-v3", "--on", "8xh200")
    (row,) = tables["fit"]
    assert {part["part"]: part["device_bytes"] for part in tables["device"]} == {
        name: row[f"{key}_bytes"]
        for name, key in (
            ("weights", "device_weight"),
            ("cache", "device_kv_cache"),
            ("reserve", "reserve"),
            ("free", "free"),
        )
    }
    step = {part["part"]: part for part in tables["step"]}
    parts = [part["read_bytes"] for name, part in step.items() if part["read_bytes"] and name != "all reads"]
    assert sum(parts) == step["all reads"]["read_bytes"]
    assert step["all reads"]["seconds"] == row["step_memory_seconds"]
    assert step["all products"]["seconds"] == row["step_compute_seconds"]
    assert tables["layouts"][0]["layout"] == row["layout"]
    assert tables["layouts"][0]["most_sequences"] == row["most_sequences"]


@pytest.mark.parametrize("columns", ["80", "100"])
def test_it_fits_the_terminal_and_states_what_it_assumes(
    llmarch: Run, monkeypatch: pytest.MonkeyPatch, columns: str
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    out = llmarch("fit", "deepseek-v3", "--on", "2x8xh100", "--explain", "--price", "2.5").out
    assert max(map(len, out.splitlines())) <= int(columns)
    said = " ".join(out.split())
    for words in (
        "131,072 tokens of context, bf16 cache, weights as published, a prompt of 131,072 tokens",
        "Layout: the one in which most sequences fit",
        "Reserve: 10.0% of a device's memory",
        "in fp8, 1.98 PFLOPs/s dense at most, as the weights imply; it reads 3.35 TB/s at most",
        "each weight that a step uses is read once",
        "tokens choose them all equally often and independently",
        "Price: of decoded tokens at the bound",
        "How each figure follows",
    ):
        assert words in said, words


def test_every_figure_is_explained_with_its_source(llmarch: Run) -> None:
    tables = read(llmarch, "gpt-oss-120b", "--on", "8xh100", "--explain", "--price", "3")
    lines = {line["figure"]: line for line in tables["explained"]}
    assert {"weights", "cache", "most sequences", "to read", "to compute", "first token", "distinct experts"} <= set(
        lines
    )
    assert all(line[key] for line in tables["explained"] for key in ("value", "formula", "inputs", "source"))
    (row,) = tables["fit"]
    assert f"{row['memory_bytes']:,}" in lines["memory"]["inputs"]
    assert lines["to read"]["source"].startswith("https://")
    assert lines["most sequences"]["value"] == f"{row['most_sequences']:,}"
    read_bytes, bandwidth = (int(number.replace(",", "")) for number in lines["to read"]["inputs"].split(" / "))
    assert row["step_memory_seconds"] == read_bytes / bandwidth


def test_several_models_and_machines_are_one_table(llmarch: Run) -> None:
    tables = read(llmarch, "gpt-oss-120b", "deepseek-v3", "--on", "h100", "--on", "8xh200", "--ctx", "32k")
    assert {"device", "step", "layouts"}.isdisjoint(tables)
    rows = {(row["model"], row["machines"]): row for row in tables["fit"]}
    assert len(rows) == 4
    assert rows["deepseek-v3", "h100"]["batch"] == 0
    assert rows["deepseek-v3", "h100"]["missing_bytes"] > 0
    assert rows["deepseek-v3", "h100"]["tokens_per_second"] is None
    alone = read(llmarch, "deepseek-v3", "--on", "8xh200", "--ctx", "32k")["fit"]
    assert alone == [rows["deepseek-v3", "8xh200"]]
    out = llmarch("fit", "gpt-oss-120b", "deepseek-v3", "--on", "h100", "--on", "8xh200", "--ctx", "32k").out
    assert "deepseek-v3 does not fit on h100: a device lacks" in " ".join(out.split())


def test_a_changed_copy_follows(llmarch: Run) -> None:
    rows = read(llmarch, "llama3.1-8b", "--on", "h100", "--set", "n_layers=16")["fit"]
    assert [row["model"] for row in rows] == ["llama3.1-8b", "llama3.1-8b (n_layers=16)"]
    assert rows[1]["most_sequences"] > rows[0]["most_sequences"]


def test_options_change_the_answer(llmarch: Run) -> None:
    def row(*more: str) -> dict[str, Any]:
        found: dict[str, Any] = read(llmarch, "qwen3-30b-a3b", "--on", "4xh100", "--ctx", "8k", *more)["fit"][0]
        return found

    usual = row()
    assert row("--kv-dtype", "fp8")["most_sequences"] > usual["most_sequences"]
    assert row("--weights", "fp8")["device_weight_bytes"] < usual["device_weight_bytes"]
    assert row("--batch", "2")["batch"] == 2
    assert row("--batch", "2", "--skew", "1")["step_seconds"] < row("--batch", "2")["step_seconds"]
    assert row("--compute", "fp8")["step_compute_seconds"] < usual["step_compute_seconds"]
    assert row("--prompt", "1k")["first_token_seconds"] < usual["first_token_seconds"]
    assert row("--prefix", "4k")["first_token_seconds"] > usual["first_token_seconds"]
    sizes = ("--tp", "2", "--pp", "1", "--dp", "2", "--ep", "4", "--cp", "1", "--dp-attention")
    assert row(*sizes)["layout"] == "tp 2, dp 2, ep 4, attention data-parallel"
    assert "attention" not in row("--tp", "4", "--no-dp-attention")["layout"]


def test_what_an_engine_keeps_is_asked_for_and_named(llmarch: Run) -> None:
    arguments = ("gemma3-1b", "--on", "h100", "--ctx", "1001", "--batch", "1", "--tp", "1")
    (usual,) = read(llmarch, *arguments)["fit"]
    assert [usual[key] for key in ("page_tokens", "windows", "vocab_multiple", "copied_rows")] == [None] * 4
    assert not {"Pages:", "Windows:", "Vocabulary:", "Copies:"} & set(llmarch("fit", *arguments).out.split())
    more = ("--pages", "16", "--windows", "reserved", "--pad-vocab", "1000")
    (row,) = read(llmarch, *arguments, *more)["fit"]
    assert (row["page_tokens"], row["windows"], row["vocab_multiple"]) == (16, "reserved", 1000)
    assert (usual["device_kv_cache_bytes"], row["device_kv_cache_bytes"]) == (
        (4 * 1001 + 22 * 512) * 1024,
        26 * 1008 * 1024,
    )
    assert row["device_weight_bytes"] - usual["device_weight_bytes"] == (263_000 - 262_144) * 1152 * 2
    assert (usual["vocab_rows"], row["vocab_rows"]) == (262_144, 263_000)
    assert row["step_seconds"] == usual["step_seconds"]
    lines = {line["figure"]: line["inputs"] for line in read(llmarch, *arguments, *more, "--explain")["explained"]}
    assert lines["cache"] == f"{row['device_kv_cache_bytes']:,} x 1; --pages 16; --windows reserved"
    assert lines["weights"] == "one device; native; --pad-vocab 1000"
    said = " ".join(llmarch("fit", *arguments, *more).out.split())
    for words in (
        "Pages: the cache of each sequence in each layer is in whole pages of 16 tokens.",
        "Windows: layers with a window or chunks keep every token.",
        "Vocabulary: its rows are padded to a multiple of 1,000 that tp divides.",
        "These are bytes that an engine holds. The bounds are without them",
    ):
        assert words in said, words
    kept = " ".join(llmarch("fit", *arguments, "--windows", "+512").out.split())
    assert "Windows: layers with a window or chunks keep 512 tokens more than are in view." in kept


@pytest.mark.parametrize(
    ("arguments", "rows", "words"),
    [
        (
            "deepseek-v3 --tp 8 --no-dp-attention",
            "latent, k_rope",
            "each tensor-parallel device has the whole cached latent and k rope of its sequences.",
        ),
        ("deepseek-v3 --tp 8 --dp-attention", None, None),
        ("gpt-oss-120b --tp 8 --no-dp-attention", None, None),
        (
            "qwen3-30b-a3b --tp 8 --no-dp-attention",
            "k, v",
            "tp does not divide the heads of cached k and v; some devices have the same.",
        ),
    ],
)
def test_copied_rows_are_said(llmarch: Run, arguments: str, rows: str | None, words: str | None) -> None:
    asked = (*arguments.split(), "--on", "8xh200", "--ctx", "1k", "--batch", "8")
    assert read(llmarch, *asked)["fit"][0]["copied_rows"] == rows
    said = " ".join(llmarch("fit", *asked).out.split())
    assert ("Copies: " + (words or "")) in said if words else "Copies:" not in said


def test_a_chip_of_ones_own(llmarch: Run, tmp_path: Any) -> None:
    from llmarch_cli.deployment.chips import chips_directory

    own = tmp_path / "mine.yaml"
    own.write_text((chips_directory() / "h100.yaml").read_text().replace("bandwidth: 3", "bandwidth: 6"))
    rows = read(llmarch, "llama3.1-8b", "--on", "h100", "--on", str(own))["fit"]
    assert rows[0]["step_seconds"] > rows[1]["step_seconds"]
    assert rows[1]["machines"] == "mine"


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ("llama3.1-8b", "missing option '--on'"),
        ("llama3.1-8b --on h10", "unknown chip 'h10'; did you mean h100"),
        ("llama3.1-8b --on 0xh100", "is no device; write at least 1"),
        (
            "llama3.1-8b --on 16xh100",
            "a node of NVIDIA H100 SXM has 8 devices, not 16; for several nodes write 2x8xh100",
        ),
        ("llama3.1-8b --on 8xh100 --tp 3", "tp can be 1, 2, 4, 8, 16 or 32"),
        ("llama3.1-8b --on 8xh100 --tp 4 --pp 4", "no layout of 8xh100 has tp 4, pp 4"),
        ("llama3.1-8b --on h100 --tp two", "--tp takes a whole number"),
        ("llama3.1-8b --on h100 --reserve 10", "--reserve takes a share of a device's memory, such as 10%"),
        ("llama3.1-8b --on h100 --reserve 100%", "less than 100%"),
        ("llama3.1-8b --on h100 --price free", "--price takes the price of a device for an hour"),
        ("llama3.1-8b --on h100 --skew=-1", "--skew takes an exponent from 0 to 10"),
        ("llama3.1-8b --on h100 --skew 11", "the skew must be from 0 to 10"),
        ("llama3.1-8b --on h100 --compute fp9", "no chip has a peak for 'fp9'"),
        ("llama3.1-8b --on h100 --batch 0", "batch must be a whole number from 1"),
        ("llama3.1-8b --on h100 --pages 0", "a page has from 1 to 1,048,576 tokens, not 0"),
        ("llama3.1-8b --on h100 --pages 1.5", "--pages takes a whole number"),
        ("llama3.1-8b --on h100 --windows full", "windows can be reserved, or keep up to 1,048,576 tokens more"),
        ("llama3.1-8b --on h100 --windows 512", "such as +512, not '512'"),
        ("llama3.1-8b --on h100 --pad-heads 0", "cached heads are padded to a multiple of 1 to 1,048,576, not of 0"),
        ("llama3.1-8b --on h100 --pad-vocab 0", "the vocabulary is padded to a multiple of 1 to 1,048,576, not of 0"),
        ("deepseek-v4-flash --on 8xh200 --pages 16", "do not hold whole cached rows of 128 tokens; ask for a multiple"),
        ("llama3.1-8b --on h100 --weights fp7", "--weights: unknown weight format 'fp7'"),
        ("llama3.1-8b --on h100 --batch 1000", "does not fit on h100: 1,000 sequences of 131,072 tokens"),
        ("deepseek-v3 --on h100 --on 8xh100", "deepseek-v3 does not fit on 8xh100: 1 sequence of 131,072 tokens"),
    ],
)
def test_what_is_wrong_is_said_on_one_line(llmarch: Run, arguments: str, why: str) -> None:
    result = llmarch("fit", *arguments.split())
    assert (result.status, result.out) == (2, "")
    assert why in result.err
    assert result.err.count("\n") == 1
