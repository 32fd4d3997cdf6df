"""Parameter totals equal transformers' on meta, tiny and full-sized; bundled specs say what the configs say."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest
import torch
from compressed_families import COMPRESSED
from configs import Fields
from delta_families import DELTA
from families import FAMILIES
from further_families import FURTHER
from pairs import CASES, Case, reference
from shared_block_families import SHARED_BLOCKS
from shared_cache_families import SHARED_CACHES
from state_families import STATES
from state_space_families import STATE_SPACES
from transformers import AutoConfig

import llmarch_cli as llmarch
from llmarch_cli.components.component import Component
from llmarch_cli.modules.builder import build
from llmarch_cli.specs.spec import ModelSpec


def theirs(config: Any) -> int:
    """Parameters of transformers' model, tied ones once; a router's balancing bias is none, however it is kept.

    LongCat's class holds matrices of zero-computation experts, which it never reads: they are not counted.
    """
    with torch.device("meta"):
        model = reference(config)
    stored: int = sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
    if config.model_type == "longcat_flash":
        stored -= config.num_layers * config.zero_expert_num * 2 * config.expert_ffn_hidden_size * config.hidden_size
    return stored


def ours(spec: ModelSpec) -> int:
    """The same of our modules, without prediction blocks, which transformers leaves out."""
    model = build(spec, device="meta")
    assert all(parameter.is_meta for parameter in model.parameters())
    return sum(parameter.numel() for name, parameter in model.named_parameters() if not name.startswith("mtp."))


@pytest.mark.parametrize("case", CASES, ids=str)
def test_tiny_models_have_as_many(case: Case) -> None:
    spec = case.spec()
    profile = llmarch.profile(spec, context=100)
    assert ours(spec) == theirs(case.config()) == profile.params


# One of each family as its authors publish it: the fields of its config.json that are not transformers' defaults.
PUBLISHED: dict[str, tuple[str, Fields]] = {
    "gpt2": ("gpt2", {}),
    "llama3.2-1b": (
        "llama",
        {
            "vocab_size": 128_256,
            "hidden_size": 2048,
            "intermediate_size": 8192,
            "num_hidden_layers": 16,
            "num_attention_heads": 32,
            "num_key_value_heads": 8,
            "rms_norm_eps": 1e-5,
            "rope_theta": 500_000.0,
            "rope_scaling": {
                "rope_type": "llama3",
                "factor": 32.0,
                "low_freq_factor": 1.0,
                "high_freq_factor": 4.0,
                "original_max_position_embeddings": 8192,
            },
            "tie_word_embeddings": True,
        },
    ),
    "mistral-7b-v0.1": ("mistral", {"rms_norm_eps": 1e-5, "rope_theta": 10_000.0, "sliding_window": 4096}),
    "mixtral-8x7b": ("mixtral", {"rope_theta": 1e6}),
    "deepseek-v2": (
        "deepseek_v2",
        {
            "hidden_size": 5120,
            "intermediate_size": 12_288,
            "num_hidden_layers": 60,
            "num_attention_heads": 128,
            "first_k_dense_replace": 1,
            "moe_intermediate_size": 1536,
            "n_routed_experts": 160,
            "num_experts_per_tok": 6,
            "topk_method": "group_limited_greedy",
            "n_group": 8,
            "topk_group": 3,
            "routed_scaling_factor": 16.0,
            "max_position_embeddings": 163_840,
            "rope_theta": 10_000.0,
            "rope_scaling": {
                "rope_type": "yarn",
                "factor": 40.0,
                "original_max_position_embeddings": 4096,
                "beta_fast": 32.0,
                "beta_slow": 1.0,
                "mscale": 0.707,
                "mscale_all_dim": 0.707,
            },
        },
    ),
    "deepseek-v3": (
        "deepseek_v3",
        {
            "max_position_embeddings": 163_840,
            "rope_theta": 10_000.0,
            "rope_scaling": {
                "rope_type": "yarn",
                "factor": 40.0,
                "original_max_position_embeddings": 4096,
                "beta_fast": 32.0,
                "beta_slow": 1.0,
                "mscale": 1.0,
                "mscale_all_dim": 1.0,
            },
        },
    ),
    "deepseek-v3.2": (
        "deepseek_v32",
        {
            "rope_theta": 10_000.0,
            "rope_scaling": {
                "rope_type": "yarn",
                "factor": 40.0,
                "original_max_position_embeddings": 4096,
                "beta_fast": 32.0,
                "beta_slow": 1.0,
                "mscale": 1.0,
                "mscale_all_dim": 1.0,
            },
        },
    ),
    "glm-5": ("glm_moe_dsa", {"rope_theta": 1e6}),
    "minimax-m3": (
        "minimax_m3_vl_text",
        {
            "max_position_embeddings": 1_048_576,
            "partial_rotary_factor": 0.5,
            "layer_types": ["full_attention"] * 3 + ["minimax_m3_sparse"] * 57,
            "mlp_layer_types": ["dense"] * 3 + ["sparse"] * 57,
        },
    ),
    "olmo2-7b": ("olmo2", {"vocab_size": 100_352, "rms_norm_eps": 1e-6, "rope_theta": 500_000.0}),
    "olmo3-7b": (
        "olmo3",
        {
            "vocab_size": 100_278,
            "rms_norm_eps": 1e-6,
            "rope_theta": 500_000.0,
            "rope_scaling": {
                "rope_type": "yarn",
                "factor": 8.0,
                "original_max_position_embeddings": 8192,
                "attention_factor": 1.2079441541679836,
                "beta_fast": 32.0,
                "beta_slow": 1.0,
            },
        },
    ),
    "gemma3-27b": (
        "gemma3_text",
        {
            "hidden_size": 5376,
            "intermediate_size": 21_504,
            "num_hidden_layers": 62,
            "num_attention_heads": 32,
            "num_key_value_heads": 16,
            "head_dim": 128,
            "query_pre_attn_scalar": 168,
            "sliding_window": 1024,
            "rope_scaling": {"rope_type": "linear", "factor": 8.0},
        },
    ),
    "llama4-scout": (
        "llama4_text",
        {
            "rope_theta": 500_000.0,
            "rope_scaling": {
                "rope_type": "llama3",
                "factor": 16.0,
                "low_freq_factor": 1.0,
                "high_freq_factor": 1.0,
                "original_max_position_embeddings": 8192,
            },
        },
    ),
    "llama4-maverick": (
        "llama4_text",
        {"num_local_experts": 128, "interleave_moe_layer_step": 2, "use_qk_norm": False, "rope_theta": 500_000.0},
    ),
    "qwen3-4b": (
        "qwen3",
        {
            "hidden_size": 2560,
            "intermediate_size": 9728,
            "num_hidden_layers": 36,
            "num_key_value_heads": 8,
            "rope_theta": 1e6,
            "tie_word_embeddings": True,
        },
    ),
    "qwen3-30b-a3b": (
        "qwen3_moe",
        {"num_hidden_layers": 48, "head_dim": 128, "norm_topk_prob": True, "rope_theta": 1e6},
    ),
    "smollm3-3b": ("smollm3", {"rope_theta": 5e6}),
    "gpt-oss-20b": ("gpt_oss", {"num_hidden_layers": 24, "num_local_experts": 32}),
    "glm-4.5-air": ("glm4_moe", {"head_dim": 128, "attention_bias": True, "rope_theta": 1e6}),
}


@cache
def published(name: str) -> Any:
    model_type, fields = PUBLISHED[name]
    return AutoConfig.for_model(model_type, **fields)


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_models_have_as_many(name: str) -> None:
    spec = llmarch.load(name)
    assert ours(spec) == theirs(published(name)) == llmarch.profile(spec, context=100).params


@pytest.mark.parametrize("name", PUBLISHED)
def test_bundled_specs_say_what_the_configs_say(name: str) -> None:
    config = published(name)
    said = ModelSpec.model_validate(FAMILIES[config.model_type].spec(config))
    bundled = llmarch.load(name)

    def layers(spec: ModelSpec) -> list[tuple[Component | None, Component | None]]:
        attention, ffn = spec.variants("attention"), spec.variants("ffn")
        return [(attention.get(layer.attention), ffn.get(layer.ffn)) for layer in spec.layers]

    assert layers(bundled) == layers(said)
    frame = (
        "d_model n_layers vocab_size tie_embeddings learned_positions norm norm_placement embedding_scale logit_scale"
        " logit_softcap"
    ).split()
    assert {field: getattr(bundled, field) for field in frame} == {field: getattr(said, field) for field in frame}


def test_every_family_of_the_catalogue_is_among_the_published() -> None:
    further = {*FURTHER, "longcat_flash", *COMPRESSED, *DELTA, *SHARED_BLOCKS, *SHARED_CACHES, *STATES, *STATE_SPACES}
    assert {model_type for model_type, _ in PUBLISHED.values()} == set(FAMILIES) - further
