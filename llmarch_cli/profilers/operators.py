"""The output shape and the FLOPs of every PyTorch function that a decoder calls, on the meta device.

Torch's meta kernels give the same shapes, but the first call imports sympy and the compiler stack, which takes half as
long as importing torch. So shapes are computed here, without running anything; `llmarch verify` and the tests compare
them with torch's kernels and its FLOP counter.

A function that is not in the table is an error: only listed functions count as free.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from math import prod
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from llmarch_cli.components import counting
from llmarch_cli.errors import CheckError

Shape = tuple[int, ...]


def _empty(shape: Shape, dtype: torch.dtype) -> Tensor:
    return torch.empty(shape, dtype=dtype, device="meta")


def _broadcast(*shapes: Shape) -> Shape:
    """The shape that `shapes` broadcast to, without torch.broadcast_shapes, which imports sympy."""
    n_dims = max(map(len, shapes))
    columns = zip(*((1,) * (n_dims - len(shape)) + tuple(shape) for shape in shapes), strict=True)
    widths = [{width for width in column if width != 1} or {1} for column in columns]
    if any(len(width) > 1 for width in widths):
        raise CheckError(f"shapes {', '.join(map(str, shapes))} do not broadcast")
    return tuple(width.pop() for width in widths)


class OperatorCounter(TorchFunctionMode):
    """Computes the shapes of functions on meta tensors, and counts their FLOPs.

    Attributes:
        flops: 2 for each multiply-add of every matrix product seen.
        flops_of_pairs: the part of `flops` that is over pairs of a token and a row in view.
        by_operator: `flops` by the function's name.
        read_whole: the parameters that every token reads whole.
        read_by_row: for the other parameters, the number of values read, summed over the rows that read them.
    """

    def __init__(self) -> None:
        super().__init__()
        self.flops = 0
        self.flops_of_pairs = 0
        self.by_operator: dict[str, int] = {}
        self.read_whole: set[nn.Parameter] = set()
        self.read_by_row: dict[nn.Parameter, int] = {}

    def __enter__(self) -> Self:
        super().__enter__()  # type: ignore[no-untyped-call]
        counting.pair_counter = self
        return self

    def __exit__(self, *why: Any) -> None:
        counting.pair_counter = None
        super().__exit__(*why)  # type: ignore[no-untyped-call]

    @contextmanager
    def pairs(self, mask: Tensor | None) -> Iterator[None]:
        """Count the products inside as those of pairs, too; `mask` is without effect on them."""
        before = self.flops
        yield
        self.flops_of_pairs += self.flops - before

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        name: str = func.__name__ if hasattr(func, "__name__") else str(func)
        if name == "__get__":  # a tensor's property
            return func(*args, **kwargs)
        answer = _ANSWERS.get(name)
        if answer is None:
            if name in _VIEWS:
                return func(*args, **kwargs)
            raise CheckError(
                f"unknown operator {name}: the measuring engine cannot count its FLOPs;"
                " add it to profilers/operators.py"
            )
        if name not in _READS_BY_ROW:
            for value in tensors_in(args, kwargs):
                if (parameter := _parameter(value)) is not None:
                    self.read_whole.add(parameter)
        return answer(self, *args, **kwargs)

    def multiply(self, name: str, multiply_adds: int) -> None:
        """Count a matrix product."""
        self.flops += 2 * multiply_adds
        self.by_operator[name] = self.by_operator.get(name, 0) + 2 * multiply_adds

    def read_rows(self, weight: Tensor, n_values: int) -> None:
        """Add `n_values` values, the total over all rows, to the reads of the parameter behind `weight`."""
        parameter = _parameter(weight)
        if parameter is not None:
            self.read_by_row[parameter] = self.read_by_row.get(parameter, 0) + n_values


def _parameter(value: Tensor) -> nn.Parameter | None:
    """The parameter that `value` is, or is a view of; None if it is neither."""
    # By type, since `isinstance` is a function in Python here, and this is asked of every argument of every call.
    source = value if type(value) is nn.Parameter else value._base
    return source if type(source) is nn.Parameter else None


def tensors_in(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Iterator[Tensor]:
    """The tensors among the arguments of a call, also in a list."""
    for value in (*args, *kwargs.values()):
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, (tuple, list)):
            yield from (inner for inner in value if isinstance(inner, Tensor))


def _require(fits: bool, name: str, *tensors: Tensor) -> None:
    """Raise CheckError for tensors that torch's kernel rejects, or for an unsupported form of the call."""
    if not fits:
        given = ", ".join(f"{tuple(tensor.shape)} of {tensor.dtype}" for tensor in tensors)
        raise CheckError(f"{name}: incompatible tensors {given}")


