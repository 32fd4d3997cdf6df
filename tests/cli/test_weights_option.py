"""`--weights FORMAT` in every command that prints bytes of weights, and in budgets, baselines and sweeps."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

import llmarch_cli as package
from llmarch_cli.errors import InputError
from llmarch_cli.guards import baselines, budgets

Run = Callable[..., Any]

NATIVE = 65_248_815_744  # gpt-oss-120b


def rows(result: Any, table: str = "models") -> list[dict[str, Any]]:
    assert (result.status, result.err) == (0, "")
    found: list[dict[str, Any]] = json.loads(result.out)[table]
    return found


@pytest.mark.parametrize("command", ["compare", "kvcache", "report"])
def test_commands_of_several_models(llmarch: Run, command: str) -> None:
    columns = () if command == "report" else ("--columns", "weight_bytes,weight_format")
    result = llmarch(command, "gpt-oss-120b", "qwen3-8b", "--weights", "native", "--format", "json", *columns)
    table = {"compare": "models", "kvcache": "kv_caches", "report": "models"}[command]
    found = {row["model"]: (row["weight_bytes"], row["weight_format"]) for row in rows(result, table)}
    assert found == {"gpt-oss-120b": (NATIVE, "mxfp4"), "qwen3-8b": (2 * 8_190_735_360, "bf16")}


def test_show(llmarch: Run) -> None:
    (row,) = rows(llmarch("show", "gpt-oss-120b", "--weights", "mxfp4_moe", "--format", "json"), "model")
    assert (row["weight_bytes"], row["weight_format"]) == (63_374_323_968, "mxfp4_moe")


def test_the_heading_names_the_format(llmarch: Run) -> None:
    out = llmarch("compare", "llama3.1-8b", "--weights", "q4_k_m").out
    assert re.search("weights \\(q4_k_m\\) +4.58 GiB", out)
    assert re.search("bits per weight +4.89", out)
    assert "bf16 cache, q4_k_m weights." in out
    native = llmarch("compare", "gpt-oss-120b", "--weights", "native").out
    assert "weights (native)" in native
    assert "mxfp4" in native


def test_bf16_is_what_it_was(llmarch: Run) -> None:
    plain, asked = (llmarch("compare", "gpt-oss-120b", *more).out for more in ((), ("--weights", "bf16")))
    assert plain == asked
    assert "weights (bf16)" in plain
    assert "bits per weight" not in plain


def test_several_formats_side_by_side() -> None:
    from llmarch_cli.report.comparison import comparison

    profiles = [package.profile("llama3.1-8b", weights=name, engine="closed-form") for name in ("fp8", "q4_k_m")]
    (title,) = (column.title for column in comparison(profiles).columns if column.key == "weight_bytes")
    assert title == "weights"


@pytest.mark.parametrize("command", ["compare", "show", "kvcache", "sweep", "diff", "report", "baseline", "drift"])
def test_an_unknown_format_is_one_line(llmarch: Run, command: str) -> None:
    words = {"sweep": ("gpt2", "--vary", "n_layers=1,2"), "diff": ("gpt2", "gpt2-xl"), "baseline": ("write", "x.yaml")}
    result = llmarch(command, *words.get(command, () if command == "drift" else ("gpt2",)), "--weights", "q4km")
    assert (result.status, result.out) == (2, "")
    assert result.err.count("\n") == 1
    assert "--weights: unknown weight format 'q4km'; known: native, bf16, " in result.err
    assert "did you mean q4_k_m" in result.err


def test_a_format_that_cannot_store_a_matrix_is_one_line(llmarch: Run) -> None:
    result = llmarch("compare", "gpt-oss-120b", "--weights", "gptq-int4")
    assert (result.status, result.out) == (2, "")
    assert result.err == (
        "error: gpt-oss-120b, attention: full: q_proj: its 2,880 input values do not divide into groups of 128; ask for"
        " another weight format\n"
    )


def test_changes_of_a_spec(llmarch: Run) -> None:
    changed = ("--set", "stored.parts.experts=nvfp4", "--format", "json", "--columns", "weight_bytes,weight_format")
    found = rows(llmarch("compare", "gpt-oss-120b", *changed, "--weights", "native"))
    assert [row["weight_format"] for row in found[:2]] == ["mxfp4", "nvfp4"]
    assert found[1]["weight_bytes"] > found[0]["weight_bytes"]


@pytest.mark.parametrize("name", ["fp8-block", "bnb-nf4", "nvfp4", "q4_k_m", "mlx-4bit", "native"])
def test_a_sweep_gives_what_single_variants_have(name: str) -> None:
    base = package.changed(package.load("qwen3-30b-a3b"), {"stored": {"parts": {"experts": "fp8-block"}}})
    vary = {"n_layers": [3, 8], "d_model": [512, 1024], "ffn.n_experts": [8, 16, 24], "ffn.d_ff": [256, 768]}
    vary |= {"attention.n_heads": [4, 12], "vocab_size": [1000, 1001]}
    columns = ["weight_bytes", "params", *vary]
    table = package.sweep(base, vary, columns=columns, weights=name)
    assert len(table.rows) == 2 * 2 * 3 * 2 * 2 * 2
    for row in table.rows[::7]:
        one = package.changed(base, {path: row[path] for path in vary})
        assert row["weight_bytes"] == package.profile(one, weights=name, engine="closed-form").weight_bytes
    assert [column.title for column in table.columns if column.key == "weight_bytes"] == [f"weights ({name})"]


def test_a_sweep_stops_at_a_matrix_that_does_not_fit() -> None:
    with pytest.raises(InputError, match="do not divide into groups of 128"):
        package.sweep("qwen3-8b", {"d_model": [1024, 1000]}, columns=["weight_bytes"], weights="gptq-int4")


def test_budgets(tmp_path: Path) -> None:
    file = tmp_path / "budgets.yaml"
    file.write_text(
        "weights: native\n"
        "budgets:\n"
        "  - {models: [gpt-oss-120b], limits: [weight_bytes <= 61GiB]}\n"
        "  - {models: [gpt-oss-120b], weights: bf16, limits: [weight_bytes <= 61GiB]}\n"
    )
    held = [(check.workload.weights, check.measured, check.holds) for check in budgets.check(file, "closed-form")]
    assert held == [("native", NATIVE, True), ("bf16", 2 * 116_829_156_672, False)]
    file.write_text("weights: q4km\nbudgets:\n  - {models: [gpt2], limits: [params <= 1B]}\n")
    with pytest.raises(InputError, match="weights: unknown weight format 'q4km'; known: native, bf16"):
        budgets.read(file)


def test_baselines(tmp_path: Path) -> None:
    file = tmp_path / "baseline.yaml"
    baselines.write(file, ["gpt-oss-120b"], ["weight_bytes"], {"weights": "native", "engine": "closed-form"})
    assert yaml.safe_load(file.read_text())["figures"] == {"gpt-oss-120b": {"weight_bytes": NATIVE}}
    assert [drift.status for drift in baselines.compare(file, "closed-form", {})] == ["same"]
    baselines.write(file, [], [], {"engine": "closed-form"})  # the setting is kept
    assert "weights: native\n" in file.read_text()


def test_an_old_baseline_has_no_weights(tmp_path: Path) -> None:
    file = tmp_path / "baseline.yaml"
    baselines.write(file, ["gpt2"], ["weight_bytes"], {"engine": "closed-form"})
    file.write_text("".join(line for line in file.read_text().splitlines(True) if not line.startswith("weights:")))
    assert [drift.status for drift in baselines.compare(file, "closed-form", {})] == ["same"]
