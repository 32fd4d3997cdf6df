"""Adapters of built models: what they add, and what trains."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from llmarch_cli.modules.adapters import add_adapters
from llmarch_cli.modules.builder import BlockProjection, ExpertStack, LookupTable, Projection

ENDS = torch.tensor([2, 2, 7])  # of the rows of three experts
EXPERTS = torch.tensor([0, 0, 2, 2, 2, 2, 2])


SHAPES: dict[Any, tuple[Any, ...]] = {
    Projection: (8, 6, True),
    BlockProjection: (3, 8, 6, True),
    ExpertStack: (3, 8, 6, True),
    LookupTable: (10, 6),
}


def read(module: nn.Module) -> tuple[Tensor, ...]:
    """Something that the module reads."""
    match module:
        case LookupTable():
            return (torch.tensor([[3, 0], [9, 3]]),)
        case BlockProjection():
            return (torch.randn(2, 5, 3, 8),)
        case ExpertStack():
            return torch.randn(7, 8), EXPERTS, ENDS
        case _:
            return (torch.randn(2, 5, 8),)


@pytest.mark.parametrize("scale", [1.0, 0.5])
@pytest.mark.parametrize(("kind", "shape"), SHAPES.items(), ids=lambda value: getattr(value, "__name__", ""))
def test_an_adapter_adds_the_product_of_its_matrices(kind: Any, shape: tuple[Any, ...], scale: float) -> None:
    torch.manual_seed(0)
    module = kind(*shape)
    for parameter in module.parameters():
        nn.init.normal_(parameter)
    x = read(module)
    before = module(*x)
    add_adapters([module], rank=2, scale=scale)
    torch.testing.assert_close(module(*x), before)  # it begins with zeros
    nn.init.normal_(module.lora_b)
    adapted = module(*x)
    added = scale * module.lora_b @ module.lora_a
    module.weight.data += added.mT if isinstance(module, LookupTable) else added
    nn.init.zeros_(module.lora_b)
    torch.testing.assert_close(module(*x), adapted)


def test_adapters_are_where_the_weight_is_and_of_its_dtype() -> None:
    with torch.device("meta"):
        module: Any = Projection(8, 6, bias=False).to(torch.bfloat16)
    add_adapters([module], rank=4)
    assert (module.lora_a.shape, module.lora_b.shape) == ((4, 8), (6, 4))
    assert {each.dtype for each in module.parameters()} == {torch.bfloat16}
    assert all(each.is_meta for each in module.parameters())
    assert torch.get_default_dtype() == torch.float32
