"""Packed rows: their bytes are those of the closed form, and reading them back only rounds."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import llmarch_cli as llmarch
from llmarch_cli.modules.builder import build
from llmarch_cli.modules.packing import PACKINGS, PackedName
from llmarch_cli.profilers.cost import DTYPE_BYTES, ROW_ENCODINGS, KvDtype, Workload
from llmarch_cli.profilers.profile import profile
from llmarch_cli.specs.encodings import group_of
from llmarch_cli.specs.spec import ModelSpec

# The largest error of a value, as a share of the largest in its group: half a step of the codes, and the scale's own.
ERRORS = {"q8_0": 0.006, "q5_1": 0.035, "q5_0": 0.065, "q4_1": 0.07, "q4_0": 0.13, "int8": 0.006, "int4": 0.07}


@given(st.sampled_from(sorted(PACKINGS)), st.integers(1, 5), st.integers(0, 4))
def test_rows_have_the_bytes_of_the_closed_form(name: PackedName, n_groups: int, n_rows: int) -> None:
    packing, encoding = PACKINGS[name], ROW_ENCODINGS[name]
    assert packing.group == group_of(encoding)
    width = packing.group * n_groups
    x = torch.randn((2, n_rows, width))
    for rows in (packing.encode(x), packing.encode(x.to("meta"))):
        assert rows.shape == (2, n_rows, encoding.bytes(1, width))
        assert rows.dtype == torch.uint8
        assert packing.decode(rows, width, torch.bfloat16).shape == x.shape


@pytest.mark.parametrize("name", ERRORS)
def test_reading_back_only_rounds(name: PackedName) -> None:
    x = torch.randn((50, 640), generator=torch.Generator().manual_seed(0))
    packing = PACKINGS[name]
    groups = x.unflatten(-1, (-1, packing.group))
    error = (packing.decode(packing.encode(x), 640, torch.float32) - x).unflatten(-1, (-1, packing.group)).abs()
    assert (error / groups.abs().amax(-1, keepdim=True)).max() < ERRORS[name]
    assert error.max() > 0


def test_nvfp4_keeps_its_own_values() -> None:
    packing = PACKINGS["nvfp4"]
    levels = torch.tensor([0.0, 0.5, -0.5, 1, -1, 1.5, -1.5, 2, -2, 3, -3, 4, -4, 6, -6, 0]) * 0.25
    assert torch.equal(packing.decode(packing.encode(levels.view(1, 16)), 16, torch.float32), levels.view(1, 16))


@pytest.mark.parametrize("name", sorted(PACKINGS))
def test_zeros_stay_zeros(name: PackedName) -> None:
    x = torch.zeros((2, 128))
    assert torch.equal(PACKINGS[name].decode(PACKINGS[name].encode(x), 128, torch.float32), x)


def small() -> ModelSpec:
    changes = {"n_layers": 6, "d_model": 64, "vocab_size": 50, "ffn.d_ff": 64, "context_length": None}
    heads = {"n_heads": 4, "n_kv_heads": 2, "head_dim": 64}
    kinds = {f"attention.variants.{kind}.{key}": value for kind in ("local", "global") for key, value in heads.items()}
    return llmarch.changed(llmarch.load("gemma3-1b"), {**changes, **kinds, "attention.variants.local.window": 7})


@pytest.mark.parametrize("name", sorted(PACKINGS))
@torch.no_grad()
def test_a_model_decodes_from_a_packed_cache(name: PackedName) -> None:
    model = build(small(), seed=0)
    prompt = torch.randint(50, (2, 12), generator=torch.Generator().manual_seed(0))
    exact, cache = model(prompt), model.new_cache(dtype=PACKINGS[name])
    logits = torch.cat([model(token, cache) for token in prompt.split(1, dim=1)], dim=1)
    assert cache.n_bytes == profile(small(), Workload(12, 2, name), "measured").kv_cache_bytes
    deviation = (logits - exact).abs().max() / exact.abs().max()
    assert 1e-6 < deviation < 0.5


def test_fewer_bits_are_fewer_bytes() -> None:
    spec = llmarch.load("deepseek-v3")
    found = {name: profile(spec, Workload(4096, 1, name), "closed-form").kv_cache_bytes for name in ROW_ENCODINGS}
    order: tuple[KvDtype, ...] = ("fp32", "bf16", "q8_0", "q5_1", "q5_0", "q4_0")
    assert [found[name] for name in order] == sorted((found[name] for name in order), reverse=True)
    assert found["q8_0"] * 32 == found["fp8"] * 34
    assert found["int4"] == found["q4_0"] == found["nvfp4"]  # 4.5 bits a value, in three ways


def test_a_width_that_groups_do_not_divide_is_an_error() -> None:
    spec = llmarch.changed(llmarch.load("gpt2"), {"attention.n_kv_heads": 1, "attention.head_dim": 80})
    for engine in ("measured", "closed-form"):
        words = r"a cached row of k has 80 values, .* groups of 32; ask for another --kv-dtype than q8_0"
        with pytest.raises(llmarch.InputError, match=words):
            llmarch.profile(spec, kv_dtype="q8_0", engine=engine)
    assert llmarch.profile(spec, kv_dtype="nvfp4").kv_cache_bytes == 12 * 2 * 131_072 * 45


def test_states_stay_plain() -> None:
    plain = profile(llmarch.load("qwen3-next-80b-a3b"), Workload(4096), "closed-form")
    packed = profile(plain.spec, replace(plain.workload, kv_dtype="q8_0"), "closed-form")
    assert packed.state_bytes == plain.state_bytes
    assert packed.kv_cache_bytes * 64 == plain.kv_cache_bytes * 34
    assert set(DTYPE_BYTES) == {"bf16", "fp16", "fp32", "fp8"}
