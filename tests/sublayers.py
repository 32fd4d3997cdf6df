"""Components as modules on the CPU, with random norms and biases too, so that no mistake in them stays hidden."""

from __future__ import annotations

from typing import Any

import torch
from pydantic import TypeAdapter
from torch import Tensor

from llmarch_cli.components.component import Component
from llmarch_cli.modules.builder import ComponentModule
from llmarch_cli.modules.cache import TensorCache
from llmarch_cli.specs.spec import AnyAttention, AnyFeedForward, NormStyle

torch.set_num_threads(1)  # tensors are tiny: threads would only wait for each other

_ADAPTER: TypeAdapter[Component] = TypeAdapter(AnyAttention | AnyFeedForward)


def component(data: dict[str, Any]) -> Component:
    """The component that `data` describes."""
    return _ADAPTER.validate_python(data)


def module(data: dict[str, Any], d_model: int = 16, seed: int = 0) -> ComponentModule:
    """The component that `data` describes as a float32 module with random weights."""
    built = ComponentModule(component(data), d_model, NormStyle())
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, weight in [*built.named_parameters(), *built.named_buffers()]:
            spread = weight.shape[-1] ** -0.5 if weight.dim() > 1 else 0.5  # products keep the scale of their input
            weight.normal_(1.0 if name.endswith("norm.weight") else 0.0, spread, generator=generator)
    return built


def values(*shape: int, seed: int = 1) -> Tensor:
    """Random values."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def run(built: ComponentModule, x: Tensor, cache: TensorCache | None = None) -> Tensor:
    """The output of a module for x of shape (batch, n_tokens, d_model)."""
    cache = TensorCache.of(built.component) if cache is None else cache
    cache.step.left["embeddings"] = x  # as in the first layer of a model, for components that read them
    cache.sources["embeddings"] = cache.step.left
    with torch.no_grad():
        out: Tensor = built(x, cache)
    cache.advance(x.shape[1])
    return out
