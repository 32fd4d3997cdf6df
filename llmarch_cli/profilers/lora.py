"""Low-rank adapters (LoRA, arXiv 2106.09685): which matrices of a model they are for, and how many values they train.

An adapter of rank r adds the product of two small matrices, (d_out, r) and (r, d_in), to a matrix (d_out, d_in) that
stays as it is. So it trains r * (d_in + d_out) values.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from llmarch_cli.components.component import Child, Component, SharedWeights
from llmarch_cli.components.parts import BlockDiagonal, Experts, Linear, Table, TiedLinear
from llmarch_cli.errors import InputError, shown, unknown
from llmarch_cli.specs.spec import Item, ModelSpec

MAX_RANK = 1 << 16

ALL_LINEAR = "all-linear"
ROUTER = "router"  # of experts; adapted only if it is named


@dataclass(frozen=True, slots=True)
class Lora:
    """Adapters of one rank.

    Attributes:
        rank: the width between the two small matrices.
        targets: the matrices, each by its name (`q_proj`), by a longer one (`shared_expert.up_proj`, `ffn.gate_proj`)
            or by its part of the model (`attention`, `ffn`). `all-linear`: all matrices of attention and feed-forward
            layers but routers.
    """

    rank: int
    targets: tuple[str, ...] = (ALL_LINEAR,)


@dataclass(frozen=True, slots=True)
class Target:
    """A matrix that may have an adapter.

    Attributes:
        path: its part of the model, the variant if layers differ, the components around it, and its name.
        d_in: what it reads; the rows of a table.
        d_out: what it gives.
        n_stacked: how many of them stand in one layer, such as experts.
        count: in how many layers, or 1 if layers share it.
        by_default: whether it is among `all-linear`.
    """

    path: tuple[str, ...]
    d_in: int
    d_out: int
    n_stacked: int
    count: int
    by_default: bool

    @property
    def name(self) -> str:
        """The path as people write it."""
        return ".".join(self.path)

    def trained(self, rank: int) -> int:
        """The values of the adapters of all layers."""
        return rank * (self.d_in + self.d_out) * self.n_stacked * self.count

    def is_meant(self, target: str) -> bool:
        """Whether a target of `Lora` names it."""
        if target == ALL_LINEAR:
            return self.by_default
        if target == self.path[0]:
            return self.path[-1] != ROUTER
        *around, name = target.split(".")
        path = iter(self.path[:-1])
        return name == self.path[-1] and all(word in path for word in around)


def adapted(spec: ModelSpec, lora: Lora) -> list[Target]:
    """The matrices of `spec` that `lora` adapts. Raises InputError for a rank out of range or an unknown target."""
    require_rank(lora.rank)
    if not lora.targets:
        raise InputError(f"no target: name matrices, or {ALL_LINEAR}")
    found = list(targets(spec))
    for target in lora.targets:
        if not any(each.is_meant(target) for each in found):
            raise InputError(f"{spec.name}: {unknown('target', target, _known(found))}")
    return [each for each in found if any(each.is_meant(target) for target in lora.targets)]


def require_rank(rank: int) -> None:
    """Raise InputError for a rank out of range."""
    if not 1 <= rank <= MAX_RANK:
        raise InputError(f"the rank of adapters must be a whole number from 1 to {MAX_RANK:,}, not {shown(rank)}")


def targets(spec: ModelSpec) -> Iterator[Target]:
    """Every matrix and table of the model, without multi-token-prediction blocks."""
    for item in spec.inventory():
        if not item.mtp:
            yield from _targets_in(item, item.component, spec.d_model, _start(item))


def _start(item: Item) -> tuple[str, ...]:
    """The first words of the paths in an item: its part of the model, and its variant or place."""
    label, _, _ = item.label.partition(",")
    _, _, variant = label.partition(": ")
    return (item.role, variant) if variant else (item.role,)


def _targets_in(item: Item, component: Component, d_model: int, around: tuple[str, ...]) -> Iterator[Target]:
    for part in component.parts(d_model):
        if isinstance(part, Child):
            yield from _targets_in(item, part.component, d_model, (*around, part.name))
            continue
        if not isinstance(component, SharedWeights) and part.name in component.shared_parts:
            continue  # they are an item of their own
        path = (*around, part.name)
        by_default = item.role in ("attention", "ffn") and part.name != ROUTER
        match part:
            case Linear() | TiedLinear():
                yield Target(path, part.d_in, part.d_out, 1, item.count, by_default)
            case BlockDiagonal():
                yield Target(path, part.d_in, part.d_out, part.n_blocks, item.count, by_default)
            case Experts():
                yield Target(path, part.d_in, part.d_out, part.n_experts, item.count, by_default)
            case Table():
                yield Target(path, part.n_rows, part.dim, 1, item.count, by_default=False)


def _known(found: Sequence[Target]) -> list[str]:
    """What a target may be: the names of matrices, and of parts of the model."""
    names = dict.fromkeys(each.path[-1] for each in found)
    parts = dict.fromkeys(each.path[0] for each in found if each.path[0] in ("attention", "ffn"))
    return [*names, *parts, ALL_LINEAR]
