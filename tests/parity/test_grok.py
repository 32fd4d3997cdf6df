"""The bundled Grok 2.5, shrunk to a tiny size, equals a slow reference of its own (transformers has none)."""

import dataclasses
import math
from functools import cache

import pytest
import torch
from grok_reference import GrokConfig, grok_logits, random_weights
from pairs import TOLERANCE, WAYS, deviation
from torch import Tensor
from weights import NAMES, carry

import llmarch_cli as llmarch
from llmarch_cli.modules.builder import Model, build
from llmarch_cli.specs.spec import ModelSpec

N_TOKENS = 26


def shrunk(config: GrokConfig) -> ModelSpec:
    """The bundled spec with the sizes and constants of `config`: what it is made of stays as it is."""
    spec = llmarch.load("grok-2.5").model_dump(exclude_defaults=True)
    spec |= {
        "d_model": config.hidden_size,
        "n_layers": config.num_hidden_layers,
        "vocab_size": config.vocab_size,
        "norm": {"eps": config.rms_norm_eps},
        "embedding_scale": config.embedding_multiplier_scale,
        "logit_scale": config.output_multiplier_scale,
        "logit_softcap": config.final_logit_softcapping,
    }
    spec["attention"] |= {
        "n_heads": config.num_attention_heads,
        "n_kv_heads": config.num_key_value_heads,
        "head_dim": config.head_dim,
        "rope_theta": config.rope_theta,
        "softcap": config.attn_logit_softcapping,
    }
    spec["attention"]["temperature"]["length"] = config.attn_temperature_len
    spec["ffn"]["branches"]["dense"]["d_ff"] = config.intermediate_size
    spec["ffn"]["branches"]["moe"] |= {
        "n_experts": config.num_local_experts,
        "top_k": config.num_experts_per_tok,
        "d_ff": config.moe_intermediate_size,
        "router_softcap": config.router_logit_softcapping,
    }
    return ModelSpec.model_validate(spec)


def stacked(weights: dict[str, Tensor], config: GrokConfig) -> dict[str, Tensor]:
    """The same checkpoint with each layer's experts as one tensor."""
    kept = {name: values for name, values in weights.items() if ".experts." not in name}
    for i in range(config.num_hidden_layers):
        experts = f"model.layers.{i}.block_sparse_moe.experts"
        for matrix in ("w1", "w2", "w3"):
            each = [weights[f"{experts}.{e}.{matrix}.weight"] for e in range(config.num_local_experts)]
            kept[f"{experts}.{matrix}"] = torch.stack(each)
    return kept


@cache
@torch.no_grad()
def models(seed: int) -> tuple[Model, Tensor, Tensor]:
    """Ours, tokens (2, n_tokens), and the reference's logits of them."""
    config = GrokConfig()
    if seed % 2:  # widths for the fused product; one key and value head
        config = dataclasses.replace(config, hidden_size=24, moe_intermediate_size=12, num_key_value_heads=1)
    weights = random_weights(config, seed)
    ours = build(shrunk(config))
    carry(NAMES["grok"], stacked(weights, config), ours)
    tokens = torch.randint(config.vocab_size, (2, N_TOKENS), generator=torch.Generator().manual_seed(seed))
    logits = torch.stack([grok_logits(config, weights, prompt) for prompt in tokens.tolist()])
    return ours, tokens, logits


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("seed", [0, 1])
@torch.no_grad()
def test_logits_equal_those_of_the_reference(seed: int, way: str) -> None:
    ours, tokens, theirs = models(seed)
    logits = WAYS[way](ours, tokens)
    assert deviation(logits, theirs) < TOLERANCE
    assert torch.equal(logits.argmax(-1), theirs[: logits.shape[0]].argmax(-1))


# Each is a constant of the reference set to what leaves it without effect, or has the effect of a likely mistake.
WITHOUT_EFFECT = {
    "attn_logit_softcapping": 1e9,
    "router_logit_softcapping": 1e9,
    "final_logit_softcapping": 1e9,
    "attn_temperature_len": 10**9,
    "embedding_multiplier_scale": 1.0,
    "output_multiplier_scale": 1.0,
    "rms_norm_eps": 1e-6,
    "rope_theta": 10_000.0,
    "num_experts_per_tok": 1,
}


@pytest.mark.parametrize("constant", WITHOUT_EFFECT)
@torch.no_grad()
def test_every_constant_has_an_effect(constant: str) -> None:
    config = dataclasses.replace(GrokConfig(), **{constant: WITHOUT_EFFECT[constant]})  # type: ignore[arg-type]
    _, tokens, logits = models(0)
    other = grok_logits(config, random_weights(config, 0), tokens[0].tolist())
    assert deviation(other.unsqueeze(0), logits) > 100 * TOLERANCE


def test_the_bundled_spec_has_the_published_constants() -> None:
    spec = llmarch.load("grok-2.5").model_dump()
    assert (spec["embedding_scale"], spec["logit_scale"], spec["logit_softcap"]) == (90.50966799187809, 0.5, 50.0)
    assert spec["attention"]["softcap"] == 30.0
    assert spec["attention"]["temperature"] == {"kind": "log_ratio", "length": 1024, "offset": 0}
    assert spec["attention"]["rope_theta"] == 208_533_496
    assert spec["ffn"]["scale"] == pytest.approx(1 / math.sqrt(2), rel=1e-15)
    assert spec["ffn"]["branches"]["moe"]["router_softcap"] == 30.0
