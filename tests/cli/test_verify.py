"""`llmarch verify` and `llmarch schema`."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
import torch
from safetensors.torch import save_file

import llmarch_cli
from llmarch_cli.components.attention import GroupedQueryAttention
from llmarch_cli.components.cache import Mixing
from llmarch_cli.specs.loading import specs_directory

Run = Callable[..., Any]

TINY = """
name: Tiny
d_model: 8
n_layers: 1
vocab_size: 10
tie_embeddings: true
attention: {kind: gqa, n_heads: 2, n_kv_heads: 1, head_dim: 4}
ffn: {kind: dense, d_ff: 16}
"""


@pytest.fixture
def tiny(tmp_path: Path) -> str:
    (tmp_path / "tiny.yaml").write_text(TINY)
    return str(tmp_path / "tiny.yaml")


def test_each_check_has_a_line(llmarch: Run, tiny: str) -> None:
    result = llmarch("verify", "gpt2", tiny)
    assert result.status == 0
    lines = [line for line in result.out.splitlines() if line.startswith(("gpt2 ", "tiny "))]
    assert len(lines) == 10
    assert "9 agree, 0 disagree, 1 not applicable" in result.out


def test_a_disagreement_is_exit_status_1(llmarch: Run, tiny: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(GroupedQueryAttention, "mixing", lambda self: iter((Mixing(1),)))
    result = llmarch("verify", tiny, "--format", "json")
    assert result.status == 1
    said = {row["check"]: row["verdict"] for row in json.loads(result.out)["verdicts"]}
    assert said.pop("published") == "not applicable"
    assert set(said.values()) == {"DISAGREES"}


def test_as_junit_each_check_is_a_case(llmarch: Run, tiny: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(GroupedQueryAttention, "mixing", lambda self: iter((Mixing(1),)))
    result = llmarch("verify", tiny, "--format", "junit")
    assert result.status == 1
    cases = {case.get("name"): case for case in ET.fromstring(result.out).iter("testcase")}
    failing = {name for name, case in cases.items() if case.find("failure") is not None}
    assert failing == {"tiny both engines", "tiny prompts", "tiny torch's counter", "tiny fvcore"}
    assert cases.keys() - failing == {"tiny published"}


def test_a_mistyped_name_is_found_before_anything_runs(llmarch: Run) -> None:
    result = llmarch("verify", "gpt2", "gtp2")
    assert (result.status, result.out) == (2, "")
    assert "did you mean" in result.err


class TestCheckpoint:
    @pytest.fixture
    def checkpoint(self, tmp_path: Path) -> Path:
        layer = "model.layers.0."
        shapes = {
            "model.embed_tokens.weight": (10, 8),
            "model.norm.weight": (8,),
            f"{layer}input_layernorm.weight": (8,),
            f"{layer}post_attention_layernorm.weight": (8,),
            f"{layer}self_attn.q_proj.weight": (8, 8),
            f"{layer}self_attn.k_proj.weight": (4, 8),
            f"{layer}self_attn.v_proj.weight": (4, 8),
            f"{layer}self_attn.o_proj.weight": (8, 8),
            f"{layer}mlp.gate_proj.weight": (16, 8),
            f"{layer}mlp.up_proj.weight": (16, 8),
            f"{layer}mlp.down_proj.weight": (8, 16),
        }
        save_file({name: torch.ones(shape) for name, shape in shapes.items()}, tmp_path / "model.safetensors")
        return tmp_path

    def test_reconciled(self, llmarch: Run, tiny: str, checkpoint: Path) -> None:
        result = llmarch("verify", tiny, "--checkpoint", str(checkpoint))
        params = llmarch_cli.profile(tiny, engine="closed-form").params
        assert result.status == 0
        assert f"Reconciled: {params} parameters, and every tensor is accounted for" in result.out

    def test_every_tensor(self, llmarch: Run, tiny: str, checkpoint: Path) -> None:
        result = llmarch("verify", tiny, "--checkpoint", str(checkpoint), "--tensors", "--format", "json")
        tensors = {row["name"]: row for row in json.loads(result.out)["tensors"]}
        assert tensors["model.layers.0.mlp.down_proj.weight"] == {
            "name": "model.layers.0.mlp.down_proj.weight",
            "dtype": "F32",
            "shape": "8 x 16",
            "belongs": "model",
            "ours": "layers.0.ffn.down_proj.weight",
        }
        assert len(tensors) == 11

    def test_not_reconciled(self, llmarch: Run, checkpoint: Path) -> None:
        result = llmarch("verify", "gpt2", "--checkpoint", str(checkpoint))
        assert result.status == 1
        assert "NOT reconciled" in result.out

    def test_as_junit_each_class_is_a_test_and_what_does_not_fit_fails(
        self, llmarch: Run, tiny: str, checkpoint: Path
    ) -> None:
        good = ET.fromstring(llmarch("verify", tiny, "--checkpoint", str(checkpoint), "--format", "junit").out)
        assert (good.get("tests"), good.get("failures")) == ("2", "0")
        bad = llmarch("verify", "gpt2", "--checkpoint", str(checkpoint), "--format", "junit")
        assert bad.status == 1
        failures = [each.get("message") for each in ET.fromstring(bad.out).iter("failure")]
        assert failures[0] is not None
        assert failures[0].startswith("NOT reconciled")
        assert {"missing", "left over"} <= set(failures)

    @pytest.mark.parametrize("models", [(), ("gpt2", "gpt2-xl")])
    def test_one_model_is_asked_for(self, llmarch: Run, models: tuple[str, ...], checkpoint: Path) -> None:
        result = llmarch("verify", *models, "--checkpoint", str(checkpoint))
        assert (result.status, result.out) == (2, "")
        assert "takes one model" in result.err


def test_schema(llmarch: Run) -> None:
    bundled = json.loads((specs_directory() / "schema.json").read_text())
    assert json.loads(llmarch("schema").out) == bundled
