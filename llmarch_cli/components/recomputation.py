"""Selective recomputation (arXiv 2205.05198, section 5): mixing tokens is repeated in the backward pass.

Between tokens, a layer makes far more values than it reads: scores of every pair, states of every token. So only what
goes in is kept for the backward pass, as fused kernels keep it. To include a function: decorate it with `mixes_tokens`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from inspect import signature
from typing import Any, ParamSpec, TypeVar

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")

_repeats = False


@contextmanager
def selective_recomputation() -> Iterator[None]:
    """Train with less memory: a forward pass inside keeps no scores and no states of tokens.

    The loss and its gradients stay the same.
    """
    global _repeats
    before, _repeats = _repeats, True
    try:
        yield
    finally:
        _repeats = before


def mixes_tokens(function: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
    """Decorate a function of tensors whose insides `selective_recomputation` does not keep."""

    parameters = [each for each in signature(function).parameters.values() if each.kind is each.POSITIONAL_OR_KEYWORD]
    defaults = {each.name: each.default for each in parameters if each.default is not each.empty}
    names = [each.name for each in parameters]

    @wraps(function)
    def run(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
        if not _repeats:
            return function(*args, **kwargs)
        from torch.utils.checkpoint import checkpoint

        # By position where that is possible: only such tensors are handed over to autograd. Without
        # `inspect.BoundArguments`, which torch.compile cannot trace.
        ordered: list[Any] = [*args]
        others: dict[str, Any] = {**kwargs}
        for name in names[len(args) :]:
            if name not in others and name not in defaults:
                break  # the function says what is missing
            ordered.append(others.pop(name) if name in others else defaults[name])
        result: Result = checkpoint(function, *ordered, use_reentrant=False, preserve_rng_state=False, **others)
        return result

    return run
