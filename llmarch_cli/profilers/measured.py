"""The measuring engine: builds each distinct component on the meta device, decodes one token, and counts.

It uses no formula of a kind: parameters come from the modules, active parameters from those read, cache bytes from the
cached tensors, and FLOPs from the operators called.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from math import lcm, prod

import torch
from torch import nn

from llmarch_cli.components.cache import Rows
from llmarch_cli.components.component import Component, SharedWeights, cache_entries, walk_named
from llmarch_cli.components.frame import TokenEmbedding
from llmarch_cli.errors import CheckError
from llmarch_cli.modules.builder import BlockProjection, ComponentModule, ExpertStack, LookupTable, Projection
from llmarch_cli.modules.cache import TensorCache
from llmarch_cli.modules.packing import PACKINGS, Packing
from llmarch_cli.profilers.cost import Cost, KvDtype, StateDtype, Workload, per
from llmarch_cli.profilers.operators import OperatorCounter
from llmarch_cli.profilers.storage import Matrices, Place, label_words
from llmarch_cli.specs.spec import Item, ModelSpec

TORCH_DTYPES: dict[StateDtype, torch.dtype] = {
    "bf16": torch.bfloat16,
    "fp16": torch.float16,
    "fp32": torch.float32,
    "fp8": torch.float8_e4m3fn,
}
ROW_DTYPES: dict[KvDtype, torch.dtype | Packing] = dict([*TORCH_DTYPES.items(), *PACKINGS.items()])


def measure(spec: ModelSpec, items: list[Item], workload: Workload) -> list[Cost]:
    """The cost of each item's component, counted once."""
    counted: set[nn.Parameter] = set()  # a tied matrix counts at its first use
    return [
        _measure_shared(module, spec, workload)
        if isinstance(item.component, SharedWeights)
        else _measure_one(module, spec, workload, counted)
        for item, module in built(spec, items)
    ]


def built(spec: ModelSpec, items: list[Item]) -> Iterator[tuple[Item, ComponentModule]]:
    """Build the component of each item on the meta device; of shared weights, the component that they are of.

    A tied head takes the matrix of the token embedding, which must come first.
    """
    table: nn.Parameter | None = None
    for item in items:
        component = item.component.of if isinstance(item.component, SharedWeights) else item.component
        module = build_component(component, spec, table)
        if table is None and isinstance(component, TokenEmbedding):
            table = module.tokens.weight
        yield item, module


def build_component(component: Component, spec: ModelSpec, table: nn.Parameter | None = None) -> ComponentModule:
    """Build a component on the meta device in bfloat16; a tied head takes the token embedding's `table`."""
    previous = torch.get_default_dtype()
    torch.set_default_dtype(torch.bfloat16)
    try:
        with torch.device("meta"):
            return ComponentModule(component, spec.d_model, spec.norm, table)
    finally:
        torch.set_default_dtype(previous)


def decoding_input(component: Component, spec: ModelSpec, batch: int, n_tokens: int = 1) -> torch.Tensor:
    """The input of `component` for `n_tokens` tokens of each of `batch` sequences."""
    if isinstance(component, TokenEmbedding):
        return torch.empty((batch, n_tokens), dtype=torch.int64, device="meta")
    streams = () if component.reads_streams is None else (component.reads_streams,)
    return torch.empty((batch, n_tokens, *streams, spec.d_model), dtype=torch.bfloat16, device="meta")


def filled_cache(component: Component, length: int, workload: Workload, n_tokens: int = 1) -> TensorCache:
    """A cache after `length` tokens, holding what is in view, with what other layers leave for the next `n_tokens`."""
    entries = dict(cache_entries(component))
    dtype = ROW_DTYPES[workload.kv_dtype]
    state_dtype = None if workload.state_dtype is None else TORCH_DTYPES[workload.state_dtype]
    cache = TensorCache(entries, None, dtype, state_dtype)
    cache.step.length = length
    for name, entry in entries.items():
        if isinstance(entry, Rows):
            n_stored = dtype.row_bytes(entry.width) if isinstance(dtype, Packing) else entry.width
            shape: tuple[int, ...] = (entry.view.rows(length), n_stored)
            stored_as = torch.uint8 if isinstance(dtype, Packing) else dtype
        else:
            shape, stored_as = entry.shape, state_dtype or TORCH_DTYPES[entry.dtype]
        cache.stored[name] = torch.empty((workload.batch, *shape), dtype=stored_as, device="meta")
    left: dict[str, torch.Tensor] = {}
    for prefix, inner in walk_named(component):
        for read in inner.reads():
            n_rows = n_tokens if read.view is None else read.view.reaching(length, n_tokens)
            width = () if read.width is None else (read.width,)
            left[prefix + read.name] = torch.empty(
                (workload.batch, n_rows, *width), dtype=torch.int64 if read.integers else torch.bfloat16, device="meta"
            )
            cache.sources[prefix + read.name] = left
    return cache


