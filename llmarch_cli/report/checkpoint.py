"""A reconciliation as tables: what the checkpoint stores by class, and what does not fit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from llmarch_cli.huggingface.plan import MODEL, Assigned
from llmarch_cli.huggingface.reconcile import Reconciliation
from llmarch_cli.report.table import Column, Table
from llmarch_cli.report.units import INTEGER, PARAMS, TEXT, Value

_CLASSES = (
    Column("stored", "stored", TEXT, "What the tensors are to the model."),
    Column("tensors", "tensors", INTEGER, "Tensors of this class."),
    Column("values", "values", PARAMS, "Values that they stand for; packed ones count one by one."),
)
_TENSORS = (
    Column("name", "tensor", TEXT, "As it is published."),
    Column("dtype", "dtype", TEXT, "As it is stored."),
    Column("shape", "shape", TEXT, "As it is stored."),
    Column("belongs", "belongs to", TEXT, "What it is to the model."),
    Column("ours", "ours", TEXT, "What of the model it fills."),
)
_FAULTS = (
    Column("fault", "fault", TEXT, "Packed in an unknown way, missing, left over, or of another shape."),
    Column("tensor", "tensor", TEXT, "Which tensor, and why."),
)


def reconciled(found: Reconciliation, each_tensor: bool = False) -> Sequence[Table]:
    """The account, every tensor with its place where that is asked for, and the faults where there are any."""
    rows: list[Mapping[str, Value]] = [
        {"stored": name, "tensors": n, "values": values} for name, (values, n) in _model_first(found)
    ]
    total: Mapping[str, Value] = {
        "stored": "total",
        "tensors": sum(n for _, n in found.stored.values()),
        "values": found.total,
    }
    plan = found.plan
    faults = [
        ("unreadable", plan.unreadable),
        ("misshapen", plan.misshapen),
        ("missing", plan.missing),
        ("left over", plan.left_over),
    ]
    own = found.stored.get(MODEL, (0, 0))[0]
    if found.ok:
        note = (
            f"Reconciled: the model's own values are its {found.params:,} parameters, and each tensor is accounted for."
        )
    else:
        note = f"NOT reconciled: {own:,} values found for {found.params:,} parameters, {len(plan.faults):,} faults."
    title, notes = f"{found.spec.id} in {found.directory.name}", (note, *plan.notes)
    tables = [Table("stored", _CLASSES, (*rows, total), title=title, notes=notes)]
    if each_tensor:
        tables.append(Table("tensors", _TENSORS, tuple(map(_tensor, plan.assigned)), main=False))
    if plan.faults:
        lines = tuple({"fault": kind, "tensor": line} for kind, found_ in faults for line in found_)
        tables.append(Table("faults", _FAULTS, lines, main=False))
    return tables


def _tensor(each: Assigned) -> Mapping[str, Value]:
    return {
        "name": each.stored.name,
        "dtype": each.stored.dtype,
        "shape": " x ".join(map(str, each.stored.shape)),
        "belongs": each.belongs,
        "ours": ", ".join(t.name if t.expert is None else f"{t.name}[{t.expert}]" for t in each.targets),
    }


def _model_first(found: Reconciliation) -> list[tuple[str, tuple[int, int]]]:
    return sorted(found.stored.items(), key=lambda item: (item[0] != MODEL, -item[1][0]))
