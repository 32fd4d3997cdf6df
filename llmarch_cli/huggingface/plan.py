"""Assign each tensor of a checkpoint to the model, from headers alone. Loading and reconciling both use this plan."""

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
from llmarch_cli.huggingface.dequantise import UNPACK
from llmarch_cli.huggingface.formats import Shape
from llmarch_cli.huggingface.headers import Stored, read_directory
from llmarch_cli.huggingface.names import Rule
from llmarch_cli.huggingface.packed import (
    Candidate,
    Packed,
    Settings,
    candidates,
    contradiction,
    plain_name,
    read_settings,
    recognised,
    unrecognised,
)
from llmarch_cli.modules.builder import ExpertStack, build
from llmarch_cli.specs.spec import ModelSpec

MODEL, BUFFERS, MTP = "model", "router biases", "multi-token prediction"
MTP_COPIES, HEAD_COPY = "copies of embedding and head in multi-token prediction", "second copy of the tied head"
LEFT_OVER = "left over"

# Dtypes with one value per element. Others are packed and need scales.
PLAIN_DTYPES = ("F64", "F32", "F16", "BF16")


@dataclass(frozen=True, slots=True)
class Target:
    """One of our tensors, or one expert's slice of it, and the part of a published tensor that fills it.

    Attributes:
        part: a slice along `dim` of the published tensor, with `dim` counted from the end.
        transposed: whether the last two dimensions are swapped after slicing.
    """

    name: str
    expert: int | None
    dim: int
    part: slice
    transposed: bool

    def cut(self, values: Tensor) -> Tensor:
        """A view of the part of a published tensor, or of one matrix of a published stack."""
        index: tuple[Any, ...] = (..., self.part, *[slice(None)] * (-self.dim - 1))
        part = values[index]
        return part.transpose(-1, -2) if self.transposed else part


@dataclass(frozen=True, slots=True)
class Assigned:
    """A published tensor, its class in a reconciliation, and our tensors that it fills.

    Attributes:
        shape: the shape of the unpacked values. For a packed tensor without a place, their number.
        packed: how it is packed, or None.
        same_as: the name of our tensor that it repeats.
    """

    stored: Stored
    belongs: str
    shape: Shape
    targets: tuple[Target, ...] = ()
    packed: Packed | None = None
    same_as: str | None = None

    @property
    def n_values(self) -> int:
        """The number of unpacked values."""
        return prod(self.shape)


@dataclass(frozen=True)
class Plan:
    """How the tensors of a checkpoint map to a spec, and the faults. A checkpoint with faults cannot be loaded.

    Attributes:
        assigned: all tensors, including those left over.
        left_over, missing, misshapen: faults, one line each.
        unreadable: tensors in no known format, one line each.
        n_absent_mtp_blocks: the multi-token-prediction blocks of the spec if the checkpoint has none of them, else 0.
            transformers does not build these blocks, so checkpoints that it saves lack them. This is not a fault.
        contradiction: a remark if the config.json beside the checkpoint names another format.
    """

    assigned: tuple[Assigned, ...]
    left_over: tuple[str, ...]
    missing: tuple[str, ...]
    misshapen: tuple[str, ...]
    unreadable: tuple[str, ...]
    n_absent_mtp_blocks: int = 0
    contradiction: str | None = None

    @property
    def notes(self) -> tuple[str, ...]:
        """Remarks on what is not a fault, one line each."""
        found = [] if self.contradiction is None else [self.contradiction]
        if self.n_absent_mtp_blocks:
            blocks = "block is" if self.n_absent_mtp_blocks == 1 else f"blocks ({self.n_absent_mtp_blocks:,}) are"
            found.append(f"The multi-token-prediction {blocks} absent from the checkpoint and not loaded.")
        return tuple(found)

    @property
    def formats(self) -> dict[str, tuple[int, int]]:
        """The formats of packed tensors, each with the number of tensors and of values."""
        found: dict[str, tuple[int, int]] = {}
        for each in self.assigned:
            if each.packed is not None:
                tensors, values = found.get(str(each.packed), (0, 0))
                found[str(each.packed)] = tensors + 1, values + each.n_values
        return found

    @property
    def not_loadable(self) -> tuple[str, ...]:
        """The formats that can be counted, but not unpacked."""
        packed = (each.packed for each in self.assigned)
        return tuple(dict.fromkeys(str(each) for each in packed if each is not None and each.format.name not in UNPACK))

    @property
    def faults(self) -> tuple[str, ...]:
        """All faults, one line each."""
        return (*self.unreadable, *self.misshapen, *self.missing, *self.left_over)