def stored_places(spec: ModelSpec) -> Iterator[Place]:
    """All stored parts as `storage.places` gives them, with the shapes of built tensors."""
    counted: set[nn.Parameter] = set()
    table: nn.Parameter | None = None
    for item in spec.inventory():
        is_shared = isinstance(item.component, SharedWeights)
        component = item.component.of if isinstance(item.component, SharedWeights) else item.component
        module = build_component(component, spec, table)
        if table is None and isinstance(component, TokenEmbedding):
            table = module.tokens.weight
        shared = module.shared_parameters()
        for path, inner in module.named_modules():
            words = (*label_words(item), *filter(None, path.split(".")))
            tensors = {
                name: tensor
                for name, tensor in inner.named_parameters(recurse=False)
                if tensor not in counted and (tensor in shared) == is_shared
            }
            counted.update(tensors.values())
            if isinstance(inner, ComponentModule):
                yield from (Place(item, (*words, name), tensor.numel()) for name, tensor in tensors.items())
            elif tensors:
                of_experts = isinstance(inner, ExpertStack)
                named = (*words[:-1], *["experts"] * of_experts, words[-1])
                params = sum(tensor.numel() for tensor in tensors.values())
                yield Place(item, named, params, _matrices(inner, tensors.get("weight")), of_experts)


def _matrices(module: nn.Module, weight: nn.Parameter | None) -> Matrices | None:
    if weight is None or not isinstance(module, Projection | ExpertStack | BlockProjection | LookupTable):
        return None
    *stack, d_out, d_in = weight.shape
    return Matrices(prod(stack), d_out, d_in)


def _measure_one(module: ComponentModule, spec: ModelSpec, workload: Workload, counted: set[nn.Parameter]) -> Cost:
    component, batch, context = module.component, workload.batch, workload.context
    cache = filled_cache(component, context - 1, workload)
    before = cache.bytes_by_name
    x = decoding_input(component, spec, batch)
    with torch.no_grad(), OperatorCounter() as counter:
        module(x, cache)

    shared = module.shared_parameters()
    own = [parameter for parameter in module.parameters() if parameter not in counted and parameter not in shared]
    counted.update(own)
    active = sum(
        parameter.numel()
        if parameter in counter.read_whole
        else _per_sequence(counter.read_by_row.get(parameter, 0), batch, "values of a parameter")
        for parameter in own
    )
    kept = cache.bytes_by_name
    rows = {name: entry for name, entry in cache.entries.items() if isinstance(entry, Rows)}
    states = {name: entry for name, entry in cache.entries.items() if not isinstance(entry, Rows)}
    row_bytes = {name: cache.stored[name].shape[-1] * cache.stored[name].element_size() * batch for name in rows}
    grown: dict[str, int | Fraction] = {name: kept[name] - before[name] for name in rows}
    if strided := {name: entry.view.stride for name, entry in rows.items() if entry.view.stride > 1}:
        grown |= _grown_together(module, spec, workload, before, strided)
    return Cost(
        params=sum(parameter.numel() for parameter in own),
        active_params=active,
        buffers=sum(buffer.numel() for buffer in module.buffers()),
        kv_cache_bytes=sum(kept[name] for name in rows),
        index_bytes=sum(kept[name] for name, entry in rows.items() if entry.of == "index"),
        kv_growth_bytes=sum(grown.values()),
        kv_fixed_bytes=sum(kept[name] for name in rows if not grown[name]),
        kv_cache_bytes_without_windows=sum(
            row_bytes[name] * (context // entry.view.stride) for name, entry in rows.items()
        ),
        state_bytes=sum(kept[name] for name, entry in states.items() if not entry.partial),
        partial_bytes=sum(kept[name] for name, entry in states.items() if entry.partial),
        flops_per_token=_per_sequence(counter.flops, batch, "FLOPs"),
        context_flops=_per_sequence(counter.flops_of_pairs, batch, "FLOPs"),
    )


def _measure_shared(module: ComponentModule, spec: ModelSpec, workload: Workload) -> Cost:
    """The weights that layers share: their FLOPs and caches are those of the layers."""
    x = decoding_input(module.component, spec, workload.batch)
    cache = filled_cache(module.component, workload.context - 1, workload)
    with torch.no_grad(), OperatorCounter() as counter:
        module(x, cache)
    shared = module.shared_parameters()
    active = sum(parameter.numel() for parameter in shared & counter.read_whole)
    return Cost(params=sum(parameter.numel() for parameter in shared), active_params=active)


def _grown_together(
    module: ComponentModule, spec: ModelSpec, workload: Workload, before: dict[str, int], strides: dict[str, int]
) -> dict[str, Fraction | int]:
    """The bytes by which a token makes rows of several tokens grow, by name.

    Such a row is stored with the last of its tokens. So as many tokens are run at once as the strides have in common,
    and the growth is divided evenly.
    """
    n_tokens = lcm(*strides.values())
    cache = filled_cache(module.component, workload.context - 1, workload, n_tokens)
    x = decoding_input(module.component, spec, workload.batch, n_tokens)
    with torch.no_grad(), OperatorCounter():
        module(x, cache)
    after = cache.bytes_by_name
    return {name: per(after[name] - before[name], n_tokens) for name in strides}


def _per_sequence(total: int, batch: int, what: str) -> int:
    share, rest = divmod(total, batch)
    if rest:
        raise CheckError(f"{total} {what} do not divide evenly over {batch} sequences")
    return share
