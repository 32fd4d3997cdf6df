"""Accounting for every value of a checkpoint: its total and the model's, reconciled to the last parameter."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from llmarch_cli.huggingface.plan import MODEL, Plan, plan
from llmarch_cli.profilers.cost import Workload
from llmarch_cli.profilers.profile import profile
from llmarch_cli.specs.spec import ModelSpec


@dataclass(frozen=True)
class Reconciliation:
    """What a checkpoint stores, beside what the model is.

    Attributes:
        params: the model's parameters, as the closed form counts them.
        stored: values and tensors by class: the model's own, and each class of what is stored beyond it. Packed values
            count one by one, not by the byte.
    """

    spec: ModelSpec
    directory: Path
    params: int
    stored: dict[str, tuple[int, int]]
    plan: Plan

    @property
    def total(self) -> int:
        """All values that the checkpoint stores and this tool understands."""
        return sum(values for values, _ in self.stored.values())

    @property
    def ok(self) -> bool:
        """Whether nothing is missing, left over or misshapen, and the model's own values are its parameters."""
        return not self.plan.faults and self.stored.get(MODEL, (0, 0))[0] == self.params


def reconcile(spec: ModelSpec, directory: Path) -> Reconciliation:
    """Account for every tensor of a checkpoint from its headers; the data may be absent.

    Raises InputError where a file is broken. What does not fit is in the result, not an error.
    """
    planned = plan(spec, directory)
    stored: dict[str, tuple[int, int]] = {}
    for each in planned.assigned:
        values, tensors = stored.get(each.belongs, (0, 0))
        stored[each.belongs] = values + each.n_values, tensors + 1
    params = profile(spec, Workload(1), "closed-form").params
    return Reconciliation(spec, directory, params, stored, planned)
