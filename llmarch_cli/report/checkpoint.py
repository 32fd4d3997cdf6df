"""A reconciliation as tables: the stored tensors by class, and those that do not match the model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from llmarch_cli.huggingface.plan import MODEL, Assigned
from llmarch_cli.huggingface.reconcile import Reconciliation
from llmarch_cli.report.table import Column, Table
from llmarch_cli.report.units import INTEGER, PARAMS, TEXT, YES_NO, Value

_CLASSES = (
    Column("stored", "stored", TEXT, "The class of the tensors."),
    Column("tensors", "tensors", INTEGER, "Tensors of this class."),
    Column("values", "values", PARAMS, "Values in these tensors; packed values count individually."),
)
_TENSORS = (
    Column("name", "tensor", TEXT, "Its name in the checkpoint."),
    Column("dtype", "dtype", TEXT, "The stored dtype."),
    Column("shape", "shape", TEXT, "The stored shape."),
    Column("belongs", "belongs to", TEXT, "The class of the tensor."),
    Column("ours", "ours", TEXT, "The parameters of the model that it fills."),
)
_FORMATS = (
    Column("format", "format", TEXT, "The storage format of packed tensors."),
    Column("tensors", "tensors", INTEGER, "Packed tensors, without the scales beside them."),
    Column("values", "values", PARAMS, "Values in these tensors."),
    Column("loads", "loads", YES_NO, "Whether `load_checkpoint` unpacks the format."),
)
_FAULTS = (
    Column("fault", "fault", TEXT, "Unknown format, missing, left over, or of another shape."),
    Column("tensor", "tensor", TEXT, "The tensor and the reason."),
)

_WRONG = "wrong"  # what does not fit, in words


def reconciled(found: Reconciliation, each_tensor: bool = False) -> Sequence[Table]:
    """The stored tensors by class; the formats of packed ones; with `each_tensor`, each tensor; the faults, if any."""
    plan = found.plan
    own = found.stored.get(MODEL, (0, 0))[0]
    if found.ok:
        note = f"Reconciled: {found.params:,} parameters, and every tensor is accounted for."
    else:
        note = f"NOT reconciled: {own:,} values for {found.params:,} parameters; faults: {len(plan.faults):,}."
    rows: list[Mapping[str, Value]] = [
        {"stored": name, "tensors": n, "values": values, _WRONG: ""} for name, (values, n) in _model_first(found)
    ]
    total: Mapping[str, Value] = {
        "stored": "total",
        "tensors": sum(n for _, n in found.stored.values()),
        "values": found.total,
        _WRONG: "" if found.ok else note,
    }
    faults = [
        ("unreadable", plan.unreadable),
        ("misshapen", plan.misshapen),
        ("missing", plan.missing),
        ("left over", plan.left_over),
    ]
    title, notes = f"{found.spec.id} in {found.directory.name}", (note, *plan.notes)
    tables = [Table("stored", _CLASSES, (*rows, total), title=title, notes=notes, fails=_WRONG)]
    if plan.formats:
        formats: tuple[Mapping[str, Value], ...] = tuple(
            {"format": name, "tensors": n, "values": values, "loads": name not in plan.not_loadable}
            for name, (n, values) in plan.formats.items()
        )
        tables.append(Table("formats", _FORMATS, formats, main=False))
    if each_tensor:
        tables.append(Table("tensors", _TENSORS, tuple(map(_tensor, plan.assigned)), main=False))
    if plan.faults:
        lines = tuple({"fault": kind, "tensor": line, _WRONG: kind} for kind, found_ in faults for line in found_)
        tables.append(Table("faults", _FAULTS, lines, main=False, named_by=("fault", "tensor"), fails=_WRONG))
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