def plan(spec: ModelSpec, directory: Path) -> Plan:
    """Assign each tensor in `directory`. Raises InputError for broken files only; other faults are in the plan."""
    return _Planner(spec, read_directory(directory), read_settings(directory)).plan()


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a published tensor belongs: its class, the shape of its values, and our tensors that it fills or repeats.

    Attributes:
        shape: None if it is outside the model.
        filled: our tensors in words.
    """

    belongs: str
    shape: Shape | None = None
    filled: str = ""
    targets: tuple[Target, ...] = ()
    same_as: str | None = None


class _Planner:
    """Assigns tensors one by one and collects the faults."""

    def __init__(self, spec: ModelSpec, stored: dict[str, Stored], settings: Settings) -> None:
        model = build(spec, device="meta")
        self.spec, self.stored, self.settings = spec, stored, settings
        self.shapes = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
        self.buffers = {name for name, _ in model.named_buffers()}
        self.stacks = {
            f"{path}.{name}"
            for path, module in model.named_modules()
            if isinstance(module, ExpertStack)
            for name, _ in module.named_parameters()
        }
        formats = candidates(stored)
        self.places = {name: self._place(plain_name(stored[name])) for name in formats}
        self.packed = recognised(
            {name: Candidate(stored[name], each, self.places[name].shape) for name, each in formats.items()}, settings
        )
        self.beside = {
            other.name: f"{its.called} of {each.format.name}"
            for each in self.packed.values()
            for its, other in each.beside
        }
        self.left_over: list[str] = []
        self.misshapen: list[str] = []
        self.unreadable: list[str] = []

    def plan(self) -> Plan:
        assigned = tuple(map(self._assign, self.stored.values()))
        has_mtp = any(each.belongs in (MTP, MTP_COPIES) for each in assigned)
        n_absent = 0 if has_mtp else self.spec.n_mtp_blocks
        missing = (line for name, line in self._missing(assigned) if not (n_absent and name.startswith("mtp.")))
        faults = tuple(self.left_over), tuple(missing), tuple(self.misshapen), tuple(self.unreadable)
        return Plan(assigned, *faults, n_absent, contradiction(self.settings, self.packed))

    def _assign(self, tensor: Stored) -> Assigned:
        if (called := self.beside.get(tensor.name)) is not None:
            return Assigned(tensor, called, tensor.shape)
        packed = self.packed.get(tensor.name)
        place = self._place(plain_name(tensor)) if packed is None else self.places[tensor.name]
        self._check(tensor, place, packed)
        shape = tensor.shape if packed is None else packed.values
        return Assigned(tensor, place.belongs, shape, place.targets, packed, place.same_as)

    def _check(self, tensor: Stored, place: _Place, packed: Packed | None) -> None:
        if place.belongs == names.CACHE_SCALES and tensor.n_values != 1:
            self.misshapen.append(f"{_described(tensor)} should be one value")
        elif place.belongs == LEFT_OVER:
            self.left_over.append(f"{_described(tensor)} does not belong to {self.spec.name}")
        elif place.shape is None:
            pass
        elif packed is not None:
            for other, shapes in packed.wrong:
                expected = " or ".join(str(list(shape)) for shape in shapes) or f"{list(place.shape)} in a plain dtype"
                self.misshapen.append(f"{_described(other)} should be {expected}, in {packed}, to fill {place.filled}")
        elif tensor.dtype not in PLAIN_DTYPES:
            self.unreadable.append(f"{_described(tensor)} {unrecognised(tensor)}")
        elif tensor.shape != place.shape:
            self.misshapen.append(f"{_described(tensor)} should be {list(place.shape)}, to fill {place.filled}")

    def _place(self, published: str) -> _Place:
        for belongs, pattern in names.BEYOND.items():
            if re.fullmatch(pattern, published):
                return _Place(belongs)
        belongs, where, found = self._find(published)
        if found is None:
            return _Place(LEFT_OVER)
        if isinstance(found, str):
            return _Place(belongs, self.shapes[found], found, same_as=found)

        rule, expert = found
        ours = [where + name for name in rule.ours]
        shapes = [self.shapes[name] if expert is None else self.shapes[name][1:] for name in ours]
        filled = f"{' and '.join(ours)}{'' if expert is None else f' of expert {expert}'}"
        targets = tuple(
            Target(name, expert, rule.dim, part, rule.transposed)
            for name, part in zip(ours, _parts(rule, shapes), strict=True)
        )
        belongs = BUFFERS if belongs == MODEL and ours[0] in self.buffers else belongs
        return _Place(belongs, _whole(rule, shapes), filled, targets)

    def _find(self, published: str) -> tuple[str, str, tuple[Rule, int | None] | str | None]:
        """Look up a published name: its class, the prefix of our names, and its rule with the index of an expert.

        Instead of a rule: the name of our tensor that it repeats, or None if it is unknown.
        """
        inside = re.fullmatch(f"{names.PREFIX}{names.LAYER}(?P<rest>.*)", published)
        if inside is None:
            name = re.sub(f"^{names.PREFIX}", "", published)
            if name in names.HEADS and self.spec.tie_embeddings:
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

    def _rule(self, place: Place, name: str, where: str) -> tuple[Rule, int | None] | None:
        """The first matching rule with all its targets in the model, and the index of the expert."""
        expert = None
        if (match := re.search(names.EXPERT_NUMBER, name)) is not None:
            expert = int(match["expert"])
            name = name[: match.start()] + names.EXPERT + name[match.end() :]
        for rule in _matching(place, name):
            ours = [where + each for each in rule.ours]
            if expert is None:
                fits = all(each in self.shapes for each in ours)
            else:
                fits = all(each in self.stacks and expert < self.shapes[each][0] for each in ours)
            if fits and (rule.beside is None or where + rule.beside in self.shapes):
                return rule, expert
        return None

    def _missing(self, assigned: tuple[Assigned, ...]) -> Iterator[tuple[str, str]]:
        """Our tensors that are filled by none or by several published tensors, each with a fault."""
        filled = Counter((target.name, target.expert) for each in assigned for target in each.targets)
        for name, shape in self.shapes.items():
            if name == "head.lm_head.weight" and self.spec.tie_embeddings:
                continue  # filled as the embedding
            whole = filled[name, None]
            experts = [filled[name, expert] for expert in range(shape[0])] if name in self.stacks else []
            if whole + sum(experts) == 0:
                yield name, f"{name} {list(shape)} is missing"
            elif whole > 1 or max(experts, default=0) > 1 or (whole and sum(experts)):
                yield name, f"{name} {list(shape)} is stored more than once, under different names"
            elif not whole and 0 in experts:
                n_absent, first = experts.count(0), experts.index(0)
                line = (
                    f"{name} {list(shape)} lacks {n_absent:,} of {len(experts):,} experts, the first is expert {first}"
                )
                yield name, line


Place = Literal["around", "layer", "GPT-2 layer", "prediction block"]
_RULES: dict[Place, tuple[Rule, ...]] = {
    "around": names.AROUND_LAYERS,
    "layer": names.IN_A_LAYER,
    "GPT-2 layer": names.IN_A_GPT2_LAYER,
    "prediction block": names.IN_A_PREDICTION_BLOCK,
}


@cache  # names repeat in each layer
def _matching(place: Place, name: str) -> tuple[Rule, ...]:
    return tuple(rule for rule in _RULES[place] if re.fullmatch(rule.name, name))


def _whole(rule: Rule, shapes: list[Shape]) -> Shape:
    """The shape of a published tensor that holds our tensors of these shapes."""
    whole = list(shapes[0])
    if rule.transposed:
        whole[-2:] = whole[:-3:-1]
    whole[rule.dim] = sum(_widths(rule, shapes))
    return tuple(whole)


def _parts(rule: Rule, shapes: list[Shape]) -> Iterator[slice]:
    """The slice of the published tensor that fills each of ours."""
    start = 0
    for number, width in enumerate(_widths(rule, shapes)):
        yield slice(number, None, len(shapes)) if rule.interleaved else slice(start, start + width)
        start += width


def _widths(rule: Rule, shapes: list[Shape]) -> list[int]:
    dim = -3 - rule.dim if rule.transposed else rule.dim  # the same dimension in ours
    return [shape[dim] for shape in shapes]


def _described(tensor: Stored) -> str:
    return f"{shown(tensor.name)} {list(tensor.shape)}"
