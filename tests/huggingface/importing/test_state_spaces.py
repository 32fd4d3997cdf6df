"""Configs of state spaces: layers in all words for them, limits of steps, and what is refused by name."""

from __future__ import annotations

import json
from typing import Any

import pytest
from published import PUBLISHED
from refused import refusal

import llmarch_cli as llmarch
from llmarch_cli.huggingface.checked_json import parse
from llmarch_cli.huggingface.importing import import_config
from llmarch_cli.huggingface.importing.check import count

Settings = dict[str, Any]

NEMOTRON: Settings = {"model_type": "nemotron_h", "mamba_num_heads": 8, "moe_intermediate_size": 64}
LISTED = ["mamba", "moe", "attention", "mlp", "mamba"]


@pytest.mark.parametrize(
    "keys",
    [
        {"hybrid_override_pattern": "ME*-M"},
        {"hybrid_override_pattern": "ME*-M", "num_hidden_layers": 5},
        {"layers_block_type": LISTED},
        {"layers_block_type": LISTED, "hybrid_override_pattern": "ME*-M"},
        {"layer_types": ["linear_attention", "moe", "full_attention", "mlp", "linear_attention"]},
    ],
    ids=str,
)
def test_layers_in_all_words_for_them(keys: Settings) -> None:
    spec = import_config(NEMOTRON | keys)
    assert spec.names("attention", 5) == ["mamba2", "none", "gqa", "none", "mamba2"]
    assert spec.names("ffn", 5) == ["none", "moe", "none", "dense", "none"]
    assert llmarch.profile(spec, context=4096).params == count("nemotron_h", NEMOTRON | {"layers_block_type": LISTED})


def test_layers_all_of_one_sort() -> None:
    for letters, axis, other in (("MM", "attention", "ffn"), ("--", "ffn", "attention")):
        spec = import_config(NEMOTRON | {"hybrid_override_pattern": letters})
        assert "none" not in spec.names(axis, 2)
        assert set(spec.names(other, 2)) == {"none"}


@pytest.mark.parametrize("limit", ["[0.0, Infinity]", '[0.0, {"__float__": "Infinity"}]', "[0, 1e400]", "null"])
def test_no_limits_of_steps(limit: str) -> None:
    for name in ("nemotron-3-nano-30b-a3b", "granite-4.0-h-small"):
        text = json.dumps(PUBLISHED[name])[:-1] + f', "time_step_limit": {limit}}}'
        try:
            config = parse(text.encode(), "config.json")
        except llmarch.InputError:
            assert "1e400" in limit
            continue
        assert import_config(config).attention == import_config(PUBLISHED[name]).attention


def test_limits_of_steps() -> None:
    for low, high in ((0.0, 0.5), (0.1, 0.5), (0.1, float("inf"))):
        for family in ("mamba2", "bamba", "granitemoehybrid"):
            spec = import_config({"model_type": family, "time_step_limit": [low, high]})
            mixer = next(iter(spec.variants("attention").values())).model_dump()
            assert mixer["kind"] == "mamba2"
            assert (mixer["step_min"], mixer["step_max"]) == (low, None if high > 1 else high)


def test_keys_of_published_mamba2() -> None:
    """Those of Mamba-Codestral 7B: the class has the defaults, and gates before it normalises whatever the key says."""
    keys = {"intermediate_size": 8192, "rms_norm": True, "norm_before_gate": True}
    assert import_config({"model_type": "mamba2", **keys}) == import_config({"model_type": "mamba2"})


REFUSED: dict[str, tuple[str, Settings]] = {
    "time_step_limit: is not read by the class": ("nemotron_h", {"time_step_limit": [0.3, 0.9]}),
    "time_step_limit: [0.9, 0.3] must be ascending": ("mamba2", {"time_step_limit": [0.9, 0.3]}),
    "must be of the letters M * E -, not 'ME*X'": ("nemotron_h", {"hybrid_override_pattern": "ME*X"}),
    "says something else than the list": (
        "nemotron_h",
        {"hybrid_override_pattern": "ME*-E", "layers_block_type": LISTED},
    ),
    "num_hidden_layers: 6 is not supported: must be 5": (
        "nemotron_h",
        {"hybrid_override_pattern": "ME*-M", "num_hidden_layers": 6},
    ),
    "n_shared_experts: 2 is not supported": ("nemotron_h", {"n_shared_experts": 2}),
    "mlp_bias: true with moe_latent_size": ("nemotron_h", {"moe_latent_size": 32, "mlp_bias": True}),
    "sliding_window: 128 is not supported": ("nemotron_h", {"sliding_window": 128}),
    "tie_word_embeddings: true is not supported": ("nemotron_h", {"tie_word_embeddings": True}),
    "mamba_proj_bias: true is not supported: must be false (use_bias": ("nemotron_h", {"mamba_proj_bias": True}),
    "attention_bias: true is not supported": ("nemotron_h", {"attention_bias": True}),
    "rms_norm_eps: 1e-06 is not supported: must be 1e-05": ("nemotron_h", {"rms_norm_eps": 1e-6}),
    "n_groups: 3 must divide the number of heads, 8": ("nemotron_h", {"n_groups": 3}),
    "num_heads: 100 of 64 values must make expand * hidden_size, 8192": ("mamba2", {"num_heads": 100}),
    "intermediate_size: 77 is not supported: must be 1536": ("mamba", {"intermediate_size": 77}),
    "intermediate_size: 78 is not supported: must be 1536": ("falcon_mamba", {"intermediate_size": 78}),
    "intermediate_size: 79 is not supported: must be 8192": ("mamba2", {"intermediate_size": 79}),
    "rms_norm: false is not supported": ("mamba2", {"rms_norm": False}),
    "hidden_act: 'xielu' has learned values": ("mamba", {"hidden_act": "xielu"}),
    "attn_layer_offset: 9 must be below attn_layer_period, 8": ("jamba", {"attn_layer_offset": 9}),
    "mamba_d_head: must be 64": ("granitemoehybrid", {"mamba_d_head": 65}),
    "layer_types: entry 0 must be a type": ("granitemoehybrid", {"layer_types": ["conv"] * 32}),
}


@pytest.mark.parametrize("words", REFUSED)
def test_refused(words: str) -> None:
    family, keys = REFUSED[words]
    of_nemotron = NEMOTRON if family == "nemotron_h" else {}
    assert words in refusal({"model_type": family, **of_nemotron, **keys})
