"""Multi-token prediction equals transformers' prediction layers, and the formulas of its paper."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest
import torch
from pairs import TOLERANCE, Case, deviation, pair
from torch import Tensor
from torch.nn import functional as F
from transformers.modeling_layers import MtpModel
from weights import NAMES, Names, Source, carry, randomize

from llmarch_cli.errors import InputError
from llmarch_cli.modules.builder import Model, build
from llmarch_cli.specs.spec import ModelSpec

N_BLOCKS = 2
CASES = [Case("deepseek_v3", 0), Case("deepseek_v3", 2), Case("glm4_moe", 0)]

JUNCTION: Names = {
    "mtp.{}.junction.embedding_norm.weight": "mtp.{}.enorm.weight",
    "mtp.{}.junction.hidden_norm.weight": "mtp.{}.hnorm.weight",
    "mtp.{}.junction.proj.weight": "mtp.{}.eh_proj.weight",
    "mtp.{}.junction.final_norm.weight": "mtp.{}.post_norm.weight",
}


def with_prediction(names: Names) -> Names:
    """The family's names, and those of its prediction blocks, which are layers like the others."""

    def theirs(source: str | Source) -> Source:
        found = source if isinstance(source, Source) else Source(source)
        return Source(found.name.replace("model.layers.{}", "mtp.{}.mtp_block"), found.change)

    blocks: Names = {
        ours.replace("layers.{}", "mtp.{}.block"): tuple(map(theirs, found if isinstance(found, tuple) else (found,)))
        for ours, found in names.items()
        if ours.startswith("layers.{}")
    }
    return {**names, **JUNCTION, **blocks}


@cache
@torch.no_grad()
def models(case: Case) -> tuple[Model, Any]:
    """Ours with prediction blocks, and transformers' prediction layers over the same model."""
    shared = pair(case)
    theirs: Any = MtpModel(shared.theirs, N_BLOCKS)
    randomize(theirs.layers, seed=7)
    further = {f"mtp.{name}": values for name, values in theirs.layers.state_dict().items()}
    ours = build(ModelSpec.model_validate({**case.spec().model_dump(), "n_mtp_blocks": N_BLOCKS}))
    carry(with_prediction(NAMES[case.family]), {**shared.theirs.state_dict(), **further}, ours)
    return ours, theirs


@pytest.mark.parametrize("case", CASES, ids=str)
@torch.no_grad()
def test_logits_equal_those_of_transformers(case: Case) -> None:
    shared = pair(case)
    ours, theirs = models(case)
    tokens = shared.tokens
    hidden = shared.theirs.model(tokens, use_cache=False).last_hidden_state
    for depth, logits in enumerate(ours.predict_further(tokens), start=1):
        positions = torch.arange(depth, tokens.shape[1]).unsqueeze(0)
        hidden = theirs.forward_layer(depth - 1, hidden[:, :-1], positions, None, input_ids=tokens[:, depth:])
        expected = shared.theirs.lm_head(hidden)
        assert logits.shape == (2, tokens.shape[1] - depth, ours.spec.vocab_size)
        assert deviation(logits, expected) < TOLERANCE
        assert torch.equal(logits.argmax(-1), expected.argmax(-1))


def rms(x: Tensor, weight: Tensor, eps: float) -> Tensor:
    return x / (x.pow(2).mean(-1, keepdim=True) + eps).sqrt() * weight


@torch.no_grad()
def test_logits_follow_the_formulas_of_the_paper() -> None:
    """DeepSeek-V3, arXiv 2412.19437, equations 21 to 23; the projection's halves as published weights have them."""
    model, _ = models(CASES[0])
    tokens = pair(CASES[0]).tokens
    weight, eps = model.state_dict(), model.spec.norm.eps
    hidden = rms(model.hidden(tokens), weight["final_norm.norm.weight"], eps)
    for k, logits in enumerate(model.predict_further(tokens), start=1):
        ahead = weight["embedding.tokens.weight"][tokens[:, k:]]  # of token i + k, beside the state of token i
        junction = f"mtp.{k - 1}.junction"
        both = (
            rms(ahead, weight[f"{junction}.embedding_norm.weight"], eps),
            rms(hidden[:, :-1], weight[f"{junction}.hidden_norm.weight"], eps),
        )
        joined = F.linear(torch.cat(both, dim=-1), weight[f"{junction}.proj.weight"])
        block: Any = model.mtp[k - 1]
        hidden = rms(block.block(joined, block.block.new_cache()), weight[f"{junction}.final_norm.weight"], eps)
        assert deviation(logits, F.linear(hidden, weight["head.lm_head.weight"])) < TOLERANCE


@torch.no_grad()
def test_no_prediction_sees_what_it_predicts() -> None:
    model, _ = models(CASES[0])
    tokens = pair(CASES[0]).tokens[:1]
    changed = tokens.clone()
    changed[:, 20] = (changed[:, 20] + 1) % model.spec.vocab_size
    for k, (before, after) in enumerate(
        zip(model.predict_further(tokens), model.predict_further(changed), strict=True), start=1
    ):
        first_to_see_it = 20 - k  # state i is joined with token i + k
        assert deviation(before[:, :first_to_see_it], after[:, :first_to_see_it]) < TOLERANCE
        assert deviation(before[:, first_to_see_it], after[:, first_to_see_it]) > 100 * TOLERANCE


def test_a_prompt_too_short_is_refused() -> None:
    model, _ = models(CASES[0])
    with pytest.raises(InputError, match="needs more than 2 tokens, not 2"):
        model.predict_further(torch.zeros(1, 2, dtype=torch.int64))
