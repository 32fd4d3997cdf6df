"""Blocks compile whole: torch.compile finds no place where it must leave the graph, and steps compile once."""

from __future__ import annotations

import logging
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from llmarch_cli.components.recomputation import selective_recomputation
from llmarch_cli.modules.builder import Model, build
from llmarch_cli.specs.spec import ModelSpec

PROMPT = 6  # tokens, past each window and chunk below

GQA: dict[str, Any] = {"kind": "gqa", "n_heads": 4, "n_kv_heads": 2, "head_dim": 6, "rope_theta": 100.0}
MLA: dict[str, Any] = {
    "kind": "mla",
    "n_heads": 3,
    "kv_lora_rank": 8,
    "qk_nope_head_dim": 4,
    "qk_rope_head_dim": 6,
    "v_head_dim": 5,
    "rope_theta": 100.0,
}
GATED: dict[str, Any] = {"kind": "gated_deltanet", "n_k_heads": 2, "n_v_heads": 4, "k_head_dim": 4, "v_head_dim": 4}
INDEX = {"n_heads": 2, "head_dim": 8, "top_k": 4}
COMPRESSED: dict[str, Any] = {
    "kind": "compressed",
    "n_heads": 4,
    "head_dim": 6,
    "q_lora_rank": 6,
    "o_lora_rank": 5,
    "o_groups": 2,
    "window": 4,
    "stride": 2,
    "rotary_dim": 4,
    "rope_theta": 100.0,
}

# A model of several layers where each has another kind, so that one build and one run show them all.
KINDS: dict[str, dict[str, Any]] = {
    "heads": {
        "full": GQA,
        "chunk": {
            **GQA,
            "chunk": 5,
            "temperature": {"kind": "log_floor", "floor_scale": 4.0, "attn_scale": 0.1},
        },
        "sinks": {**GQA, "window": 4, "softcap": 5.0, "sinks": True},
        "blocks": {**GQA, "indexer": {"n_heads": 1, "head_dim": 6, "block": 2, "top_k": 2, "local": 1}},
    },
    "readers": {  # the second width of keys becomes a variable, of which the kernel's settings must not be made
        "one": GQA,
        "of_one": {**GQA, "kv_from": "one"},
        "other": {**GQA, "n_kv_heads": 1},
        "of_other": {**GQA, "n_kv_heads": 1, "kv_from": "other"},
    },
    "latents": {"latent": MLA, "sparse": {**MLA, "q_lora_rank": 8, "indexer": INDEX}, "compressed": COMPRESSED},
    "states": {
        "delta": GATED,
        "mamba2": {"kind": "mamba2", "n_heads": 4, "head_dim": 3, "d_state": 5, "n_groups": 2},
        "conv": {"kind": "short_conv", "channels": 6, "conv_kernel": 3},
        "rg_lru": {"kind": "rg_lru", "width": 6, "n_blocks": 2, "conv_kernel": 4},
    },
}
DENSE: dict[str, Any] = {"kind": "dense", "d_ff": 20, "activation_sparsity": 0.8}
MOE: dict[str, Any] = {
    "kind": "moe",
    "n_experts": 6,
    "top_k": 2,
    "d_ff": 8,
    "shared_expert": {"kind": "dense", "d_ff": 8},
}


def several(kinds: dict[str, Any]) -> ModelSpec:
    """A layer of each kind, with dense and mixture feed-forwards in turn."""
    ffn = {"first": ["dense", "moe", "dense", "moe"][: len(kinds)], "variants": {"dense": DENSE, "moe": MOE}}
    return spec({"first": list(kinds), "variants": kinds}, ffn, len(kinds))


def spec(attention: dict[str, Any], ffn: dict[str, Any], n_layers: int) -> ModelSpec:
    sizes = {"name": "tiny", "d_model": 16, "n_layers": n_layers, "vocab_size": 31}
    return ModelSpec.model_validate({**sizes, "attention": attention, "ffn": ffn})


class Counting:
    """The backend that runs graphs as they are; it counts them."""

    def __init__(self) -> None:
        self.graphs = 0

    def __call__(self, graph: torch.fx.GraphModule, inputs: list[Tensor]) -> Any:
        self.graphs += 1
        return graph


@pytest.fixture(autouse=True)
def _fresh_compiler() -> Any:
    torch._dynamo.reset()
    trace = logging.getLogger("torch.__trace")  # pytest would have all of it written
    trace.propagate = False
    # All blocks are one function to the compiler, which by default gives up on the ninth kind.
    with torch._dynamo.config.patch(recompile_limit=100):
        yield
    trace.propagate = True
    torch._dynamo.reset()


def compiled(model: Model, backend: Any) -> Model:
    for block in model.layers:
        block.compile(fullgraph=True, backend=backend)
    return model


@torch.no_grad()
def logits(model: Model, n_steps: int = 1) -> Tensor:
    """Of a prompt, then of tokens one by one."""
    tokens = torch.arange(2 * (PROMPT + n_steps)).view(2, -1) % 31
    cache = model.new_cache()
    pieces = [tokens[:, :PROMPT], *tokens[:, PROMPT:].split(1, dim=1)]
    return torch.cat([model(piece, cache) for piece in pieces], dim=1)


def randomized(model: Model) -> Model:
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for weight in model.parameters():
            weight.normal_(0.0, 0.3, generator=generator)
    return model


@pytest.mark.parametrize("kinds", KINDS)
def test_a_prompt_and_a_step_are_whole_graphs(kinds: str) -> None:
    model = randomized(build(several(KINDS[kinds])))
    expected = logits(model)
    torch.testing.assert_close(logits(compiled(model, "eager")), expected)


def test_steps_and_layers_share_their_graphs() -> None:
    """One graph for the prompt, one for the first step, and one for all steps after it: lengths become variables."""
    model = randomized(build(spec(GQA, DENSE, 10)))
    expected, backend = logits(model, n_steps=6), Counting()
    torch.testing.assert_close(logits(compiled(model, backend), n_steps=6), expected)
    assert backend.graphs == 3


@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor:UserWarning")  # the compiler asks for it
def test_a_backward_pass_with_recomputation_is_whole() -> None:
    model = randomized(build(spec(GQA, DENSE, 2)))
    tokens = torch.arange(8).view(1, -1)
    gradients = []
    for each in (model, compiled(model, "aot_eager")):
        each.zero_grad()
        with selective_recomputation():
            each(tokens).logsumexp(-1).sum().backward()
        gradients.append([weight.grad.clone() for weight in each.parameters() if weight.grad is not None])
    assert len(gradients[0]) == len(list(model.parameters()))
    for eager, whole in zip(*gradients, strict=True):
        torch.testing.assert_close(eager, whole)


def test_a_break_is_an_error() -> None:
    """What the other tests rely on."""

    class Reading(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x if x.sum() > 0 else -x

    block = Reading()
    block.compile(fullgraph=True, backend="eager")
    with pytest.raises(torch._dynamo.exc.Unsupported):
        block(torch.ones(3))
