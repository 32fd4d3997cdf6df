"""One rank of a real group: it divides a small model with torch's own `parallelize_module`, weighs it and runs it.

The plan is what the components say: "out" is torch's ColwiseParallel and "in" its RowwiseParallel.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor import DTensor, Replicate
from torch.distributed.tensor.parallel import ColwiseParallel, ParallelStyle, RowwiseParallel, parallelize_module

from llmarch_cli.modules.builder import ComponentModule, LookupTable, Model, Projection, build
from llmarch_cli.specs.spec import ModelSpec


def run(rank: int, n_ranks: int, data: dict[str, Any], folder: str) -> None:
    """Write the bytes that this rank holds, and the largest difference of its logits to the whole model's."""
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=n_ranks)
    try:
        model = build(ModelSpec.model_validate(data), seed=0)
        tokens = torch.randint(0, data["vocab_size"], (2, 11), generator=torch.Generator().manual_seed(1))
        with torch.no_grad():
            for weight in model.parameters():  # biases and norms are not neutral
                weight.add_(
                    torch.randn(weight.shape, generator=torch.Generator().manual_seed(weight.numel())), alpha=0.1
                )
            whole = model(tokens)
            parallelize(model, n_ranks)
            logits = model(tokens)
        held = sum(weight.element_size() * local(weight).numel() for weight in model.parameters())
        apart = float((logits - whole).abs().max() / whole.abs().max())
        Path(folder, f"{rank}.json").write_text(json.dumps({"bytes": held, "apart": apart}))
    finally:
        dist.destroy_process_group()


def local(weight: torch.Tensor) -> torch.Tensor:
    """What this rank holds."""
    return weight.to_local() if isinstance(weight, DTensor) else weight


def parallelize(model: Model, n_ranks: int) -> None:
    """Divide a model by the shards of its components."""
    mesh = init_device_mesh("cpu", (n_ranks,))
    for component in [module for module in model.modules() if isinstance(module, ComponentModule)]:
        plan: dict[str, ParallelStyle] = {}
        for name, shard in component.component.shards().items():
            part = getattr(component, name, None)
            if isinstance(part, Projection):
                component.add_module(name, linear(part))
                outputs = Replicate() if component is model.head else None
                plan[name] = ColwiseParallel(output_layouts=outputs) if shard.dim == "out" else RowwiseParallel()
            elif isinstance(part, LookupTable):
                component.add_module(name, embedding(part))
                plan[name] = RowwiseParallel(input_layouts=Replicate())  # torch's word for rows of a table
        parallelize_module(component, mesh, plan)


def linear(part: Projection) -> nn.Linear:
    """torch's own module with the same parameters: `parallelize_module` knows no other."""
    module = nn.Linear(part.weight.shape[1], part.weight.shape[0], part.bias is not None, device="meta")
    module.weight = part.weight
    module.register_parameter("bias", part.bias)
    return module


def embedding(part: LookupTable) -> nn.Embedding:
    """As `linear`, of a table."""
    module = nn.Embedding(part.weight.shape[0], part.weight.shape[1], device="meta")
    module.weight = part.weight
    return module
