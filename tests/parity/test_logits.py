"""Logits equal transformers', family by family, however the tokens come in."""

from typing import Any

import pytest
import torch
from pairs import CASES, TOLERANCE, WAYS, Cached, Case, deviation, pair

from llmarch_cli.modules.builder import ExpertStack


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("case", CASES, ids=str)
@torch.no_grad()
def test_logits_equal_those_of_transformers(case: Case, way: str) -> None:
    models = pair(case)
    logits = WAYS[way](models.ours, models.tokens)
    expected = models.logits
    if depends_on_pieces(models.theirs.config):
        expected = WAYS[way](Cached(models.theirs), models.tokens)
    assert deviation(logits, expected) < TOLERANCE
    assert torch.equal(logits.argmax(-1), expected[: logits.shape[0]].argmax(-1))


def depends_on_pieces(config: Any) -> bool:
    """Whether keys that are cached already were rotated by other factors than those of the whole prompt would be."""
    return (getattr(config, "rope_parameters", None) or {}).get("rope_type") == "longrope"


@pytest.mark.parametrize("grouped", [True, False])
def test_experts_are_tested_in_the_fused_product_and_in_the_loop(grouped: bool) -> None:
    stacks = (
        (case.family, module)
        for case in CASES
        for module in pair(case).ours.modules()
        if isinstance(module, ExpertStack)
    )
    families = {family for family, stack in stacks if stack._has_grouped_kernel(torch.empty(0)) is grouped}
    assert families >= {"mixtral", "deepseek_v2", "deepseek_v3", "llama4_text", "qwen3_moe", "gpt_oss", "glm4_moe"}
