"""The independent counters agree with the closed form, or say that they cannot count."""

from collections.abc import Iterator
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

import llmarch_cli as llmarch
from llmarch_cli.components.component import Component, Part
from llmarch_cli.components.ffn import DenseFeedForward
from llmarch_cli.components.parts import Linear
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
TAPS = 4
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


class WithDistances(DenseFeedForward):
    """Multiplies through an operator that fvcore does not count."""

    def forward(self, m: Any, x: Tensor, cache: Any) -> Tensor:
        return torch.cdist(x, x).sum(-1, keepdim=True) * x


def test_an_uncounted_operator_is_refused() -> None:
    spec = llmarch.load("llama3.2-1b")
    module = build_component(WithDistances(kind="dense", d_ff=8), spec)
    with pytest.raises(CannotCountError, match="cdist"):
        fvcore_flops(module, spec, Workload(10))


class WithConvolution(Component):
    """A causal depthwise convolution of `TAPS` tokens: fvcore raises a TypeError when it traces one."""

    def parts(self, d_model: int) -> Iterator[Part]:
        yield Linear("taps", TAPS, d_model)

    def forward(self, m: Any, x: Tensor, cache: Any) -> Tensor:
        padded = F.pad(x.transpose(1, 2), (TAPS - 1, 0))
        return F.conv1d(padded, m.taps.weight.unsqueeze(1), groups=x.shape[-1]).transpose(1, 2)


class WithoutKernel(WithConvolution):
    """Calls an operator that torch cannot run on the meta device."""

    def forward(self, m: Any, x: Tensor, cache: Any) -> Tensor:
        raise NotImplementedError("aten::new\nlong advice")


class WithBug(WithConvolution):
    """Its own mistake, not the counter's."""

    def forward(self, m: Any, x: Tensor, cache: Any) -> Tensor:
        return x @ x[..., :-1]


def test_a_convolution_is_counted_or_refused() -> None:
    spec = llmarch.load("llama3.2-1b")
    module = build_component(WithConvolution(), spec)
    assert torch_flops(module, spec, Workload(10, batch=2)) == 2 * TAPS * spec.d_model * 2
    with pytest.raises(CannotCountError, match="fvcore failed with TypeError: cond must be a bool"):
        fvcore_flops(module, spec, Workload(10))


@pytest.mark.parametrize("error", [TypeError, NotImplementedError, RuntimeError, KeyError])
@pytest.mark.parametrize("count", [torch_flops, fvcore_flops])
def test_any_error_of_a_counter_means_that_it_cannot_count(
    count: Any, error: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise error("no formula")

    monkeypatch.setattr("torch.utils.flop_counter.FlopCounterMode._count_flops", fail)
    monkeypatch.setattr("fvcore.nn.FlopCountAnalysis.by_operator", fail)
    spec = llmarch.load("llama3.2-1b")
    with pytest.raises(CannotCountError, match=f"failed with {error.__name__}: .?no formula"):
        count(build_component(DenseFeedForward(kind="dense", d_ff=8), spec), spec, Workload(10))


@pytest.mark.parametrize("count", [torch_flops, fvcore_flops])
def test_a_missing_meta_kernel_is_refused_and_a_bug_of_the_component_is_raised(count: Any) -> None:
    spec = llmarch.load("llama3.2-1b")
    with pytest.raises(CannotCountError, match=r"no meta kernel: aten::new$"):
        count(build_component(WithoutKernel(), spec), spec, Workload(10))
    with pytest.raises(RuntimeError, match="Expected size"):
        count(build_component(WithBug(), spec), spec, Workload(10))


@pytest.fixture(autouse=True)
def _no_leftover_mode() -> Iterator[None]:
    before = torch.get_default_dtype()
    yield
    assert torch.get_default_dtype() == before
