"""The measuring engine's shape, dtype and FLOPs of an operator equal those of torch's own meta kernel."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from math import prod
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import Data, attention_kinds, kv_dtypes, recurrences, spans, specs
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

import llmarch_cli as llmarch
from llmarch_cli.components.ffn import DenseFeedForward
from llmarch_cli.components.frame import TokenEmbedding
from llmarch_cli.modules.builder import ComponentModule
from llmarch_cli.profilers import operators
from llmarch_cli.profilers.cost import KvDtype, Workload
from llmarch_cli.profilers.measured import filled_cache
from llmarch_cli.profilers.operators import OperatorCounter
from llmarch_cli.profilers.witnesses import built_items
from llmarch_cli.specs.spec import ModelSpec

ROOT = Path(__file__).parents[2]


def described(answer: Any) -> Any:
    """The properties that must equal the kernel's."""
    if isinstance(answer, Tensor):
        return tuple(answer.shape), answer.dtype, answer.device.type
    if isinstance(answer, (tuple, list)):
        return [described(each) for each in answer]
    return answer


def asked_of(value: Any) -> Any:
    """All that a meta kernel may know of an argument, to be looked up."""
    match value:
        case Tensor():
            return tuple(value.shape), value.stride(), value.dtype, value.device.type
        case tuple() | list():
            return tuple(map(asked_of, value))
        case dict():
            return tuple((name, asked_of(inner)) for name, inner in value.items())
        case slice():
            return "slice", value.start, value.stop, value.step
        case _:
            return type(value), value  # True is no 1


class HeldToKernels(OperatorCounter):
    """Compares each answer with torch's kernel, which is slow: once for equal arguments."""

    known: ClassVar[dict[Any, Any]] = {}  # the kernels' answers

    def __init__(self) -> None:
        super().__init__()
        self.asked: set[str] = set()

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        answer = super().__torch_function__(func, types, args, kwargs)
        self.asked.add(func.__name__)
        key = func, asked_of(args), asked_of(kwargs or {})
        if key not in self.known:
            self.known[key] = described(func(*args, **(kwargs or {})))
        assert described(answer) == self.known[key], func.__name__
        return answer


def grouped_mm_flops(rows: tuple[int, ...], weight: tuple[int, ...], *args: Any, **kwargs: Any) -> int:
    """Rows (n_rows, d_in) by matrices (n_experts, d_in, d_out): one matrix per row. Torch has no formula for it."""
    return 2 * rows[0] * weight[1] * weight[2]


def kernel_counter() -> FlopCounterMode:
    missing = {
        torch.ops.aten._grouped_mm: grouped_mm_flops,
        torch.ops.aten.linalg_solve_triangular: solve_triangular_flops,
    }
    return FlopCounterMode(display=False, custom_mapping=missing)


def solve_triangular_flops(matrix: tuple[int, ...], right: tuple[int, ...], *args: Any, **options: Any) -> int:
    """Each row of the right sides (..., n, d) subtracts a product for each row before it."""
    *batch, n_rows, d = right
    return prod(batch) * d * n_rows * (n_rows - 1)


class Run(NamedTuple):
    """A component with its input: `n_tokens` tokens of each sequence after the `seen` ones in its cache."""

    module: ComponentModule
    d_model: int
    seen: int
    batch: int
    n_tokens: int
    kv_dtype: KvDtype

    def under(self, mode: AbstractContextManager[Any]) -> Any:
        """Run the component: its output and its cached tensors."""
        component = self.module.component
        cache = filled_cache(component, self.seen, Workload(self.seen + 1, self.batch, self.kv_dtype), self.n_tokens)
        if isinstance(component, TokenEmbedding):
            x = torch.empty((self.batch, self.n_tokens), dtype=torch.int64, device="meta")
        else:
            streams = () if component.reads_streams is None else (component.reads_streams,)
            shape = (self.batch, self.n_tokens, *streams, self.d_model)
            x = torch.empty(shape, dtype=torch.bfloat16, device="meta")
        with torch.no_grad(), mode:
            out = self.module(x, cache)
        return described(out), {name: described(entry) for name, entry in cache.stored.items()}, cache.length


@st.composite
def runs(draw: st.DrawFn, attention: st.SearchStrategy[Data] | None = None) -> list[Run]:
    """Each component of a spec, with one token or a prompt as input; `attention` limits the kinds."""
    spec = draw(specs(aligned=True) if attention is None else specs(aligned=True, attention=attention))
    edges = spans(spec)
    seen = draw(st.sampled_from(sorted(edges | {edge - 1 for edge in edges} | {0, 1, 300})))
    batch, n_tokens = draw(st.integers(1, 3)), draw(st.sampled_from((1, 1, 2, 5)))
    kv_dtype: KvDtype = draw(kv_dtypes(spec))
    return [Run(module, spec.d_model, seen, batch, n_tokens, kv_dtype) for _, module in built_items(spec)]


