"""Attribute the difference in cost between two models to single changes, in exact integers that add up to the whole."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

from llmarch_cli.errors import CheckError
from llmarch_cli.profilers.cost import COST_FIELDS, Cost, Workload, sum_of
from llmarch_cli.profilers.profile import Engine, Profile, profile
from llmarch_cli.specs.differences import Change, steps
from llmarch_cli.specs.spec import ModelSpec

FIGURES = ("params", "active_params", "kv_cache_bytes", "flops_per_token")
KEPT_BESIDE = ("state_bytes", "partial_bytes")  # beside the KV cache, if a model has any


@dataclass(frozen=True)
class Effect:
    """The effect of changes that are made together, on top of the steps before them.

    Attributes:
        place: number of the step, from 1.
        changes: the changes.
        cost: the cost that they add to the whole model; negative if they lower it.
        mtp: the cost that they add to the multi-token-prediction blocks, which are not in the totals.
    """

    place: int
    changes: tuple[Change, ...]
    cost: Cost
    mtp: Cost


@dataclass(frozen=True)
class Difference:
    """Two models and the effects of the steps between them. True if their architectures differ."""

    before: Profile
    after: Profile
    effects: tuple[Effect, ...]

    def __bool__(self) -> bool:
        return bool(self.effects)

    @cached_property
    def cost(self) -> Cost:
        """The whole difference: the sum of all effects."""
        return sum_of(effect.cost for effect in self.effects)

    @cached_property
    def mtp(self) -> Cost:
        """The whole difference of the multi-token-prediction blocks."""
        return sum_of(effect.mtp for effect in self.effects)

    @property
    def by_weight(self) -> list[Effect]:
        """The effects, largest first, by the largest share that each changes of any figure."""
        return sorted(self.effects, key=self._weight, reverse=True)

    def _weight(self, effect: Effect) -> Fraction:
        return max(
            Fraction(abs(getattr(effect.cost, figure)), max(1, *(getattr(p.total, figure) for p in self._both)))
            for figure in (*FIGURES, *KEPT_BESIDE)
        )

    @property
    def _both(self) -> tuple[Profile, Profile]:
        return self.before, self.after


def difference(before: ModelSpec, after: ModelSpec, workload: Workload, engine: Engine) -> Difference:
    """Price each step from one model to the other by the closed form.

    Raises InputError for an invalid workload, and CheckError if the engines disagree or the effects do not add up to
    the difference of the two models.
    """
    first, last = profile(before, workload, engine), profile(after, workload, engine)
    effects = []
    at = first
    for place, step in enumerate(steps(before, after), 1):
        there = profile(step.spec, workload, "closed-form")
        effects.append(Effect(place, step.changes, _less(there.total, at.total), _less(there.mtp, at.mtp)))
        at = there
    for field in COST_FIELDS:
        if getattr(at.total, field) != getattr(last.total, field) or getattr(at.mtp, field) != getattr(last.mtp, field):
            raise CheckError(f"{before.id} and {after.id}: the effects do not add up to the difference in {field}")
    return Difference(first, last, tuple(effects))


def _less(one: Cost, other: Cost) -> Cost:
    return one + other * -1
