"""Sizes of caches and states that an inference engine prints when it loads these shapes (llama.cpp's log lines)."""

from typing import Any

import pytest

import llmarch_cli as llmarch
from llmarch_cli.profilers.cost import StateDtype
from llmarch_cli.specs.loading import validated
from llmarch_cli.specs.spec import ModelSpec

MIB = 1 << 20

# 64 layers: three with a matrix for each of 48 heads and a convolution of 4 tokens, then one with attention.
HYBRID: dict[str, Any] = {
    "name": "hybrid",
    "d_model": 5120,
    "n_layers": 64,
    "vocab_size": 248_320,
    "attention": {
        "repeat": ["linear", "linear", "linear", "full"],
        "variants": {
            "linear": {
                "kind": "gated_deltanet",
                "n_k_heads": 16,
                "n_v_heads": 48,
                "k_head_dim": 128,
                "v_head_dim": 128,
            },
            "full": {"kind": "gqa", "n_heads": 24, "n_kv_heads": 4, "head_dim": 256, "rope_theta": 10_000_000},
        },
    },
    "ffn": {"kind": "dense", "d_ff": 17_408},
}


def hybrid() -> ModelSpec:
    return validated(HYBRID, "here")


@pytest.mark.parametrize("engine", ["closed-form", "measured"])
def test_states_of_a_hybrid(engine: Any) -> None:
    """The engine keeps all states in float32, for each of 4 sequences, and shares the cells of attention."""
    states = llmarch.profile(hybrid(), context=262_144, batch=4, state_dtype="fp32", engine=engine)
    assert states.state_bytes == 598.50 * MIB
    attention = llmarch.profile(hybrid(), context=262_144, engine=engine)
    assert attention.kv_cache_bytes == 16_384 * MIB
    assert attention.kv_fixed_bytes == 0
    assert attention.cache_bytes == attention.kv_cache_bytes + attention.state_bytes


def test_each_state_has_its_own_dtype_unless_one_is_asked_for() -> None:
    matrices, inputs = 48 * 48 * 128 * 128, 48 * 3 * (2 * 16 + 48) * 128
    sizes: dict[StateDtype | None, int] = {
        None: 4 * matrices + 2 * inputs,
        "fp32": 4 * (matrices + inputs),
        "bf16": 2 * (matrices + inputs),
        "fp8": matrices + inputs,
    }
    for dtype, expected in sizes.items():
        for context in (1, 4096):
            found = llmarch.profile(hybrid(), context=context, state_dtype=dtype, engine="closed-form")
            assert found.state_bytes == expected


def test_full_layers_of_two_sequences() -> None:
    figures = llmarch.profile("gpt-oss-120b", context=131_072, batch=2, engine="closed-form")
    assert figures.kv_bytes_per_token * 131_072 == 9_216 * MIB
    assert figures.kv_cache_bytes == 9_216 * MIB + figures.kv_fixed_bytes


def test_windows_kept_and_not() -> None:
    figures = llmarch.profile("gemma3-1b", context=32_768, engine="closed-form")
    assert figures.kv_cache_bytes == 139 * MIB
    assert figures.kv_cache_bytes_without_windows == 832 * MIB
