"""The counters that are not ours: they agree where they can count, and say so where they cannot."""

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor

import llmarch_cli as llmarch
from llmarch_cli.components.ffn import DenseFeedForward
from llmarch_cli.profilers.closed_form import component_cost
from llmarch_cli.profilers.cost import Workload
from llmarch_cli.profilers.measured import build_component
from llmarch_cli.profilers.witnesses import (
    CannotCountError,
    built_items,
    fvcore_flops,
    operator_flops,
    torch_flops,
)

# Between them: both attention kinds, every feed-forward kind, windows, chunks, sinks, soft-caps and both norms.
TELLING = ("deepseek-v2", "gpt-oss-20b", "gpt2", "grok-2.5", "llama4-scout", "mistral-7b-v0.1", "olmo2-1b")
WORKLOADS = (Workload(131_072), Workload(3, batch=2))


@pytest.mark.parametrize("name", TELLING)
@pytest.mark.parametrize("workload", WORKLOADS)
def test_both_agree_with_the_closed_form(name: str, workload: Workload) -> None:
    spec = llmarch.load(name)
    for item, module in built_items(spec):
        ours = component_cost(item.component, spec, workload).flops_per_token * workload.batch
        assert torch_flops(module, spec, workload) == ours, item.label
        assert sum(fvcore_flops(module, spec, workload).values()) == ours, item.label


def test_operators_are_those_of_one_token() -> None:
    spec = llmarch.load("mixtral-8x7b")
    workload = Workload(1000, batch=3)
    by_operator = {item.label: flops for item, flops in operator_flops(spec, workload)}
    assert by_operator["ffn"] == {
        "linear": 2 * spec.d_model * 8,  # the router
        "grouped_mm": 2 * 3 * 2 * 4096 * 14336,  # three matrices of two experts
    }
    total = sum(sum(by_operator[item.label].values()) * item.count for item in spec.inventory())
    assert total == llmarch.profile(spec, context=1000).flops_per_token


def test_widths_that_torch_cannot_group_are_refused_not_skipped(tmp_path: Any) -> None:
    (tmp_path / "odd.yaml").write_text(
        """
        name: odd
        d_model: 64
        n_layers: 1
        vocab_size: 100
        attention: {kind: gqa, n_heads: 2, n_kv_heads: 1, head_dim: 32}
        ffn: {kind: moe, n_experts: 4, top_k: 2, d_ff: 33}
        """
    )
    with pytest.raises(CannotCountError, match="multiples of 8"):
        operator_flops(llmarch.load(tmp_path / "odd.yaml"), Workload(10))


class WithEinsum(DenseFeedForward):
    """Multiplies through an operator that fvcore has no count for."""

    def forward(self, m: Any, x: Tensor, cache: Any) -> Tensor:
        return torch.cdist(x, x).sum(-1, keepdim=True) * x


def test_an_uncounted_operator_is_refused() -> None:
    spec = llmarch.load("llama3.2-1b")
    module = build_component(WithEinsum(kind="dense", d_ff=8), spec)
    with pytest.raises(CannotCountError, match="cdist"):
        fvcore_flops(module, spec, Workload(10))


@pytest.fixture(autouse=True)
def _no_leftover_mode() -> Iterator[None]:
    before = torch.get_default_dtype()
    yield
    assert torch.get_default_dtype() == before