@given(runs())
def test_runs_are_those_of_the_kernels(components: list[Run]) -> None:
    for run in components:
        ours, theirs = OperatorCounter(), kernel_counter()
        assert run.under(ours) == run.under(theirs)
        assert ours.flops == theirs.get_total_flops()
        assert sum(ours.by_operator.values()) == ours.flops


def test_each_answer_is_the_kernels_and_none_is_never_asked_for() -> None:
    asked: set[str] = set()

    def hold(components: list[Run]) -> None:
        for run in components:
            counter = HeldToKernels()
            run.under(counter)
            asked.update(counter.asked)

    settings(max_examples=200)(given(runs())(hold))()
    for kind in (*attention_kinds(), *recurrences()):
        settings(max_examples=10)(given(runs(kind))(hold))()
    assert {*operators._ANSWERS, *operators._VIEWS} - asked == set()


# --- errors ---------------------------------------------------------------------------------------------------------


class Wired(DenseFeedForward):
    """Calls the function that a test gives it."""

    wiring: ClassVar[Callable[[Tensor], Tensor]]

    def forward(self, m: Any, x: Tensor, cache: Any) -> Tensor:
        return type(self).wiring(x)


def wired(wiring: Callable[[Tensor], Any]) -> ModelSpec:
    """A model of width 2048 whose feed-forward layers call `wiring` on (batch, 1, 2048)."""
    Wired.wiring = staticmethod(wiring)
    return llmarch.load("llama3.2-1b").model_copy(update={"ffn": Wired(kind="dense", d_ff=8)})


@pytest.mark.parametrize(
    ("name", "wiring"),
    [
        ("einsum", lambda x: torch.einsum("bnd,bnd->bn", x, x)),
        ("conv2d", lambda x: F.conv2d(x, torch.ones_like(x))),
        ("bmm", lambda x: torch.bmm(x, x)),
        ("baddbmm", lambda x: torch.baddbmm(x, x, x)),
        ("addmm", lambda x: torch.addmm(x, x, x)),
        ("tensordot", lambda x: torch.tensordot(x, x)),
        ("cumprod", lambda x: x.cumprod(0)),
        ("empty", lambda x: torch.empty(1)),
        ("empty_like", torch.empty_like),
        ("item", lambda x: x.item()),
    ],
)
def test_an_unknown_operator_is_an_error(name: str, wiring: Callable[[Tensor], Any]) -> None:
    with pytest.raises(llmarch.CheckError, match=f"unknown operator {name}: the measuring engine"):
        llmarch.profile(wired(wiring), engine="measured")


@pytest.mark.parametrize(
    ("name", "wiring"),
    [
        ("linear", lambda x: F.linear(x[..., 1:], x[0])),
        ("matmul", lambda x: x @ x),
        ("grouped_mm", lambda x: F.grouped_mm(x[0], x)),
        ("scaled_dot_product_attention", lambda x: F.scaled_dot_product_attention(x[..., 1:], x, x)),
        ("cat", lambda x: torch.cat((x, x[..., 1:]), dim=1)),
        ("shapes", lambda x: x + x[..., 1:]),
    ],
)
def test_shapes_that_no_kernel_takes_are_an_error(name: str, wiring: Callable[[Tensor], Any]) -> None:
    spec = wired(wiring)
    with pytest.raises(llmarch.CheckError, match=name):
        llmarch.profile(spec, engine="measured")
    x = torch.empty((1, 1, spec.d_model), dtype=torch.bfloat16, device="meta")
    with pytest.raises((RuntimeError, TypeError, ValueError)):
        wiring(x)


def test_another_form_of_a_known_call_is_an_error() -> None:
    with pytest.raises(llmarch.CheckError, match="where: incompatible tensors"):
        llmarch.profile(wired(lambda x: torch.where(x > 0, x, x)), engine="measured")


def test_the_engine_runs_without_the_compiler_stack() -> None:
    """Each costs a good part of what importing torch costs; torch's own meta kernels import both."""
    program = """
import sys
import llmarch_cli as llmarch
for name in llmarch.names():
    llmarch.profile(name, engine="measured")
print([name for name in ("sympy", "torch._dynamo", "torch._inductor", "fvcore", "pandas") if name in sys.modules])
"""
    out = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT)
    assert out.stdout == "[]\n"


def test_the_closed_form_runs_without_torch() -> None:
    program = """
import sys
import llmarch_cli as llmarch
for name in llmarch.names():
    llmarch.profile(name, engine="closed-form")
print("torch" in sys.modules)
"""
    out = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT)
    assert out.stdout == "False\n"
