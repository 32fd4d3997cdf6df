"""How many distinct experts tokens choose, against tokens that are routed by modules."""

from __future__ import annotations

from fractions import Fraction
from itertools import product
from typing import Any

import pytest
import torch

import llmarch_cli
from llmarch_cli.components.ffn.moe import MixtureOfExperts
from llmarch_cli.deployment.experts import expected_experts
from llmarch_cli.modules.builder import ComponentModule

N_EXPERTS, TOP_K = 64, 6
N_STEPS = 300

ROUTERS: dict[str, dict[str, Any]] = {
    "softmax": {},
    "sigmoid in groups": {"scoring": "sigmoid", "n_groups": 8, "top_k_groups": 4, "selection_bias": True},
    "one after another": {"scoring": "sparsemixer", "router_jitter": 0.01},
}


@pytest.mark.parametrize("router", ROUTERS)
@pytest.mark.parametrize("n_tokens", [1, 8, 32])
def test_routed_tokens_choose_as_many(router: str, n_tokens: int) -> None:
    """Rows of the router that stand at right angles are equally likely, and independent from token to token."""
    moe = MixtureOfExperts(kind="moe", n_experts=N_EXPERTS, top_k=TOP_K, d_ff=1, **ROUTERS[router])
    module = ComponentModule(moe, d_model=N_EXPERTS, style=llmarch_cli.load("gpt2").norm)
    torch.manual_seed(0)
    with torch.no_grad():
        torch.nn.init.orthogonal_(module.router.weight)
        _, chosen = moe.route(module, torch.randn(N_STEPS * n_tokens, N_EXPERTS))
    steps = chosen.view(N_STEPS, n_tokens * TOP_K)
    counts = torch.zeros(N_STEPS, N_EXPERTS).scatter(1, steps, 1.0).sum(1)
    error = 5 * counts.std().item() / N_STEPS**0.5 + 1e-9
    assert counts.mean().item() == pytest.approx(float(expected_experts(N_EXPERTS, TOP_K, n_tokens)), abs=error)
    if n_tokens > 1:  # tokens that never meet at an expert would choose more
        assert counts.mean().item() + error < min(N_EXPERTS, TOP_K * n_tokens)


def test_small_numbers_are_exact() -> None:
    for n_experts, n_tokens in product(range(1, 9), range(1, 9)):
        for top_k in range(1, n_experts + 1):
            exact = n_experts * (1 - Fraction(n_experts - top_k, n_experts) ** n_tokens)
            assert 0 <= expected_experts(n_experts, top_k, n_tokens) - exact < Fraction(1, 2**240)


@pytest.mark.parametrize("skew", [0.0, 0.3, 1.0, 4.0])
def test_laws(skew: float) -> None:
    counts = [expected_experts(N_EXPERTS, TOP_K, n_tokens, skew) for n_tokens in (1, 2, 8, 64, 4096)]
    assert counts == sorted(counts)
    assert float(counts[0]) == pytest.approx(TOP_K)
    assert counts[-1] <= N_EXPERTS
    even = [expected_experts(N_EXPERTS, TOP_K, n_tokens) for n_tokens in (1, 2, 8, 64, 4096)]
    assert all(float(skewed) <= float(other) * (1 + 1e-12) for skewed, other in zip(counts, even, strict=True))
    assert expected_experts(N_EXPERTS, N_EXPERTS, 3, skew) == N_EXPERTS


def test_a_slight_skew_is_close_to_none() -> None:
    assert float(expected_experts(128, 8, 32, 1e-9)) == pytest.approx(float(expected_experts(128, 8, 32)), rel=1e-6)


def test_many_tokens_are_fast_and_reach_all() -> None:
    assert float(expected_experts(256, 8, 2**20)) == pytest.approx(256)


def test_skewed_choices_by_hand() -> None:
    """Of 8 experts, two a token: in proportion to 1 / rank, and to 1 / rank ** 3, where all tokens choose the first."""
    harmonic = sum(1 / rank for rank in range(1, 9))
    shares = [2 / harmonic / rank for rank in range(1, 9)]
    assert float(expected_experts(8, 2, 5, 1.0)) == pytest.approx(sum(1 - (1 - share) ** 5 for share in shares))
    rest = sum(rank**-3 for rank in range(2, 9))
    shares = [1.0, *(rank**-3 / rest for rank in range(2, 9))]
    assert float(expected_experts(8, 2, 5, 3.0)) == pytest.approx(sum(1 - (1 - share) ** 5 for share in shares))
