"""Logits equal transformers', family by family, however the tokens come in."""

import pytest
import torch
from pairs import CASES, TOLERANCE, WAYS, Case, deviation, pair

from llmarch_cli.builder import ExpertStack


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("case", CASES, ids=str)
@torch.no_grad()
def test_logits_equal_those_of_transformers(case: Case, way: str) -> None:
    models = pair(case)
    logits = WAYS[way](models.ours, models.tokens)
    assert deviation(logits, models.logits) < TOLERANCE
    assert torch.equal(logits.argmax(-1), models.logits[: logits.shape[0]].argmax(-1))


@pytest.mark.parametrize("grouped", [True, False])
def test_experts_are_tested_in_the_fused_product_and_in_the_loop(grouped: bool) -> None:
    stacks = (
        (case.family, module)
        for case in CASES
        for module in pair(case).ours.modules()
        if isinstance(module, ExpertStack)
    )
    families = {family for family, stack in stacks if stack._has_grouped_kernel(torch.empty(0)) is grouped}
    assert families == {"mixtral", "deepseek_v2", "deepseek_v3", "llama4_text", "qwen3_moe", "gpt_oss", "glm4_moe"}
