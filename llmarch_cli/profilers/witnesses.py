"""Two independent FLOP counters, torch's own and fvcore's, run over the same modules with torch's real meta kernels.

Both are slower than the measuring engine, because they import torch's compiler stack. Operators that either one misses
are registered here. A counter that skips any other operator not known to be free raises CannotCountError.
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from math import prod
from typing import Any

import torch
from torch import Tensor, nn

from llmarch_cli.components.component import Component, SharedWeights, walk
from llmarch_cli.errors import CheckError, InputError
from llmarch_cli.modules.builder import ComponentModule
from llmarch_cli.profilers.cost import Workload
from llmarch_cli.profilers.measured import built, decoding_input, filled_cache
from llmarch_cli.specs.spec import Item, ModelSpec

# Operators of decoders that fvcore does not count and that multiply no matrices.
_FREE_FOR_FVCORE = frozenset(
    f"aten::{name}"
    for name in (
        "embedding unflatten rms_norm layer_norm softmax silu gelu relu sigmoid softplus tanh square"
        " mean std add sub rsub mul div pow sqrt reciprocal neg cos sin floor floor_divide log2 log1p expm1 clamp"
        " clamp_min clamp_max eq gt ge lt le bitwise_and __and__ bitwise_not where masked_fill amax sum"
        " topk sort argsort searchsorted gather scatter index index_select ones_like zeros_like zeros arange clone pad"
        " repeat_interleave erfinv"
    ).split()
)


MOST_COMPONENTS = 500


class CannotCountError(CheckError):
    """A counter cannot count this component, so it neither confirms nor contradicts its FLOPs."""


def torch_flops(module: ComponentModule, spec: ModelSpec, workload: Workload) -> int:
    """FLOPs of one decoding step of the whole batch, by torch.utils.flop_counter. Raises CannotCountError."""
    from torch.utils.flop_counter import FlopCounterMode

    counter = FlopCounterMode(display=False, custom_mapping={torch.ops.aten._grouped_mm: _grouped_mm_flops})
    with _refusals("torch's counter", module, spec, workload), counter:
        module(*_arguments(module.component, spec, workload))
    return int(counter.get_total_flops())


def fvcore_flops(module: ComponentModule, spec: ModelSpec, workload: Workload) -> Counter[str]:
    """FLOPs of one decoding step of the whole batch, by operator, counted by fvcore. Raises CannotCountError."""
    with warnings.catch_warnings():  # fvcore uses TorchScript, which torch deprecates
        warnings.simplefilter("ignore")
        from fvcore.nn import FlopCountAnalysis

        tokens, _ = _arguments(module.component, spec, workload)
        analysis = FlopCountAnalysis(_WithCache(module, spec, workload), (tokens,))
        analysis.set_op_handle("aten::_grouped_mm", _grouped_mm_multiply_adds)
        analysis.set_op_handle("aten::scaled_dot_product_attention", _attention_multiply_adds)
        analysis.set_op_handle("aten::layer_norm", _nothing)  # fvcore counts norms; they are free by our convention
        analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False).tracer_warnings("none")
        with _refusals("fvcore", module, spec, workload):
            counted = analysis.by_operator()
            skipped = analysis.unsupported_ops()
    if unknown := sorted(set(skipped) - _FREE_FOR_FVCORE):
        raise CannotCountError(f"fvcore has no count for {', '.join(unknown)}, which may multiply matrices")
    return Counter({operator: 2 * int(multiply_adds) for operator, multiply_adds in counted.items()})


def require_countable(spec: ModelSpec) -> None:
    """Raise InputError for a spec with too many distinct components. Tracing each one takes about 0.1 seconds."""
    n_components = sum(1 for item in spec.inventory() for _ in walk(item.component))
    if n_components > MOST_COMPONENTS:
        raise InputError(
            f"{spec.id}: too large to count operator by operator: {n_components:,} distinct components, more than"
            f" {MOST_COMPONENTS:,}"
        )


def built_items(spec: ModelSpec) -> Iterator[tuple[Item, ComponentModule]]:
    """Each distinct component of `spec`, built on the meta device, with the head tied if the model's is."""
    for item, module in built(spec, list(spec.inventory())):
        if not isinstance(item.component, SharedWeights):  # without FLOPs
            yield item, module


def operator_flops(spec: ModelSpec, workload: Workload) -> list[tuple[Item, dict[str, int]]]:
    """FLOPs of one token by operator, for each component, counted by fvcore.

    Raises CannotCountError for an unknown operator, and InputError for too many components.
    """
    require_countable(spec)
    return [
        (item, {name: flops // workload.batch for name, flops in fvcore_flops(module, spec, workload).items()})
        for item, module in built_items(spec)
    ]


class _WithCache(nn.Module):
    """A component that fills its own cache, because fvcore traces only tensors in and tensors out."""

    def __init__(self, module: ComponentModule, spec: ModelSpec, workload: Workload) -> None:
        super().__init__()
        self.module, self.spec, self.workload = module, spec, workload

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """The output, and what is left for layers above: a trace drops whatever leads to no output."""
        _, cache = _arguments(self.module.component, self.spec, self.workload)
        return self.module(x, cache), *cache.left.values()


def _arguments(component: Component, spec: ModelSpec, workload: Workload) -> tuple[Any, Any]:
    cache = filled_cache(component, workload.context - 1, workload)
    return decoding_input(component, spec, workload.batch), cache


@contextmanager
def _refusals(counter: str, module: ComponentModule, spec: ModelSpec, workload: Workload) -> Iterator[None]:
    """Turn any error that `counter` raises about an operator into CannotCountError.

    Errors of the component's own `forward` are bugs and pass through: it then fails without the counter too.
    """
    try:
        with torch.no_grad():
            yield
    except Exception as error:
        if "16 bytes" in str(error):
            raise CannotCountError("torch's grouped product needs expert widths that are multiples of 8") from None
        try:
            with torch.no_grad():
                module(*_arguments(module.component, spec, workload))
        except NotImplementedError as missing:
            raise CannotCountError(f"torch has no meta kernel: {_first_line(missing)}") from missing
        raise CannotCountError(f"{counter} failed with {type(error).__name__}: {_first_line(error)}") from error


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]


def _nothing(inputs: list[Any], outputs: list[Any]) -> Counter[str]:
    return Counter()


def _grouped_mm_flops(rows: tuple[int, ...], weight: tuple[int, ...], *args: Any, **kwargs: Any) -> int:
    """A formula that torch's registry lacks. Shapes: (n_rows, d_in) and (n_experts, d_in, d_out)."""
    return 2 * rows[0] * weight[-2] * weight[-1]


def _grouped_mm_multiply_adds(inputs: list[Any], outputs: list[Any]) -> Counter[str]:
    """Multiply-adds of a grouped product: fvcore counts each as one."""
    rows, weight = (value.type().sizes() for value in inputs[:2])
    return Counter({"grouped_mm": rows[0] * weight[-2] * weight[-1]})


def _attention_multiply_adds(inputs: list[Any], outputs: list[Any]) -> Counter[str]:
    """Multiply-adds of fused attention: queries (..., n_rows, d_qk), keys (..., n_keys, d_qk), values (..., d_v)."""
    q, k, v = (value.type().sizes() for value in inputs[:3])
    return Counter({"scaled_dot_product_attention": prod(q[:-1]) * k[-2] * (q[-1] + v[-1])})
