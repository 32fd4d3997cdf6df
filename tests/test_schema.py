"""The JSON schema: current, and in agreement with what `load` takes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from jsonschema import Draft202012Validator
from strategies import spec_data

from llmarch_cli.deployment.chips import chips_directory
from llmarch_cli.errors import InputError
from llmarch_cli.models import load
from llmarch_cli.schema import SCHEMAS, render, spec_schema, write_schema
from llmarch_cli.specs import yaml_data
from llmarch_cli.specs.loading import names, resolved, specs_directory
from llmarch_cli.specs.yaml_data import read

SCHEMA = spec_schema()
VALIDATOR = Draft202012Validator(SCHEMA, format_checker=Draft202012Validator.FORMAT_CHECKER)


def problems(data: dict[str, Any]) -> list[str]:
    """What the schema has against data as YAML has it."""
    as_json = json.loads(json.dumps(data, default=str))  # JSON has no dates
    return [error.message for error in VALIDATOR.iter_errors(as_json)]


def test_the_file_is_current(tmp_path: Path) -> None:
    write_schema(tmp_path / "schema.json")
    assert (specs_directory() / "schema.json").read_text() == (tmp_path / "schema.json").read_text(), (
        "the records changed: write model_specs/schema.json again with `make docs`"
    )


@pytest.mark.parametrize("of", ["budgets", "baseline"])
def test_the_files_of_guards_are_current(of: str) -> None:
    committed = specs_directory().parent / "docs" / f"{of}.schema.json"
    assert committed.read_text() == render(of), "the records changed: write it again with `make docs`"


def test_the_file_of_chips_is_current() -> None:
    assert (chips_directory() / "schema.json").read_text() == render("chip"), "write it again with `make docs`"


@pytest.mark.parametrize("of", SCHEMAS)
def test_it_is_a_schema(of: str) -> None:
    Draft202012Validator.check_schema(SCHEMAS[of]())


@pytest.mark.parametrize("name", names())
def test_bundled_specs_fit(name: str) -> None:
    path = specs_directory() / f"{name}.yaml"
    assert problems(read(path)) == []
    assert problems(resolved(path)) == []


@given(spec_data())
def test_every_valid_spec_fits(data: dict[str, Any]) -> None:
    assert problems(data) == []
    assert problems({"extends": "gpt2", **data}) == []


WHOLE = """\
name: x
d_model: 8
n_layers: 2
vocab_size: 9
released: 2024-01-02
attention: {kind: gqa, n_heads: 2, n_kv_heads: 1, head_dim: 4}
ffn:
  repeat: [a, b]
  variants:
    a: {kind: dense, d_ff: 8}
    b: {kind: moe, n_experts: 2, top_k: 1, d_ff: 8, shared_expert: {kind: dense, d_ff: 8}}
"""
CHANGES = "extends: deepseek-v3\nn_layers: 4\nattention: {n_heads: 3}\nffn: {variants: {moe: {top_k: 2}}}\n"


@pytest.mark.parametrize("text", [WHOLE, CHANGES, CHANGES + "norm: {kind: layer}", "extends: gpt2"])
def test_good_ones(text: str, tmp_path: Path) -> None:
    (tmp_path / "spec.yaml").write_text(text)
    assert load(tmp_path / "spec.yaml")
    assert problems(read(tmp_path / "spec.yaml")) == []


@pytest.mark.parametrize(
    ("text", "old", "new"),
    [
        (WHOLE, "name: x\n", ""),
        (WHOLE, "d_model: 8", "d_model: 1e6"),
        (WHOLE, "d_model: 8", "d_model: 0"),
        (WHOLE, "d_model: 8", "d_model: 8.5"),
        (WHOLE, "d_model: 8", "width: 8"),
        (WHOLE, "d_model: 8", "d_model: 8\nn_heads: 3"),
        (WHOLE, "2024-01-02", "2024-01"),
        (WHOLE, "kind: gqa", "kind: qga"),
        (WHOLE, "kind: gqa, ", ""),
        (WHOLE, "kind: gqa, ", "kind: gqa, kv_lora_rank: 4, "),
        (WHOLE, "head_dim: 4", "head_dim: 4, rope_theta: 10_000, rope_scaling: {kind: linear, faktor: 2.0}"),
        (WHOLE, "[a, b]", "[A, b]"),
        (WHOLE, "[a, b]", "a"),
        (WHOLE, "    a: {", "    A: {"),
        (WHOLE, "shared_expert: {kind: dense, ", "shared_expert: {kind: moe, "),
        (CHANGES, "extends: deepseek-v3", "extends: [deepseek-v3]"),
        (CHANGES, "extends: deepseek-v3", "name: x"),
        (CHANGES, "n_layers: 4", "n_layers: three"),
        (CHANGES, "n_heads: 3", "n_head: 3"),
        (CHANGES, "n_heads: 3", "kind: gqa, kv_lora_rank: 3"),
        (CHANGES, "top_k: 2", "topk: 2"),
        (CHANGES, "top_k: 2", "shared_expert: {kind: moe}"),
        (CHANGES, "n_layers: 4", "layers: 3"),
    ],
)
def test_bad_ones_fit_neither_the_schema_nor_the_records(text: str, old: str, new: str, tmp_path: Path) -> None:
    assert text.count(old) == 1
    path = tmp_path / "spec.yaml"
    path.write_text(text.replace(old, new))
    with pytest.raises(InputError):
        load(path)
    assert problems(yaml_data.read(path))


def test_fields_are_described_by_the_comments_beside_them() -> None:
    records = SCHEMA["$defs"]
    window = records["GroupedQueryAttention"]["properties"]["window"]
    assert window["description"] == "attends to the last `window` tokens, itself included"
    assert records["MixtureOfExperts"]["properties"]["gated"]["description"].startswith("with silu this is SwiGLU")
    assert records["YarnScaling"]["description"].startswith("NTK-by-parts")
