"""The benchmark of a device, run on the CPU with small models: rows, bounds, and steps over a cache of fixed length."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest
import torch

import llmarch_cli as llmarch
from benchmarks import gpu
from llmarch_cli.components.cache import Rows
from llmarch_cli.modules.builder import build
from llmarch_cli.profilers.cost import Workload
from llmarch_cli.profilers.profile import profile
from llmarch_cli.specs.spec import ModelSpec

torch.set_num_threads(1)  # tensors are tiny: threads would only wait for each other

TINY = """
name: Tiny
d_model: 64
n_layers: 4
vocab_size: 101
tie_embeddings: true
attention:
  first: [local, full, latent, delta]
  variants:
    local: {kind: gqa, n_heads: 4, n_kv_heads: 2, head_dim: 16, window: 8, rope_theta: 10000.0}
    full: {kind: gqa, n_heads: 4, n_kv_heads: 2, head_dim: 16, rope_theta: 10000.0}
    latent: {kind: mla, n_heads: 4, kv_lora_rank: 16, qk_nope_head_dim: 8, qk_rope_head_dim: 8, v_head_dim: 8}
    delta: {kind: gated_deltanet, n_k_heads: 2, n_v_heads: 4, k_head_dim: 8, v_head_dim: 8}
ffn: {kind: moe, n_experts: 8, top_k: 2, d_ff: 32}
"""
FAST = ("--bandwidth", "1e18", "--peak", "1e21")  # a device that no other comes near


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.yaml"
    path.write_text(TINY)
    return path


def run(path: Path, *options: str) -> int:
    return gpu.main(
        [str(path), "--device", "cpu", "--dtype", "fp32", "--steps", "1x20,3x9", "--prompts", "12", *options]
    )


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_rows_are_those_of_profiles(tiny: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(tiny, *FAST) == 0
    found = rows(capsys.readouterr().out)
    assert [row["job"] for row in found] == ["product", "copy", "weights", "decode", "decode", "prefill"]
    spec = llmarch.load(tiny)
    step = profile(spec, Workload(9, 3, "fp32", weights="fp32"), "closed-form")
    assert int(found[2]["peak_bytes"]) == step.weight_bytes + 4 * step.buffers
    decode, prefill = found[4], found[5]
    assert (decode["batch"], decode["context"]) == ("3", "9")
    assert int(decode["kv_cache_bytes"]) == step.kv_cache_bytes
    assert int(decode["flops"]) == 3 * step.flops_per_token
    assert 2 <= float(decode["distinct_experts"]) <= 6  # two of each token, of three tokens
    assert int(prefill["flops"]) == llmarch.profile(spec, context=12, engine="closed-form").prefill_flops
    assert all(float(row["seconds"]) > 0 for row in found if row["job"] != "weights")


@pytest.mark.parametrize("slow", [("--bandwidth", "1", "--peak", "1e21"), ("--bandwidth", "1e18", "--peak", "1")])
def test_a_bound_that_is_beaten_is_an_error(
    slow: tuple[str, ...], tiny: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(tiny, *slow) == 1
    printed = capsys.readouterr()
    assert "less than the bound of" in printed.err
    assert all(float(row["share"]) > 1 for row in rows(printed.out) if row["job"] == "decode")


def test_other_memory_than_the_profiles_is_an_error(
    tiny: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gpu, "own_bytes", lambda model, learned=False: 5)
    assert run(tiny) == 1
    assert "bytes of weights: 5 on the device" in capsys.readouterr().err


def test_bounds_by_hand() -> None:
    """Weights once but for the input embedding's rows, the experts that were chosen, and the cache."""
    spec = ModelSpec.model_validate(
        {
            "name": "hand",
            "d_model": 8,
            "n_layers": 2,
            "vocab_size": 10,
            "final_norm": False,
            "attention": {"kind": "gqa", "n_heads": 2, "n_kv_heads": 1, "head_dim": 4},
            "ffn": {"kind": "moe", "n_experts": 4, "top_k": 2, "d_ff": 3},
        }
    )
    found = profile(spec, Workload(5), "closed-form")
    attention, norms, router, expert = 8 * 8 + 2 * 8 * 4 + 8 * 8, 2 * 8, 8 * 4, 3 * 8 * 3
    values = 2 * (attention + norms + router + 2.5 * expert) + 8 * 10
    assert gpu.bound(found, gpu.Ceilings(100, 1e9), 7, 60, 2.5) == (2 * values + 60) / 100
    assert gpu.bound(found, gpu.Ceilings(1e9, 100), 700, 60, 2.5) == 7
    tied = profile(spec.model_copy(update={"tie_embeddings": True}), Workload(5), "closed-form")
    assert gpu.bound(tied, gpu.Ceilings(100, 1e9), 7, 60, 2.5) == (2 * values + 60) / 100


@torch.no_grad()
def test_a_step_over_a_fixed_cache_is_a_usual_step(tiny: Path) -> None:
    model = build(llmarch.load(tiny), seed=0)
    tokens = torch.arange(26).view(2, 13)
    usual = model.new_cache()
    model(tokens[:, :-1], usual)
    fixed = gpu.fixed_cache(model, 2, 13)
    for layer, kept in zip(fixed.layers, usual.layers, strict=True):
        for name, tensor in kept.stored.items():
            if isinstance(layer.entries[name], Rows):
                in_view = layer.stored[name].shape[1] - 1
                layer.stored[name][:, :-1] = tensor[:, tensor.shape[1] - in_view :]
            else:
                layer.stored[name].copy_(tensor)
    places = {id(tensor) for layer in fixed.layers for tensor in layer.stored.values()}
    fixed.step.length = 12
    torch.testing.assert_close(model(tokens[:, -1:], fixed), model(tokens[:, -1:], usual))
    assert {id(tensor) for layer in fixed.layers for tensor in layer.stored.values()} == places
    assert fixed.n_bytes == usual.n_bytes


def test_ceilings(tmp_path: Path) -> None:
    chip = tmp_path / "chip.yaml"
    chip.write_text("bandwidth: 5\npeak: {bf16: 7, fp8: 14}\n")
    assert gpu.ceilings(str(chip), None, None, "bf16") == gpu.Ceilings(5, 7)
    assert gpu.ceilings(str(chip), 6, None, "bf16") == gpu.Ceilings(6, 7)
    assert gpu.ceilings(None, 1, 2, "bf16") == gpu.Ceilings(1, 2)
    assert gpu.ceilings(None, None, None, "bf16") is None
    with pytest.raises(SystemExit, match="go together"):
        gpu.ceilings(None, 1, None, "bf16")


@pytest.mark.parametrize("words", [["--steps", "8"], ["--steps", "0x5"], ["--prompts", "x"], ["--dtype", "int8"]])
def test_impossible_options(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        gpu.main(["gpt2", *words])
    assert stopped.value.code == 2
    assert "invalid" in capsys.readouterr().err


def test_an_unknown_model(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="lama"):
        gpu.main(["lama"])
