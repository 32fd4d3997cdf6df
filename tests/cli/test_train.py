import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import llmarch_cli

Run = Callable[..., Any]


def read(llmarch: Run, *arguments: str) -> dict[str, list[dict[str, Any]]]:
    """The tables of the command as data."""
    result = llmarch("train", *arguments, "--format", "json")
    assert (result.status, result.err) == (0, "")
    found: dict[str, list[dict[str, Any]]] = json.loads(result.out)
    return found


def test_its_formats_agree_with_the_library(llmarch: Run) -> None:
    arguments = ["gpt2", "--seq", "1k", "--micro-batch", "2", "--zero", "2", "--devices", "3", "--optimizer", "muon"]
    (row,) = read(llmarch, *arguments)["training"]
    (as_csv,) = csv.DictReader(io.StringIO(llmarch("train", *arguments, "--format", "csv").out))
    asked: dict[str, Any] = {"seq": 1024, "micro_batch": 2, "zero": 2, "devices": 3, "optimizer": "muon"}
    (expected,) = llmarch_cli.training(["gpt2"], engine="closed-form", **asked)[0].rows
    assert row == expected
    for key in ("sequence_tokens", "params", "parameter_bytes", "gradient_bytes", "optimizer_bytes", "stored_bytes"):
        assert int(as_csv[key]) == row[key] > 0
    assert row["stored_bytes"] == row["parameter_bytes"] + row["gradient_bytes"] + row["optimizer_bytes"]


@pytest.mark.parametrize("columns", ["80", "100"])
def test_activations_are_measured_and_add_up(llmarch: Run, monkeypatch: pytest.MonkeyPatch, columns: str) -> None:
    arguments = ["gemma3-1b", "gpt2", "--seq", "512", "--engine", "measured"]
    tables = read(llmarch, *arguments)
    for model in tables["training"]:
        lines = [line for line in tables["activations"] if line["model"] == model["model"]]
        for key in ("activation_bytes", "activation_bytes_selective", "activation_bytes_full"):
            assert sum(line[key] for line in lines) == model[key]
        assert model["activation_bytes_full"] < model["activation_bytes_selective"] < model["activation_bytes"]
        assert model["device_bytes_full"] == model["stored_bytes"] + model["activation_bytes_full"]
        assert model["engine"] == "measured"
    monkeypatch.setenv("COLUMNS", columns)
    out = llmarch("train", *arguments).out
    assert max(map(len, out.splitlines())) <= int(columns)
    assert "The modules train the same tensors as the closed form says." in " ".join(out.split())
    kinds = [line["layers"] for line in tables["activations"] if line["model"] == "gemma3-1b"]
    assert kinds[:2] == ["local + dense", "global + dense"]


def test_the_closed_form_says_what_it_leaves_out(llmarch: Run) -> None:
    out = llmarch("train", "gpt2", "--seq", "1k").out
    assert "Activations are counted by running the modules: add --engine measured." in out
    assert "activations, full" not in out
    tables = read(llmarch, "gpt2", "--seq", "1k")
    assert tables["training"][0]["activation_bytes"] is None
    assert "activations" not in tables


def test_adapters(llmarch: Run) -> None:
    arguments = ["llama3.1-8b", "--lora", "r=64", "--target", "q_proj, v_proj", "--seq", "8_192"]
    tables = read(llmarch, *arguments)
    (model,) = tables["training"]
    added = [32 * 64 * (4096 + 4096), 32 * 64 * (4096 + 1024)]
    assert [line["trained_params"] for line in tables["adapters"]] == added
    assert [line["matrix"] for line in tables["adapters"]] == ["attention.q_proj", "attention.v_proj"]
    assert model["trained_params"] == sum(added)
    assert model["gradient_bytes"] == 2 * sum(added)
    out = llmarch("train", *arguments).out
    assert "27.26M" in out
    assert "0.3%" in out
    every = read(llmarch, "llama3.1-8b", "--lora", "64")["training"][0]["trained_params"]
    assert every == 167_772_160


def test_a_changed_copy_follows(llmarch: Run) -> None:
    rows = read(llmarch, "gpt2", "--seq", "1k", "--set", "n_layers=6")["training"]
    assert [row["model"] for row in rows] == ["gpt2", "gpt2 (n_layers=6)"]
    assert rows[1]["params"] < rows[0]["params"]


@pytest.mark.parametrize(("text", "tokens"), [("15T", 15 * 10**12), ("1.5b", 1_500_000_000), ("300_000", 300_000)])
def test_tokens_of_the_run(llmarch: Run, text: str, tokens: int) -> None:
    assert read(llmarch, "gpt2", "--seq", "1k", "--tokens", text)["training"][0]["run_tokens"] == tokens


def test_a_model_of_very_many_layers_is_calculated_and_not_built(llmarch: Run, tmp_path: Path) -> None:
    path = tmp_path / "deep.yaml"
    path.write_text("extends: llama3.2-1b\nname: Deep\nn_layers: 1_000_000\n")
    assert llmarch("train", str(path), "--engine", "closed-form").status == 0
    result = llmarch("train", str(path), "--engine", "measured")
    assert (result.status, result.err.count("\n")) == (2, 1)
    assert "1,000,000 layers are too many to build, at most 10,000 are; use --engine closed-form" in result.err


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ("--seq 0", "--seq takes a number of tokens, at least 1"),
        ("--seq 1.5k", "--seq takes a number of tokens"),
        ("--seq 9999999M", "the sequence length must be a whole number from 1"),
        ("--micro-batch 0", "the micro-batch must be a whole number from 1"),
        ("--tokens 0", "--tokens takes a whole number of tokens"),
        ("--tokens 1.5", "--tokens takes a whole number of tokens"),
        ("--tokens many", "--tokens takes a whole number of tokens"),
        ("--lora r=0", "the rank of adapters must be a whole number from 1"),
        ("--lora q_proj", "--lora takes the rank of the adapters, such as r=64"),
        ("--lora 8 --target q_pro", "unknown target 'q_pro'"),
        ("--lora 8 --target ,", "--target is empty"),
        ("--target q_proj", "add --lora r=RANK"),
        ("--tokens 1T --lora 8", "not counted for adapters: leave out --lora"),
        ("--optimizer adam", "unknown optimizer 'adam'; known: adamw"),
        ("--precision bf61", "unknown precision 'bf61'; known: mixed, bf16, fp32; did you mean bf16"),
        ("--zero 4 --devices 8", "the stage of ZeRO must be 0, 1, 2 or 3, not 4"),
        ("--zero 1", "add --devices N"),
        ("--devices 0", "the number of devices must be a whole number from 1"),
        ("--seq 9999M --engine measured", "more than one tensor can hold"),
        ("--seq 8k --engine measured", "learned positions for 1024 tokens, not for 8192"),
    ],
)
def test_what_is_wrong_is_said_on_one_line(llmarch: Run, arguments: str, why: str) -> None:
    result = llmarch("train", "gpt2", *arguments.split())
    assert (result.status, result.out) == (2, "")
    assert why in result.err
    assert result.err.count("\n") == 1
