"""Where every tensor of a checkpoint belongs, from headers alone; loading and reconciling both follow it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from math import prod
from pathlib import Path
from typing import Any, Literal

from torch import Tensor

from llmarch_cli.errors import shown
from llmarch_cli.huggingface import names
from llmarch_cli.huggingface.dequantise import FORMATS, Format
from llmarch_cli.huggingface.headers import Stored, read_directory
from llmarch_cli.huggingface.names import Rule
from llmarch_cli.modules.builder import ExpertStack, build
from llmarch_cli.specs.spec import ModelSpec

MODEL, BUFFERS, MTP = "model", "router biases", "multi-token prediction"
MTP_COPIES, HEAD_COPY = "copies of embedding and head in multi-token prediction", "second copy of the tied head"
LEFT_OVER = "left over"

# What holds one value each. All else is packed, and means nothing without its scales.
PLAIN_DTYPES = ("F64", "F32", "F16", "BF16")

Shape = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Target:
    """One of our tensors, or one expert's share of it, and what part of a published one it takes.

    Attributes:
        part: along `dim` of the published tensor, counted from the end.
        transposed: the last two dimensions are swapped, once the part is taken.
    """

    name: str
    expert: int | None
    dim: int
    part: slice
    transposed: bool

    def cut(self, values: Tensor) -> Tensor:
        """The part of a published tensor, or of one matrix of a published stack: a view."""
        index: tuple[Any, ...] = (..., self.part, *[slice(None)] * (-self.dim - 1))
        part = values[index]
        return part.transpose(-1, -2) if self.transposed else part


@dataclass(frozen=True, slots=True)
class Packed:
    """How a tensor is packed, and where its scales are."""

    format: Format
    scales: Stored


@dataclass(frozen=True, slots=True)
class Assigned:
    """A published tensor, what class of tensors it belongs to, and what of ours it fills.

    Attributes:
        shape: of the values it stands for, which for packed ones is not that of the bytes.
        same_as: which of our tensors it repeats.
    """

    stored: Stored
    belongs: str
    shape: Shape
    targets: tuple[Target, ...] = ()
    packed: Packed | None = None
    same_as: str | None = None

    @property
    def n_values(self) -> int:
        """How many values it stands for."""
        return prod(self.shape)


@dataclass(frozen=True)
class Plan:
    """What a checkpoint's tensors are to a spec, and in words all that is wrong. One with faults cannot be loaded.

    Attributes:
        assigned: every tensor, also what is left over.
        unreadable: packed in a way that is not known, or without its scales.
        n_absent_mtp_blocks: multi-token-prediction blocks of the spec that the checkpoint leaves out: all or none.
            transformers does not build them, so checkpoints that it saves lack them. This is no fault.
    """

    assigned: tuple[Assigned, ...]
    left_over: tuple[str, ...]
    missing: tuple[str, ...]
    misshapen: tuple[str, ...]
    unreadable: tuple[str, ...]
    n_absent_mtp_blocks: int = 0

    @property
    def notes(self) -> tuple[str, ...]:
        """What the checkpoint lacks without fault, one line each."""
        if not self.n_absent_mtp_blocks:
            return ()
        blocks = "block is" if self.n_absent_mtp_blocks == 1 else f"blocks ({self.n_absent_mtp_blocks:,}) are"
        return (f"The multi-token-prediction {blocks} absent from the checkpoint and not loaded.",)

    @property
    def faults(self) -> tuple[str, ...]:
        """All that is wrong, a line each."""
        return (*self.unreadable, *self.misshapen, *self.missing, *self.left_over)


def plan(spec: ModelSpec, directory: Path) -> Plan:
    """Assign every tensor in `directory`. Raises InputError for broken files only: what does not fit is in the plan."""
    return _Planner(spec, read_directory(directory)).plan()


class _Planner:
    """Assigns tensors one by one, and notes what is wrong with each."""

    def __init__(self, spec: ModelSpec, stored: dict[str, Stored]) -> None:
        model = build(spec, device="meta")
        self.spec, self.stored = spec, stored
        self.shapes = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
        self.buffers = {name for name, _ in model.named_buffers()}
        self.stacks = {
            f"{path}.{name}"
            for path, module in model.named_modules()
            if isinstance(module, ExpertStack)
            for name, _ in module.named_parameters()
        }
        self.packed = dict(self._packed())
        self.scales = {packed.scales.name: packed.format.scales_called for packed in self.packed.values()}
        self.left_over: list[str] = []
        self.misshapen: list[str] = []
        self.unreadable: list[str] = []

    def plan(self) -> Plan:
        assigned = tuple(map(self._assign, self.stored.values()))
        has_mtp = any(each.belongs in (MTP, MTP_COPIES) for each in assigned)
        n_absent = 0 if has_mtp else self.spec.n_mtp_blocks
        missing = (line for name, line in self._missing(assigned) if not (n_absent and name.startswith("mtp.")))
        faults = tuple(self.left_over), tuple(missing), tuple(self.misshapen), tuple(self.unreadable)
        return Plan(assigned, *faults, n_absent)

    def _packed(self) -> Iterator[tuple[str, Packed]]:
        """What is packed by its name: tensors of a known format with scales that fit them."""
        for tensor in self.stored.values():
            for packing in FORMATS:
                if tensor.dtype == packing.dtype and tensor.name.endswith(packing.ending):
                    scales = self.stored.get(tensor.name.removesuffix(packing.ending) + packing.scales_ending)
                    if (
                        scales is not None
                        and scales.dtype in packing.scale_dtypes
                        and len(tensor.shape) == packing.n_dims
                        and scales.shape == packing.scales_shape(tensor.shape)
                    ):
                        yield tensor.name, Packed(packing, scales)

    def _assign(self, tensor: Stored) -> Assigned:
        if (called := self.scales.get(tensor.name)) is not None:
            return Assigned(tensor, called, tensor.shape)
        for belongs, pattern in names.BEYOND.items():
            if re.fullmatch(pattern, tensor.name):
                return Assigned(tensor, belongs, tensor.shape)

        packed = self.packed.get(tensor.name)
        shape = tensor.shape if packed is None else packed.format.values_shape(tensor.shape)
        belongs, where, found = self._find(tensor.name)
        if found is None:
            self.left_over.append(f"{_described(tensor)} has no place in {self.spec.name}")
            return Assigned(tensor, LEFT_OVER, shape)
        if isinstance(found, str):
            self._check(tensor, shape, packed, self.shapes[found], found)
            return Assigned(tensor, belongs, shape, packed=packed, same_as=found)

        rule, expert = found
        ours = [where + name for name in rule.ours]
        shapes = [self.shapes[name] if expert is None else self.shapes[name][1:] for name in ours]
        to_fill = f"{' and '.join(ours)}{'' if expert is None else f' of expert {expert}'}"
        self._check(tensor, shape, packed, _whole(rule, shapes), to_fill)
        parts = _parts(rule, shapes)
        targets = (
            Target(name, expert, rule.dim, part, rule.transposed) for name, part in zip(ours, parts, strict=True)
        )
        belongs = BUFFERS if belongs == MODEL and ours[0] in self.buffers else belongs
        return Assigned(tensor, belongs, shape, tuple(targets), packed)

    def _check(self, tensor: Stored, shape: Shape, packed: Packed | None, expected: Shape, to_fill: str) -> None:
        if packed is None and tensor.dtype not in PLAIN_DTYPES:
            self.unreadable.append(f"{_described(tensor)} is packed as {tensor.dtype}, without scales that fit it")
        elif shape != expected:
            self.misshapen.append(f"{_described(tensor, shape)} should be {list(expected)}, to fill {to_fill}")

    def _find(self, published: str) -> tuple[str, str, tuple[Rule, int | None] | str | None]:
        """What a published name is: its class, what stands before our names, and a rule with an expert's number.

        In the rule's place: the name of ours that it repeats, or None where it has no place.
        """
        inside = re.fullmatch(f"{names.PREFIX}{names.LAYER}(?P<rest>.*)", published)
        if inside is None:
            name = re.sub(f"^{names.PREFIX}", "", published)
            if name == "lm_head.weight" and self.spec.tie_embeddings:
                return HEAD_COPY, "", "embedding.tokens.weight"
            return MODEL, "", self._rule("around", name, "")
        layer, rest = int(inside["layer"]), inside["rest"]
        if layer < self.spec.n_layers:
            where = f"layers.{layer}."
            return MODEL, where, self._rule("layer" if inside["stack"] == "layers" else "GPT-2 layer", rest, where)
        depth = layer - self.spec.n_layers
        if depth < self.spec.n_mtp_blocks and rest in names.COPIES_IN_A_PREDICTION_BLOCK:
            return MTP_COPIES, "", names.COPIES_IN_A_PREDICTION_BLOCK[rest]
        where = f"mtp.{depth}."
        if (found := self._rule("prediction block", rest, where)) is not None:
            return MTP, where, found
        where += "block."
        return MTP, where, self._rule("layer", rest, where)

    def _rule(self, stands: Stands, name: str, where: str) -> tuple[Rule, int | None] | None:
        """The first rule that matches, and all of whose places the model has."""
        expert = None
        if (match := re.search(names.EXPERT_NUMBER, name)) is not None:
            expert = int(match["expert"])
            name = name[: match.start()] + names.EXPERT + name[match.end() :]
        for rule in _matching(stands, name):
            ours = [where + each for each in rule.ours]
            if expert is None:
                fits = all(each in self.shapes for each in ours)
            else:
                fits = all(each in self.stacks and expert < self.shapes[each][0] for each in ours)
            if fits and (rule.beside is None or where + rule.beside in self.shapes):
                return rule, expert
        return None

    def _missing(self, assigned: tuple[Assigned, ...]) -> Iterator[tuple[str, str]]:
        """The names of our tensors that no published tensor fills, or several do, each with a line that says so."""
        filled = Counter((target.name, target.expert) for each in assigned for target in each.targets)
        for name, shape in self.shapes.items():
            if name == "head.lm_head.weight" and self.spec.tie_embeddings:
                continue  # the embedding's table, which is filled as such
            whole = filled[name, None]
            experts = [filled[name, expert] for expert in range(shape[0])] if name in self.stacks else []
            if whole + sum(experts) == 0:
                yield name, f"{name} {list(shape)} is missing"
            elif whole > 1 or max(experts, default=0) > 1 or (whole and sum(experts)):
                yield name, f"{name} {list(shape)} is stored more than once, under different names"
            elif not whole and 0 in experts:
                n_absent, first = experts.count(0), experts.index(0)
                line = f"{name} {list(shape)} lacks {n_absent:,} of {len(experts):,} experts, the first is {first}"
                yield name, line


Stands = Literal["around", "layer", "GPT-2 layer", "prediction block"]
_RULES: dict[Stands, tuple[Rule, ...]] = {
    "around": names.AROUND_LAYERS,
    "layer": names.IN_A_LAYER,
    "GPT-2 layer": names.IN_A_GPT2_LAYER,
    "prediction block": names.IN_A_PREDICTION_BLOCK,
}


@cache  # the same few names stand in every layer
def _matching(stands: Stands, name: str) -> tuple[Rule, ...]:
    return tuple(rule for rule in _RULES[stands] if re.fullmatch(rule.name, name))


def _whole(rule: Rule, shapes: list[Shape]) -> Shape:
    """The shape of a published tensor that holds ours of these shapes."""
    whole = list(shapes[0])
    if rule.transposed:
        whole[-2:] = whole[:-3:-1]
    whole[rule.dim] = sum(_widths(rule, shapes))
    return tuple(whole)


def _parts(rule: Rule, shapes: list[Shape]) -> Iterator[slice]:
    """Which part of it each of ours is."""
    start = 0
    for number, width in enumerate(_widths(rule, shapes)):
        yield slice(number, None, len(shapes)) if rule.interleaved else slice(start, start + width)
        start += width


def _widths(rule: Rule, shapes: list[Shape]) -> list[int]:
    dim = -3 - rule.dim if rule.transposed else rule.dim  # in ours
    return [shape[dim] for shape in shapes]


def _described(tensor: Stored, shape: Shape | None = None) -> str:
    return f"{shown(tensor.name)} {list(tensor.shape if shape is None else shape)}"
