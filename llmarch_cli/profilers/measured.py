"""The measuring engine: builds each distinct component on the meta device, decodes one token, and counts.

It uses no formula of a kind: parameters come from the modules, active parameters from those read, cache bytes from the
cached tensors, and FLOPs from the operators called.
"""

from __future__ import annotations

import torch
from torch import nn

from llmarch_cli.components.component import Component
from llmarch_cli.components.frame import TokenEmbedding
from llmarch_cli.errors import CheckError
from llmarch_cli.modules.builder import ComponentModule
from llmarch_cli.modules.cache import TensorCache
from llmarch_cli.profilers.cost import Cost, KvDtype, Workload
from llmarch_cli.profilers.operators import OperatorCounter
from llmarch_cli.specs.spec import Item, ModelSpec

TORCH_DTYPES: dict[KvDtype, torch.dtype] = {
    "bf16": torch.bfloat16,
    "fp16": torch.float16,
    "fp32": torch.float32,
    "fp8": torch.float8_e4m3fn,
}


def measure(spec: ModelSpec, items: list[Item], workload: Workload) -> list[Cost]:
    """The cost of each item's component, counted once."""
    counted: set[nn.Parameter] = set()  # a tied matrix counts at its first use
    table: nn.Parameter | None = None
    costs = []
    for item in items:
        module = build_component(item.component, spec, table)
        if table is None and isinstance(item.component, TokenEmbedding):
            table = module.tokens.weight
        costs.append(_measure_one(module, spec, workload, counted))
    return costs


def build_component(component: Component, spec: ModelSpec, table: nn.Parameter | None = None) -> ComponentModule:
    """Build a component on the meta device in bfloat16; a tied head takes the token embedding's `table`."""
    previous = torch.get_default_dtype()
    torch.set_default_dtype(torch.bfloat16)
    try:
        with torch.device("meta"):
            return ComponentModule(component, spec.d_model, spec.norm, table)
    finally:
        torch.set_default_dtype(previous)


def decoding_input(component: Component, spec: ModelSpec, batch: int) -> torch.Tensor:
    """The input of `component` when each of `batch` sequences decodes one token."""
    if isinstance(component, TokenEmbedding):
        return torch.empty((batch, 1), dtype=torch.int64, device="meta")
    return torch.empty((batch, 1, spec.d_model), dtype=torch.bfloat16, device="meta")


def filled_cache(component: Component, length: int, batch: int, kv_dtype: KvDtype = "bf16") -> TensorCache:
    """A cache after `length` tokens, holding those in view."""
    dtype = TORCH_DTYPES[kv_dtype]
    cache = TensorCache(component.span, dtype)
    cache.length = length
    kept = component.tokens_in_view(length)
    for entry in component.cache():
        cache.entries[entry.name] = torch.empty((batch, kept, entry.width), dtype=dtype, device="meta")
    return cache


def _measure_one(module: ComponentModule, spec: ModelSpec, workload: Workload, counted: set[nn.Parameter]) -> Cost:
    component, batch = module.component, workload.batch
    cache = filled_cache(component, workload.context - 1, batch, workload.kv_dtype)
    held_before = cache.n_bytes
    x = decoding_input(component, spec, batch)
    with torch.no_grad(), OperatorCounter() as counter:
        module(x, cache)

    own = [parameter for parameter in module.parameters() if parameter not in counted]
    counted.update(own)
    active = sum(
        parameter.numel()
        if parameter in counter.read_whole
        else _per_sequence(counter.read_by_row.get(parameter, 0), batch, "values of a parameter")
        for parameter in own
    )
    kept_each_token = sum(entry.shape[2] * entry.element_size() for entry in cache.entries.values()) * batch
    return Cost(
        params=sum(parameter.numel() for parameter in own),
        active_params=active,
        buffers=sum(buffer.numel() for buffer in module.buffers()),
        kv_cache_bytes=cache.n_bytes,
        kv_growth_bytes=cache.n_bytes - held_before,
        kv_cache_bytes_without_windows=kept_each_token * workload.context,
        flops_per_token=_per_sequence(counter.flops, batch, "FLOPs"),
    )


def _per_sequence(total: int, batch: int, what: str) -> int:
    share, rest = divmod(total, batch)
    if rest:
        raise CheckError(f"{total} {what} do not divide evenly over {batch} sequences")
    return share
