"""The arithmetic engine: prices parts without building or running anything. Never imports torch."""

from __future__ import annotations

from llmarch_cli.components.component import Child, Component
from llmarch_cli.components.parts import Buffer, Experts, Linear, Norm, Table, TiedLinear, Vector, Weights
from llmarch_cli.profilers.cost import DTYPE_BYTES, Cost, Workload
from llmarch_cli.specs.spec import Item, ModelSpec


def measure(spec: ModelSpec, items: list[Item], workload: Workload) -> list[Cost]:
    """The cost of each item's component, counted once."""
    return [component_cost(item.component, spec, workload) for item in items]


def component_cost(component: Component, spec: ModelSpec, workload: Workload) -> Cost:
    """The cost of one `component` of the model."""
    total = Cost()
    for part in component.parts(spec.d_model):
        total += component_cost(part.component, spec, workload) if isinstance(part, Child) else _price(part, spec)

    in_view = component.tokens_in_view(workload.context)
    token_bytes = sum(entry.width for entry in component.cache()) * DTYPE_BYTES[workload.kv_dtype] * workload.batch
    grew = in_view - component.tokens_in_view(workload.context - 1)
    return total + Cost(
        kv_cache_bytes=token_bytes * in_view,
        kv_growth_bytes=token_bytes * grew,
        kv_cache_bytes_without_windows=token_bytes * workload.context,
        flops_per_token=component.mixing_flops(in_view),
    )


def _price(part: Weights, spec: ModelSpec) -> Cost:
    """The parameters of one part, and its FLOPs for one token: 2 per multiply-add."""
    match part:
        case Linear():
            matrix = part.d_in * part.d_out
            params = matrix + part.d_out * part.bias
            return Cost(params=params, active_params=params, flops_per_token=2 * matrix)
        case Experts():
            matrix = part.d_in * part.d_out
            one = matrix + part.d_out * part.bias
            return Cost(
                params=one * part.n_experts,
                active_params=one * part.n_active,
                flops_per_token=2 * matrix * part.n_active,
            )
        case TiedLinear():
            params = part.d_out * part.bias
            return Cost(params=params, active_params=params, flops_per_token=2 * part.d_in * part.d_out)
        case Norm():
            learned = spec.norm.weight and not part.weightless
            params = part.dim * (part.n_heads or 1 + spec.norm.bias) * learned
        case Table():
            params = part.n_rows * part.dim
        case Vector():
            params = part.dim
        case Buffer():
            return Cost(buffers=part.dim)
    return Cost(params=params, active_params=params)