# --- functions that multiply matrices -------------------------------------------------------------------------------


def _linear(counter: OperatorCounter, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    _require(x.shape[-1] == weight.shape[1], "linear", x, weight)
    counter.multiply("linear", x.numel() * weight.shape[0])
    return _empty((*x.shape[:-1], weight.shape[0]), x.dtype)


def _matmul(counter: OperatorCounter, a: Tensor, b: Tensor) -> Tensor:
    _require(a.shape[-1] == b.shape[-2], "matmul", a, b)
    shape = (*_broadcast(a.shape[:-2], b.shape[:-2]), a.shape[-2], b.shape[-1])
    counter.multiply("matmul", prod(shape) * a.shape[-1])
    return _empty(shape, a.dtype)


def _grouped_mm(counter: OperatorCounter, rows: Tensor, weight: Tensor, offs: Tensor, **options: Any) -> Tensor:
    """Rows (n_rows, d_in) by stacked matrices (n, d_in, d_out), one matrix per row.

    Meta tensors hold no data to choose it by, so each row counts as reading its own matrix, as one token's rows do.
    """
    _, d_in, d_out = weight.shape
    _require(rows.shape[1] == d_in, "grouped_mm", rows, weight)
    counter.multiply("grouped_mm", rows.shape[0] * d_in * d_out)
    counter.read_rows(weight, rows.shape[0] * d_in * d_out)
    return _empty((rows.shape[0], d_out), rows.dtype)


def _attention(
    counter: OperatorCounter,
    q: Tensor,
    k: Tensor,
    v: Tensor,
    attn_mask: Tensor | None = None,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    _require(q.shape[-1] == k.shape[-1] and k.shape[:-1] == v.shape[:-1], "scaled_dot_product_attention", q, k, v)
    pairs = prod(q.shape[:-1]) * k.shape[-2]
    counter.multiply("scaled_dot_product_attention", pairs * (q.shape[-1] + v.shape[-1]))
    return _empty((*q.shape[:-1], v.shape[-1]), q.dtype)


def _conv1d(counter: OperatorCounter, x: Tensor, weight: Tensor, bias: Tensor | None = None, groups: int = 1) -> Tensor:
    """X (batch, channels, n) and weight (channels, channels / groups, kernel), without padding."""
    n_out = x.shape[2] - weight.shape[2] + 1
    _require(x.shape[1] == weight.shape[1] * groups and n_out > 0, "conv1d", x, weight)
    counter.multiply("conv1d", x.shape[0] * n_out * weight.numel())
    return _empty((x.shape[0], weight.shape[0], n_out), x.dtype)


def _solve_triangular(counter: OperatorCounter, matrix: Tensor, right: Tensor, **options: bool) -> Tensor:
    """A unit triangular system (..., n, n) for right sides (..., n, d): each row subtracts products of those before."""
    _require(matrix.shape[:-1] == right.shape[:-1], "linalg_solve_triangular", matrix, right)
    n_rows = matrix.shape[-1]
    counter.multiply("linalg_solve_triangular", right.numel() // n_rows * (n_rows * (n_rows - 1) // 2))
    return _empty(right.shape, right.dtype)


# --- functions without matrix products ------------------------------------------------------------------------------


def _elementwise(counter: OperatorCounter, *args: Any, **kwargs: Any) -> Tensor:
    """A tensor of the broadcast shape, in the dtype that torch promotes the arguments to."""
    tensors = [value for value in (*args, *kwargs.values()) if isinstance(value, Tensor)]
    if len(tensors) == 1:
        dtype = tensors[0].dtype
        if not dtype.is_floating_point and any(isinstance(value, float) for value in args):
            dtype = torch.get_default_dtype()
        return _empty(tensors[0].shape, kwargs.get("dtype") or dtype)
    dtype = tensors[0].dtype
    for other in tensors[1:]:
        dtype = torch.promote_types(dtype, other.dtype)
    return _empty(_broadcast(*(tensor.shape for tensor in tensors)), dtype)


def _comparison(counter: OperatorCounter, *args: Any) -> Tensor:
    return _empty(_elementwise(counter, *args).shape, torch.bool)


def _where(counter: OperatorCounter, x: Tensor, mask: Tensor, other: Any) -> Tensor:
    """`x.where(mask, other)` and `x.masked_fill(mask, other)`; `torch.where` takes another order."""
    _require(mask.dtype == torch.bool, "where", x, mask)
    values = _elementwise(counter, x, other) if isinstance(other, Tensor) else x
    return _empty(_broadcast(values.shape, mask.shape), values.dtype)


def _norm(counter: OperatorCounter, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    return _empty(x.shape, x.dtype)


def _to(counter: OperatorCounter, x: Tensor, dtype: torch.dtype) -> Tensor:
    return x if x.dtype == dtype else _empty(x.shape, dtype)


def _embedding(counter: OperatorCounter, numbers: Tensor, weight: Tensor, **options: Any) -> Tensor:
    """A lookup reads one row, but by convention the whole table counts as active."""
    return _empty((*numbers.shape, weight.shape[1]), weight.dtype)


def _getitem(counter: OperatorCounter, x: Tensor, index: Any) -> Tensor:
    if not isinstance(index, Tensor):
        return x[index]
    out = _empty((*index.shape, *x.shape[1:]), x.dtype)
    counter.read_rows(x, out.numel())
    return out


def _cat(counter: OperatorCounter, tensors: tuple[Tensor, ...], dim: int = 0) -> Tensor:
    shape = list(tensors[0].shape)
    for tensor in tensors:
        shape[dim] = tensor.shape[dim]
        _require(list(tensor.shape) == shape and tensor.dtype == tensors[0].dtype, "cat", *tensors)
    shape[dim] = sum(tensor.shape[dim] for tensor in tensors)
    return _empty(tuple(shape), tensors[0].dtype)


def _stack(counter: OperatorCounter, tensors: tuple[Tensor, ...], dim: int = 0) -> Tensor:
    shape = list(tensors[0].shape)
    shape.insert(dim if dim >= 0 else dim + len(shape) + 1, len(tensors))
    return _empty(tuple(shape), tensors[0].dtype)


def _arange(counter: OperatorCounter, *bounds: int, dtype: torch.dtype = torch.int64, device: Any = None) -> Tensor:
    start, end, step = (0, *bounds, 1) if len(bounds) == 1 else (*bounds, 1)[:3]
    return _empty((max(0, -(-(end - start) // step)),), dtype)


def _zeros(counter: OperatorCounter, shape: Shape, dtype: torch.dtype, device: Any = None) -> Tensor:
    return _empty(tuple(shape), dtype)


def _new_empty(counter: OperatorCounter, x: Tensor, shape: Shape, dtype: torch.dtype) -> Tensor:
    return _empty(shape, dtype)


def _pad(counter: OperatorCounter, x: Tensor, pad: tuple[int, int], **options: Any) -> Tensor:
    return _empty((*x.shape[:-1], x.shape[-1] + sum(pad)), x.dtype)


def _repeat_interleave(counter: OperatorCounter, x: Tensor, repeats: int, dim: int) -> Tensor:
    shape = list(x.shape)
    shape[dim] *= repeats
    return _empty(tuple(shape), x.dtype)


def _tensor(counter: OperatorCounter, values: Sequence[float], dtype: torch.dtype, device: Any = None) -> Tensor:
    return _empty((len(values),), dtype)


def _reduced(
    counter: OperatorCounter, x: Tensor, dim: int, keepdim: bool = False, correction: int | None = None
) -> Tensor:
    shape = list(x.shape)
    shape[dim : dim + 1 or None] = [1] if keepdim else []
    return _empty(tuple(shape), x.dtype)


def _topk(counter: OperatorCounter, x: Tensor, k: int, dim: int = -1) -> torch.return_types.topk:
    shape = list(x.shape)
    shape[dim] = k
    pair = (_empty(tuple(shape), x.dtype), _empty(tuple(shape), torch.int64))
    return torch.return_types.topk(pair)


def _sort(
    counter: OperatorCounter, x: Tensor, dim: int = -1, descending: bool = False, stable: bool = False
) -> torch.return_types.sort:
    return torch.return_types.sort((_empty(x.shape, x.dtype), _empty(x.shape, torch.int64)))


def _indices(counter: OperatorCounter, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    return _empty(x.shape, torch.int64)


def _searchsorted(counter: OperatorCounter, sorted_values: Tensor, values: Tensor) -> Tensor:
    return _empty(values.shape, torch.int64)


def _gather(counter: OperatorCounter, x: Tensor, dim: int, index: Tensor) -> Tensor:
    return _empty(index.shape, x.dtype)


_ANSWERS: dict[str, Callable[..., Any]] = {
    "linear": _linear,
    "conv1d": _conv1d,
    "linalg_solve_triangular": _solve_triangular,
    "matmul": _matmul,
    "_grouped_mm": _grouped_mm,  # the name under which `F.grouped_mm` reaches a function mode
    "scaled_dot_product_attention": _attention,
    # free: no matrix products
    **dict.fromkeys(
        "add sub __rsub__ mul div __rdiv__ __floordiv__ __rpow__ square cos sin tanh sigmoid silu gelu relu softmax"
        " neg exp sqrt erfinv log1p log2 abs floor clamp maximum softplus expm1 __and__ __invert__ clone contiguous"
        " ones_like".split(),
        _elementwise,
    ),
    **dict.fromkeys(("le", "lt", "ge", "gt", "__eq__"), _comparison),
    **dict.fromkeys(("where", "masked_fill"), _where),
    **dict.fromkeys(("rms_norm", "layer_norm", "scatter", "cumsum"), _norm),
    "to": _to,
    "float": lambda counter, x: _to(counter, x, torch.float32),
    "int": lambda counter, x: _to(counter, x, torch.int32),
    "embedding": _embedding,
    "__getitem__": _getitem,
    "cat": _cat,
    "stack": _stack,
    "arange": _arange,
    "tensor": _tensor,
    "zeros": _zeros,
    "new_empty": _new_empty,
    "pad": _pad,
    "repeat_interleave": _repeat_interleave,
    **dict.fromkeys(("sum", "mean", "std", "amax"), _reduced),
    "topk": _topk,
    "sort": _sort,
    "argsort": _indices,
    "searchsorted": _searchsorted,
    "gather": _gather,
}

# These read a parameter by rows, and count the values themselves.
_READS_BY_ROW = frozenset({"_grouped_mm", "__getitem__"})

# Views of a tensor: calling torch is cheap, and moves no data.
_VIEWS = frozenset("view reshape unflatten flatten transpose expand unsqueeze squeeze split chunk unbind".split())
