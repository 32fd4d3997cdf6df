"""Costs as functions of the context: straight lines that bend where a window or a chunk is full. Never imports torch.

What a page or a plot needs at thousands of contexts, from what the closed form needs at one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from llmarch_cli.components.component import walk
from llmarch_cli.profilers.closed_form import component_cost
from llmarch_cli.profilers.cost import DTYPE_BYTES, Workload
from llmarch_cli.profilers.profile import Profile
from llmarch_cli.specs.spec import ModelSpec


@dataclass(frozen=True, slots=True)
class Slope:
    """What each token in view adds, up to `span` tokens; without end where it is None.

    cache_values: values kept, of one sequence. flops: FLOPs of decoding one token.
    """

    span: int | None
    cache_values: int
    flops: int


@dataclass(frozen=True, slots=True)
class ContextLine:
    """One model's KV cache and FLOPs per token at every context, exactly.

    Attributes:
        fixed_flops: what a token costs before it attends to any.
        slopes: one for each distinct span, the shortest first, and full view last.
        value_bytes: bytes of one cached value, for the whole batch.
    """

    fixed_flops: int
    slopes: tuple[Slope, ...]
    value_bytes: int

    @property
    def knees(self) -> list[int]:
        """The contexts beyond which a slope adds nothing more."""
        return [slope.span for slope in self.slopes if slope.span is not None]

    def kv_cache_bytes(self, context: int) -> int:
        """Bytes kept for the whole batch."""
        return self.value_bytes * sum(slope.cache_values * in_view for slope, in_view in self._in_view(context))

    def flops_per_token(self, context: int) -> int:
        """FLOPs of decoding one token."""
        return self.fixed_flops + sum(slope.flops * in_view for slope, in_view in self._in_view(context))

    def _in_view(self, context: int) -> Iterator[tuple[Slope, int]]:
        for slope in self.slopes:
            yield slope, context if slope.span is None else min(context, slope.span)


def context_line(profile: Profile) -> ContextLine:
    """The line through a profile's figures, for its batch and cache dtype."""
    workload = profile.workload
    values, flops = _sums(profile.spec)
    # With one token in view every span is 1 long: what is left then does not depend on the context.
    one = Workload(context=1)
    whole = sum(
        component_cost(item.component, profile.spec, one).flops_per_token * item.count
        for item in profile.spec.inventory()
        if not item.mtp
    )
    spans = sorted(values.keys() | flops.keys(), key=lambda span: (span is None, span or 0))
    slopes = (Slope(span, values[span], flops[span]) for span in spans)
    return ContextLine(
        fixed_flops=whole - flops.total(),
        slopes=tuple(slope for slope in slopes if slope.cache_values or slope.flops),
        value_bytes=DTYPE_BYTES[workload.kv_dtype] * workload.batch,
    )


def _sums(spec: ModelSpec) -> tuple[Counter[int | None], Counter[int | None]]:
    """Cached values, and FLOPs, that a token in view adds, by span."""
    values: Counter[int | None] = Counter()
    flops: Counter[int | None] = Counter()
    for item in spec.inventory():
        for component in walk(item.component):
            if not item.mtp:
                values[component.span] += item.count * sum(entry.width for entry in component.cache())
                flops[component.span] += item.count * (component.mixing_flops(1) - component.mixing_flops(0))
    return values, flops
