"""Account for all values of a checkpoint, and compare its total with the parameter count of the model."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from llmarch_cli.huggingface.plan import MODEL, Plan, plan
from llmarch_cli.profilers.cost import Workload
from llmarch_cli.profilers.profile import profile
from llmarch_cli.specs.spec import ModelSpec


@dataclass(frozen=True)
class Reconciliation:
    """The stored values of a checkpoint by class, and the parameters of the model.

    Attributes:
        params: the parameters of the model in closed form.
        stored: the number of values and tensors by class: those of the model, and each class outside it. Packed values
            are counted unpacked.
        plan: the class and the target of each tensor.
    """

    spec: ModelSpec
    directory: Path
    params: int
    stored: dict[str, tuple[int, int]]
    plan: Plan

    @property
    def total(self) -> int:
        """All values in the checkpoint."""
        return sum(values for values, _ in self.stored.values())

    @property
    def ok(self) -> bool:
        """Whether there are no faults, and the stored values of the model equal its parameters."""
        return not self.plan.faults and self.stored.get(MODEL, (0, 0))[0] == self.params


def reconcile(spec: ModelSpec, directory: Path) -> Reconciliation:
    """Account for each tensor of a checkpoint from its headers; the data may be absent.

    Raises InputError if a file is broken. Other faults are in the result.
    """
    planned = plan(spec, directory)
    stored: dict[str, tuple[int, int]] = {}
    for each in planned.assigned:
        values, tensors = stored.get(each.belongs, (0, 0))
        stored[each.belongs] = values + each.n_values, tensors + 1
    params = profile(spec, Workload(1), "closed-form").params
    return Reconciliation(spec, directory, params, stored, planned)
