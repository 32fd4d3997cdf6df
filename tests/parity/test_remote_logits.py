"""A family without a class in transformers, against a class that is built alike and reads other keys."""

from __future__ import annotations

import pytest
import torch
from pairs import N_TOKENS, TOLERANCE, WAYS, deviation, reference
from torch import Tensor, nn
from transformers import AutoConfig
from weights import GATE_AND_UP, HUNYUAN, PLAIN, carry, of_layer, randomize, renamed

from llmarch_cli.huggingface.importing import import_config
from llmarch_cli.modules.builder import build


@pytest.mark.parametrize("way", WAYS)
@torch.no_grad()
def test_chatglm_computes_what_glm_does(way: str) -> None:
    """Half of each head rotated in neighbouring pairs, and a theta of 10,000 times `rope_ratio`."""
    config = {
        "model_type": "chatglm",
        "hidden_size": 32,
        "ffn_hidden_size": 24,
        "num_layers": 3,
        "num_attention_heads": 4,
        "kv_channels": 12,
        "multi_query_attention": True,
        "multi_query_group_num": 2,
        "padded_vocab_size": 61,
        "seq_length": 64,
        "layernorm_epsilon": 2e-3,
        "rope_ratio": 0.01,
        "add_bias_linear": False,
        "add_qkv_bias": True,
        "tie_word_embeddings": False,
    }
    theirs = reference(
        AutoConfig.for_model(
            "glm",
            hidden_size=32,
            intermediate_size=24,
            num_hidden_layers=3,
            num_attention_heads=4,
            num_key_value_heads=2,
            head_dim=12,
            vocab_size=61,
            max_position_embeddings=64,
            rms_norm_eps=2e-3,
            attention_bias=True,
            rope_parameters={"rope_type": "default", "rope_theta": 100.0, "partial_rotary_factor": 0.5},
            tie_word_embeddings=False,
            pad_token_id=None,
        )
    )
    ours = build(import_config(config))
    randomize(theirs, 0)
    carry({**PLAIN, **of_layer(GATE_AND_UP)}, theirs.state_dict(), ours)
    tokens = torch.randint(61, (2, N_TOKENS), generator=torch.Generator().manual_seed(0))
    logits = WAYS[way](ours, tokens)
    assert deviation(logits, theirs(tokens, use_cache=False).logits[: logits.shape[0]]) < TOLERANCE


@pytest.mark.parametrize("way", WAYS)
@torch.no_grad()
def test_hunyuan_large_shares_keys_before_their_norm(way: str) -> None:
    """The class of a dense model, whose upper layers of three take the projections of the lowest: 7 layers of 3."""
    sizes = {
        "hidden_size": 32,
        "intermediate_size": 24,
        "num_hidden_layers": 7,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "vocab_size": 61,
        "max_position_embeddings": 64,
        "rms_norm_eps": 2e-3,
        "attention_bias": False,
        "tie_word_embeddings": False,
        "hidden_act": "silu",
        "rope_theta": 100.0,
    }
    published = {"use_cla": True, "cla_share_factor": 3, "num_experts": 1, "moe_topk": 1, "num_shared_expert": 1}
    theirs = reference(AutoConfig.for_model("hunyuan_v1_dense", **sizes, head_dim=8, pad_token_id=None))
    ours = build(import_config({"model_type": "hunyuan", **sizes, **published}))
    randomize(theirs, 0)
    attentions = [layer.self_attn for layer in theirs.model.layers]
    for number, attention in enumerate(attentions):
        for name in ("k_proj", "v_proj") if number % 3 else ():
            setattr(attention, name, Taken(getattr(attentions[number - number % 3], name)))
    carry({**PLAIN, **of_layer(renamed(HUNYUAN))}, theirs.state_dict(), ours)
    tokens = torch.randint(61, (2, N_TOKENS), generator=torch.Generator().manual_seed(0))
    logits = WAYS[way](ours, tokens)
    assert deviation(logits, theirs(tokens, use_cache=False).logits[: logits.shape[0]]) < TOLERANCE


class Taken(nn.Module):
    """Gives what `source` gave last."""

    def __init__(self, source: nn.Module) -> None:
        super().__init__()
        source.register_forward_hook(lambda module, inputs, output: self.__dict__.update(last=output))

    def forward(self, x: Tensor) -> Tensor:
        last: Tensor = self.__dict__["last"]
        return last
