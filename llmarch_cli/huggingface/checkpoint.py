"""Load a published checkpoint: check all headers first, then copy the tensors into the model one by one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from llmarch_cli.errors import InputError, shown
from llmarch_cli.huggingface.dequantise import UNPACK
from llmarch_cli.huggingface.gguf.header import ENDING
from llmarch_cli.huggingface.headers import Stored, has_data
from llmarch_cli.huggingface.plan import Assigned, Plan, plan
from llmarch_cli.modules.builder import Model, build
from llmarch_cli.specs.spec import ModelSpec

MAX_LINES = 8

# A file is mapped into memory, and pages once read stay resident until it is closed.
MAX_MAPPED_BYTES = 1 << 26

_TORCH_DTYPES = {"BF16": torch.bfloat16, "F16": torch.float16, "F32": torch.float32, "F64": torch.float64}


def load_checkpoint(
    spec: ModelSpec,
    directory: Path,
    device: str | torch.device = "cpu",
    dtype: torch.dtype | None = None,
) -> Model:
    """Build a model and load the weights of a Hugging Face checkpoint.

    Needs the memory of the model and of one tensor. Multi-token-prediction blocks are loaded if the spec has them, and
    left out of the model if the checkpoint has none of them.

    Args:
        spec: the architecture.
        directory: the checkpoint: a directory with one safetensors file, or several with an index; or one such file.
        device: the device of the model.
        dtype: the dtype of all parameters; None takes that of the stored embedding, or bfloat16 if it is packed.

    Raises InputError if a file is broken, or a tensor is missing, left over, of another shape or in a format that
    cannot be unpacked, before any weight is read; and if a second copy of the embedding or the head differs from the
    first.
    """
    if torch.device(device).type == "meta":
        raise InputError('device "meta" cannot hold values; use `reconcile` to check a checkpoint without its data')
    if directory.suffix == ENDING:
        raise InputError(
            f"{directory}: GGUF files are not loaded; `llmarch verify MODEL --checkpoint PATH` counts them"
        )
    planned = plan(spec, directory)
    require_fit(planned, spec, directory)
    for file in {each.stored.file for each in planned.assigned}:
        if not has_data(file):
            raise InputError(f"{file}: contains only a header, no data; download the whole file")

    if planned.n_absent_mtp_blocks:
        spec = spec.model_copy(update={"n_mtp_blocks": 0})
    model = build(spec, device, dtype or _stored_dtype(planned), initialized=False)
    ours = dict(model.state_dict(keep_vars=True))
    reader = _Reader()
    with torch.no_grad():
        for each in planned.assigned:
            if each.targets:
                _fill(ours, each, reader)
        for each in planned.assigned:
            if each.same_as is not None and not _equal(ours[each.same_as], each, reader):
                raise InputError(
                    f"{each.stored.file}: {shown(each.stored.name)} differs from {each.same_as}, but is a copy of it in"
                    f" {spec.name}; check tie_embeddings and n_mtp_blocks in the spec"
                )
    return model


def require_fit(planned: Plan, spec: ModelSpec, directory: Path) -> None:
    """Raise InputError if the checkpoint does not fit the spec, or is in a format that cannot be unpacked."""
    if planned.faults:
        lines = [f"{directory}: is not a checkpoint of {spec.name}:", *planned.faults[:MAX_LINES]]
        if (more := len(planned.faults) - MAX_LINES) > 0:
            lines.append(f"and {more:,} more")
        lines.append("use the spec of this checkpoint; `llmarch verify MODEL --checkpoint PATH` lists all faults")
        raise InputError("\n  ".join(lines))
    if planned.not_loadable:
        raise InputError(
            f"{directory}: is a checkpoint of {spec.name}, but {' and '.join(planned.not_loadable)} cannot be unpacked;"
            " `llmarch verify MODEL --checkpoint PATH` counts its values"
        )


def _fill(ours: dict[str, Tensor], each: Assigned, reader: _Reader) -> None:
    """Copy one published tensor into the model, and free it before the next is read."""
    for index, values in reader.matrices(each):
        for target in each.targets:
            place = ours[target.name] if target.expert is None else ours[target.name][target.expert]
            if target.rows is not None:
                place = place[slice(*target.rows)]
            place[index].copy_(target.cut(values))


def _equal(repeated: Tensor, each: Assigned, reader: _Reader) -> bool:
    """Whether a published tensor, rounded to our dtype, equals our tensor that it repeats."""
    return all(torch.equal(repeated[index], values.to(repeated)) for index, values in reader.matrices(each))


class _Reader:
    """Reads one tensor after another from one open file."""

    def __init__(self) -> None:
        self.path: Path | None = None
        self.file: Any = None
        self.n_bytes = 0  # read since the file was opened

    def matrices(self, each: Assigned) -> Iterator[tuple[Any, Tensor]]:
        """The unpacked values of a published tensor: a stack matrix by matrix with its index, others at once."""
        at_once = len(each.shape) <= 2 or any(target.shape is not None for target in each.targets)
        numbers = (...,) if at_once else range(each.shape[0])
        for number in numbers:
            values = self._read(each.stored, number)
            if each.packed is not None:
                values = UNPACK[each.packed.format.name](values, self._read(each.packed.scales, number))
            yield number, values

    def _read(self, stored: Stored, index: Any) -> Tensor:
        try:
            if stored.file != self.path or self.n_bytes > MAX_MAPPED_BYTES:
                self.path, self.n_bytes = stored.file, 0
                self.file = safe_open(stored.file, framework="pt")
            values: Tensor = self.file.get_slice(stored.name)[index]
        except (SafetensorError, OSError) as error:
            raise InputError(f"{stored.file}: {error}") from None
        self.n_bytes += values.nbytes
        return values


def _stored_dtype(planned: Plan) -> torch.dtype:
    """The dtype of the stored embedding."""
    filled = {target.name: each.stored.dtype for each in planned.assigned for target in each.targets}
    return _TORCH_DTYPES.get(filled["embedding.tokens.weight"], torch.bfloat16)
