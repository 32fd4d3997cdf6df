"""A params.json of Mistral reads as the config.json of the same model does."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import huggingface_hub
import pytest
from huggingface_hub import errors

import llmarch_cli as llmarch
from llmarch_cli.errors import InputError
from llmarch_cli.huggingface.importing import import_config, imported, source

Settings = dict[str, Any]

PARAMS: Settings = {
    "dim": 32,
    "n_layers": 3,
    "head_dim": 8,
    "hidden_dim": 48,
    "n_heads": 4,
    "n_kv_heads": 2,
    "rope_theta": 10_000.0,
    "norm_eps": 1e-6,
    "vocab_size": 96,
    "max_position_embeddings": 512,
    "tied_embeddings": False,
}
CONFIG: Settings = {
    "hidden_size": 32,
    "num_hidden_layers": 3,
    "head_dim": 8,
    "intermediate_size": 48,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "rms_norm_eps": 1e-6,
    "vocab_size": 96,
    "max_position_embeddings": 512,
    "sliding_window": None,
}

SAID_OF_YARN = {"factor": 8, "original_max_position_embeddings": 64, "beta": 32, "alpha": 1, "apply_scale": False}
SCALED: Settings = {"yarn": SAID_OF_YARN, "llama_4_scaling": {"beta": 0.1, "original_max_position_embeddings": 64}}
YARN: Settings = {
    "rope_parameters": {
        "rope_type": "yarn",
        "rope_theta": 10_000.0,
        "factor": 8.0,
        "original_max_position_embeddings": 64,
        "beta_fast": 32.0,
        "beta_slow": 1.0,
        "attention_factor": 1.0,
        "llama_4_scaling_beta": 0.1,
    }
}
LATENT: Settings = {
    "n_kv_heads": 4,
    "head_dim": 12,
    "q_lora_rank": 20,
    "kv_lora_rank": 16,
    "qk_nope_head_dim": 8,
    "qk_rope_head_dim": 4,
    "v_head_dim": 10,
}
MOE: Settings = {
    "num_experts": 6,
    "num_experts_per_tok": 2,
    "expert_hidden_dim": 24,
    "num_shared_experts": 1,
    "first_k_dense_replace": 1,
    "route_every_n": 1,
    "routed_scale": 1.5,
    "num_expert_groups": 1,
    "num_expert_groups_per_tok": 1,
    "expert_parallel": 1,
    "expert_model_parallel": 1,
}
LARGE: Settings = {**PARAMS, **LATENT, **SCALED, "moe": MOE}

ALIKE: dict[str, tuple[Settings, Settings]] = {
    "dense": (PARAMS, CONFIG | {"model_type": "mistral", "rope_theta": 10_000.0}),
    "windows": (
        PARAMS | {"sliding_window": 16},
        CONFIG | {"model_type": "mistral", "rope_theta": 10_000.0, "sliding_window": 16},
    ),
    "scaled queries": (PARAMS | SCALED, CONFIG | YARN | {"model_type": "ministral3"}),
    "experts": (
        PARAMS | {"moe": {"num_experts": 6, "num_experts_per_tok": 2}},
        CONFIG | {"model_type": "mixtral", "rope_theta": 10_000.0, "num_local_experts": 6, "num_experts_per_tok": 2},
    ),
    "latents": (
        LARGE,
        CONFIG
        | YARN
        | {name: value for name, value in LATENT.items() if name != "n_kv_heads"}
        | {
            "model_type": "mistral4",
            "num_key_value_heads": 4,
            "n_routed_experts": 6,
            "num_experts_per_tok": 2,
            "moe_intermediate_size": 24,
            "n_shared_experts": 1,
            "first_k_dense_replace": 1,
            "routed_scaling_factor": 1.5,
        },
    ),
}


@pytest.mark.parametrize("name", ALIKE)
def test_the_same_as_from_a_config(name: str) -> None:
    params, config = ALIKE[name]
    assert import_config(params, name="one") == import_config(config, name="one")


def test_engines_agree() -> None:
    spec = import_config(LARGE)
    built, priced = (llmarch.profile(spec, context=512, engine=engine) for engine in ("measured", "closed-form"))
    assert built.total == priced.total
    assert built.kv_cache_bytes == 3 * (16 + 4) * 2 * 512
    assert built.buffers == 0  # its experts are chosen without a bias


def test_other_parts_are_left_out() -> None:
    found = imported(PARAMS | {"vision_encoder": {"hidden_size": 16}, "max_seq_len": 256, "quantization": {"x": 1}})
    assert found.spec == import_config(PARAMS)
    assert found.notes == (
        "Text decoder only; left out: vision_encoder.",
        "Not read: quantization (quant_method null). `--weights native` takes the weights as bf16.",
    )


def test_in_a_directory(tmp_path: Path) -> None:
    """A config.json counts before it."""
    directory = tmp_path / "large"
    directory.mkdir()
    (directory / "params.json").write_text(json.dumps(LARGE))
    spec = import_config(directory)
    assert spec.name == "large"
    assert spec == import_config(LARGE, name="large")
    assert import_config(directory / "params.json") == spec
    (directory / "config.json").write_text(json.dumps(CONFIG | {"model_type": "mistral"}))
    assert import_config(directory) != spec


def test_on_the_hub_without_a_config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "params.json"
    file.write_text(json.dumps(LARGE))

    def download(_: str, name: str, **__: object) -> str:
        if name == "config.json":
            response: Any = SimpleNamespace(status_code=404, headers={}, request=None)
            raise errors.RemoteEntryNotFoundError("nothing", response=response)
        return str(file)

    monkeypatch.setattr(source, "_is_reachable", lambda: True)
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)
    spec = import_config("some/large")
    assert (spec.name, spec.source) == ("large", "https://huggingface.co/some/large/blob/main/params.json")
    assert spec.attention == import_config(LARGE).attention


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"yarn": {**SAID_OF_YARN, "apply_scale": True}}, r"yarn\.apply_scale: must be false"),
        (
            {"yarn": {name: value for name, value in SAID_OF_YARN.items() if name != "apply_scale"}},
            r"yarn\.apply_scale",
        ),
        ({"yarn": {**SAID_OF_YARN, "gamma": 1}}, r"yarn\.gamma: unknown key"),
        ({"llama_4_scaling": {"beta": 0.1}}, r"llama_4_scaling\.original_max_position_embeddings: required"),
        ({"moe": {**MOE, "route_every_n": 2}}, r"moe\.route_every_n: 2 is not supported"),
        ({"moe": {**MOE, "num_expert_groups": 2}}, r"moe\.num_expert_groups: 2, of which 1 are kept"),
        ({"moe": {**MOE, "scoring": "sigmoid"}}, r"moe\.scoring: unknown key"),
        ({"n_kv_heads": 2}, "n_kv_heads: 2 is not supported"),
        ({"head_dim": 8}, "head_dim: 8 is not supported"),
        ({"ffn_bias": True}, "ffn_bias: true is not supported"),
        ({"multiple_of": 256}, "multiple_of: unknown key"),
        ({"dim": "wide"}, "dim: must be a whole number of at least 1, not 'wide'"),
    ],
    ids=str,
)
def test_refused(changes: Settings, named: str) -> None:
    with pytest.raises(InputError, match=named):
        import_config(LARGE | changes)


def test_sizes_are_required() -> None:
    with pytest.raises(InputError, match="max_position_embeddings: required, but missing"):
        import_config({name: value for name, value in PARAMS.items() if name != "max_position_embeddings"})
