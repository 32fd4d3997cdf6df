"""The arithmetic engine: prices parts without building or running anything. Never imports torch."""

from __future__ import annotations

from collections.abc import Callable
from math import prod

from llmarch_cli.components.cache import Rows, State, View
from llmarch_cli.components.component import Child, Component, SharedWeights
from llmarch_cli.components.parts import (
    Assignments,
    BlockDiagonal,
    Buffer,
    Convolution,
    Experts,
    Linear,
    Matrix,
    Norm,
    Table,
    TiedLinear,
    Vector,
    Weights,
)
from llmarch_cli.errors import InputError
from llmarch_cli.profilers.cost import DTYPE_BYTES, ROW_ENCODINGS, STATE_BYTES, Cost, KvDtype, Workload, per, sum_of
from llmarch_cli.specs.encodings import MisfitError, group_of
from llmarch_cli.specs.spec import Item, ModelSpec


def measure(spec: ModelSpec, items: list[Item], workload: Workload) -> list[Cost]:
    """The cost of each item's component, counted once."""
    return [component_cost(item.component, spec, workload) for item in items]


RowCount = Callable[[View, int], int]  # rows of a view at a context


def component_cost(component: Component, spec: ModelSpec, workload: Workload, rows: RowCount = View.rows) -> Cost:
    """The cost of one `component` of the model.

    The cost is linear in the numbers of rows in view, which `rows` counts.
    """
    costs: list[Cost] = []
    of_others, shared = isinstance(component, SharedWeights), component.shared_parts
    for part in component.parts(spec.d_model):
        if isinstance(part, Child):
            costs.append(component_cost(part.component, spec, workload, rows))
        elif of_others:
            costs.append(part_cost(part, spec)._replace(flops_per_token=0))
        elif part.name in shared:
            costs.append(Cost(flops_per_token=part_cost(part, spec).flops_per_token))
        else:
            costs.append(part_cost(part, spec))

    costs += (entry_cost(entry, workload, rows) for entry in component.cache())
    for mixing in component.mixing():
        flops = mixing.flops * rows(mixing.view, workload.context)
        costs.append(Cost(flops_per_token=flops, context_flops=flops if mixing.over == "rows" else 0))
    return costs[0] if len(costs) == 1 else sum_of(costs)


def prompt_flops(component: Component, spec: ModelSpec, start: int, end: int) -> int:
    """The FLOPs of one `component` for the tokens of a prompt after the first `start`, up to `end`.

    Every matrix is multiplied once a token, or once a row in view if a prompt expands the rows by it. Scores and
    recurrences cost what each token's own rows in view do: the exact causal sum. One token is a decoding step.
    """
    if end - start == 1:
        return component_cost(component, spec, Workload(end)).flops_per_token
    if isinstance(component, SharedWeights):
        return 0
    total = 0
    for part in component.parts(spec.d_model):
        if isinstance(part, Child):
            total = total + prompt_flops(part.component, spec, start, end)  # not in place: they may be arrays
        else:
            n_times = end if part.name in component.expanded_parts else end - start
            total = total + part_cost(part, spec).flops_per_token * n_times
    return total + sum(mixing.flops * mixing.view.pairs(start, end) for mixing in component.prompt_mixing())


def entry_cost(entry: Rows | State, workload: Workload, rows: RowCount = View.rows) -> Cost:
    """The cost of one entry of a cache, for all sequences."""
    return _rows_cost(entry, workload, rows) if isinstance(entry, Rows) else _state_cost(entry, workload)


def _rows_cost(entry: Rows, workload: Workload, rows: RowCount) -> Cost:
    """Rows grow with the context: by one for each `stride` tokens, until their span is full."""
    row = _row_bytes(entry, workload.kv_dtype) * workload.batch
    view, context = entry.view, workload.context
    kept, grows = row * rows(view, context), view.grows(context)
    return Cost(
        kv_cache_bytes=kept,
        index_bytes=kept if entry.of == "index" else 0,
        kv_growth_bytes=per(row, view.stride) * grows,
        kv_fixed_bytes=kept * (1 - grows),
        kv_cache_bytes_without_windows=row * rows(View(None, view.stride), context),
    )


def _row_bytes(entry: Rows, dtype: KvDtype) -> int:
    try:
        return ROW_ENCODINGS[dtype].bytes(1, entry.width)
    except MisfitError:
        group = group_of(ROW_ENCODINGS[dtype])
        raise InputError(
            f"a cached row of {entry.name} has {entry.width:,} values, which do not divide into groups of {group}; ask"
            f" for another --kv-dtype than {dtype}"
        ) from None


def _state_cost(entry: State, workload: Workload) -> Cost:
    """A state has one size at every context."""
    value = STATE_BYTES[entry.dtype] if workload.state_dtype is None else DTYPE_BYTES[workload.state_dtype]
    kept = prod(entry.shape) * value * workload.batch
    return Cost(partial_bytes=kept) if entry.partial else Cost(state_bytes=kept)


def part_cost(part: Weights, spec: ModelSpec) -> Cost:
    """The parameters of one part, and its FLOPs for one token: 2 per multiply-add."""
    match part:
        case Linear():
            matrix = part.d_in * part.d_out
            params = matrix + part.d_out * part.bias
            return Cost(params=params, active_params=params, flops_per_token=2 * matrix * part.uses)
        case BlockDiagonal():
            matrix = part.n_blocks * part.d_in * part.d_out
            params = matrix + part.n_blocks * part.d_out * part.bias
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
            biased = spec.norm.bias if part.bias is None else part.bias
            params = part.dim * (part.n_heads or 1 + biased) * learned
        case Table():
            params = part.n_rows * part.dim
        case Convolution():
            params = part.channels * (part.kernel + part.bias)
            return Cost(params=params, active_params=params, flops_per_token=2 * part.kernel * part.channels)
        case Vector():
            params = part.dim
        case Matrix():
            params = part.rows * part.columns
        case Buffer():
            return Cost(buffers=part.dim)
        case Assignments():
            return Cost(buffers=part.n_rows * part.columns)
    return Cost(params=params, active_params=params)
