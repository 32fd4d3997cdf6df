"""What is said of a component, from its own descriptions: a new kind needs no code here."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from llmarch_cli.components.cache import Rows, State
from llmarch_cli.components.component import NOPE, Component, Part, cache_entries
from llmarch_cli.components.inside import Inside, Paths, Step
from llmarch_cli.components.parts import Experts, Linear, Norm, Vector

ROUTER = "router"  # the name of the part that chooses experts
MOST_BOXES = 64  # for experts; of more than half as many experts, some are drawn


@dataclass(frozen=True)
class Facts:
    """Texts about one component.

    Attributes:
        kinds: its heads and its label.
        norms: inside it, by the names of their parts.
        flags: its positions, learned vectors, and settings that are only there or not.
        kept: sentences on its cache.
        settings: all other fields that are not at their defaults, by name.
        inside: what it computes, step by step.
    """

    title: str
    kinds: tuple[str, ...]
    norms: tuple[tuple[str, str], ...]
    flags: tuple[str, ...]
    kept: tuple[str, ...]
    settings: Mapping[str, str]
    inside: Inside


def facts(component: Component, d_model: int, has_positions: bool = False, title: str = "") -> Facts:
    """The facts of `component`. With `has_positions`, the model's input has positions, so NoPE is not noted."""
    parts = list(component.parts(d_model))
    drawn = {part.name for part in parts if isinstance(part, Vector | Norm)}
    settings = {
        field: text
        for field, text in component.settings.items()
        if field not in drawn and not _holds_components(getattr(component, field))
    }
    return Facts(
        title or component.title,
        tuple(text for text in (component.heads, component.label) if text),
        tuple((part.name, _norm(part)) for part in parts if isinstance(part, Norm)),
        (
            *_positions_and_vectors(component, parts, has_positions),
            *(text for field, text in settings.items() if field == text),
        ),
        tuple(_kept(component)),
        {field: text for field, text in settings.items() if field != text},
        component.inside(),
    )


def steps(inside: Inside) -> Iterator[Step]:
    """All steps, those of paths one path after another."""
    for each in inside:
        if isinstance(each, Paths):
            for path in each.paths:
                yield from steps(path)
        else:
            yield each


@dataclass(frozen=True)
class Pool:
    """Routed experts as boxes, those chosen for one token lit.

    There is a box for each expert, or for some of them if there are many, and still one for each that is chosen. If
    more are chosen than there are boxes for, each box stands for several experts.
    """

    n_experts: int
    n_chosen: int
    n_routed: int  # that the router chooses from: the experts, and others that compute nothing

    @property
    def _each(self) -> int:
        """The number of experts that a box stands for."""
        return 1 if 4 * self.n_chosen <= 3 * MOST_BOXES else -(-self.n_experts // MOST_BOXES)

    @property
    def n_boxes(self) -> int:
        """As many as fit in two rows, or in four if more than three quarters of these were lit."""
        room = MOST_BOXES if self._each > 1 or 8 * self.n_chosen > 3 * MOST_BOXES else MOST_BOXES // 2
        return min(room, -(-self.n_experts // self._each))

    @property
    def lit(self) -> frozenset[int]:
        """The numbers of the boxes that are lit, evenly spread."""
        n = min(-(-self.n_chosen // self._each), self.n_boxes)
        return frozenset((2 * i + 1) * self.n_boxes // (2 * n) for i in range(n))

    @property
    def words(self) -> str:
        """How many are chosen."""
        return f"{ROUTER}: {self.n_chosen:,} of {self.n_routed:,}"

    @property
    def note(self) -> str:
        """What the boxes stand for, unless each is one expert and all are drawn."""
        if self._each > 1:
            return f"a box is {self._each:,} experts"
        return f"{self.n_boxes:,} of {self.n_experts:,} drawn" if self.n_boxes < self.n_experts else ""


def pool(parts: Sequence[Part]) -> Pool | None:
    """The experts among `parts`, if there are any."""
    experts = next((part for part in parts if isinstance(part, Experts)), None)
    if experts is None:
        return None
    router = next((part for part in parts if isinstance(part, Linear) and part.name == ROUTER), None)
    return Pool(experts.n_experts, experts.n_active, experts.n_experts if router is None else router.d_out)


def _holds_components(value: Any) -> bool:
    """Whether a field's value is drawn as separate boxes."""
    return isinstance(value, Component) or (isinstance(value, Mapping) and any(map(_holds_components, value.values())))


def _positions_and_vectors(component: Component, parts: Sequence[Part], has_positions: bool) -> Iterator[str]:
    """The position encoding, and learned vectors such as attention sinks."""
    if component.positions and not (has_positions and component.positions == NOPE):
        yield component.positions
    yield from (f"{part.name} {part.dim:,}" for part in parts if isinstance(part, Vector))


def _norm(part: Norm) -> str:
    return f"{part.name}, no weight" if part.weightless else part.name


def _kept(component: Component) -> Iterator[str]:
    if entries := [entry for entry in component.cache() if isinstance(entry, Rows)]:
        total = sum(entry.width for entry in entries)
        each = " + ".join(f"{entry.name} {entry.width:,}" for entry in entries)
        yield f"caches {total:,} values per token ({each})"
    if states := [(name, entry) for name, entry in cache_entries(component) if isinstance(entry, State)]:
        total = sum(math.prod(entry.shape) for _, entry in states)
        each = " + ".join(f"{name} {' x '.join(f'{n:,}' for n in entry.shape)}" for name, entry in states)
        yield f"keeps {total:,} values per sequence ({each})"
